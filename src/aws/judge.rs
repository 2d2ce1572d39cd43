//! How an attempt failed, and what that means for its call: the retry rule.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_rekognition::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use aws_sdk_rekognition::primitives::{DateTime, DateTimeFormat};

use super::call::CallError;
use super::http::UnusableResponse;
use super::operation::Operation;

/// A clock that is off by more than this may make signatures invalid. The service allows five
/// minutes.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(4 * 60);

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
/// Codes of transient failures, whatever HTTP status they come with.
const TRANSIENT: [&str; 7] = [
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceException",
    "ServiceUnavailable",
];
/// Codes for a signature that a wrong clock may have made invalid.
const SIGNATURE: [&str; 5] = [
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];
/// Codes for a session that has expired.
const EXPIRED: [&str; 2] = ["ExpiredToken", "ExpiredTokenException"];
/// Codes for a missing permission.
const DENIED: [&str; 2] = ["AccessDenied", "AccessDeniedException"];
/// Codes for calls that would be refused again, like those for a missing permission, whatever HTTP
/// status they come with.
const REFUSED: [&str; 2] = ["InvalidParameterException", "ResourceNotFoundException"];

/// What a failed attempt means for its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The call has failed.
    Final,
    /// The call is retried at the pace that the service allows.
    Throttled,
    /// The call is retried after a pause.
    Retry,
    /// The call is retried at once, with the clock corrected, but only once.
    RetryWithCorrectedClock,
    /// The call is retried at once in a new session, if it is made in a session at all; but not if
    /// the new session has expired as well.
    RetryInNewSession,
}

/// How an attempt failed.
#[derive(Debug)]
pub(super) enum AttemptFailure {
    /// An error from the service, or from something in front of it that knows no codes.
    Refused {
        status: u16,
        code: Option<String>,
        message: String,
        /// Whether the service's clock and this one differ by more than a signature tolerates.
        clock_is_wrong: bool,
    },
    /// A response without the members that it should have.
    Unreadable(String),
    /// No response in time, or no connection in time.
    Unanswered,
    /// No connection, or a broken one.
    Transport(String),
    /// No credentials: this time, or at all.
    Credentials { message: String, is_final: bool },
    /// The call could not be sent, and a retry would not help.
    NotSent { code: &'static str, message: String },
    /// A bug in this program.
    Panicked,
}

/// The retry rule.
pub(super) fn judge(failure: &AttemptFailure, operation: Operation) -> Verdict {
    match failure {
        AttemptFailure::Refused {
            status, code: None, ..
        } => match status {
            429 | 503 => Verdict::Throttled,
            500.. => Verdict::Retry,
            _ => operation.verdict_if_unreadable(),
        },
        AttemptFailure::Refused {
            status,
            code: Some(code),
            clock_is_wrong,
            ..
        } => match &**code {
            code if DENIED.contains(&code) || REFUSED.contains(&code) => Verdict::Final,
            code if THROTTLING.contains(&code) || *status == 429 => Verdict::Throttled,
            code if TRANSIENT.contains(&code) || *status >= 500 => Verdict::Retry,
            code if SIGNATURE.contains(&code) && *clock_is_wrong => {
                Verdict::RetryWithCorrectedClock
            }
            code if EXPIRED.contains(&code) => Verdict::RetryInNewSession,
            _ => Verdict::Final,
        },
        AttemptFailure::Unreadable(_) => operation.verdict_if_unreadable(),
        AttemptFailure::Unanswered | AttemptFailure::Transport(_) => Verdict::Retry,
        AttemptFailure::Credentials { is_final, .. } => match is_final {
            true => Verdict::Final,
            false => Verdict::Retry,
        },
        AttemptFailure::NotSent { .. } | AttemptFailure::Panicked => Verdict::Final,
    }
}

impl AttemptFailure {
    pub(super) fn new<E>(operation: Operation, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match error {
            SdkError::ServiceError(error) => Self::Refused {
                status: error.raw().status().as_u16(),
                code: error.err().code().map(str::to_owned),
                message: error.err().message().unwrap_or_default().to_owned(),
                clock_is_wrong: is_far_off(error.raw().headers().get("date")),
            },
            SdkError::ResponseError(error) if error.raw().status().is_success() => {
                Self::unreadable(operation)
            }
            SdkError::ResponseError(error) => Self::Refused {
                status: error.raw().status().as_u16(),
                code: None,
                message: String::new(),
                clock_is_wrong: false,
            },
            SdkError::TimeoutError(_) => Self::Unanswered,
            SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
                Some(error) => Self::of_connector(operation, error),
                None => Self::Transport("the call was not sent".to_owned()),
            },
            error => Self::NotSent {
                code: "ConstructionFailure",
                message: with_causes(&error),
            },
        }
    }

    fn of_connector(operation: Operation, error: &ConnectorError) -> Self {
        if let Some(unusable) = cause::<UnusableResponse>(error) {
            return Self::Unreadable(format!("{}: {unusable}", operation.name()));
        }
        let message = with_causes(error);
        if let Some(credentials) = cause::<CredentialsError>(error) {
            let is_final = matches!(
                credentials,
                CredentialsError::CredentialsNotLoaded(_)
                    | CredentialsError::InvalidConfiguration(_)
            );
            return Self::Credentials { message, is_final };
        }
        // A broken connection would have a kind: see `http.rs`.
        if error.is_user() || (error.is_other() && error.as_other().is_none()) {
            return Self::NotSent {
                code: "DispatchFailure",
                message,
            };
        }
        match error.is_timeout() {
            true => Self::Unanswered,
            false => Self::Transport(message),
        }
    }

    pub(super) fn unreadable(operation: Operation) -> Self {
        Self::Unreadable(format!(
            "the response to {} cannot be read",
            operation.name()
        ))
    }

    /// Whether the service has responded, and so shown that its quota let the call through.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unreadable(_))
    }

    pub(super) fn into_error(self, operation: Operation) -> CallError {
        match self {
            Self::Refused {
                code: Some(code),
                message,
                ..
            } => {
                let action = operation.action();
                let message = if DENIED.contains(&&*code) && !message.contains(&action) {
                    format!("{action} is not allowed: {message}")
                } else {
                    message
                };
                CallError::Refused { code, message }
            }
            Self::NotSent { code, message } => CallError::NotSent { code, message },
            Self::Credentials { message, .. } => CallError::NotSent {
                code: "DispatchFailure",
                message,
            },
            Self::Panicked => CallError::Panicked,
            Self::Refused { code: None, .. }
            | Self::Unreadable(_)
            | Self::Unanswered
            | Self::Transport(_) => CallError::Unclear {
                message: self.to_string(),
            },
        }
    }
}

impl fmt::Display for AttemptFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused {
                code: Some(code),
                message,
                ..
            } if message.is_empty() => f.write_str(code),
            Self::Refused {
                code: Some(code),
                message,
                ..
            } => write!(f, "{code}: {message}"),
            Self::Refused {
                status, code: None, ..
            } => write!(f, "HTTP {status} without an error code"),
            Self::Unreadable(message)
            | Self::Transport(message)
            | Self::Credentials { message, .. }
            | Self::NotSent { message, .. } => f.write_str(message),
            Self::Unanswered => f.write_str("no answer in time"),
            Self::Panicked => f.write_str("a bug in this program"),
        }
    }
}

/// Whether a `Date` header is far off this machine's time.
fn is_far_off(date: Option<&str>) -> bool {
    let date = date.and_then(|date| DateTime::from_str(date, DateTimeFormat::HttpDate).ok());
    let Some(date) = date.and_then(|date| SystemTime::try_from(date).ok()) else {
        return false;
    };
    let now = SystemTime::now();
    let apart = now
        .duration_since(date)
        .or_else(|_| date.duration_since(now));
    apart.unwrap_or_default() > CLOCK_TOLERANCE
}

/// The cause of this type among an error's causes.
fn cause<T: std::error::Error + 'static>(error: &ConnectorError) -> Option<&T> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// An error and its causes in one line, leaving out causes that add nothing.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !line.contains(&message) {
            line = format!("{line}: {message}");
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::Operation::{
        AssumeRole, DescribeProjectVersions, DescribeProjects, ListAccounts, ListAccountsForParent,
        ListOrganizationalUnitsForParent, ListTagsForResource, StopProjectVersion,
    };
    use super::Verdict::{Final, Retry, RetryInNewSession, RetryWithCorrectedClock, Throttled};
    use super::*;

    use aws_sdk_rekognition::config::http::HttpResponse;
    use aws_sdk_rekognition::error::ErrorMetadata;
    use aws_sdk_rekognition::operation::stop_project_version::StopProjectVersionError;
    use aws_smithy_runtime_api::client::retries::ErrorKind;

    type Error = SdkError<StopProjectVersionError>;

    /// Codes with their documented statuses, whatever the operation.
    const CODES: [(u16, &str, Verdict); 51] = [
        // Codes for throttling.
        (400, "BandwidthLimitExceeded", Throttled),
        (400, "EC2ThrottledException", Throttled),
        (400, "LimitExceededException", Throttled),
        (400, "PriorRequestNotComplete", Throttled),
        (400, "ProvisionedThroughputExceededException", Throttled),
        (400, "RequestLimitExceeded", Throttled),
        (400, "RequestThrottled", Throttled),
        (400, "RequestThrottledException", Throttled),
        (503, "SlowDown", Throttled),
        (400, "ThrottledException", Throttled),
        (400, "Throttling", Throttled),
        (500, "ThrottlingException", Throttled),
        (400, "TooManyRequestsException", Throttled),
        (400, "TransactionInProgressException", Throttled),
        // Other documented errors of Rekognition.
        (400, "AccessDeniedException", Final),
        (500, "InternalServerError", Retry),
        (400, "InvalidPaginationTokenException", Final),
        (400, "InvalidParameterException", Final),
        (400, "ResourceInUseException", Final),
        (400, "ResourceNotFoundException", Final),
        // Errors of AssumeRole.
        (403, "AccessDenied", Final),
        (400, "ExpiredTokenException", RetryInNewSession),
        (403, "ExpiredToken", RetryInNewSession),
        (400, "MalformedPolicyDocument", Final),
        (400, "PackedPolicyTooLarge", Final),
        (403, "RegionDisabledException", Final),
        // Errors of Organizations.
        (400, "AWSOrganizationsNotInUseException", Final),
        (400, "InvalidInputException", Final),
        (400, "ParentNotFoundException", Final),
        (500, "ServiceException", Retry),
        // Errors common to all AWS services.
        (400, "IncompleteSignature", Final),
        (500, "InternalFailure", Retry),
        (400, "InvalidAction", Final),
        (403, "InvalidClientTokenId", Final),
        (403, "MissingAuthenticationToken", Final),
        (400, "NotAuthorized", Final),
        (403, "OptInRequired", Final),
        (400, "RequestTimeout", Retry),
        (400, "SerializationException", Final),
        (503, "ServiceUnavailable", Retry),
        (400, "UnknownOperationException", Final),
        (400, "UnrecognizedClientException", Final),
        (400, "ValidationError", Final),
        (400, "ValidationException", Final),
        // Unknown codes.
        (400, "Riddle", Final),
        (403, "Riddle", Final),
        (404, "Riddle", Final),
        (429, "Riddle", Throttled),
        (500, "Riddle", Retry),
        (502, "Riddle", Retry),
        (503, "Riddle", Retry),
    ];

    /// Codes with undocumented statuses: the code takes precedence over the status.
    const ODD: [(u16, &str, Verdict); 15] = [
        (403, "ThrottlingException", Throttled),
        (429, "ThrottlingException", Throttled),
        (503, "ProvisionedThroughputExceededException", Throttled),
        (429, "InternalServerError", Throttled),
        (400, "InternalError", Retry),
        (400, "InternalFailure", Retry),
        (400, "InternalServerError", Retry),
        (408, "RequestTimeoutException", Retry),
        (404, "ServiceUnavailable", Retry),
        (400, "ServiceException", Retry),
        (403, "AccessDeniedException", Final),
        (500, "AccessDeniedException", Final),
        (503, "InvalidParameterException", Final),
        (500, "ResourceNotFoundException", Final),
        (429, "AccessDenied", Final),
    ];

    /// Codes for an invalid signature, by whether the service's clock and this one agree.
    const CLOCKS: [(&str, Verdict, Verdict); 9] = [
        // The code, the verdict with the right clock, and with a wrong one.
        ("InvalidSignatureException", Final, RetryWithCorrectedClock),
        ("RequestExpired", Final, RetryWithCorrectedClock),
        ("RequestInTheFuture", Final, RetryWithCorrectedClock),
        ("RequestTimeTooSkewed", Final, RetryWithCorrectedClock),
        ("SignatureDoesNotMatch", Final, RetryWithCorrectedClock),
        // Other codes mean the same with a wrong clock.
        ("AccessDenied", Final, Final),
        ("AccessDeniedException", Final, Final),
        ("InvalidParameterException", Final, Final),
        ("ResourceNotFoundException", Final, Final),
    ];

    /// Statuses of responses without a code, whether or not they follow the service's protocol.
    const BARE: [(u16, Verdict); 5] = [
        (429, Throttled),
        (503, Throttled),
        (500, Retry),
        (502, Retry),
        (504, Retry),
    ];
    const BARE_AND_UNREADABLE: [u16; 6] = [301, 307, 400, 403, 404, 413];

    /// What an unreadable response means for its call: a stop may have had its effect, and the
    /// reader of a list restarts it.
    const UNREADABLE: [(Operation, Verdict); 8] = [
        (StopProjectVersion, Final),
        (DescribeProjects, Final),
        (DescribeProjectVersions, Final),
        (ListAccounts, Final),
        (ListAccountsForParent, Final),
        (ListOrganizationalUnitsForParent, Final),
        (ListTagsForResource, Retry),
        (AssumeRole, Retry),
    ];

    fn response(status: u16) -> HttpResponse {
        HttpResponse::new(status.try_into().unwrap(), "".into())
    }

    fn error(status: u16, code: Option<&str>) -> Error {
        let mut metadata = ErrorMetadata::builder();
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        let error = StopProjectVersionError::generic(metadata.message("by script").build());
        SdkError::service_error(error, response(status))
    }

    /// The same error from a service whose clock is this many seconds off.
    fn error_at(code: &str, seconds_off: i64) -> Error {
        let now = DateTime::from(SystemTime::now()).secs();
        let date = DateTime::from_secs(now + seconds_off);
        let mut response = response(400);
        let date = date.fmt(DateTimeFormat::HttpDate).unwrap();
        response.headers_mut().insert("date", date);
        let metadata = ErrorMetadata::builder().code(code).build();
        SdkError::service_error(StopProjectVersionError::generic(metadata), response)
    }

    fn connector(error: ConnectorError) -> Error {
        SdkError::dispatch_failure(error)
    }

    fn verdict(operation: Operation, error: Error) -> Verdict {
        judge(&AttemptFailure::new(operation, error), operation)
    }

    #[test]
    fn a_code_means_the_same_for_every_operation() {
        for operation in Operation::all() {
            for (status, code, expected) in CODES.into_iter().chain(ODD) {
                let verdict = verdict(operation, error(status, Some(code)));
                assert_eq!(verdict, expected, "{operation:?}: {status} {code}");
            }
        }
    }

    #[test]
    fn a_wrong_clock_is_a_reason_to_retry_only_for_an_invalid_signature() {
        for (code, clock_is_right, clock_is_wrong) in CLOCKS {
            for seconds_off in [-200, 0, 200] {
                let verdict = verdict(StopProjectVersion, error_at(code, seconds_off));
                assert_eq!(verdict, clock_is_right, "{code}: {seconds_off} s off");
            }
            for seconds_off in [-600, -250, 250, 600, 86_400] {
                let verdict = verdict(StopProjectVersion, error_at(code, seconds_off));
                assert_eq!(verdict, clock_is_wrong, "{code}: {seconds_off} s off");
            }
        }
    }

    #[test]
    fn a_status_without_a_code_is_throttling_transient_or_unreadable() {
        for (operation, unreadable) in UNREADABLE {
            let unreadable = BARE_AND_UNREADABLE.map(|status| (status, unreadable));
            for (status, expected) in BARE.into_iter().chain(unreadable) {
                let not_of_the_protocol = SdkError::response_error("no JSON", response(status));
                for error in [error(status, None), not_of_the_protocol] {
                    assert_eq!(
                        verdict(operation, error),
                        expected,
                        "{operation:?}: {status}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_operation_says_what_an_unreadable_response_means() {
        for operation in Operation::all() {
            let is_in_table = UNREADABLE.iter().any(|(listed, _)| *listed == operation);
            assert!(is_in_table, "{operation:?}");
        }
        for (operation, expected) in UNREADABLE {
            for error in [
                SdkError::response_error("no JSON", response(200)),
                connector(ConnectorError::other(UnusableResponse::Empty.into(), None)),
                connector(ConnectorError::other(
                    UnusableResponse::TooLarge.into(),
                    None,
                )),
            ] {
                let failure = AttemptFailure::new(operation, error);
                assert!(
                    matches!(failure, AttemptFailure::Unreadable(_)),
                    "{failure:?}"
                );
                assert_eq!(judge(&failure, operation), expected, "{operation:?}");
            }
            assert_eq!(
                judge(&AttemptFailure::unreadable(operation), operation),
                expected,
                "{operation:?}: without its members"
            );
        }
    }

    #[test]
    fn a_call_that_did_not_arrive_is_retried_and_one_that_cannot_be_sent_is_not() {
        let credentials =
            |error: CredentialsError| connector(ConnectorError::other(error.into(), None));
        let transient = Some(ErrorKind::TransientError);
        #[rustfmt::skip]
        let table: [(&str, Error, Verdict); 13] = [
            ("a broken connection", connector(ConnectorError::io("reset".into())), Retry),
            ("no connection in time", connector(ConnectorError::timeout("3 s".into())), Retry),
            ("bytes that are not HTTP", connector(ConnectorError::other("HTTP/9".into(), transient)), Retry),
            ("no response in time", SdkError::timeout_error("10 s"), Retry),
            ("a request that HTTP cannot carry", connector(ConnectorError::user("URI".into())), Final),
            ("no name for the failure", connector(ConnectorError::other("what".into(), None)), Final),
            ("a request that was not made", SdkError::construction_failure("no region"), Final),
            ("a provider that took too long", credentials(CredentialsError::provider_timed_out(ATTEMPT)), Retry),
            ("a provider that failed", credentials(CredentialsError::provider_error("HTTP 500")), Retry),
            ("a provider with an odd error", credentials(CredentialsError::unhandled("what")), Retry),
            ("no source of credentials", credentials(CredentialsError::not_loaded("none")), Final),
            ("no source at all", credentials(CredentialsError::not_loaded_no_source()), Final),
            ("a profile that is wrong", credentials(CredentialsError::invalid_configuration("line 1")), Final),
        ];
        for (case, error, expected) in table {
            assert_eq!(verdict(StopProjectVersion, error), expected, "{case}");
        }
        for operation in Operation::all() {
            assert_eq!(judge(&AttemptFailure::Unanswered, operation), Retry);
            assert_eq!(judge(&AttemptFailure::Panicked, operation), Final);
        }
    }

    const ATTEMPT: Duration = Duration::from_secs(10);

    #[test]
    fn a_final_failure_becomes_an_error_of_its_kind() {
        let into_error = |error| {
            AttemptFailure::new(StopProjectVersion, error)
                .into_error(StopProjectVersion)
                .to_string()
        };
        #[rustfmt::skip]
        let table = [
            (error(400, Some("ResourceInUseException")), "ResourceInUseException: by script"),
            (error(400, Some("AccessDeniedException")),
                "AccessDeniedException: rekognition:StopProjectVersion is not allowed: by script"),
            (error_at("AccessDeniedException", 600),
                "AccessDeniedException: rekognition:StopProjectVersion is not allowed: "),
            (error(400, Some("Riddle")), "Riddle: by script"),
            (error_at("Riddle", 0), "Riddle"),
            (error(404, None), "HTTP 404 without an error code"),
            (SdkError::response_error("no JSON", response(200)),
                "the response to StopProjectVersion cannot be read"),
            (connector(ConnectorError::other(UnusableResponse::Empty.into(), None)),
                "StopProjectVersion: the response has no body"),
        ];
        for (error, expected) in table {
            assert_eq!(into_error(error), expected);
        }
        let failure = AttemptFailure::new(
            StopProjectVersion,
            connector(ConnectorError::other(
                CredentialsError::not_loaded("no credentials found").into(),
                None,
            )),
        );
        let error = failure.into_error(StopProjectVersion);
        assert!(
            matches!(&error, CallError::NotSent { code: "DispatchFailure", message } if message.contains("no credentials found")),
            "{error:?}"
        );
    }
}
