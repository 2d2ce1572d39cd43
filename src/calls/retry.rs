//! The retry rule: what a failed attempt means for its call, and how long the call then waits.

use std::time::Duration;

use super::error::CallError;
use super::operation::Operation;
use super::request::Request;

/// An attempt without a response is given up after this long, connecting included.
pub(crate) const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);
/// No attempt begins with less time than this left.
pub(crate) const SHORTEST_ATTEMPT: Duration = Duration::from_secs(1);

/// The pause before the first retry of a call...
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// ... by how much each further one is longer...
const GROWTH: f64 = 1.5;
/// ... and the longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The part of a pause that chance takes away at most, so that calls that failed together are not
/// retried together.
const JITTER: f64 = 0.5;
/// After this many failures a request about several things is given up, so that each can be asked
/// about alone: one of them may be what makes it fail.
const FAILURES_OF_BATCH: u32 = 2;

/// Every code that AWS uses for "too many calls", as its SDKs list them.
const THROTTLING: [&str; 14] = [
    "BandwidthLimitExceeded",
    "EC2ThrottledException",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionInProgressException",
];
/// Codes of passing failures, whatever HTTP status they come with.
const PASSING: [&str; 7] = [
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceException",
    "ServiceUnavailable",
];
/// Codes for a signature, or its time, that is refused. The SDK corrects its clock by the `Date` of
/// any response, so that the next signature may be right.
const SIGNATURE: [&str; 5] = [
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];
/// Codes for calls that would be refused again, whatever HTTP status they come with.
const FINAL: [&str; 4] = [
    "AccessDenied",
    "AccessDeniedException",
    "InvalidParameterException",
    "ResourceNotFoundException",
];

/// What a failed attempt means for its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The call has failed.
    Final,
    /// The call is retried when the pace of its operation allows.
    Throttled,
    /// The call is retried after its own pause.
    Retry,
    /// The call is retried at once, but only once.
    RetryOnce,
}

/// What follows from this error of an attempt.
pub(crate) fn judge(error: &CallError, operation: Operation) -> Verdict {
    match error {
        CallError::Refused {
            status, code: None, ..
        } => match status {
            429 => Verdict::Throttled,
            500.. => Verdict::Retry,
            _ => if_unreadable(operation),
        },
        CallError::Refused {
            status,
            code: Some(code),
            ..
        } => match &**code {
            code if FINAL.contains(&code) => Verdict::Final,
            code if THROTTLING.contains(&code) || *status == 429 => Verdict::Throttled,
            code if PASSING.contains(&code) || *status >= 500 => Verdict::Retry,
            code if SIGNATURE.contains(&code) => Verdict::RetryOnce,
            _ => Verdict::Final,
        },
        CallError::Unreadable { .. } => if_unreadable(operation),
        CallError::NoResponse | CallError::Broken { .. } => Verdict::Retry,
        CallError::NotSent { .. } | CallError::Panicked => Verdict::Final,
    }
}

/// Whether a request is given up although its attempt could be retried, which has now failed this
/// often: each of the things that it is about can be asked about alone.
pub(crate) fn is_given_up(request: &Request, error: &CallError, failures: u32) -> bool {
    let is_enough = *error == CallError::NoResponse || failures >= FAILURES_OF_BATCH;
    request.is_batch() && is_enough
}

/// What a response means that cannot be read. A stop may have had its effect, which only a status
/// check can tell. Everything else can be asked again.
fn if_unreadable(operation: Operation) -> Verdict {
    match operation {
        Operation::StopProjectVersion => Verdict::Final,
        _ => Verdict::Retry,
    }
}

/// The pause after this many failures, at least one, with a chance from 0 to 1.
pub(crate) fn pause(failures: u32, chance: f64) -> Duration {
    let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
    let seconds = FIRST_PAUSE.as_secs_f64() * GROWTH.powi(exponent);
    LONGEST_PAUSE
        .mul_f64((seconds / LONGEST_PAUSE.as_secs_f64()).min(1.0) * (1.0 - JITTER * chance))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Operation::*;
    use Verdict::*;

    fn refused(status: u16, code: Option<&str>) -> CallError {
        CallError::Refused {
            status,
            code: code.map(str::to_owned),
            message: String::new(),
        }
    }

    #[test]
    fn each_code_has_its_verdict_whatever_the_operation() {
        let all = |codes: &'static [&'static str], statuses: &'static [u16], verdict| {
            let codes = codes.iter().map(|code| Some(*code));
            codes.flat_map(move |code| statuses.iter().map(move |status| (*status, code, verdict)))
        };
        let table = all(&THROTTLING, &[400, 429, 500, 503], Throttled)
            .chain(all(&PASSING, &[400, 500, 503], Retry))
            .chain(all(&SIGNATURE, &[400, 403], RetryOnce))
            .chain(all(&FINAL, &[400, 403, 404, 429, 500, 503], Final))
            .chain([
                (429, None, Throttled),
                (500, None, Retry),
                (502, None, Retry),
                (503, None, Retry),
                (504, None, Retry),
                (429, Some("AnythingElse"), Throttled),
                (503, Some("AnythingElse"), Retry),
                (400, Some("AnythingElse"), Final),
                (400, Some("ExpiredTokenException"), Final),
                (400, Some("ResourceInUseException"), Final),
                (400, Some("InvalidPaginationTokenException"), Final),
                (400, Some("ValidationException"), Final),
                (403, Some("UnrecognizedClientException"), Final),
            ]);
        for (status, code, verdict) in table {
            for operation in Operation::ALL {
                let judged = judge(&refused(status, code), operation);
                assert_eq!(judged, verdict, "{operation:?} {status} {code:?}");
            }
        }
    }

    #[test]
    fn an_unreadable_response_is_asked_for_again_except_to_a_stop() {
        for operation in Operation::ALL {
            let verdict = match operation {
                StopProjectVersion => Final,
                _ => Retry,
            };
            for error in [CallError::unreadable(operation), refused(404, None)] {
                assert_eq!(judge(&error, operation), verdict, "{operation:?}");
            }
        }
    }

    #[test]
    fn what_did_not_reach_the_service_is_retried_if_that_can_help() {
        let message = String::new;
        for (error, verdict) in [
            (CallError::NoResponse, Retry),
            (CallError::Broken { message: message() }, Retry),
            (
                CallError::NotSent {
                    stage: super::super::error::Stage::Dispatch,
                    message: message(),
                },
                Final,
            ),
            (CallError::Panicked, Final),
        ] {
            for operation in Operation::ALL {
                assert_eq!(judge(&error, operation), verdict, "{error:?}");
            }
        }
    }

    #[test]
    fn a_request_about_several_things_is_given_up_when_it_keeps_failing_and_others_never() {
        for (names, error, failures, expected) in [
            (2, refused(500, None), 1, false),
            (2, refused(500, None), 2, true),
            (2, CallError::NoResponse, 1, true),
            (1, refused(500, None), 9, false),
            (1, CallError::NoResponse, 9, false),
            (0, CallError::NoResponse, 9, false),
        ] {
            let request = Request::DescribeProjects {
                names: vec!["shelf".to_owned(); names],
            };
            let given_up = is_given_up(&request, &error, failures);
            assert_eq!(given_up, expected, "{names} {error:?} {failures}");
        }
    }

    #[test]
    fn pauses_grow_from_a_tenth_of_a_second_to_five_and_chance_halves_them_at_most() {
        let seconds = |failures, chance| pause(failures, chance).as_secs_f64();
        for (failures, longest) in [(1, 0.1), (2, 0.15), (3, 0.225), (11, 5.0), (u32::MAX, 5.0)] {
            assert!(
                (seconds(failures, 0.0) - longest).abs() < 1e-9,
                "{failures}"
            );
            assert!(
                (seconds(failures, 1.0) - longest / 2.0).abs() < 1e-9,
                "{failures}"
            );
        }
    }
}
