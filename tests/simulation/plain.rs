//! What a plain client does in the same night: one that makes each call as soon as it can, gives an
//! attempt up after ten seconds, and retries after at most five. It has the limits that the
//! contract names, takes no other care of anything, and speaks to the service without the SDK. The
//! program is compared with what it gets done, and when.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_rekognition::config::http::HttpRequest;
use aws_smithy_runtime_api::client::http::HttpConnector;
use futures_util::future::join_all;
use rekognition_emulator::{Operation, Service};
use serde_json::{Value, json};
use tokio::sync::{Notify, OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, timeout};

use super::night::ACCOUNT;
use super::run::{self, on_a_paused_clock};
use super::view::{Phase, View, phase};
use super::wanted::{Kind, account_of, is_wild};
use super::weather::{SIGNATURE, THROTTLING};
use crate::support::wire::Wire;

const ATTEMPT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The pause between two polls of a model that is changing.
const POLL: Duration = Duration::from_secs(10);

/// When it got what done, since the beginning of its run.
#[derive(Debug, Default)]
pub struct Done {
    /// Accounts that were listed, and the end of the list.
    pub known: BTreeMap<String, Duration>,
    pub listed: Option<Duration>,
    /// Accounts whose role was assumed or refused, and those where it was refused.
    pub entered: BTreeMap<String, Duration>,
    pub refused: BTreeSet<String>,
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
    on_a_paused_clock(view.night, async {
        let begun = Instant::now();
        let emulator = run::emulator(view.night, view.run.since, &view.run.before);
        let wire = Wire::new(&emulator);
        view.run.weather.begin(&emulator, &wire);
        let client = Client {
            view,
            wire,
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
    /// The call is to be made again.
    Retried,
}

struct Client<'a> {
    view: &'a View<'a>,
    wire: Wire,
    begun: Instant,
    /// Of each operation in an account and region, and of each service.
    turns: RefCell<BTreeMap<String, Arc<Semaphore>>>,
    sessions: RefCell<BTreeMap<String, Arc<OnceCell<Option<Session>>>>>,
    has_listed: Notify,
    done: RefCell<Done>,
}

/// The access key of a session, and its token.
#[derive(Clone, Default)]
struct Session {
    access_key: String,
    token: String,
}

/// An account and region, and who makes the calls there.
struct Scope<'a> {
    account: &'a str,
    region: &'a str,
    session: Session,
    /// The ARNs of projects by their names.
    projects: RefCell<BTreeMap<String, String>>,
}

impl<'a> Scope<'a> {
    fn new(account: &'a str, region: &'a str, session: Session) -> Self {
        Self {
            account,
            region,
            session,
            projects: RefCell::default(),
        }
    }

    /// Where the accounts are listed and roles are assumed.
    fn home() -> Self {
        let session = Session {
            access_key: "own".to_owned(),
            token: String::new(),
        };
        Self::new(ACCOUNT, "us-east-1", session)
    }
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
            if self.view.wanted.account_patterns().next().is_some() {
                self.list_accounts().await;
                self.done.borrow_mut().listed = Some(self.begun.elapsed());
            }
        };
        let scopes = scopes.into_iter();
        let scopes = scopes.map(|((is_listed, account, region), entries)| async move {
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
        let home = Scope::home();
        let known = |accounts: Vec<Value>| {
            for account in accounts {
                let (id, now) = (text(&account["Id"]), self.begun.elapsed());
                self.done.borrow_mut().known.entry(id).or_insert(now);
            }
            self.has_listed.notify_waiters();
        };
        if organization.organizational_units.is_empty() {
            let operation = Operation::ListAccounts;
            let _ = self.pages(operation, &home, json!({}), known).await;
            return;
        }
        let mut parents = organization.organizational_units.clone();
        let mut next = 0;
        while let Some(parent) = parents.get(next).cloned() {
            next += 1;
            let body = json!({"ParentId": parent});
            let operation = Operation::ListAccountsForParent;
            let _ = self.pages(operation, &home, body.clone(), known).await;
            let operation = Operation::ListOrganizationalUnitsForParent;
            let add = |units: Vec<Value>| {
                let ids = units.iter().map(|unit| text(&unit["Id"]));
                let new: Vec<String> = ids.filter(|id| !parents.contains(id)).collect();
                parents.extend(new);
            };
            let _ = self.pages(operation, &home, body, add).await;
        }
    }

    /// The session for an account, once for all of its regions; none if its role is refused.
    async fn enter(&self, account: &str) -> Option<Session> {
        let home = Scope::home();
        let organization = self.view.night.organization.as_ref();
        let organization = organization.filter(|it| it.member_role.is_some() && account != ACCOUNT);
        let Some(organization) = organization else {
            return Some(home.session);
        };
        let session = {
            let mut sessions = self.sessions.borrow_mut();
            Arc::clone(sessions.entry(account.to_owned()).or_default())
        };
        let mut body =
            json!({"RoleArn": organization.role_arn(account), "RoleSessionName": "plain"});
        if let Some(external_id) = organization.external_id {
            body["ExternalId"] = external_id.into();
        }
        let session = session.get_or_init(async || {
            let response = self.call(Operation::AssumeRole, &home, body).await.ok()?;
            Some(Session {
                access_key: text(&response["AccessKeyId"]),
                token: text(&response["SessionToken"]),
            })
        });
        session.await.clone()
    }

    async fn work_in(&self, account: &str, region: &str, entries: Vec<(&str, Kind)>) {
        let session = self.enter(account).await;
        {
            let (mut done, now) = (self.done.borrow_mut(), self.begun.elapsed());
            done.entered.entry(account.to_owned()).or_insert(now);
            if session.is_none() {
                done.refused.insert(account.to_owned());
            }
        }
        let Some(session) = session else {
            return;
        };
        let scope = &Scope::new(account, region, session);
        let is_model = |(_, kind): &(&str, Kind)| *kind == Kind::Model;
        let (models, patterns): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_model);
        let named = models.into_iter();
        let named = named.map(|(arn, _)| self.deal_with(scope, arn, true));
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
                let (account, region) = (scope.account.to_owned(), scope.region.to_owned());
                let key = ((*pattern).to_owned(), account, region);
                let now = self.begun.elapsed();
                self.done.borrow_mut().searched.insert(key, now);
            }
        };
        let mut projects = Vec::new();
        let add = |page| projects.extend::<Vec<Value>>(page);
        let operation = Operation::DescribeProjects;
        let _ = self.pages(operation, scope, json!({}), add).await;
        let left = Cell::new(projects.len());
        if projects.is_empty() {
            searched();
        }
        let lists = projects.iter().map(async |project| {
            let body = json!({"ProjectArn": project["ProjectArn"]});
            let versions = self.versions(scope, body).await;
            left.set(left.get() - 1);
            if left.get() == 0 {
                searched();
            }
            let found = versions.iter().flatten().filter(|version| {
                let arn = version["ProjectVersionArn"].as_str().unwrap_or_default();
                let wanted = &self.view.wanted;
                let mut matching = wanted.patterns_of(arn);
                !wanted.names(arn) && matching.any(|(_, it)| patterns.contains(&it))
            });
            join_all(found.map(|version| self.deal_with_found(scope, version))).await;
        });
        join_all(lists).await;
    }

    /// A model that is running is stopped, unless its tags keep it.
    async fn deal_with_found(&self, scope: &Scope<'_>, version: &Value) {
        let arn = &text(&version["ProjectVersionArn"]);
        let status = text(&version["Status"]);
        let night = self.view.night;
        if phase(&status) == Phase::NotRunning {
            return self.told(arn);
        }
        if !night.settings.keep_running_tag.is_empty() {
            let operation = Operation::ListTagsForResource;
            let tags = self.call(operation, scope, json!({"ResourceArn": arn}));
            let is_kept = night.model(arn).is_some_and(|it| night.is_exempt(it));
            if tags.await.is_err() || is_kept {
                return self.told(arn);
            }
        }
        if phase(&status) == Phase::Unknown || night.dry_run {
            return self.told(arn);
        }
        self.deal_with(scope, arn, status == "RUNNING").await;
    }

    /// A model that may be running is stopped without a check, and then checked until it is known
    /// what has become of it.
    async fn deal_with(&self, scope: &Scope<'_>, arn: &str, may_be_running: bool) {
        let night = self.view.night;
        let confirms = night.settings.confirm_stopped;
        let mut may_be_running = may_be_running && !night.dry_run;
        let mut pause = FIRST_PAUSE;
        loop {
            if may_be_running {
                let operation = Operation::StopProjectVersion;
                let body = json!({"ProjectVersionArn": arn});
                let stopped = self.call(operation, scope, body).await;
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
        let names: Vec<&str> = arn.split('/').skip(1).step_by(2).collect();
        let (project, version) = (names[0], names[1]);
        let known = scope.projects.borrow().get(project).cloned();
        let project_arn = match known {
            Some(project_arn) => project_arn,
            None => {
                let body = json!({"ProjectNames": [project]});
                let found = self.call(Operation::DescribeProjects, scope, body).await?;
                let found = text(&found["ProjectDescriptions"][0]["ProjectArn"]);
                if found.is_empty() {
                    return Ok(found);
                }
                let mut projects = scope.projects.borrow_mut();
                projects.insert(project.to_owned(), found.clone());
                found
            }
        };
        let body = json!({"ProjectArn": project_arn, "VersionNames": [version]});
        let versions = self.versions(scope, body).await?;
        let mut versions = versions.iter();
        let version = versions.find(|it| it["ProjectVersionArn"] == arn);
        Ok(version.map_or(String::new(), |it| text(&it["Status"])))
    }

    async fn versions(&self, scope: &Scope<'_>, body: Value) -> Result<Vec<Value>, Failed> {
        let mut versions = Vec::new();
        let add = |page| versions.extend::<Vec<Value>>(page);
        let operation = Operation::DescribeProjectVersions;
        self.pages(operation, scope, body, add).await?;
        Ok(versions)
    }

    fn told(&self, arn: &str) {
        let now = self.begun.elapsed();
        let mut done = self.done.borrow_mut();
        done.told.entry(arn.to_owned()).or_insert(now);
    }

    /// Reads a list page by page.
    async fn pages(
        &self,
        operation: Operation,
        scope: &Scope<'_>,
        mut body: Value,
        mut add: impl FnMut(Vec<Value>),
    ) -> Result<(), Failed> {
        loop {
            let mut page = self.call(operation, scope, body.clone()).await?;
            let items = page[member_of(operation)].take();
            add(items.as_array().cloned().unwrap_or_default());
            match page["NextToken"].take() {
                Value::String(token) if !token.is_empty() => body["NextToken"] = token.into(),
                _ => return Ok(()),
            }
        }
    }

    /// Makes a call until it has a result.
    async fn call(
        &self,
        operation: Operation,
        scope: &Scope<'_>,
        body: Value,
    ) -> Result<Value, Failed> {
        let mut pause = FIRST_PAUSE;
        let mut may_sign_again = true;
        loop {
            let turn = self.turn(operation, scope).await;
            let response = timeout(ATTEMPT, self.attempt(operation, scope, &body)).await;
            drop(turn);
            match response.unwrap_or(Err(Failed::Retried)) {
                Ok(response) => return Ok(response),
                Err(Failed::Retried) => {}
                Err(Failed::Doubtful) if operation != Operation::StopProjectVersion => {}
                Err(Failed::Signature) if may_sign_again => may_sign_again = false,
                Err(failed) => return Err(failed),
            }
            sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(
        &self,
        operation: Operation,
        scope: &Scope<'_>,
        body: &Value,
    ) -> Result<Value, Failed> {
        let service = operation.service();
        let body = match service {
            Service::Sts => form(operation, body),
            _ => body.to_string(),
        };
        let target = match service {
            Service::Organizations => "AWSOrganizationsV20161128",
            _ => "RekognitionService",
        };
        let (Session { access_key, token }, region) = (&scope.session, scope.region);
        let place = format!(
            "{access_key}/20270115/{region}/{}/aws4_request",
            service.name()
        );
        let request = axum::http::Request::post("http://in-process.invalid/")
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={place}"),
            )
            .header("x-amz-security-token", token)
            .header("x-amz-target", format!("{target}.{operation}"))
            .body(body.into())
            .unwrap();
        let request = HttpRequest::try_from(request).unwrap();
        let response = HttpConnector::call(&self.wire, request).await;
        let response = response.map_err(|_| Failed::Retried)?;
        let status = response.status().as_u16();
        let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default());
        let body = match service {
            Service::Sts => read_xml(&body),
            _ => serde_json::from_str(&body).unwrap_or_default(),
        };
        let code = body["__type"].as_str();
        match code {
            _ if status == 200 => match body.get(member_of(operation)) {
                Some(_) => Ok(body),
                None => Err(Failed::Doubtful),
            },
            _ if status == 429 || status >= 500 => Err(Failed::Retried),
            Some(code) if THROTTLING.contains(&code) => Err(Failed::Retried),
            Some(code) if SIGNATURE.contains(&code) => Err(Failed::Signature),
            Some("ResourceInUseException") | None => Err(Failed::Doubtful),
            Some(_) => Err(Failed::Refused),
        }
    }

    /// Waits for one of the turns that an operation has in an account and region, and then for one
    /// of its service's.
    async fn turn(
        &self,
        operation: Operation,
        scope: &Scope<'_>,
    ) -> (OwnedSemaphorePermit, OwnedSemaphorePermit) {
        let service = operation.service();
        let concurrency = self.view.night.settings.max_concurrency.get() as usize;
        let (of_service, of_operation) = match service {
            Service::Rekognition => (128, concurrency),
            _ => (16, 16),
        };
        let lane = format!("{operation} {} {}", scope.account, scope.region);
        let of_operation = self.turns(lane, of_operation).acquire_owned().await;
        let of_service = self.turns(service.name().to_owned(), of_service);
        let of_service = of_service.acquire_owned().await;
        (of_operation.unwrap(), of_service.unwrap())
    }

    fn turns(&self, of: String, count: usize) -> Arc<Semaphore> {
        let mut turns = self.turns.borrow_mut();
        let turns = turns.entry(of);
        Arc::clone(turns.or_insert_with(|| Semaphore::new(count).into()))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// What every response to an operation has.
fn member_of(operation: Operation) -> &'static str {
    match operation {
        Operation::StopProjectVersion => "Status",
        Operation::DescribeProjects => "ProjectDescriptions",
        Operation::DescribeProjectVersions => "ProjectVersionDescriptions",
        Operation::ListTagsForResource => "Tags",
        Operation::AssumeRole => "SessionToken",
        Operation::ListAccounts | Operation::ListAccountsForParent => "Accounts",
        Operation::ListOrganizationalUnitsForParent => "OrganizationalUnits",
        operation => unreachable!("{operation}"),
    }
}

/// A request to STS.
fn form(operation: Operation, body: &Value) -> String {
    let members = body.as_object().into_iter().flatten();
    let members = members.map(|(name, value)| format!("&{name}={}", text(value)));
    format!(
        "Action={operation}&Version=2011-06-15{}",
        members.collect::<String>()
    )
}

/// What is read of a response of STS, with the code of an error as in JSON.
fn read_xml(body: &str) -> Value {
    let members = ["AccessKeyId", "SessionToken", "Code"].into_iter();
    let members = members.filter_map(|name| {
        let (_, rest) = body.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once('<')?;
        let name = if name == "Code" { "__type" } else { name };
        Some((name.to_owned(), value.into()))
    });
    Value::Object(members.collect())
}
