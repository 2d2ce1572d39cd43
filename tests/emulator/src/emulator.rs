//! The emulator, as a test uses it.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;

use crate::arn::{Home, RoleArn};
use crate::call::{self, Shared};
use crate::clock::Clock;
use crate::faults::{Denial, Fault, Faults, Quota};
use crate::identity::Role;
use crate::models::{CUSTOM_LABELS, Model};
use crate::operation::{Operation, Service};
use crate::operations::lookup_events::StartEvent;
use crate::organization::{Account, Organization, OrganizationalUnit};
use crate::record::{Call, Change};
use crate::server::Server;

/// A running emulator. Clones are handles of the same one; its server ends with the last of them.
#[derive(Clone)]
pub struct Emulator {
    shared: Arc<Shared>,
    server: Option<Arc<Server>>,
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
            shared: Arc::default(),
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
        call::router(Arc::clone(&self.shared))
    }

    /// Adds a model, and its project if that does not exist; a model with the same ARN is replaced.
    pub fn add_model(&self, model: Model) {
        self.shared.state().models.add_model(model);
    }

    /// Adds a project without models to the emulator's account, unless it exists. `feature` is
    /// `CUSTOM_LABELS` or `CONTENT_MODERATION`.
    pub fn add_project(&self, name: &str, region: &str, feature: &str) {
        let mut state = self.shared.state();
        let home = Home {
            partition: "aws".to_owned(),
            region: region.to_owned(),
            account: state.identities.account.clone(),
            project: name.to_owned(),
        };
        state.models.project_entry(&home, feature);
    }

    /// Adds a project of the same name as a model's, without models: one that was deleted and made
    /// again is listed twice for a time, in the order in which they were added. Returns its ARN.
    pub fn add_namesake_project(&self, model_arn: &str, status: &str) -> Option<String> {
        let home = Model::new(model_arn).ok()?.arn.home;
        let mut state = self.shared.state();
        Some(state.models.push_project(home, CUSTOM_LABELS, status))
    }

    /// The ARN of a model's project, which a client has to look up with DescribeProjects.
    pub fn project_arn(&self, model_arn: &str) -> Option<String> {
        let home = Model::new(model_arn).ok()?.arn.home;
        let state = self.shared.state();
        Some(state.models.project_of(&home)?.arn.clone())
    }

    /// Adds a role that may be assumed; one of the same ARN is replaced.
    pub fn add_role(&self, role: Role) {
        let roles = &mut self.shared.state().identities.roles;
        roles.insert(role.arn.text.clone(), role);
    }

    /// Adds an account to the organization, or puts it into another state or place. The
    /// organization begins with its first account or unit; the emulator's account manages it.
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
        let administrators = &mut state.organization().delegated_administrators;
        administrators.push(account.to_owned());
    }

    /// Whether Organizations returns an empty page before each page with items.
    pub fn set_empty_pages(&self, empty_pages: bool) {
        self.shared.state().empty_pages = empty_pages;
    }

    /// Adds a start to CloudTrail's event history.
    pub fn add_start(&self, start: &StartEvent) {
        let mut state = self.shared.state();
        let clock = state.clock;
        state.trail.add(start.clone(), clock);
    }

    /// How long after it happened an event is in the history; at once at first.
    pub fn set_event_delay(&self, delay: Duration) {
        self.shared.state().trail.delay = delay;
    }

    /// Puts a model into a status now. `false` when there is no such model.
    pub fn set_status(&self, model_arn: &str, status: &str) -> bool {
        let mut state = self.shared.state();
        state.models.set_status(model_arn, status)
    }

    /// How long a model stays STARTING, unless it says so itself; also for those that are now.
    pub fn set_start_takes(&self, duration: Duration) {
        self.shared.state().models.takes.start = duration;
    }

    /// How long a model stays STOPPING, unless it says so itself; also for those that are now.
    pub fn set_stop_takes(&self, duration: Duration) {
        self.shared.state().models.takes.stop = duration;
    }

    /// Puts another quota in force, with nothing used of it yet, for every operation of Rekognition
    /// without a separate one; none lets their calls through.
    pub fn set_quota(&self, quota: Option<Quota>) {
        self.shared.state().throttle.set(quota);
    }

    /// Puts a separate quota in force for one operation of any service, in each account and
    /// region, with nothing used of it yet; none leaves the operation to the common quota.
    pub fn set_operation_quota(&self, operation: Operation, quota: Option<Quota>) {
        self.shared.state().throttle.set_of(operation, quota);
    }

    /// Sets the service's clock, which advances from there with tokio's time. Every response has
    /// its time in a `Date` header then; until then, the server puts the true time there, and
    /// in-process there is none.
    pub fn set_clock(&self, time: SystemTime) {
        self.shared.state().clock = Clock::showing(time);
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
        self.shared.state().denials.push(Denial {
            action: action.to_owned(),
            resource: resource.map(str::to_owned),
        });
    }

    /// Adds a fault at the end of the script.
    pub fn add_fault(&self, fault: Fault) {
        let faults = &mut self.shared.state().faults.0;
        faults.push((fault, HashMap::new()));
    }

    /// Ends every fault; calls that hang go on hanging.
    pub fn clear_faults(&self) {
        self.shared.state().faults = Faults::default();
    }

    /// A model's status now.
    pub fn status(&self, model_arn: &str) -> Option<String> {
        let mut state = self.shared.state();
        let live = state.models.model(model_arn);
        live.map(|live| live.model.status.clone())
    }

    /// Every model's status now, by ARN.
    pub fn statuses(&self) -> BTreeMap<String, String> {
        self.shared.state().models.statuses()
    }

    /// Every change of a status up to now, by time. The status at first is no change.
    pub fn changes(&self) -> Vec<Change> {
        self.shared.state().models.changes()
    }

    /// Every call so far, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.state().record.calls.clone()
    }

    fn count_calls(&self, is_meant: impl Fn(&Call) -> bool) -> usize {
        let state = self.shared.state();
        state.record.calls.iter().filter(|it| is_meant(it)).count()
    }

    /// How many calls of this operation have arrived.
    pub fn count(&self, operation: Operation) -> usize {
        self.count_calls(|call| call.operation == operation)
    }

    /// How often a role of this account was to be assumed, whatever came of it.
    pub fn assume_role_count(&self, account: &str) -> usize {
        let is_its = |arn: &String| RoleArn::parse(arn).is_some_and(|it| it.account == account);
        self.count_calls(|call| {
            call.operation == Operation::AssumeRole && call.resources.first().is_some_and(is_its)
        })
    }

    /// Calls in this region that are in flight now.
    pub fn in_flight(&self, region: &str) -> usize {
        self.count_calls(|call| call.ended.is_none() && call.region == region)
    }

    /// Calls to a service that are in flight now.
    pub fn in_flight_to(&self, service: Service) -> usize {
        self.shared.state().record.in_flight_to(service)
    }

    /// TCP connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.state().record.connections
    }

    /// Writes a line of JSON for each call that ends from now on: `operation`, `action`,
    /// `resources`, `region`, `access_key`, `account`, `answer`.
    pub fn record_to(&self, file: impl Write + Send + 'static) {
        self.shared.state().record.file = Some(Box::new(file));
    }

    /// Waits until the condition holds. It is asked at once, and again whenever a call arrives, has
    /// its response or ends.
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

/// An emulator that has not started. Most of its setters are [`Emulator`]'s.
pub struct Builder {
    emulator: Emulator,
    port: u16,
}

setters!(Builder {
    /// [`Emulator::add_model`].
    model(builder, model: Model) => builder.emulator.add_model(model);
    /// [`Emulator::add_role`].
    role(builder, role: Role) => builder.emulator.add_role(role);
    /// [`Emulator::add_account`].
    organization_account(builder, it: Account) => builder.emulator.add_account(it);
    /// [`Emulator::add_organizational_unit`].
    organizational_unit(builder, unit: OrganizationalUnit) =>
        builder.emulator.add_organizational_unit(unit);
    /// [`Emulator::set_management_account`].
    management_account(builder, account: &str) => builder.emulator.set_management_account(account);
    /// [`Emulator::set_empty_pages`].
    empty_pages(builder, empty_pages: bool) => builder.emulator.set_empty_pages(empty_pages);
    /// [`Emulator::set_start_takes`].
    start_takes(builder, duration: Duration) => builder.emulator.set_start_takes(duration);
    /// [`Emulator::set_stop_takes`].
    stop_takes(builder, duration: Duration) => builder.emulator.set_stop_takes(duration);
    /// [`Emulator::set_quota`].
    quota(builder, quota: Quota) => builder.emulator.set_quota(Some(quota));
    /// [`Emulator::set_operation_quota`].
    operation_quota(builder, operation: Operation, quota: Quota) =>
        builder.emulator.set_operation_quota(operation, Some(quota));
    /// [`Emulator::set_latency`].
    latency(builder, latency: Duration) => builder.emulator.set_latency(latency);
    /// [`Emulator::deny`].
    deny(builder, action: &str, resource: Option<&str>) => builder.emulator.deny(action, resource);
    /// [`Emulator::add_fault`].
    fault(builder, fault: Fault) => builder.emulator.add_fault(fault);
    /// [`Emulator::record_to`].
    record_to(builder, file: impl Write + Send + 'static) => builder.emulator.record_to(file);
    /// The account of callers without a session; `123456789012` by default.
    account(builder, account: &str) =>
        builder.emulator.shared.state().identities.account = account.to_owned();
    /// The port to listen on; any that is free by default.
    port(builder, port: u16) => builder.port = port;
});

impl Builder {
    /// Adds many models.
    pub fn models(self, models: impl IntoIterator<Item = Model>) -> Self {
        models.into_iter().fold(self, Self::model)
    }

    /// [`Emulator::add_start`], for each of these.
    pub fn starts(self, starts: impl IntoIterator<Item = StartEvent>) -> Self {
        let mut starts = starts.into_iter();
        starts.by_ref().for_each(|it| self.emulator.add_start(&it));
        self
    }

    /// Starts the server on `127.0.0.1`, in its own task.
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
