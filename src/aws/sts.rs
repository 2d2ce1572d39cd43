//! The operation of STS, and the sessions that it gives.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_sts::Client;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::call::{CallError, Caller};
use super::turns::Lane;

/// The name of the sessions, which CloudTrail shows with each of their calls.
const SESSION_NAME: &str = "rekognition-stopper";

/// A role in another account, with the session in it that the process has.
#[derive(Debug)]
pub(super) struct Role {
    arn: String,
    credentials: Mutex<Option<Credentials>>,
    /// Held while the role is assumed, so that one session serves all who wait for it.
    assuming: tokio::sync::Mutex<()>,
}

impl Role {
    pub(super) fn new(arn: String) -> Self {
        Self {
            arn,
            credentials: Mutex::default(),
            assuming: tokio::sync::Mutex::default(),
        }
    }

    fn credentials(&self) -> Option<Credentials> {
        let credentials = self.credentials.lock();
        credentials.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Gives the SDK the credentials of the session as it is now. To begin one is not for the SDK, in the
/// middle of another call.
impl ProvideCredentials for Session {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let credentials = self.credentials();
        let none = || CredentialsError::not_loaded(format!("{} is not assumed", self.role.arn));
        future::ProvideCredentials::ready(credentials.ok_or_else(none))
    }
}

/// STS, for one run.
#[derive(Debug)]
pub(crate) struct Sts {
    client: Client,
    caller: Caller,
    external_id: Option<String>,
    assume_role: Lane,
}

impl Sts {
    pub(super) fn new(
        client: Client,
        caller: Caller,
        external_id: Option<String>,
        assume_role: Lane,
    ) -> Self {
        Self {
            client,
            caller,
            external_id,
            assume_role,
        }
    }

    /// The credentials of a new session in a role.
    async fn assume_role(&self, role_arn: &str) -> Result<Credentials, CallError> {
        let attempt = || {
            self.client
                .assume_role()
                .role_arn(role_arn)
                .role_session_name(SESSION_NAME)
                .set_external_id(self.external_id.clone())
                .send()
        };
        self.caller
            .call(&self.assume_role, role_arn, attempt, |response| {
                let credentials = response.credentials?;
                let expiration = SystemTime::try_from(credentials.expiration).ok()?;
                Some(Credentials::new(
                    credentials.access_key_id,
                    credentials.secret_access_key,
                    Some(credentials.session_token),
                    Some(expiration),
                    "AssumeRole",
                ))
            })
            .await
    }
}

/// A session in a role of another account, for the calls of one run.
#[derive(Clone)]
pub(crate) struct Session {
    pub(super) role: Arc<Role>,
    pub(super) sts: Arc<Sts>,
}

impl Session {
    /// Assumes the role, unless the session of an earlier run lasts to the end of this one.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] where STS refuses, and [`CallError::OutOfTime`].
    pub(crate) async fn begin(&self) -> Result<(), CallError> {
        let end = SystemTime::now() + self.sts.caller.deadline.left();
        let lasts = |credentials: &Credentials| credentials.expiry().is_none_or(|it| it > end);
        match self.credentials() {
            Some(credentials) if lasts(&credentials) => Ok(()),
            expired => self.renew(expired).await,
        }
    }

    /// Assumes the role anew, unless that was done since these credentials were those of the
    /// session.
    ///
    /// # Errors
    /// Those of [`Session::begin`].
    // Boxed, since it is a call in the middle of a call.
    pub(super) fn renew(
        &self,
        expired: Option<Credentials>,
    ) -> BoxFuture<'_, Result<(), CallError>> {
        async move {
            let role = &self.role;
            let _assuming = role.assuming.lock().await;
            if self.credentials() != expired {
                return Ok(());
            }
            let credentials = self.sts.assume_role(&role.arn).await;
            let credentials = credentials.map_err(|error| match error {
                CallError::OutOfTime { last_failure } => CallError::OutOfTime { last_failure },
                error => CallError::Unreachable {
                    message: format!("{} could not be assumed: {error}", role.arn),
                },
            })?;
            let mut current = role
                .credentials
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *current = Some(credentials);
            Ok(())
        }
        .boxed()
    }

    pub(super) fn credentials(&self) -> Option<Credentials> {
        self.role.credentials()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Session").field(&self.role.arn).finish()
    }
}
