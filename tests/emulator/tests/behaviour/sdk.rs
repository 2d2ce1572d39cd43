//! Clients of the AWS SDK for Rust, which know nothing of the emulator.

use aws_credential_types::Credentials;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::{BehaviorVersion, Region};
use aws_sdk_sts::error::ProvideErrorMetadata;
use rekognition_emulator::Emulator;

use crate::client::REGION;

/// Those of a caller without a session.
pub fn own_credentials() -> Credentials {
    Credentials::from_keys("AKIDEXAMPLE", "secret", None)
}

/// The clients of one caller in one region; each call is one attempt.
pub struct Sdk {
    pub sts: aws_sdk_sts::Client,
    pub organizations: aws_sdk_organizations::Client,
    pub rekognition: aws_sdk_rekognition::Client,
    pub cloudtrail: aws_sdk_cloudtrail::Client,
}

impl Sdk {
    /// A caller without a session.
    pub fn new(emulator: &Emulator) -> Self {
        Self::with(emulator, REGION, own_credentials())
    }

    pub fn with(emulator: &Emulator, region: &str, credentials: Credentials) -> Self {
        let http = aws_smithy_http_client::Builder::new().build_http();
        macro_rules! client {
            ($sdk:ident) => {{
                let config = $sdk::Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::new(region.to_owned()))
                    .endpoint_url(emulator.url())
                    .credentials_provider(credentials.clone())
                    .retry_config(RetryConfig::disabled())
                    .http_client(http.clone());
                $sdk::Client::from_conf(config.build())
            }};
        }
        Self {
            sts: client!(aws_sdk_sts),
            organizations: client!(aws_sdk_organizations),
            rekognition: client!(aws_sdk_rekognition),
            cloudtrail: client!(aws_sdk_cloudtrail),
        }
    }

    /// A session of the role.
    pub async fn assume(&self, role_arn: &str) -> Result<Credentials, (String, String)> {
        let call = self.sts.assume_role().role_arn(role_arn);
        let answer = call.role_session_name("nightly").send().await;
        let answer = answer.map_err(|error| error_of(&error))?;
        let given = answer.credentials().unwrap();
        Ok(Credentials::new(
            given.access_key_id(),
            given.secret_access_key(),
            Some(given.session_token().to_owned()),
            Some((*given.expiration()).try_into().unwrap()),
            "session",
        ))
    }
}

/// An error's code and message.
pub fn error_of(error: &impl ProvideErrorMetadata) -> (String, String) {
    (
        error.code().unwrap_or_default().to_owned(),
        error.message().unwrap_or_default().to_owned(),
    )
}
