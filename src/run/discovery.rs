//! The models that patterns match, found by listing projects and their versions.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use super::assignment::Pattern;
use super::purpose::{ProjectList, ScopePurpose, VersionList};
use crate::arn::{ModelArn, ModelPattern};
use crate::calls::error::CallError;
use crate::calls::operation::Operation;
use crate::calls::request::NAMES_PER_CALL;
use crate::calls::response::{Description, Project, ProjectState, Version};
use crate::calls::status::Phase;
use crate::report::Failure;

/// A model that a pattern matches.
#[derive(Debug)]
pub(super) struct FoundModel {
    pub(super) model_arn: ModelArn,
    pub(super) description: Description,
}

/// One pattern in one scope, and what has been found for it.
#[derive(Debug)]
pub(super) struct Search<'a> {
    /// The index of the pattern's entry.
    pub(super) entry: usize,
    pub(super) pattern: &'a ModelPattern,
    /// Whether it matches a version, running or not.
    pub(super) has_match: bool,
    /// The account of the projects that were listed, if it is not the pattern's.
    pub(super) other_account: Option<String>,
    /// Why the lookup is incomplete, if it is. Models may have been found all the same.
    pub(super) failure: Option<Failure>,
}

/// The patterns of one scope.
///
/// A model is found if it is running, starting or stopping, or if its status is unknown. A list
/// that cannot be read to its end fails those of its patterns that it may concern; what was found
/// before is not lost. Memory grows with the projects and with the models found, not with the
/// versions listed.
#[derive(Debug)]
pub(super) struct Discovery<'a> {
    account: Arc<str>,
    searches: Vec<Search<'a>>,
}

impl<'a> Discovery<'a> {
    /// The discovery in an account, without any patterns yet.
    pub(super) fn new(account: &Arc<str>) -> Self {
        Self {
            account: Arc::clone(account),
            searches: Vec::new(),
        }
    }

    /// Searches for these patterns as well. Returns the first calls: for the projects that the
    /// patterns name, or for all projects if a name has a wildcard.
    pub(super) fn add(&mut self, patterns: Vec<Pattern<'a>>) -> Vec<ScopePurpose> {
        if patterns.is_empty() {
            return Vec::new();
        }
        let names = patterns.iter().map(|it| it.pattern.project_name());
        let names = names.collect::<Option<BTreeSet<&str>>>();
        let first = self.searches.len();
        let added = patterns
            .into_iter()
            .map(|Pattern { entry, pattern }| Search {
                entry,
                pattern,
                has_match: false,
                other_account: None,
                failure: None,
            });
        self.searches.extend(added);
        let searches = first..self.searches.len();
        let list = |names: &[&str]| {
            ScopePurpose::FindProjects(ProjectList {
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                searches: searches.clone(),
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

    /// How many patterns there are.
    pub(super) fn patterns(&self) -> usize {
        self.searches.len()
    }

    /// The entry index of the first pattern that a model matches.
    pub(super) fn first_match(&self, model_arn: &ModelArn) -> Option<usize> {
        let searches = self.searches.iter();
        let matches = searches.filter(|search| search.pattern.matches(model_arn));
        matches.map(|search| search.entry).min()
    }

    /// Handles a page of projects. Returns the calls to make next.
    pub(super) fn take_projects(
        &mut self,
        list: ProjectList,
        projects: Result<Vec<Project>, CallError>,
    ) -> Vec<ScopePurpose> {
        let projects = match projects {
            Ok(projects) => projects,
            // One of the projects may be what makes the call fail.
            Err(error) if list.names.len() > 1 && !error.is_denied() => {
                let alone = list.names.into_iter().map(|name| {
                    ScopePurpose::FindProjects(ProjectList {
                        names: vec![name],
                        searches: list.searches.clone(),
                    })
                });
                return alone.collect();
            }
            Err(error) => {
                self.fail_projects(&list, &error.into());
                return Vec::new();
            }
        };
        let mut next = Vec::new();
        for project in &projects {
            // A project that was deleted and created again is listed twice, and the new one is the
            // right one.
            let is_gone = project.state != ProjectState::Created
                && projects.iter().any(|other| {
                    other.state == ProjectState::Created && other.name == project.name
                });
            let account = project.arn.split(':').nth(4).unwrap_or_default();
            if account != &*self.account {
                for search in &mut self.searches {
                    search.other_account = Some(account.to_owned());
                }
                continue;
            }
            let is_wanted = |it: &mut Search| it.pattern.matches_project(&project.name);
            if !is_gone && self.searches_of(&list.searches).any(is_wanted) {
                next.push(ScopePurpose::FindVersions(VersionList {
                    project: project.clone(),
                    searches: list.searches.clone(),
                }));
            }
        }
        next
    }

    /// Handles a page of a project's versions. Returns the models that patterns match.
    pub(super) fn take_versions(
        &mut self,
        list: &VersionList,
        versions: Result<Vec<Version>, CallError>,
    ) -> Vec<FoundModel> {
        match versions {
            Ok(versions) => {
                let found = versions.into_iter();
                found
                    .filter_map(|version| self.find(list, version))
                    .collect()
            }
            // The project has been deleted since it was listed.
            Err(error) if error.is_not_found() => Vec::new(),
            Err(error) => {
                self.fail_versions(list, &error.into());
                Vec::new()
            }
        }
    }

    /// Notes that projects could not be listed.
    pub(super) fn fail_projects(&mut self, list: &ProjectList, failure: &Failure) {
        let is_listed = |name: &str| list.names.iter().any(|listed| listed == name);
        for search in self.searches_of(&list.searches) {
            let name = search.pattern.project_name();
            if list.names.is_empty() || name.is_some_and(is_listed) {
                search.failure.get_or_insert_with(|| failure.clone());
            }
        }
    }

    /// Notes that the versions of a project could not be listed.
    pub(super) fn fail_versions(&mut self, list: &VersionList, failure: &Failure) {
        for search in self.searches_of(&list.searches) {
            if search.pattern.matches_project(&list.project.name) {
                search.failure.get_or_insert_with(|| failure.clone());
            }
        }
    }

    /// What has been found for each pattern.
    pub(super) fn into_searches(self) -> Vec<Search<'a>> {
        self.searches
    }

    fn find(&mut self, list: &VersionList, version: Version) -> Option<FoundModel> {
        let is_not_running = version.description.status.phase() == Phase::NotRunning;
        let Ok(model_arn) = version.model_arn.parse::<ModelArn>() else {
            // There is no telling whether a pattern matches it.
            if !is_not_running {
                let error = CallError::unreadable(Operation::DescribeProjectVersions);
                self.fail_versions(list, &error.into());
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
        (is_found && !is_not_running).then_some(FoundModel {
            model_arn,
            description: version.description,
        })
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

    /// The discovery for these patterns, each its own entry, and the first calls.
    fn begin(patterns: &[ModelPattern]) -> (Discovery<'_>, Vec<DiscoveryCall>) {
        let mut discovery = Discovery::new(&ACCOUNT.into());
        let lists = discovery.add(patterns.iter().enumerate().collect());
        (discovery, lists)
    }

    fn projects_of(list: DiscoveryCall) -> ProjectList {
        match list {
            DiscoveryCall::Projects(list) => list,
            DiscoveryCall::Versions(list) => panic!("{list:?}"),
        }
    }

    fn versions_of(next: NextCall) -> VersionList {
        match next {
            NextCall::Now(DiscoveryCall::Versions(list)) => list,
            next => panic!("{next:?}"),
        }
    }

    /// The names of the projects whose versions are listed next.
    fn next_projects(findings: &Findings) -> Vec<&str> {
        let next = findings.next.iter().map(|next| match next {
            NextCall::Now(DiscoveryCall::Versions(list)) => &*list.project.name,
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
    fn found(findings: &Findings) -> Vec<&str> {
        findings
            .models
            .iter()
            .map(|(arn, _)| arn.version())
            .collect()
    }

    /// For each pattern, whether it matches a version, and why its lookup failed.
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
    fn patterns_begin_with_the_projects_that_they_name_ten_per_call() {
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
        let [DiscoveryCall::Projects(list)] = &lists[..] else {
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
        let findings = discovery.take_projects(lists.next().unwrap(), projects);
        assert_eq!(next_projects(&findings), ["shelf", "stall"]);
        let shelf = versions_of(findings.next.into_iter().next().unwrap());
        let versions = ["a1", "a2", "b1", "b2"].map(|name| version("shelf", name, "RUNNING"));
        let findings = discovery.take_versions(shelf, page(versions.into(), None));
        assert_eq!(found(&findings), ["a1", "a2", "b1"]);
        assert!(findings.next.is_empty());
        let first_match = |name| {
            let version = version("shelf", name, "RUNNING");
            discovery.first_match(&version.model_arn.parse().unwrap())
        };
        let places = ["a1", "a2", "b1", "b2"].map(first_match);
        assert_eq!(places, [Some(0), Some(0), Some(1), None]);
        assert_eq!(ends(discovery), [(true, None), (true, None)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_version_that_is_not_running_is_not_found_but_counts_as_a_match() {
        let patterns = [pattern("shelf", "*")];
        let (mut discovery, lists) = begin(&patterns);
        for list in lists {
            let findings =
                discovery.take_projects(projects_of(list), page(created(&["shelf"]), None));
            for next in findings.next {
                let statuses = [
                    "RUNNING", "STARTING", "STOPPING", "MELTING", "", "STOPPED", "FAILED",
                ];
                let versions = statuses.map(|status| version("shelf", "v1", status));
                let findings =
                    discovery.take_versions(versions_of(next), page(versions.into(), None));
                let found = findings.models.iter().map(|(_, seen)| seen.status.as_str());
                assert!(found.eq(statuses[..5].iter().copied()));
            }
        }
        assert_eq!(ends(discovery), [(true, None)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pattern_that_is_added_later_gets_lists_of_its_own() {
        let patterns = [pattern("dock", "*"), pattern("shelf", "v1")];
        let (mut discovery, lists) = begin(&patterns[..1]);
        for list in lists {
            discovery.take_projects(projects_of(list), page(Vec::new(), None));
        }
        let lists = discovery.add(vec![(7, &patterns[1])]);
        for list in lists {
            let list = projects_of(list);
            assert_eq!(list.names, ["shelf"]);
            let findings = discovery.take_projects(list, page(created(&["shelf"]), None));
            for next in findings.next {
                let versions = vec![version("shelf", "v1", "RUNNING")];
                let findings = discovery.take_versions(versions_of(next), page(versions, None));
                assert_eq!(found(&findings), ["v1"]);
                assert_eq!(discovery.first_match(&findings.models[0].0), Some(7));
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
            let findings = discovery.take_projects(projects_of(list), projects);
            for next in findings.next {
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
    async fn a_list_that_is_interrupted_is_restarted_and_the_deadline_says_why() {
        let patterns = [pattern("shelf", "*")];
        let (mut discovery, mut lists) = begin(&patterns);
        let list = projects_of(lists.pop().unwrap());
        let mut findings = discovery.take_projects(list, unreadable());
        let Some(NextCall::After(pause, DiscoveryCall::Projects(list))) = findings.next.pop()
        else {
            panic!("{findings:?}");
        };
        assert_eq!(pause, Duration::from_secs(1));
        let mut findings = discovery.take_projects(list, page(created(&["shelf"]), None));
        let list = versions_of(findings.next.pop().unwrap());
        let first = page(vec![version("shelf", "v1", "RUNNING")], Some("2"));
        let mut findings = discovery.take_versions(list, first);
        assert_eq!(found(&findings), ["v1"]);
        let list = versions_of(findings.next.pop().unwrap());
        assert_eq!(list.pages.token(), Some("2"));
        let mut findings = discovery.take_versions(list, unreadable());
        let Some(NextCall::After(_, list)) = findings.next.pop() else {
            panic!("{findings:?}");
        };
        discovery.fail_at_deadline(&list);
        assert_eq!(ends(discovery), [(true, Some("garbage".to_owned()))]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_unreadable_arn_fails_the_patterns_of_its_project_unless_it_is_not_running() {
        for (status, is_failure) in [("RUNNING", true), ("MELTING", true), ("STOPPED", false)] {
            let patterns = [pattern("shelf", "v1"), pattern("dock", "*")];
            let (mut discovery, lists) = begin(&patterns);
            for list in lists {
                let projects = page(created(&["shelf"]), None);
                let findings = discovery.take_projects(projects_of(list), projects);
                for next in findings.next {
                    let versions = vec![
                        described("arn:of:something:else", status),
                        version("shelf", "v1", "RUNNING"),
                    ];
                    let findings = discovery.take_versions(versions_of(next), page(versions, None));
                    assert_eq!(found(&findings), ["v1"]);
                }
            }
            let failed = ends(discovery)
                .into_iter()
                .map(|(_, error)| error.is_some());
            assert!(failed.eq([is_failure, false]), "{status}");
        }
    }

    #[test]
    fn of_projects_with_the_same_name_only_the_created_one_is_listed_if_there_is_one() {
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
            let findings = discovery.take_projects(list, page(namesakes, None));
            let listed = findings
                .next
                .into_iter()
                .map(|next| versions_of(next).project);
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
    fn projects_of_another_account_are_noted_and_their_versions_not_listed() {
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
