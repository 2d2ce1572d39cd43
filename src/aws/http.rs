//! The HTTP client of the process: the SDK's own, with what it lacks.

use std::fmt;
use std::time::Duration;

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

/// A connection that is not made after this long is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The most bytes of a response. A page of a hundred versions has a few hundred kilobytes.
const LARGEST_RESPONSE: usize = 4 * 1024 * 1024;

/// The SDK's default HTTP client, with the proxies and the trusted certificates that the
/// environment names.
///
/// It is ready when this returns, and the certificates are read: until Lambda has the first event
/// asked for, the function has a whole processor, and a fourteenth of one afterwards.
pub(super) fn sdk_client() -> SharedHttpClient {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT);
    let connector = ConnectorBuilder::default()
        .tls_provider(Provider::Rustls(rustls_provider::CryptoMode::AwsLc))
        .proxy_config(ProxyConfig::from_env())
        .connector_settings(settings.build())
        .build();
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

/// An HTTP client that reads responses whole, within bounds, and keeps secrets out of them.
#[derive(Clone, Debug)]
pub(super) struct WholeResponses(pub(super) SharedHttpClient);

// `validate_base_client_config` is left out on purpose: the SDK's makes a connector only to throw
// it away, and with it reads every trusted certificate.
impl HttpClient for WholeResponses {
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
            let mut response = whole(response.await.map_err(broken)?).await?;
            strike_out(&secrets, &mut response);
            Ok(response)
        })
    }
}

/// Why a response that arrived cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It has no body. The SDK would take that for an object without members: no projects, no
    /// versions, no tags.
    Empty,
    /// It has more than [`LARGEST_RESPONSE`] bytes.
    TooLarge,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the response has no body"),
            Self::TooLarge => write!(f, "the response has more than {LARGEST_RESPONSE} bytes"),
        }
    }
}

impl std::error::Error for Unusable {}

/// The response with its body read to the end, so that the call is no longer in flight.
async fn whole(mut response: HttpResponse) -> Result<HttpResponse, ConnectorError> {
    let body = Limited::new(response.take_body(), LARGEST_RESPONSE);
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err(ConnectorError::other(Unusable::TooLarge.into(), None));
        }
        Err(error) => return Err(ConnectorError::io(error)),
    };
    if body.is_empty() && response.status().is_success() {
        return Err(ConnectorError::other(Unusable::Empty.into(), None));
    }
    *response.body_mut() = body.into();
    Ok(response)
}

/// A connection can break in ways that the HTTP client has no name for, such as bytes that are no
/// HTTP. The name tells it from a call that never got as far as a connection.
fn broken(error: ConnectorError) -> ConnectorError {
    if error.is_other() && error.as_other().is_none() {
        ConnectorError::other(error.into(), Some(ErrorKind::TransientError))
    } else {
        error
    }
}

/// What a request proves its right with.
fn secrets(request: &HttpRequest) -> Vec<String> {
    let headers = request.headers();
    let secrets = ["x-amz-security-token", "authorization"]
        .into_iter()
        .filter_map(|name| headers.get(name));
    let secrets = secrets.filter(|secret| !secret.is_empty());
    secrets.map(str::to_owned).collect()
}

/// Strikes the request's secrets out of an error before anything can log it. The service's message
/// about a wrong signature repeats the headers that should have been signed, and with them the
/// session token.
fn strike_out(secrets: &[String], response: &mut HttpResponse) {
    if response.status().is_success() {
        return;
    }
    let Some(Ok(body)) = response.body().bytes().map(str::from_utf8) else {
        return;
    };
    // As they are, and as JSON may write them.
    let struck = secrets.iter().fold(body.to_owned(), |body, secret| {
        body.replace(secret, "***")
            .replace(&secret.replace('/', r"\/"), "***")
    });
    *response.body_mut() = struck.into();
}
