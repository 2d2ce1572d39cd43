//! A run: from entries to scopes, and on to the report. It does not know the SDK.
//!
//! - [`accounts`] is what a wildcard in the account stands for, and [`plan`] splits a run into
//!   parts.
//! - [`scopes`] starts a scope for each account and region, and [`scope`] is the loop of one scope.
//! - [`model`] is the table for one model, from what is known about it to the next step.
//! - [`discovery`] finds the models of patterns, [`checks`] decides which call checks which models,
//!   and [`cadence`] when. [`pages`] is how a list is read.

mod accounts;
mod cadence;
mod checks;
mod discovery;
mod model;
mod pages;
mod plan;
mod scope;
mod scopes;
mod tally;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use time::OffsetDateTime;

use crate::arn::{AccountId, InvalidModelArn, ModelArn, ModelPattern, Target};
use crate::aws::{Aws, Caller};
use crate::report::Report;
use crate::request::Entry;
use crate::settings::Settings;
use accounts::AccountList;
use model::Rules;
pub use plan::{NotPlanned, Plan, PlannedRun};
use scopes::Scopes;
use tally::Tally;

/// The account and the region in which models are called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ScopeKey {
    partition: Arc<str>,
    account: Arc<str>,
    region: Arc<str>,
}

/// The index of a pattern's entry, and the pattern.
type Pattern<'a> = (usize, &'a ModelPattern);

/// What a scope is to stop, each with the index of its entry.
#[derive(Clone, Debug, Default)]
struct Targets<'a> {
    models: Vec<(usize, ModelArn)>,
    patterns: Vec<Pattern<'a>>,
}

/// What a run is asked to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assignment<'a> {
    pub(crate) entries: &'a [Entry],
    pub(crate) dry_run: bool,
    /// Narrows the run to these of the accounts that a wildcard stands for.
    pub(crate) accounts: Option<&'a [AccountId]>,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    caller: Caller,
    settings: &'a Settings,
    assignment: Assignment<'a>,
    rules: Rules,
    /// The function's own account, in which it needs no role.
    own_account: &'a str,
    now: OffsetDateTime,
}

impl<'a> Run<'a> {
    /// A run with these settings, of a function in this account, at a time that decides which
    /// exemptions have expired.
    pub(crate) fn new(
        settings: &'a Settings,
        assignment: Assignment<'a>,
        own_account: &'a str,
        now: OffsetDateTime,
        caller: Caller,
    ) -> Self {
        Self {
            caller,
            settings,
            assignment,
            rules: Rules {
                dry_run: assignment.dry_run,
                confirm_stopped: settings.confirm_stopped,
            },
            own_account,
            now,
        }
    }

    /// Stops the models of all entries and reports on each: models at the first entry that is their
    /// own ARN, or else at the first pattern that found them; those of a pattern in the order of
    /// their ARNs, followed by the lookups of that pattern that failed. Each outcome is logged as
    /// soon as it is known.
    pub(crate) async fn run(&self, aws: &Aws) -> Report {
        self.caller
            .deadline
            .expect_lines(self.assignment.entries.len());
        let mut tally = Tally::new(&self.caller.request_id);
        let mut literal: BTreeMap<ScopeKey, Targets> = BTreeMap::new();
        let mut wildcard_patterns = Vec::new();
        for (index, entry) in self.entries() {
            match self.target(entry) {
                Ok(Target::Pattern(pattern)) => {
                    tally.note_pattern(index, pattern);
                    match pattern.account() {
                        None => wildcard_patterns.push((index, pattern)),
                        Some(account) => {
                            self.add_to_scopes(&mut literal, (index, pattern), account);
                        }
                    }
                }
                Ok(Target::Model(model_arn)) => {
                    let targets = literal.entry(ScopeKey::of_model(model_arn)).or_default();
                    targets.models.push((index, model_arn.clone()));
                }
                Err(invalid) => tally.invalid(index, &entry.text, &invalid),
            }
        }
        let mut scopes = Scopes::new(self, aws);
        for (key, targets) in literal {
            scopes.add(key, targets, !wildcard_patterns.is_empty());
        }
        if !wildcard_patterns.is_empty() {
            self.sweep(aws, wildcard_patterns, &mut scopes, &mut tally)
                .await;
        }
        while let Some(end) = scopes.next().await {
            tally.add(end);
        }
        let accounts = scopes.accounts();
        // A pattern that matches nothing in some of the accounts may match in others.
        let covers_all_accounts = self.assignment.accounts.is_none();
        let (models, unmatched_patterns) = tally.into_reports(covers_all_accounts);
        Report::new(
            models,
            unmatched_patterns,
            accounts,
            self.assignment.dry_run,
            self.settings.inference_unit_hour_price,
        )
    }

    /// The entries of the run, without duplicates. A run that `accounts` narrows has only those
    /// with a wildcard in the account.
    fn entries(&self) -> impl Iterator<Item = (usize, &'a Entry)> {
        let mut known = HashSet::new();
        let is_narrowed = self.assignment.accounts.is_some();
        let entries = self.assignment.entries.iter().enumerate();
        entries.filter(move |(_, entry)| {
            (!is_narrowed || entry.has_account_wildcard()) && known.insert(&entry.text)
        })
    }

    /// What an entry stands for.
    ///
    /// # Errors
    /// Why the entry is invalid.
    fn target(&self, entry: &'a Entry) -> Result<&'a Target, InvalidModelArn> {
        match &entry.target {
            Ok(Target::Pattern(pattern))
                if pattern.account().is_none() && self.settings.member_role.is_none() =>
            {
                Err(InvalidModelArn::needs_member_role(pattern))
            }
            target => target.as_ref().map_err(Clone::clone),
        }
    }

    /// Starts scopes for these patterns in each account of the organization, as the pages of its
    /// list arrive.
    async fn sweep(
        &self,
        aws: &Aws,
        patterns: Vec<Pattern<'a>>,
        scopes: &mut Scopes<'_, 'a>,
        tally: &mut Tally<'a>,
    ) {
        let organizations = aws.organizations(self.caller.clone());
        let mut list = AccountList::new(self, &organizations, patterns.clone());
        loop {
            tokio::select! {
                biased;
                accounts = list.next() => {
                    let Some(accounts) = accounts else {
                        break;
                    };
                    for (account, patterns) in accounts {
                        let mut targets = BTreeMap::new();
                        for pattern in patterns {
                            self.add_to_scopes(&mut targets, pattern, account.as_str());
                        }
                        for (key, targets) in targets {
                            scopes.extend(key, targets);
                        }
                    }
                }
                Some(end) = scopes.next() => tally.add(end),
            }
        }
        scopes.close();
        if let Err(error) = list.end() {
            patterns
                .iter()
                .for_each(|(entry, pattern)| tally.fail_list(*entry, pattern, &error));
        }
    }

    /// Adds a pattern to its scopes in an account.
    fn add_to_scopes(
        &self,
        scopes: &mut BTreeMap<ScopeKey, Targets<'a>>,
        pattern: Pattern<'a>,
        account: &str,
    ) {
        for key in self.scopes_of(pattern.1, account) {
            scopes.entry(key).or_default().patterns.push(pattern);
        }
    }

    /// The key of the tag that exempts a model; empty if exemptions are off.
    fn tag_key(&self) -> &str {
        self.settings
            .keep_running_tag
            .as_deref()
            .unwrap_or_default()
    }

    /// The scopes of a pattern in an account: one for each region that it stands for.
    fn scopes_of(&self, pattern: &ModelPattern, account: &str) -> Vec<ScopeKey> {
        let (partition, account): (Arc<str>, Arc<str>) =
            (pattern.partition().into(), account.into());
        let scope = |region: &str| ScopeKey {
            partition: Arc::clone(&partition),
            account: Arc::clone(&account),
            region: region.into(),
        };
        match pattern.region() {
            Some(region) => vec![scope(region)],
            None => {
                let regions = self.settings.regions.iter();
                let regions = regions.filter(|region| pattern.matches_region(region));
                regions.map(|region| scope(region)).collect()
            }
        }
    }
}

impl ScopeKey {
    fn of_model(model_arn: &ModelArn) -> Self {
        Self {
            partition: model_arn.partition().into(),
            account: model_arn.account().into(),
            region: model_arn.region().into(),
        }
    }
}
