//! One attempt at a call: the only place that knows the AWS SDK. It knows neither retries nor what
//! a call is for.
//!
//! - [`Aws`] is what the process keeps: the configuration and the HTTP client, of which there is
//!   one. `Clients` are those of a run, one for each account and region.
//! - `rekognition`, `organizations` and `sts` have the operations, and `attempt` what their
//!   attempts have in common.
//! - `failure` turns the SDK's errors into ours, and `http` adds what the SDK's client lacks.

mod attempt;
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
        Clients {
            config: self.config.clone(),
            sts: None,
            organizations: None,
            scopes: HashMap::new(),
        }
    }
}

/// No retries of the SDK's own. A connection that has brought an error is used again: most of a
/// night in which a service responds with errors would go into new ones.
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
    sts: Option<aws_sdk_sts::Client>,
    organizations: Option<aws_sdk_organizations::Client>,
    scopes: HashMap<ScopeId, Scope>,
}

/// An account and region in which Rekognition is called.
#[derive(Debug)]
struct Scope {
    region: Arc<str>,
    /// Calls are made as the function itself without one.
    session: Option<Session>,
    client: Option<aws_sdk_rekognition::Client>,
}

impl Clients {
    /// Says where the calls of a scope to Rekognition are made, and with which session.
    pub(crate) fn open(&mut self, scope: ScopeId, region: Arc<str>, session: Option<Session>) {
        let client = None;
        let opened = Scope {
            region,
            session,
            client,
        };
        self.scopes.insert(scope, opened);
    }

    /// Drops the client of a scope.
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
        match request {
            Request::AssumeRole {
                role_arn,
                external_id,
            } => sts::assume_role(self.sts(), role_arn, external_id.clone()),
            Request::ListAccounts => organizations::list_accounts(self.organizations(), token),
            Request::ListAccountsForParent { parent } => {
                organizations::list_accounts_for_parent(self.organizations(), parent, token)
            }
            Request::ListOrganizationalUnitsForParent { parent } => {
                let client = self.organizations();
                organizations::list_organizational_units_for_parent(client, parent, token)
            }
            Request::StopProjectVersion { model_arn } => self.in_scope(scope, |client| {
                rekognition::stop_project_version(client, model_arn)
            }),
            Request::ListTagsForResource { model_arn } => self.in_scope(scope, |client| {
                rekognition::list_tags_for_resource(client, model_arn)
            }),
            Request::DescribeProjects { names } => self.in_scope(scope, |client| {
                rekognition::describe_projects(client, names, token)
            }),
            Request::DescribeProjectVersions { project, models } => self
                .in_scope(scope, |client| {
                    rekognition::describe_project_versions(client, project, models, token)
                }),
        }
    }

    fn in_scope(
        &mut self,
        scope: ScopeId,
        attempt: impl FnOnce(&aws_sdk_rekognition::Client) -> Attempt,
    ) -> Attempt {
        self.rekognition(scope).map_or_else(not_open, attempt)
    }

    fn rekognition(&mut self, scope: ScopeId) -> Option<&aws_sdk_rekognition::Client> {
        let scope = self.scopes.get_mut(&scope)?;
        Some(scope.client.get_or_insert_with(|| {
            let mut config = aws_sdk_rekognition::config::Builder::from(&self.config)
                .region(Region::new(scope.region.to_string()));
            if let Some(session) = &scope.session {
                config = config.credentials_provider(Credentials::new(
                    &session.access_key_id,
                    &session.secret_access_key,
                    Some(session.session_token.clone()),
                    None,
                    "AssumeRole",
                ));
            }
            aws_sdk_rekognition::Client::from_conf(config.build())
        }))
    }

    fn sts(&mut self) -> &aws_sdk_sts::Client {
        let config = &self.config;
        self.sts
            .get_or_insert_with(|| aws_sdk_sts::Client::new(config))
    }

    fn organizations(&mut self) -> &aws_sdk_organizations::Client {
        let config = &self.config;
        self.organizations
            .get_or_insert_with(|| aws_sdk_organizations::Client::new(config))
    }
}
