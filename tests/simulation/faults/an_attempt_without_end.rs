// An attempt is waited for until the run ends.
// src/aws/attempt.rs, fn attempt
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
        match sent.await {
            Ok(response) => read(response).ok_or_else(|| CallError::unreadable(operation)),
            Err(error) => Err(failure::read(operation, error)),
        }
    };
    let response = AssertUnwindSafe(response).catch_unwind();
    response
        .map(|response| response.unwrap_or(Err(CallError::Panicked)))
        .boxed()
}
