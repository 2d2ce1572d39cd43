//! The AWS services: what is called, and how. Nothing here knows why.
//!
//! - [`Aws`] is what the process keeps: connections, credentials and slots for calls.
//! - `rekognition`, `organizations` and `sts` have the operations.
//! - `call` makes one call, with as many attempts as `judge` allows, when `turns` and `pace` let
//!   it.

mod call;
mod credentials;
mod http;
mod judge;
mod operation;
mod organizations;
mod pace;
mod rekognition;
mod status;
mod sts;
mod turns;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_sdk_rekognition::config::retry::RetryConfig;
use aws_sdk_rekognition::config::timeout::TimeoutConfig;
use aws_sdk_rekognition::config::{
    IdentityCache, Region, SharedHttpClient, StalledStreamProtectionConfig,
};

pub use call::CallError;
pub(crate) use call::Caller;
use credentials::{DefaultChain, config_loader, load};
pub(crate) use operation::Operation;
pub(crate) use organizations::{Account, Organizations};
pub(crate) use rekognition::{NAMES_PER_CALL, Page, Project, Rekognition, Version};
pub use status::{Observation, Phase, Status};
use sts::Role;
pub(crate) use sts::{Session, Sts};
use turns::{Lane, ScopeSlots, Slots};

/// The maximum number of calls to Rekognition in flight at once, across all scopes.
const MOST_REKOGNITION_CALLS: usize = 128;
/// Of these, the maximum in a region that has not answered yet, or has stopped answering.
const MOST_IN_SILENT_REGION: usize = 24;
/// The same for Organizations and for STS, where the smaller limit is for calls whose last attempt
/// was not answered.
const MOST_ORGANIZATIONS_CALLS: usize = 16;
const MOST_STS_CALLS: usize = 16;
const MOST_IN_SILENCE: usize = 4;

/// AWS, with everything that is kept from one run to the next: one HTTP client with its
/// connections, which all accounts share; the function's credentials; and a session for each role.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
    rekognition: Arc<Slots>,
    organizations: Arc<Slots>,
    sts: Arc<Slots>,
    /// The roles of other accounts, by their ARNs.
    roles: Arc<Mutex<HashMap<String, Arc<Role>>>>,
}

impl Aws {
    /// AWS as configured by the environment: credentials, endpoints, proxy and trusted certificates
    /// are read where every AWS SDK reads them.
    pub async fn from_env() -> Self {
        let http_client = http::sdk_client();
        let loader = config_loader(&http_client)
            .credentials_provider(DefaultChain::new(http_client.clone()))
            // Lambda sets this. If it is not set, the SDK's own chain would query instance
            // metadata.
            .region(EnvironmentVariableRegionProvider::new());
        Self::new(load(loader).await)
    }

    /// AWS with the caller's configuration. Its HTTP client is used if it has one; its retry and
    /// timeout settings are not, because the deadline decides.
    pub fn new(config: SdkConfig) -> Self {
        let http_client = config.http_client().unwrap_or_else(http::sdk_client);
        let config = config
            .into_builder()
            .http_client(SharedHttpClient::new(http::BufferedResponses(http_client)))
            .identity_cache(IdentityCache::lazy().build())
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            // An attempt is given up before the SDK would call its stream stalled.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self {
            config,
            rekognition: Arc::new(Slots::new(MOST_REKOGNITION_CALLS, MOST_IN_SILENT_REGION)),
            organizations: Arc::new(Slots::new(MOST_ORGANIZATIONS_CALLS, MOST_IN_SILENCE)),
            sts: Arc::new(Slots::new(MOST_STS_CALLS, MOST_IN_SILENCE)),
            roles: Arc::default(),
        }
    }

    /// Rekognition in one region, with the caller's identity.
    pub(crate) fn rekognition(
        &self,
        region: &str,
        caller: Caller,
        max_concurrency: usize,
    ) -> Rekognition {
        let mut config = aws_sdk_rekognition::config::Builder::from(&self.config)
            .region(Region::new(region.to_owned()));
        if let Some(session) = &caller.session {
            // The session itself keeps its credentials. The SDK's cache holds too few.
            config = config
                .credentials_provider(session.clone())
                .identity_cache(IdentityCache::no_cache());
        }
        let client = aws_sdk_rekognition::Client::from_conf(config.build());
        let slots = ScopeSlots::new(max_concurrency, region, &self.rekognition);
        Rekognition::new(client, caller, slots)
    }

    /// Organizations, as the function itself.
    pub(crate) fn organizations(&self, caller: Caller) -> Organizations {
        let client = aws_sdk_organizations::Client::new(&self.config);
        Organizations::new(client, caller, &self.organizations)
    }

    /// STS in the function's own region, as the function itself; `external_id` is sent with every
    /// role.
    pub(crate) fn sts(&self, caller: Caller, external_id: Option<String>) -> Arc<Sts> {
        let client = aws_sdk_sts::Client::new(&self.config);
        let slots = ScopeSlots::of_service(&self.sts);
        let assume_role = Lane::new(Operation::AssumeRole, &slots);
        Arc::new(Sts::new(client, caller, external_id, assume_role))
    }

    /// The session in a role of another account.
    pub(crate) fn session(&self, sts: &Arc<Sts>, role_arn: String) -> Session {
        let mut roles = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        let role = roles
            .entry(role_arn)
            .or_insert_with_key(|role_arn| Arc::new(Role::new(role_arn.clone())));
        Session {
            role: Arc::clone(role),
            sts: Arc::clone(sts),
        }
    }
}
