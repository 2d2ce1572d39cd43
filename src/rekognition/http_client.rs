//! The HTTP client of the process, made once. What a run does not need is not made: the system's trusted
//! certificates, which are most of the work of a client, are read when the first call that needs TLS is made.

use std::env;

use aws_sdk_rekognition::config::http::HttpRequest;
use aws_sdk_rekognition::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider};
use aws_smithy_http_client::{Builder, ConnectorBuilder};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};

/// The SDK's default HTTP client, with the proxies and the trusted certificates that the environment names.
pub(super) fn http_client() -> SharedHttpClient {
    SharedHttpClient::new(ByScheme {
        tls: sdk_client(TrustStore::default()),
        plain: sdk_client(TrustStore::empty()),
        proxy_needs_tls: env::vars_os().any(|(name, value)| {
            let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
            name.to_ascii_lowercase().ends_with("_proxy")
                && value.to_ascii_lowercase().starts_with("https:")
        }),
    })
}

fn sdk_client(trust_store: TrustStore) -> SharedHttpClient {
    let context = TlsContext::builder().with_trust_store(trust_store).build();
    let context = context.unwrap_or_default();
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = ConnectorBuilder::default()
            .tls_provider(Provider::Rustls(rustls_provider::CryptoMode::AwsLc))
            .tls_context(context.clone())
            .proxy_config(ProxyConfig::from_env());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.build()
    })
}

/// Calls over TLS go by one client, and all others by one that trusts nobody and so has nothing to read.
#[derive(Clone, Debug)]
struct ByScheme {
    tls: SharedHttpClient,
    plain: SharedHttpClient,
    proxy_needs_tls: bool,
}

// `validate_base_client_config` is left out on purpose: the SDK's makes a connector only to throw it away, and with
// it reads every certificate.
impl HttpClient for ByScheme {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(OnDemand {
            client: self.clone(),
            settings: settings.clone(),
            components: components.clone(),
        })
    }
}

/// A connector that is chosen when its first request is known.
#[derive(Debug)]
struct OnDemand {
    client: ByScheme,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for OnDemand {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let needs_tls = self.client.proxy_needs_tls || request.uri().starts_with("https:");
        let client = if needs_tls {
            &self.client.tls
        } else {
            &self.client.plain
        };
        let connector = client.http_connector(&self.settings, &self.components);
        connector.call(request)
    }
}
