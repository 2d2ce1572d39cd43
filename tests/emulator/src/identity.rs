//! Who calls: roles, the sessions of them that STS gave out, and everyone else.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::arn::RoleArn;
use crate::error::ServiceError;

/// An IAM role, and who may assume it; initially no one.
#[derive(Debug, Clone)]
pub struct Role {
    pub(crate) arn: RoleArn,
    principals: Vec<String>,
    external_id: Option<String>,
}

impl Role {
    /// A role that trusts no one.
    ///
    /// # Errors
    /// What is wrong with `arn` as that of a role.
    pub fn new(arn: &str) -> Result<Self, String> {
        Ok(Self {
            arn: RoleArn::parse(arn).ok_or_else(|| {
                format!("'{arn}' does not have the form arn:PARTITION:iam::ACCOUNT:role/NAME")
            })?,
            principals: Vec::new(),
            external_id: None,
        })
    }

    pub(crate) fn admits(&self, caller: &Identity, external_id: Option<&str>) -> bool {
        let root = format!(":iam::{}:root", caller.account);
        let is_caller = |principal: &String| {
            principal == "*"
                || *principal == caller.account
                || *principal == caller.role_arn
                || *principal == caller.arn
                || principal.ends_with(&root)
        };
        self.principals.iter().any(is_caller)
            && (self.external_id.as_deref()).is_none_or(|it| external_id == Some(it))
    }
}

setters!(Role {
    /// Trusts a principal too: an account, as its ID or as `arn:aws:iam::ID:root`; a role, by its
    /// ARN; one session of a role, by its ARN; or everyone, as `*`.
    trusts(role, principal: &str) => role.principals.push(principal.to_owned());
    /// Trusts only those who give this external ID.
    external_id(role, external_id: &str) => role.external_id = Some(external_id.to_owned());
});

/// Who a call acts as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) account: String,
    /// The session's ARN, as messages name it.
    pub(crate) arn: String,
    /// The ARN of the session's role, as trust policies name it.
    pub(crate) role_arn: String,
}

/// The roles that exist and the sessions of them; everyone else is one session of the role
/// `stopper`.
#[derive(Debug)]
pub(crate) struct Identities {
    /// The account of everyone without a session.
    pub(crate) account: String,
    /// By their ARNs.
    pub(crate) roles: HashMap<String, Role>,
    sessions: HashMap<String, Session>,
}

#[derive(Debug)]
struct Session {
    identity: Identity,
    token: String,
    expires_at: Instant,
}

impl Default for Identities {
    fn default() -> Self {
        Self {
            account: "123456789012".to_owned(),
            roles: HashMap::new(),
            sessions: HashMap::new(),
        }
    }
}

impl Identities {
    /// Begins a session, and gives its access key and its token.
    pub(crate) fn begin_session(
        &mut self,
        identity: Identity,
        length: Duration,
    ) -> (String, String) {
        let access_key = format!("ASIAEMULATOR{:08}", self.sessions.len() + 1);
        let token = format!("session-token-of-{access_key}");
        let session = Session {
            identity,
            token: token.clone(),
            expires_at: Instant::now() + length,
        };
        self.sessions.insert(access_key.clone(), session);
        (access_key, token)
    }

    /// Who calls with this access key, be its session over or not.
    pub(crate) fn identity_of(&self, access_key: &str) -> Identity {
        if let Some(session) = self.sessions.get(access_key) {
            return session.identity.clone();
        }
        let account = &self.account;
        Identity {
            account: account.clone(),
            arn: format!("arn:aws:sts::{account}:assumed-role/stopper/stopper"),
            role_arn: format!("arn:aws:iam::{account}:role/stopper"),
        }
    }

    /// Refuses a session's access key with another token than its own, or when the session is over.
    pub(crate) fn check(&self, access_key: &str, token: Option<&str>) -> Result<(), ServiceError> {
        match self.sessions.get(access_key) {
            Some(session) if token != Some(&session.token) => Err(ServiceError::new(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            )),
            Some(session) if session.expires_at <= Instant::now() => Err(ServiceError::new(
                "ExpiredTokenException",
                "The security token included in the request is expired",
            )),
            _ => Ok(()),
        }
    }
}
