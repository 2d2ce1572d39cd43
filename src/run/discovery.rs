//! The models that patterns match, found by listing projects and their versions.

use std::collections::{BTreeSet, HashSet};
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
    /// The projects whose versions have been listed: a list of projects that is read anew lists
    /// them again.
    listed: HashSet<Listed>,
}

/// A project, by its ARN, and the first of the searches for which its versions have been listed.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Listed {
    arn: String,
    first_search: usize,
}

impl<'a> Discovery<'a> {
    /// The discovery in an account, without any patterns yet.
    pub(super) fn new(account: &Arc<str>) -> Self {
        Self {
            account: Arc::clone(account),
            searches: Vec::new(),
            listed: HashSet::new(),
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
            if is_gone || !self.searches_of(&list.searches).any(is_wanted) {
                continue;
            }
            let is_new = self.listed.insert(Listed {
                arn: project.arn.clone(),
                first_search: list.searches.start,
            });
            if is_new {
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

    /// Notes that nothing more can be found for any pattern.
    pub(super) fn fail(&mut self, failure: &Failure) {
        for search in &mut self.searches {
            search.failure.get_or_insert_with(|| failure.clone());
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

    use crate::calls::status::Status;

    use ProjectState::{Changing, Created};

    const ACCOUNT: &str = "123456789012";

    fn pattern(project: &str, version: &str) -> ModelPattern {
        let pattern = format!(
            "arn:aws:rekognition:us-east-1:{ACCOUNT}:project/{project}/version/{version}/*"
        );
        pattern.parse().unwrap()
    }

    /// These patterns, each its own entry.
    fn entries(patterns: &[ModelPattern]) -> Vec<Pattern<'_>> {
        let patterns = patterns.iter().enumerate();
        let patterns = patterns.map(|(entry, pattern)| Pattern { entry, pattern });
        patterns.collect()
    }

    /// The discovery for these patterns, each its own entry, and the first calls.
    fn begin(patterns: &[ModelPattern]) -> (Discovery<'_>, Vec<ProjectList>) {
        let mut discovery = Discovery::new(&ACCOUNT.into());
        let calls = discovery.add(entries(patterns));
        let lists = calls.into_iter().map(projects_of).collect();
        (discovery, lists)
    }

    /// The same, with the list of versions of the one project that exists.
    fn begin_with<'a>(patterns: &'a [ModelPattern], project: &str) -> (Discovery<'a>, VersionList) {
        let (mut discovery, mut lists) = begin(patterns);
        let projects = Ok(created(&[project]));
        let mut next = discovery.take_projects(lists.pop().unwrap(), projects);
        (discovery, versions_of(next.pop().unwrap()))
    }

    fn projects_of(call: ScopePurpose) -> ProjectList {
        match call {
            ScopePurpose::FindProjects(list) => list,
            call => panic!("{call:?}"),
        }
    }

    fn versions_of(call: ScopePurpose) -> VersionList {
        match call {
            ScopePurpose::FindVersions(list) => list,
            call => panic!("{call:?}"),
        }
    }

    /// The names of the projects whose versions are listed next.
    fn next_projects(next: Vec<ScopePurpose>) -> Vec<String> {
        let lists = next.into_iter().map(versions_of);
        lists.map(|list| list.project.name).collect()
    }

    fn project(name: &str, number: u32, state: ProjectState) -> Project {
        Project {
            name: name.to_owned(),
            arn: format!("arn:aws:rekognition:us-east-1:{ACCOUNT}:project/{name}/{number}"),
            state,
        }
    }

    fn created(names: &[&str]) -> Vec<Project> {
        let projects = names.iter().map(|name| project(name, 1, Created));
        projects.collect()
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
            description: Description {
                status: Status::new(status),
                status_message: None,
                inference_units: None,
            },
        }
    }

    fn refused(code: &str) -> CallError {
        CallError::Refused {
            status: 400,
            code: Some(code.to_owned()),
            message: String::new(),
        }
    }

    fn denied() -> CallError {
        refused("AccessDeniedException")
    }

    /// The names of the versions that were found.
    fn versions_of_models(found: &[FoundModel]) -> Vec<&str> {
        found
            .iter()
            .map(|found| found.model_arn.version())
            .collect()
    }

    /// What has become of a pattern.
    #[derive(Debug, PartialEq, Eq)]
    struct End {
        has_match: bool,
        /// Why its lookup failed.
        failure: Option<String>,
    }

    const MATCHED: End = End {
        has_match: true,
        failure: None,
    };
    const UNMATCHED: End = End {
        has_match: false,
        failure: None,
    };

    fn failed(has_match: bool, failure: &str) -> End {
        End {
            has_match,
            failure: Some(failure.to_owned()),
        }
    }

    /// What has become of each pattern.
    fn ends(discovery: Discovery<'_>) -> Vec<End> {
        let searches = discovery.into_searches().into_iter();
        let ends = searches.map(|search| End {
            has_match: search.has_match,
            failure: search.failure.map(|failure| failure.to_string()),
        });
        ends.collect()
    }

    /// Whether the lookup of each pattern has failed.
    fn has_failed(discovery: Discovery<'_>) -> Vec<bool> {
        let ends = ends(discovery).into_iter();
        ends.map(|end| end.failure.is_some()).collect()
    }

    /// Eleven patterns, each of which names a project, so that they take two lists.
    fn eleven() -> Vec<ModelPattern> {
        let names = (0..11).map(|number| format!("p{number:02}"));
        names.map(|name| pattern(&name, "*")).collect()
    }

    #[test]
    fn patterns_begin_with_the_projects_that_they_name_ten_per_call() {
        let mut patterns = eleven();
        patterns.extend([pattern("p03", "v1"), pattern("p10", "v*")]);
        let (_, lists) = begin(&patterns);
        let sizes: Vec<usize> = lists.iter().map(|list| list.names.len()).collect();
        assert_eq!(sizes, [10, 1]);
        assert_eq!(lists[1].names, ["p10"]);
    }

    #[test]
    fn a_wildcard_in_a_projects_name_lists_all_projects_once_for_all_patterns() {
        let patterns = [
            pattern("shelf", "*"),
            pattern("d*", "v1"),
            pattern("*", "v2"),
        ];
        let (_, lists) = begin(&patterns);
        let [list] = &lists[..] else {
            panic!("{lists:?}");
        };
        assert!(list.names.is_empty());
        let (mut discovery, lists) = begin(&[]);
        assert!(lists.is_empty() && discovery.add(Vec::new()).is_empty());
    }

    #[test]
    fn two_patterns_share_the_list_of_a_project_and_each_model_is_found_once() {
        let patterns = [pattern("s*", "a*"), pattern("shelf", "*1")];
        let (mut discovery, mut lists) = begin(&patterns);
        let projects = Ok(created(&["dock", "shelf", "stall"]));
        let mut next = discovery.take_projects(lists.pop().unwrap(), projects);
        let shelf = versions_of(next.remove(0));
        assert_eq!(shelf.project.name, "shelf");
        assert_eq!(next_projects(next), ["stall"]);
        let versions = ["a1", "a2", "b1", "b2"].map(|name| version("shelf", name, "RUNNING"));
        let found = discovery.take_versions(&shelf, Ok(versions.into()));
        assert_eq!(versions_of_models(&found), ["a1", "a2", "b1"]);
        let first_match = |name| {
            let version = version("shelf", name, "RUNNING");
            discovery.first_match(&version.model_arn.parse().unwrap())
        };
        let places = ["a1", "a2", "b1", "b2"].map(first_match);
        assert_eq!(places, [Some(0), Some(0), Some(1), None]);
        assert_eq!(ends(discovery), [MATCHED, MATCHED]);
    }

    #[test]
    fn a_version_that_is_not_running_is_not_found_but_counts_as_a_match() {
        let patterns = [pattern("shelf", "*")];
        let (mut discovery, list) = begin_with(&patterns, "shelf");
        let statuses = [
            "RUNNING", "STARTING", "STOPPING", "MELTING", "", "STOPPED", "FAILED",
        ];
        let versions = statuses.map(|status| version("shelf", "v1", status));
        let found = discovery.take_versions(&list, Ok(versions.into()));
        let found = found.iter();
        let found = found.map(|found| found.description.status.as_str());
        assert!(found.eq(statuses[..5].iter().copied()));
        assert_eq!(ends(discovery), [MATCHED]);
        let (mut discovery, list) = begin_with(&patterns, "shelf");
        let versions = vec![version("shelf", "v1", "STOPPED")];
        assert!(discovery.take_versions(&list, Ok(versions)).is_empty());
        assert_eq!(ends(discovery), [MATCHED]);
    }

    #[test]
    fn a_pattern_that_is_added_later_gets_its_own_lists() {
        let patterns = [pattern("dock", "*"), pattern("shelf", "v1")];
        let (mut discovery, mut lists) = begin(&patterns[..1]);
        discovery.take_projects(lists.pop().unwrap(), Ok(Vec::new()));
        let mut calls = discovery.add(vec![Pattern {
            entry: 7,
            pattern: &patterns[1],
        }]);
        let list = projects_of(calls.pop().unwrap());
        assert_eq!(list.names, ["shelf"]);
        let mut next = discovery.take_projects(list, Ok(created(&["shelf"])));
        let versions = Ok(vec![version("shelf", "v1", "RUNNING")]);
        let found = discovery.take_versions(&versions_of(next.pop().unwrap()), versions);
        assert_eq!(versions_of_models(&found), ["v1"]);
        assert_eq!(discovery.first_match(&found[0].model_arn), Some(7));
        assert_eq!(ends(discovery), [UNMATCHED, MATCHED]);
    }

    #[test]
    fn a_project_that_cannot_be_listed_fails_the_patterns_that_may_match_its_models() {
        let patterns = [
            pattern("dock", "*"),
            pattern("sh*", "*"),
            pattern("shelf", "v1"),
            pattern("*", "v?"),
        ];
        let (mut discovery, mut lists) = begin(&patterns);
        let projects = Ok(created(&["dock", "shelf"]));
        for next in discovery.take_projects(lists.pop().unwrap(), projects) {
            let list = versions_of(next);
            let response = match &*list.project.name {
                "shelf" => Err(denied()),
                _ => Ok(vec![version("dock", "v1", "RUNNING")]),
            };
            discovery.take_versions(&list, response);
        }
        let denied = |has_match| failed(has_match, "AccessDeniedException: ");
        let expected = [MATCHED, denied(false), denied(false), denied(true)];
        assert_eq!(ends(discovery), expected);
    }

    #[test]
    fn projects_that_cannot_be_listed_fail_the_patterns_that_name_them() {
        let patterns = eleven();
        let (mut discovery, mut lists) = begin(&patterns);
        let last = lists.pop().unwrap();
        assert!(discovery.take_projects(last, Err(denied())).is_empty());
        let expected: Vec<bool> = (0..11).map(|number| number == 10).collect();
        assert_eq!(has_failed(discovery), expected);
    }

    #[test]
    fn projects_that_fail_together_are_listed_one_by_one() {
        for error in [
            refused("InternalServerError"),
            refused("InvalidParameterException"),
            CallError::NoResponse,
            CallError::unreadable(Operation::DescribeProjects),
        ] {
            let patterns = eleven();
            let (mut discovery, mut lists) = begin(&patterns);
            let mut listed = Vec::new();
            for next in discovery.take_projects(lists.remove(0), Err(error.clone())) {
                let list = projects_of(next);
                let response = match &list.names[..] {
                    [name] if name == "p03" => Err(error.clone()),
                    [name] => Ok(created(&[name])),
                    several => panic!("{several:?}"),
                };
                listed.extend(next_projects(discovery.take_projects(list, response)));
            }
            assert_eq!(listed.len(), 9);
            let expected: Vec<bool> = (0..11).map(|number| number == 3).collect();
            assert_eq!(has_failed(discovery), expected, "{error:?}");
        }
    }

    #[test]
    fn projects_that_are_denied_together_fail_together() {
        let patterns = eleven();
        let (mut discovery, mut lists) = begin(&patterns);
        let first = lists.remove(0);
        assert!(discovery.take_projects(first, Err(denied())).is_empty());
        let expected: Vec<bool> = (0..11).map(|number| number < 10).collect();
        assert_eq!(has_failed(discovery), expected);
    }

    #[test]
    fn a_project_that_is_gone_when_its_versions_are_listed_has_none() {
        let patterns = [pattern("shelf", "*")];
        let (mut discovery, list) = begin_with(&patterns, "shelf");
        let gone = Err(refused("ResourceNotFoundException"));
        assert!(discovery.take_versions(&list, gone).is_empty());
        assert_eq!(ends(discovery), [UNMATCHED]);
    }

    #[test]
    fn a_lookup_tells_of_its_first_failure_and_keeps_what_it_found() {
        let patterns = [pattern("shelf", "*")];
        let (mut discovery, list) = begin_with(&patterns, "shelf");
        let versions = Ok(vec![version("shelf", "v1", "RUNNING")]);
        assert_eq!(discovery.take_versions(&list, versions).len(), 1);
        discovery.take_versions(&list, Err(denied()));
        discovery.fail_versions(&list, &Failure::out_of_time(None));
        let expected = [failed(true, "AccessDeniedException: ")];
        assert_eq!(ends(discovery), expected);
    }

    #[test]
    fn an_unreadable_arn_fails_the_patterns_of_its_project_unless_it_is_not_running() {
        for (status, is_failure) in [("RUNNING", true), ("MELTING", true), ("STOPPED", false)] {
            let patterns = [pattern("shelf", "v1"), pattern("dock", "*")];
            let (mut discovery, list) = begin_with(&patterns, "shelf");
            let versions = vec![
                described("arn:of:something:else", status),
                version("shelf", "v1", "RUNNING"),
            ];
            let found = discovery.take_versions(&list, Ok(versions));
            assert_eq!(versions_of_models(&found), ["v1"]);
            assert_eq!(has_failed(discovery), [is_failure, false], "{status}");
        }
    }

    #[test]
    fn of_projects_with_the_same_name_only_the_created_one_is_listed_if_there_is_one() {
        for (states, expected) in [
            ([Created, Changing], &[1][..]),
            ([Changing, Created], &[2]),
            ([Changing, Changing], &[1, 2]),
            ([Created, Created], &[1, 2]),
        ] {
            let patterns = [pattern("*", "*")];
            let (mut discovery, mut lists) = begin(&patterns);
            let namesakes = vec![
                project("shelf", 1, states[0]),
                project("shelf", 2, states[1]),
            ];
            let next = discovery.take_projects(lists.pop().unwrap(), Ok(namesakes));
            let listed = next.into_iter().map(|next| versions_of(next).project.arn);
            let expected = expected.iter();
            let expected = expected.map(|number| project("shelf", *number, Created).arn);
            assert!(listed.eq(expected), "{states:?}");
        }
    }

    #[test]
    fn projects_of_another_account_are_noted_and_their_versions_not_listed() {
        let patterns = [pattern("shelf", "*")];
        let (mut discovery, mut lists) = begin(&patterns);
        let mut foreign = project("shelf", 1, Created);
        foreign.arn = foreign.arn.replace(ACCOUNT, "210987654321");
        let next = discovery.take_projects(lists.pop().unwrap(), Ok(vec![foreign]));
        assert!(next.is_empty());
        let search = discovery.into_searches().pop().unwrap();
        assert_eq!(search.other_account.as_deref(), Some("210987654321"));
    }
}
