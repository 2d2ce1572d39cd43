//! What an attempt ended with, and what that means for its call: the retry rule.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_rekognition::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use aws_sdk_rekognition::primitives::{DateTime, DateTimeFormat};

use super::call::CallError;
use super::http::Unusable;
use super::operation::Operation;

/// A clock that is wrong by more than this spoils signatures. The service allows five minutes.
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
/// Codes of failures that pass, whatever HTTP status they come with.
const PASSING: [&str; 7] = [
    "InternalError",
    "InternalFailure",
    "InternalServerError",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceException",
    "ServiceUnavailable",
];
/// Codes of a signature that a wrong clock may have spoilt.
const SIGNATURE: [&str; 5] = [
    "InvalidSignatureException",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];
/// Codes of a session that has ended.
const EXPIRED: [&str; 2] = ["ExpiredToken", "ExpiredTokenException"];
/// Codes of a missing permission.
const DENIED: [&str; 2] = ["AccessDenied", "AccessDeniedException"];
/// Codes of what would be refused again, like those of a missing permission, whatever HTTP status
/// they come with.
const REFUSED: [&str; 2] = ["InvalidParameterException", "ResourceNotFoundException"];

/// What a failed attempt means for its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The call has failed.
    Final,
    /// The call is made again at the pace that the service allows.
    Throttled,
    /// The call is made again after a pause.
    Again,
    /// The call is made again at once, with the clock corrected; but only once.
    AgainWithTheRightTime,
    /// The call is made again at once, in a new session if it is made in one; but not where that
    /// one has expired as well.
    AgainInNewSession,
}

/// What a failed attempt ended with.
#[derive(Debug)]
pub(super) enum Failed {
    /// An error of the service, or of what stands in front of it and knows no codes.
    Refused {
        status: u16,
        code: Option<String>,
        message: String,
        /// Whether the service's clock and this one differ by more than a signature bears.
        clock_is_wrong: bool,
    },
    /// A response without the members that it should have.
    Unreadable(String),
    /// No response in time, or no connection.
    Unanswered,
    /// No connection, or one that broke.
    Transport(String),
    /// No credentials this time; or none for good.
    Credentials { message: String, for_good: bool },
    /// The call could not be sent, and will not be the next time.
    NotSent { code: &'static str, message: String },
    /// A fault in this program.
    Panicked,
}

/// The retry rule.
pub(super) fn judge(failed: &Failed, operation: Operation) -> Verdict {
    match failed {
        Failed::Refused {
            status, code: None, ..
        } => match status {
            429 | 503 => Verdict::Throttled,
            500.. => Verdict::Again,
            _ => operation.after_unreadable(),
        },
        Failed::Refused {
            status,
            code: Some(code),
            clock_is_wrong,
            ..
        } => match &**code {
            code if DENIED.contains(&code) || REFUSED.contains(&code) => Verdict::Final,
            code if THROTTLING.contains(&code) || *status == 429 => Verdict::Throttled,
            code if PASSING.contains(&code) || *status >= 500 => Verdict::Again,
            code if SIGNATURE.contains(&code) && *clock_is_wrong => Verdict::AgainWithTheRightTime,
            code if EXPIRED.contains(&code) => Verdict::AgainInNewSession,
            _ => Verdict::Final,
        },
        Failed::Unreadable(_) => operation.after_unreadable(),
        Failed::Unanswered | Failed::Transport(_) => Verdict::Again,
        Failed::Credentials { for_good, .. } => match for_good {
            true => Verdict::Final,
            false => Verdict::Again,
        },
        Failed::NotSent { .. } | Failed::Panicked => Verdict::Final,
    }
}

impl Failed {
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
        if let Some(unusable) = cause::<Unusable>(error) {
            return Self::Unreadable(format!("{}: {unusable}", operation.name()));
        }
        let message = with_causes(error);
        if let Some(credentials) = cause::<CredentialsError>(error) {
            let for_good = matches!(
                credentials,
                CredentialsError::CredentialsNotLoaded(_)
                    | CredentialsError::InvalidConfiguration(_)
            );
            return Self::Credentials { message, for_good };
        }
        // What the HTTP client could not send has a name: see `http.rs`.
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
            "{} was answered with a response that cannot be read",
            operation.name()
        ))
    }

    /// Whether the service has answered, and so shown what its quota lets through.
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

impl fmt::Display for Failed {
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
            Self::Panicked => f.write_str("a fault in this program"),
        }
    }
}

/// Whether a `Date` header is far from this machine's time.
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

/// The error of this type among an error's causes.
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

/// An error and its causes in one line, each only where it says more than the one before.
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
    use super::Verdict::{Again, AgainInNewSession, AgainWithTheRightTime, Final, Throttled};
    use super::*;

    use aws_sdk_rekognition::config::http::HttpResponse;
    use aws_sdk_rekognition::error::ErrorMetadata;
    use aws_sdk_rekognition::operation::stop_project_version::StopProjectVersionError;
    use aws_smithy_runtime_api::client::retries::ErrorKind;

    type Error = SdkError<StopProjectVersionError>;

    const ALL: [Operation; 8] = [
        StopProjectVersion,
        ListTagsForResource,
        DescribeProjects,
        DescribeProjectVersions,
        AssumeRole,
        ListAccounts,
        ListAccountsForParent,
        ListOrganizationalUnitsForParent,
    ];

    /// Codes at the statuses that they are documented with, whatever the operation.
    const CODES: [(u16, &str, Verdict); 51] = [
        // Those that AWS throttles with.
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
        // The other documented errors of Rekognition.
        (400, "AccessDeniedException", Final),
        (500, "InternalServerError", Again),
        (400, "InvalidPaginationTokenException", Final),
        (400, "InvalidParameterException", Final),
        (400, "ResourceInUseException", Final),
        (400, "ResourceNotFoundException", Final),
        // Those of AssumeRole.
        (403, "AccessDenied", Final),
        (400, "ExpiredTokenException", AgainInNewSession),
        (403, "ExpiredToken", AgainInNewSession),
        (400, "MalformedPolicyDocument", Final),
        (400, "PackedPolicyTooLarge", Final),
        (403, "RegionDisabledException", Final),
        // Those of Organizations.
        (400, "AWSOrganizationsNotInUseException", Final),
        (400, "InvalidInputException", Final),
        (400, "ParentNotFoundException", Final),
        (500, "ServiceException", Again),
        // What all of AWS has in common.
        (400, "IncompleteSignature", Final),
        (500, "InternalFailure", Again),
        (400, "InvalidAction", Final),
        (403, "InvalidClientTokenId", Final),
        (403, "MissingAuthenticationToken", Final),
        (400, "NotAuthorized", Final),
        (403, "OptInRequired", Final),
        (400, "RequestTimeout", Again),
        (400, "SerializationException", Final),
        (503, "ServiceUnavailable", Again),
        (400, "UnknownOperationException", Final),
        (400, "UnrecognizedClientException", Final),
        (400, "ValidationError", Final),
        (400, "ValidationException", Final),
        // Codes that nothing is known about.
        (400, "Riddle", Final),
        (403, "Riddle", Final),
        (404, "Riddle", Final),
        (429, "Riddle", Throttled),
        (500, "Riddle", Again),
        (502, "Riddle", Again),
        (503, "Riddle", Again),
    ];

    /// Codes at statuses that they are not documented with: the code says more than the status.
    const ODD: [(u16, &str, Verdict); 15] = [
        (403, "ThrottlingException", Throttled),
        (429, "ThrottlingException", Throttled),
        (503, "ProvisionedThroughputExceededException", Throttled),
        (429, "InternalServerError", Throttled),
        (400, "InternalError", Again),
        (400, "InternalFailure", Again),
        (400, "InternalServerError", Again),
        (408, "RequestTimeoutException", Again),
        (404, "ServiceUnavailable", Again),
        (400, "ServiceException", Again),
        (403, "AccessDeniedException", Final),
        (500, "AccessDeniedException", Final),
        (503, "InvalidParameterException", Final),
        (500, "ResourceNotFoundException", Final),
        (429, "AccessDenied", Final),
    ];

    /// Codes of a signature, by whether the service's clock and this one agree.
    const CLOCKS: [(&str, Verdict, Verdict); 9] = [
        // The code, with the clock right, and with the clock wrong.
        ("InvalidSignatureException", Final, AgainWithTheRightTime),
        ("RequestExpired", Final, AgainWithTheRightTime),
        ("RequestInTheFuture", Final, AgainWithTheRightTime),
        ("RequestTimeTooSkewed", Final, AgainWithTheRightTime),
        ("SignatureDoesNotMatch", Final, AgainWithTheRightTime),
        // All others mean the same with a wrong clock.
        ("AccessDenied", Final, Final),
        ("AccessDeniedException", Final, Final),
        ("InvalidParameterException", Final, Final),
        ("ResourceNotFoundException", Final, Final),
    ];

    /// Statuses of responses without a code, in the service's protocol or not.
    const BARE: [(u16, Verdict); 5] = [
        (429, Throttled),
        (503, Throttled),
        (500, Again),
        (502, Again),
        (504, Again),
    ];
    const BARE_AND_UNREADABLE: [u16; 6] = [301, 307, 400, 403, 404, 413];

    /// What an unreadable response means for its call: a stop may have had its effect, and lists
    /// are begun anew by whoever reads them.
    const UNREADABLE: [(Operation, Verdict); 8] = [
        (StopProjectVersion, Final),
        (DescribeProjects, Final),
        (DescribeProjectVersions, Final),
        (ListAccounts, Final),
        (ListAccountsForParent, Final),
        (ListOrganizationalUnitsForParent, Final),
        (ListTagsForResource, Again),
        (AssumeRole, Again),
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

    /// The same error from a service whose clock is so many seconds off.
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
        judge(&Failed::new(operation, error), operation)
    }

    #[test]
    fn a_code_means_the_same_for_every_operation() {
        for operation in ALL {
            for (status, code, expected) in CODES.into_iter().chain(ODD) {
                let verdict = verdict(operation, error(status, Some(code)));
                assert_eq!(verdict, expected, "{operation:?}: {status} {code}");
            }
        }
    }

    #[test]
    fn only_a_signature_is_worth_another_try_when_a_clock_is_wrong() {
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
    fn a_status_without_a_code_is_throttling_a_failure_that_passes_or_a_response_that_says_nothing()
    {
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
    fn a_response_that_cannot_be_read_means_what_the_operation_says() {
        for (operation, expected) in UNREADABLE {
            for error in [
                SdkError::response_error("no JSON", response(200)),
                connector(ConnectorError::other(Unusable::Empty.into(), None)),
                connector(ConnectorError::other(Unusable::TooLarge.into(), None)),
            ] {
                let failed = Failed::new(operation, error);
                assert!(matches!(failed, Failed::Unreadable(_)), "{failed:?}");
                assert_eq!(judge(&failed, operation), expected, "{operation:?}");
            }
            assert_eq!(
                judge(&Failed::unreadable(operation), operation),
                expected,
                "{operation:?}: without its members"
            );
        }
    }

    #[test]
    fn what_did_not_arrive_is_sent_again_and_what_cannot_be_sent_is_not() {
        let credentials =
            |error: CredentialsError| connector(ConnectorError::other(error.into(), None));
        let transient = Some(ErrorKind::TransientError);
        #[rustfmt::skip]
        let table: [(&str, Error, Verdict); 13] = [
            ("a broken connection", connector(ConnectorError::io("reset".into())), Again),
            ("no connection in time", connector(ConnectorError::timeout("3 s".into())), Again),
            ("bytes that are no HTTP", connector(ConnectorError::other("HTTP/9".into(), transient)), Again),
            ("no response in time", SdkError::timeout_error("10 s"), Again),
            ("a request that HTTP cannot carry", connector(ConnectorError::user("URI".into())), Final),
            ("no name for the failure", connector(ConnectorError::other("what".into(), None)), Final),
            ("a request that was not made", SdkError::construction_failure("no region"), Final),
            ("a provider that took too long", credentials(CredentialsError::provider_timed_out(ATTEMPT)), Again),
            ("a provider that failed", credentials(CredentialsError::provider_error("HTTP 500")), Again),
            ("a provider with an odd error", credentials(CredentialsError::unhandled("what")), Again),
            ("no source of credentials", credentials(CredentialsError::not_loaded("none")), Final),
            ("no source at all", credentials(CredentialsError::not_loaded_no_source()), Final),
            ("a profile that is wrong", credentials(CredentialsError::invalid_configuration("line 1")), Final),
        ];
        for (case, error, expected) in table {
            assert_eq!(verdict(StopProjectVersion, error), expected, "{case}");
        }
        for operation in ALL {
            assert_eq!(judge(&Failed::Unanswered, operation), Again);
            assert_eq!(judge(&Failed::Panicked, operation), Final);
        }
    }

    const ATTEMPT: Duration = Duration::from_secs(10);

    #[test]
    fn a_final_failure_is_an_error_of_its_kind() {
        let into_error = |error| {
            Failed::new(StopProjectVersion, error)
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
                "StopProjectVersion was answered with a response that cannot be read"),
            (connector(ConnectorError::other(Unusable::Empty.into(), None)),
                "StopProjectVersion: the response has no body"),
        ];
        for (error, expected) in table {
            assert_eq!(into_error(error), expected);
        }
        let failed = Failed::new(
            StopProjectVersion,
            connector(ConnectorError::other(
                CredentialsError::not_loaded("no credentials found").into(),
                None,
            )),
        );
        let error = failed.into_error(StopProjectVersion);
        assert!(
            matches!(&error, CallError::NotSent { code: "DispatchFailure", message } if message.contains("no credentials found")),
            "{error:?}"
        );
    }
}
