//! The HTTP client of the process: the SDK's own, plus what it lacks.

use std::fmt;

use aws_sdk_rekognition::config::http::{HttpRequest, HttpResponse};
use aws_sdk_rekognition::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_rekognition::error::ConnectorError;
use aws_smithy_http_client::ConnectorBuilder;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::retries::ErrorKind;
use http_body_util::{BodyExt, Limited};

/// The maximum size of a response, in bytes. A page of a hundred versions has a few hundred
/// kilobytes.
const LARGEST_RESPONSE: usize = 4 * 1024 * 1024;

/// The SDK's default HTTP client, with the proxies and trusted certificates that the environment
/// names.
///
/// It is ready when this returns, with the certificates read: the function has a whole processor
/// until it asks Lambda for the first event, and with the smallest memory a fourteenth of one after
/// that.
pub(super) fn sdk_client() -> SharedHttpClient {
    let connector = ConnectorBuilder::default()
        .tls_provider(Provider::Rustls(rustls_provider::CryptoMode::AwsLc))
        .proxy_config(ProxyConfig::from_env())
        .build();
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

/// An HTTP client that reads responses to their end, up to a maximum size, and redacts secrets.
#[derive(Clone, Debug)]
pub(super) struct BufferedResponses(pub(super) SharedHttpClient);

impl HttpClient for BufferedResponses {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Connector(self.0.http_connector(settings, components)))
    }
}

#[derive(Debug)]
struct Connector(SharedHttpConnector);

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let secrets = secrets(&request);
        let response = self.0.call(request);
        HttpConnectorFuture::new(async move {
            let mut response = buffered(response.await.map_err(broken)?).await?;
            redact(&secrets, &mut response);
            Ok(response)
        })
    }
}

/// Why a response that arrived cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnusableResponse {
    /// It has no body. The SDK would take that for an object without members: no projects, versions
    /// or tags.
    Empty,
    /// It has more than [`LARGEST_RESPONSE`] bytes.
    TooLarge,
}

impl fmt::Display for UnusableResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the response has no body"),
            Self::TooLarge => write!(f, "the response has more than {LARGEST_RESPONSE} bytes"),
        }
    }
}

impl std::error::Error for UnusableResponse {}

/// The response with its whole body, so that the call is no longer in flight.
async fn buffered(mut response: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let body = Limited::new(response.take_body(), LARGEST_RESPONSE);
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(ConnectorError::other(
                UnusableResponse::TooLarge.into(),
                None,
            ));
        }
        Err(error) => return Err(ConnectorError::io(error)),
    };
    if body.is_empty() && response.status().is_success() {
        return Err(ConnectorError::other(UnusableResponse::Empty.into(), None));
    }
    *response.body_mut() = body.into();
    Ok(response)
}

/// A connection can break in ways that the HTTP client has no kind for, such as bytes that are not
/// HTTP. The kind distinguishes them from a call that never got as far as a connection.
fn broken(error: ConnectorError) -> ConnectorError {
    if error.is_other() && error.as_other().is_none() {
        ConnectorError::other(error.into(), Some(ErrorKind::TransientError))
    } else {
        error
    }
}

/// The secrets that authorize a request.
fn secrets(request: &HttpRequest) -> Vec<String> {
    let headers = request.headers();
    let secrets = ["x-amz-security-token", "authorization"]
        .into_iter()
        .filter_map(|name| headers.get(name));
    let secrets = secrets.filter(|secret| !secret.is_empty());
    secrets.map(str::to_owned).collect()
}

/// Redacts the request's secrets in an error before anything can log it. The service's message
/// about a wrong signature repeats the headers that should have been signed, including the session
/// token.
fn redact(secrets: &[String], response: &mut HttpResponse) {
    if response.status().is_success() {
        return;
    }
    let Some(Ok(body)) = response.body().bytes().map(str::from_utf8) else {
        return;
    };
    // As they are, and as JSON may escape them.
    let redacted = secrets.iter().fold(body.to_owned(), |body, secret| {
        body.replace(secret, "***")
            .replace(&secret.replace('/', r"\/"), "***")
    });
    *response.body_mut() = redacted.into();
}
