//! What a plain client does in the same night: one that makes each call as soon as it can, gives an
//! attempt up after ten seconds, and retries after at most five. It has the limits that the
//! contract names, and takes no other care of anything. What it gets done, and when, is what the
//! program is held against.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_rekognition::config::IdentityCache;
use aws_sdk_rekognition::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_rekognition::types::{ProjectDescription, ProjectVersionDescription};
use futures_util::future::join_all;
use rekognition_emulator::{Operation, Service};
use tokio::runtime::Builder;
use tokio::sync::{Notify, OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::clock::Timers;
use super::night::ACCOUNT;
use super::run;
use super::view::{Phase, View, phase};
use super::wanted::{Kind, account_of, is_wild};
use super::weather::{SIGNATURE, THROTTLING};
use crate::support::{self, wire::Wire};

const ATTEMPT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The pause between two looks at a model that is changing.
const POLL: Duration = Duration::from_secs(10);

/// When it got what done, since the beginning of its run.
#[derive(Debug, Default)]
pub struct Done {
    /// Accounts that were listed, and the end of the list.
    pub known: BTreeMap<String, Duration>,
    pub listed: Option<Duration>,
    /// Accounts that were entered, or that cannot be.
    pub entered: BTreeMap<String, Duration>,
    /// Accounts and regions that were looked into.
    pub called: BTreeMap<(String, String), Duration>,
    /// Patterns that were looked up in an account and region, or that cannot be.
    pub searched: BTreeMap<(String, String, String), Duration>,
    /// Models whose stop was accepted.
    pub stopped: BTreeMap<String, Duration>,
    /// Models about which everything is known.
    pub told: BTreeMap<String, Duration>,
}

/// What a plain client gets done in a run.
pub fn live_through(view: &View) -> Done {
    fastrand::seed(view.night.seed);
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let begun = Instant::now();
        let emulator = run::emulator(view.night, view.run.since, &view.run.before);
        let wire = Wire::new(&emulator);
        view.run.weather.begin(&emulator, &wire);
        let client = Client {
            view,
            config: run::sdk_config(&emulator, &wire, &Arc::new(Timers::default()))
                .into_builder()
                .retry_config(RetryConfig::disabled())
                .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                .identity_cache(IdentityCache::no_cache())
                .build(),
            begun,
            turns: RefCell::default(),
            sessions: RefCell::default(),
            has_listed: Notify::new(),
            done: RefCell::default(),
        };
        // What it has not done by then, the program may be unable to do as well.
        let _ = timeout(view.run.time * 4 / 5, client.run()).await;
        let mut done = client.done.take();
        for call in emulator.calls() {
            if call.operation == Operation::DescribeProjects {
                let place = (call.account, call.region);
                done.called.entry(place).or_insert(call.at - begun);
            }
        }
        for change in emulator.changes() {
            if change.status == "STOPPING" {
                done.stopped.entry(change.arn).or_insert(change.at - begun);
            }
        }
        done
    })
}

/// A call that is over without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failed {
    /// The service's refusal is final.
    Refused,
    /// A signature was refused. The next may not be.
    Signature,
    /// There is a response, and it does not tell what has happened.
    Doubtful,
}

struct Client<'a> {
    view: &'a View<'a>,
    config: SdkConfig,
    begun: Instant,
    /// Of each operation in an account and region, and of each service.
    turns: RefCell<BTreeMap<String, Arc<Semaphore>>>,
    sessions: RefCell<BTreeMap<String, Arc<OnceCell<Option<Credentials>>>>>,
    has_listed: Notify,
    done: RefCell<Done>,
}

/// An account and region, and a client for it.
struct Scope<'a> {
    account: &'a str,
    region: &'a str,
    client: aws_sdk_rekognition::Client,
    /// The ARNs of projects by their names.
    projects: RefCell<BTreeMap<String, String>>,
}

impl Client<'_> {
    async fn run(&self) {
        let entries = &self.view.wanted.entries;
        let mut scopes: BTreeMap<_, Vec<(&str, Kind)>> = BTreeMap::new();
        for (text, kind) in entries.iter().filter(|(_, kind)| *kind != Kind::Invalid) {
            for (account, region) in self.view.wanted.scopes(text) {
                let scope = (is_wild(account_of(text)), account, region);
                scopes.entry(scope).or_default().push((text, *kind));
            }
        }
        let list = async {
            if entries
                .iter()
                .any(|(text, kind)| *kind == Kind::Pattern && is_wild(account_of(text)))
            {
                self.list_accounts().await;
                self.done.borrow_mut().listed = Some(self.begun.elapsed());
            }
        };
        let scopes = scopes
            .into_iter()
            .map(|((is_listed, account, region), entries)| async move {
                while is_listed && !self.done.borrow().known.contains_key(account) {
                    self.has_listed.notified().await;
                }
                self.work_in(account, region, entries).await;
            });
        futures_util::join!(list, join_all(scopes));
    }

    async fn list_accounts(&self) {
        let Some(organization) = &self.view.night.organization else {
            return;
        };
        let client = aws_sdk_organizations::Client::new(&self.config);
        let known = |ids: Vec<Option<String>>| {
            for id in ids.into_iter().flatten() {
                let now = self.begun.elapsed();
                self.done.borrow_mut().known.entry(id).or_insert(now);
            }
            self.has_listed.notify_waiters();
        };
        let place = (ACCOUNT, "us-east-1");
        if organization.organizational_units.is_empty() {
            let page = async |token| {
                let page = client.list_accounts().set_next_token(token).send().await?;
                let ids = page
                    .accounts
                    .map(|all| all.into_iter().map(|it| it.id).collect());
                Ok::<_, SdkError<_>>(ids.map(|ids| (ids, page.next_token)))
            };
            let _ = self
                .pages(Operation::ListAccounts, place, page, known)
                .await;
            return;
        }
        let mut parents = organization.organizational_units.clone();
        let mut next = 0;
        while let Some(parent) = parents.get(next).cloned() {
            next += 1;
            let page = async |token| {
                let call = client.list_accounts_for_parent().parent_id(&parent);
                let page = call.set_next_token(token).send().await?;
                let ids = page
                    .accounts
                    .map(|all| all.into_iter().map(|it| it.id).collect());
                Ok::<_, SdkError<_>>(ids.map(|ids| (ids, page.next_token)))
            };
            let _ = self
                .pages(Operation::ListAccountsForParent, place, page, known)
                .await;
            let page = async |token| {
                let call = client
                    .list_organizational_units_for_parent()
                    .parent_id(&parent);
                let page = call.set_next_token(token).send().await?;
                let units = page.organizational_units;
                let ids = units.map(|all| all.into_iter().filter_map(|it| it.id).collect());
                Ok::<_, SdkError<_>>(ids.map(|ids| (ids, page.next_token)))
            };
            let add = |ids: Vec<String>| {
                for id in ids {
                    if !parents.contains(&id) {
                        parents.push(id);
                    }
                }
            };
            let operation = Operation::ListOrganizationalUnitsForParent;
            let _ = self.pages(operation, place, page, add).await;
        }
    }

    /// The credentials for an account, once for all of its regions; none if it cannot be entered.
    async fn enter(&self, account: &str) -> Option<Credentials> {
        let organization = self.view.night.organization.as_ref();
        let organization = organization.filter(|it| it.member_role.is_some() && account != ACCOUNT);
        let Some(organization) = organization else {
            return Some(support::credentials());
        };
        let session = Arc::clone(
            self.sessions
                .borrow_mut()
                .entry(account.to_owned())
                .or_default(),
        );
        let role_arn = organization.role_arn(account);
        let client = aws_sdk_sts::Client::new(&self.config);
        let assume = async || {
            let call = client
                .assume_role()
                .role_arn(&role_arn)
                .role_session_name("plain");
            let call = call.set_external_id(organization.external_id.map(str::to_owned));
            Ok::<_, SdkError<_>>(call.send().await?.credentials)
        };
        let credentials = session.get_or_init(async || {
            let place = (ACCOUNT, "us-east-1");
            let session = self.call(Operation::AssumeRole, place, assume).await.ok()?;
            Some(Credentials::from_keys(
                session.access_key_id,
                session.secret_access_key,
                Some(session.session_token),
            ))
        });
        credentials.await.clone()
    }

    async fn work_in(&self, account: &str, region: &str, entries: Vec<(&str, Kind)>) {
        let credentials = self.enter(account).await;
        let now = self.begun.elapsed();
        self.done
            .borrow_mut()
            .entered
            .entry(account.to_owned())
            .or_insert(now);
        let Some(credentials) = credentials else {
            return;
        };
        let config = aws_sdk_rekognition::config::Builder::from(&self.config);
        let config = config
            .region(Region::new(region.to_owned()))
            .credentials_provider(credentials);
        let scope = &Scope {
            account,
            region,
            client: aws_sdk_rekognition::Client::from_conf(config.build()),
            projects: RefCell::default(),
        };
        let (models, patterns): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|(_, kind)| *kind == Kind::Model);
        let named = models
            .into_iter()
            .map(|(arn, _)| self.deal_with(scope, arn, true));
        let patterns: Vec<&str> = patterns.into_iter().map(|(text, _)| text).collect();
        futures_util::join!(join_all(named), self.search(scope, &patterns));
    }

    /// Looks for what the patterns match, and deals with each model that they find.
    async fn search(&self, scope: &Scope<'_>, patterns: &[&str]) {
        if patterns.is_empty() {
            return;
        }
        let searched = || {
            for pattern in patterns {
                let place = (scope.account.to_owned(), scope.region.to_owned());
                let key = ((*pattern).to_owned(), place.0, place.1);
                let now = self.begun.elapsed();
                self.done.borrow_mut().searched.insert(key, now);
            }
        };
        let mut projects = Vec::new();
        let page = async |token| {
            let page = scope.client.describe_projects();
            let page = page.set_next_token(token).send().await?;
            let all = page.project_descriptions;
            Ok::<_, SdkError<_>>(all.map(|all| (all, page.next_token)))
        };
        let add = |all| projects.extend::<Vec<ProjectDescription>>(all);
        let operation = Operation::DescribeProjects;
        let _ = self.pages(operation, scope.place(), page, add).await;
        let left = Cell::new(projects.len());
        if projects.is_empty() {
            searched();
        }
        let lists = projects.into_iter().filter_map(|it| it.project_arn);
        let lists = lists.map(async |project_arn| {
            let versions = self.versions(scope, &project_arn, None).await;
            left.set(left.get() - 1);
            if left.get() == 0 {
                searched();
            }
            let found = versions.iter().flatten();
            let found = found.filter(|version| {
                let arn = version.project_version_arn().unwrap_or_default();
                let wanted = &self.view.wanted;
                !wanted.names(arn) && wanted.patterns_of(arn).any(|it| patterns.contains(&it))
            });
            join_all(found.map(|version| self.deal_with_found(scope, version))).await;
        });
        join_all(lists).await;
    }

    /// A model that is running is stopped, unless its tags keep it.
    async fn deal_with_found(&self, scope: &Scope<'_>, version: &ProjectVersionDescription) {
        let arn = version.project_version_arn().unwrap_or_default();
        let status = version.status().map(|it| it.as_str().to_owned());
        let status = status.unwrap_or_default();
        let night = self.view.night;
        if phase(&status) == Phase::NotRunning {
            return self.told(arn);
        }
        if !night.settings.keep_running_tag.is_empty() {
            let tags = async || {
                let call = scope.client.list_tags_for_resource();
                let response = call.resource_arn(arn).send().await?;
                Ok::<_, SdkError<_>>(response.tags)
            };
            let operation = Operation::ListTagsForResource;
            let tags = self.call(operation, scope.place(), tags).await;
            if tags.is_err() || night.model(arn).is_some_and(|it| night.is_exempt(it)) {
                return self.told(arn);
            }
        }
        if phase(&status) == Phase::Unknown || night.dry_run {
            return self.told(arn);
        }
        self.deal_with(scope, arn, status == "RUNNING").await;
    }

    /// A model that may be running is stopped without a look at it, and looked at then until it is
    /// known what has become of it.
    async fn deal_with(&self, scope: &Scope<'_>, arn: &str, may_be_running: bool) {
        let night = self.view.night;
        let confirms = night.settings.confirm_stopped;
        let mut may_be_running = may_be_running && !night.dry_run;
        let mut pause = FIRST_PAUSE;
        loop {
            if may_be_running {
                let stop = async || {
                    let call = scope.client.stop_project_version();
                    Ok::<_, SdkError<_>>(call.project_version_arn(arn).send().await?.status)
                };
                let operation = Operation::StopProjectVersion;
                let stopped = self.call(operation, scope.place(), stop).await;
                let is_open = stopped.is_ok() && confirms;
                if !is_open && stopped != Err(Failed::Doubtful) {
                    return self.told(arn);
                }
            }
            match self.status(scope, arn).await.as_deref() {
                _ if night.dry_run => return self.told(arn),
                Ok("RUNNING") => may_be_running = true,
                Ok("STARTING") => may_be_running = false,
                Ok("STOPPING") if confirms => may_be_running = false,
                _ => return self.told(arn),
            }
            sleep(if may_be_running { pause } else { POLL }).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// The status of a model; empty if it does not exist.
    async fn status(&self, scope: &Scope<'_>, arn: &str) -> Result<String, Failed> {
        let (project, version) = names(arn);
        let known = scope.projects.borrow().get(project).cloned();
        let project_arn = match known {
            Some(project_arn) => project_arn,
            None => {
                let find = async || {
                    let call = scope.client.describe_projects();
                    Ok::<_, SdkError<_>>(
                        call.project_names(project)
                            .send()
                            .await?
                            .project_descriptions,
                    )
                };
                let operation = Operation::DescribeProjects;
                let found = self.call(operation, scope.place(), find).await?;
                let found = found.into_iter().filter_map(|it| it.project_arn).next();
                let Some(project_arn) = found else {
                    return Ok(String::new());
                };
                let mut projects = scope.projects.borrow_mut();
                projects.insert(project.to_owned(), project_arn.clone());
                project_arn
            }
        };
        let versions = self.versions(scope, &project_arn, Some(version)).await?;
        let mut versions = versions.iter();
        let version = versions.find(|it| it.project_version_arn() == Some(arn));
        let status = version.and_then(|it| it.status());
        Ok(status.map(|it| it.as_str().to_owned()).unwrap_or_default())
    }

    /// The versions of a project, or the one of this name.
    async fn versions(
        &self,
        scope: &Scope<'_>,
        project_arn: &str,
        name: Option<&str>,
    ) -> Result<Vec<ProjectVersionDescription>, Failed> {
        let mut versions = Vec::new();
        let page = async |token| {
            let call = scope.client.describe_project_versions();
            let call = call.project_arn(project_arn).set_next_token(token);
            let names = name.map(|name| vec![name.to_owned()]);
            let page = call.set_version_names(names).send().await?;
            let all = page.project_version_descriptions;
            Ok::<_, SdkError<_>>(all.map(|all| (all, page.next_token)))
        };
        let add = |all| versions.extend::<Vec<ProjectVersionDescription>>(all);
        let operation = Operation::DescribeProjectVersions;
        self.pages(operation, scope.place(), page, add).await?;
        Ok(versions)
    }

    fn told(&self, arn: &str) {
        let now = self.begun.elapsed();
        let mut done = self.done.borrow_mut();
        done.told.entry(arn.to_owned()).or_insert(now);
    }

    /// Reads a list page by page.
    async fn pages<T, E: ProvideErrorMetadata>(
        &self,
        operation: Operation,
        place: (&str, &str),
        page: impl AsyncFn(Option<String>) -> Result<Option<(T, Option<String>)>, SdkError<E>>,
        mut add: impl FnMut(T),
    ) -> Result<(), Failed> {
        let mut token = None;
        loop {
            let call = async || page(token.clone()).await;
            let (items, next) = self.call(operation, place, call).await?;
            add(items);
            token = next.filter(|next| !next.is_empty());
            if token.is_none() {
                return Ok(());
            }
        }
    }

    /// Makes a call until it has a result.
    async fn call<T, E: ProvideErrorMetadata>(
        &self,
        operation: Operation,
        place: (&str, &str),
        attempt: impl AsyncFn() -> Result<Option<T>, SdkError<E>>,
    ) -> Result<T, Failed> {
        let mut pause = FIRST_PAUSE;
        let mut may_sign_again = true;
        loop {
            let turn = self.turn(operation, place).await;
            let result = timeout(ATTEMPT, attempt()).await;
            drop(turn);
            let failed = match result {
                Ok(Ok(Some(value))) => return Ok(value),
                Ok(Ok(None)) => Some(Failed::Doubtful),
                Ok(Err(error)) => failed(&error),
                Err(_) => None,
            };
            match failed {
                Some(Failed::Doubtful) if operation != Operation::StopProjectVersion => {}
                Some(Failed::Signature) if may_sign_again => may_sign_again = false,
                Some(failed) => return Err(failed),
                None => {}
            }
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// Waits for one of the turns that an operation has in an account and region, and then for one
    /// of its service's.
    async fn turn(
        &self,
        operation: Operation,
        place: (&str, &str),
    ) -> (OwnedSemaphorePermit, OwnedSemaphorePermit) {
        let service = operation.service();
        let concurrency = self.view.night.settings.max_concurrency.get() as usize;
        let (of_service, of_operation) = match service {
            Service::Rekognition => (128, concurrency),
            Service::Organizations | Service::Sts | Service::CloudTrail => (16, 16),
        };
        let of_operation = self.turns(format!("{operation} {place:?}"), of_operation);
        let of_operation = of_operation.acquire_owned().await.unwrap();
        let of_service = self.turns(service.name().to_owned(), of_service);
        (of_operation, of_service.acquire_owned().await.unwrap())
    }

    fn turns(&self, of: String, count: usize) -> Arc<Semaphore> {
        let mut turns = self.turns.borrow_mut();
        let turns = turns
            .entry(of)
            .or_insert_with(|| Semaphore::new(count).into());
        Arc::clone(turns)
    }
}

impl Scope<'_> {
    fn place(&self) -> (&str, &str) {
        (self.account, self.region)
    }
}

/// What an error means; nothing, if the call is retried.
fn failed<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Option<Failed> {
    let status = error.raw_response().map(|it| it.status().as_u16())?;
    let code = error
        .as_service_error()
        .and_then(ProvideErrorMetadata::code);
    match code {
        _ if status == 429 || status >= 500 => None,
        Some(code) if THROTTLING.contains(&code) => None,
        Some(code) if SIGNATURE.contains(&code) => Some(Failed::Signature),
        Some("ResourceInUseException") | None => Some(Failed::Doubtful),
        Some(_) => Some(Failed::Refused),
    }
}

/// The names of a model's project and of its version.
fn names(arn: &str) -> (&str, &str) {
    let mut parts = arn.split('/').skip(1).step_by(2);
    (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    )
}
