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
    pub(super) fn note_pattern(&mut self, entry: usize, pattern: &'a ModelPattern) {
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

    /// All reports in their order, and the patterns that match nothing, which are warned of; none
    /// of these where the run was not of all accounts.
    pub(super) fn into_reports(
        mut self,
        are_all_accounts: bool,
    ) -> (Vec<ModelReport>, Vec<String>) {
        self.reports.sort_by(|(one, first), (other, second)| {
            one.cmp(other)
                .then_with(|| first.model_arn.cmp(&second.model_arn))
        });
        let mut unmatched_patterns = Vec::new();
        for lookup in self.lookups.into_values() {
            if lookup.has_match || lookup.has_failed || !are_all_accounts {
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
            lookup.has_match |= search.has_match;
            lookup.other_account = lookup.other_account.take().or(search.other_account);
        });
        if let Some(error) = search.error {
            let text = match error {
                CallError::Unreachable { .. } => search.pattern.with_account(&key.account),
                _ => search.pattern.with_place(&key.account, &key.region),
            };
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

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::scope::ScopeReport;
    use super::super::{Pattern, Targets};
    use crate::arn::ModelArn;
    use crate::report::Outcome;

    const HERE: &str = "123456789012";
    const THERE: &str = "210987654321";

    fn tally<'a>(patterns: &[Pattern<'a>]) -> Tally<'a> {
        let mut tally = Tally::new(&"request-1".into());
        for (entry, pattern) in patterns {
            tally.note_pattern(*entry, pattern);
        }
        tally
    }

    fn key(account: &str, region: &str) -> ScopeKey {
        ScopeKey {
            partition: "aws".into(),
            account: account.into(),
            region: region.into(),
        }
    }

    fn pattern(region: &str, account: &str) -> ModelPattern {
        let text = format!("arn:aws:rekognition:{region}:{account}:project/*/version/*/*");
        text.parse().unwrap()
    }

    fn model(version: &str) -> ModelArn {
        let text =
            format!("arn:aws:rekognition:us-east-1:{HERE}:project/shelf/version/{version}/1");
        text.parse().unwrap()
    }

    fn denied() -> CallError {
        CallError::Refused {
            code: "AccessDeniedException".to_owned(),
            message: String::new(),
        }
    }

    fn unreachable() -> CallError {
        CallError::Unreachable {
            message: "the role could not be assumed".to_owned(),
        }
    }

    fn search<'a>(
        (entry, pattern): Pattern<'a>,
        has_match: bool,
        error: Option<CallError>,
    ) -> Search<'a> {
        Search {
            entry,
            pattern,
            has_match,
            other_account: None,
            error,
        }
    }

    /// The end of a scope with these stopped models, each with the place of its entry.
    fn called<'a>(
        key: ScopeKey,
        models: &[(usize, &str)],
        searches: Vec<Search<'a>>,
    ) -> ScopeEnd<'a> {
        let report = |version| ModelReport::of(&model(version), Outcome::Stopped, None);
        let models = models.iter();
        ScopeEnd::Called(ScopeReport {
            key,
            models: models
                .map(|(entry, version)| (*entry, report(version)))
                .collect(),
            searches,
        })
    }

    fn failed<'a>(key: ScopeKey, targets: Targets<'a>, is_of_account: bool) -> ScopeEnd<'a> {
        let error = if is_of_account {
            unreachable()
        } else {
            denied()
        };
        ScopeEnd::Failed {
            key,
            targets,
            error,
            is_of_account,
        }
    }

    /// What the reports are about, in their order.
    fn texts(reports: &[ModelReport]) -> Vec<&str> {
        reports.iter().map(|report| &*report.model_arn).collect()
    }

    #[test]
    fn reports_stand_by_entry_and_then_by_arn_whatever_the_order_of_their_scopes() {
        let all = pattern("*", HERE);
        let ends = || {
            [
                called(
                    key(HERE, "us-east-1"),
                    &[(3, "v2"), (0, "v9"), (3, "v1")],
                    Vec::new(),
                ),
                called(
                    key(HERE, "eu-west-1"),
                    &[(1, "v5")],
                    vec![search((3, &all), true, Some(denied()))],
                ),
                called(
                    key(HERE, "ap-south-1"),
                    &[(3, "v0")],
                    vec![search((3, &all), true, Some(denied()))],
                ),
            ]
        };
        let invalid = "x".parse::<ModelArn>().unwrap_err();
        for rotation in 0..3 {
            let mut tally = tally(&[(3, &all)]);
            let mut ends = Vec::from(ends());
            ends.rotate_left(rotation);
            ends.into_iter().for_each(|end| tally.add(end));
            tally.invalid(2, "x", &invalid);
            let (reports, unmatched) = tally.into_reports(true);
            let models = ["v9", "v5", "v0", "v1", "v2"].map(model);
            let [v9, v5, v0, v1, v2] = models.each_ref().map(ModelArn::as_str);
            let south = all.with_place(HERE, "ap-south-1");
            let west = all.with_place(HERE, "eu-west-1");
            let expected = [v9, v5, "x", v0, v1, v2, &south, &west];
            assert_eq!(texts(&reports), expected);
            assert!(unmatched.is_empty());
        }
    }

    #[test]
    fn a_pattern_is_unmatched_where_every_scope_was_looked_up_and_none_has_a_match() {
        let nowhere = pattern("*", HERE);
        let somewhere = pattern("us-*", HERE);
        let in_part = pattern("eu-*", HERE);
        let patterns = [(0, &nowhere), (1, &somewhere), (2, &in_part)];
        let mut tally = tally(&patterns);
        let [nowhere_search, somewhere_search, in_part_search] = patterns;
        let searches = vec![
            search(nowhere_search, false, None),
            search(somewhere_search, true, None),
        ];
        tally.add(called(key(HERE, "us-east-1"), &[], searches));
        let searches = vec![
            search(nowhere_search, false, None),
            search(somewhere_search, false, None),
        ];
        tally.add(called(key(HERE, "us-west-2"), &[], searches));
        let searches = vec![search(in_part_search, false, Some(denied()))];
        tally.add(called(key(HERE, "eu-west-1"), &[], searches));
        let (reports, unmatched) = tally.into_reports(true);
        assert_eq!(unmatched, [nowhere.as_str()]);
        assert_eq!(texts(&reports), [in_part.with_place(HERE, "eu-west-1")]);
    }

    #[test]
    fn an_account_that_cannot_be_entered_fails_each_of_its_entries_once() {
        let all = pattern("*", "*");
        let mut tally = tally(&[(1, &all)]);
        for region in ["eu-west-1", "us-east-1"] {
            let targets = Targets {
                models: Vec::new(),
                patterns: vec![(1, &all)],
            };
            tally.add(failed(key(THERE, region), targets, true));
        }
        let targets = Targets {
            models: vec![(0, model("v1")), (2, model("v2"))],
            patterns: Vec::new(),
        };
        tally.add(failed(key(HERE, "us-east-1"), targets, true));
        let (reports, unmatched) = tally.into_reports(true);
        let models = [model("v1"), model("v2")];
        let account = format!("arn:aws:rekognition:*:{THERE}:project/*/version/*/*");
        assert_eq!(
            texts(&reports),
            [models[0].as_str(), &account, models[1].as_str()]
        );
        for report in reports {
            let Outcome::Failed(failure) = report.outcome else {
                panic!("{report:?}");
            };
            assert_eq!(failure.code.as_str(), "AccountUnreachable");
        }
        assert!(unmatched.is_empty());
    }

    #[test]
    fn a_scope_that_fails_is_a_failure_for_each_region_and_a_list_of_accounts_one_for_the_entry() {
        let all = pattern("*", "*");
        let mut tally = tally(&[(0, &all)]);
        for region in ["us-east-1", "eu-west-1"] {
            let targets = Targets {
                models: Vec::new(),
                patterns: vec![(0, &all)],
            };
            tally.add(failed(key(THERE, region), targets, false));
        }
        tally.fail_list(0, &all, &denied());
        let (reports, _) = tally.into_reports(true);
        let west = all.with_place(THERE, "eu-west-1");
        let east = all.with_place(THERE, "us-east-1");
        assert_eq!(texts(&reports), [all.as_str(), &west, &east]);
        let Outcome::Failed(failure) = &reports[0].outcome else {
            panic!("{reports:?}");
        };
        assert!(
            failure
                .message
                .starts_with("the accounts of the organization could not be listed"),
            "{failure}"
        );
    }
}
