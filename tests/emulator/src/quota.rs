//! The services' quotas: a number of calls per second in each account and region, and a burst;
//! operations may have their own.

use std::collections::HashMap;

use tokio::time::Instant;

use crate::error::ServiceError;
use crate::operation::{Operation, Service};
use crate::request::Request;

/// Calls a second that an account's region lets through; the others are answered with a throttling
/// error.
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
    /// A quota with a burst of one second's calls, at least one, that answers
    /// `ThrottlingException`.
    pub fn per_second(calls_per_second: f64) -> Self {
        Self {
            calls_per_second: calls_per_second.max(0.0),
            burst: calls_per_second.max(1.0),
            throttle_with: ThrottleWith::ThrottlingException,
            background_calls_per_second: 0.0,
            for_each_operation: false,
        }
    }

    /// Calls that are let through at once after a pause; at least one.
    pub fn burst(mut self, calls: u32) -> Self {
        self.burst = f64::from(calls.max(1));
        self
    }

    /// The error that a throttled call is answered with.
    pub fn throttle_with(mut self, error: ThrottleWith) -> Self {
        self.throttle_with = error;
        self
    }

    /// Calls of another client of the same account, which leave that much less of the quota.
    pub fn background_calls_per_second(mut self, calls: f64) -> Self {
        self.background_calls_per_second = calls.max(0.0);
        self
    }

    /// So much for each operation, which is how the service counts; by default for all of them
    /// together.
    pub fn for_each_operation(mut self) -> Self {
        self.for_each_operation = true;
        self
    }
}

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
    /// Puts another quota in force, with full buckets, for the operations without one of their own.
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

    /// Lets a call through, or answers with the quota's error.
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
        Err(throttling_error(quota.throttle_with, self.throttled))
    }
}

fn throttling_error(with: ThrottleWith, nth: u64) -> ServiceError {
    let provisioned = match with {
        ThrottleWith::ThrottlingException => false,
        ThrottleWith::ProvisionedThroughputExceededException => true,
        ThrottleWith::Alternating => nth.is_multiple_of(2),
    };
    if provisioned {
        ServiceError::new(
            "ProvisionedThroughputExceededException",
            "Provisioned rate exceeded",
        )
    } else {
        ServiceError::new("ThrottlingException", "Rate exceeded")
    }
}
