//! One call, from its arrival to its answer.

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response};
use axum::routing::post;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::account::Account;
use crate::clock::Clock;
use crate::denial::{self, Denial};
use crate::error::ServiceError;
use crate::fault::{Fault, FaultKind, Faults};
use crate::operation::Operation;
use crate::operations;
use crate::page::{ListEnd, PAGE_SIZE};
use crate::quota::Throttle;
use crate::record::{Answer, Call, Record};
use crate::reply;
use crate::request::{Request, Scope, operation_of, resources};

/// What all handles and connections of an emulator share.
pub(crate) struct Service {
    state: Mutex<ServiceState>,
    /// Woken whenever a call arrives, is answered or ends.
    pub(crate) moved: Notify,
}

/// The emulator's state: what exists, what goes wrong, and what happened.
pub(crate) struct ServiceState {
    pub(crate) account: Account,
    pub(crate) throttle: Throttle,
    pub(crate) faults: Faults,
    pub(crate) denials: Vec<Denial>,
    pub(crate) latency: Duration,
    pub(crate) page_size: u32,
    pub(crate) list_ends: HashMap<Operation, ListEnd>,
    pub(crate) clock: Option<Clock>,
    pub(crate) record: Record,
}

impl Service {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(ServiceState {
                account: Account::new(),
                throttle: Throttle::default(),
                faults: Faults::default(),
                denials: Vec::new(),
                latency: Duration::ZERO,
                page_size: PAGE_SIZE,
                list_ends: HashMap::new(),
                clock: None,
                record: Record::default(),
            }),
            moved: Notify::new(),
        }
    }

    /// The state, also after a panic of some other holder.
    pub(crate) fn state(&self) -> MutexGuard<'_, ServiceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The HTTP interface: `POST /`.
pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new().route("/", post(handle)).with_state(service)
}

async fn handle(
    State(service): State<Arc<Service>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let scope = Scope::of(&headers);
    let operation = operation_of(&headers);
    let body: Option<Value> = serde_json::from_slice(&body).ok();
    let members = body.as_ref().and_then(Value::as_object);
    let in_flight = InFlight::begin(
        service,
        Call {
            at: Instant::now(),
            operation,
            region: scope
                .as_ref()
                .map_or_else(String::new, |it| it.region.clone()),
            access_key: scope
                .as_ref()
                .map_or_else(String::new, |it| it.access_key.clone()),
            resources: members.map_or_else(Vec::new, |it| resources(operation, it)),
            body: body.clone().unwrap_or(Value::Null),
            answer: Answer::Pending,
        },
    );
    let (latency, page_size, list_end) = {
        let state = in_flight.service.state();
        let list_end = state.list_ends.get(&operation).copied();
        (state.latency, state.page_size, list_end.unwrap_or_default())
    };
    pause(latency).await;
    let answered = match Request::new(scope.as_ref(), operation, body, page_size, list_end) {
        Ok(request) => answer(&in_flight, &request).await,
        Err(error) => Err(error),
    };
    let mut response = answered.unwrap_or_else(|error| {
        in_flight.answered(Answer::Error(error.code.clone()));
        reply::error(&error)
    });
    let date = in_flight.service.state().clock.and_then(Clock::date);
    if let Some(date) = date {
        response.headers_mut().insert("date", date);
    }
    response
}

/// Quota, fault, operation, in this order: a throttled call never gets as far as a fault.
async fn answer(in_flight: &InFlight, request: &Request) -> Result<Response<Body>, ServiceError> {
    let fault = {
        let mut state = in_flight.service.state();
        state.throttle.admit(&request.region, request.operation)?;
        state.faults.befall(request)
    };
    let padded_to = fault.as_ref().and_then(|fault| fault.padded_to);
    let response = answer_of(in_flight, request, fault).await?;
    Ok(match padded_to {
        Some(bytes) => reply::padded(response, bytes),
        None => response,
    })
}

/// The answer of a call that the quota let through, by its fault where there is one.
async fn answer_of(
    in_flight: &InFlight,
    request: &Request,
    fault: Option<Fault>,
) -> Result<Response<Body>, ServiceError> {
    let normal = || perform(&in_flight.service, request);
    let value = match fault {
        None => normal()?,
        Some(Fault {
            kind: FaultKind::Delay(duration),
            after_effect: true,
            ..
        }) => {
            let value = normal();
            pause(duration).await;
            value?
        }
        Some(Fault {
            kind: FaultKind::Delay(duration),
            ..
        }) => {
            pause(duration).await;
            normal()?
        }
        Some(Fault {
            kind: FaultKind::StatusOverride(status),
            ..
        }) => {
            let mut value = normal()?;
            override_status(&mut value, &status);
            in_flight.answered(Answer::Fault("status_override"));
            return Ok(reply::success(&value));
        }
        Some(fault) => {
            if fault.after_effect {
                // Whether it went well does not matter: the answer is the fault's.
                let _ = normal();
            }
            return Ok(broken(in_flight, &fault.kind).await);
        }
    };
    in_flight.answered(Answer::Ok);
    Ok(reply::success(&value))
}

/// The fault's own answer, noted in the record.
async fn broken(in_flight: &InFlight, kind: &FaultKind) -> Response<Body> {
    in_flight.answered(match kind {
        FaultKind::Error { code, .. } => Answer::Error(code.clone()),
        other => Answer::Fault(other.name()),
    });
    if *kind == FaultKind::Hang {
        pending::<()>().await;
    }
    reply::faulty(kind)
}

/// The request is checked, then the permission, then the operation takes effect.
fn perform(service: &Service, request: &Request) -> Result<Value, ServiceError> {
    let mut state = service.state();
    operations::validate(request)?;
    denial::check(&state.denials, &state.account.id, request)?;
    operations::perform(&mut state.account, request)
}

/// Puts a status into an answer, or into every description of one.
fn override_status(answer: &mut Value, status: &str) {
    let Some(members) = answer.as_object_mut() else {
        return;
    };
    for (member, value) in members {
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

/// A call that is in flight until this is dropped, by an answer or by a client that gave up.
struct InFlight {
    service: Arc<Service>,
    number: usize,
}

impl InFlight {
    fn begin(service: Arc<Service>, call: Call) -> Self {
        let number = service.state().record.arrived(call);
        service.moved.notify_waiters();
        Self { service, number }
    }

    fn answered(&self, answer: Answer) {
        self.service.state().record.answered(self.number, answer);
        self.service.moved.notify_waiters();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.service.state().record.ended(self.number);
        self.service.moved.notify_waiters();
    }
}
