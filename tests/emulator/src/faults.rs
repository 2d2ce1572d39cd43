//! What goes wrong by script: faults, quotas and denied permissions.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{Bound, RangeBounds};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::ServiceError;
use crate::operation::{Operation, Service};
use crate::request::{Connection, Request};

/// How a call goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// An error of the service.
    Error {
        /// The error's code, such as `InternalServerError`.
        code: String,
        /// The HTTP status; by default the one that is documented for the code.
        http_status: Option<u16>,
        /// The error's message.
        message: String,
    },
    /// A bare HTTP response, as from a proxy or a load balancer: a status and a body.
    HttpStatus(u16, String),
    /// The connection breaks, without a response.
    Reset,
    /// No response, ever.
    Hang,
    /// The normal response, later.
    Delay(Duration),
    /// Status 200 and the service's content type, with this body.
    Garbage(String),
    /// Status 200 and the service's content type, with no body.
    EmptyBody,
    /// A response that breaks off: less of the body is sent than was declared.
    Truncated,
    /// The normal response, with this status in it.
    StatusOverride(String),
}

impl FaultKind {
    /// The kind in one word, as it appears in the record.
    pub fn name(&self) -> &'static str {
        match self {
            FaultKind::Error { .. } => "error",
            FaultKind::HttpStatus(..) => "http_status",
            FaultKind::Reset => "reset",
            FaultKind::Hang => "hang",
            FaultKind::Delay(_) => "delay",
            FaultKind::Garbage(_) => "garbage",
            FaultKind::EmptyBody => "empty_body",
            FaultKind::Truncated => "truncated",
            FaultKind::StatusOverride(_) => "status_override",
        }
    }
}

/// A fault, and the calls that it affects: by default every call.
///
/// Each fault counts the calls that match it, also those that another fault takes; a fault of each
/// call or of a share counts the attempts of each call separately. Of the faults that are due, the
/// first in the list is the one that happens. Throttled calls never get as far as a fault.
#[derive(Debug, Clone)]
pub struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) after_effect: bool,
    operation: Option<Operation>,
    account: Option<String>,
    region: Option<String>,
    resource: Option<String>,
    attempts: (Bound<u32>, Bound<u32>),
    page: Option<u32>,
    share: Option<Share>,
    is_of_each_call: bool,
    pub(crate) padded_to: Option<u64>,
}

/// Some of a fault's calls, drawn by lot: the same ones every time.
#[derive(Debug, Clone, Copy)]
struct Share {
    percent: u32,
    seed: u64,
    of: Of,
}

/// What the lot is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Attempts,
    Calls,
    Connections,
}

impl Share {
    fn has(self, connection: Connection, call: &str, attempt: u32) -> bool {
        let mut lot = DefaultHasher::new();
        self.seed.hash(&mut lot);
        match self.of {
            Of::Attempts => (call, attempt).hash(&mut lot),
            Of::Calls => call.hash(&mut lot),
            Of::Connections => connection.0.hash(&mut lot),
        }
        lot.finish() % 100 < u64::from(self.percent)
    }
}

impl Fault {
    /// A fault of this kind on every call.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            after_effect: false,
            operation: None,
            account: None,
            region: None,
            resource: None,
            attempts: (Bound::Unbounded, Bound::Unbounded),
            page: None,
            share: None,
            is_of_each_call: false,
            padded_to: None,
        }
    }

    /// An error of the service, with the HTTP status that is documented for its code.
    pub fn error(code: &str) -> Self {
        Self::new(FaultKind::Error {
            code: code.to_owned(),
            http_status: None,
            message: format!("{code} by script"),
        })
    }

    /// An error of the service under any code, with any HTTP status.
    pub fn error_with_status(code: &str, http_status: u16) -> Self {
        Self::new(FaultKind::Error {
            code: code.to_owned(),
            http_status: Some(http_status),
            message: format!("{code} by script"),
        })
    }

    /// The normal response, with white space after its body until it has this many bytes, which
    /// leaves the JSON valid.
    pub fn large_response(bytes: u64) -> Self {
        let mut fault = Self::delay(Duration::ZERO);
        fault.padded_to = Some(bytes);
        fault
    }

    /// [`FaultKind::HttpStatus`], without a code if the body is empty.
    pub fn http_status(status: u16, body: &str) -> Self {
        Self::new(FaultKind::HttpStatus(status, body.to_owned()))
    }

    /// [`FaultKind::Reset`].
    pub fn reset() -> Self {
        Self::new(FaultKind::Reset)
    }

    /// [`FaultKind::Hang`].
    pub fn hang() -> Self {
        Self::new(FaultKind::Hang)
    }

    /// [`FaultKind::Delay`].
    pub fn delay(duration: Duration) -> Self {
        Self::new(FaultKind::Delay(duration))
    }

    /// [`FaultKind::Garbage`].
    pub fn garbage(body: &str) -> Self {
        Self::new(FaultKind::Garbage(body.to_owned()))
    }

    /// [`FaultKind::EmptyBody`].
    pub fn empty_body() -> Self {
        Self::new(FaultKind::EmptyBody)
    }

    /// [`FaultKind::Truncated`].
    pub fn truncated() -> Self {
        Self::new(FaultKind::Truncated)
    }

    /// [`FaultKind::StatusOverride`].
    pub fn status_override(status: &str) -> Self {
        Self::new(FaultKind::StatusOverride(status.to_owned()))
    }

    /// Only these of the matching calls, counted from 1: `1..=3`, `2..`, `5..=5`.
    pub fn attempts(mut self, attempts: impl RangeBounds<u32>) -> Self {
        self.attempts = (
            attempts.start_bound().cloned(),
            attempts.end_bound().cloned(),
        );
        self
    }

    /// Only this share of the attempts, in percent. Whether it has the n-th attempt of a call
    /// depends on the seed and on nothing else, so every client meets the same.
    pub fn share_of_attempts(self, percent: u32, seed: u64) -> Self {
        self.share(percent, seed, Of::Attempts)
    }

    /// Only this share of the calls, in percent: each with every attempt, or not at all.
    pub fn share_of_calls(self, percent: u32, seed: u64) -> Self {
        self.share(percent, seed, Of::Calls)
    }

    /// Only this share of the connections, in percent: each with every call, or not at all.
    pub fn share_of_connections(self, percent: u32, seed: u64) -> Self {
        self.share(percent, seed, Of::Connections)
    }

    fn share(mut self, percent: u32, seed: u64, of: Of) -> Self {
        self.share = Some(Share { percent, seed, of });
        self.of_each_call()
    }

    fn matches(&self, request: &Request) -> bool {
        self.operation.is_none_or(|it| it == request.operation)
            && (self.account.as_ref()).is_none_or(|it| *it == request.identity.account)
            && (self.region.as_ref()).is_none_or(|it| *it == request.region)
            && self.page.is_none_or(|page| request.page() == Some(page))
            && (self.resource.as_deref()).is_none_or(|resource| request.is_on(resource))
    }
}

setters!(Fault {
    /// Only calls of this operation.
    operation(fault, operation: Operation) => fault.operation = Some(operation);
    /// Only calls that act as this account: those of its sessions, or those without a session.
    /// AssumeRole is a call of the account that asks, and [`Fault::resource`] names the role.
    account(fault, account: &str) => fault.account = Some(account.to_owned());
    /// Only calls in this region.
    region(fault, region: &str) => fault.region = Some(region.to_owned());
    /// Only calls on this resource: a model's ARN, for DescribeProjects the name of a project that
    /// is asked for, for DescribeProjectVersions the project's name or ARN or the name of a version
    /// that is asked for, for AssumeRole the role's ARN, and for the lists under a parent the
    /// parent's ID.
    resource(fault, resource: &str) => fault.resource = Some(resource.to_owned());
    /// Only calls for this page of a list, counted from 1: the second is the first with a
    /// `NextToken`.
    page(fault, page: u32) => fault.page = Some(page);
    /// [`Fault::attempts`] are counted for each call separately: for each operation on a resource,
    /// and page of it, by an account in a region. `attempts(1..=2)` of each call are its first two.
    of_each_call(fault) => fault.is_of_each_call = true;
    /// The operation takes effect, and only its response goes wrong.
    after_effect(fault) => fault.after_effect = true;
});

/// The script: every fault with the number of calls that have matched it, in total or of each call.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub(crate) Vec<(Fault, HashMap<String, u32>)>);

impl Faults {
    /// Counts the call, and returns the first fault that affects it.
    pub(crate) fn befall(&mut self, request: &Request) -> Option<Fault> {
        let mut due = None;
        for (fault, counts) in &mut self.0 {
            if fault.matches(request) {
                let call = match fault.is_of_each_call {
                    true => request.call(),
                    false => String::new(),
                };
                let count = counts.entry(call.clone()).or_default();
                *count = count.saturating_add(1);
                let (connection, share) = (request.connection, fault.share);
                let has = share.is_none_or(|share| share.has(connection, &call, *count));
                if due.is_none() && fault.attempts.contains(count) && has {
                    due = Some(fault.clone());
                }
            }
        }
        due
    }
}

/// Calls a second that an account's region lets through; the others get a throttling error.
///
/// A token bucket: it starts full with `burst` tokens and gains `calls_per_second`. A call that is
/// let through takes one; a throttled call takes none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    calls_per_second: f64,
    burst: f64,
    throttle_with: ThrottleWith,
    background_calls_per_second: f64,
    for_each_operation: bool,
}

impl Quota {
    /// A quota with a burst of one second's calls, at least one, and `ThrottlingException` for
    /// the others.
    pub fn per_second(calls_per_second: f64) -> Self {
        Self {
            calls_per_second: calls_per_second.max(0.0),
            burst: calls_per_second.max(1.0),
            throttle_with: ThrottleWith::ThrottlingException,
            background_calls_per_second: 0.0,
            for_each_operation: false,
        }
    }
}

setters!(Quota {
    /// Calls that are let through at once after a pause; at least one.
    burst(quota, calls: u32) => quota.burst = f64::from(calls.max(1));
    /// The error of a throttled call.
    throttle_with(quota, error: ThrottleWith) => quota.throttle_with = error;
    /// Calls of another client of the same account, which leave that much less of the quota.
    background_calls_per_second(quota, calls: f64) =>
        quota.background_calls_per_second = calls.max(0.0);
    /// So much for each operation, which is how the service counts; by default for all of them
    /// together.
    for_each_operation(quota) => quota.for_each_operation = true;
});

/// The error of a throttled call. The service knows two, and both are to be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleWith {
    /// `ThrottlingException`, HTTP status 500.
    ThrottlingException,
    /// `ProvisionedThroughputExceededException`, HTTP status 400.
    ProvisionedThroughputExceededException,
    /// One and the other in turn, beginning with `ThrottlingException`.
    Alternating,
}

/// The quotas in force, and what is left of them in each account and region, and for each operation
/// where that has its own.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    quota: Option<Quota>,
    of_operations: HashMap<Operation, Quota>,
    buckets: HashMap<(String, String, Option<Operation>), Bucket>,
    /// Calls throttled so far, for the alternation.
    throttled: u64,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Instant,
}

impl Throttle {
    /// Puts another quota in force, with full buckets, for the operations without a separate one.
    pub(crate) fn set(&mut self, quota: Option<Quota>) {
        self.quota = quota;
        self.buckets.clear();
    }

    /// Puts another quota in force for one operation, with full buckets; none leaves it to the
    /// common one.
    pub(crate) fn set_of(&mut self, operation: Operation, quota: Option<Quota>) {
        match quota {
            Some(quota) => self.of_operations.insert(operation, quota),
            None => self.of_operations.remove(&operation),
        };
        self.buckets.retain(|(.., of), _| *of != Some(operation));
    }

    /// Lets a call through, or gives the quota's error.
    pub(crate) fn admit(&mut self, request: &Request) -> Result<(), ServiceError> {
        let operation = request.operation;
        let own = self.of_operations.get(&operation).copied();
        let common = (self.quota).filter(|_| operation.service() == Service::Rekognition);
        let Some(quota) = own.or(common) else {
            return Ok(());
        };
        let now = Instant::now();
        let is_apart = own.is_some() || quota.for_each_operation;
        let operation = is_apart.then_some(operation);
        let (account, region) = (&request.identity.account, &request.region);
        let bucket = (self.buckets).entry((account.clone(), region.clone(), operation));
        let bucket = bucket.or_insert(Bucket {
            tokens: quota.burst,
            filled_at: now,
        });
        let gain_per_second = quota.calls_per_second - quota.background_calls_per_second;
        let gained = gain_per_second * (now - bucket.filled_at).as_secs_f64();
        bucket.tokens = (bucket.tokens + gained).clamp(0.0, quota.burst);
        bucket.filled_at = now;
        // A hair less than a whole token counts: sums of fractions do not meet 1 exactly.
        if bucket.tokens > 1.0 - 1e-6 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        self.throttled += 1;
        let provisioned = "ProvisionedThroughputExceededException";
        let code = match quota.throttle_with {
            ThrottleWith::Alternating if self.throttled.is_multiple_of(2) => provisioned,
            ThrottleWith::ProvisionedThroughputExceededException => provisioned,
            _ => "ThrottlingException",
        };
        Err(ServiceError::new(code, "Rate exceeded"))
    }
}

/// An action that is not allowed, on every resource or on those whose ARN begins so.
#[derive(Debug, Clone)]
pub(crate) struct Denial {
    pub(crate) action: String,
    pub(crate) resource: Option<String>,
}

/// The service's refusal: `policy` is the kind of policy that is missing.
pub(crate) fn access_denied(request: &Request, resource: &str, policy: &str) -> ServiceError {
    let (caller, action) = (&request.identity.arn, request.operation.action());
    ServiceError::new(
        "AccessDeniedException",
        format!(
            "User: {caller} is not authorized to perform: {action} on resource: {resource} \
             because {policy} allows the {action} action"
        ),
    )
}
