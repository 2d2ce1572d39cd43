//! A run: from entries to scopes, and from there to reports in their order. It does not know the SDK.
//!
//! - [`scope`] is the loop for one account in one region.
//! - [`model`] is the table for one model, from what is known to what is next.
//! - [`discovery`] finds the models of patterns, [`looks`] says which call shows which models, and
//!   [`cadence`] when. [`pages`] is how a list is read.

mod cadence;
mod discovery;
mod looks;
mod model;
mod pages;
mod scope;

use std::collections::{BTreeMap, HashSet};

use futures_util::future::join_all;
use time::OffsetDateTime;

use crate::arn::{InvalidModelArn, ModelArn, ModelPattern, Target};
use crate::aws::{Aws, Caller};
use crate::report::{Failure, ModelReport};
use crate::request::Entry;
use crate::settings::Settings;
use discovery::Search;
use model::Rules;
use scope::{Scope, ScopeReport};

/// Where a report stands among the others: by the entry that it is for, after the models that the
/// entry found where the entry itself has failed, and then by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    entry: usize,
    is_failed_entry: bool,
}

impl Place {
    fn of_model(entry: usize) -> Self {
        Self {
            entry,
            is_failed_entry: false,
        }
    }

    fn of_failed_entry(entry: usize) -> Self {
        Self {
            entry,
            is_failed_entry: true,
        }
    }
}

/// The account and the region that models are called in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ScopeKey<'a> {
    partition: &'a str,
    account: &'a str,
    region: &'a str,
}

/// What is asked of a scope, each with the place of its entry.
#[derive(Debug, Default)]
struct Targets<'a> {
    models: Vec<(usize, ModelArn)>,
    patterns: Vec<(usize, &'a ModelPattern)>,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    caller: Caller,
    rules: Rules,
    keep_running_tag: Option<&'a str>,
    max_concurrency: usize,
    now: OffsetDateTime,
}

impl<'a> Run<'a> {
    /// A run with these settings, at a time that decides which exemptions have ended.
    pub(crate) fn new(
        settings: &'a Settings,
        dry_run: bool,
        now: OffsetDateTime,
        caller: Caller,
    ) -> Self {
        Self {
            caller,
            rules: Rules {
                dry_run,
                confirm_stopped: settings.confirm_stopped,
            },
            keep_running_tag: settings.keep_running_tag.as_deref(),
            max_concurrency: settings.max_concurrency.get(),
            now,
        }
    }

    /// Stops the models of all entries and reports on each: models at the first entry that is their
    /// own ARN, or else at the first pattern that found them; those of a pattern by ARN, and after
    /// them the pattern itself, if it could not be looked up. Each report is logged as soon as it is
    /// known.
    pub(crate) async fn run(&self, aws: &Aws, entries: &[Entry]) -> Vec<ModelReport> {
        self.caller.deadline.expect_lines(entries.len());
        let mut reports = Vec::new();
        let mut scopes: BTreeMap<ScopeKey, Targets> = BTreeMap::new();
        let mut known = HashSet::new();
        for (place, entry) in entries.iter().enumerate() {
            if !known.insert(&entry.text) {
                continue;
            }
            match &entry.target {
                Ok(Target::Model(model_arn)) => {
                    let targets = scopes.entry(ScopeKey::of_model(model_arn)).or_default();
                    targets.models.push((place, model_arn.clone()));
                }
                Ok(Target::Pattern(pattern)) => match ScopeKey::of_pattern(pattern) {
                    Some(key) => scopes
                        .entry(key)
                        .or_default()
                        .patterns
                        .push((place, pattern)),
                    None => {
                        // Scopes are not yet made from wildcards.
                        let invalid = match pattern.account() {
                            None => InvalidModelArn::needs_member_role(pattern),
                            Some(_) => InvalidModelArn::new("the region should be literal"),
                        };
                        reports.push(self.report_invalid(place, entry, &invalid));
                    }
                },
                Err(invalid) => reports.push(self.report_invalid(place, entry, invalid)),
            }
        }
        let scopes = scopes
            .into_iter()
            .map(|(key, targets)| self.run_scope(aws, key, targets));
        for scope in join_all(scopes).await {
            reports.extend(scope.models);
            reports.extend(
                scope
                    .searches
                    .iter()
                    .filter_map(|search| self.report_search(search)),
            );
        }
        reports.sort_by(|(one, first), (other, second)| {
            one.cmp(other)
                .then_with(|| first.model_arn.cmp(&second.model_arn))
        });
        reports.into_iter().map(|(_, report)| report).collect()
    }

    fn report_invalid(
        &self,
        place: usize,
        entry: &Entry,
        invalid: &InvalidModelArn,
    ) -> (Place, ModelReport) {
        let report = ModelReport::failed(&entry.text, Failure::from(invalid));
        report.log(&self.caller.request_id);
        (Place::of_failed_entry(place), report)
    }

    async fn run_scope<'s>(
        &self,
        aws: &Aws,
        key: ScopeKey<'s>,
        targets: Targets<'s>,
    ) -> ScopeReport<'s> {
        let service = aws.rekognition(key.region, self.caller.clone(), self.max_concurrency);
        let scope = Scope::new(
            self,
            &service,
            key.account,
            targets.models,
            targets.patterns,
        );
        Box::pin(scope.run()).await
    }

    /// The report of a pattern that could not be looked up. One that matches nothing is only warned
    /// of.
    fn report_search(&self, search: &Search) -> Option<(Place, ModelReport)> {
        let request_id = &*self.caller.request_id;
        let pattern = search.pattern.as_str();
        if let Some(error) = &search.error {
            let failure =
                Failure::from(error.clone()).explain("the pattern could not be looked up");
            let report = ModelReport::failed(pattern, failure);
            report.log(request_id);
            return Some((Place::of_failed_entry(search.entry), report));
        }
        if search.matches == 0 {
            tracing::warn!(
                requestId = request_id,
                pattern,
                other_account = search.other_account.as_deref(),
                "the pattern matches no model version"
            );
        }
        None
    }
}

impl<'a> ScopeKey<'a> {
    fn of_model(model_arn: &'a ModelArn) -> Self {
        Self {
            partition: model_arn.partition(),
            account: model_arn.account(),
            region: model_arn.region(),
        }
    }

    fn of_pattern(pattern: &'a ModelPattern) -> Option<Self> {
        Some(Self {
            partition: pattern.partition(),
            account: pattern.account()?,
            region: pattern.region()?,
        })
    }
}
