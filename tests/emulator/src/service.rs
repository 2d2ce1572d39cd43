//! One call, from its arrival to its answer.

use std::collections::HashMap;
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
use crate::custom_labels::CustomLabels;
use crate::denial::{self, Denial};
use crate::error::ServiceError;
use crate::fault::{Fault, FaultKind, Faults};
use crate::identity::Identities;
use crate::operation::{Operation, Service};
use crate::operations;
use crate::operations::lookup_events::Trail;
use crate::organization::Organization;
use crate::page::{ListEnd, ListRules};
use crate::quota::Throttle;
use crate::record::{Answer, Call, Record};
use crate::reply;
use crate::request::{self, Connection, Request, Scope};

/// What all handles and connections of an emulator share.
pub(crate) struct Shared {
    state: Mutex<ServiceState>,
    /// Woken whenever a call arrives, is answered or ends.
    pub(crate) moved: Notify,
}

/// The emulator's state: what exists, what goes wrong, and what happened.
pub(crate) struct ServiceState {
    pub(crate) custom_labels: CustomLabels,
    pub(crate) identities: Identities,
    pub(crate) organization: Option<Organization>,
    pub(crate) trail: Trail,
    pub(crate) throttle: Throttle,
    pub(crate) faults: Faults,
    pub(crate) denials: Vec<Denial>,
    pub(crate) latency: Duration,
    pub(crate) page_size: Option<u32>,
    pub(crate) empty_pages: bool,
    pub(crate) list_ends: HashMap<Operation, ListEnd>,
    pub(crate) clock: Option<Clock>,
    pub(crate) record: Record,
}

impl ServiceState {
    /// What the operation's lists are like.
    fn lists_of(&self, operation: Operation) -> ListRules {
        let service = operation.service();
        ListRules {
            page_size: self.page_size.unwrap_or_else(|| service.page_size()),
            end: self.list_ends.get(&operation).copied().unwrap_or_default(),
            empty_pages: self.empty_pages && service == Service::Organizations,
        }
    }

    /// The organization, which comes into being when it is first spoken of.
    pub(crate) fn organization(&mut self) -> &mut Organization {
        let account = &self.identities.account;
        self.organization
            .get_or_insert_with(|| Organization::new(account))
    }
}

impl Shared {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(ServiceState {
                custom_labels: CustomLabels::new(),
                identities: Identities::new(),
                organization: None,
                trail: Trail::default(),
                throttle: Throttle::default(),
                faults: Faults::default(),
                denials: Vec::new(),
                latency: Duration::ZERO,
                page_size: None,
                empty_pages: false,
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
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().route("/", post(handle)).with_state(shared)
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let scope = Scope::of(&headers);
    let signed = scope.as_ref().map(|scope| scope.service);
    let service = signed.unwrap_or_else(|| request::unsigned_service(&headers));
    let body = request::body_of(service, &body);
    let operation = request::operation_of(service, &headers, body.as_ref());
    let in_flight = InFlight::begin(shared, scope.as_ref(), operation, body.as_ref());
    let latency = in_flight.shared.state().latency;
    pause(latency).await;
    let Extension(connection) = connection.unwrap_or_default();
    let answered = match accept(&in_flight, connection, scope, &headers, operation, body) {
        Ok(request) => answer(&in_flight, &request).await,
        Err(error) => Err(error),
    };
    let mut response = answered.unwrap_or_else(|error| {
        let error = error.of(service);
        in_flight.answered(Answer::Error(error.code.clone()));
        reply::error(service, &error)
    });
    let date = in_flight.shared.state().clock.and_then(Clock::date);
    if let Some(date) = date {
        response.headers_mut().insert("date", date);
    }
    response
}

/// Signature, session, operation and body, in this order.
fn accept(
    in_flight: &InFlight,
    connection: Connection,
    scope: Option<Scope>,
    headers: &HeaderMap,
    operation: Operation,
    body: Option<Value>,
) -> Result<Request, ServiceError> {
    let state = in_flight.shared.state();
    let scope = scope.ok_or_else(request::not_signed)?;
    let token = request::session_token(headers);
    state.identities.check(&scope.access_key, token)?;
    let identity = state.identities.identity_of(&scope.access_key);
    let lists = state.lists_of(operation);
    Request::new(connection, scope, identity, operation, body, lists)
}

/// Quota, fault, operation, in this order: a throttled call never gets as far as a fault.
async fn answer(in_flight: &InFlight, request: &Request) -> Result<Response<Body>, ServiceError> {
    let fault = {
        let mut state = in_flight.shared.state();
        state.throttle.admit(request)?;
        state.faults.befall(request)
    };
    let padded_to = fault.as_ref().and_then(|fault| fault.padded_to);
    let response = answer_of(in_flight, request, fault).await?;
    Ok(match padded_to {
        Some(bytes) => reply::padded(response, bytes),
        None => response,
    })
}

/// The answer to a call that the quota let through, from its fault if there is one.
async fn answer_of(
    in_flight: &InFlight,
    request: &Request,
    fault: Option<Fault>,
) -> Result<Response<Body>, ServiceError> {
    let normal = || perform(&in_flight.shared, request);
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
            return Ok(reply::success(request.operation, &value));
        }
        Some(fault) => {
            if fault.after_effect {
                // Whether it went well does not matter: the answer is the fault's.
                let _ = normal();
            }
            return Ok(broken(in_flight, request.service(), &fault.kind).await);
        }
    };
    in_flight.answered(Answer::Ok);
    Ok(reply::success(request.operation, &value))
}

/// The fault's own answer, noted in the record.
async fn broken(in_flight: &InFlight, service: Service, kind: &FaultKind) -> Response<Body> {
    in_flight.answered(match kind {
        FaultKind::Error { code, .. } => Answer::Error(code.clone()),
        other => Answer::Fault(other.name()),
    });
    if *kind == FaultKind::Hang {
        pending::<()>().await;
    }
    reply::faulty(service, kind)
}

/// The request is checked, then the permission, then the operation takes effect. CloudTrail has it
/// either way, if it is a start.
fn perform(shared: &Shared, request: &Request) -> Result<Value, ServiceError> {
    let mut state = shared.state();
    let result = carry_out(&mut state, request);
    if request.operation == Operation::StartProjectVersion {
        let clock = state.clock;
        state.trail.note(request, result.as_ref().err(), clock);
    }
    result
}

fn carry_out(state: &mut ServiceState, request: &Request) -> Result<Value, ServiceError> {
    operations::validate(request)?;
    // Whoever calls may ask who it is.
    if request.operation != Operation::GetCallerIdentity {
        denial::check(&state.denials, request)?;
    }
    operations::perform(state, request)
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
    shared: Arc<Shared>,
    number: usize,
}

impl InFlight {
    fn begin(
        shared: Arc<Shared>,
        scope: Option<&Scope>,
        operation: Operation,
        body: Option<&Value>,
    ) -> Self {
        let (access_key, region) =
            scope.map_or(("", ""), |scope| (&*scope.access_key, &*scope.region));
        let members = body.and_then(Value::as_object);
        let number = {
            let mut state = shared.state();
            let identity = state.identities.identity_of(access_key);
            state.record.arrived(Call {
                at: Instant::now(),
                operation,
                region: region.to_owned(),
                access_key: access_key.to_owned(),
                account: identity.account,
                identity: identity.arn,
                resources: members.map_or_else(Vec::new, |it| request::resources(operation, it)),
                body: body.cloned().unwrap_or(Value::Null),
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
