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
    /// models that become due meanwhile are checked together.
    calls: usize,
    /// The models that are each checked by a call under way. It holds up no other model: the one
    /// that it is for may be why it takes long.
    alone: BTreeSet<ModelArn>,
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
        project.end_call(&check.models);
        self.ready.insert(name.clone());
        let models = check.models.into_iter();
        let unseen: Vec<ModelArn> = models.filter(|it| project.unseen.contains(it)).collect();
        // If a project is listed twice, the right one is the one that lists the model.
        let next_arn = project.arn_after(&check.project_arn);
        match (failure, next_arn) {
            (Some(error), _) if is_batch && !error.is_denied() => {
                for model_arn in unseen {
                    let alone = vec![model_arn];
                    project.begin_call(&alone);
                    findings.check(check.project_arn.clone(), alone);
                }
            }
            (None, Some(project_arn)) if !unseen.is_empty() => {
                project.begin_call(&unseen);
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
        self.known.retain(|known| known.arn != project.arn);
        self.known.push(project);
        self.known
            .sort_by_key(|known| known.state != ProjectState::Created);
    }

    /// Notes that a call begins that checks these models.
    fn begin_call(&mut self, models: &[ModelArn]) {
        match models {
            [alone] => {
                self.alone.insert(alone.clone());
            }
            _ => self.calls += 1,
        }
    }

    /// Notes that a call has ended that checked these models.
    fn end_call(&mut self, models: &[ModelArn]) {
        match models {
            [alone] => {
                self.alone.remove(alone);
            }
            _ => self.calls -= 1,
        }
    }

    /// The checks of all models that are due, which are then under way. A model whose own call is
    /// still under way is left for later: the rest of that call would be taken for that of the new
    /// one.
    fn checks(&mut self) -> Vec<StatusCheck> {
        let Some(Project { arn, .. }) = self.known.first() else {
            return Vec::new();
        };
        let due: Vec<ModelArn> = self.due.difference(&self.alone).cloned().collect();
        let checks = due.chunks(NAMES_PER_CALL).map(|models| StatusCheck {
            project_arn: arn.clone(),
            models: models.to_vec(),
        });
        let checks: Vec<StatusCheck> = checks.collect();
        self.due.retain(|it| self.alone.contains(it));
        self.unseen.extend(due);
        for check in &checks {
            self.begin_call(&check.models);
        }
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

    use Rest::{Nothing, Pages};

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
    fn begin(models: impl IntoIterator<Item = ModelArn>) -> (Checks, Vec<ScopePurpose>) {
        let mut checks = Checks::new(Instant::now());
        models.into_iter().for_each(|model| checks.check_now(model));
        let calls = checks.calls();
        (checks, calls)
    }

    /// The names of the projects that a call looks up.
    fn lookup(call: ScopePurpose) -> Vec<String> {
        match call {
            ScopePurpose::LookUpProjects(names) => names,
            call => panic!("{call:?}"),
        }
    }

    fn status_checks(calls: Vec<ScopePurpose>) -> Vec<StatusCheck> {
        let checks = calls.into_iter().map(|call| match call {
            ScopePurpose::CheckVersions(check) => check,
            call => panic!("{call:?}"),
        });
        checks.collect()
    }

    /// The calls for models whose projects have already been looked up.
    fn checks_of(models: impl IntoIterator<Item = ModelArn>) -> (Checks, Vec<StatusCheck>) {
        let (mut checks, calls) = begin(models);
        for call in calls {
            let names = lookup(call);
            let projects = Ok(created(&names));
            let findings = checks.take_projects(names, projects, Nothing);
            assert!(findings.next.is_empty() && findings.results.is_empty());
        }
        let calls = status_checks(checks.calls());
        (checks, calls)
    }

    fn created(names: &[String]) -> Vec<Project> {
        let names = names.iter();
        names
            .map(|name| project(name, 1, ProjectState::Created))
            .collect()
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
                status_message: None,
                inference_units: None,
            },
        }
    }

    fn versions(models: &[ModelArn]) -> Vec<Version> {
        models.iter().map(version).collect()
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
            let names = lookup(call);
            sizes.push(names.len());
            let projects = Ok(created(&names));
            checks.take_projects(names, projects, Nothing);
        }
        assert_eq!(sizes, [10, 10, 5]);
        let calls = status_checks(checks.calls());
        assert_eq!(calls.len(), 25);
        for check in calls {
            let seen = Ok(versions(&check.models));
            checks.take_versions(check, seen, Nothing);
        }
        each_of_25().for_each(|model| checks.check_now(model));
        assert_eq!(status_checks(checks.calls()).len(), 25);
    }

    #[test]
    fn models_of_a_project_are_checked_ten_a_call_however_many_there_are() {
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
        let arns: Vec<&str> = calls.iter().map(|check| &*check.project_arn).collect();
        assert_eq!(arns, [project_arn("dock", 1), project_arn("shelf", 1)]);
    }

    #[test]
    fn each_page_of_a_check_has_its_results_and_what_no_page_shows_is_not_there() {
        let arns = models("shelf", 3);
        let (mut checks, mut calls) = checks_of(arns.clone());
        let check = calls.pop().unwrap();
        for number in [0, 1] {
            // A list that is restarted shows the first model again, which is no news.
            let page = Ok(versions(&arns[..=number]));
            let findings = checks.take_versions(check.clone(), page, Pages);
            assert!(findings.next.is_empty());
            let seen: Vec<&str> = words(&findings.results).into_keys().collect();
            assert_eq!(seen, [arns[number].version()]);
        }
        let findings = checks.take_versions(check, Ok(Vec::new()), Nothing);
        assert!(findings.next.is_empty());
        let words = words(&findings.results);
        assert_eq!(words.len(), 1);
        assert!(words["v02"].starts_with(
            "ResourceNotFoundException: DescribeProjectVersions does not list this model"
        ));
    }

    #[test]
    fn the_rest_of_a_check_says_nothing_about_a_model_that_is_to_be_checked_again() {
        let arn = model("shelf", 0);
        let (mut checks, mut calls) = checks_of([arn.clone()]);
        let check = calls.pop().unwrap();
        let page = Ok(versions(&check.models));
        let findings = checks.take_versions(check.clone(), page, Pages);
        assert_eq!(findings.results.len(), 1);
        checks.check_now(arn.clone());
        let other = model("shelf", 1);
        checks.check_now(other.clone());
        let under_way = status_checks(checks.calls());
        let findings = checks.take_versions(check, Ok(Vec::new()), Nothing);
        assert!(findings.results.is_empty() && findings.next.is_empty());
        let later = status_checks(checks.calls());
        let checked = under_way.into_iter().chain(later);
        let mut checked: Vec<ModelArn> = checked.flat_map(|check| check.models).collect();
        checked.sort();
        assert_eq!(checked, [arn, other]);
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
            let findings = checks.take_versions(calls.pop().unwrap(), failed, Nothing);
            assert!(findings.results.is_empty());
            let calls = status_checks(findings.next);
            assert_eq!(calls.len(), 3);
            let mut all = Vec::new();
            for check in calls {
                let response = match &check.models[..] {
                    [alone] if *alone == model("shelf", 1) => Err(error.clone()),
                    [_] => Ok(versions(&check.models)),
                    several => panic!("{several:?}"),
                };
                let findings = checks.take_versions(check, response, Nothing);
                assert!(findings.next.is_empty());
                all.extend(findings.results);
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
    fn only_what_a_failed_batch_has_not_shown_is_checked_alone() {
        let arns = models("shelf", 3);
        let (mut checks, mut calls) = checks_of(arns.clone());
        let check = calls.pop().unwrap();
        checks.take_versions(check.clone(), Ok(versions(&arns[..2])), Pages);
        let findings = checks.take_versions(check, Err(CallError::NoResponse), Nothing);
        assert!(findings.results.is_empty());
        let calls = status_checks(findings.next);
        assert!(calls.iter().flat_map(|check| &check.models).eq(&arns[2..]));
    }

    #[test]
    fn a_lookup_of_several_projects_that_fails_is_taken_apart() {
        for error in [refused("InternalServerError"), CallError::NoResponse] {
            let (mut checks, mut calls) = begin([model("dock", 0), model("shelf", 1)]);
            let names = lookup(calls.pop().unwrap());
            let findings = checks.take_projects(names, Err(error.clone()), Nothing);
            assert!(findings.results.is_empty());
            let lookups: Vec<Vec<String>> = findings.next.into_iter().map(lookup).collect();
            assert_eq!(lookups, [["dock"], ["shelf"]]);
            let mut all = Vec::new();
            for names in lookups {
                let response = match &*names[0] {
                    "dock" => Err(error.clone()),
                    _ => Ok(created(&names)),
                };
                let findings = checks.take_projects(names, response, Nothing);
                assert!(findings.next.is_empty());
                all.extend(findings.results);
            }
            assert_eq!(words(&all), BTreeMap::from([("v00", error.to_string())]));
            let calls = status_checks(checks.calls());
            assert_eq!(calls[0].models, [model("shelf", 1)]);
        }
    }

    #[test]
    fn a_denial_fails_all_models_of_its_call_at_once() {
        for code in ["AccessDeniedException", "AccessDenied"] {
            let (mut checks, mut calls) = checks_of(models("shelf", 3));
            let denied = Err(refused(code));
            let findings = checks.take_versions(calls.pop().unwrap(), denied, Nothing);
            assert!(findings.next.is_empty() && checks.calls().is_empty());
            assert_eq!(findings.results.len(), 3);

            let (mut checks, mut calls) = begin([model("dock", 0), model("shelf", 0)]);
            let names = lookup(calls.pop().unwrap());
            let findings = checks.take_projects(names, Err(refused(code)), Nothing);
            assert!(findings.next.is_empty() && checks.calls().is_empty());
            assert_eq!(findings.results.len(), 2);
            assert_eq!(checks.next_round(), None);
        }
    }

    #[test]
    fn a_project_that_is_not_listed_is_not_there() {
        let (mut checks, mut calls) = begin([model("dock", 0), model("shelf", 1)]);
        let names = lookup(calls.pop().unwrap());
        let shelf = Ok(vec![project("shelf", 1, ProjectState::Created)]);
        let findings = checks.take_projects(names.clone(), shelf, Pages);
        assert!(findings.results.is_empty() && checks.calls().is_empty());
        let findings = checks.take_projects(names, Ok(Vec::new()), Nothing);
        let words = words(&findings.results);
        assert_eq!(words.len(), 1);
        assert!(words["v00"].starts_with(
            "ResourceNotFoundException: DescribeProjects finds no Custom Labels project `dock`"
        ));
        assert_eq!(status_checks(checks.calls()).len(), 1);
    }

    #[test]
    fn of_a_project_that_is_listed_twice_the_created_one_is_asked_first_and_then_the_other() {
        for created_first in [false, true] {
            let mut projects = vec![
                project("shelf", 1, ProjectState::Changing),
                project("shelf", 2, ProjectState::Created),
            ];
            if created_first {
                projects.reverse();
            }
            let (mut checks, mut calls) = begin(models("shelf", 4));
            let names = lookup(calls.pop().unwrap());
            for project in projects {
                checks.take_projects(names.clone(), Ok(vec![project]), Pages);
            }
            checks.take_projects(names, Ok(Vec::new()), Nothing);

            let check = status_checks(checks.calls()).pop().unwrap();
            assert_eq!(check.project_arn, project_arn("shelf", 2));
            let first = Ok(versions(&[model("shelf", 0)]));
            let mut findings = checks.take_versions(check, first, Nothing);
            assert_eq!(findings.results.len(), 1);
            let check = status_checks(std::mem::take(&mut findings.next))
                .pop()
                .unwrap();
            assert_eq!(check.project_arn, project_arn("shelf", 1));
            assert_eq!(check.models, models("shelf", 4)[1..]);
            // The others of the project wait for that one too.
            checks.check_now(model("shelf", 0));
            assert!(checks.calls().is_empty());
            let rest = Ok(versions(&models("shelf", 3)[1..]));
            let findings = checks.take_versions(check, rest, Nothing);
            assert!(findings.next.is_empty());
            let words = words(&findings.results);
            assert_eq!([&words["v01"], &words["v02"]], ["STOPPING", "STOPPING"]);
            assert!(words["v03"].starts_with("ResourceNotFoundException"));
            assert_eq!(checks.calls().len(), 1);
        }
    }

    #[test]
    fn a_project_whose_state_changes_between_two_pages_is_one() {
        let (mut checks, mut calls) = begin([model("shelf", 0)]);
        let names = lookup(calls.pop().unwrap());
        for (state, rest) in [
            (ProjectState::Created, Pages),
            (ProjectState::Changing, Nothing),
        ] {
            let page = Ok(vec![project("shelf", 1, state)]);
            checks.take_projects(names.clone(), page, rest);
        }
        let check = status_checks(checks.calls()).pop().unwrap();
        let findings = checks.take_versions(check, Ok(Vec::new()), Nothing);
        assert!(findings.next.is_empty());
        assert_eq!(findings.results.len(), 1);
    }

    #[test]
    fn models_that_become_due_while_several_are_checked_are_then_checked_together() {
        let (mut checks, mut calls) = checks_of(models("shelf", 2));
        checks.check_now(model("shelf", 2));
        checks.check_now(model("shelf", 3));
        assert!(checks.calls().is_empty());
        let check = calls.pop().unwrap();
        let seen = Ok(versions(&check.models));
        checks.take_versions(check, seen, Nothing);
        let [check] = &status_checks(checks.calls())[..] else {
            panic!("{checks:?}");
        };
        assert_eq!(check.models, models("shelf", 4)[2..]);
    }

    #[test]
    fn a_check_of_a_single_model_holds_up_no_other() {
        let (mut checks, mut calls) = checks_of([model("shelf", 0)]);
        let alone = calls.pop().unwrap();
        for number in [1, 2] {
            checks.check_now(model("shelf", number));
            let [check] = &status_checks(checks.calls())[..] else {
                panic!("{checks:?}");
            };
            assert_eq!(check.models, [model("shelf", number)]);
        }
        checks.check_now(model("shelf", 3));
        checks.check_now(model("shelf", 4));
        let several = status_checks(checks.calls()).pop().unwrap();
        assert_eq!(several.models.len(), 2);
        // Its end is not that of the check of several.
        let seen = Ok(versions(&alone.models));
        checks.take_versions(alone, seen, Nothing);
        checks.check_now(model("shelf", 0));
        assert!(checks.calls().is_empty());
        let seen = Ok(versions(&several.models));
        checks.take_versions(several, seen, Nothing);
        let alone = status_checks(checks.calls()).pop().unwrap();
        assert_eq!(alone.models, [model("shelf", 0)]);
    }

    #[test]
    fn models_that_wait_are_checked_in_the_next_round() {
        let start = Instant::now();
        let mut checks = Checks::new(start);
        assert_eq!(checks.next_round(), None);
        models("shelf", 3)
            .into_iter()
            .for_each(|it| checks.check_later(it));
        checks.note_change(start);
        assert!(checks.calls().is_empty());
        assert_eq!(checks.next_round(), Some(start + Duration::from_secs(1)));
        checks.begin_round(start, start + DEADLINE);
        assert_eq!(checks.next_round(), None);
        assert_eq!(lookup(checks.calls().pop().unwrap()), ["shelf"]);
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
                let places = places(&checks, &done);
                assert!(places.iter().eq(&all), "seed {seed}: {places:?}");
                if under_way.is_empty() {
                    let unseen = checks.projects.values().flat_map(|it| &it.unseen);
                    assert_eq!(unseen.count(), 0, "seed {seed}");
                    checks.begin_round(Instant::now(), Instant::now() + DEADLINE);
                    under_way.extend(checks.calls());
                    if under_way.is_empty() {
                        break;
                    }
                }
                let call = under_way.swap_remove(rng.usize(..under_way.len()));
                let rest = if rng.bool() { Pages } else { Nothing };
                let (findings, rest) = respond(&mut checks, call.clone(), rest, &mut rng);
                if rest == Pages {
                    under_way.push(call);
                }
                under_way.extend(findings.next);
                for result in findings.results {
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

    /// All models, once for each place that they are in.
    fn places(checks: &Checks, done: &BTreeSet<ModelArn>) -> Vec<ModelArn> {
        let mut places = Vec::from_iter(done.iter().cloned());
        places.extend(checks.waiting.iter().cloned());
        for project in checks.projects.values() {
            places.extend(project.due.iter().cloned());
            places.extend(project.unseen.iter().cloned());
        }
        places.sort();
        places
    }

    /// Responds to a call in any way that the service may. A failed call has no more pages.
    fn respond(
        checks: &mut Checks,
        call: ScopePurpose,
        rest: Rest,
        rng: &mut Rng,
    ) -> (Findings, Rest) {
        let error = match rng.u8(..8) {
            0 => Some(unreadable()),
            1 => Some(refused("AccessDeniedException")),
            2 => Some(refused("ResourceNotFoundException")),
            3 => Some(CallError::NoResponse),
            _ => None,
        };
        let rest = match error {
            Some(_) => Nothing,
            None => rest,
        };
        let findings = match call {
            ScopePurpose::LookUpProjects(names) => {
                let mut projects = created(&names);
                projects.retain(|_| rng.u8(..8) > 0);
                checks.take_projects(names, error.map_or(Ok(projects), Err), rest)
            }
            ScopePurpose::CheckVersions(check) => {
                let mut versions = versions(&check.models);
                versions.retain(|_| rng.bool());
                checks.take_versions(check, error.map_or(Ok(versions), Err), rest)
            }
            call => panic!("{call:?}"),
        };
        (findings, rest)
    }
}
