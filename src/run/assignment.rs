//! What a run is asked to do, and the words that all of `run/` uses.

use std::collections::HashSet;
use std::sync::Arc;

use time::OffsetDateTime;

use crate::arn::{AccountId, InvalidModelArn, ModelArn, ModelPattern, Target};
use crate::request::Entry;
use crate::settings::Settings;

/// What a run is asked to do, by whom, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assignment<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) entries: &'a [Entry],
    pub(crate) dry_run: bool,
    /// Narrows the run to these of the accounts that a wildcard matches.
    pub(crate) accounts: Option<&'a [AccountId]>,
    /// The function's own account, in which it needs no role, if it is known.
    pub(crate) own_account: Option<&'a str>,
    /// Lambda's request ID, for the log.
    pub(crate) request_id: &'a str,
    /// When the run begins, which decides which exemptions have expired.
    pub(crate) now: OffsetDateTime,
}

/// The account and the region in which models are called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ScopeKey {
    pub(super) partition: Arc<str>,
    pub(super) account: Arc<str>,
    pub(super) region: Arc<str>,
}

/// A pattern of the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pattern<'a> {
    /// The index of its entry.
    pub(super) entry: usize,
    pub(super) pattern: &'a ModelPattern,
}

/// A model of the list.
#[derive(Clone, Debug)]
pub(super) struct NamedModel {
    /// The index of its entry.
    pub(super) entry: usize,
    pub(super) model_arn: ModelArn,
}

/// What there is to do in one account and region.
#[derive(Clone, Debug, Default)]
pub(super) struct Targets<'a> {
    pub(super) models: Vec<NamedModel>,
    pub(super) patterns: Vec<Pattern<'a>>,
}

/// What to do with all the models of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aim {
    /// Check them, but stop none.
    DryRun,
    /// Stop them, and wait for no confirmation.
    Stop,
    /// Stop them, and wait until the service says that they have stopped.
    StopAndConfirm,
}

impl<'a> Assignment<'a> {
    /// What to do with the models.
    pub(super) fn aim(&self) -> Aim {
        match (self.dry_run, self.settings.confirm_stopped) {
            (true, _) => Aim::DryRun,
            (false, false) => Aim::Stop,
            (false, true) => Aim::StopAndConfirm,
        }
    }

    /// The entries, each with its index, and without duplicates. A run that `accounts` narrows has
    /// only those with a wildcard in the account.
    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, &'a Entry)> + use<'a> {
        let mut known = HashSet::new();
        let is_narrowed = self.accounts.is_some();
        let entries = self.entries.iter().enumerate();
        entries.filter(move |(_, entry)| {
            (!is_narrowed || entry.has_account_wildcard()) && known.insert(&entry.text)
        })
    }

    /// What an entry names or matches.
    ///
    /// # Errors
    /// Why the entry is invalid.
    pub(super) fn target(&self, entry: &'a Entry) -> Result<&'a Target, InvalidModelArn> {
        match &entry.target {
            Ok(Target::Pattern(pattern))
                if pattern.account().is_none() && self.settings.member_role.is_none() =>
            {
                Err(pattern.needs_member_role())
            }
            target => target.as_ref().map_err(Clone::clone),
        }
    }

    /// The patterns with a wildcard in the account.
    pub(super) fn wildcards(&self) -> Vec<Pattern<'a>> {
        let targets = self
            .entries()
            .map(|(entry, written)| (entry, self.target(written)));
        let patterns = targets.filter_map(|(entry, target)| match target {
            Ok(Target::Pattern(pattern)) if pattern.account().is_none() => {
                Some(Pattern { entry, pattern })
            }
            _ => None,
        });
        patterns.collect()
    }

    /// The role in which calls to an account are made, unless they are made as the function itself.
    pub(super) fn role(&self, partition: &str, account: &str) -> Option<String> {
        let role = self.settings.member_role.as_deref()?;
        (self.own_account != Some(account))
            .then(|| format!("arn:{partition}:iam::{account}:role/{role}"))
    }
}

impl ScopeKey {
    /// Where a model is called.
    pub(super) fn of_model(model_arn: &ModelArn) -> Self {
        Self {
            partition: model_arn.partition().into(),
            account: model_arn.account().into(),
            region: model_arn.region().into(),
        }
    }
}

impl Targets<'_> {
    /// How many lines the log may need for them.
    pub(super) fn lines(&self) -> usize {
        self.models.len() + self.patterns.len()
    }
}
