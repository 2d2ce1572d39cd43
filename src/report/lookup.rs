//! A lookup that failed: models may be running there that nobody knows of.

use std::sync::Arc;

use super::failure::Failure;
use super::outcome::LONGEST_LOGGED_REASON;
use crate::excerpt::cut;

/// What AWS says where no policy allows an action, and none denies it.
const NOT_GRANTED: &str = "no identity-based policy";

/// A lookup that failed: of a pattern in an account and region, of a whole account, or of the list
/// of accounts.
#[derive(Clone, Debug)]
pub struct FailedLookup {
    /// The pattern, with the account and region in place of the wildcards.
    pub pattern: String,
    /// Why it failed.
    pub failure: Failure,
    /// The index of the pattern's entry.
    pub(crate) entry: usize,
    /// The account, if it is not the list of accounts that could not be read.
    pub(crate) account: Option<Arc<str>>,
    /// The region, if it is one that a wildcard matches.
    pub(crate) region: Option<Arc<str>>,
}

impl FailedLookup {
    /// Whether a policy denies it, rather than that no policy allows it.
    pub(crate) fn is_denied_by_policy(&self) -> bool {
        self.failure.code.is_denied() && !self.failure.message.contains(NOT_GRANTED)
    }

    /// Writes the lookup's line to the log.
    pub(crate) fn log(&self, request_id: &str) {
        tracing::error!(
            requestId = request_id,
            pattern = self.pattern,
            code = self.failure.code.as_str(),
            error = &*cut(&self.failure.message, LONGEST_LOGGED_REASON),
            "lookup"
        );
    }
}
