//! The results of a run's entries, collected from its scopes.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::ScopeKey;
use super::discovery::Search;
use super::scopes::ScopeEnd;
use crate::arn::{InvalidModelArn, ModelPattern};
use crate::aws::CallError;
use crate::report::{Failure, ModelReport};

/// The position of a report among the others: by its entry, then models before failures of the
/// entry itself, and then by its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    entry: usize,
    is_failed_entry: bool,
}

/// What has been found for a pattern in all its scopes.
#[derive(Debug)]
struct PatternTally<'a> {
    pattern: &'a ModelPattern,
    /// Whether it matches a version anywhere, in any status.
    has_match: bool,
    has_failed: bool,
    /// The account of the projects that were listed, if it is not the pattern's.
    other_account: Option<String>,
}

/// The reports of a run.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    request_id: Arc<str>,
    reports: Vec<(Position, ModelReport)>,
    patterns: BTreeMap<usize, PatternTally<'a>>,
    /// The failures of patterns that have been reported.
    failures: HashSet<(usize, String)>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(request_id: &Arc<str>) -> Self {
        Self {
            request_id: Arc::clone(request_id),
            reports: Vec::new(),
            patterns: BTreeMap::new(),
            failures: HashSet::new(),
        }
    }

    /// Notes a pattern, which may turn out to be unmatched.
    pub(super) fn note_pattern(&mut self, entry: usize, pattern: &'a ModelPattern) {
        let tally = PatternTally {
            pattern,
            has_match: false,
            has_failed: false,
            other_account: None,
        };
        self.patterns.insert(entry, tally);
    }

    /// Notes an invalid entry.
    pub(super) fn invalid(&mut self, entry: usize, text: &str, invalid: &InvalidModelArn) {
        self.fail(entry, text, Failure::from(invalid));
    }

    /// Notes the end of a scope.
    pub(super) fn add(&mut self, end: ScopeEnd<'a>) {
        match end {
            ScopeEnd::Called(report) => {
                let position = |entry| Position {
                    entry,
                    is_failed_entry: false,
                };
                let models = report.models.into_iter();
                self.reports
                    .extend(models.map(|(entry, report)| (position(entry), report)));
                for search in report.searches {
                    self.add_search(&report.key, search);
                }
            }
            ScopeEnd::Failed {
                key,
                targets,
                error,
                is_account_failure,
            } => {
                for (entry, model_arn) in targets.models {
                    let report = ModelReport::failed(model_arn.as_str(), error.clone().into());
                    self.report(entry, false, report);
                }
                for (entry, pattern) in targets.patterns {
                    let text = match is_account_failure {
                        true => pattern.with_account(&key.account),
                        false => pattern.with_location(&key.account, &key.region),
                    };
                    self.fail_lookup(entry, text, &error);
                }
            }
        }
    }

    /// Notes that not all accounts that a pattern stands for are known.
    pub(super) fn fail_list(&mut self, entry: usize, pattern: &ModelPattern, error: &CallError) {
        self.note(entry, |tally| tally.has_failed = true);
        let failure = Failure::from(error.clone())
            .context("the accounts of the organization could not be listed");
        self.fail(entry, pattern.as_str(), failure);
    }

    /// All reports, in order, and the unmatched patterns, each of which is logged as a warning.
    /// There are none of these if the run did not cover all accounts.
    pub(super) fn into_reports(
        mut self,
        covers_all_accounts: bool,
    ) -> (Vec<ModelReport>, Vec<String>) {
        self.reports.sort_by(|(one, first), (other, second)| {
            one.cmp(other)
                .then_with(|| first.model_arn.cmp(&second.model_arn))
        });
        let mut unmatched_patterns = Vec::new();
        for tally in self.patterns.into_values() {
            if tally.has_match || tally.has_failed || !covers_all_accounts {
                continue;
            }
            tracing::warn!(
                requestId = &*self.request_id,
                pattern = tally.pattern.as_str(),
                other_account = tally.other_account,
                "the pattern matches no model version"
            );
            unmatched_patterns.push(tally.pattern.as_str().to_owned());
        }
        let reports = self.reports.into_iter().map(|(_, report)| report);
        (reports.collect(), unmatched_patterns)
    }

    fn add_search(&mut self, key: &ScopeKey, search: Search<'a>) {
        self.note(search.entry, |tally| {
            tally.has_match |= search.has_match;
            tally.other_account = tally.other_account.take().or(search.other_account);
        });
        if let Some(error) = search.error {
            let text = match error {
                CallError::Unreachable { .. } => search.pattern.with_account(&key.account),
                _ => search.pattern.with_location(&key.account, &key.region),
            };
            self.fail_lookup(search.entry, text, &error);
        }
    }

    /// Notes a failed lookup of a pattern, each only once.
    fn fail_lookup(&mut self, entry: usize, text: String, error: &CallError) {
        self.note(entry, |tally| tally.has_failed = true);
        let failure = Failure::from(error.clone()).context("the pattern could not be looked up");
        if self.failures.insert((entry, text.clone())) {
            self.fail(entry, &text, failure);
        }
    }

    fn note(&mut self, entry: usize, note: impl FnOnce(&mut PatternTally<'a>)) {
        if let Some(tally) = self.patterns.get_mut(&entry) {
            note(tally);
        }
    }

    fn fail(&mut self, entry: usize, text: &str, failure: Failure) {
        self.report(entry, true, ModelReport::failed(text, failure));
    }

    fn report(&mut self, entry: usize, is_failed_entry: bool, report: ModelReport) {
        report.log(&self.request_id);
        let position = Position {
            entry,
            is_failed_entry,
        };
        self.reports.push((position, report));
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

    /// The end of a scope with these stopped models, each with the index of its entry.
    fn called<'a>(
        key: ScopeKey,
        models: &[(usize, &str)],
        searches: Vec<Search<'a>>,
    ) -> ScopeEnd<'a> {
        let report = |version| ModelReport::new(&model(version), Outcome::Stopped, None);
        let models = models.iter();
        ScopeEnd::Called(ScopeReport {
            key,
            models: models
                .map(|(entry, version)| (*entry, report(version)))
                .collect(),
            searches,
        })
    }

    fn failed<'a>(key: ScopeKey, targets: Targets<'a>, is_account_failure: bool) -> ScopeEnd<'a> {
        let error = if is_account_failure {
            unreachable()
        } else {
            denied()
        };
        ScopeEnd::Failed {
            key,
            targets,
            error,
            is_account_failure,
        }
    }

    /// The ARNs or entries of the reports, in order.
    fn texts(reports: &[ModelReport]) -> Vec<&str> {
        reports.iter().map(|report| &*report.model_arn).collect()
    }

    #[test]
    fn reports_are_ordered_by_entry_and_then_by_arn_whatever_the_order_of_their_scopes() {
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
            let south = all.with_location(HERE, "ap-south-1");
            let west = all.with_location(HERE, "eu-west-1");
            let expected = [v9, v5, "x", v0, v1, v2, &south, &west];
            assert_eq!(texts(&reports), expected);
            assert!(unmatched.is_empty());
        }
    }

    #[test]
    fn a_pattern_is_unmatched_if_every_scope_was_searched_and_none_has_a_match() {
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
        assert_eq!(texts(&reports), [in_part.with_location(HERE, "eu-west-1")]);
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
    fn a_scope_fails_for_each_region_and_a_list_of_accounts_once_for_the_entry() {
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
        let west = all.with_location(THERE, "eu-west-1");
        let east = all.with_location(THERE, "us-east-1");
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
