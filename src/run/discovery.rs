//! The models that patterns match, found by listing projects and their versions.

use std::collections::{BTreeSet, HashSet};

use super::assignment::Pattern;
use crate::arn::{ModelArn, ModelPattern};
use crate::calls::error::CallError;
use crate::calls::operation::Operation;
use crate::calls::request::{NAMES_PER_CALL, Request};
use crate::calls::response::{Description, Project, Version};
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
    /// Why the lookup is incomplete, if it is. Models may have been found all the same.
    pub(super) failure: Option<Failure>,
}

/// The patterns of one scope.
///
/// A model is found if it is running, starting or stopping, or if its status is unknown. A list
/// that cannot be read to its end fails those of its patterns that it may concern; what was found
/// before is not lost. Memory grows with the projects and with the models found, not with the
/// versions listed.
#[derive(Debug, Default)]
pub(super) struct Discovery<'a> {
    searches: Vec<Search<'a>>,
    /// The ARNs of the projects whose versions have been listed for all of these patterns: a list
    /// of projects that is read anew lists them again.
    listed: HashSet<String>,
}

impl<'a> Discovery<'a> {
    /// Searches for these patterns as well. Returns the first calls: for the projects that the
    /// patterns name, or for all projects if a name has a wildcard.
    pub(super) fn add(&mut self, patterns: Vec<Pattern<'a>>) -> Vec<Request> {
        if patterns.is_empty() {
            return Vec::new();
        }
        let names = patterns.iter().map(|it| it.pattern.project_name());
        let names = names.collect::<Option<BTreeSet<&str>>>();
        let patterns = patterns.into_iter();
        let searches = patterns.map(|Pattern { entry, pattern }| Search {
            entry,
            pattern,
            has_match: false,
            failure: None,
        });
        self.searches.extend(searches);
        self.listed.clear();
        let list = |names: &[&str]| Request::DescribeProjects {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
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

    /// Handles a page of projects. Returns the calls that list the versions of those in which a
    /// pattern may match.
    pub(super) fn take_projects(&mut self, projects: &[Project]) -> Vec<Request> {
        let mut next = Vec::new();
        for project in projects {
            let mut searches = self.searches.iter();
            let is_wanted = searches.any(|it| it.pattern.matches_project(&project.name));
            if is_wanted && self.listed.insert(project.arn.clone()) {
                next.push(Request::DescribeProjectVersions {
                    project: project.clone(),
                    models: Vec::new(),
                });
            }
        }
        next
    }

    /// Handles a version of a project. Returns the model if a pattern matches it, unless it is not
    /// running.
    pub(super) fn find(&mut self, project: &Project, version: Version) -> Option<FoundModel> {
        let is_not_running = version.description.status.phase() == Phase::NotRunning;
        let Ok(model_arn) = version.model_arn.parse::<ModelArn>() else {
            // There is no telling whether a pattern matches it.
            if !is_not_running {
                let error = CallError::unreadable(Operation::DescribeProjectVersions);
                self.fail_versions(project, &error.into());
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

    /// Notes that the projects with these names could not be listed, or all of them.
    pub(super) fn fail_projects(&mut self, names: &[String], failure: &Failure) {
        self.fail(failure, |pattern| {
            let name = pattern.project_name();
            names.is_empty() || name.is_some_and(|name| names.iter().any(|it| it == name))
        });
    }

    /// Notes that the versions of a project could not be listed.
    pub(super) fn fail_versions(&mut self, project: &Project, failure: &Failure) {
        self.fail(failure, |pattern| pattern.matches_project(&project.name));
    }

    /// Notes that nothing more can be found for any pattern.
    pub(super) fn fail_all(&mut self, failure: &Failure) {
        self.fail(failure, |_| true);
    }

    /// What has been found for each pattern.
    pub(super) fn into_searches(self) -> Vec<Search<'a>> {
        self.searches
    }

    /// A lookup tells of its first failure.
    fn fail(&mut self, failure: &Failure, is_concerned: impl Fn(&ModelPattern) -> bool) {
        for search in &mut self.searches {
            if is_concerned(search.pattern) {
                search.failure.get_or_insert_with(|| failure.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::calls::response::ProjectState;
    use crate::calls::status::Status;

    const ACCOUNT: &str = "123456789012";

    fn pattern(project: &str, version: &str) -> ModelPattern {
        let pattern = format!(
            "arn:aws:rekognition:us-east-1:{ACCOUNT}:project/{project}/version/{version}/*"
        );
        pattern.parse().unwrap()
    }

    /// The discovery for these patterns, each its own entry, and the names of the projects that are
    /// listed first.
    fn begin(patterns: &[ModelPattern]) -> (Discovery<'_>, Vec<Vec<String>>) {
        let entries = patterns.iter().enumerate();
        let entries = entries.map(|(entry, pattern)| Pattern { entry, pattern });
        let mut discovery = Discovery::default();
        let calls = discovery.add(entries.collect());
        let lists = calls.into_iter().map(|call| match call {
            Request::DescribeProjects { names } => names,
            call => panic!("{call:?}"),
        });
        (discovery, lists.collect())
    }

    fn project(name: &str) -> Project {
        Project {
            name: name.to_owned(),
            arn: format!("arn:aws:rekognition:us-east-1:{ACCOUNT}:project/{name}/1"),
            state: ProjectState::Created,
        }
    }

    /// The names of the projects whose versions are listed next, after a page of these projects.
    fn listed(discovery: &mut Discovery, names: &[&str]) -> Vec<String> {
        let projects: Vec<Project> = names.iter().map(|name| project(name)).collect();
        let next = discovery.take_projects(&projects).into_iter();
        let names = next.map(|call| match call {
            Request::DescribeProjectVersions { project, models } if models.is_empty() => {
                project.name
            }
            call => panic!("{call:?}"),
        });
        names.collect()
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

    fn denied() -> Failure {
        Failure::from(CallError::Refused {
            status: 400,
            code: Some("AccessDeniedException".to_owned()),
            message: String::new(),
        })
    }

    /// Whether each pattern matches a version, and whether its lookup has failed.
    fn ends(discovery: Discovery<'_>) -> Vec<(bool, bool)> {
        let searches = discovery.into_searches().into_iter();
        let ends = searches.map(|search| (search.has_match, search.failure.is_some()));
        ends.collect()
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
        let sizes: Vec<usize> = lists.iter().map(Vec::len).collect();
        assert_eq!(sizes, [10, 1]);
        assert_eq!(lists[1], ["p10"]);
    }

    #[test]
    fn a_wildcard_in_a_projects_name_lists_all_projects_once_for_all_patterns() {
        let patterns = [
            pattern("shelf", "*"),
            pattern("d*", "v1"),
            pattern("*", "v2"),
        ];
        let (_, lists) = begin(&patterns);
        assert_eq!(lists, [Vec::<String>::new()]);
        assert!(begin(&[]).1.is_empty());
    }

    #[test]
    fn two_patterns_share_the_list_of_a_project() {
        let patterns = [pattern("s*", "a*"), pattern("shelf", "*1")];
        let (mut discovery, _) = begin(&patterns);
        let first = listed(&mut discovery, &["dock", "shelf"]);
        assert_eq!(first, ["shelf"]);
        // A list of projects that is read anew lists each project's versions only once.
        assert_eq!(listed(&mut discovery, &["shelf", "stall"]), ["stall"]);
        let names = ["a1", "a2", "b1", "b2"];
        let version = |name| version("shelf", name, "RUNNING");
        let found = names.map(|name| discovery.find(&project("shelf"), version(name)).is_some());
        assert_eq!(found, [true, true, true, false]);
        let first_match =
            |name| discovery.first_match(&version(name).model_arn.parse::<ModelArn>().unwrap());
        assert_eq!(names.map(first_match), [Some(0), Some(0), Some(1), None]);
        assert_eq!(ends(discovery), [(true, false), (true, false)]);
    }

    #[test]
    fn a_version_that_is_not_running_is_not_found_but_counts_as_a_match() {
        for (status, is_found) in [
            ("RUNNING", true),
            ("STARTING", true),
            ("STOPPING", true),
            ("MELTING", true),
            ("", true),
            ("STOPPED", false),
            ("FAILED", false),
        ] {
            let patterns = [pattern("shelf", "*")];
            let (mut discovery, _) = begin(&patterns);
            let found = discovery.find(&project("shelf"), version("shelf", "v1", status));
            assert_eq!(found.is_some(), is_found, "{status}");
            assert_eq!(ends(discovery), [(true, false)]);
        }
    }

    #[test]
    fn for_a_pattern_that_is_added_later_projects_are_listed_again() {
        let patterns = [pattern("shelf", "v2"), pattern("shelf", "v1")];
        let (mut discovery, _) = begin(&patterns[..1]);
        assert_eq!(listed(&mut discovery, &["shelf"]), ["shelf"]);
        let calls = discovery.add(vec![Pattern {
            entry: 7,
            pattern: &patterns[1],
        }]);
        assert_eq!(calls.len(), 1);
        assert_eq!(listed(&mut discovery, &["shelf"]), ["shelf"]);
        let found = discovery.find(&project("shelf"), version("shelf", "v1", "RUNNING"));
        assert_eq!(discovery.first_match(&found.unwrap().model_arn), Some(7));
        assert_eq!(ends(discovery), [(false, false), (true, false)]);
    }

    #[test]
    fn a_list_that_cannot_be_read_fails_the_patterns_that_it_may_concern() {
        let patterns = [
            pattern("dock", "*"),
            pattern("sh*", "*"),
            pattern("shelf", "v1"),
            pattern("*", "v?"),
        ];
        let (mut discovery, _) = begin(&patterns);
        discovery.fail_versions(&project("shelf"), &denied());
        let ok = (false, false);
        let failed = (false, true);
        assert_eq!(ends(discovery), [ok, failed, failed, failed]);

        let (mut discovery, _) = begin(&patterns);
        discovery.fail_projects(&["shelf".to_owned(), "hall".to_owned()], &denied());
        assert_eq!(ends(discovery), [ok, ok, failed, ok]);

        let (mut discovery, _) = begin(&patterns);
        discovery.fail_projects(&[], &denied());
        assert_eq!(ends(discovery), [failed; 4]);
    }

    #[test]
    fn a_lookup_tells_of_its_first_failure_and_keeps_what_it_found() {
        let patterns = [pattern("shelf", "*")];
        let (mut discovery, _) = begin(&patterns);
        let found = discovery.find(&project("shelf"), version("shelf", "v1", "RUNNING"));
        assert!(found.is_some());
        discovery.fail_versions(&project("shelf"), &denied());
        discovery.fail_all(&Failure::out_of_time(None));
        let search = discovery.into_searches().pop().unwrap();
        assert_eq!((search.has_match, search.failure), (true, Some(denied())));
    }

    #[test]
    fn an_unreadable_arn_fails_the_patterns_of_its_project_unless_it_is_not_running() {
        for (status, is_failure) in [("RUNNING", true), ("MELTING", true), ("STOPPED", false)] {
            let patterns = [pattern("shelf", "v1"), pattern("dock", "*")];
            let (mut discovery, _) = begin(&patterns);
            let unreadable = described("arn:of:something:else", status);
            assert!(discovery.find(&project("shelf"), unreadable).is_none());
            let expected = [(false, is_failure), (false, false)];
            assert_eq!(ends(discovery), expected, "{status}");
        }
    }
}
