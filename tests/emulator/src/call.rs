//! One call, from its arrival to its response.

use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use axum::{Extension, Router};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::error::ServiceError;
use crate::faults::{Denial, Fault, FaultKind, Faults, Throttle, access_denied};
use crate::identity::Identities;
use crate::models::CustomLabels;
use crate::operations;
use crate::operations::lookup_events::Trail;
use crate::organization::Organization;
use crate::record::{Answer, Call, Record};
use crate::request::{self, Connection, Request};
use crate::wire::{self, Frame};

/// What all handles and connections of an emulator share.
#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<ServiceState>,
    /// Woken whenever a call arrives, has its response or ends.
    pub(crate) moved: Notify,
}

impl Shared {
    /// The state, also after a panic of some other holder.
    pub(crate) fn state(&self) -> MutexGuard<'_, ServiceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The emulator's state: what exists, what goes wrong, and what happened.
#[derive(Default)]
pub(crate) struct ServiceState {
    pub(crate) models: CustomLabels,
    pub(crate) identities: Identities,
    pub(crate) organization: Option<Organization>,
    pub(crate) trail: Trail,
    pub(crate) throttle: Throttle,
    pub(crate) faults: Faults,
    pub(crate) denials: Vec<Denial>,
    pub(crate) latency: Duration,
    pub(crate) page_size: Option<u32>,
    pub(crate) empty_pages: bool,
    pub(crate) clock: Clock,
    pub(crate) record: Record,
}

impl ServiceState {
    /// The organization, which is created when it is first used.
    pub(crate) fn organization(&mut self) -> &mut Organization {
        let account = &self.identities.account;
        self.organization
            .get_or_insert_with(|| Organization::new(account))
    }

    /// Refuses a request that a denial covers, in the service's words.
    pub(crate) fn check_permission(&self, request: &Request) -> Result<(), ServiceError> {
        let (action, resource) = (request.operation.action(), request.policy_resource());
        let covers = |it: &Denial| {
            let prefix = it.resource.as_deref().unwrap_or_default();
            it.action == action && resource.starts_with(prefix)
        };
        if self.denials.iter().any(covers) {
            let policy = "no identity-based policy";
            return Err(access_denied(request, &resource, policy));
        }
        Ok(())
    }
}

/// The HTTP interface: `POST /`.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/", post(handle)).with_state(shared)
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let frame = Frame::read(&headers, &body);
    let service = frame.service;
    let in_flight = InFlight::begin(shared, &frame);
    let latency = in_flight.shared.state().latency;
    pause(latency).await;
    let Extension(connection) = connection.unwrap_or_default();
    let answered = match accept(&in_flight, connection, frame) {
        Ok(request) => respond(&in_flight, &request).await,
        Err(error) => Err(error),
    };
    let mut response = answered.unwrap_or_else(|error| {
        let error = error.of(service);
        in_flight.answered(Answer::Error(error.code.clone()));
        wire::error(service, &error, None)
    });
    let date = in_flight.shared.state().clock.date();
    if let Some(date) = date {
        response.headers_mut().insert("date", date);
    }
    response
}

/// Signature, session, operation and body, in this order.
fn accept(
    in_flight: &InFlight,
    connection: Connection,
    frame: Frame,
) -> Result<Request, ServiceError> {
    let state = in_flight.shared.state();
    if !frame.is_signed {
        return Err(ServiceError::new(
            "MissingAuthenticationTokenException",
            "Missing Authentication Token",
        ));
    }
    let token = frame.token.as_deref();
    state.identities.check(&frame.access_key, token)?;
    let identity = state.identities.identity_of(&frame.access_key);
    Request::new(connection, frame, identity)
}

/// Quota, fault, operation, in this order: a throttled call never gets as far as a fault.
async fn respond(in_flight: &InFlight, request: &Request) -> Result<Response<Body>, ServiceError> {
    let fault = {
        let mut state = in_flight.shared.state();
        state.throttle.admit(request)?;
        state.faults.befall(request)
    };
    // A call without a fault is one that is not delayed.
    let fault = fault.unwrap_or_else(|| Fault::delay(Duration::ZERO));
    let (operation, service) = (request.operation, request.service());
    let effect = || operations::perform(&mut in_flight.shared.state(), request);
    let early = fault.after_effect.then(effect);
    let (answer, response) = match &fault.kind {
        FaultKind::Delay(duration) => {
            pause(*duration).await;
            let value = early.unwrap_or_else(effect)?;
            (Answer::Ok, wire::success(operation, value))
        }
        FaultKind::StatusOverride(status) => {
            let mut value = early.unwrap_or_else(effect)?;
            override_status(&mut value, status);
            let answer = Answer::Fault(fault.kind.name());
            (answer, wire::success(operation, value))
        }
        FaultKind::Hang => {
            in_flight.answered(Answer::Fault(fault.kind.name()));
            pending().await
        }
        // Where the operation took effect, it does not matter whether it went well.
        FaultKind::Error {
            code,
            http_status,
            message,
        } => {
            let error = ServiceError::new(code, message);
            let answer = Answer::Error(code.clone());
            (answer, wire::error(service, &error, *http_status))
        }
        kind => (Answer::Fault(kind.name()), wire::broken(service, kind)),
    };
    in_flight.answered(answer);
    Ok(match fault.padded_to {
        Some(bytes) => wire::padded(response, bytes).await,
        None => response,
    })
}

/// Puts a status into a response, or into every description of one.
fn override_status(value: &mut Value, status: &str) {
    for (member, value) in value.as_object_mut().into_iter().flatten() {
        match value {
            Value::String(text) if member == "Status" => *text = status.to_owned(),
            Value::Array(items) => items.iter_mut().for_each(|it| override_status(it, status)),
            _ => {}
        }
    }
}

/// Sleeps; not at all for no time, since even a sleep of zero lets others go first.
async fn pause(duration: Duration) {
    if !duration.is_zero() {
        sleep(duration).await;
    }
}

/// A call that is in flight until this is dropped, by a response or by a client that gave up.
struct InFlight {
    shared: Arc<Shared>,
    number: usize,
}

impl InFlight {
    fn begin(shared: Arc<Shared>, frame: &Frame) -> Self {
        let members = frame.body.as_ref().and_then(Value::as_object);
        let resources = members.map(|it| request::resources(frame.operation, it));
        let number = {
            let mut state = shared.state();
            let identity = state.identities.identity_of(&frame.access_key);
            state.record.arrived(Call {
                at: Instant::now(),
                operation: frame.operation,
                region: frame.region.clone(),
                access_key: frame.access_key.clone(),
                account: identity.account,
                identity: identity.arn,
                resources: resources.unwrap_or_default(),
                body: frame.body.clone().unwrap_or(Value::Null),
                answer: Answer::Pending,
                ended: None,
            })
        };
        shared.moved.notify_waiters();
        Self { shared, number }
    }

    fn answered(&self, answer: Answer) {
        self.shared.state().record.answered(self.number, answer);
        self.shared.moved.notify_waiters();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shared.state().record.ended(self.number);
        self.shared.moved.notify_waiters();
    }
}
