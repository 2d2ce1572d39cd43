//! What has become of the entries of a run, put together from its scopes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::ScopeKey;
use super::discovery::Search;
use super::scopes::ScopeEnd;
use crate::arn::{InvalidModelArn, ModelPattern};
use crate::aws::CallError;
use crate::report::{Failure, ModelReport};

/// Where a report stands among the others: by the entry that it is for, after the models that the
/// entry found where the entry itself has failed, and then by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    entry: usize,
    is_failed_entry: bool,
}

/// What has become of a pattern in all its scopes.
#[derive(Debug)]
struct Lookup<'a> {
    pattern: &'a ModelPattern,
    /// Whether it matches a version anywhere, in any status.
    has_match: bool,
    has_failed: bool,
    /// The account of the projects that were listed, where it is not the pattern's.
    other_account: Option<String>,
}

/// The reports of a run.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    request_id: Arc<str>,
    reports: Vec<(Place, ModelReport)>,
    lookups: BTreeMap<usize, Lookup<'a>>,
    /// The failures of patterns that have been reported.
    failures: HashSet<(usize, String)>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(request_id: &Arc<str>) -> Self {
        Self {
            request_id: Arc::clone(request_id),
            reports: Vec::new(),
            lookups: BTreeMap::new(),
            failures: HashSet::new(),
        }
    }

    /// Notes a pattern, of which something is to be said in the end.
    pub(super) fn expect(&mut self, entry: usize, pattern: &'a ModelPattern) {
        let lookup = Lookup {
            pattern,
            has_match: false,
            has_failed: false,
            other_account: None,
        };
        self.lookups.insert(entry, lookup);
    }

    /// Notes an entry that stands for nothing.
    pub(super) fn invalid(&mut self, entry: usize, text: &str, invalid: &InvalidModelArn) {
        self.fail(entry, text, Failure::from(invalid));
    }

    /// Notes the end of a scope.
    pub(super) fn add(&mut self, end: ScopeEnd<'a>) {
        match end {
            ScopeEnd::Called(report) => {
                let place = |entry| Place {
                    entry,
                    is_failed_entry: false,
                };
                let models = report.models.into_iter();
                self.reports
                    .extend(models.map(|(entry, report)| (place(entry), report)));
                for search in report.searches {
                    self.add_search(&report.key, search);
                }
            }
            ScopeEnd::Failed {
                key,
                targets,
                error,
                is_of_account,
            } => {
                for (entry, model_arn) in targets.models {
                    let report = ModelReport::failed(model_arn.as_str(), error.clone().into());
                    self.report(entry, false, report);
                }
                for (entry, pattern) in targets.patterns {
                    let text = match is_of_account {
                        true => pattern.with_account(&key.account),
                        false => pattern.with_place(&key.account, &key.region),
                    };
                    self.fail_lookup(entry, text, &error);
                }
            }
        }
    }

    /// Notes that not all accounts are known that a pattern stands for.
    pub(super) fn fail_list(&mut self, entry: usize, pattern: &ModelPattern, error: &CallError) {
        self.note(entry, |lookup| lookup.has_failed = true);
        let failure = Failure::from(error.clone())
            .explain("the accounts of the organization could not be listed");
        self.fail(entry, pattern.as_str(), failure);
    }

    /// All reports in their order, and the patterns that match nothing, which are warned of.
    pub(super) fn into_reports(mut self) -> (Vec<ModelReport>, Vec<String>) {
        self.reports.sort_by(|(one, first), (other, second)| {
            one.cmp(other)
                .then_with(|| first.model_arn.cmp(&second.model_arn))
        });
        let mut unmatched_patterns = Vec::new();
        for lookup in self.lookups.into_values() {
            if lookup.has_match || lookup.has_failed {
                continue;
            }
            tracing::warn!(
                requestId = &*self.request_id,
                pattern = lookup.pattern.as_str(),
                other_account = lookup.other_account,
                "the pattern matches no model version"
            );
            unmatched_patterns.push(lookup.pattern.as_str().to_owned());
        }
        let reports = self.reports.into_iter().map(|(_, report)| report);
        (reports.collect(), unmatched_patterns)
    }

    fn add_search(&mut self, key: &ScopeKey, search: Search<'a>) {
        self.note(search.entry, |lookup| {
            lookup.has_match |= search.matches > 0;
            lookup.other_account = lookup.other_account.take().or(search.other_account);
        });
        if let Some(error) = search.error {
            let text = search.pattern.with_place(&key.account, &key.region);
            self.fail_lookup(search.entry, text, &error);
        }
    }

    /// Notes what of a pattern could not be looked up, each only once.
    fn fail_lookup(&mut self, entry: usize, text: String, error: &CallError) {
        self.note(entry, |lookup| lookup.has_failed = true);
        let failure = Failure::from(error.clone()).explain("the pattern could not be looked up");
        if self.failures.insert((entry, text.clone())) {
            self.fail(entry, &text, failure);
        }
    }

    fn note(&mut self, entry: usize, note: impl FnOnce(&mut Lookup<'a>)) {
        if let Some(lookup) = self.lookups.get_mut(&entry) {
            note(lookup);
        }
    }

    fn fail(&mut self, entry: usize, text: &str, failure: Failure) {
        self.report(entry, true, ModelReport::failed(text, failure));
    }

    fn report(&mut self, entry: usize, is_failed_entry: bool, report: ModelReport) {
        report.log(&self.request_id);
        let place = Place {
            entry,
            is_failed_entry,
        };
        self.reports.push((place, report));
    }
}
