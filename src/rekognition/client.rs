//! The service for the whole process.

use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_rekognition::Client;
use aws_sdk_rekognition::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_sdk_rekognition::config::timeout::TimeoutConfig;
use aws_sdk_rekognition::config::{self, IdentityCache, SharedHttpClient, SharedIdentityCache};

use super::call::ServerErrors;
use super::connector::{LimitedHttpClient, Limits};
use super::credentials::{DefaultChain, config_loader, load};
use super::http_client::http_client;

/// A connection that is not made after this long is given up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Credentials that are not loaded after this long fail the calls that need them. Without a time of its own the SDK
/// works one out on every call, by going through every attempt that is allowed.
const CREDENTIALS_TIMEOUT: Duration = Duration::from_secs(10);
/// The pauses between the attempts of one call, before it waits for its turn.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// Amazon Rekognition, with what stays warm from one run to the next: one HTTP client with its connections, and
/// the credentials.
#[derive(Clone, Debug)]
pub struct Rekognition {
    config: SdkConfig,
    http_client: SharedHttpClient,
    identity_cache: SharedIdentityCache,
}

impl Rekognition {
    /// The service as the environment says: credentials, endpoint, proxy and trusted certificates are read where
    /// every AWS SDK reads them.
    pub async fn from_env() -> Self {
        let http_client = http_client();
        let loader = config_loader(&http_client)
            .credentials_provider(DefaultChain::new(http_client))
            // Every client gets that of its models, so there is nothing to look up.
            .region(None::<config::Region>);
        let config = load(loader).await;
        Self::new(config)
    }

    /// The service by a configuration of the caller's. Its HTTP client is used if it has one; its retry and
    /// timeout settings are not, since the deadline is to decide.
    pub fn new(config: SdkConfig) -> Self {
        let http_client = config.http_client().unwrap_or_else(http_client);
        Self {
            config,
            http_client,
            identity_cache: IdentityCache::lazy()
                .load_timeout(CREDENTIALS_TIMEOUT)
                .build(),
        }
    }

    /// A client for one region and one run, whose calls keep these limits. It shares connections and credentials
    /// with every other one.
    pub(super) fn client(&self, region: &str, limits: Limits) -> Client {
        let http_client = LimitedHttpClient {
            http_client: self.http_client.clone(),
            limits: Arc::new(limits),
        };
        let config = config::Builder::from(&self.config)
            .region(config::Region::new(region.to_owned()))
            .http_client(http_client)
            .identity_cache(self.identity_cache.clone())
            .retry_config(retry_config())
            .retry_partition(retry_partition())
            .retry_classifier(ServerErrors)
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .build(),
            )
            .build();
        Client::from_conf(config)
    }
}

/// Retries that cost nothing, so that they end by the deadline and not by an empty bucket.
fn retry_partition() -> RetryPartition {
    RetryPartition::custom("rekognition-stopper")
        .token_bucket(TokenBucket::unlimited())
        .build()
}

/// Retries that are not counted. How fast calls are made is for [`Pace`](super::pace::Pace) to say: the SDK's adaptive
/// mode, which is meant for that, needed 1.06 to 1.20 of the time that quotas of 2 to 20 calls a second allow.
fn retry_config() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(u32::MAX)
        .with_initial_backoff(FIRST_BACKOFF)
        .with_max_backoff(LONGEST_BACKOFF)
}
