//! One attempt at a call, whatever the operation.

use std::panic::AssertUnwindSafe;

use aws_sdk_rekognition::error::{ProvideErrorMetadata, SdkError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::failure;
use crate::calls::error::{CallError, Stage};
use crate::calls::operation::Operation;
use crate::calls::response::Response;
use crate::calls::retry::ATTEMPT_LIMIT;

/// An attempt that is being made.
pub(crate) type Attempt = BoxFuture<'static, Result<Response, CallError>>;

/// Sends a request and reads its response, if that has what it should have.
pub(super) fn attempt<O, E>(
    operation: Operation,
    sent: impl Future<Output = Result<O, SdkError<E>>> + Send + 'static,
    read: impl FnOnce(O) -> Option<Response> + Send + 'static,
) -> Attempt
where
    O: 'static,
    E: ProvideErrorMetadata + std::error::Error + Send + 'static,
{
    let response = async move {
        match timeout(ATTEMPT_LIMIT, sent).await {
            Ok(Ok(response)) => read(response).ok_or_else(|| CallError::unreadable(operation)),
            Ok(Err(error)) => Err(failure::read(operation, error)),
            Err(_) => Err(CallError::NoResponse),
        }
    };
    let response = AssertUnwindSafe(response).catch_unwind();
    response
        .map(|response| response.unwrap_or(Err(CallError::Panicked)))
        .boxed()
}

/// The attempt of a call in a scope that is not open.
pub(super) fn not_open() -> Attempt {
    let error = CallError::NotSent {
        stage: Stage::Construction,
        message: "the account and region of the call are not known".to_owned(),
    };
    std::future::ready(Err(error)).boxed()
}
