//! Why models may still be running: failures, their codes and their messages, and lookups that
//! failed.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::calls::error::{CallError, Stage};
use crate::excerpt::cut;

/// The maximum length of a code, in bytes. The service's longest has 40.
const LONGEST_CODE: usize = 128;
/// The maximum length of an error in the log, in bytes.
const LONGEST_LOGGED_ERROR: usize = 8 * 1024;

/// Why a model may still be running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The kind of failure.
    pub code: Code,
    /// What happened.
    #[serde(rename = "error")]
    pub message: String,
}

/// The kind of failure, as it appears in the response and in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Code {
    /// The entry is neither the ARN of a model version nor a pattern.
    InvalidModelArn,
    /// The account's role could not be assumed.
    AccountUnreachable,
    /// The model was STARTING up to the deadline.
    StillStarting,
    /// The stop was accepted, but the model was still STOPPING at the deadline.
    NotConfirmed,
    /// The model or entry was not reached, or was still being retried, at the deadline.
    DeadlineExceeded,
    /// The service reported a status of unknown meaning.
    UnexpectedStatus,
    /// The service's response cannot be read.
    UnexpectedAnswer,
    /// The call could not be sent.
    DispatchFailure,
    /// The request could not be built.
    ConstructionFailure,
    /// A bug in this program.
    Panicked,
    /// The service refused the call, with its own code.
    #[serde(untagged)]
    Service(String),
}

impl Code {
    /// The code's text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::InvalidModelArn => "InvalidModelArn",
            Self::AccountUnreachable => "AccountUnreachable",
            Self::StillStarting => "StillStarting",
            Self::NotConfirmed => "NotConfirmed",
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::UnexpectedStatus => "UnexpectedStatus",
            Self::UnexpectedAnswer => "UnexpectedAnswer",
            Self::DispatchFailure => "DispatchFailure",
            Self::ConstructionFailure => "ConstructionFailure",
            Self::Panicked => "Panicked",
            Self::Service(code) => code,
        }
    }
}

impl Failure {
    /// A failure of this kind.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The failure of a model that was STARTING when it was last seen, this long before the
    /// deadline.
    pub(crate) fn still_starting(ago: Duration) -> Self {
        Self::new(
            Code::StillStarting,
            format!(
                "it was STARTING when it was last seen, {} s before the deadline; a retry stops it",
                ago.as_secs()
            ),
        )
    }

    /// The failure of a model that was STOPPING when it was last seen, this long before the
    /// deadline.
    pub(crate) fn not_confirmed(ago: Duration) -> Self {
        Self::new(
            Code::NotConfirmed,
            format!(
                "its stop was accepted, but it was still STOPPING when it was last seen, {} s \
                 before the deadline",
                ago.as_secs()
            ),
        )
    }

    /// The failure of a model in a status of unknown meaning.
    pub(crate) fn unexpected_status(status: &str) -> Self {
        Self::new(
            Code::UnexpectedStatus,
            format!("its status is `{status}`, and it is unknown whether that is billed"),
        )
    }

    /// The failure of what was not done at the deadline, with why the last attempt at it failed, if
    /// there was one.
    pub(crate) fn out_of_time(last_failure: Option<String>) -> Self {
        let message = match last_failure {
            Some(last_failure) => format!(
                "it was still being retried at the deadline; the last attempt failed with: \
                 {last_failure}"
            ),
            None => "it was not reached, or its calls got no response, by the deadline".to_owned(),
        };
        Self::new(Code::DeadlineExceeded, message)
    }

    /// The failure of an account whose role cannot be assumed.
    pub(crate) fn unreachable(role_arn: &str, error: &CallError) -> Self {
        Self::new(
            Code::AccountUnreachable,
            format!(
                "{role_arn} could not be assumed (deploy it there, or exclude the account): {error}"
            ),
        )
    }

    /// Adds why the last status check failed, if it did.
    pub(crate) fn with_last_failure(mut self, last_failure: Option<String>) -> Self {
        if let Some(last_failure) = last_failure {
            self.message = format!(
                "{}; the last status check failed with: {last_failure}",
                self.message
            );
        }
        self
    }

    /// The message as it is logged.
    pub(super) fn logged_error(&self) -> Cow<'_, str> {
        cut(&self.message, LONGEST_LOGGED_ERROR)
    }

    /// Prefixes the message with what the failure means for the model.
    pub(crate) fn context(mut self, meaning: &str) -> Self {
        self.message = format!("{meaning}: {}", self.message);
        self
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused {
                code: Some(code),
                message,
                ..
            } => Self::new(Code::Service(cut(&code, LONGEST_CODE).into()), message),
            CallError::NotSent { stage, message } => {
                let code = match stage {
                    Stage::Dispatch => Code::DispatchFailure,
                    Stage::Construction => Code::ConstructionFailure,
                };
                Self::new(code, message)
            }
            CallError::Panicked => Self::new(
                Code::Panicked,
                "a bug in this program: see the line `panic` in the log",
            ),
            CallError::Refused { code: None, .. }
            | CallError::Unreadable { .. }
            | CallError::NoResponse
            | CallError::Broken { .. } => Self::new(Code::UnexpectedAnswer, error.to_string()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}

/// A lookup that failed: of a pattern in an account and region, of a whole account, or of the list
/// of accounts.
#[derive(Clone, Debug)]
pub struct FailedLookup {
    /// The pattern, with the account and region in place of the wildcards.
    pub pattern: String,
    /// Why it failed.
    pub failure: Failure,
    /// The index of the pattern's entry.
    pub(crate) entry: usize,
    /// The account, if it is not the list of accounts that could not be read.
    pub(crate) account: Option<Arc<str>>,
    /// The region, if it is one that a wildcard matches.
    pub(crate) region: Option<Arc<str>>,
}

impl FailedLookup {
    /// Writes the lookup's line to the log.
    pub(crate) fn log(&self, request_id: &str) {
        tracing::error!(
            requestId = request_id,
            pattern = self.pattern,
            code = self.failure.code.as_str(),
            error = &*self.failure.logged_error(),
            "lookup"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_was_not_sent_has_one_of_our_codes() {
        for (stage, code) in [
            (Stage::Dispatch, Code::DispatchFailure),
            (Stage::Construction, Code::ConstructionFailure),
        ] {
            let message = "no credentials".to_owned();
            let failure = Failure::from(CallError::NotSent { stage, message });
            assert_eq!(failure, Failure::new(code, "no credentials"));
        }
    }
}
