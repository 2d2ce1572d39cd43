//! The emulator as a test holds it.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;

use crate::clock::Clock;
use crate::denial::Denial;
use crate::fault::Fault;
use crate::model::Model;
use crate::operation::Operation;
use crate::page::{ListEnd, PAGE_SIZE};
use crate::quota::Quota;
use crate::record::{Call, Change};
use crate::server::Server;
use crate::service::{self, Service};

/// A running emulator. Clones are handles of the same one; its server ends with the last of them.
#[derive(Clone)]
pub struct Emulator {
    service: Arc<Service>,
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
            service: Arc::new(Service::new()),
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

    /// The HTTP interface as a tower service: for callers in the same process, and so for a paused clock.
    /// A broken connection is told by [`ConnectionReset`](crate::ConnectionReset).
    pub fn router(&self) -> Router {
        service::router(Arc::clone(&self.service))
    }

    /// Adds a model, and its project where that does not exist; one of the same ARN is replaced.
    pub fn add_model(&self, model: Model) {
        self.service.state().account.add_model(model);
    }

    /// Adds a project without models to the emulator's account, unless it exists. `feature` is
    /// `CUSTOM_LABELS` or `CONTENT_MODERATION`.
    pub fn add_project(&self, name: &str, region: &str, feature: &str) {
        let mut state = self.service.state();
        state.account.add_project(name, region, feature);
    }

    /// Adds a project of the same name as a model's, with a number of its own and without models: one that was
    /// deleted and made again is listed twice for a time, the old one as `DELETING`. It is listed before the
    /// model's project if it is added before the model, and else after it. Gives its ARN; none where the model's is none.
    pub fn add_namesake_project(&self, model_arn: &str, status: &str) -> Option<String> {
        let home = Model::new(model_arn).ok()?.arn.home;
        let mut state = self.service.state();
        Some(state.account.add_namesake_project(home, status))
    }

    /// The ARN of a model's project, which a client has to look up with DescribeProjects.
    pub fn project_arn(&self, model_arn: &str) -> Option<String> {
        let home = Model::new(model_arn).ok()?.arn.home;
        let state = self.service.state();
        Some(state.account.project_of(&home)?.arn.clone())
    }

    /// Sets the account whose projects are listed; `123456789012` at first.
    pub fn set_account(&self, account: &str) {
        self.service.state().account.id = account.to_owned();
    }

    /// Puts a model into a status now. `false` when there is no such model.
    pub fn set_status(&self, model_arn: &str, status: &str) -> bool {
        let mut state = self.service.state();
        state.account.set_status(model_arn, status)
    }

    /// How long a model stays STARTING, unless it says so itself; also for those that are now.
    pub fn set_start_takes(&self, duration: Duration) {
        self.service.state().account.start_takes = duration;
    }

    /// How long a model stays STOPPING, unless it says so itself; also for those that are now.
    pub fn set_stop_takes(&self, duration: Duration) {
        self.service.state().account.stop_takes = duration;
    }

    /// Puts another quota in force, with nothing used of it yet, for every operation without one of its own; none lets
    /// their calls through.
    pub fn set_quota(&self, quota: Option<Quota>) {
        self.service.state().throttle.set(quota);
    }

    /// Puts a quota of its own in force for one operation, in each region, with nothing used of it yet; none
    /// leaves the operation to the common quota.
    pub fn set_operation_quota(&self, operation: Operation, quota: Option<Quota>) {
        self.service.state().throttle.set_of(operation, quota);
    }

    /// Sets the service's clock, which goes on from there with the time of tokio. Every answer has its time in a `Date`
    /// header then; until then, the server puts the true time there, and in-process there is none.
    pub fn set_clock(&self, time: SystemTime) {
        self.service.state().clock = Some(Clock::showing(time));
    }

    /// What the operation's lists have for a `NextToken` on their last page.
    pub fn set_list_end(&self, operation: Operation, end: ListEnd) {
        self.service.state().list_ends.insert(operation, end);
    }

    /// The time that every call takes before it has an effect.
    pub fn set_latency(&self, latency: Duration) {
        self.service.state().latency = latency;
    }

    /// The most items on a page of a list, from 1 to 100, however many are asked for; 100 at first.
    pub fn set_page_size(&self, items: u32) {
        self.service.state().page_size = items.clamp(1, PAGE_SIZE);
    }

    /// Refuses an action, such as `rekognition:StopProjectVersion`: on every resource, or on those
    /// whose ARN begins with `resource`.
    pub fn deny(&self, action: &str, resource: Option<&str>) {
        let denial = Denial::new(action, resource);
        self.service.state().denials.push(denial);
    }

    /// Takes back every [`Emulator::deny`].
    pub fn allow_all(&self) {
        self.service.state().denials.clear();
    }

    /// Adds a fault at the end of the script.
    pub fn add_fault(&self, fault: Fault) {
        self.service.state().faults.add(fault);
    }

    /// Ends every fault; calls that hang go on hanging.
    pub fn clear_faults(&self) {
        self.service.state().faults.clear();
    }

    /// A model's status now.
    pub fn status(&self, model_arn: &str) -> Option<String> {
        let mut state = self.service.state();
        state.account.model(model_arn).map(|it| it.status.clone())
    }

    /// Every model's status now, by ARN.
    pub fn statuses(&self) -> BTreeMap<String, String> {
        self.service.state().account.statuses()
    }

    /// Every change of a status up to now, by time. The status at first is no change.
    pub fn changes(&self) -> Vec<Change> {
        self.service.state().account.changes()
    }

    /// Every call so far, in the order of arrival.
    pub fn calls(&self) -> Vec<Call> {
        self.service.state().record.calls.clone()
    }

    /// How many calls of this operation have arrived.
    pub fn count(&self, operation: Operation) -> usize {
        let state = self.service.state();
        let calls = state.record.calls.iter();
        calls.filter(|call| call.operation == operation).count()
    }

    /// Calls of this region that are in flight now.
    pub fn in_flight(&self, region: &str) -> usize {
        self.service.state().record.in_flight(region)
    }

    /// The most calls of this region that were ever in flight at once.
    pub fn max_in_flight(&self, region: &str) -> usize {
        self.service.state().record.max_in_flight(region)
    }

    /// TCP connections accepted so far.
    pub fn connections(&self) -> usize {
        self.service.state().record.connections
    }

    /// Writes a line of JSON for each call that ends from now on: `operation`, `action`, `resources`, `region`,
    /// `access_key`, `answer`.
    pub fn record_to(&self, file: impl Write + Send + 'static) {
        self.service.state().record.write_to(Box::new(file));
    }

    /// Waits until the condition holds. It is asked at once, and again whenever a call arrives, is
    /// answered or ends.
    pub async fn wait_until(&self, mut condition: impl FnMut(&Emulator) -> bool) {
        loop {
            let mut moved = pin!(self.service.moved.notified());
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
        let service = Arc::clone(&self.emulator.service);
        let server = Server::start(self.port, service).await?;
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
