//! Which call shows which models.
//!
//! DescribeProjectVersions shows ten models of one project by their names, or a whole project a
//! hundred at a time, so a call for each model would be ten to a hundred times the calls. Models
//! only say that they are to be looked at, and when:
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
    /// The ARNs of the projects of this name, once they are known: there are two where one was
    /// deleted and made again. The first is asked, and the next where that one does not list a
    /// model.
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
            Then::Anew { error, repeats, .. } => {
                self.break_off(&lookup.names, &error, repeats);
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
            project.failure = None;
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
            Then::Anew { error, repeats, .. } => {
                self.waiting.extend(look.models);
                self.note_failure(&look.project, error, repeats);
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
    fn break_off(&mut self, names: &[String], error: &CallError, repeats: bool) {
        for name in names {
            if let Some(project) = self.projects.get_mut(name) {
                self.waiting.extend(project.take_due());
            }
            self.note_failure(name, error.clone(), repeats);
            self.call_ended(name);
        }
    }

    /// Notes what a list of a project was broken off for. The next round comes soon, and, where a
    /// token `repeats`, after pauses that grow.
    fn note_failure(&mut self, name: &str, error: CallError, repeats: bool) {
        if let Some(project) = self.projects.get_mut(name) {
            let is_first = project.failure.replace(error).is_none();
            if is_first || !repeats {
                self.cadence.changed(Instant::now());
            }
        }
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

    /// The looks at all its models that are due: at most ten by name, and more by listing the
    /// project.
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

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::Duration;

    use fastrand::Rng;

    use crate::aws::Status;

    const DEADLINE: Duration = Duration::from_secs(900);

    fn model(project: &str, number: usize) -> ModelArn {
        let arn = format!(
            "arn:aws:rekognition:us-east-1:123456789012:project/{project}/version/v{number:02}/1"
        );
        arn.parse().unwrap()
    }

    fn models(project: &str, count: usize) -> Vec<ModelArn> {
        (0..count).map(|number| model(project, number)).collect()
    }

    /// The looks at these models, and the calls for them.
    fn begin(models: impl IntoIterator<Item = ModelArn>) -> (Looks, Vec<LookCall>) {
        let mut looks = Looks::new(Instant::now());
        models.into_iter().for_each(|model| looks.look(model));
        let calls = looks.calls();
        (looks, calls)
    }

    fn lookup(call: LookCall) -> Lookup {
        match call {
            LookCall::Lookup(lookup) => lookup,
            LookCall::Look(look) => panic!("{look:?}"),
        }
    }

    fn look(call: LookCall) -> Look {
        match call {
            LookCall::Look(look) => look,
            LookCall::Lookup(lookup) => panic!("{lookup:?}"),
        }
    }

    /// The calls for models of projects that have been looked up.
    fn looks_at(models: impl IntoIterator<Item = ModelArn>) -> (Looks, Vec<Look>) {
        let (mut looks, calls) = begin(models);
        for call in calls {
            let lookup = lookup(call);
            let projects = lookup.names.iter().map(|name| project(name, 1, true));
            let page = page(projects.collect(), None);
            let (next, shown) = looks.take_projects(lookup, page);
            assert!(next.is_none() && shown.is_empty());
        }
        let calls = looks.calls().into_iter().map(look).collect();
        (looks, calls)
    }

    fn project(name: &str, number: u32, is_created: bool) -> Project {
        Project {
            name: name.to_owned(),
            arn: project_arn(name, number),
            is_created,
        }
    }

    fn project_arn(name: &str, number: u32) -> String {
        format!("arn:aws:rekognition:us-east-1:123456789012:project/{name}/{number}")
    }

    fn version(model_arn: &ModelArn) -> Version {
        Version {
            model_arn: model_arn.as_str().to_owned(),
            observation: Observation {
                status: Status::new("STOPPING"),
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

    /// A page with these models.
    fn versions(models: &[ModelArn], next_token: Option<&str>) -> Result<Page<Version>, CallError> {
        page(models.iter().map(version).collect(), next_token)
    }

    fn refused<T>(code: &str) -> Result<Page<T>, CallError> {
        Err(CallError::Refused {
            code: code.to_owned(),
            message: String::new(),
        })
    }

    fn unreadable<T>() -> Result<Page<T>, CallError> {
        Err(CallError::Unclear {
            message: "garbage".to_owned(),
        })
    }

    /// What is shown of each model: whether it was seen, or why not.
    fn words(shown: &[Shown]) -> BTreeMap<&str, String> {
        let words = shown.iter().map(|(model_arn, seen)| {
            let word = match seen {
                Ok(observation) => observation.status.as_str().to_owned(),
                Err(error) => error.to_string(),
            };
            (model_arn.version(), word)
        });
        words.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn projects_are_looked_up_ten_a_call_and_each_only_once() {
        let each_of_25 = || (0..25).map(|number| model(&format!("p{number:02}"), 0));
        let (mut looks, calls) = begin(each_of_25());
        let names: Vec<usize> = calls
            .into_iter()
            .map(|call| {
                let lookup = lookup(call);
                let count = lookup.names.len();
                let projects = lookup.names.iter().map(|name| project(name, 1, true));
                let page = page(projects.collect(), None);
                looks.take_projects(lookup, page);
                count
            })
            .collect();
        assert_eq!(names, [10, 10, 5]);
        let calls = looks.calls();
        assert_eq!(calls.len(), 25);
        for call in calls {
            let look = look(call);
            let seen = versions(&Vec::from_iter(look.models.clone()), None);
            looks.take_versions(look, seen);
        }
        each_of_25().for_each(|model| looks.look(model));
        assert!(looks.calls().into_iter().map(look).count() == 25);
    }

    #[tokio::test(start_paused = true)]
    async fn up_to_ten_models_are_looked_at_by_name_and_more_by_listing_their_project() {
        for (count, names) in [(1, vec![1]), (10, vec![10]), (11, vec![0]), (40, vec![0])] {
            let (_, calls) = looks_at(models("shelf", count));
            let asked: Vec<usize> = calls.iter().map(|look| look.names.len()).collect();
            assert_eq!(asked, names, "{count} models");
            assert!(calls.iter().all(|look| look.models.len() == count));
            assert_eq!(calls[0].project_arn, project_arn("shelf", 1));
        }
        let all = ["dock", "shelf"]
            .into_iter()
            .flat_map(|name| models(name, 3));
        let (_, calls) = looks_at(all);
        let projects: Vec<&str> = calls.iter().map(|look| &*look.project).collect();
        assert_eq!(projects, ["dock", "shelf"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_is_read_on_for_as_many_pages_as_asking_by_name_would_take_calls() {
        let arns = models("shelf", 25);
        let (mut looks, mut calls) = looks_at(arns.clone());
        let mut next = calls.pop();
        for (number, token) in ["2", "3"].into_iter().enumerate() {
            let look = next.unwrap();
            let (call, shown) =
                looks.take_versions(look, versions(&arns[number..=number], Some(token)));
            assert_eq!(shown.len(), 1);
            next = call;
        }
        // After the third page it is known to be a large project.
        let (call, shown) = looks.take_versions(next.unwrap(), versions(&[], Some("4")));
        assert!(call.is_none() && shown.is_empty());
        for _ in 0..2 {
            let calls = looks.calls().into_iter().map(look);
            let calls: Vec<Look> = calls.collect();
            let names: Vec<usize> = calls.iter().map(|look| look.names.len()).collect();
            assert_eq!(names, [10, 10, 3]);
            for look in calls {
                let seen = Vec::from_iter(look.models.clone());
                let (_, shown) = looks.take_versions(look, versions(&seen, None));
                assert_eq!(shown.len(), seen.len());
                shown.into_iter().for_each(|(model, _)| looks.wait(model));
            }
            looks.begin_round(Instant::now(), Instant::now() + DEADLINE);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_has_shown_all_of_its_models_is_not_read_on() {
        let arns = models("shelf", 25);
        let (mut looks, mut calls) = looks_at(arns.clone());
        let (next, shown) = looks.take_versions(calls.pop().unwrap(), versions(&arns, Some("2")));
        assert!(next.is_none());
        assert_eq!(shown.len(), 25);
        assert!(looks.calls().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_models_of_a_list_that_is_broken_off_are_looked_at_in_the_next_round() {
        let start = Instant::now();
        let arns = models("shelf", 12);
        let (mut looks, mut calls) = looks_at(arns.clone());
        let look = calls.pop().unwrap();
        let (look, shown) = looks.take_versions(look, versions(&arns[..5], Some("2")));
        assert_eq!(shown.len(), 5);
        let (next, shown) = looks.take_versions(look.unwrap(), unreadable());
        assert!(next.is_none() && shown.is_empty() && looks.calls().is_empty());
        assert_eq!(looks.last_failure(&arns[11]).as_deref(), Some("garbage"));
        assert_eq!(looks.next_round(), Some(start + Duration::from_secs(1)));
        looks.begin_round(Instant::now(), start + DEADLINE);
        let [LookCall::Look(look)] = &looks.calls()[..] else {
            panic!("{looks:?}");
        };
        assert_eq!(look.names.len(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_is_broken_off_is_made_anew_in_the_next_round() {
        let arn = model("shelf", 0);
        let (mut looks, calls) = begin([arn.clone()]);
        for call in calls {
            let broken = refused("InvalidPaginationTokenException");
            let (next, shown) = looks.take_projects(lookup(call), broken);
            assert!(next.is_none() && shown.is_empty() && looks.calls().is_empty());
        }
        let failure = looks.last_failure(&arn);
        assert_eq!(failure.as_deref(), Some("InvalidPaginationTokenException"));
        looks.begin_round(Instant::now(), Instant::now() + DEADLINE);
        assert_eq!(lookup(looks.calls().pop().unwrap()).names, ["shelf"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_breaks_off_is_begun_anew_soon_and_later_and_later_where_a_token_repeats() {
        for (repeats, expected) in [
            (false, [1, 2, 3, 4, 5, 6, 7]),
            (true, [1, 3, 7, 15, 31, 61, 91]),
        ] {
            let start = Instant::now();
            let (mut looks, calls) = looks_at(models("shelf", 12));
            let mut calls: Vec<LookCall> = calls.into_iter().map(LookCall::Look).collect();
            let mut rounds = Vec::new();
            for _ in 0..7 {
                let look = look(calls.pop().unwrap());
                let (next, shown) = if repeats {
                    let (look, _) = looks.take_versions(look, versions(&[], Some("2")));
                    looks.take_versions(look.unwrap(), versions(&[], Some("2")))
                } else {
                    looks.take_versions(look, unreadable())
                };
                assert!(next.is_none() && shown.is_empty());
                let next = looks.next_round().unwrap();
                rounds.push((next - start).as_secs());
                tokio::time::sleep_until(next).await;
                looks.begin_round(next, start + DEADLINE);
                calls = looks.calls();
            }
            assert_eq!(rounds, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_bad_name_among_several_is_looked_at_alone_and_fails_alone() {
        for code in ["ResourceNotFoundException", "InvalidParameterException"] {
            let (mut looks, mut calls) = looks_at(models("shelf", 3));
            let (_, shown) = looks.take_versions(calls.pop().unwrap(), refused(code));
            assert!(shown.is_empty());
            let calls = looks.calls();
            assert_eq!(calls.len(), 3);
            let mut all = Vec::new();
            for call in calls {
                let look = look(call);
                let answer = match &*look.names[0] {
                    "v01" => refused(code),
                    _ => versions(&Vec::from_iter(look.models.clone()), None),
                };
                all.extend(looks.take_versions(look, answer).1);
            }
            let expected = [("v00", "STOPPING"), ("v01", code), ("v02", "STOPPING")];
            let expected = expected.map(|(version, word)| (version, word.to_owned()));
            assert_eq!(words(&all), BTreeMap::from(expected));
            assert!(looks.calls().is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn any_other_error_fails_all_models_of_its_call_at_once() {
        let (mut looks, mut calls) = looks_at(models("shelf", 3));
        let denied = refused("AccessDeniedException");
        let (_, shown) = looks.take_versions(calls.pop().unwrap(), denied);
        assert_eq!(shown.len(), 3);
        assert!(looks.calls().is_empty() && looks.next_round().is_none());

        let (mut looks, mut calls) = begin([model("dock", 0), model("shelf", 0)]);
        let denied = refused("AccessDeniedException");
        let (_, shown) = looks.take_projects(lookup(calls.pop().unwrap()), denied);
        assert_eq!(shown.len(), 2);
        assert!(looks.calls().is_empty() && looks.next_round().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_project_or_a_model_that_is_not_listed_is_not_there() {
        let (mut looks, mut calls) = begin([model("dock", 0), model("shelf", 0)]);
        let lookup = lookup(calls.pop().unwrap());
        let only_shelf = page(vec![project("shelf", 1, true)], None);
        let (_, shown) = looks.take_projects(lookup, only_shelf);
        assert!(words(&shown)["v00"].starts_with(
            "ResourceNotFoundException: DescribeProjects knows no Custom Labels project `dock`"
        ));
        let look = look(looks.calls().pop().unwrap());
        let (_, shown) = looks.take_versions(look, versions(&[], None));
        assert!(words(&shown)["v00"].starts_with(
            "ResourceNotFoundException: DescribeProjectVersions does not list this model"
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_project_that_is_listed_twice_the_created_one_is_asked_first_and_then_the_other() {
        for deleting_first in [true, false] {
            let mut projects = vec![project("shelf", 1, false), project("shelf", 2, true)];
            if !deleting_first {
                projects.reverse();
            }
            let (mut looks, mut calls) = begin(models("shelf", 2));
            let lookup = lookup(calls.pop().unwrap());
            let other = projects.pop().unwrap();
            let (lookup, _) = looks.take_projects(lookup, page(projects, Some("2")));
            looks.take_projects(lookup.unwrap(), page(vec![other], None));

            let look = look(looks.calls().pop().unwrap());
            assert_eq!(look.project_arn, project_arn("shelf", 2));
            let (next, shown) = looks.take_versions(look, versions(&[model("shelf", 0)], None));
            assert_eq!(shown.len(), 1);
            let look = next.unwrap();
            assert_eq!(look.project_arn, project_arn("shelf", 1));
            let (next, shown) = looks.take_versions(look, versions(&[model("shelf", 1)], None));
            assert!(next.is_none() && shown[0].1.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_that_is_asked_for_while_its_project_is_called_waits_for_the_answer() {
        let (mut looks, mut calls) = looks_at([model("shelf", 0)]);
        looks.look(model("shelf", 1));
        assert!(looks.calls().is_empty());
        looks.take_versions(calls.pop().unwrap(), versions(&[model("shelf", 0)], None));
        assert_eq!(look(looks.calls().pop().unwrap()).names, ["v01"]);
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_the_answers_each_model_is_in_exactly_one_place() {
        for seed in 0..200 {
            let mut rng = Rng::with_seed(seed);
            let all = [("dock", 1), ("hall", 9), ("shelf", 30), ("yard", 12)];
            let all: BTreeSet<ModelArn> = all
                .into_iter()
                .flat_map(|(name, count)| models(name, count))
                .collect();
            let (mut looks, mut under_way) = begin(all.iter().cloned());
            let mut done = BTreeSet::new();
            for _ in 0..300 {
                let places = places(&looks, &under_way, &done);
                assert!(places.iter().eq(&all), "seed {seed}: {places:?}");
                if under_way.is_empty() {
                    looks.begin_round(Instant::now(), Instant::now() + DEADLINE);
                    under_way.extend(looks.calls());
                    if under_way.is_empty() {
                        break;
                    }
                }
                let call = under_way.swap_remove(rng.usize(..under_way.len()));
                let (next, shown) = answer(&mut looks, call, &mut rng);
                under_way.extend(next);
                for (model, _) in shown {
                    match rng.u8(..4) {
                        0 => looks.look(model),
                        1 => looks.wait(model),
                        _ => drop(done.insert(model)),
                    }
                }
                under_way.extend(looks.calls());
            }
            assert!(done.len() > all.len() / 2, "seed {seed}: {}", done.len());
        }
    }

    /// All models, as often as they are somewhere. A lookup under way is for the models that its
    /// projects hold.
    fn places(looks: &Looks, under_way: &[LookCall], done: &BTreeSet<ModelArn>) -> Vec<ModelArn> {
        let mut places = Vec::from_iter(done.iter().cloned());
        places.extend(looks.waiting.iter().cloned());
        for project in looks.projects.values() {
            places.extend(project.together.iter().cloned());
            places.extend(project.alone.iter().cloned());
        }
        for call in under_way {
            if let LookCall::Look(look) = call {
                places.extend(look.models.iter().cloned());
            }
        }
        places.sort();
        places
    }

    /// Answers a call in any way that the service may.
    fn answer(looks: &mut Looks, call: LookCall, rng: &mut Rng) -> (Option<LookCall>, Vec<Shown>) {
        let token = rng.bool().then(|| rng.u8(..9).to_string());
        let fault = rng.u8(..8);
        match call {
            LookCall::Lookup(lookup) => {
                let names = lookup.names.iter().filter(|_| rng.u8(..8) > 0);
                let projects = names.map(|name| project(name, 1, true)).collect();
                let page = match fault {
                    0 => unreadable(),
                    1 => refused("AccessDeniedException"),
                    _ => page(projects, token.as_deref()),
                };
                let (next, shown) = looks.take_projects(lookup, page);
                (next.map(LookCall::Lookup), shown)
            }
            LookCall::Look(look) => {
                let models = look.models.iter().filter(|_| rng.bool());
                let models: Vec<ModelArn> = models.cloned().collect();
                let page = match fault {
                    0 => unreadable(),
                    1 => refused("ResourceNotFoundException"),
                    2 => refused("InvalidPaginationTokenException"),
                    _ => versions(&models, token.as_deref()),
                };
                let (next, shown) = looks.take_versions(look, page);
                (next.map(LookCall::Look), shown)
            }
        }
    }
}
