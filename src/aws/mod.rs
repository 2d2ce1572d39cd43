//! One attempt at a call: the only place that knows the AWS SDK. It knows neither retries nor what
//! a call is for.
//!
//! - [`Aws`] is what the process keeps: the configuration and its only HTTP client. `Clients` are
//!   those of a run, one for each account and region.
//! - `rekognition`, `organizations`, `sts` and `cloudtrail` have the operations, and `attempt` what
//!   their attempts have in common.
//! - `failure` turns the SDK's errors into ours, and `http` adds what the SDK's client lacks.

mod attempt;
mod cloudtrail;
mod failure;
mod http;
mod organizations;
mod rekognition;
mod sts;

use std::collections::HashMap;
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_credential_types::provider::{error::CredentialsError, future};
use aws_sdk_rekognition::config::retry::{ReconnectMode, RetryConfig};
use aws_sdk_rekognition::config::timeout::TimeoutConfig;
use aws_sdk_rekognition::config::{
    BehaviorVersion, IdentityCache, Region, SharedHttpClient, StalledStreamProtectionConfig,
};
use aws_types::SdkConfig;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};

use crate::calls::request::{Request, ScopeId};
use crate::calls::response::Session;
use attempt::{Attempt, not_open};

/// AWS, with everything that is kept from one run to the next.
#[derive(Clone, Debug)]
pub struct Aws {
    config: SdkConfig,
}

impl Aws {
    /// AWS as Lambda's environment configures it: the region and the credentials of the function,
    /// and the endpoints, proxies and trusted certificates that every AWS SDK reads there.
    pub fn from_env() -> Self {
        let region = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(region.map(Region::new))
            .credentials_provider(SharedCredentialsProvider::new(Environment))
            .service_config(Environment)
            .use_fips(is_on("AWS_USE_FIPS_ENDPOINT"))
            .use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"));
        Self::new(config.build())
    }

    /// AWS with the caller's configuration. Its HTTP client is used if it has one; its retry and
    /// timeout settings are not, because when a call is retried is this program's own rule.
    pub fn new(config: SdkConfig) -> Self {
        let http_client = config.http_client().unwrap_or_else(http::sdk_client);
        let config = config
            .into_builder()
            .http_client(SharedHttpClient::new(http::BufferedResponses(http_client)))
            // Credentials are at hand wherever they come from.
            .identity_cache(IdentityCache::no_cache())
            .retry_config(one_attempt())
            .timeout_config(TimeoutConfig::disabled())
            // An attempt is given up before the SDK would call its stream stalled.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self { config }
    }

    /// The clients of a run.
    pub(crate) fn clients(&self) -> Clients {
        let function = (ScopeId::FUNCTION, Scope::new(self.config.clone()));
        Clients {
            config: self.config.clone(),
            scopes: HashMap::from([function]),
        }
    }
}

/// No retries of the SDK's own. A connection over which an error came is used again: if a service
/// responds with errors, most of the night would otherwise go into new connections.
fn one_attempt() -> RetryConfig {
    RetryConfig::disabled().with_reconnect_mode(ReconnectMode::ReuseAllConnections)
}

/// The variables that Lambda sets for the function's own identity, and those that name endpoints.
#[derive(Debug)]
struct Environment;

impl ProvideCredentials for Environment {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let credentials = || {
            Some(Credentials::new(
                variable("AWS_ACCESS_KEY_ID")?,
                variable("AWS_SECRET_ACCESS_KEY")?,
                variable("AWS_SESSION_TOKEN"),
                None,
                "Environment",
            ))
        };
        let none = || {
            CredentialsError::not_loaded(
                "the environment has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            )
        };
        future::ProvideCredentials::ready(credentials().ok_or_else(none))
    }
}

impl LoadServiceConfig for Environment {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        if is_on("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            return None;
        }
        let service = key.service_id().to_ascii_uppercase().replace(' ', "_");
        let url = variable(&format!("{}_{service}", key.env()));
        url.or_else(|| variable(key.env()))
    }
}

/// Whether a variable is `true`.
fn is_on(name: &str) -> bool {
    variable(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// The value of a variable that is not blank.
fn variable(name: &str) -> Option<String> {
    let value = std::env::var(name).ok();
    value.filter(|value| !value.trim().is_empty())
}

/// The clients of one run, each made at its first attempt.
#[derive(Debug)]
pub(crate) struct Clients {
    config: SdkConfig,
    scopes: HashMap<ScopeId, Scope>,
}

/// An account and region in which calls are made.
#[derive(Debug)]
struct Scope {
    config: SdkConfig,
    rekognition: Option<aws_sdk_rekognition::Client>,
    cloudtrail: Option<aws_sdk_cloudtrail::Client>,
    sts: Option<aws_sdk_sts::Client>,
    organizations: Option<aws_sdk_organizations::Client>,
}

impl Scope {
    fn new(config: SdkConfig) -> Self {
        Self {
            config,
            rekognition: None,
            cloudtrail: None,
            sts: None,
            organizations: None,
        }
    }

    fn rekognition(&mut self) -> &aws_sdk_rekognition::Client {
        let client = || aws_sdk_rekognition::Client::new(&self.config);
        self.rekognition.get_or_insert_with(client)
    }

    fn cloudtrail(&mut self) -> &aws_sdk_cloudtrail::Client {
        let client = || aws_sdk_cloudtrail::Client::new(&self.config);
        self.cloudtrail.get_or_insert_with(client)
    }

    fn sts(&mut self) -> &aws_sdk_sts::Client {
        let client = || aws_sdk_sts::Client::new(&self.config);
        self.sts.get_or_insert_with(client)
    }

    fn organizations(&mut self) -> &aws_sdk_organizations::Client {
        let client = || aws_sdk_organizations::Client::new(&self.config);
        self.organizations.get_or_insert_with(client)
    }
}

impl Clients {
    /// Says where the calls of a scope are made, and with which session: as the function itself
    /// without one.
    pub(crate) fn open(&mut self, scope: ScopeId, region: Arc<str>, session: Option<Session>) {
        let region = Region::new(region.to_string());
        let mut config = self.config.clone().into_builder().region(region);
        if let Some(session) = session {
            config = config.credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                session.access_key_id,
                session.secret_access_key,
                Some(session.session_token),
                None,
                "AssumeRole",
            )));
        }
        self.scopes.insert(scope, Scope::new(config.build()));
    }

    /// Drops the clients of a scope.
    pub(crate) fn close(&mut self, scope: ScopeId) {
        self.scopes.remove(&scope);
    }

    /// Makes one attempt at a call, for the page of a list that has this token, or for the first.
    /// It ends after ten seconds at the latest.
    pub(crate) fn attempt(
        &mut self,
        scope: ScopeId,
        request: &Request,
        token: Option<&str>,
    ) -> Attempt {
        let token = token.map(str::to_owned);
        let Some(scope) = self.scopes.get_mut(&scope) else {
            return not_open();
        };
        match request {
            Request::StopProjectVersion { model_arn } => {
                rekognition::stop_project_version(scope.rekognition(), model_arn)
            }
            Request::ListTagsForResource { model_arn } => {
                rekognition::list_tags_for_resource(scope.rekognition(), model_arn)
            }
            Request::DescribeProjects { names } => {
                rekognition::describe_projects(scope.rekognition(), names, token)
            }
            Request::DescribeProjectVersions { project, models } => {
                rekognition::describe_project_versions(scope.rekognition(), project, models, token)
            }
            Request::LookupEvents { token } => {
                cloudtrail::lookup_events(scope.cloudtrail(), token.clone())
            }
            Request::AssumeRole {
                role_arn,
                external_id,
            } => sts::assume_role(scope.sts(), role_arn, external_id.clone()),
            Request::ListAccounts => organizations::list_accounts(scope.organizations(), token),
            Request::ListAccountsForParent { parent } => {
                organizations::list_accounts_for_parent(scope.organizations(), parent, token)
            }
            Request::ListOrganizationalUnitsForParent { parent } => {
                let client = scope.organizations();
                organizations::list_organizational_units_for_parent(client, parent, token)
            }
        }
    }
}
