//! The results of a run's entries, collected from its scopes.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::assignment::{Pattern, ScopeKey};
use super::scope::ScopeModel;
use super::scopes::{EndedScope, Extent};
use crate::arn::{InvalidModelArn, ModelPattern};
use crate::report::{Code, FailedLookup, Failure, ModelReport};

/// What has been found for a pattern in all its scopes.
#[derive(Debug)]
struct PatternTally<'a> {
    pattern: &'a ModelPattern,
    /// Whether it matches a version anywhere, in any status.
    has_match: bool,
}

/// A lookup, in the order of the report: by its entry, and then by its text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lookup {
    entry: usize,
    pattern: String,
}

/// The reports of a run.
#[derive(Debug)]
pub(super) struct Tally<'a> {
    request_id: &'a str,
    models: Vec<ScopeModel>,
    lookups: BTreeMap<Lookup, FailedLookup>,
    patterns: BTreeMap<usize, PatternTally<'a>>,
}

/// All reports of a run, in order, and the patterns that match no version.
#[derive(Debug)]
pub(super) struct Reports {
    pub(super) models: Vec<ModelReport>,
    pub(super) lookups: Vec<FailedLookup>,
    pub(super) unmatched_patterns: Vec<String>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(request_id: &'a str) -> Self {
        Self {
            request_id,
            models: Vec::new(),
            lookups: BTreeMap::new(),
            patterns: BTreeMap::new(),
        }
    }

    /// Notes a pattern, which may turn out to be unmatched.
    pub(super) fn note_pattern(&mut self, Pattern { entry, pattern }: Pattern<'a>) {
        let tally = PatternTally {
            pattern,
            has_match: false,
        };
        self.patterns.insert(entry, tally);
    }

    /// Notes an invalid entry.
    pub(super) fn invalid(&mut self, entry: usize, text: &str, invalid: &InvalidModelArn) {
        let report = ModelReport::failed(
            text,
            Failure::new(Code::InvalidModelArn, invalid.to_string()),
        );
        report.log(self.request_id);
        self.models.push(ScopeModel { entry, report });
    }

    /// Notes the end of a scope.
    pub(super) fn add(&mut self, ended: EndedScope<'a>) {
        let EndedScope { extent, report, .. } = ended;
        self.models.extend(report.models);
        for search in report.searches {
            if let Some(tally) = self.patterns.get_mut(&search.entry) {
                tally.has_match |= search.has_match;
            }
            if let Some(failure) = search.failure {
                let pattern = Pattern {
                    entry: search.entry,
                    pattern: search.pattern,
                };
                self.fail_lookup(pattern, &report.key, extent, failure);
            }
        }
    }

    /// Notes that not all accounts that a pattern matches are known.
    pub(super) fn fail_list(&mut self, Pattern { entry, pattern }: Pattern<'a>, failure: &Failure) {
        let failure = failure.clone();
        self.add_lookup(FailedLookup {
            pattern: pattern.as_str().to_owned(),
            failure: failure.context("the accounts of the organization could not be listed"),
            entry,
            account: None,
            region: None,
        });
    }

    /// All reports, in order, and the unmatched patterns, each of which is logged as a warning.
    /// There are none of these if the request named some of the accounts: a pattern that matches
    /// nothing in these may match in others.
    pub(super) fn into_reports(mut self, is_narrowed: bool) -> Reports {
        self.models.sort_by(|one, other| {
            let place = (other.entry, &other.report.model_arn);
            (one.entry, &one.report.model_arn).cmp(&place)
        });
        let failed: HashSet<usize> = self.lookups.keys().map(|it| it.entry).collect();
        let mut unmatched_patterns = Vec::new();
        for (entry, tally) in self.patterns {
            if tally.has_match || failed.contains(&entry) || is_narrowed {
                continue;
            }
            tracing::warn!(
                requestId = self.request_id,
                pattern = tally.pattern.as_str(),
                "the pattern matches no model version"
            );
            unmatched_patterns.push(tally.pattern.as_str().to_owned());
        }
        let models = self.models.into_iter().map(|model| model.report);
        Reports {
            models: models.collect(),
            lookups: self.lookups.into_values().collect(),
            unmatched_patterns,
        }
    }

    /// Notes a failed lookup of a pattern, each only once.
    fn fail_lookup(
        &mut self,
        Pattern { entry, pattern }: Pattern<'a>,
        key: &ScopeKey,
        extent: Extent,
        failure: Failure,
    ) {
        let text = match extent {
            Extent::Account => pattern.with_account(&key.account),
            Extent::Region => pattern.with_location(&key.account, &key.region),
        };
        let has_region = extent == Extent::Region && pattern.region().is_none();
        self.add_lookup(FailedLookup {
            pattern: text,
            failure,
            entry,
            account: Some(Arc::clone(&key.account)),
            region: has_region.then(|| Arc::clone(&key.region)),
        });
    }

    fn add_lookup(&mut self, failed: FailedLookup) {
        let lookup = Lookup {
            entry: failed.entry,
            pattern: failed.pattern.clone(),
        };
        if let Entry::Vacant(place) = self.lookups.entry(lookup) {
            failed.log(self.request_id);
            place.insert(failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::discovery::Search;
    use super::super::scope::ScopeReport;
    use crate::arn::ModelArn;
    use crate::calls::error::CallError;
    use crate::calls::request::ScopeId;
    use crate::report::{Code, Outcome};

    const HERE: &str = "123456789012";
    const THERE: &str = "210987654321";

    fn tally<'a>(patterns: &[Pattern<'a>]) -> Tally<'a> {
        let mut tally = Tally::new("request-1");
        patterns.iter().for_each(|it| tally.note_pattern(*it));
        tally
    }

    fn entry(entry: usize, pattern: &ModelPattern) -> Pattern<'_> {
        Pattern { entry, pattern }
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

    fn denied() -> Failure {
        Failure::new(Code::Service("AccessDeniedException".to_owned()), "")
    }

    fn search(pattern: Pattern<'_>, has_match: bool, failure: Option<Failure>) -> Search<'_> {
        Search {
            entry: pattern.entry,
            pattern: pattern.pattern,
            has_match,
            failure,
        }
    }

    /// The end of a scope with these stopped models, each with the index of its entry.
    fn called<'a>(
        key: ScopeKey,
        models: &[(usize, &str)],
        searches: Vec<Search<'a>>,
    ) -> EndedScope<'a> {
        let models = models.iter().map(|(entry, version)| ScopeModel {
            entry: *entry,
            report: ModelReport::new(&model(version), Outcome::Stopped, None),
        });
        EndedScope {
            id: ScopeId(1),
            extent: Extent::Region,
            report: ScopeReport {
                key,
                models: models.collect(),
                searches,
            },
        }
    }

    /// The end of a scope in which the lookups of these patterns failed.
    fn failed<'a>(key: ScopeKey, patterns: Vec<Pattern<'a>>, extent: Extent) -> EndedScope<'a> {
        let failure = match extent {
            Extent::Account => Failure::unreachable("the role", &CallError::NoResponse),
            Extent::Region => denied(),
        };
        let searches = patterns.into_iter();
        let searches = searches.map(|it| search(it, false, Some(failure.clone())));
        EndedScope {
            extent,
            ..called(key, &[], searches.collect())
        }
    }

    /// The ARNs or entries of the reports, in order.
    fn texts(reports: &[ModelReport]) -> Vec<&str> {
        reports.iter().map(|report| &*report.model_arn).collect()
    }

    /// The patterns of the failed lookups, in order.
    fn lookups(reports: &Reports) -> Vec<&str> {
        let lookups = reports.lookups.iter();
        lookups.map(|lookup| &*lookup.pattern).collect()
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
                    vec![search(entry(3, &all), true, Some(denied()))],
                ),
                called(
                    key(HERE, "ap-south-1"),
                    &[(3, "v0")],
                    vec![search(entry(3, &all), true, Some(denied()))],
                ),
            ]
        };
        let invalid = "x".parse::<ModelArn>().unwrap_err();
        for rotation in 0..3 {
            let mut tally = tally(&[entry(3, &all)]);
            let mut ends = Vec::from(ends());
            ends.rotate_left(rotation);
            ends.into_iter().for_each(|end| tally.add(end));
            tally.invalid(2, "x", &invalid);
            let reports = tally.into_reports(false);
            let models = ["v9", "v5", "v0", "v1", "v2"].map(model);
            let [v9, v5, v0, v1, v2] = models.each_ref().map(ModelArn::as_str);
            let south = all.with_location(HERE, "ap-south-1");
            let west = all.with_location(HERE, "eu-west-1");
            assert_eq!(texts(&reports.models), [v9, v5, "x", v0, v1, v2]);
            assert_eq!(lookups(&reports), [south, west]);
            assert!(reports.unmatched_patterns.is_empty());
        }
    }

    #[test]
    fn a_pattern_is_unmatched_if_every_scope_was_searched_and_none_has_a_match() {
        let nowhere = pattern("*", HERE);
        let somewhere = pattern("us-*", HERE);
        let in_part = pattern("eu-*", HERE);
        let patterns = [entry(0, &nowhere), entry(1, &somewhere), entry(2, &in_part)];
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
        let reports = tally.into_reports(false);
        assert_eq!(reports.unmatched_patterns, [nowhere.as_str()]);
        let expected = [in_part.with_location(HERE, "eu-west-1")];
        assert_eq!(lookups(&reports), expected);
        assert!(reports.models.is_empty());
    }

    #[test]
    fn a_run_of_some_of_the_accounts_has_no_unmatched_pattern() {
        let all = pattern("*", "*");
        let reports = tally(&[entry(0, &all)]).into_reports(true);
        assert!(reports.unmatched_patterns.is_empty());
    }

    #[test]
    fn an_account_whose_role_cannot_be_assumed_fails_each_of_its_entries_once() {
        let all = pattern("*", "*");
        let mut tally = tally(&[entry(1, &all)]);
        for region in ["eu-west-1", "us-east-1"] {
            let patterns = vec![entry(1, &all)];
            tally.add(failed(key(THERE, region), patterns, Extent::Account));
        }
        let reports = tally.into_reports(false);
        let account = format!("arn:aws:rekognition:*:{THERE}:project/*/version/*/*");
        assert_eq!(lookups(&reports), [account]);
        assert_eq!(
            reports.lookups[0].failure.code.as_str(),
            "AccountUnreachable"
        );
        assert!(reports.unmatched_patterns.is_empty());
    }

    #[test]
    fn a_scope_fails_for_each_region_and_a_list_of_accounts_once_for_the_entry() {
        let all = pattern("*", "*");
        let mut tally = tally(&[entry(0, &all)]);
        for region in ["us-east-1", "eu-west-1"] {
            let patterns = vec![entry(0, &all)];
            tally.add(failed(key(THERE, region), patterns, Extent::Region));
        }
        tally.fail_list(entry(0, &all), &denied());
        let reports = tally.into_reports(false);
        let west = all.with_location(THERE, "eu-west-1");
        let east = all.with_location(THERE, "us-east-1");
        assert_eq!(lookups(&reports), [all.as_str(), &west, &east]);
        assert!(reports.models.is_empty());
        let error = &reports.lookups[0].failure.message;
        assert!(
            error.starts_with("the accounts of the organization could not be listed"),
            "{error}"
        );
        let regions = reports.lookups.iter().map(|it| it.region.as_deref());
        let expected = [None, Some("eu-west-1"), Some("us-east-1")];
        assert_eq!(Vec::from_iter(regions), expected);
    }
}
