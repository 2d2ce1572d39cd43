//! One call to the service, from the first attempt to the last: what is tried again, and what is told when it fails.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_rekognition::config::http::HttpResponse;
use aws_sdk_rekognition::config::interceptors::{
    FinalizerInterceptorContextRef, InterceptorContext,
};
use aws_sdk_rekognition::config::retry::{ClassifyRetry, RetryAction};
use aws_sdk_rekognition::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_rekognition::error::{BoxError, ConnectorError, ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use tokio::sync::OwnedSemaphorePermit;

use super::connector::Sent;

/// The service's code for a model that cannot be stopped in its present status.
const RESOURCE_IN_USE: &str = "ResourceInUseException";
/// The service's code for a missing permission.
const ACCESS_DENIED: &str = "AccessDeniedException";
/// The service's two codes for "too many calls".
const THROTTLING: [&str; 2] = [
    "ThrottlingException",
    "ProvisionedThroughputExceededException",
];

/// Why a call has no result, after all that there was to be tried again.
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
        /// What is wrong with the answer.
        message: String,
    },
    /// The call could not be sent, and would not be the next time: no credentials, for example.
    NotSent {
        /// The SDK's word for the failure.
        code: &'static str,
        /// The failure and its causes.
        message: String,
    },
    /// Time ran out before the call was answered.
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

    /// The error of a list that is not there, or of something in it that cannot be read: nothing is not the same as
    /// nothing found.
    pub(super) fn unreadable_list(operation: &str) -> Self {
        Self::Unclear {
            message: format!("{operation} was answered with a list that cannot be read"),
        }
    }

    /// Whether asking again may help although the call itself is not tried again: a list has to be begun anew.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code == "InvalidPaginationTokenException",
            Self::Unclear { .. } => true,
            Self::NotSent { .. } | Self::OutOfTime { .. } => false,
        }
    }

    /// Whether the error of a call for several models may be that of one of them: the service does not know it, or does not
    /// take its name.
    pub(super) fn may_be_of_one(&self) -> bool {
        matches!(
            self,
            Self::Refused { code, .. }
                if code == "ResourceNotFoundException" || code == "InvalidParameterException"
        )
    }

    /// Whether only a look at the model can tell what a stop has done to it: the service says that it is in no
    /// status to be stopped in, or says nothing that can be read.
    pub(crate) fn leaves_doubt(&self) -> bool {
        match self {
            Self::Refused { code, .. } => code == RESOURCE_IN_USE,
            Self::Unclear { .. } => true,
            Self::NotSent { .. } | Self::OutOfTime { .. } => false,
        }
    }

    pub(super) fn new<E>(operation: &str, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match &error {
            SdkError::ServiceError(answer) => match answer.err().code() {
                Some(code) => {
                    let said = answer.err().message().unwrap_or_default();
                    let action = format!("rekognition:{operation}");
                    let message = if code == ACCESS_DENIED && !said.contains(&action) {
                        format!("{action} is not allowed: {said}")
                    } else {
                        said.to_owned()
                    };
                    Self::Refused {
                        code: code.to_owned(),
                        message,
                    }
                }
                None => Self::Unclear {
                    message: format!(
                        "{operation} was answered with HTTP {} and a body that cannot be read",
                        answer.raw().status().as_u16()
                    ),
                },
            },
            SdkError::ResponseError(_) => Self::Unclear {
                message: with_causes(&error),
            },
            SdkError::TimeoutError(_) => Self::OutOfTime { last_failure: None },
            SdkError::ConstructionFailure(_) => Self::not_sent("ConstructionFailure", &error),
            _ => Self::not_sent("DispatchFailure", &error),
        }
    }

    fn not_sent(code: &'static str, error: &dyn std::error::Error) -> Self {
        Self::NotSent {
            code,
            message: with_causes(error),
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, message } => write!(f, "{code}: {message}"),
            Self::Unclear { message } => f.write_str(message),
            Self::NotSent { code, message } => write!(f, "{code}: {message}"),
            Self::OutOfTime {
                last_failure: Some(last_failure),
            } => f.write_str(last_failure),
            Self::OutOfTime { last_failure: None } => f.write_str("time ran out"),
        }
    }
}

/// An error and its causes in one line, each only where it says more than the one before.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !line.contains(&said) {
            line = format!("{line}: {said}");
        }
        cause = error.source();
    }
    line
}

/// What becomes known of a call while its attempts are made.
///
/// It holds the call's place among those that are being made, and gives it up once an attempt fails: a call that is
/// waiting to be made again holds up nobody.
pub(super) struct Attempts<E> {
    state: Arc<Mutex<State>>,
    error: PhantomData<fn() -> E>,
}

#[derive(Default)]
struct State {
    place: Option<OwnedSemaphorePermit>,
    last_failure: Option<String>,
}

impl<E> Attempts<E> {
    pub(super) fn new() -> Self {
        Self {
            state: Arc::default(),
            error: PhantomData,
        }
    }

    pub(super) fn start(&self, place: OwnedSemaphorePermit) {
        self.with(|state| state.place = Some(place));
    }

    pub(super) fn last_failure(&self) -> Option<String> {
        self.with(|state| state.last_failure.take())
    }

    fn failed(&self, failure: String) {
        self.with(|state| {
            state.last_failure = Some(failure);
            state.place = None;
        });
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<E> Clone for Attempts<E> {
    fn clone(&self) -> Self {
        Self {
            state: Arc::clone(&self.state),
            error: PhantomData,
        }
    }
}

impl<E> fmt::Debug for Attempts<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attempts")
    }
}

#[dyn_dispatch_hint]
impl<E> Intercept for Attempts<E>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let answer = context.response();
        let sent = answer.and_then(|answer| answer.extension::<Sent>());
        let Some(Err(error)) = context.output_or_error() else {
            if let Some(sent) = sent {
                sent.learn(false);
            }
            if answer.is_some_and(is_empty) {
                self.failed("an answer without a body".to_owned());
            }
            return Ok(());
        };
        let answered = error
            .as_operation_error()
            .and_then(|error| error.downcast_ref::<E>());
        let code = answered.and_then(ProvideErrorMetadata::code);
        let failure = match (code, answered, error.as_connector_error()) {
            (Some(code), Some(answered), _) => match answered.message() {
                Some(message) => format!("{code}: {message}"),
                None => code.to_owned(),
            },
            (_, _, Some(connector)) => describe(connector),
            _ => match context.response() {
                Some(answer) => format!("HTTP {} without an error code", answer.status().as_u16()),
                None => error.to_string(),
            },
        };
        if let Some(sent) = sent {
            sent.learn(code.is_some_and(|code| THROTTLING.contains(&code)));
        }
        self.failed(failure);
        Ok(())
    }
}

/// A failed connection in a few words.
fn describe(error: &ConnectorError) -> String {
    if error.is_timeout() {
        "no answer in time".to_owned()
    } else {
        with_causes(error)
    }
}

/// Tries a call again that was answered with a server's error of any number. The SDK's own classifier knows four.
///
/// It runs before the classifiers that know the service's codes, so that throttling stays throttling.
#[derive(Debug)]
pub(super) struct ServerErrors;

impl ClassifyRetry for ServerErrors {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        match context.response() {
            Some(answer) if answer.status().is_server_error() => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "Server Errors"
    }
}

/// Tries a call again whose answer cannot be read, or is empty: the SDK would take that for an empty list. Only
/// for calls that change nothing: after a stop the question is not what the answer was but what the model does.
pub(super) struct UnreadableAnswers<E>(PhantomData<fn() -> E>);

impl<E> UnreadableAnswers<E> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E> fmt::Debug for UnreadableAnswers<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnreadableAnswers")
    }
}

impl<E> ClassifyRetry for UnreadableAnswers<E>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        if context.response().is_some_and(is_empty) {
            return RetryAction::transient_error();
        }
        let answered = match context.output_or_error() {
            Some(Err(error)) => error.as_operation_error(),
            _ => None,
        };
        match answered.and_then(|error| error.downcast_ref::<E>()) {
            Some(error) if error.code().is_none() => RetryAction::transient_error(),
            _ => RetryAction::NoActionIndicated,
        }
    }

    fn name(&self) -> &'static str {
        "Unreadable Answers"
    }
}

/// Whether an answer that should say something says nothing. The SDK takes it for an object without members: no
/// projects, no versions, no tags.
fn is_empty(answer: &HttpResponse) -> bool {
    answer.status().is_success() && answer.body().bytes().is_some_and(<[u8]>::is_empty)
}
