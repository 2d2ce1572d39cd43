//! The emulator as a test holds it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;

use crate::arn::RoleArn;
use crate::clock::Clock;
use crate::denial::Denial;
use crate::fault::Fault;
use crate::model::Model;
use crate::operation::{Operation, Service};
use crate::operations::lookup_events::StartEvent;
use crate::organization::{Account, Organization, OrganizationalUnit};
use crate::page::ListEnd;
use crate::quota::Quota;
use crate::record::{Call, Change};
use crate::role::Role;
use crate::server::Server;
use crate::service::{self, Shared};

/// A running emulator. Clones are handles of the same one; its server ends with the last of them.
#[derive(Clone)]
pub struct Emulator {
    shared: Arc<Shared>,
    server: Option<Arc<Server>>,
}

impl fmt::Debug for Emulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Emulator");
        text.field("url", &self.url()).finish_non_exhaustive()
    }
}

impl Emulator {
    /// An emulator to be furnished before it starts.
    pub fn builder() -> Builder {
        Builder {
            emulator: Emulator::in_process(),
            port: 0,
        }
    }

    /// An emulator without a server, for calls through [`Emulator::router`].
    pub fn in_process() -> Self {
        Self {
            shared: Arc::new(Shared::new()),
            server: None,
        }
    }

    /// The endpoint, such as `http://127.0.0.1:40123`. In-process, a name that resolves to nothing.
    pub fn url(&self) -> String {
        match &self.server {
            Some(server) => format!("http://127.0.0.1:{}", server.port),
            None => "http://rekognition-emulator.invalid".to_owned(),
        }
    }

    /// The HTTP interface as a tower service: for callers in the same process, and so for a paused
    /// clock. A broken connection is reported by [`ConnectionReset`](crate::ConnectionReset).
    pub fn router(&self) -> Router {
        service::router(Arc::clone(&self.shared))
    }

    /// Adds a model, and its project if that does not exist; a model with the same ARN is replaced.
    pub fn add_model(&self, model: Model) {
        self.shared.state().custom_labels.add_model(model);
    }

    /// Adds a project without models to the emulator's account, unless it exists. `feature` is
    /// `CUSTOM_LABELS` or `CONTENT_MODERATION`.
    pub fn add_project(&self, name: &str, region: &str, feature: &str) {
        let mut state = self.shared.state();
        let account = state.identities.account.clone();
        let models = &mut state.custom_labels;
        models.add_project(&account, name, region, feature);
    }

    /// Adds a project of the same name as a model's, with a number of its own and without models:
    /// one that was deleted and made again is listed twice for a time, the old one as `DELETING`.
    /// It is listed before the model's project if it is added before the model, and else after it.
    /// Returns its ARN, or none if the model's ARN is invalid.
    pub fn add_namesake_project(&self, model_arn: &str, status: &str) -> Option<String> {
        let home = Model::new(model_arn).ok()?.arn.home;
        let mut state = self.shared.state();
        Some(state.custom_labels.add_namesake_project(home, status))
    }

    /// The ARN of a model's project, which a client has to look up with DescribeProjects.
    pub fn project_arn(&self, model_arn: &str) -> Option<String> {
        let home = Model::new(model_arn).ok()?.arn.home;
        let state = self.shared.state();
        Some(state.custom_labels.project_of(&home)?.arn.clone())
    }

    /// Sets the account of callers without a session, whose projects are listed for them;
    /// `123456789012` at first.
    pub fn set_account(&self, account: &str) {
        self.shared.state().identities.account = account.to_owned();
    }

    /// Sets the role of callers without a session, by its name with its path; `stopper` at first.
    pub fn set_caller_role(&self, role: &str) {
        self.shared.state().identities.caller_role = role.to_owned();
    }

    /// Adds a role that may be assumed; one of the same ARN is replaced.
    pub fn add_role(&self, role: Role) {
        self.shared.state().identities.add_role(role);
    }

    /// Ends every session so far.
    pub fn expire_sessions(&self) {
        self.shared.state().identities.expire_sessions();
    }

    /// Adds an account to the organization, or puts it into another state or place. The
    /// organization comes into being with its first account or unit, and has the emulator's account
    /// for a management account; without one, its lists are answered with
    /// `AWSOrganizationsNotInUseException`.
    pub fn add_account(&self, account: Account) {
        self.shared.state().organization().add_account(account);
    }

    /// Adds an organizational unit, or puts it into another place.
    pub fn add_organizational_unit(&self, unit: OrganizationalUnit) {
        self.shared.state().organization().add_unit(unit);
    }

    /// Begins a new organization with this management account and no other: add all else after it.
    pub fn set_management_account(&self, account: &str) {
        self.shared.state().organization = Some(Organization::new(account));
    }

    /// Lets another account than the management account read the organization.
    pub fn add_delegated_administrator(&self, account: &str) {
        let mut state = self.shared.state();
        state.organization().add_delegated_administrator(account);
    }

    /// Whether Organizations returns an empty page before each page with items.
    pub fn set_empty_pages(&self, empty_pages: bool) {
        self.shared.state().empty_pages = empty_pages;
    }

    /// Adds a start to CloudTrail's event history, which also has every StartProjectVersion that is
    /// called from now on.
    pub fn add_start(&self, start: &StartEvent) {
        let mut state = self.shared.state();
        let clock = state.clock;
        state.trail.add(start, clock);
    }

    /// How long after it happened an event is in the history; at once at first.
    pub fn set_event_delay(&self, delay: Duration) {
        self.shared.state().trail.delay = delay;
    }

    /// Puts a model into a status now. `false` when there is no such model.
    pub fn set_status(&self, model_arn: &str, status: &str) -> bool {
        let mut state = self.shared.state();
        state.custom_labels.set_status(model_arn, status)
    }

    /// How long a model stays STARTING, unless it says so itself; also for those that are now.
    pub fn set_start_takes(&self, duration: Duration) {
        self.shared.state().custom_labels.start_takes = duration;
    }

    /// How long a model stays STOPPING, unless it says so itself; also for those that are now.
    pub fn set_stop_takes(&self, duration: Duration) {
        self.shared.state().custom_labels.stop_takes = duration;
    }

    /// Puts another quota in force, with nothing used of it yet, for every operation of Rekognition
    /// without one of its own; none lets their calls through.
    pub fn set_quota(&self, quota: Option<Quota>) {
        self.shared.state().throttle.set(quota);
    }

    /// Puts a quota of its own in force for one operation of any service, in each account and
    /// region, with nothing used of it yet; none leaves the operation to the common quota.
    /// Throttled calls of the other services have their own errors.
    pub fn set_operation_quota(&self, operation: Operation, quota: Option<Quota>) {
        self.shared.state().throttle.set_of(operation, quota);
    }

    /// Sets the service's clock, which advances from there with tokio's time. Every answer has its
    /// time in a `Date` header then; until then, the server puts the true time there, and
    /// in-process there is none.
    pub fn set_clock(&self, time: SystemTime) {
        self.shared.state().clock = Some(Clock::showing(time));
    }

    /// What the operation's lists have for a `NextToken` on their last page.
    pub fn set_list_end(&self, operation: Operation, end: ListEnd) {
        self.shared.state().list_ends.insert(operation, end);
    }

    /// The time that every call takes before it has an effect.
    pub fn set_latency(&self, latency: Duration) {
        self.shared.state().latency = latency;
    }

    /// The most items on a page of a list, however many are asked for; at first 100, and 20 for
    /// Organizations.
    pub fn set_page_size(&self, items: u32) {
        self.shared.state().page_size = Some(items.max(1));
    }

    /// Refuses an action, such as `rekognition:StopProjectVersion`: on every resource, or on those
    /// whose ARN begins with `resource`.
    pub fn deny(&self, action: &str, resource: Option<&str>) {
        let denial = Denial::new(action, resource);
        self.shared.state().denials.push(denial);
    }

    /// Takes back every [`Emulator::deny`].
    pub fn allow_all(&self) {
        self.shared.state().denials.clear();
    }

    /// Adds a fault at the end of the script.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.state().faults.add(fault);
    }

    /// Ends every fault; calls that hang go on hanging.
    pub fn clear_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// A model's status now.
    pub fn status(&self, model_arn: &str) -> Option<String> {
        let mut state = self.shared.state();
        state
            .custom_labels
            .model(model_arn)
            .map(|it| it.status.clone())
    }

    /// Every model's status now, by ARN.
    pub fn statuses(&self) -> BTreeMap<String, String> {
        self.shared.state().custom_labels.statuses()
    }

    /// Every change of a status up to now, by time. The status at first is no change.
    pub fn changes(&self) -> Vec<Change> {
        self.shared.state().custom_labels.changes()
    }

    /// Every call so far, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.state().record.calls.clone()
    }

    /// How many calls of this operation have arrived.
    pub fn count(&self, operation: Operation) -> usize {
        let state = self.shared.state();
        let calls = state.record.calls.iter();
        calls.filter(|call| call.operation == operation).count()
    }

    /// How often a role of this account was to be assumed, whatever came of it.
    pub fn assume_role_count(&self, account: &str) -> usize {
        let state = self.shared.state();
        let calls = state.record.calls.iter();
        let assumed = calls.filter(|call| call.operation == Operation::AssumeRole);
        let roles = assumed.filter_map(|call| RoleArn::parse(call.resources.first()?).ok());
        roles.filter(|role| role.account == account).count()
    }

    /// Calls to Rekognition by the emulator's account in this region that are in flight now.
    pub fn in_flight(&self, region: &str) -> usize {
        let state = self.shared.state();
        let account = &state.identities.account;
        state.record.in_flight_in(account, region).now
    }

    /// The most calls to Rekognition by the emulator's account in this region that were ever in
    /// flight at once.
    pub fn max_in_flight(&self, region: &str) -> usize {
        let state = self.shared.state();
        let account = &state.identities.account;
        state.record.in_flight_in(account, region).max
    }

    /// The most calls to Rekognition by an account in a region that were ever in flight at once.
    pub fn max_in_flight_in(&self, account: &str, region: &str) -> usize {
        let state = self.shared.state();
        state.record.in_flight_in(account, region).max
    }

    /// Calls to a service, by all accounts in all regions, that are in flight now.
    pub fn in_flight_to(&self, service: Service) -> usize {
        self.shared.state().record.in_flight_to(service).now
    }

    /// The most calls to a service, by all accounts in all regions, that were ever in flight at
    /// once.
    pub fn max_in_flight_to(&self, service: Service) -> usize {
        self.shared.state().record.in_flight_to(service).max
    }

    /// TCP connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.state().record.connections
    }

    /// Writes a line of JSON for each call that ends from now on: `operation`, `action`,
    /// `resources`, `region`, `access_key`, `account`, `answer`.
    pub fn record_to(&self, file: impl Write + Send + 'static) {
        self.shared.state().record.write_to(Box::new(file));
    }

    /// Waits until the condition holds. It is asked at once, and again whenever a call arrives, is
    /// answered or ends.
    pub async fn wait_until(&self, mut condition: impl FnMut(&Emulator) -> bool) {
        loop {
            let mut moved = pin!(self.shared.moved.notified());
            // From here on nothing is missed, also between the question and the wait.
            moved.as_mut().enable();
            if condition(self) {
                return;
            }
            moved.await;
        }
    }
}

/// An emulator that has not started. Every setter has its counterpart on [`Emulator`].
pub struct Builder {
    emulator: Emulator,
    port: u16,
}

impl Builder {
    /// [`Emulator::add_model`].
    pub fn model(self, model: Model) -> Self {
        self.emulator.add_model(model);
        self
    }

    /// Adds many models.
    pub fn models(self, models: impl IntoIterator<Item = Model>) -> Self {
        models.into_iter().fold(self, Self::model)
    }

    /// [`Emulator::add_project`]; set the account first.
    pub fn project(self, name: &str, region: &str, feature: &str) -> Self {
        self.emulator.add_project(name, region, feature);
        self
    }

    /// [`Emulator::set_account`].
    pub fn account(self, account: &str) -> Self {
        self.emulator.set_account(account);
        self
    }

    /// [`Emulator::set_caller_role`].
    pub fn caller_role(self, role: &str) -> Self {
        self.emulator.set_caller_role(role);
        self
    }

    /// [`Emulator::add_role`].
    pub fn role(self, role: Role) -> Self {
        self.emulator.add_role(role);
        self
    }

    /// [`Emulator::add_account`].
    pub fn organization_account(self, account: Account) -> Self {
        self.emulator.add_account(account);
        self
    }

    /// [`Emulator::add_organizational_unit`].
    pub fn organizational_unit(self, unit: OrganizationalUnit) -> Self {
        self.emulator.add_organizational_unit(unit);
        self
    }

    /// [`Emulator::set_management_account`].
    pub fn management_account(self, account: &str) -> Self {
        self.emulator.set_management_account(account);
        self
    }

    /// [`Emulator::add_delegated_administrator`].
    pub fn delegated_administrator(self, account: &str) -> Self {
        self.emulator.add_delegated_administrator(account);
        self
    }

    /// [`Emulator::set_empty_pages`].
    pub fn empty_pages(self, empty_pages: bool) -> Self {
        self.emulator.set_empty_pages(empty_pages);
        self
    }

    /// [`Emulator::add_start`], for each of these.
    pub fn starts(self, starts: impl IntoIterator<Item = StartEvent>) -> Self {
        starts
            .into_iter()
            .for_each(|it| self.emulator.add_start(&it));
        self
    }

    /// [`Emulator::set_event_delay`].
    pub fn event_delay(self, delay: Duration) -> Self {
        self.emulator.set_event_delay(delay);
        self
    }

    /// [`Emulator::set_start_takes`].
    pub fn start_takes(self, duration: Duration) -> Self {
        self.emulator.set_start_takes(duration);
        self
    }

    /// [`Emulator::set_stop_takes`].
    pub fn stop_takes(self, duration: Duration) -> Self {
        self.emulator.set_stop_takes(duration);
        self
    }

    /// [`Emulator::set_quota`].
    pub fn quota(self, quota: Quota) -> Self {
        self.emulator.set_quota(Some(quota));
        self
    }

    /// [`Emulator::set_operation_quota`].
    pub fn operation_quota(self, operation: Operation, quota: Quota) -> Self {
        self.emulator.set_operation_quota(operation, Some(quota));
        self
    }

    /// [`Emulator::set_clock`].
    pub fn clock(self, time: SystemTime) -> Self {
        self.emulator.set_clock(time);
        self
    }

    /// [`Emulator::set_list_end`].
    pub fn list_end(self, operation: Operation, end: ListEnd) -> Self {
        self.emulator.set_list_end(operation, end);
        self
    }

    /// [`Emulator::set_latency`].
    pub fn latency(self, latency: Duration) -> Self {
        self.emulator.set_latency(latency);
        self
    }

    /// [`Emulator::deny`].
    pub fn deny(self, action: &str, resource: Option<&str>) -> Self {
        self.emulator.deny(action, resource);
        self
    }

    /// [`Emulator::add_fault`].
    pub fn fault(self, fault: Fault) -> Self {
        self.emulator.add_fault(fault);
        self
    }

    /// [`Emulator::record_to`].
    pub fn record_to(self, file: impl Write + Send + 'static) -> Self {
        self.emulator.record_to(file);
        self
    }

    /// The port to listen on; any that is free by default.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts the server on `127.0.0.1`, in a task of its own.
    ///
    /// # Errors
    /// What the operating system says when it does not give the port, such as
    /// [`io::ErrorKind::AddrInUse`].
    pub async fn start(self) -> io::Result<Emulator> {
        let shared = Arc::clone(&self.emulator.shared);
        let server = Server::start(self.port, shared).await?;
        Ok(Emulator {
            server: Some(Arc::new(server)),
            ..self.emulator
        })
    }

    /// The emulator without a server, as of [`Emulator::in_process`].
    pub fn in_process(self) -> Emulator {
        self.emulator
    }
}
