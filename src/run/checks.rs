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
//! A project's ARN is looked up by name the first time, ten projects per call, unless a pattern has
//! found it already.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tokio::time::Instant;

use super::cadence::Cadence;
use crate::arn::ModelArn;
use crate::calls::error::CallError;
use crate::calls::request::{NAMES_PER_CALL, Request};
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
    pub(super) next: Vec<Request>,
}

/// The checks of one project's models.
#[derive(Debug, Default)]
struct ProjectChecks {
    /// The projects with this name, once they are known: there are two if one was deleted and
    /// created again. The first is queried, and the next one if the first does not list a model.
    known: Vec<Project>,
    /// The models that the next calls are for.
    due: BTreeSet<ModelArn>,
    /// Whether a call is under way that looks the project up.
    is_asked_for: bool,
    /// How many calls are under way that check several of its models. The models that become due
    /// meanwhile are checked together. A call for a single model holds up no other: that model may
    /// be why it takes long.
    batches: usize,
}

/// The models of a scope that are to be checked. Each is in exactly one place: due or under way in
/// its project, or among those that wait for the next round.
#[derive(Debug)]
pub(super) struct Checks {
    projects: BTreeMap<String, ProjectChecks>,
    /// The projects for which there may be calls to make.
    ready: BTreeSet<String>,
    /// What the pages of the calls under way have shown so far.
    shown: HashMap<ModelArn, Description>,
    waiting: Vec<ModelArn>,
    cadence: Cadence,
}

impl Checks {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            projects: BTreeMap::new(),
            ready: BTreeSet::new(),
            shown: HashMap::new(),
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
    pub(super) fn calls(&mut self) -> Vec<Request> {
        let mut calls = Vec::new();
        let mut unknown = Vec::new();
        for name in std::mem::take(&mut self.ready) {
            let Some(project) = self.projects.get_mut(&name) else {
                continue;
            };
            if project.is_asked_for || project.batches > 0 || project.due.is_empty() {
                continue;
            }
            let Some(known) = project.known.first().cloned() else {
                project.is_asked_for = true;
                unknown.push(name);
                continue;
            };
            let due = Vec::from_iter(std::mem::take(&mut project.due));
            for models in due.chunks(NAMES_PER_CALL) {
                self.cadence.note_call();
                calls.push(project.check(known.clone(), models.to_vec()));
            }
        }
        let lookups = unknown.chunks(NAMES_PER_CALL);
        calls.extend(lookups.map(|names| Request::DescribeProjects {
            names: names.to_vec(),
        }));
        calls
    }

    /// Notes a project. Of those with the same name, the one that is CREATED is most likely the
    /// right one.
    pub(super) fn know(&mut self, project: &Project) {
        let checks = self.projects.entry(project.name.clone()).or_default();
        checks.known.retain(|known| known.arn != project.arn);
        checks.known.push(project.clone());
        checks
            .known
            .sort_by_key(|known| known.state != ProjectState::Created);
    }

    /// Handles the end of a call that looked up projects by name, whoever asked for it. Returns the
    /// models whose projects are not there, or could not be looked up.
    pub(super) fn end_lookup(
        &mut self,
        names: Vec<String>,
        failure: Option<&CallError>,
    ) -> Vec<CheckResult> {
        let mut results = Vec::new();
        for name in names {
            let Some(project) = self.projects.get_mut(&name) else {
                continue;
            };
            project.is_asked_for = false;
            if project.known.is_empty() {
                let error = failure.cloned().unwrap_or_else(|| {
                    CallError::not_found(format!(
                        "DescribeProjects finds no Custom Labels project `{name}` in this account \
                         and region"
                    ))
                });
                results.extend(fail(std::mem::take(&mut project.due), &error));
            }
            self.ready.insert(name);
        }
        results
    }

    /// Notes what a page of a check shows.
    pub(super) fn show(&mut self, models: &[ModelArn], versions: Vec<Version>) {
        for version in versions {
            if let Some(model_arn) = models.iter().find(|it| it.as_str() == version.model_arn) {
                self.shown.insert(model_arn.clone(), version.description);
            }
        }
    }

    /// Handles the end of a check of these models.
    pub(super) fn end_check(
        &mut self,
        queried: Project,
        models: Vec<ModelArn>,
        failure: Option<CallError>,
    ) -> Findings {
        let mut findings = Findings::default();
        let Some(project) = self.projects.get_mut(&queried.name) else {
            return findings;
        };
        let is_batch = models.len() > 1;
        project.batches -= usize::from(is_batch);
        self.ready.insert(queried.name.clone());
        let mut unseen = Vec::new();
        for model_arn in models {
            match self.shown.remove(&model_arn) {
                Some(description) => findings.results.push(CheckResult {
                    model_arn,
                    description: Ok(description),
                }),
                None => unseen.push(model_arn),
            }
        }
        if unseen.is_empty() {
            return findings;
        }
        match (failure, project.after(&queried)) {
            (Some(error), _) if is_batch && !error.is_denied() => {
                let alone = unseen.into_iter();
                let alone = alone.map(|it| project.check(queried.clone(), vec![it]));
                findings.next = alone.collect();
            }
            (Some(error), _) => findings.results.extend(fail(unseen, &error)),
            // If a project is listed twice, the right one is the one that lists the model.
            (None, Some(other)) => findings.next.push(project.check(other, unseen)),
            (None, None) => {
                let error = CallError::not_found(format!(
                    "DescribeProjectVersions does not list this model in project `{}`",
                    queried.name
                ));
                findings.results.extend(fail(unseen, &error));
            }
        }
        findings
    }
}

impl ProjectChecks {
    /// The call that checks these models, which is then under way.
    fn check(&mut self, project: Project, models: Vec<ModelArn>) -> Request {
        self.batches += usize::from(models.len() > 1);
        Request::DescribeProjectVersions { project, models }
    }

    /// The other project with the same name.
    fn after(&self, project: &Project) -> Option<Project> {
        let mut known = self.known.iter();
        known.find(|known| known.arn == project.arn)?;
        known.next().cloned()
    }
}

/// The results of models whose check has failed.
fn fail(
    models: impl IntoIterator<Item = ModelArn>,
    error: &CallError,
) -> impl Iterator<Item = CheckResult> {
    models.into_iter().map(|model_arn| CheckResult {
        model_arn,
        description: Err(error.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::Duration;

    use fastrand::Rng;

    use crate::calls::status::Status;

    use Page::{Earlier, Last};

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

    /// A check of models of one project.
    #[derive(Clone, Debug)]
    struct StatusCheck {
        project: Project,
        models: Vec<ModelArn>,
    }

    /// Whether a response is the last page of its list.
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Page {
        Last,
        Earlier,
    }

    /// The checks of these models, and the calls for them.
    fn begin(models: impl IntoIterator<Item = ModelArn>) -> (Checks, Vec<Request>) {
        let mut checks = Checks::new(Instant::now());
        models.into_iter().for_each(|model| checks.check_now(model));
        let calls = checks.calls();
        (checks, calls)
    }

    /// The names of the projects that a call looks up.
    fn lookup(call: Request) -> Vec<String> {
        match call {
            Request::DescribeProjects { names } => names,
            call => panic!("{call:?}"),
        }
    }

    fn status_checks(calls: Vec<Request>) -> Vec<StatusCheck> {
        let checks = calls.into_iter().map(|call| match call {
            Request::DescribeProjectVersions { project, models } => StatusCheck { project, models },
            call => panic!("{call:?}"),
        });
        checks.collect()
    }

    /// Handles a response to a lookup of projects.
    fn take_projects(
        checks: &mut Checks,
        names: Vec<String>,
        response: Result<Vec<Project>, CallError>,
        page: Page,
    ) -> Vec<CheckResult> {
        let failure = match response {
            Ok(projects) => {
                projects.iter().for_each(|it| checks.know(it));
                None
            }
            Err(error) => Some(error),
        };
        match page {
            Page::Last => checks.end_lookup(names, failure.as_ref()),
            Page::Earlier => Vec::new(),
        }
    }

    /// Handles a response to a check.
    fn take_versions(
        checks: &mut Checks,
        check: StatusCheck,
        response: Result<Vec<Version>, CallError>,
        page: Page,
    ) -> Findings {
        let failure = match response {
            Ok(versions) => {
                checks.show(&check.models, versions);
                None
            }
            Err(error) => Some(error),
        };
        match page {
            Page::Last => checks.end_check(check.project, check.models, failure),
            Page::Earlier => Findings::default(),
        }
    }

    /// The calls for models whose projects have already been looked up.
    fn checks_of(models: impl IntoIterator<Item = ModelArn>) -> (Checks, Vec<StatusCheck>) {
        let (mut checks, calls) = begin(models);
        for call in calls {
            let names = lookup(call);
            let projects = Ok(created(&names));
            assert!(take_projects(&mut checks, names, projects, Last).is_empty());
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
            take_projects(&mut checks, names, projects, Last);
        }
        assert_eq!(sizes, [10, 10, 5]);
        let calls = status_checks(checks.calls());
        assert_eq!(calls.len(), 25);
        for check in calls {
            let seen = Ok(versions(&check.models));
            take_versions(&mut checks, check, seen, Last);
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
            assert_eq!(calls[0].project.arn, project_arn("shelf", 1));
        }
        let all = ["dock", "shelf"]
            .into_iter()
            .flat_map(|name| models(name, 3));
        let (_, calls) = checks_of(all);
        let arns: Vec<&str> = calls.iter().map(|check| &*check.project.arn).collect();
        assert_eq!(arns, [project_arn("dock", 1), project_arn("shelf", 1)]);
    }

    #[test]
    fn a_check_has_what_all_its_pages_show_and_what_none_shows_is_not_there() {
        let arns = models("shelf", 3);
        let (mut checks, mut calls) = checks_of(arns.clone());
        let check = calls.pop().unwrap();
        for number in [0, 1] {
            let page = Ok(versions(&arns[..=number]));
            take_versions(&mut checks, check.clone(), page, Earlier);
        }
        let findings = take_versions(&mut checks, check, Ok(Vec::new()), Last);
        assert!(findings.next.is_empty());
        let words = words(&findings.results);
        assert_eq!([&words["v00"], &words["v01"]], ["STOPPING", "STOPPING"]);
        assert!(words["v02"].starts_with(
            "ResourceNotFoundException: DescribeProjectVersions does not list this model"
        ));
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
            let findings = take_versions(&mut checks, calls.pop().unwrap(), failed, Last);
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
                let findings = take_versions(&mut checks, check, response, Last);
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
        take_versions(
            &mut checks,
            check.clone(),
            Ok(versions(&arns[..2])),
            Earlier,
        );
        let findings = take_versions(&mut checks, check, Err(CallError::NoResponse), Last);
        assert_eq!(findings.results.len(), 2);
        let calls = status_checks(findings.next);
        assert!(calls.iter().flat_map(|check| &check.models).eq(&arns[2..]));
    }

    #[test]
    fn a_denial_fails_all_models_of_its_call_at_once() {
        for code in ["AccessDeniedException", "AccessDenied"] {
            let (mut checks, mut calls) = checks_of(models("shelf", 3));
            let denied = Err(refused(code));
            let findings = take_versions(&mut checks, calls.pop().unwrap(), denied, Last);
            assert!(findings.next.is_empty() && checks.calls().is_empty());
            assert_eq!(findings.results.len(), 3);

            let (mut checks, mut calls) = begin([model("dock", 0), model("shelf", 0)]);
            let names = lookup(calls.pop().unwrap());
            let failed = take_projects(&mut checks, names, Err(refused(code)), Last);
            assert!(checks.calls().is_empty());
            assert_eq!(failed.len(), 2);
            assert_eq!(checks.next_round(), None);
        }
    }

    #[test]
    fn a_project_that_is_not_listed_is_not_there() {
        let (mut checks, mut calls) = begin([model("dock", 0), model("shelf", 1)]);
        let names = lookup(calls.pop().unwrap());
        let shelf = Ok(vec![project("shelf", 1, ProjectState::Created)]);
        take_projects(&mut checks, names.clone(), shelf, Earlier);
        assert!(checks.calls().is_empty());
        let missing = take_projects(&mut checks, names, Ok(Vec::new()), Last);
        let words = words(&missing);
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
                take_projects(&mut checks, names.clone(), Ok(vec![project]), Earlier);
            }
            take_projects(&mut checks, names, Ok(Vec::new()), Last);

            let check = status_checks(checks.calls()).pop().unwrap();
            assert_eq!(check.project.arn, project_arn("shelf", 2));
            let first = Ok(versions(&[model("shelf", 0)]));
            let mut findings = take_versions(&mut checks, check, first, Last);
            assert_eq!(findings.results.len(), 1);
            let check = status_checks(std::mem::take(&mut findings.next))
                .pop()
                .unwrap();
            assert_eq!(check.project.arn, project_arn("shelf", 1));
            assert_eq!(check.models, models("shelf", 4)[1..]);
            // The others of the project wait for that one too.
            checks.check_now(model("shelf", 0));
            assert!(checks.calls().is_empty());
            let rest = Ok(versions(&models("shelf", 3)[1..]));
            let findings = take_versions(&mut checks, check, rest, Last);
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
            (ProjectState::Created, Earlier),
            (ProjectState::Changing, Last),
        ] {
            let page = Ok(vec![project("shelf", 1, state)]);
            take_projects(&mut checks, names.clone(), page, rest);
        }
        let check = status_checks(checks.calls()).pop().unwrap();
        let findings = take_versions(&mut checks, check, Ok(Vec::new()), Last);
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
        take_versions(&mut checks, check, seen, Last);
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
        // Its end is not the end of the check of several.
        let seen = Ok(versions(&alone.models));
        take_versions(&mut checks, alone, seen, Last);
        checks.check_now(model("shelf", 0));
        assert!(checks.calls().is_empty());
        let seen = Ok(versions(&several.models));
        take_versions(&mut checks, several, seen, Last);
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
                let places = places(&checks, &under_way, &done);
                assert!(places.iter().eq(&all), "seed {seed}: {places:?}");
                if under_way.is_empty() {
                    assert!(checks.shown.is_empty(), "seed {seed}");
                    checks.begin_round(Instant::now(), Instant::now() + DEADLINE);
                    under_way.extend(checks.calls());
                    if under_way.is_empty() {
                        break;
                    }
                }
                let call = under_way.swap_remove(rng.usize(..under_way.len()));
                let page = if rng.bool() { Earlier } else { Last };
                let (findings, page) = respond(&mut checks, call.clone(), page, &mut rng);
                if page == Earlier {
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
    fn places(checks: &Checks, under_way: &[Request], done: &BTreeSet<ModelArn>) -> Vec<ModelArn> {
        let mut places = Vec::from_iter(done.iter().cloned());
        places.extend(checks.waiting.iter().cloned());
        for project in checks.projects.values() {
            places.extend(project.due.iter().cloned());
        }
        for call in under_way {
            if let Request::DescribeProjectVersions { models, .. } = call {
                places.extend(models.iter().cloned());
            }
        }
        places.sort();
        places
    }

    /// Responds to a call in any way that the service may. A failed call has no more pages.
    fn respond(checks: &mut Checks, call: Request, page: Page, rng: &mut Rng) -> (Findings, Page) {
        let error = match rng.u8(..8) {
            0 => Some(unreadable()),
            1 => Some(refused("AccessDeniedException")),
            2 => Some(refused("ResourceNotFoundException")),
            3 => Some(CallError::NoResponse),
            _ => None,
        };
        let page = match error {
            Some(_) => Last,
            None => page,
        };
        let findings = match call {
            Request::DescribeProjects { names } => {
                let mut projects = created(&names);
                projects.retain(|_| rng.u8(..8) > 0);
                let response = error.map_or(Ok(projects), Err);
                Findings {
                    results: take_projects(checks, names, response, page),
                    next: Vec::new(),
                }
            }
            Request::DescribeProjectVersions { project, models } => {
                let mut versions = versions(&models);
                versions.retain(|_| rng.bool());
                let response = error.map_or(Ok(versions), Err);
                take_versions(checks, StatusCheck { project, models }, response, page)
            }
            call => panic!("{call:?}"),
        };
        (findings, page)
    }
}
