//! One call to AWS, from its first attempt to its last: when it is retried, and what its failure
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

use super::judge::{AttemptFailure, Verdict, judge};
use super::operation::Operation;
use super::sts::Session;
use super::turns::Lane;
use crate::deadline::Deadline;

/// An attempt that is not answered is given up after this long.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The minimum time that an attempt is given, however near the deadline is.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(50);
/// The pauses between the attempts of one call; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A call that is throttled this many times while others of its operation get through is throttled
/// because of its subject: it no longer slows the others down...
const THROTTLED_ALONE: u32 = 3;
/// ... and is retried after pauses of its own.
const LONGEST_PAUSE_ALONE: Duration = Duration::from_secs(30);

/// What all calls of a run have in common.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) deadline: Arc<Deadline>,
    /// The request ID of the invocation, for the log.
    pub(crate) request_id: Arc<str>,
    /// The session in which calls are made, unless they are made as the function itself.
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

    /// Makes one call, with as many attempts as its failures allow, and ends by the deadline.
    ///
    /// `subject` is what the call concerns, for the log: a model, a project or a role. `attempt`
    /// sends the request, and `read` extracts the result from the response, if it is there.
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
                let Ok(turn) = lane.turn(first_turn.take(), after_silence).await else {
                    break;
                };
                let credentials = self.session.as_ref().and_then(Session::credentials);
                // An SDK operation is a large future, so it exists only while it is in flight.
                let attempt = AssertUnwindSafe(Box::pin(attempt())).catch_unwind();
                let failure = match timeout(self.attempt_timeout(), attempt).await {
                    Ok(Ok(Ok(response))) => match read(response) {
                        Some(result) => {
                            turn.let_through();
                            return Ok(result);
                        }
                        None => AttemptFailure::unreadable(operation),
                    },
                    Ok(Ok(Err(error))) => AttemptFailure::new(operation, error),
                    Ok(Err(_)) => AttemptFailure::Panicked,
                    Err(_) => AttemptFailure::Unanswered,
                };
                let verdict = judge(&failure, operation);
                let is_throttled = verdict == Verdict::Throttled;
                if is_throttled && lane.let_through() > let_through_before {
                    throttled_alone += 1;
                }
                let is_alone = is_throttled && throttled_alone >= THROTTLED_ALONE;
                match &failure {
                    AttemptFailure::Unanswered => turn.unanswered(),
                    _ if is_alone => turn.throttled_alone(),
                    _ if is_throttled => turn.throttled(),
                    failure if failure.is_answer() => turn.let_through(),
                    _ => drop(turn),
                }
                match (verdict, &self.session) {
                    (Verdict::Throttled | Verdict::Retry, _) => {}
                    (Verdict::RetryWithCorrectedClock, _) if !clock_was_wrong => {
                        clock_was_wrong = true;
                    }
                    (Verdict::RetryInNewSession, Some(session)) if !session_had_expired => {
                        session.renew(credentials).await?;
                    }
                    (
                        Verdict::Final
                        | Verdict::RetryWithCorrectedClock
                        | Verdict::RetryInNewSession,
                        _,
                    ) => return Err(failure.into_error(operation)),
                }
                session_had_expired = verdict == Verdict::RetryInNewSession;
                let reason = failure.to_string();
                tracing::debug!(
                    requestId = &*self.request_id,
                    operation = operation.name(),
                    subject,
                    attempt = number,
                    reason,
                    "retry"
                );
                last_failure = Some(reason);
                after_silence = matches!(failure, AttemptFailure::Unanswered);
                if is_alone || (verdict == Verdict::Retry && !after_silence) {
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

    /// How long an attempt may take: near the deadline, half of the time left, so that there is
    /// time for another.
    fn attempt_timeout(&self) -> Duration {
        let left = self.deadline.left();
        ATTEMPT_TIMEOUT.min(left / 2).max(SHORTEST_ATTEMPT)
    }
}

/// Why a call has no result.
#[derive(Clone, Debug)]
pub enum CallError {
    /// The service refused the call.
    Refused {
        /// The service's code, such as `AccessDeniedException`.
        code: String,
        /// The service's message; for a missing permission, with the name of the action.
        message: String,
    },
    /// The service's response cannot be read, and the call may have had its effect.
    Unclear {
        /// What is wrong with the response.
        message: String,
    },
    /// The call could not be sent, and a retry would not help: there are no credentials, for
    /// example.
    NotSent {
        /// The SDK's name for the failure.
        code: &'static str,
        /// The failure and its causes.
        message: String,
    },
    /// The account's role cannot be assumed.
    Unreachable {
        /// The role, and what STS said.
        message: String,
    },
    /// A bug in this program.
    Panicked,
    /// Time ran out before the call had a result.
    OutOfTime {
        /// Why the last attempt failed, if there was one.
        last_failure: Option<String>,
    },
}

impl CallError {
    /// The error for something that the service does not have.
    pub(crate) fn not_found(message: String) -> Self {
        Self::Refused {
            code: "ResourceNotFoundException".to_owned(),
            message,
        }
    }

    /// The same error with its subject, which not every service names.
    pub(crate) fn about(self, subject: &str) -> Self {
        match self {
            Self::Refused { code, message } => Self::Refused {
                code,
                message: format!("{subject}: {message}"),
            },
            error => error,
        }
    }

    /// The error for an item in a list that cannot be read, which is not the same as no item.
    pub(crate) fn unreadable_list(operation: Operation) -> Self {
        AttemptFailure::unreadable(operation).into_error(operation)
    }

    /// Whether the service refused the call with this code.
    pub(crate) fn has_code(&self, one: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == one)
    }

    /// Whether restarting the list may help: its token has expired, or a page cannot be read.
    pub(crate) fn calls_for_list_restart(&self) -> bool {
        matches!(self, Self::Unclear { .. }) || self.has_code("InvalidPaginationTokenException")
    }

    /// Whether the error of a call for several models may be due to one of them: the service does
    /// not have it, or does not accept its name.
    pub(crate) fn may_concern_one_model(&self) -> bool {
        self.has_code("ResourceNotFoundException") || self.has_code("InvalidParameterException")
    }

    /// Whether only a status check can tell what a stop has done to the model: the service says
    /// that the model cannot be stopped in its present status, or its response cannot be read.
    pub(crate) fn leaves_doubt(&self) -> bool {
        matches!(self, Self::Unclear { .. }) || self.has_code("ResourceInUseException")
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message } if message.is_empty() => f.write_str(code),
            Self::Refused { code, message } => write!(f, "{code}: {message}"),
            Self::Unclear { message } | Self::Unreachable { message } => f.write_str(message),
            Self::NotSent { code, message } => write!(f, "{code}: {message}"),
            Self::Panicked => f.write_str("a bug in this program"),
            Self::OutOfTime { last_failure } => {
                f.write_str(last_failure.as_deref().unwrap_or("time ran out"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::cell::{Cell, RefCell};
    use std::time::SystemTime;

    use aws_sdk_rekognition::config::http::HttpResponse;
    use aws_sdk_rekognition::error::ErrorMetadata;
    use aws_sdk_rekognition::operation::stop_project_version::StopProjectVersionError;
    use aws_sdk_rekognition::primitives::{DateTime, DateTimeFormat};
    use futures_util::future::{join, pending};
    use tokio::time::Instant;

    use super::super::pace::Pace;
    use super::super::turns::{ScopeSlots, Slots};

    type Error = SdkError<StopProjectVersionError>;

    const STOP: Operation = Operation::StopProjectVersion;
    /// What is reserved of an invocation of more than five seconds for a report without models.
    const REPORT: Duration = Duration::from_secs(1);

    /// The caller of a run that has this much time.
    fn caller(time: Duration) -> Caller {
        Caller {
            deadline: Arc::new(Deadline::new(Instant::now() + time + REPORT)),
            request_id: "request-1".into(),
            session: None,
        }
    }

    fn lane(operation: Operation) -> Lane {
        let process = Arc::new(Slots::new(128, 16));
        Lane::new(operation, &ScopeSlots::new(8, "us-east-1", &process))
    }

    fn refused(status: u16, code: &str) -> Error {
        let metadata = ErrorMetadata::builder().code(code).build();
        let response = HttpResponse::new(status.try_into().unwrap(), "".into());
        SdkError::service_error(StopProjectVersionError::generic(metadata), response)
    }

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    /// Makes a call whose attempts `answer` answers, given the number of the attempt. Returns the
    /// call's result, and when each attempt was made.
    async fn call<F>(
        caller: &Caller,
        lane: &Lane,
        answer: impl Fn(usize) -> F,
    ) -> (Result<u32, CallError>, Vec<Duration>)
    where
        F: Future<Output = Result<u32, Error>>,
    {
        let start = Instant::now();
        let attempts = RefCell::new(Vec::new());
        let attempt = || {
            attempts.borrow_mut().push(start.elapsed());
            answer(attempts.borrow().len())
        };
        let result = caller.call(lane, "a model", attempt, Some).await;
        (result, attempts.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn a_transient_failure_is_retried_after_growing_pauses_until_the_deadline() {
        let start = Instant::now();
        let (result, attempts) = call(&caller(seconds(12.0)), &lane(STOP), async |_| {
            Err(refused(500, "InternalServerError"))
        })
        .await;
        let expected = [0.0, 0.1, 0.3, 0.7, 1.5, 3.1, 5.1, 7.1, 9.1, 11.1].map(seconds);
        assert_eq!(attempts, expected);
        assert_eq!(start.elapsed(), seconds(12.0));
        assert!(
            matches!(&result, Err(CallError::OutOfTime { last_failure: Some(failure) }) if failure == "InternalServerError"),
            "{result:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_with_its_first_result_or_its_first_final_failure() {
        let lane = lane(STOP);
        let caller = caller(seconds(60.0));
        let (result, attempts) = call(&caller, &lane, async |number| match number {
            ..5 => Err(refused(500, "InternalServerError")),
            _ => Ok(7),
        })
        .await;
        assert_eq!((result.unwrap(), attempts.len()), (7, 5));
        let (result, attempts) = call(&caller, &lane, async |number| match number {
            1 => Err(refused(502, "Riddle")),
            _ => Err(refused(400, "AccessDeniedException")),
        })
        .await;
        assert!(result.unwrap_err().has_code("AccessDeniedException"));
        assert_eq!(attempts.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_without_an_answer_is_given_up_after_ten_seconds_or_half_of_the_time_left() {
        let lane = lane(STOP);
        let start = Instant::now();
        let (result, attempts) = call(&caller(seconds(36.0)), &lane, |_| pending()).await;
        let expected = [0.0, 10.0, 20.0, 28.0, 32.0, 34.0, 35.0, 35.5].map(seconds);
        assert_eq!(attempts[..8], expected);
        assert!(attempts.len() < 16, "{attempts:?}");
        assert_eq!(start.elapsed(), seconds(36.0));
        assert!(
            matches!(&result, Err(CallError::OutOfTime { last_failure: Some(failure) }) if failure == "no answer in time"),
            "{result:?}"
        );
        // The attempt that was in flight at the deadline has released its slot.
        assert!(lane.turn(None, true).now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_deadline_nothing_is_called() {
        let caller = caller(seconds(60.0));
        tokio::time::advance(seconds(60.0)).await;
        let (result, attempts) = call(&caller, &lane(STOP), async |_| Ok(1)).await;
        let out_of_time = CallError::OutOfTime { last_failure: None };
        assert_eq!(
            format!("{result:?}"),
            format!("{:?}", Err::<u32, _>(out_of_time))
        );
        assert!(attempts.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn throttled_calls_are_made_at_the_pace_of_the_quota_and_without_pauses_of_their_own() {
        let (lane, caller) = (lane(STOP), caller(seconds(60.0)));
        let start = Instant::now();
        let last = Cell::new(None::<Instant>);
        for _ in 0..100 {
            // A quota of ten calls a second.
            let (result, _) = call(&caller, &lane, async |_| match last.get() {
                Some(last) if last.elapsed() < seconds(0.1) => {
                    Err(refused(500, "ThrottlingException"))
                }
                _ => {
                    last.set(Some(Instant::now()));
                    Ok(1)
                }
            })
            .await;
            result.unwrap();
        }
        let took = start.elapsed().as_secs_f64();
        assert!((9.9..12.5).contains(&took), "{took} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_call_waits_for_the_pace_and_for_nothing_else() {
        let (result, attempts) =
            call(
                &caller(seconds(20.0)),
                &lane(STOP),
                async |number| match number {
                    ..40 => Err(refused(429, "Riddle")),
                    _ => Ok(1),
                },
            )
            .await;
        result.unwrap();
        // When the pace alone would have made the attempts.
        let pace = Pace::default();
        let start = Instant::now();
        for attempt in attempts {
            let sent = pace.wait().await;
            assert_eq!(start.elapsed(), attempt);
            pace.learn(sent, true);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_throttled_because_of_its_subject_does_not_slow_down_others() {
        let (lane, caller) = (lane(STOP), caller(seconds(200.0)));
        let start = Instant::now();
        let others = async {
            for _ in 0..300 {
                let (result, _) = call(&caller, &lane, async |_| {
                    tokio::time::sleep(seconds(0.01)).await;
                    Ok(1)
                })
                .await;
                result.unwrap();
            }
            start.elapsed().as_secs_f64()
        };
        let alone = call(&caller, &lane, async |_| {
            Err(refused(500, "ThrottlingException"))
        });
        let (took, (result, attempts)) = join(others, alone).await;
        assert!(took < 8.0, "{took} s");
        // It is retried until the deadline, less and less often.
        assert!(matches!(result, Err(CallError::OutOfTime { .. })));
        let last = attempts.last_chunk::<2>().unwrap();
        assert!(last[1] - last[0] >= seconds(10.0), "{attempts:?}");
        assert!(last[1] > seconds(150.0), "{attempts:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_signature_that_a_wrong_clock_made_invalid_is_retried_once_and_at_once() {
        let invalid = || {
            let now = DateTime::from(SystemTime::now()).secs();
            let date = DateTime::from_secs(now - 600);
            let mut response = HttpResponse::new(400.try_into().unwrap(), "".into());
            let date = date.fmt(DateTimeFormat::HttpDate).unwrap();
            response.headers_mut().insert("date", date);
            let code = ErrorMetadata::builder().code("InvalidSignatureException");
            let error = StopProjectVersionError::generic(code.build());
            SdkError::service_error(error, response)
        };
        let caller = caller(seconds(60.0));
        let (result, attempts) = call(&caller, &lane(STOP), async |number| match number {
            1 => Err(invalid()),
            _ => Ok(1),
        })
        .await;
        result.unwrap();
        assert_eq!(attempts, [Duration::ZERO; 2]);
        let (result, attempts) = call(&caller, &lane(STOP), async |_| Err(invalid())).await;
        assert!(result.unwrap_err().has_code("InvalidSignatureException"));
        assert_eq!(attempts, [Duration::ZERO; 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_function_itself_has_no_session_to_renew() {
        let (result, attempts) = call(&caller(seconds(60.0)), &lane(STOP), async |_| {
            Err(refused(400, "ExpiredTokenException"))
        })
        .await;
        assert!(result.unwrap_err().has_code("ExpiredTokenException"));
        assert_eq!(attempts.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_the_failure_of_its_call_and_releases_its_slot() {
        let (lane, caller) = (lane(STOP), caller(seconds(60.0)));
        for _ in 0..20 {
            let (result, attempts) = call(&caller, &lane, async |_| panic!("the last straw")).await;
            assert!(matches!(result, Err(CallError::Panicked)), "{result:?}");
            assert_eq!(attempts.len(), 1);
        }
        let (result, _) = call(&caller, &lane, async |_| Ok(1)).await;
        result.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_without_its_members_is_unclear_or_retried_depending_on_the_operation() {
        let caller = caller(seconds(60.0));
        for (operation, expected) in [
            (Operation::StopProjectVersion, 1),
            (Operation::DescribeProjects, 1),
            (Operation::ListTagsForResource, 3),
        ] {
            let attempts = Cell::new(0);
            let attempt = async || {
                attempts.set(attempts.get() + 1);
                Ok::<_, Error>(attempts.get())
            };
            let read = |number| (number == 3).then_some(number);
            let result = caller
                .call(&lane(operation), "a model", attempt, read)
                .await;
            assert_eq!(attempts.get(), expected, "{operation:?}");
            match result {
                Ok(number) => assert_eq!(number, 3),
                Err(error) => assert!(matches!(error, CallError::Unclear { .. }), "{error:?}"),
            }
        }
    }
}
