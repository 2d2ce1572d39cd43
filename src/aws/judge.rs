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
/// Codes of what would be refused again, like those of a missing permission, whatever HTTP status they
/// come with.
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
    /// The call is made again at once, in a new session if it is made in one; but only once.
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
    /// No response in time.
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
            true => Self::Transport("no connection in time".to_owned()),
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
