//! The models that patterns stand for, found by listing projects and their versions.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::Pattern;
use super::pages::{Pages, Then};
use crate::arn::{ModelArn, ModelPattern};
use crate::aws::{
    CallError, NAMES_PER_CALL, Observation, Operation, Page, Phase, Project, Version,
};

/// A list of projects that is read.
#[derive(Debug, Default)]
pub(super) struct ProjectList {
    /// The projects' names; none for all projects.
    pub(super) names: Vec<String>,
    pub(super) pages: Pages,
    /// The searches that it is read for.
    searches: Range<usize>,
    /// What it was last begun anew for.
    error: Option<CallError>,
}

/// A list of a project's versions that is read.
#[derive(Debug)]
pub(super) struct VersionList {
    pub(super) project: Project,
    pub(super) pages: Pages,
    /// The searches that it is read for.
    searches: Range<usize>,
    /// What it was last begun anew for.
    error: Option<CallError>,
}

/// A list that is read for patterns.
#[derive(Debug)]
pub(super) enum List {
    Projects(ProjectList),
    Versions(VersionList),
}

/// What is read next, and when.
#[derive(Debug)]
pub(super) enum Continue {
    Now(List),
    After(Duration, List),
}

/// What a page has shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The models that patterns stand for, as the list showed them.
    pub(super) found: Vec<(ModelArn, Observation)>,
    pub(super) next: Vec<Continue>,
}

/// One pattern in one scope, and what has become of it.
#[derive(Debug)]
pub(super) struct Search<'a> {
    /// The place of the pattern among the entries.
    pub(super) entry: usize,
    pub(super) pattern: &'a ModelPattern,
    /// Whether it matches a version, running or not.
    pub(super) has_match: bool,
    /// The account of the projects that were listed, where it is not the pattern's.
    pub(super) other_account: Option<String>,
    /// Why it could not be looked up to the end. Models may have been found all the same.
    pub(super) error: Option<CallError>,
}

/// The patterns of one scope.
///
/// A model is found when it is running, starting or stopping, or when its status is one that
/// nothing is known about. A list that cannot be read to its end fails those of the patterns that
/// it is read for that it matters to; what was found before is not lost. Memory grows with the
/// projects and with the models that are found, not with the versions that are listed.
#[derive(Debug)]
pub(super) struct Discovery<'a> {
    account: Arc<str>,
    searches: Vec<Search<'a>>,
}

impl<'a> Discovery<'a> {
    /// The search in an account, for no pattern yet.
    pub(super) fn new(account: &Arc<str>) -> Self {
        Self {
            account: Arc::clone(account),
            searches: Vec::new(),
        }
    }

    /// Searches for these patterns as well. Gives the lists to begin with: the projects of the
    /// patterns' names, or all where a name has a wildcard.
    pub(super) fn add(&mut self, patterns: Vec<Pattern<'a>>) -> Vec<List> {
        if patterns.is_empty() {
            return Vec::new();
        }
        let names = patterns.iter().map(|(_, pattern)| pattern.project_name());
        let names = names.collect::<Option<BTreeSet<&str>>>();
        let first = self.searches.len();
        self.searches
            .extend(patterns.into_iter().map(|(entry, pattern)| Search {
                entry,
                pattern,
                has_match: false,
                other_account: None,
                error: None,
            }));
        let searches = first..self.searches.len();
        let list = |names: &[&str]| {
            List::Projects(ProjectList {
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                searches: searches.clone(),
                ..ProjectList::default()
            })
        };
        match names {
            None => vec![list(&[])],
            Some(names) => {
                let names = Vec::from_iter(names);
                names.chunks(NAMES_PER_CALL).map(list).collect()
            }
        }
    }

    /// The place of the first pattern that a model matches.
    pub(super) fn first_match(&self, model_arn: &ModelArn) -> Option<usize> {
        let searches = self.searches.iter();
        let matches = searches.filter(|search| search.pattern.matches(model_arn));
        matches.map(|search| search.entry).min()
    }

    /// Takes a page of projects.
    pub(super) fn take_projects(
        &mut self,
        mut list: ProjectList,
        page: Result<Page<Project>, CallError>,
    ) -> Shown {
        let (projects, then) = list.pages.take(page);
        let mut shown = Shown::default();
        for project in &projects {
            // One that was deleted and made again is listed twice, and the new one is meant.
            let is_gone = !project.is_created
                && (projects.iter()).any(|other| other.is_created && other.name == project.name);
            let account = project.arn.split(':').nth(4).unwrap_or_default();
            if account != &*self.account {
                for search in &mut self.searches {
                    search.other_account = Some(account.to_owned());
                }
                continue;
            }
            let is_wanted = |it: &mut Search| it.pattern.matches_project(&project.name);
            if !is_gone && self.searches_of(&list.searches).any(is_wanted) {
                shown.next.push(Continue::Now(List::Versions(VersionList {
                    project: project.clone(),
                    pages: Pages::default(),
                    searches: list.searches.clone(),
                    error: None,
                })));
            }
        }
        match then {
            Then::End => {}
            Then::More => shown.next.push(Continue::Now(List::Projects(list))),
            Then::Anew { pause, error, .. } => {
                list.error = Some(error);
                shown
                    .next
                    .push(Continue::After(pause, List::Projects(list)));
            }
            Then::Failed(error) => self.fail_projects(&list, &error),
        }
        shown
    }

    /// Takes a page of a project's versions.
    pub(super) fn take_versions(
        &mut self,
        mut list: VersionList,
        page: Result<Page<Version>, CallError>,
    ) -> Shown {
        let (versions, then) = list.pages.take(page);
        let mut shown = Shown::default();
        let found = versions.into_iter();
        shown.found = found
            .filter_map(|version| self.find(&list, version))
            .collect();
        match then {
            Then::End => {}
            Then::More => shown.next.push(Continue::Now(List::Versions(list))),
            Then::Anew { pause, error, .. } => {
                list.error = Some(error);
                shown
                    .next
                    .push(Continue::After(pause, List::Versions(list)));
            }
            Then::Failed(error) => self.fail_versions(&list, &error),
        }
        shown
    }

    /// Notes that time ran out for a list.
    pub(super) fn out_of_time(&mut self, list: &List) {
        let out_of_time = |error: &Option<CallError>| CallError::OutOfTime {
            last_failure: error.as_ref().map(CallError::to_string),
        };
        match list {
            List::Projects(list) => self.fail_projects(list, &out_of_time(&list.error)),
            List::Versions(list) => self.fail_versions(list, &out_of_time(&list.error)),
        }
    }

    /// What has become of each pattern.
    pub(super) fn into_searches(self) -> Vec<Search<'a>> {
        self.searches
    }

    fn find(&mut self, list: &VersionList, version: Version) -> Option<(ModelArn, Observation)> {
        let is_not_running = version.observation.status.phase() == Phase::NotRunning;
        let Ok(model_arn) = version.model_arn.parse::<ModelArn>() else {
            // Whether a pattern stands for it cannot be said.
            if !is_not_running {
                let error = CallError::unreadable_list(Operation::DescribeProjectVersions);
                self.fail_versions(list, &error);
            }
            return None;
        };
        let mut is_found = false;
        for search in &mut self.searches {
            if search.pattern.matches(&model_arn) {
                search.has_match = true;
                is_found = true;
            }
        }
        (is_found && !is_not_running).then_some((model_arn, version.observation))
    }

    fn fail_projects(&mut self, list: &ProjectList, error: &CallError) {
        let is_listed = |name: &str| list.names.iter().any(|listed| listed == name);
        for search in self.searches_of(&list.searches) {
            let name = search.pattern.project_name();
            if list.names.is_empty() || name.is_some_and(is_listed) {
                search.error.get_or_insert_with(|| error.clone());
            }
        }
    }

    fn fail_versions(&mut self, list: &VersionList, error: &CallError) {
        for search in self.searches_of(&list.searches) {
            if search.pattern.matches_project(&list.project.name) {
                search.error.get_or_insert_with(|| error.clone());
            }
        }
    }

    fn searches_of(&mut self, searches: &Range<usize>) -> impl Iterator<Item = &mut Search<'a>> {
        let count = searches.end.saturating_sub(searches.start);
        self.searches.iter_mut().skip(searches.start).take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tokio::time::Instant;

    use crate::aws::Status;

    const ACCOUNT: &str = "123456789012";

    fn pattern(project: &str, version: &str) -> ModelPattern {
        let pattern = format!(
            "arn:aws:rekognition:us-east-1:{ACCOUNT}:project/{project}/version/{version}/*"
        );
        pattern.parse().unwrap()
    }

    /// The search for these patterns, whose entries are their places, and the lists to begin with.
    fn begin(patterns: &[ModelPattern]) -> (Discovery<'_>, Vec<List>) {
        let mut discovery = Discovery::new(&ACCOUNT.into());
        let lists = discovery.add(patterns.iter().enumerate().collect());
        (discovery, lists)
    }

    fn projects_of(list: List) -> ProjectList {
        match list {
            List::Projects(list) => list,
            List::Versions(list) => panic!("{list:?}"),
        }
    }

    fn versions_of(next: Continue) -> VersionList {
        match next {
            Continue::Now(List::Versions(list)) => list,
            next => panic!("{next:?}"),
        }
    }

    /// The names of the projects whose versions are listed next.
    fn next_projects(shown: &Shown) -> Vec<&str> {
        let next = shown.next.iter().map(|next| match next {
            Continue::Now(List::Versions(list)) => &*list.project.name,
            next => panic!("{next:?}"),
        });
        next.collect()
    }

    fn project(name: &str, number: u32, is_created: bool) -> Project {
        Project {
            name: name.to_owned(),
            arn: format!("arn:aws:rekognition:us-east-1:{ACCOUNT}:project/{name}/{number}"),
            is_created,
        }
    }

    fn created(names: &[&str]) -> Vec<Project> {
        names.iter().map(|name| project(name, 1, true)).collect()
    }

    fn version(project: &str, version: &str, status: &str) -> Version {
        let model_arn = format!(
            "arn:aws:rekognition:us-east-1:{ACCOUNT}:project/{project}/version/{version}/1"
        );
        described(&model_arn, status)
    }

    fn described(model_arn: &str, status: &str) -> Version {
        Version {
            model_arn: model_arn.to_owned(),
            observation: Observation {
                status: Status::new(status),
                inference_units: None,
                at: Instant::now(),
            },
        }
    }

    fn page<T>(items: Vec<T>, next_token: Option<&str>) -> Result<Page<T>, CallError> {
        Ok(Page {
            items,
            next_token: next_token.map(str::to_owned),
        })
    }

    fn denied<T>() -> Result<Page<T>, CallError> {
        Err(CallError::Refused {
            code: "AccessDeniedException".to_owned(),
            message: String::new(),
        })
    }

    fn unreadable<T>() -> Result<Page<T>, CallError> {
        Err(CallError::Unclear {
            message: "garbage".to_owned(),
        })
    }

    /// The names of the versions that were found.
    fn found(shown: &Shown) -> Vec<&str> {
        shown.found.iter().map(|(arn, _)| arn.version()).collect()
    }

    /// Of each pattern whether it matches a version, and what it failed with.
    fn ends(discovery: Discovery<'_>) -> Vec<(bool, Option<String>)> {
        let searches = discovery.into_searches().into_iter();
        searches
            .map(|search| {
                (
                    search.has_match,
                    search.error.map(|error| error.to_string()),
                )
            })
            .collect()
    }

    #[test]
    fn patterns_begin_with_the_projects_that_they_name_ten_a_call() {
        let literal: Vec<ModelPattern> = (0..12)
            .map(|number| pattern(&format!("p{number:02}"), "*"))
            .chain([pattern("p03", "v1"), pattern("p11", "v*")])
            .collect();
        let (_, lists) = begin(&literal);
        let names: Vec<Vec<String>> = lists.into_iter().map(|it| projects_of(it).names).collect();
        let sizes: Vec<usize> = names.iter().map(Vec::len).collect();
        assert_eq!(sizes, [10, 2]);
        assert_eq!(names[1], ["p10", "p11"]);
    }

    #[test]
    fn a_wildcard_in_a_projects_name_lists_all_projects_once_for_all_patterns() {
        let patterns = [
            pattern("shelf", "*"),
            pattern("d*", "v1"),
            pattern("*", "v2"),
        ];
        let (_, lists) = begin(&patterns);
        let [List::Projects(list)] = &lists[..] else {
            panic!("{lists:?}");
        };
        assert!(list.names.is_empty());
        let (mut discovery, lists) = begin(&[]);
        assert!(lists.is_empty() && discovery.add(Vec::new()).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn two_patterns_share_the_list_of_a_project_and_each_model_is_found_once() {
        let patterns = [pattern("s*", "a*"), pattern("shelf", "*1")];
        let (mut discovery, lists) = begin(&patterns);
        let mut lists = lists.into_iter().map(projects_of);
        let projects = page(created(&["dock", "shelf", "stall"]), None);
        let shown = discovery.take_projects(lists.next().unwrap(), projects);
        assert_eq!(next_projects(&shown), ["shelf", "stall"]);
        let shelf = versions_of(shown.next.into_iter().next().unwrap());
        let versions = ["a1", "a2", "b1", "b2"].map(|name| version("shelf", name, "RUNNING"));
        let shown = discovery.take_versions(shelf, page(versions.into(), None));
        assert_eq!(found(&shown), ["a1", "a2", "b1"]);
        assert!(shown.next.is_empty());
        let first_match = |name| {
            let version = version("shelf", name, "RUNNING");
            discovery.first_match(&version.model_arn.parse().unwrap())
        };
        let places = ["a1", "a2", "b1", "b2"].map(first_match);
        assert_eq!(places, [Some(0), Some(0), Some(1), None]);
        assert_eq!(ends(discovery), [(true, None), (true, None)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_running_is_no_find_and_yet_a_match() {
        let patterns = [pattern("shelf", "*")];
        let (mut discovery, lists) = begin(&patterns);
        for list in lists {
            let shown = discovery.take_projects(projects_of(list), page(created(&["shelf"]), None));
            for next in shown.next {
                let statuses = [
                    "RUNNING", "STARTING", "STOPPING", "MELTING", "", "STOPPED", "FAILED",
                ];
                let versions = statuses.map(|status| version("shelf", "v1", status));
                let shown = discovery.take_versions(versions_of(next), page(versions.into(), None));
                let found = shown.found.iter().map(|(_, seen)| seen.status.as_str());
                assert!(found.eq(statuses[..5].iter().copied()));
            }
        }
        assert_eq!(ends(discovery), [(true, None)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pattern_that_is_added_later_is_searched_for_with_lists_of_its_own() {
        let patterns = [pattern("dock", "*"), pattern("shelf", "v1")];
        let (mut discovery, lists) = begin(&patterns[..1]);
        for list in lists {
            discovery.take_projects(projects_of(list), page(Vec::new(), None));
        }
        let lists = discovery.add(vec![(7, &patterns[1])]);
        for list in lists {
            let list = projects_of(list);
            assert_eq!(list.names, ["shelf"]);
            let shown = discovery.take_projects(list, page(created(&["shelf"]), None));
            for next in shown.next {
                let versions = vec![version("shelf", "v1", "RUNNING")];
                let shown = discovery.take_versions(versions_of(next), page(versions, None));
                assert_eq!(found(&shown), ["v1"]);
                assert_eq!(discovery.first_match(&shown.found[0].0), Some(7));
            }
        }
        assert_eq!(ends(discovery), [(false, None), (true, None)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_project_that_cannot_be_listed_fails_the_patterns_that_may_match_its_models() {
        let patterns = [
            pattern("dock", "*"),
            pattern("sh*", "*"),
            pattern("shelf", "v1"),
            pattern("*", "v?"),
        ];
        let (mut discovery, lists) = begin(&patterns);
        for list in lists {
            let projects = page(created(&["dock", "shelf"]), None);
            let shown = discovery.take_projects(projects_of(list), projects);
            for next in shown.next {
                let list = versions_of(next);
                let answer = match &*list.project.name {
                    "shelf" => denied(),
                    _ => page(vec![version("dock", "v1", "RUNNING")], None),
                };
                discovery.take_versions(list, answer);
            }
        }
        let denied = || Some("AccessDeniedException".to_owned());
        let expected = [
            (true, None),
            (false, denied()),
            (false, denied()),
            (true, denied()),
        ];
        assert_eq!(ends(discovery), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn projects_that_cannot_be_listed_fail_the_patterns_that_name_them() {
        let patterns: Vec<ModelPattern> = (0..11)
            .map(|number| pattern(&format!("p{number:02}"), "*"))
            .collect();
        let (mut discovery, mut lists) = begin(&patterns);
        let last = projects_of(lists.pop().unwrap());
        assert!(discovery.take_projects(last, denied()).next.is_empty());
        let failed = ends(discovery)
            .into_iter()
            .map(|(_, error)| error.is_some());
        assert!(failed.eq((0..11).map(|number| number == 10)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_is_broken_off_is_begun_anew_and_time_that_runs_out_says_why() {
        let patterns = [pattern("shelf", "*")];
        let (mut discovery, mut lists) = begin(&patterns);
        let list = projects_of(lists.pop().unwrap());
        let mut shown = discovery.take_projects(list, unreadable());
        let Some(Continue::After(pause, List::Projects(list))) = shown.next.pop() else {
            panic!("{shown:?}");
        };
        assert_eq!(pause, Duration::from_secs(1));
        let mut shown = discovery.take_projects(list, page(created(&["shelf"]), None));
        let list = versions_of(shown.next.pop().unwrap());
        let first = page(vec![version("shelf", "v1", "RUNNING")], Some("2"));
        let mut shown = discovery.take_versions(list, first);
        assert_eq!(found(&shown), ["v1"]);
        let list = versions_of(shown.next.pop().unwrap());
        assert_eq!(list.pages.token(), Some("2"));
        let mut shown = discovery.take_versions(list, unreadable());
        let Some(Continue::After(_, list)) = shown.next.pop() else {
            panic!("{shown:?}");
        };
        discovery.out_of_time(&list);
        assert_eq!(ends(discovery), [(true, Some("garbage".to_owned()))]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreadable_arn_fails_the_patterns_of_its_project_unless_it_is_not_running() {
        for (status, is_failure) in [("RUNNING", true), ("MELTING", true), ("STOPPED", false)] {
            let patterns = [pattern("shelf", "v1"), pattern("dock", "*")];
            let (mut discovery, lists) = begin(&patterns);
            for list in lists {
                let projects = page(created(&["shelf"]), None);
                let shown = discovery.take_projects(projects_of(list), projects);
                for next in shown.next {
                    let versions = vec![
                        described("arn:of:something:else", status),
                        version("shelf", "v1", "RUNNING"),
                    ];
                    let shown = discovery.take_versions(versions_of(next), page(versions, None));
                    assert_eq!(found(&shown), ["v1"]);
                }
            }
            let failed = ends(discovery)
                .into_iter()
                .map(|(_, error)| error.is_some());
            assert!(failed.eq([is_failure, false]), "{status}");
        }
    }

    #[test]
    fn of_namesakes_the_created_one_is_meant_and_without_one_both_are_listed() {
        for (created, expected) in [
            ([true, false], &[1][..]),
            ([false, true], &[2]),
            ([false, false], &[1, 2]),
            ([true, true], &[1, 2]),
        ] {
            let patterns = [pattern("*", "*")];
            let (mut discovery, mut lists) = begin(&patterns);
            let namesakes = vec![
                project("shelf", 1, created[0]),
                project("shelf", 2, created[1]),
            ];
            let list = projects_of(lists.pop().unwrap());
            let shown = discovery.take_projects(list, page(namesakes, None));
            let listed = shown.next.into_iter().map(|next| versions_of(next).project);
            let expected = expected
                .iter()
                .map(|number| project("shelf", *number, false).arn);
            assert!(
                listed.map(|project| project.arn).eq(expected),
                "{created:?}"
            );
        }
    }

    #[test]
    fn projects_of_another_account_are_not_listed_and_not_forgotten() {
        let patterns = [pattern("shelf", "*")];
        let (mut discovery, mut lists) = begin(&patterns);
        let mut foreign = project("shelf", 1, true);
        foreign.arn = foreign.arn.replace(ACCOUNT, "210987654321");
        let list = projects_of(lists.pop().unwrap());
        assert!(
            discovery
                .take_projects(list, page(vec![foreign], None))
                .next
                .is_empty()
        );
        let search = discovery.into_searches().pop().unwrap();
        assert_eq!(search.other_account.as_deref(), Some("210987654321"));
    }
}
