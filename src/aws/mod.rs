//! The AWS services: what is called, and how a call is made. Nothing here knows why.
//!
//! - [`Aws`] is what the process keeps: connections, credentials and places for calls.
//! - `rekognition` has the operations.
//! - `call` makes one call, as often as `judge` says, when `turns` and `pace` let it.

mod call;
mod credentials;
mod http;
mod judge;
mod operation;
mod pace;
mod rekognition;
mod status;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_rekognition::config::retry::RetryConfig;
use aws_sdk_rekognition::config::timeout::TimeoutConfig;
use aws_sdk_rekognition::config::{IdentityCache, Region, SharedHttpClient};

pub use call::CallError;
pub(crate) use call::Caller;
use credentials::{DefaultChain, config_loader, load};
pub(crate) use operation::Operation;
pub(crate) use rekognition::{NAMES_PER_CALL, Page, Project, Rekognition, Version};
pub use status::{Observation, Phase, Status};
use turns::Places;

/// The most calls to Rekognition in flight at once, over all scopes.
const MOST_REKOGNITION_CALLS: usize = 128;
/// A connection that is not made after this long is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// AWS, with what stays warm from one run to the next: one HTTP client with its connections, and the
/// credentials.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
    rekognition: Arc<Places>,
}

impl Aws {
    /// AWS as the environment says: credentials, endpoints, proxy and trusted certificates are read
    /// where every AWS SDK reads them.
    pub async fn from_env() -> Self {
        let http_client = http::sdk_client();
        let loader = config_loader(&http_client)
            .credentials_provider(DefaultChain::new(http_client.clone()));
        Self::new(load(loader).await)
    }

    /// AWS by a configuration of the caller's. Its HTTP client is used if it has one; its retry and
    /// timeout settings are not, since the deadline is to decide.
    pub fn new(config: SdkConfig) -> Self {
        let http_client = config.http_client().unwrap_or_else(http::sdk_client);
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT);
        let config = config
            .into_builder()
            .http_client(SharedHttpClient::new(http::WholeResponses(http_client)))
            .identity_cache(IdentityCache::lazy().build())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build())
            .build();
        Self {
            config,
            rekognition: Arc::new(Places::new(MOST_REKOGNITION_CALLS)),
        }
    }

    /// Rekognition in one region.
    pub(crate) fn rekognition(
        &self,
        region: &str,
        caller: Caller,
        max_concurrency: usize,
    ) -> Rekognition {
        let config = aws_sdk_rekognition::config::Builder::from(&self.config)
            .region(Region::new(region.to_owned()))
            .build();
        let client = aws_sdk_rekognition::Client::from_conf(config);
        Rekognition::new(client, caller, max_concurrency, &self.rekognition)
    }
}
