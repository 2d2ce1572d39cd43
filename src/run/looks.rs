//! Which call shows which models.
//!
//! DescribeProjectVersions shows ten models of one project by their names, or a whole project a
//! hundred at a time, so a call for each model would be ten to a hundred times the calls. Models only
//! say that they are to be looked at, and when:
//!
//! - now, together with the others of their project that are to be looked at now;
//! - in the next round, together with all others that may change.
//!
//! Where a call for several has failed, perhaps because of one of them, each is looked at alone.
//!
//! A project's ARN is looked up by its name the first time, ten projects a call.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::cadence::Cadence;
use super::pages::{Pages, Then};
use crate::arn::ModelArn;
use crate::aws::{CallError, NAMES_PER_CALL, Observation, Page, Project, Version};

/// A call that looks up projects by their names.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) names: Vec<String>,
    pub(super) pages: Pages,
    found: Vec<Project>,
}

/// A call that looks at models of one project.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) project_arn: String,
    /// The versions' names; none where the whole project is listed.
    pub(super) names: Vec<String>,
    pub(super) pages: Pages,
    project: String,
    /// The models that have not been seen yet.
    models: BTreeSet<ModelArn>,
    /// How many pages of the whole project cost no more than asking by name.
    pages_worth: usize,
}

/// A call to be made.
#[derive(Debug)]
pub(super) enum LookCall {
    Lookup(Lookup),
    Look(Look),
}

/// What a call has shown of a model.
pub(super) type Shown = (ModelArn, Result<Observation, CallError>);

/// A project with models that are to be looked at.
#[derive(Debug, Default)]
struct Watched {
    /// The ARNs of the projects of this name, once they are known: there are two where one was deleted
    /// and made again. The first is asked, and the next where that one does not list a model.
    arns: Vec<String>,
    /// The models that the next calls are for: together, and each alone.
    together: BTreeSet<ModelArn>,
    alone: BTreeSet<ModelArn>,
    /// Calls for it that are under way. The next are made when all of these are answered.
    calls: usize,
    /// What the last call failed with, where that may pass.
    failure: Option<CallError>,
    /// Whether listing the whole project has turned out to take more calls than asking by name.
    is_large: bool,
}

/// The models of a scope that are to be looked at. Each is in one place: in its project, in a call
/// under way, or among those that wait for the next round.
#[derive(Debug)]
pub(super) struct Looks {
    projects: BTreeMap<String, Watched>,
    /// The projects that there may be calls for.
    ready: BTreeSet<String>,
    waiting: Vec<ModelArn>,
    cadence: Cadence,
}

impl Looks {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            projects: BTreeMap::new(),
            ready: BTreeSet::new(),
            waiting: Vec::new(),
            cadence: Cadence::new(now),
        }
    }

    /// Has a model looked at now.
    pub(super) fn look(&mut self, model_arn: ModelArn) {
        let name = model_arn.project().to_owned();
        let project = self.projects.entry(name.clone()).or_default();
        project.together.insert(model_arn);
        self.ready.insert(name);
    }

    /// Has a model looked at in the next round.
    pub(super) fn wait(&mut self, model_arn: ModelArn) {
        self.waiting.push(model_arn);
    }

    /// Notes that a model has changed, so that more may soon.
    pub(super) fn changed(&mut self) {
        self.cadence.changed(Instant::now());
    }

    /// When the next round is due, if models wait for one.
    pub(super) fn next_round(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then(|| self.cadence.next())
    }

    /// Begins a round.
    pub(super) fn begin_round(&mut self, now: Instant, deadline: Instant) {
        for model_arn in std::mem::take(&mut self.waiting) {
            self.look(model_arn);
        }
        self.cadence.begin_round(now, deadline);
    }

    /// What the last call for a model's project failed with, where that may have passed.
    pub(super) fn last_failure(&self, model_arn: &ModelArn) -> Option<String> {
        let project = self.projects.get(model_arn.project())?;
        project.failure.as_ref().map(CallError::to_string)
    }

    /// The calls for all that is to be looked at now.
    pub(super) fn calls(&mut self) -> Vec<LookCall> {
        let mut calls = Vec::new();
        let mut unknown = Vec::new();
        for name in std::mem::take(&mut self.ready) {
            let Some(project) = self
                .projects
                .get_mut(&name)
                .filter(|project| project.is_due())
            else {
                continue;
            };
            if project.arns.is_empty() {
                project.calls += 1;
                unknown.push(name);
                continue;
            }
            for look in project.looks(&name) {
                self.cadence.called();
                calls.push(LookCall::Look(look));
            }
        }
        let lookups = unknown.chunks(NAMES_PER_CALL).map(|names| Lookup {
            names: names.to_vec(),
            pages: Pages::default(),
            found: Vec::new(),
        });
        calls.extend(lookups.map(LookCall::Lookup));
        calls
    }

    /// Takes a page of projects that were looked up. Gives the call for the next page, or what has
    /// become known of models.
    pub(super) fn take_projects(
        &mut self,
        mut lookup: Lookup,
        page: Result<Page<Project>, CallError>,
    ) -> (Option<Lookup>, Vec<Shown>) {
        let (projects, then) = lookup.pages.take(page);
        lookup.found.extend(projects);
        let failure = match then {
            Then::More => return (Some(lookup), Vec::new()),
            Then::End => None,
            Then::Anew(_, error) => {
                self.break_off(&lookup.names, &error);
                return (None, Vec::new());
            }
            Then::Failed(error) => Some(error),
        };
        // The one that is CREATED is most likely the one that is meant.
        lookup.found.sort_by_key(|project| !project.is_created);
        let mut shown = Vec::new();
        for name in lookup.names {
            let Some(project) = self.projects.get_mut(&name) else {
                continue;
            };
            let found = lookup.found.iter().filter(|project| project.name == name);
            project.arns = found.map(|project| project.arn.clone()).collect();
            let error = match &failure {
                None if !project.arns.is_empty() => None,
                None => Some(CallError::not_found(format!(
                    "DescribeProjects knows no Custom Labels project `{name}` in this account and \
                     region"
                ))),
                Some(error) => Some(error.clone()),
            };
            if let Some(error) = error {
                let models = project.take_due().into_iter();
                shown.extend(models.map(|model_arn| (model_arn, Err(error.clone()))));
            }
            self.call_ended(&name);
        }
        (None, shown)
    }

    /// Takes a page of versions that were looked at. Gives the call for the next page, if one is
    /// worth it, and what has become known of models.
    pub(super) fn take_versions(
        &mut self,
        mut look: Look,
        page: Result<Page<Version>, CallError>,
    ) -> (Option<Look>, Vec<Shown>) {
        let Some(project) = self.projects.get_mut(&look.project) else {
            return (None, Vec::new());
        };
        let (versions, then) = look.pages.take(page);
        let mut shown: Vec<Shown> = Vec::new();
        for version in versions {
            if let Some(model_arn) = look.models.take(&*version.model_arn) {
                shown.push((model_arn, Ok(version.observation)));
            }
        }
        let fail = |models: BTreeSet<ModelArn>, error: CallError| {
            models
                .into_iter()
                .map(move |model_arn| (model_arn, Err(error.clone())))
        };
        match then {
            _ if look.models.is_empty() => project.failure = None,
            Then::More if look.pages_worth > 1 || !look.names.is_empty() => {
                look.pages_worth = look.pages_worth.saturating_sub(1);
                return (Some(look), shown);
            }
            Then::More => {
                project.failure = None;
                project.is_large = true;
                project.together.extend(look.models);
            }
            Then::End => {
                project.failure = None;
                // Where a project is listed twice, the one that lists the model is meant.
                if let Some(arn) = project.next_arn(&look.project_arn) {
                    look.project_arn = arn;
                    look.pages = Pages::default();
                    return (Some(look), shown);
                }
                let error = CallError::not_found(format!(
                    "DescribeProjectVersions does not list this model in project `{}`",
                    look.project
                ));
                shown.extend(fail(look.models, error));
            }
            Then::Anew(_, error) => {
                project.failure = Some(error);
                self.waiting.extend(look.models);
                self.cadence.changed(Instant::now());
            }
            Then::Failed(error) if look.names.len() > 1 && error.may_be_of_one() => {
                project.alone.extend(look.models);
            }
            Then::Failed(error) => shown.extend(fail(look.models, error)),
        }
        self.call_ended(&look.project);
        (None, shown)
    }

    /// Has the models of these projects looked at in the next round, since a list was broken off.
    fn break_off(&mut self, names: &[String], error: &CallError) {
        for name in names {
            if let Some(project) = self.projects.get_mut(name) {
                project.failure = Some(error.clone());
                self.waiting.extend(project.take_due());
            }
            self.call_ended(name);
        }
        self.cadence.changed(Instant::now());
    }

    /// Notes that a call for a project has ended, so that there may be others.
    fn call_ended(&mut self, name: &str) {
        if let Some(project) = self.projects.get_mut(name) {
            project.calls -= 1;
            self.ready.insert(name.to_owned());
        }
    }
}

impl Watched {
    fn is_due(&self) -> bool {
        self.calls == 0 && !(self.together.is_empty() && self.alone.is_empty())
    }

    fn take_due(&mut self) -> Vec<ModelArn> {
        let mut due = std::mem::take(&mut self.together);
        due.append(&mut self.alone);
        due.into_iter().collect()
    }

    /// The looks at all its models that are due: at most ten by name, and more by listing the project.
    fn looks(&mut self, name: &str) -> Vec<Look> {
        let together = Vec::from_iter(std::mem::take(&mut self.together));
        let alone = Vec::from_iter(std::mem::take(&mut self.alone));
        let whole = together.len() > NAMES_PER_CALL && !self.is_large;
        let at_once = if whole {
            together.len()
        } else {
            NAMES_PER_CALL
        };
        let groups = together.chunks(at_once).chain(alone.chunks(1));
        let project_arn = self.arns.first().cloned().unwrap_or_default();
        let looks = groups.map(|models| Look {
            project_arn: project_arn.clone(),
            names: match models.len() > NAMES_PER_CALL {
                true => Vec::new(),
                false => models.iter().map(|it| it.version().to_owned()).collect(),
            },
            pages: Pages::default(),
            project: name.to_owned(),
            models: models.iter().cloned().collect(),
            pages_worth: models.len().div_ceil(NAMES_PER_CALL),
        });
        let looks: Vec<Look> = looks.collect();
        self.calls += looks.len();
        looks
    }

    /// The ARN of the other project of the same name.
    fn next_arn(&self, arn: &str) -> Option<String> {
        let mut arns = self.arns.iter().skip_while(|known| *known != arn);
        arns.nth(1).cloned()
    }
}
