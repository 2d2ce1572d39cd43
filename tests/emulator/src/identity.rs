//! Who calls: the identity behind an access key, and the sessions that STS gave out.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::ServiceError;
use crate::role::Role;

/// Who a call acts as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) account: String,
    /// The session's ARN, as GetCallerIdentity and messages name it.
    pub(crate) arn: String,
    /// The ARN of the session's role, as trust policies name it.
    pub(crate) role_arn: String,
}

impl Identity {
    /// The names of the role and of the session.
    pub(crate) fn role_and_session(&self) -> Option<(&str, &str)> {
        self.arn.split_once(":assumed-role/")?.1.split_once('/')
    }
}

/// The roles that exist and the sessions of them; everyone else is one session of the caller's
/// role.
#[derive(Debug)]
pub(crate) struct Identities {
    /// The account of everyone without a session.
    pub(crate) account: String,
    /// The role of everyone without a session, with its path.
    pub(crate) caller_role: String,
    roles: HashMap<String, Role>,
    sessions: HashMap<String, Session>,
}

/// The credentials of a session, as AssumeRole returns them.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) token: String,
}

#[derive(Debug)]
struct Session {
    identity: Identity,
    token: String,
    /// None if that is too far away.
    expires_at: Option<Instant>,
}

impl Identities {
    pub(crate) fn new() -> Self {
        Self {
            account: "123456789012".to_owned(),
            caller_role: "stopper".to_owned(),
            roles: HashMap::new(),
            sessions: HashMap::new(),
        }
    }

    pub(crate) fn add_role(&mut self, role: Role) {
        self.roles.insert(role.arn.text.clone(), role);
    }

    /// The role of that ARN.
    pub(crate) fn role(&self, arn: &str) -> Option<&Role> {
        self.roles.get(arn)
    }

    /// Begins a session of the role.
    pub(crate) fn begin_session(&mut self, identity: Identity, length: Duration) -> Credentials {
        let number = self.sessions.len() + 1;
        let access_key = format!("ASIAEMULATOR{number:08}");
        let token = format!("session-token-of-{access_key}");
        let session = Session {
            identity,
            token: token.clone(),
            expires_at: Instant::now().checked_add(length),
        };
        self.sessions.insert(access_key.clone(), session);
        Credentials {
            secret_key: format!("secret-key-of-{access_key}"),
            access_key,
            token,
        }
    }

    /// Ends every session so far.
    pub(crate) fn expire_sessions(&mut self) {
        let now = Instant::now();
        for session in self.sessions.values_mut() {
            session.expires_at = Some(now);
        }
    }

    /// Who calls with this access key, be its session over or not.
    pub(crate) fn identity_of(&self, access_key: &str) -> Identity {
        match self.sessions.get(access_key) {
            Some(session) => session.identity.clone(),
            None => self.caller(),
        }
    }

    /// Everybody without a session.
    fn caller(&self) -> Identity {
        let role_name = self.caller_role.rsplit('/').next().unwrap_or_default();
        Identity {
            account: self.account.clone(),
            arn: format!(
                "arn:aws:sts::{}:assumed-role/{role_name}/stopper",
                self.account
            ),
            role_arn: format!("arn:aws:iam::{}:role/{}", self.account, self.caller_role),
        }
    }

    /// Refuses a session's access key with another token than its own, or when the session is over.
    pub(crate) fn check(&self, access_key: &str, token: Option<&str>) -> Result<(), ServiceError> {
        let Some(session) = self.sessions.get(access_key) else {
            return Ok(());
        };
        if token != Some(&session.token) {
            return Err(ServiceError::new(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ));
        }
        match session.expires_at {
            Some(end) if end <= Instant::now() => Err(ServiceError::new(
                "ExpiredTokenException",
                "The security token included in the request is expired",
            )),
            _ => Ok(()),
        }
    }
}
