//! The models that patterns stand for, found by listing projects and their versions.

use std::collections::BTreeSet;
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
    /// What it was last begun anew for.
    error: Option<CallError>,
}

/// A list of a project's versions that is read.
#[derive(Debug)]
pub(super) struct VersionList {
    pub(super) project: Project,
    pub(super) pages: Pages,
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
    /// How many versions it matches, running or not.
    pub(super) matches: usize,
    /// The account of the projects that were listed, where it is not the pattern's.
    pub(super) other_account: Option<String>,
    /// Why it could not be looked up to the end. Models may have been found all the same.
    pub(super) error: Option<CallError>,
}

/// The patterns of one scope.
///
/// A model is found when it is running, starting or stopping, or when its status is one that nothing
/// is known about. A list that cannot be read to its end fails the patterns that it matters to; what
/// was found before is not lost. Memory grows with what is found, not with what is listed.
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
        self.searches
            .extend(patterns.into_iter().map(|(entry, pattern)| Search {
                entry,
                pattern,
                matches: 0,
                other_account: None,
                error: None,
            }));
        let Some(names) = names else {
            return vec![List::Projects(ProjectList::default())];
        };
        let names = Vec::from_iter(names);
        let lists = names.chunks(NAMES_PER_CALL).map(|names| ProjectList {
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..ProjectList::default()
        });
        lists.map(List::Projects).collect()
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
            let is_wanted = |it: &Search| it.pattern.matches_project(&project.name);
            if !is_gone && self.searches.iter().any(is_wanted) {
                shown.next.push(Continue::Now(List::Versions(VersionList {
                    project: project.clone(),
                    pages: Pages::default(),
                    error: None,
                })));
            }
        }
        match then {
            Then::End => {}
            Then::More => shown.next.push(Continue::Now(List::Projects(list))),
            Then::Anew(pause, error) => {
                list.error = Some(error);
                shown
                    .next
                    .push(Continue::After(pause, List::Projects(list)));
            }
            Then::Failed(error) => self.fail_projects(&list.names, &error),
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
            .filter_map(|version| self.find(&list.project.name, version))
            .collect();
        match then {
            Then::End => {}
            Then::More => shown.next.push(Continue::Now(List::Versions(list))),
            Then::Anew(pause, error) => {
                list.error = Some(error);
                shown
                    .next
                    .push(Continue::After(pause, List::Versions(list)));
            }
            Then::Failed(error) => self.fail_project(&list.project.name, &error),
        }
        shown
    }

    /// Notes that time ran out for a list.
    pub(super) fn out_of_time(&mut self, list: &List) {
        let out_of_time = |error: &Option<CallError>| CallError::OutOfTime {
            last_failure: error.as_ref().map(CallError::to_string),
        };
        match list {
            List::Projects(list) => self.fail_projects(&list.names, &out_of_time(&list.error)),
            List::Versions(list) => {
                self.fail_project(&list.project.name, &out_of_time(&list.error));
            }
        }
    }

    /// What has become of each pattern.
    pub(super) fn into_searches(self) -> Vec<Search<'a>> {
        self.searches
    }

    fn find(&mut self, project: &str, version: Version) -> Option<(ModelArn, Observation)> {
        let is_not_running = version.observation.status.phase() == Phase::NotRunning;
        let Ok(model_arn) = version.model_arn.parse::<ModelArn>() else {
            // Whether a pattern stands for it cannot be said.
            if !is_not_running {
                let error = CallError::unreadable_list(Operation::DescribeProjectVersions);
                self.fail_project(project, &error);
            }
            return None;
        };
        let mut is_found = false;
        for search in &mut self.searches {
            if search.pattern.matches(&model_arn) {
                search.matches += 1;
                is_found = true;
            }
        }
        (is_found && !is_not_running).then_some((model_arn, version.observation))
    }

    fn fail_projects(&mut self, names: &[String], error: &CallError) {
        self.fail(error, |pattern| {
            pattern
                .project_name()
                .is_none_or(|name| names.is_empty() || names.iter().any(|listed| listed == name))
        });
    }

    fn fail_project(&mut self, project: &str, error: &CallError) {
        self.fail(error, |pattern| pattern.matches_project(project));
    }

    fn fail(&mut self, error: &CallError, matters_to: impl Fn(&ModelPattern) -> bool) {
        for search in &mut self.searches {
            if matters_to(search.pattern) {
                search.error.get_or_insert_with(|| error.clone());
            }
        }
    }
}
