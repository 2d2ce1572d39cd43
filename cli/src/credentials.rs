//! Credentials: found as the AWS CLI finds them, and whose they are.

use std::error::Error;

use aws_config::default_provider::region::DefaultRegionChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};

/// Where STS is called if no region is configured.
const REGION: Region = Region::from_static("us-east-1");

/// Who calls.
pub struct Caller {
    /// Its configuration, with fixed credentials.
    pub config: SdkConfig,
    /// Its account.
    pub account: String,
    /// Its ARN.
    pub arn: String,
}

/// Finds the credentials of this profile, or else of the SDK's default chain, and asks STS whose
/// they are.
///
/// # Errors
/// Why there are no valid ones, and what to do about it.
pub async fn resolve(profile: Option<&str>) -> Result<Caller, String> {
    let mut region = DefaultRegionChain::builder();
    if let Some(profile) = profile {
        region = region.profile_name(profile);
    }
    let region = region.build().region().await.unwrap_or(REGION);
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(region.clone());
    if let Some(profile) = profile {
        // In the default chain, credentials in the environment come before any profile. If a
        // profile is named, no other account is meant.
        let provider = ProfileFileCredentialsProvider::builder()
            .configure(&ProviderConfig::without_region().with_region(Some(region)))
            .profile_name(profile)
            .build();
        loader = loader.profile_name(profile).credentials_provider(provider);
    }
    let config = loader.load().await;
    let provider = config.credentials_provider();
    let provider = provider.ok_or("the AWS SDK has no source of credentials")?;
    // Once, because the handler asks for them at each of its calls.
    let credentials = provider.provide_credentials().await;
    let credentials = credentials.map_err(|error| no_credentials(&error, profile))?;
    let config = config
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();

    let sts = aws_sdk_sts::Client::new(&config);
    let identity = sts.get_caller_identity().send().await.map_err(|error| {
        let error = error
            .into_source()
            .map_or_else(|it| chain(&it), |it| chain(&*it));
        format!("AWS STS does not say whose credentials these are: {error}")
    })?;
    let (Some(account), Some(arn)) = (identity.account, identity.arn) else {
        return Err("AWS STS has not said whose credentials these are".to_owned());
    };
    Ok(Caller {
        config,
        account,
        arn,
    })
}

/// Why there are no credentials, and what to do about it.
fn no_credentials(error: &CredentialsError, profile: Option<&str>) -> String {
    let profile = profile.map(str::to_owned);
    let profile = profile.or_else(|| std::env::var("AWS_PROFILE").ok());
    // The error itself only says that credentials were not loaded.
    let reason = error.source().map_or_else(|| error.to_string(), chain);
    let is_of_sso = reason.to_ascii_lowercase().contains("sso");
    match (profile, error) {
        (Some(profile), _) if is_of_sso => format!(
            "profile {profile} has no valid SSO session: log in with `aws sso login --profile \
             {profile}` ({reason})"
        ),
        (None, _) if is_of_sso => {
            format!("there is no valid SSO session: log in with `aws sso login` ({reason})")
        }
        (Some(profile), CredentialsError::CredentialsNotLoaded(_)) => {
            format!("profile {profile} is not in ~/.aws/config, or has no credentials")
        }
        (None, CredentialsError::CredentialsNotLoaded(_)) => {
            "no AWS credentials were found: name a profile with --profile, or set \
             AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                .to_owned()
        }
        (Some(profile), _) => format!("profile {profile} has no valid credentials: {reason}"),
        (None, _) => format!("the AWS credentials could not be loaded: {reason}"),
    }
}

/// An error with all that it was caused by.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}
