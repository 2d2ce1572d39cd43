//! One call to AWS, from its first attempt to its last: when it is made again, and what its failure
//! means.
//!
//! The SDK makes single attempts. [`Caller::call`] is the loop, and [`judge`] decides.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_rekognition::error::{ProvideErrorMetadata, SdkError};
use futures_util::FutureExt;
use tokio::time::{sleep, timeout};

use super::judge::{Failed, Verdict, judge};
use super::operation::Operation;
use super::sts::Session;
use super::turns::Lane;
use crate::deadline::Deadline;

/// An attempt without an answer is given up after this long.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The least time that an attempt is given, however near the deadline is.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(50);
/// The pauses between the attempts of one call; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A call that is throttled so many times while others of its operation are let through is
/// throttled for what it is about: it no longer slows the others down...
const THROTTLED_ALONE: u32 = 3;
/// ... and is made again after pauses of its own.
const LONGEST_PAUSE_ALONE: Duration = Duration::from_secs(30);

/// What all calls of a run have in common.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) deadline: Arc<Deadline>,
    /// The invocation's ID, for the log.
    pub(crate) request_id: Arc<str>,
    /// The session that calls are made in, unless they are made as the function itself.
    pub(crate) session: Option<Session>,
}

impl Caller {
    /// The same run's calls in this session.
    pub(crate) fn in_session(&self, session: Session) -> Self {
        Self {
            session: Some(session),
            ..self.clone()
        }
    }

    /// Makes one call, as often as its failures allow, and ends by the deadline.
    ///
    /// `subject` is what the call is about, for the log: a model, a project or a role. `attempt`
    /// sends the request, and `read` takes what is wanted from the response, if it is there.
    pub(super) async fn call<O, E, F, T>(
        &self,
        lane: &Lane,
        subject: &str,
        attempt: impl Fn() -> F,
        read: impl Fn(O) -> Option<T>,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<O, SdkError<E>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let operation = lane.operation();
        let mut last_failure = None;
        if self.deadline.has_passed() {
            return Err(CallError::OutOfTime { last_failure });
        }
        let attempts = async {
            let mut first_turn = Some(lane.first_turn());
            let mut pause = FIRST_PAUSE;
            let mut after_silence = false;
            let mut clock_was_wrong = false;
            let mut session_had_expired = false;
            let mut throttled_alone = 0;
            for number in 1_u32.. {
                let let_through_before = lane.let_through();
                let credentials = self.session.as_ref().and_then(Session::credentials);
                let Ok(turn) = lane.turn(after_silence).await else {
                    break;
                };
                drop(first_turn.take());
                // An operation of the SDK is a large future, and lives only while it is in flight.
                let attempt = AssertUnwindSafe(Box::pin(attempt())).catch_unwind();
                let failed = match timeout(self.attempt_timeout(), attempt).await {
                    Ok(Ok(Ok(response))) => match read(response) {
                        Some(result) => {
                            turn.let_through();
                            return Ok(result);
                        }
                        None => Failed::unreadable(operation),
                    },
                    Ok(Ok(Err(error))) => Failed::new(operation, error),
                    Ok(Err(_)) => Failed::Panicked,
                    Err(_) => Failed::Unanswered,
                };
                let verdict = judge(&failed, operation);
                let is_throttled = verdict == Verdict::Throttled;
                if is_throttled && lane.let_through() > let_through_before {
                    throttled_alone += 1;
                }
                let is_alone = is_throttled && throttled_alone >= THROTTLED_ALONE;
                match &failed {
                    Failed::Unanswered => turn.unanswered(),
                    _ if is_alone => turn.throttled_alone(),
                    _ if is_throttled => turn.throttled(),
                    failed if failed.is_answer() => turn.let_through(),
                    _ => drop(turn),
                }
                match verdict {
                    Verdict::Throttled | Verdict::Again => {}
                    Verdict::AgainWithTheRightTime if !clock_was_wrong => clock_was_wrong = true,
                    Verdict::AgainInNewSession if !session_had_expired => {
                        let Some(session) = &self.session else {
                            return Err(failed.into_error(operation));
                        };
                        session_had_expired = true;
                        session.renew(credentials).await?;
                    }
                    Verdict::Final
                    | Verdict::AgainWithTheRightTime
                    | Verdict::AgainInNewSession => return Err(failed.into_error(operation)),
                }
                let reason = failed.to_string();
                tracing::debug!(
                    requestId = &*self.request_id,
                    operation = operation.name(),
                    subject,
                    attempt = number,
                    reason,
                    "retry"
                );
                last_failure = Some(reason);
                after_silence = matches!(failed, Failed::Unanswered);
                if is_alone || (verdict == Verdict::Again && !after_silence) {
                    sleep(pause).await;
                    let longest = if is_alone {
                        LONGEST_PAUSE_ALONE
                    } else {
                        LONGEST_PAUSE
                    };
                    pause = (pause * 2).min(longest);
                }
            }
            Err(CallError::OutOfTime { last_failure: None })
        };
        let result = {
            tokio::pin!(attempts);
            tokio::select! {
                biased;
                result = attempts => Some(result),
                () = self.deadline.passed() => None,
            }
        };
        result.unwrap_or(Err(CallError::OutOfTime { last_failure }))
    }

    /// How long an attempt may take: near the deadline half of the time left, so that there is time
    /// for another.
    fn attempt_timeout(&self) -> Duration {
        let left = self.deadline.left();
        ATTEMPT_TIMEOUT.min(left / 2).max(SHORTEST_ATTEMPT)
    }
}

/// Why a call has no result.
#[derive(Clone, Debug)]
pub enum CallError {
    /// The service said no.
    Refused {
        /// The service's code, such as `AccessDeniedException`.
        code: String,
        /// The service's message; for a missing permission with the name of the action.
        message: String,
    },
    /// The service answered in a way that cannot be read, and the call may have had its effect.
    Unclear {
        /// What is wrong with the response.
        message: String,
    },
    /// The call could not be sent, and would not be the next time: no credentials, for example.
    NotSent {
        /// The SDK's word for the failure.
        code: &'static str,
        /// The failure and its causes.
        message: String,
    },
    /// The account's role cannot be assumed.
    Unreachable {
        /// The role, and what STS said.
        message: String,
    },
    /// A fault in this program.
    Panicked,
    /// Time ran out before the call had a result.
    OutOfTime {
        /// What the last attempt failed with, if there was one.
        last_failure: Option<String>,
    },
}

impl CallError {
    /// The error of something that the service does not know.
    pub(crate) fn not_found(message: String) -> Self {
        Self::Refused {
            code: "ResourceNotFoundException".to_owned(),
            message,
        }
    }

    /// The same error, with what it is about, which not every service says.
    pub(crate) fn about(self, subject: &str) -> Self {
        match self {
            Self::Refused { code, message } => Self::Refused {
                code,
                message: format!("{subject}: {message}"),
            },
            error => error,
        }
    }

    /// The error of something in a list that cannot be read: that is not the same as nothing.
    pub(crate) fn unreadable_list(operation: Operation) -> Self {
        Failed::unreadable(operation).into_error(operation)
    }

    /// Whether the service's code is this one.
    pub(crate) fn is_refused_as(&self, one: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == one)
    }

    /// Whether beginning the list anew may help: its token has expired, or a page cannot be read.
    pub(crate) fn is_of_a_broken_list(&self) -> bool {
        matches!(self, Self::Unclear { .. })
            || self.is_refused_as("InvalidPaginationTokenException")
    }

    /// Whether the error of a call for several models may be that of one of them: the service does
    /// not know it, or does not accept its name.
    pub(crate) fn may_be_of_one(&self) -> bool {
        self.is_refused_as("ResourceNotFoundException")
            || self.is_refused_as("InvalidParameterException")
    }

    /// Whether only a look at the model can tell what a stop has done to it: the service says that
    /// it is in no status to be stopped in, or says nothing that can be read.
    pub(crate) fn leaves_doubt(&self) -> bool {
        matches!(self, Self::Unclear { .. }) || self.is_refused_as("ResourceInUseException")
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message } if message.is_empty() => f.write_str(code),
            Self::Refused { code, message } => write!(f, "{code}: {message}"),
            Self::Unclear { message } | Self::Unreachable { message } => f.write_str(message),
            Self::NotSent { code, message } => write!(f, "{code}: {message}"),
            Self::Panicked => f.write_str("a fault in this program"),
            Self::OutOfTime { last_failure } => {
                f.write_str(last_failure.as_deref().unwrap_or("time ran out"))
            }
        }
    }
}
