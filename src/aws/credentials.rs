//! Where credentials come from: the SDK's default chain, of which only what is needed is built.

use std::pin::Pin;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, ConfigLoader, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_rekognition::config::SharedHttpClient;
use tokio::sync::OnceCell;

/// The SDK's default chain. Its first provider is the environment, where Lambda puts a function's
/// credentials. The others (profiles, web identities, containers, instances) need clients of their
/// own, and are built only if the environment has no credentials.
#[derive(Debug)]
pub(super) struct DefaultChain {
    http_client: SharedHttpClient,
    whole: OnceCell<Option<SharedCredentialsProvider>>,
}

impl DefaultChain {
    /// A chain whose providers make their calls with this client.
    pub(super) fn new(http_client: SharedHttpClient) -> Self {
        Self {
            http_client,
            whole: OnceCell::new(),
        }
    }

    async fn credentials(&self) -> provider::Result {
        let environment = EnvironmentVariableCredentialsProvider::new();
        match environment.provide_credentials().await {
            Err(CredentialsError::CredentialsNotLoaded(_)) => {}
            answer => return answer,
        }
        // The environment is this chain's first provider as well, so that its error for missing
        // credentials is complete.
        match self.whole.get_or_init(|| self.make()).await {
            Some(chain) => chain.provide_credentials().await,
            None => Err(CredentialsError::not_loaded_no_source()),
        }
    }

    async fn make(&self) -> Option<SharedCredentialsProvider> {
        let config = load(config_loader(&self.http_client)).await;
        config.credentials_provider()
    }
}

/// The loader of what the SDK reads from the environment and its files, with this client for calls.
pub(super) fn config_loader(http_client: &SharedHttpClient) -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client.clone())
        // Retries are set with each client. Unset, a bad AWS_MAX_ATTEMPTS would end the process.
        .retry_config(RetryConfig::standard())
}

/// Loads the configuration. Boxed, so that there is one copy of this large function.
pub(super) fn load(loader: ConfigLoader) -> Pin<Box<dyn Future<Output = SdkConfig> + Send>> {
    Box::pin(loader.load())
}

impl ProvideCredentials for DefaultChain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}
