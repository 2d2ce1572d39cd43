//! The operation of STS, and the sessions that it opens.

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

/// The name of the sessions, which CloudTrail records with each of their calls.
const SESSION_NAME: &str = "rekognition-stopper";

/// A role in another account, with the credentials of the process's session in it.
#[derive(Debug)]
pub(super) struct Role {
    arn: String,
    credentials: Mutex<Option<Credentials>>,
    /// Held while the role is being assumed, so that one session serves every call that waits for
    /// it.
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

/// Gives the SDK the session's current credentials. The SDK must not start a session in the middle
/// of another call.
impl ProvideCredentials for Session {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let credentials = self.credentials();
        let none =
            || CredentialsError::not_loaded(format!("{} has not been assumed", self.role.arn));
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

    /// How many more AssumeRole calls would soon have their turn.
    pub(crate) fn room(&self) -> usize {
        self.assume_role.room()
    }

    /// Waits until there may be more room.
    pub(crate) async fn room_changed(&self) {
        self.assume_role.room_changed().await;
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
    /// Assumes the role, unless the session of an earlier run lasts until the end of this one.
    ///
    /// # Errors
    /// [`CallError::Unreachable`] if the role could not be assumed, and [`CallError::OutOfTime`].
    pub(crate) async fn begin(&self) -> Result<(), CallError> {
        let end = SystemTime::now() + self.sts.caller.deadline.left();
        let lasts = |credentials: &Credentials| credentials.expiry().is_none_or(|it| it > end);
        match self.credentials() {
            Some(credentials) if lasts(&credentials) => Ok(()),
            expired => self.renew(expired).await,
        }
    }

    /// Assumes the role again, unless another call has already replaced these credentials.
    ///
    /// # Errors
    /// Those of [`Session::begin`].
    // Boxed, because it is a call within a call.
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

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::Duration;

    use aws_config::{BehaviorVersion, SdkConfig};
    use tokio::time::Instant;

    use super::super::Aws;
    use crate::deadline::Deadline;

    const ROLE: &str = "arn:aws:iam::222222222222:role/stopper-member";
    const MINUTE: Duration = Duration::from_secs(60);

    /// A session for a run of this many minutes, with an STS that fails every call.
    fn session(minutes: u32) -> Session {
        let end = Instant::now() + MINUTE * minutes;
        let caller = Caller {
            deadline: Arc::new(Deadline::new(end)),
            request_id: "request-1".into(),
            session: None,
        };
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest());
        let aws = Aws::new(config.build());
        let sts = aws.sts(caller, None);
        aws.session(&sts, ROLE.to_owned())
    }

    /// Credentials that expire after this many minutes.
    fn credentials(minutes: u32) -> Credentials {
        let end = SystemTime::now() + MINUTE * minutes;
        Credentials::new("ASIA", "secret", None, Some(end), "AssumeRole")
    }

    fn keep(session: &Session, credentials: Credentials) {
        *session.role.credentials.lock().unwrap() = Some(credentials);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_kept_if_it_lasts_until_the_end_of_the_run() {
        for (lasts, is_kept) in [(60, true), (16, true), (14, false), (0, false)] {
            let session = session(15);
            keep(&session, credentials(lasts));
            let begun = session.begin().await;
            assert_eq!(begun.is_ok(), is_kept, "{lasts} minutes: {begun:?}");
        }
        let begun = session(15).begin().await;
        assert!(
            matches!(&begun, Err(CallError::Unreachable { message }) if message.starts_with(ROLE)),
            "{begun:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_another_call_has_renewed_is_not_renewed_again() {
        let session = session(15);
        let expired = credentials(0);
        keep(&session, credentials(60));
        session.renew(Some(expired)).await.unwrap();
        session.renew(None).await.unwrap();
        session.renew(session.credentials()).await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn the_sdk_is_given_the_sessions_current_credentials() {
        let session = session(15);
        let error = session.provide_credentials().await.unwrap_err();
        assert!(matches!(error, CredentialsError::CredentialsNotLoaded(_)));
        for minutes in [1, 60] {
            let credentials = credentials(minutes);
            keep(&session, credentials.clone());
            let provided = session.provide_credentials().await.unwrap();
            assert_eq!(provided, credentials);
        }
    }
}
