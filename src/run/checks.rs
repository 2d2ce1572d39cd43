//! Which call checks the status of which models.
//!
//! DescribeProjectVersions describes ten models of one project by name, so a call for each model
//! would mean ten times as many calls. Instead, models only register for a check:
//!
//! - now, together with the others of their project that are due now;
//! - in the next round, together with all others that may change.
//!
//! If a call for several models keeps failing, perhaps because of one of them, each is checked on
//! its own.
//!
//! A project's ARN is looked up by name the first time, ten projects per call.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use super::cadence::Cadence;
use super::purpose::{Rest, ScopePurpose, StatusCheck};
use crate::arn::ModelArn;
use crate::calls::error::CallError;
use crate::calls::request::NAMES_PER_CALL;
use crate::calls::response::{Description, Project, ProjectState, Version};

/// What a check has shown about a model.
#[derive(Debug)]
pub(super) struct CheckResult {
    pub(super) model_arn: ModelArn,
    pub(super) description: Result<Description, CallError>,
}

/// What is to be done after a check.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) results: Vec<CheckResult>,
    /// The calls to make next.
    pub(super) next: Vec<ScopePurpose>,
}

/// The checks of one project's models.
#[derive(Debug, Default)]
struct ProjectChecks {
    /// The projects with this name, once they are known: there are two if one was deleted and
    /// created again. The first is queried, and the next one if the first does not list a model.
    known: Vec<Project>,
    /// The models that the next calls are for.
    due: BTreeSet<ModelArn>,
    /// The models of the calls that are under way which no page has shown yet.
    unseen: BTreeSet<ModelArn>,
    /// How many calls are under way that look up the project, or check several of its models. The
    /// models that become due meanwhile are checked together. A call for a single model holds up
    /// no other: that model may be why it takes long.
    calls: usize,
}

/// The models of a scope that are to be checked. Each is in exactly one place: due or under way in
/// its project, or among those that wait for the next round.
#[derive(Debug)]
pub(super) struct Checks {
    projects: BTreeMap<String, ProjectChecks>,
    /// The projects for which there may be calls to make.
    ready: BTreeSet<String>,
    waiting: Vec<ModelArn>,
    cadence: Cadence,
}

impl Checks {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            projects: BTreeMap::new(),
            ready: BTreeSet::new(),
            waiting: Vec::new(),
            cadence: Cadence::new(now),
        }
    }

    /// Has a model checked now.
    pub(super) fn check_now(&mut self, model_arn: ModelArn) {
        let name = model_arn.project().to_owned();
        let project = self.projects.entry(name.clone()).or_default();
        project.due.insert(model_arn);
        self.ready.insert(name);
    }

    /// Has a model checked in the next round.
    pub(super) fn check_later(&mut self, model_arn: ModelArn) {
        self.waiting.push(model_arn);
    }

    /// Notes that a model has changed, so that others may change soon.
    pub(super) fn note_change(&mut self, now: Instant) {
        self.cadence.note_change(now);
    }

    /// When the next round is due, if any model is waiting for one.
    pub(super) fn next_round(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then(|| self.cadence.next())
    }

    /// Begins a round. No checks are made after `end`.
    pub(super) fn begin_round(&mut self, now: Instant, end: Instant) {
        for model_arn in std::mem::take(&mut self.waiting) {
            self.check_now(model_arn);
        }
        self.cadence.begin_round(now, end);
    }

    /// The calls for everything that is to be checked now.
    pub(super) fn calls(&mut self) -> Vec<ScopePurpose> {
        let mut calls = Vec::new();
        let mut unknown = Vec::new();
        for name in std::mem::take(&mut self.ready) {
            let Some(project) = self.projects.get_mut(&name) else {
                continue;
            };
            if project.calls > 0 || project.due.is_empty() {
                continue;
            }
            if project.known.is_empty() {
                project.calls += 1;
                unknown.push(name);
                continue;
            }
            for check in project.checks() {
                self.cadence.note_call();
                calls.push(ScopePurpose::CheckVersions(check));
            }
        }
        let lookups = unknown.chunks(NAMES_PER_CALL);
        calls.extend(lookups.map(|names| ScopePurpose::LookUpProjects(names.to_vec())));
        calls
    }

    /// Handles a page of projects with these names.
    pub(super) fn take_projects(
        &mut self,
        names: Vec<String>,
        projects: Result<Vec<Project>, CallError>,
        rest: Rest,
    ) -> Findings {
        let mut findings = Findings::default();
        let failure = match projects {
            Ok(projects) => {
                for project in projects {
                    if let Some(checks) = self.projects.get_mut(&project.name) {
                        checks.add(project);
                    }
                }
                None
            }
            Err(error) if names.len() > 1 && !error.is_denied() => {
                let alone = names.into_iter();
                let alone = alone.map(|name| ScopePurpose::LookUpProjects(vec![name]));
                findings.next = alone.collect();
                return findings;
            }
            Err(error) => Some(error),
        };
        if rest == Rest::Pages {
            return findings;
        }
        for name in names {
            let Some(project) = self.projects.get_mut(&name) else {
                continue;
            };
            project.calls -= 1;
            if project.known.is_empty() {
                let error = failure.clone().unwrap_or_else(|| {
                    CallError::not_found(format!(
                        "DescribeProjects finds no Custom Labels project `{name}` in this account \
                         and region"
                    ))
                });
                findings.fail(std::mem::take(&mut project.due), &error);
            }
            self.ready.insert(name);
        }
        findings
    }

    /// Handles a page of the versions that a check is for.
    pub(super) fn take_versions(
        &mut self,
        check: StatusCheck,
        versions: Result<Vec<Version>, CallError>,
        rest: Rest,
    ) -> Findings {
        let mut findings = Findings::default();
        let Some(name) = check.models.first().map(|it| it.project().to_owned()) else {
            return findings;
        };
        let Some(project) = self.projects.get_mut(&name) else {
            return findings;
        };
        let is_batch = check.models.len() > 1;
        let failure = match versions {
            Ok(versions) => {
                for version in versions {
                    if let Some(model_arn) = project.unseen.take(&*version.model_arn) {
                        findings.results.push(CheckResult {
                            model_arn,
                            description: Ok(version.description),
                        });
                    }
                }
                None
            }
            Err(error) => Some(error),
        };
        if rest == Rest::Pages {
            return findings;
        }
        if is_batch {
            project.calls -= 1;
            self.ready.insert(name.clone());
        }
        let models = check.models.into_iter();
        let unseen: Vec<ModelArn> = models.filter(|it| project.unseen.contains(it)).collect();
        // If a project is listed twice, the right one is the one that lists the model.
        let next_arn = project.arn_after(&check.project_arn);
        match (failure, next_arn) {
            (Some(error), _) if is_batch && !error.is_denied() => {
                for model_arn in unseen {
                    findings.check(check.project_arn.clone(), vec![model_arn]);
                }
            }
            (None, Some(project_arn)) if !unseen.is_empty() => {
                project.calls += usize::from(unseen.len() > 1);
                findings.check(project_arn, unseen);
            }
            (failure, _) => {
                let error = failure.unwrap_or_else(|| {
                    CallError::not_found(format!(
                        "DescribeProjectVersions does not list this model in project `{name}`"
                    ))
                });
                unseen.iter().for_each(|it| {
                    project.unseen.remove(it);
                });
                findings.fail(unseen, &error);
            }
        }
        findings
    }
}

impl Findings {
    /// Adds a call that checks these models.
    fn check(&mut self, project_arn: String, models: Vec<ModelArn>) {
        let check = StatusCheck {
            project_arn,
            models,
        };
        self.next.push(ScopePurpose::CheckVersions(check));
    }

    /// Adds the results of models whose check has failed.
    fn fail(&mut self, models: impl IntoIterator<Item = ModelArn>, error: &CallError) {
        let results = models.into_iter().map(|model_arn| CheckResult {
            model_arn,
            description: Err(error.clone()),
        });
        self.results.extend(results);
    }
}

impl ProjectChecks {
    /// Adds a project with this name. The one that is CREATED is most likely the right one.
    fn add(&mut self, project: Project) {
        if !self.known.contains(&project) {
            self.known.push(project);
            self.known
                .sort_by_key(|known| known.state != ProjectState::Created);
        }
    }

    /// The checks of all models that are due, which are then under way.
    fn checks(&mut self) -> Vec<StatusCheck> {
        let Some(Project { arn, .. }) = self.known.first() else {
            return Vec::new();
        };
        let due = Vec::from_iter(std::mem::take(&mut self.due));
        let checks = due.chunks(NAMES_PER_CALL).map(|models| StatusCheck {
            project_arn: arn.clone(),
            models: models.to_vec(),
        });
        let checks: Vec<StatusCheck> = checks.collect();
        self.unseen.extend(due);
        self.calls += checks.iter().filter(|check| check.models.len() > 1).count();
        checks
    }

    /// The ARN of the other project with the same name.
    fn arn_after(&self, arn: &str) -> Option<String> {
        let mut known = self.known.iter().skip_while(|known| known.arn != arn);
        known.nth(1).map(|project| project.arn.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::Duration;

    use fastrand::Rng;

    use crate::calls::status::Status;

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

    /// The checks of these models, and the calls for them.
    fn begin(models: impl IntoIterator<Item = ModelArn>) -> (Checks, Vec<CheckCall>) {
        let mut checks = Checks::new(Instant::now());
        models.into_iter().for_each(|model| checks.check_now(model));
        let calls = checks.calls();
        (checks, calls)
    }

    fn project_lookup(call: CheckCall) -> ProjectLookup {
        match call {
            CheckCall::Projects(lookup) => lookup,
            CheckCall::Versions(check) => panic!("{check:?}"),
        }
    }

    fn status_check(call: CheckCall) -> StatusCheck {
        match call {
            CheckCall::Versions(check) => check,
            CheckCall::Projects(lookup) => panic!("{lookup:?}"),
        }
    }

    /// The checks that are to be made now.
    fn status_checks(checks: &mut Checks) -> Vec<StatusCheck> {
        checks.calls().into_iter().map(status_check).collect()
    }

    /// The calls for models whose projects have already been looked up.
    fn checks_of(models: impl IntoIterator<Item = ModelArn>) -> (Checks, Vec<StatusCheck>) {
        let (mut checks, calls) = begin(models);
        for call in calls {
            let lookup = project_lookup(call);
            let page = found(&lookup);
            let (next, results) = checks.take_projects(lookup, page, Instant::now());
            assert!(next.is_empty() && results.is_empty());
        }
        let calls = status_checks(&mut checks);
        (checks, calls)
    }

    fn project(name: &str, number: u32, state: ProjectState) -> Project {
        Project {
            name: name.to_owned(),
            arn: project_arn(name, number),
            state,
        }
    }

    fn project_arn(name: &str, number: u32) -> String {
        format!("arn:aws:rekognition:us-east-1:123456789012:project/{name}/{number}")
    }

    fn version(model_arn: &ModelArn) -> Version {
        Version {
            model_arn: model_arn.as_str().to_owned(),
            description: Description {
                status: Status::new("STOPPING"),
                inference_units: None,
            },
        }
    }

    fn page<T>(items: Vec<T>, next_token: Option<&str>) -> Result<Page<T>, CallError> {
        Ok(Page {
            items,
            next_token: next_token.map(str::to_owned),
        })
    }

    /// A page with all projects of a lookup.
    fn found(lookup: &ProjectLookup) -> Result<Page<Project>, CallError> {
        let names = lookup.names.iter();
        let projects = names.map(|name| project(name, 1, ProjectState::Created));
        page(projects.collect(), None)
    }

    /// A page with these models.
    fn versions(models: &[ModelArn], next_token: Option<&str>) -> Result<Page<Version>, CallError> {
        page(models.iter().map(version).collect(), next_token)
    }

    /// A page with all models of a check.
    fn described(check: &StatusCheck) -> Result<Page<Version>, CallError> {
        versions(&check.models, None)
    }

    fn refused(code: &str) -> CallError {
        CallError::Refused {
            status: 400,
            code: Some(code.to_owned()),
            message: String::new(),
        }
    }

    fn unreadable() -> CallError {
        CallError::Unreadable {
            message: "garbage".to_owned(),
        }
    }

    fn names(check: &StatusCheck) -> Vec<&str> {
        check.models.iter().map(ModelArn::version).collect()
    }

    /// The result for each model: its status, or why there is none.
    fn words(results: &[CheckResult]) -> BTreeMap<&str, String> {
        let words = results.iter().map(|result| {
            let word = match &result.description {
                Ok(description) => description.status.as_str().to_owned(),
                Err(error) => error.to_string(),
            };
            (result.model_arn.version(), word)
        });
        words.collect()
    }

    #[test]
    fn projects_are_looked_up_ten_a_call_and_each_only_once() {
        let each_of_25 = || (0..25).map(|number| model(&format!("p{number:02}"), 0));
        let (mut checks, calls) = begin(each_of_25());
        let mut sizes = Vec::new();
        for call in calls {
            let lookup = project_lookup(call);
            sizes.push(lookup.names.len());
            let page = found(&lookup);
            checks.take_projects(lookup, page, Instant::now());
        }
        assert_eq!(sizes, [10, 10, 5]);
        let calls = status_checks(&mut checks);
        assert_eq!(calls.len(), 25);
        for check in calls {
            let page = described(&check);
            checks.take_versions(check, page, Instant::now());
        }
        each_of_25().for_each(|model| checks.check_now(model));
        assert_eq!(status_checks(&mut checks).len(), 25);
    }

    #[test]
    fn models_of_a_project_are_checked_by_name_ten_a_call_however_many_there_are() {
        for (count, sizes) in [
            (1, vec![1]),
            (10, vec![10]),
            (11, vec![10, 1]),
            (25, vec![10, 10, 5]),
        ] {
            let all = models("shelf", count);
            let (_, calls) = checks_of(all.clone());
            let asked: Vec<usize> = calls.iter().map(|check| check.models.len()).collect();
            assert_eq!(asked, sizes, "{count} models");
            assert!(calls.iter().flat_map(|check| &check.models).eq(&all));
            assert_eq!(calls[0].project_arn, project_arn("shelf", 1));
        }
        let all = ["dock", "shelf"]
            .into_iter()
            .flat_map(|name| models(name, 3));
        let (_, calls) = checks_of(all);
        let projects: Vec<&str> = calls.iter().map(|check| &*check.project).collect();
        assert_eq!(projects, ["dock", "shelf"]);
    }

    #[test]
    fn a_request_names_the_models_of_its_check() {
        let (_, mut calls) = checks_of(models("shelf", 2));
        let expected = Request::DescribeProjectVersions {
            project_arn: project_arn("shelf", 1),
            names: vec!["v00".to_owned(), "v01".to_owned()],
            token: None,
        };
        assert_eq!(
            CheckCall::Versions(calls.pop().unwrap()).request(),
            expected
        );
    }

    #[test]
    fn a_check_is_read_on_until_it_has_shown_all_of_its_models() {
        let arns = models("shelf", 3);
        let (mut checks, mut calls) = checks_of(arns.clone());
        let first = versions(&arns[..1], Some("2"));
        let (mut next, results) = checks.take_versions(calls.pop().unwrap(), first, Instant::now());
        assert_eq!(results.len(), 1);
        let check = status_check(next.pop().unwrap());
        assert_eq!(check.missing().collect::<Vec<_>>(), [&arns[1], &arns[2]]);
        let second = versions(&arns[1..], Some("3"));
        let (next, results) = checks.take_versions(check, second, Instant::now());
        assert!(next.is_empty() && checks.calls().is_empty());
        assert_eq!(results.len(), 2);
    }

    #[test]
    fn the_models_of_a_check_that_is_interrupted_are_checked_in_the_next_round() {
        let start = Instant::now();
        let arns = models("shelf", 10);
        let (mut checks, mut calls) = checks_of(arns.clone());
        let first = versions(&arns[..5], Some("2"));
        let (mut next, results) = checks.take_versions(calls.pop().unwrap(), first, start);
        assert_eq!(results.len(), 5);
        let check = status_check(next.pop().unwrap());
        let expired = Err(refused("InvalidPaginationTokenException"));
        let (next, results) = checks.take_versions(check, expired, start);
        assert!(next.is_empty() && results.is_empty() && checks.calls().is_empty());
        let interruption = checks.interruption(&arns[9]);
        assert_eq!(interruption, Some("InvalidPaginationTokenException"));
        assert_eq!(checks.next_round(), Some(start + Duration::from_secs(1)));
        checks.begin_round(start, start + DEADLINE);
        let [check] = &status_checks(&mut checks)[..] else {
            panic!("{checks:?}");
        };
        assert_eq!(check.models, arns[5..]);
    }

    #[test]
    fn a_lookup_that_is_interrupted_is_made_again_in_the_next_round() {
        let arn = model("shelf", 0);
        let (mut checks, calls) = begin([arn.clone()]);
        for call in calls {
            let expired = Err(refused("InvalidPaginationTokenException"));
            let (next, results) =
                checks.take_projects(project_lookup(call), expired, Instant::now());
            assert!(next.is_empty() && results.is_empty() && checks.calls().is_empty());
        }
        let interruption = checks.interruption(&arn);
        assert_eq!(interruption, Some("InvalidPaginationTokenException"));
        checks.begin_round(Instant::now(), Instant::now() + DEADLINE);
        let lookup = project_lookup(checks.calls().pop().unwrap());
        assert_eq!(lookup.names, ["shelf"]);
        let page = found(&lookup);
        checks.take_projects(lookup, page, Instant::now());
        assert_eq!(checks.interruption(&arn), None);
    }

    #[test]
    fn a_check_that_keeps_being_interrupted_is_made_less_and_less_often() {
        let start = Instant::now();
        let (mut checks, calls) = checks_of(models("shelf", 10));
        let mut calls: Vec<CheckCall> = calls.into_iter().map(CheckCall::Versions).collect();
        let (mut now, mut rounds) = (start, Vec::new());
        for repeats in [true, false, true, false, true, false, true] {
            let check = status_check(calls.pop().unwrap());
            let (mut next, _) = checks.take_versions(check, versions(&[], Some("2")), now);
            let check = status_check(next.pop().unwrap());
            let interruption = match repeats {
                true => versions(&[], Some("2")),
                false => Err(refused("InvalidPaginationTokenException")),
            };
            let (next, results) = checks.take_versions(check, interruption, now);
            assert!(next.is_empty() && results.is_empty());
            now = checks.next_round().unwrap();
            rounds.push((now - start).as_secs());
            checks.begin_round(now, start + DEADLINE);
            calls = checks.calls();
        }
        assert_eq!(rounds, [1, 3, 7, 15, 31, 61, 91]);
    }

    #[test]
    fn a_batch_that_fails_is_taken_apart_so_that_one_model_fails_alone() {
        for error in [
            refused("ResourceNotFoundException"),
            refused("InvalidParameterException"),
            refused("InternalServerError"),
            CallError::NoResponse,
            unreadable(),
        ] {
            let (mut checks, mut calls) = checks_of(models("shelf", 3));
            let failed = Err(error.clone());
            let (next, results) =
                checks.take_versions(calls.pop().unwrap(), failed, Instant::now());
            assert!(next.is_empty() && results.is_empty());
            let calls = status_checks(&mut checks);
            assert_eq!(calls.len(), 3);
            let mut all = Vec::new();
            for check in calls {
                let response = match &names(&check)[..] {
                    ["v01"] => Err(error.clone()),
                    [_] => described(&check),
                    several => panic!("{several:?}"),
                };
                all.extend(checks.take_versions(check, response, Instant::now()).1);
            }
            let stopping = || "STOPPING".to_owned();
            let expected = [
                ("v00", stopping()),
                ("v01", error.to_string()),
                ("v02", stopping()),
            ];
            assert_eq!(words(&all), BTreeMap::from(expected));
            assert!(checks.calls().is_empty());
        }
    }

    #[test]
    fn a_lookup_of_several_projects_that_fails_is_taken_apart() {
        for error in [refused("InternalServerError"), CallError::NoResponse] {
            let (mut checks, mut calls) = begin([model("dock", 0), model("shelf", 1)]);
            let lookup = project_lookup(calls.pop().unwrap());
            let (next, results) = checks.take_projects(lookup, Err(error.clone()), Instant::now());
            assert!(results.is_empty());
            let lookups: Vec<ProjectLookup> = next.into_iter().map(project_lookup).collect();
            assert_eq!(lookups.len(), 2);
            let mut all = Vec::new();
            for lookup in lookups {
                let response = match &lookup.names[..] {
                    [name] if name == "dock" => Err(error.clone()),
                    [_] => found(&lookup),
                    several => panic!("{several:?}"),
                };
                let (next, results) = checks.take_projects(lookup, response, Instant::now());
                assert!(next.is_empty());
                all.extend(results);
            }
            assert_eq!(words(&all), BTreeMap::from([("v00", error.to_string())]));
            assert_eq!(names(&status_checks(&mut checks)[0]), ["v01"]);
        }
    }

    #[test]
    fn a_denial_fails_all_models_of_its_call_at_once() {
        for code in ["AccessDeniedException", "AccessDenied"] {
            let (mut checks, mut calls) = checks_of(models("shelf", 3));
            let denied = Err(refused(code));
            let (next, results) =
                checks.take_versions(calls.pop().unwrap(), denied, Instant::now());
            assert!(next.is_empty() && checks.calls().is_empty());
            assert_eq!(results.len(), 3);

            let (mut checks, mut calls) = begin([model("dock", 0), model("shelf", 0)]);
            let lookup = project_lookup(calls.pop().unwrap());
            let (next, results) = checks.take_projects(lookup, Err(refused(code)), Instant::now());
            assert!(next.is_empty() && checks.calls().is_empty());
            assert_eq!(results.len(), 2);
            assert_eq!(checks.next_round(), None);
        }
    }

    #[test]
    fn a_project_or_a_model_that_is_not_listed_is_not_there() {
        let (mut checks, mut calls) = begin([model("dock", 0), model("shelf", 0)]);
        let lookup = project_lookup(calls.pop().unwrap());
        let only_shelf = page(vec![project("shelf", 1, ProjectState::Created)], None);
        let (_, results) = checks.take_projects(lookup, only_shelf, Instant::now());
        assert!(words(&results)["v00"].starts_with(
            "ResourceNotFoundException: DescribeProjects finds no Custom Labels project `dock`"
        ));
        let check = status_checks(&mut checks).pop().unwrap();
        let (_, results) = checks.take_versions(check, versions(&[], None), Instant::now());
        assert!(words(&results)["v00"].starts_with(
            "ResourceNotFoundException: DescribeProjectVersions does not list this model"
        ));
    }

    #[test]
    fn of_a_project_that_is_listed_twice_the_created_one_is_asked_first_and_then_the_other() {
        let now = Instant::now();
        for deleting_first in [true, false] {
            let mut projects = vec![
                project("shelf", 1, ProjectState::Changing),
                project("shelf", 2, ProjectState::Created),
            ];
            if !deleting_first {
                projects.reverse();
            }
            let (mut checks, mut calls) = begin(models("shelf", 2));
            let lookup = project_lookup(calls.pop().unwrap());
            let other = projects.pop().unwrap();
            let (mut next, _) = checks.take_projects(lookup, page(projects, Some("2")), now);
            let lookup = project_lookup(next.pop().unwrap());
            checks.take_projects(lookup, page(vec![other], None), now);

            let check = status_checks(&mut checks).pop().unwrap();
            assert_eq!(check.project_arn, project_arn("shelf", 2));
            let first = versions(&[model("shelf", 0)], None);
            let (mut next, results) = checks.take_versions(check, first, now);
            assert_eq!(results.len(), 1);
            let check = status_check(next.pop().unwrap());
            assert_eq!(check.project_arn, project_arn("shelf", 1));
            let second = versions(&[model("shelf", 1)], None);
            let (next, results) = checks.take_versions(check, second, now);
            assert!(next.is_empty() && results[0].description.is_ok());
        }
    }

    #[test]
    fn models_that_become_due_while_several_are_checked_are_then_checked_together() {
        let (mut checks, mut calls) = checks_of(models("shelf", 2));
        checks.check_now(model("shelf", 2));
        checks.check_now(model("shelf", 3));
        assert!(checks.calls().is_empty());
        let check = calls.pop().unwrap();
        let page = described(&check);
        checks.take_versions(check, page, Instant::now());
        let [check] = &status_checks(&mut checks)[..] else {
            panic!("{checks:?}");
        };
        assert_eq!(names(check), ["v02", "v03"]);
    }

    #[test]
    fn a_check_of_a_single_model_holds_up_no_other() {
        let (mut checks, mut calls) = checks_of([model("shelf", 0)]);
        let mut alone = calls.pop().unwrap();
        for number in [1, 2] {
            checks.check_now(model("shelf", number));
            let [check] = &status_checks(&mut checks)[..] else {
                panic!("{checks:?}");
            };
            assert_eq!(check.models, [model("shelf", number)]);
        }
        // Nor does its end, while several are checked.
        checks.check_now(model("shelf", 3));
        checks.check_now(model("shelf", 4));
        let several = status_checks(&mut checks).pop().unwrap();
        assert_eq!(several.models.len(), 2);
        let page = described(&alone);
        checks.take_versions(alone, page, Instant::now());
        checks.check_now(model("shelf", 0));
        assert!(checks.calls().is_empty());
        let page = described(&several);
        checks.take_versions(several, page, Instant::now());
        alone = status_checks(&mut checks).pop().unwrap();
        assert_eq!(names(&alone), ["v00"]);
    }

    #[test]
    fn whatever_the_responses_each_model_is_in_exactly_one_place() {
        for seed in 0..200 {
            let mut rng = Rng::with_seed(seed);
            let all = [("dock", 1), ("hall", 9), ("shelf", 30), ("yard", 12)];
            let all: BTreeSet<ModelArn> = all
                .into_iter()
                .flat_map(|(name, count)| models(name, count))
                .collect();
            let (mut checks, mut under_way) = begin(all.iter().cloned());
            let mut done = BTreeSet::new();
            for _ in 0..500 {
                let locations = locations(&checks, &under_way, &done);
                assert!(locations.iter().eq(&all), "seed {seed}: {locations:?}");
                if under_way.is_empty() {
                    checks.begin_round(Instant::now(), Instant::now() + DEADLINE);
                    under_way.extend(checks.calls());
                    if under_way.is_empty() {
                        break;
                    }
                }
                let call = under_way.swap_remove(rng.usize(..under_way.len()));
                let (next, results) = respond(&mut checks, call, &mut rng);
                under_way.extend(next);
                for result in results {
                    match rng.u8(..4) {
                        0 => checks.check_now(result.model_arn),
                        1 => checks.check_later(result.model_arn),
                        _ => drop(done.insert(result.model_arn)),
                    }
                }
                under_way.extend(checks.calls());
            }
            assert!(done.len() > all.len() / 2, "seed {seed}: {}", done.len());
        }
    }

    /// All models, once for each place that they are in. The models of a lookup that is under way
    /// are in their projects.
    fn locations(
        checks: &Checks,
        under_way: &[CheckCall],
        done: &BTreeSet<ModelArn>,
    ) -> Vec<ModelArn> {
        let mut locations = Vec::from_iter(done.iter().cloned());
        locations.extend(checks.waiting.iter().cloned());
        for project in checks.projects.values() {
            locations.extend(project.together.iter().cloned());
            locations.extend(project.alone.iter().cloned());
        }
        for call in under_way {
            if let CheckCall::Versions(check) = call {
                locations.extend(check.missing().cloned());
            }
        }
        locations.sort();
        locations
    }

    /// Responds to a call in any way that the service may.
    fn respond(
        checks: &mut Checks,
        call: CheckCall,
        rng: &mut Rng,
    ) -> (Vec<CheckCall>, Vec<CheckResult>) {
        let now = Instant::now();
        let token = rng.bool().then(|| rng.u8(..9).to_string());
        let fault = rng.u8(..8);
        match call {
            CheckCall::Projects(lookup) => {
                let names = lookup.names.iter().filter(|_| rng.u8(..8) > 0);
                let projects = names.map(|name| project(name, 1, ProjectState::Created));
                let page = match fault {
                    0 => Err(unreadable()),
                    1 => Err(refused("AccessDeniedException")),
                    2 => Err(refused("InvalidPaginationTokenException")),
                    _ => page(projects.collect(), token.as_deref()),
                };
                checks.take_projects(lookup, page, now)
            }
            CheckCall::Versions(check) => {
                let models = check.missing().filter(|_| rng.bool());
                let models: Vec<ModelArn> = models.cloned().collect();
                let page = match fault {
                    0 => Err(unreadable()),
                    1 => Err(refused("ResourceNotFoundException")),
                    2 => Err(refused("InvalidPaginationTokenException")),
                    3 => Err(CallError::NoResponse),
                    _ => versions(&models, token.as_deref()),
                };
                checks.take_versions(check, page, now)
            }
        }
    }
}
