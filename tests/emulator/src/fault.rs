//! Faults by script: which calls go wrong, and how.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{Bound, RangeBounds};
use std::time::Duration;

use crate::operation::Operation;
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
    /// A bare HTTP answer, as from a proxy or a load balancer: a status and a body.
    HttpStatus(u16, String),
    /// The connection breaks, without an answer.
    Reset,
    /// No answer, ever.
    Hang,
    /// The normal answer, later.
    Delay(Duration),
    /// Status 200 and the service's content type, with this body.
    Garbage(String),
    /// Status 200 and the service's content type, with no body.
    EmptyBody,
    /// An answer that breaks off: less of the body is sent than was declared.
    Truncated,
    /// The normal answer of a normal call, with this status in it.
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
/// call or of a share counts the attempts of each call apart. Of the faults that are due, the first
/// in the list is the one that happens. Throttled calls never get as far as a fault.
///
/// ```
/// use rekognition_emulator::{Fault, Operation};
///
/// // The first three stops break the connection after they took effect.
/// let fault = Fault::reset()
///     .operation(Operation::StopProjectVersion)
///     .attempts(1..=3)
///     .after_effect();
/// # let _ = fault;
/// ```
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

    /// The normal answer of a normal call, with white space after it: see [`Fault::padded_to`].
    pub fn large_answer(bytes: u64) -> Self {
        Self::delay(Duration::ZERO).padded_to(bytes)
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

    /// Only calls of this operation.
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Only calls that act as this account: those of its sessions, or those without a session.
    /// AssumeRole is a call of the account that asks, and [`Fault::resource`] names the role.
    pub fn account(mut self, account: &str) -> Self {
        self.account = Some(account.to_owned());
        self
    }

    /// Only calls in this region.
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Only calls on this resource: a model's ARN, for DescribeProjectVersions the project's name
    /// or ARN or the name of a version that is asked for, for AssumeRole the role's ARN, and for the lists under a parent the parent's ID.
    /// DescribeProjects has no resource, so such a fault never affects it.
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only these of the matching calls, counted from 1: `1..=3`, `2..`, `5..=5`.
    pub fn attempts(mut self, attempts: impl RangeBounds<u32>) -> Self {
        self.attempts = (
            attempts.start_bound().cloned(),
            attempts.end_bound().cloned(),
        );
        self
    }

    /// Only calls for this page of a list, counted from 1: the second is the first with a
    /// `NextToken`.
    pub fn page(mut self, page: u32) -> Self {
        self.page = Some(page);
        self
    }

    /// [`Fault::attempts`] are counted for each call apart: for each operation on a resource, and
    /// page of it, by an account in a region. `attempts(1..=2)` of each call are its first two.
    pub fn of_each_call(mut self) -> Self {
        self.is_of_each_call = true;
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

    /// The operation takes effect, and only its answer goes wrong.
    pub fn after_effect(mut self) -> Self {
        self.after_effect = true;
        self
    }

    /// White space follows the answer's body until it has so many bytes, and leaves JSON as good as
    /// it was. It is sent in pieces that the emulator does not hold, and no header says how much is
    /// to come.
    pub fn padded_to(mut self, bytes: u64) -> Self {
        self.padded_to = Some(bytes);
        self
    }

    fn matches(&self, request: &Request) -> bool {
        self.operation.is_none_or(|it| it == request.operation)
            && (self.account.as_ref()).is_none_or(|it| *it == request.identity.account)
            && (self.region.as_ref()).is_none_or(|it| *it == request.region)
            && self.page.is_none_or(|page| request.page() == Some(page))
            && (self.resource.as_deref()).is_none_or(|resource| request.is_on(resource))
    }
}

/// The script: every fault with the number of calls that have matched it, in total or of each call.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(Fault, HashMap<String, u32>)>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push((fault, HashMap::new()));
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

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
