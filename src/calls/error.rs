//! How an attempt failed.

use std::fmt;

use super::operation::Operation;

/// Codes for a missing permission.
pub(crate) const DENIED: [&str; 2] = ["AccessDenied", "AccessDeniedException"];

/// Why an attempt, and with it perhaps its call, has no response to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallError {
    /// An error from the service, or from something in front of it that knows no codes.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The service's code, such as `AccessDeniedException`.
        code: Option<String>,
        /// The service's message; for a missing permission, with the name of the action.
        message: String,
    },
    /// A response without the members that it should have. The call may have had its effect.
    Unreadable {
        /// What is wrong with the response.
        message: String,
    },
    /// No response in time, or no connection in time.
    NoResponse,
    /// No connection, or a broken one.
    Broken {
        /// The failure and its causes.
        message: String,
    },
    /// The call could not be sent, and a retry would not help.
    NotSent {
        /// What could not be done.
        stage: Stage,
        /// The failure and its causes.
        message: String,
    },
    /// A bug in this program.
    Panicked,
}

/// The stage at which a call could not be sent, as the SDK names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The request could not be built.
    Construction,
    /// It could not be dispatched: there are no credentials, for example.
    Dispatch,
}

impl CallError {
    /// The error for something that the service does not have.
    pub(crate) fn not_found(message: String) -> Self {
        Self::Refused {
            status: 400,
            code: Some("ResourceNotFoundException".to_owned()),
            message,
        }
    }

    /// The error of a response that cannot be read.
    pub(crate) fn unreadable(operation: Operation) -> Self {
        Self::Unreadable {
            message: format!("the response to {} cannot be read", operation.name()),
        }
    }

    /// The service's code, if it gave one.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => code.as_deref(),
            _ => None,
        }
    }

    /// Whether the service has responded at all.
    pub(crate) fn is_response(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Unreadable { .. })
    }

    /// Whether the service does not have what was asked about.
    pub(crate) fn is_not_found(&self) -> bool {
        self.code() == Some("ResourceNotFoundException")
    }

    /// Whether a permission is missing.
    pub(crate) fn is_denied(&self) -> bool {
        self.code().is_some_and(|code| DENIED.contains(&code))
    }

    /// Whether only a status check can tell what a stop has done to the model: the service says
    /// that the model cannot be stopped in its present status, or its response cannot be read.
    pub(crate) fn leaves_doubt(&self) -> bool {
        match self {
            Self::Refused { code: None, .. } | Self::Unreadable { .. } => true,
            _ => self.code() == Some("ResourceInUseException"),
        }
    }
}

impl fmt::Display for CallError {
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
            Self::Unreadable { message } | Self::Broken { message } => f.write_str(message),
            Self::NotSent { message, .. } => f.write_str(message),
            Self::NoResponse => f.write_str("no response in time"),
            Self::Panicked => f.write_str("a bug in this program"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_what_the_service_said() {
        for (code, message, text) in [
            (Some("ThrottlingException"), "", "ThrottlingException"),
            (
                Some("ThrottlingException"),
                "Slow.",
                "ThrottlingException: Slow.",
            ),
            (None, "", "HTTP 503 without an error code"),
        ] {
            let error = CallError::Refused {
                status: 503,
                code: code.map(Into::into),
                message: message.into(),
            };
            assert_eq!(error.to_string(), text);
        }
    }
}
