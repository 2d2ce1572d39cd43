//! A role as a test describes it, and whom it trusts.

use std::time::Duration;

use crate::arn::{InvalidArn, RoleArn};
use crate::identity::Identity;

/// An IAM role, and who may assume it; initially no one.
///
/// ```
/// use rekognition_emulator::Role;
///
/// let role = Role::new("arn:aws:iam::222222222222:role/audit/stopper")?
///     .trusts("arn:aws:iam::123456789012:role/stopper")
///     .external_id("nightly");
/// # let _ = role;
/// # Ok::<(), rekognition_emulator::InvalidArn>(())
/// ```
#[derive(Debug, Clone)]
pub struct Role {
    pub(crate) arn: RoleArn,
    pub(crate) session_length: Option<Duration>,
    principals: Vec<String>,
    external_id: Option<String>,
}

impl Role {
    /// A role that trusts no one.
    ///
    /// # Errors
    /// [`InvalidArn`] when `arn` is not a role's.
    pub fn new(arn: &str) -> Result<Self, InvalidArn> {
        Ok(Self {
            arn: RoleArn::parse(arn)?,
            session_length: None,
            principals: Vec::new(),
            external_id: None,
        })
    }

    /// Trusts a principal too: an account, as its ID or as `arn:aws:iam::ID:root`; a role, by its
    /// ARN; one session of a role, by its ARN; or everyone, as `*`.
    pub fn trusts(mut self, principal: &str) -> Self {
        self.principals.push(principal.to_owned());
        self
    }

    /// Trusts only those who give this external ID.
    pub fn external_id(mut self, external_id: &str) -> Self {
        self.external_id = Some(external_id.to_owned());
        self
    }

    /// Its sessions end after this time, whatever duration was asked for: a real one lasts 15
    /// minutes or more.
    pub fn session_length(mut self, duration: Duration) -> Self {
        self.session_length = Some(duration);
        self
    }

    pub(crate) fn admits(&self, caller: &Identity, external_id: Option<&str>) -> bool {
        let root = |principal: &str| {
            let account = principal.strip_suffix(":root")?.rsplit(':').next()?;
            Some(account == caller.account)
        };
        let is_caller = |principal: &String| {
            principal == "*"
                || *principal == caller.account
                || *principal == caller.role_arn
                || *principal == caller.arn
                || root(principal) == Some(true)
        };
        self.principals.iter().any(is_caller)
            && (self.external_id.as_deref()).is_none_or(|it| external_id == Some(it))
    }
}
