//! The SDK's errors, turned into ours.

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_rekognition::error::{ConnectorError, ProvideErrorMetadata, SdkError};

use super::http::UnusableResponse;
use crate::calls::error::{CallError, Stage};
use crate::calls::operation::Operation;

/// What the SDK's error of an attempt means.
pub(super) fn read<E>(operation: Operation, error: SdkError<E>) -> CallError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::ServiceError(error) => refused(
            operation,
            error.raw().status().as_u16(),
            error.err().code(),
            error.err().message().unwrap_or_default(),
        ),
        SdkError::ResponseError(error) if error.raw().status().is_success() => {
            CallError::unreadable(operation)
        }
        SdkError::ResponseError(error) => {
            refused(operation, error.raw().status().as_u16(), None, "")
        }
        SdkError::TimeoutError(_) => CallError::NoResponse,
        SdkError::DispatchFailure(failure) => match failure.as_connector_error() {
            Some(error) => of_connector(operation, error),
            None => CallError::Broken {
                message: "the call was not sent".to_owned(),
            },
        },
        error => CallError::NotSent {
            stage: Stage::Construction,
            message: with_causes(&error),
        },
    }
}

fn refused(operation: Operation, status: u16, code: Option<&str>, message: &str) -> CallError {
    let error = |message: String| CallError::Refused {
        status,
        code: code.map(str::to_owned),
        message,
    };
    let (refused, action) = (error(message.to_owned()), operation.action());
    if refused.is_denied() && !message.contains(&action) {
        return error(format!("{action} is not allowed: {message}"));
    }
    refused
}

fn of_connector(operation: Operation, error: &ConnectorError) -> CallError {
    if let Some(unusable) = cause::<UnusableResponse>(error) {
        return CallError::Unreadable {
            message: format!("{}: {unusable}", operation.name()),
        };
    }
    let message = with_causes(error);
    // A broken connection would have a kind: see `http.rs`.
    let is_not_sent = error.is_user() || (error.is_other() && error.as_other().is_none());
    if is_not_sent || cause::<CredentialsError>(error).is_some() {
        return CallError::NotSent {
            stage: Stage::Dispatch,
            message,
        };
    }
    match error.is_timeout() {
        true => CallError::NoResponse,
        false => CallError::Broken { message },
    }
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
