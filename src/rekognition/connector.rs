//! The way to the service: how many calls are on it at once, and how long one waits for its answer.
//!
//! The SDK bounds whole operations, and an operation that is waiting to try again is not a call in flight. So
//! the limit sits where the calls are made, around the SDK's HTTP client: a call waits for its turn, is sent, is
//! answered whole, and makes room for the next. A model whose calls fail again and again takes its turns like
//! every other and holds up nobody. The time that a call waits for its turn is not counted against its answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_rekognition::config::http::{HttpRequest, HttpResponse};
use aws_sdk_rekognition::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_rekognition::error::ConnectorError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::retries::ErrorKind;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use super::pace::Pace;

/// An attempt without an answer is given up after this long.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// The least time that an attempt is given, however near the deadline is.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(50);

/// The calls of one region: how many may be in flight at once, how fast those of each operation may be made, and the
/// time there is for them.
#[derive(Debug)]
pub(super) struct Limits {
    in_flight: Semaphore,
    paces: Mutex<HashMap<String, Arc<Pace>>>,
    deadline: Instant,
}

impl Limits {
    /// At most `max_concurrency` calls at once, and time until `deadline`.
    pub(super) fn new(max_concurrency: usize, deadline: Instant) -> Self {
        Self {
            in_flight: Semaphore::new(max_concurrency),
            paces: Mutex::default(),
            deadline,
        }
    }

    /// The pace of the request's operation.
    fn pace(&self, request: &HttpRequest) -> Arc<Pace> {
        let operation = request.headers().get("x-amz-target").unwrap_or_default();
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(paces.entry(operation.to_owned()).or_default())
    }
}

/// When a call was made, and at whose pace. Its answer carries this, for the pace to learn from.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    at: Instant,
    pace: Arc<Pace>,
}

impl Sent {
    /// Tells the pace whether the call was throttled.
    pub(super) fn learn(&self, throttled: bool) {
        self.pace.learn(self.at, throttled);
    }
}

/// An HTTP client whose calls wait for their turn.
#[derive(Clone, Debug)]
pub(super) struct LimitedHttpClient {
    pub(super) http_client: SharedHttpClient,
    pub(super) limits: Arc<Limits>,
}

// The client's own `validate_base_client_config` is left out on purpose: it makes a connector only to throw it
// away, and with it reads every root certificate a second time.
impl HttpClient for LimitedHttpClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(LimitedConnector {
            connector: self.http_client.http_connector(settings, components),
            limits: Arc::clone(&self.limits),
        })
    }
}

#[derive(Clone, Debug)]
struct LimitedConnector {
    connector: SharedHttpConnector,
    limits: Arc<Limits>,
}

impl HttpConnector for LimitedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let pace = this.limits.pace(&request);
            // First the pace, so that what waits for it takes no place from other operations.
            let _permit = loop {
                let paced = pace.wait().await;
                let permit = this.limits.in_flight.acquire().await;
                let permit = permit.map_err(|closed| ConnectorError::other(closed.into(), None))?;
                if pace.holds(paced) {
                    break permit;
                }
            };
            let secrets = secrets(&request);
            let at = Instant::now();
            let attempt = async { whole(this.connector.call(request).await?).await };
            match timeout(attempt_timeout(this.limits.deadline), attempt).await {
                Ok(Ok(mut answer)) => {
                    strike_out(&secrets, &mut answer);
                    answer.add_extension(Sent { at, pace });
                    Ok(answer)
                }
                Ok(Err(error)) => Err(broken(error)),
                Err(elapsed) => Err(ConnectorError::timeout(elapsed.into())),
            }
        })
    }
}

/// How long an attempt may take: near the deadline half of the time left, so that there is time for another.
fn attempt_timeout(deadline: Instant) -> Duration {
    let left = deadline.saturating_duration_since(Instant::now());
    ATTEMPT_TIMEOUT.min(left / 2).max(SHORTEST_ATTEMPT)
}

/// The answer with its body read to the end, so that it is no longer in flight. Answers are a few kilobytes.
async fn whole(mut answer: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let body = answer.take_body().collect().await;
    *answer.body_mut() = body.map_err(ConnectorError::io)?.to_bytes().into();
    Ok(answer)
}

/// What a request proves its right with, and how JSON may write that.
fn secrets(request: &HttpRequest) -> Vec<String> {
    let headers = request.headers();
    let secrets = ["x-amz-security-token", "authorization"]
        .into_iter()
        .filter_map(|name| headers.get(name));
    secrets
        .filter(|secret| !secret.is_empty())
        .flat_map(|secret| [secret.to_owned(), secret.replace('/', r"\/")])
        .collect()
}

/// Strikes the request's secrets out of an error before anybody can log it. The service's word on a wrong signature
/// repeats the headers that should have been signed, and with them the session token.
fn strike_out(secrets: &[String], answer: &mut HttpResponse) {
    if answer.status().is_success() {
        return;
    }
    let Some(Ok(body)) = answer.body().bytes().map(str::from_utf8) else {
        return;
    };
    if secrets.iter().any(|secret| body.contains(secret)) {
        let struck = secrets
            .iter()
            .fold(body.to_owned(), |body, secret| body.replace(secret, "***"));
        *answer.body_mut() = struck.into();
    }
}

/// A connection can break in ways that the HTTP client has no name for, such as bytes that are no HTTP. The SDK
/// tries only those again that have one.
fn broken(error: ConnectorError) -> ConnectorError {
    if error.is_other() && error.as_other().is_none() {
        ConnectorError::other(error.into(), Some(ErrorKind::TransientError))
    } else {
        error
    }
}
