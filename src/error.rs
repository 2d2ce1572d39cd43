//! Why an invocation failed.

use std::fmt;

use lambda_runtime::Diagnostic;

use crate::excerpt::plain;
use crate::report::Report;

/// Why an invocation failed. Its `Display` form is the error message, which a template puts into an
/// email; its type is what Lambda reports as `errorType`.
#[derive(Clone)]
pub enum Error {
    /// Environment variables have invalid values; nothing was called.
    InvalidSettings(String),
    /// The event is not a valid request, or there is no list of models; nothing was called.
    InvalidRequest(String),
    /// Models may still be running.
    NotAllStopped(Report),
    /// The plan could not be made.
    NotPlanned(String),
}

impl Error {
    /// What Lambda reports as `errorType`.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::InvalidSettings(_) => "InvalidSettings",
            Self::InvalidRequest(_) => "InvalidRequest",
            Self::NotAllStopped(_) => "NotAllStopped",
            Self::NotPlanned(_) => "NotPlanned",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = match self {
            Self::InvalidSettings(error)
            | Self::InvalidRequest(error)
            | Self::NotPlanned(error) => error,
            Self::NotAllStopped(report) => &report.message,
        };
        // An email may continue after it.
        write!(f, "{}.", plain(message.trim_end_matches('.')))
    }
}

/// The form that the runtime logs.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.error_type())
    }
}

impl std::error::Error for Error {}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.error_type().to_owned(),
            error_message: error.to_string(),
        }
    }
}
