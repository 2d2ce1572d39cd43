//! The models of one account in one region, from their discovery to the confirmation.

use std::collections::HashMap;

use tokio::time::Instant;

use super::assignment::{Assignment, NamedModel, Pattern, ScopeKey, Targets};
use super::checks::{CheckResult, Checks, Findings};
use super::discovery::{Discovery, FoundModel, Search};
use super::model::{Model, News, Next};
use super::starts::Starts;
use crate::arn::ModelArn;
use crate::calls::error::CallError;
use crate::calls::queue::{Rest, Step};
use crate::calls::request::Request;
use crate::calls::response::Content;
use crate::calls::status::{Phase, Status};
use crate::exemption::Exemption;
use crate::report::{Failure, ModelReport, Outcome, Started};

/// The result of a scope.
#[derive(Debug)]
pub(super) struct ScopeReport<'a> {
    pub(super) key: ScopeKey,
    pub(super) models: Vec<ScopeModel>,
    pub(super) searches: Vec<Search<'a>>,
}

/// A model of a scope.
#[derive(Debug)]
pub(super) struct ScopeModel {
    /// The index of its entry.
    pub(super) entry: usize,
    pub(super) report: ModelReport,
}

/// The models of a scope, and the calls for them.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    assignment: Assignment<'a>,
    pub(super) key: ScopeKey,
    discovery: Discovery<'a>,
    checks: Checks,
    starts: Starts,
    models: HashMap<ModelArn, Progress>,
    /// The models that are given by their own ARNs, each with the index of its entry.
    named: HashMap<ModelArn, usize>,
    /// The models that are done and have no line in the log yet.
    unlogged: Vec<ModelArn>,
    /// How many models have no outcome yet.
    unfinished: usize,
    /// The calls that are to be made, and how many are under way.
    new_calls: Vec<NewCall>,
    calls: usize,
    /// When it is woken next.
    wakes_at: Option<Instant>,
    /// For each model whose last call did not end in time, why that had not succeeded.
    last_failures: HashMap<ModelArn, String>,
}

/// A call that is to be made.
#[derive(Debug)]
pub(super) struct NewCall {
    pub(super) request: Request,
    pub(super) not_before: Option<Instant>,
}

/// How far a model has come.
#[derive(Debug)]
enum Progress {
    Unfinished(Model),
    Done(ModelReport),
}

impl<'a> Scope<'a> {
    /// A scope without models, patterns or calls.
    pub(super) fn new(assignment: Assignment<'a>, key: ScopeKey, now: Instant) -> Self {
        Self {
            assignment,
            key,
            discovery: Discovery::default(),
            checks: Checks::new(now),
            starts: Starts::new(assignment.settings.find_starts),
            models: HashMap::new(),
            named: HashMap::new(),
            unlogged: Vec::new(),
            unfinished: 0,
            new_calls: Vec::new(),
            calls: 0,
            wakes_at: None,
            last_failures: HashMap::new(),
        }
    }

    /// Adds these models and patterns, and the first calls for them.
    pub(super) fn add(&mut self, targets: Targets<'a>, now: Instant) {
        for named in targets.models {
            self.named.insert(named.model_arn.clone(), named.entry);
            self.add_model(named.model_arn, Model::named(), now);
        }
        self.add_patterns(targets.patterns);
    }

    /// Searches for these patterns as well.
    pub(super) fn add_patterns(&mut self, patterns: Vec<Pattern<'a>>) {
        for request in self.discovery.add(patterns) {
            self.call(request);
        }
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_done(&self) -> bool {
        self.unfinished == 0 && self.calls == 0
    }

    /// Whether nothing is left to do but to find who started the models.
    pub(super) fn is_settled(&self) -> bool {
        self.unfinished == 0 && self.calls == usize::from(self.starts.are_missing())
    }

    /// How many lines the log may still need for it.
    pub(super) fn lines(&self) -> usize {
        self.unfinished + self.unlogged.len() + self.discovery.patterns()
    }

    /// Handles the end of a call, or a page of a list.
    pub(super) fn take(&mut self, step: Step, now: Instant) {
        let Step {
            request,
            result,
            rest,
            ..
        } = step;
        if rest == Rest::Nothing {
            self.calls -= 1;
        }
        match result {
            Ok(content) => self.take_content(request, content, rest, now),
            Err(error) => self.take_error(request, error, now),
        }
    }

    /// Begins the next round of checks, if it is due.
    pub(super) fn wake(&mut self, now: Instant, due: Instant) {
        self.wakes_at = None;
        if self.checks.next_round().is_some_and(|next| next <= now) {
            self.checks.begin_round(now, due);
        }
    }

    /// Notes that a call did not end in time, and why it had not succeeded before.
    pub(super) fn give_up(&mut self, request: Request, last_failure: Option<String>) {
        let failure = || Failure::out_of_time(last_failure.clone());
        let models = match request {
            Request::DescribeProjects { names } => {
                self.discovery.fail_projects(&names, &failure());
                let models = self.models.keys();
                let models = models.filter(|it| names.iter().any(|name| name == it.project()));
                models.cloned().collect()
            }
            Request::DescribeProjectVersions { project, models } => {
                if models.is_empty() {
                    self.discovery.fail_versions(&project, &failure());
                }
                models
            }
            Request::StopProjectVersion { model_arn }
            | Request::ListTagsForResource { model_arn } => vec![model_arn],
            Request::LookupEvents { .. } => {
                self.give_up_starts(&failure());
                Vec::new()
            }
            _ => Vec::new(),
        };
        for model_arn in models {
            let last_failure = last_failure.clone();
            self.last_failures
                .extend(last_failure.map(|failure| (model_arn, failure)));
        }
    }

    /// The result, in which whatever has no outcome yet has run out of time.
    pub(super) fn end(mut self, now: Instant) -> ScopeReport<'a> {
        let mut last_failures = std::mem::take(&mut self.last_failures);
        self.into_report(|model_arn, model| model.out_of_time(last_failures.remove(model_arn), now))
    }

    /// The result, in which whatever has no outcome yet has failed.
    pub(super) fn fail(mut self, failure: &Failure) -> ScopeReport<'a> {
        self.discovery.fail_all(failure);
        self.into_report(|_, _| Outcome::Failed(failure.clone()))
    }

    /// The result of a scope that never began, all of whose targets have failed.
    pub(super) fn fail_targets(
        mut self,
        targets: Targets<'a>,
        failure: &Failure,
    ) -> ScopeReport<'a> {
        for NamedModel { entry, model_arn } in targets.models {
            self.named.insert(model_arn.clone(), entry);
            self.models
                .insert(model_arn, Progress::Unfinished(Model::named()));
        }
        self.discovery.add(targets.patterns);
        self.fail(failure)
    }

    fn into_report(
        mut self,
        mut outcome: impl FnMut(&ModelArn, &Model) -> Outcome,
    ) -> ScopeReport<'a> {
        for (model_arn, progress) in &mut self.models {
            if let Progress::Unfinished(model) = progress {
                let outcome = outcome(model_arn, model);
                progress.end(model_arn, outcome);
                self.unlogged.push(model_arn.clone());
            }
        }
        self.starts.give_up();
        self.log();
        let mut models = Vec::new();
        for (model_arn, progress) in self.models {
            // Patterns may have arrived in any order; the report does not depend on it.
            let named = self.named.get(&model_arn).copied();
            let entry = named.or_else(|| self.discovery.first_match(&model_arn));
            if let (Some(entry), Progress::Done(report)) = (entry, progress) {
                models.push(ScopeModel { entry, report });
            }
        }
        ScopeReport {
            key: self.key,
            models,
            searches: self.discovery.into_searches(),
        }
    }

    /// The calls that are to be made now. They are under way once they are taken.
    pub(super) fn take_calls(&mut self) -> Vec<NewCall> {
        let calls = self.checks.calls().into_iter().chain(self.starts.call());
        for request in calls {
            self.call(request);
        }
        self.calls += self.new_calls.len();
        std::mem::take(&mut self.new_calls)
    }

    /// When [`Scope::wake`] is to be called next, unless that has been said before.
    pub(super) fn take_wake(&mut self) -> Option<Instant> {
        let next = self.checks.next_round()?;
        if self.wakes_at.is_some_and(|at| at <= next) {
            return None;
        }
        self.wakes_at = Some(next);
        self.wakes_at
    }

    fn call(&mut self, request: Request) {
        self.call_at(None, request);
    }

    fn call_at(&mut self, not_before: Option<Instant>, request: Request) {
        self.new_calls.push(NewCall {
            request,
            not_before,
        });
    }

    /// What follows from a response, or from a page of a list.
    fn take_content(&mut self, request: Request, content: Content, rest: Rest, now: Instant) {
        match (request, content) {
            (Request::StopProjectVersion { model_arn }, Content::Stop(status)) => {
                self.take_stop(model_arn, Ok(status), now);
            }
            (Request::ListTagsForResource { model_arn }, Content::Tags(tags)) => {
                self.take_tags(model_arn, Ok(tags), now);
            }
            (Request::DescribeProjects { names }, Content::Projects(projects)) => {
                for request in self.discovery.take_projects(&projects) {
                    self.call(request);
                }
                if !names.is_empty() {
                    projects.iter().for_each(|it| self.checks.know(it));
                }
                if rest == Rest::Nothing {
                    let missing = self.checks.end_lookup(names, None);
                    self.take_results(missing, now);
                }
            }
            (Request::DescribeProjectVersions { project, models }, Content::Versions(versions))
                if models.is_empty() =>
            {
                let versions = versions.into_iter();
                let found = versions.filter_map(|it| self.discovery.find(&project, it));
                let found: Vec<FoundModel> = found.collect();
                if !found.is_empty() {
                    self.checks.know(&project);
                }
                let may_be_exempt = self.assignment.settings.keep_running_tag.is_some();
                for found in found {
                    let model = Model::found(found.description, may_be_exempt, now);
                    self.add_model(found.model_arn, model, now);
                }
            }
            (Request::DescribeProjectVersions { project, models }, Content::Versions(versions)) => {
                self.checks.show(&models, versions);
                if rest == Rest::Nothing {
                    let findings = self.checks.end_check(project, models, None);
                    self.take_findings(findings, now);
                }
            }
            (Request::LookupEvents { .. }, Content::Starts(starts, next_token)) => {
                self.starts.take(starts, next_token);
                self.log();
            }
            (request, _) => {
                let error = CallError::unreadable(request.operation());
                self.take_error(request, error, now);
            }
        }
    }

    /// What follows from the error of a call that is over.
    fn take_error(&mut self, request: Request, error: CallError, now: Instant) {
        match request {
            Request::StopProjectVersion { model_arn } => {
                self.take_stop(model_arn, Err(error), now);
            }
            Request::ListTagsForResource { model_arn } => {
                self.take_tags(model_arn, Err(error), now);
            }
            // One of the projects may be what makes the call fail.
            Request::DescribeProjects { names } if names.len() > 1 && !error.is_denied() => {
                for name in names {
                    self.call(Request::DescribeProjects { names: vec![name] });
                }
            }
            Request::DescribeProjects { names } => {
                self.discovery.fail_projects(&names, &error.clone().into());
                let failed = self.checks.end_lookup(names, Some(&error));
                self.take_results(failed, now);
            }
            // The project has been deleted since it was listed.
            Request::DescribeProjectVersions { models, .. }
                if models.is_empty() && error.is_not_found() => {}
            Request::DescribeProjectVersions { project, models } if models.is_empty() => {
                self.discovery.fail_versions(&project, &error.into());
            }
            Request::DescribeProjectVersions { project, models } => {
                let findings = self.checks.end_check(project, models, Some(error));
                self.take_findings(findings, now);
            }
            Request::LookupEvents { .. } => self.give_up_starts(&error.into()),
            Request::AssumeRole { .. }
            | Request::ListAccounts
            | Request::ListAccountsForParent { .. }
            | Request::ListOrganizationalUnitsForParent { .. } => {}
        }
    }

    fn take_stop(
        &mut self,
        model_arn: ModelArn,
        status: Result<Option<Status>, CallError>,
        now: Instant,
    ) {
        if matches!(&status, Ok(Some(status)) if status.phase() == Phase::Stopping) {
            self.starts.seek(&model_arn);
        }
        self.update(model_arn, now, |model| {
            model.handle_stop(status, now);
            News::Changed
        });
    }

    fn take_tags(
        &mut self,
        model_arn: ModelArn,
        tags: Result<HashMap<String, String>, CallError>,
        now: Instant,
    ) {
        let Assignment {
            settings,
            request_id,
            now: time,
            ..
        } = self.assignment;
        let Some(key) = settings.keep_running_tag.as_deref() else {
            return;
        };
        let value = tags.map(|mut tags| tags.remove(key));
        let text = model_arn.clone();
        self.update(model_arn, now, |model| {
            let exemption = model.handle_tag(key, value, time);
            if exemption == Exemption::KeepUnclear {
                tracing::warn!(
                    requestId = request_id,
                    model_arn = text.as_str(),
                    reason = model.kept_reason(),
                    "the tag's value should be empty, true, false, a date such as 2026-12-24 or a \
                     time such as 2026-12-24T18:00:00+01:00; the model is kept running"
                );
            }
            match exemption {
                Exemption::None => News::Changed,
                Exemption::Keep | Exemption::KeepUnclear => News::Unchanged,
            }
        });
    }

    fn take_findings(&mut self, findings: Findings, now: Instant) {
        for request in findings.next {
            self.call(request);
        }
        self.take_results(findings.results, now);
    }

    fn take_results(&mut self, results: Vec<CheckResult>, now: Instant) {
        for result in results {
            self.update(result.model_arn, now, |model| {
                model.handle_check(result.description, now)
            });
        }
    }

    fn add_model(&mut self, model_arn: ModelArn, model: Model, now: Instant) {
        if !self.models.contains_key(&model_arn) {
            self.unfinished += 1;
            self.models
                .insert(model_arn.clone(), Progress::Unfinished(model));
            self.update(model_arn, now, |_| News::Changed);
        }
    }

    /// Notes what has become known about a model, and takes the next step. `note` returns whether
    /// it is news: when one model has changed, others may change soon.
    fn update(&mut self, model_arn: ModelArn, now: Instant, note: impl FnOnce(&mut Model) -> News) {
        let Some(progress) = self.models.get_mut(&model_arn) else {
            return;
        };
        let Progress::Unfinished(model) = progress else {
            return;
        };
        let news = note(model);
        let next = model.next(self.assignment.aim());
        if model.is_running() {
            self.starts.seek(&model_arn);
        }
        if news == News::Changed && matches!(next, Next::WaitForChange | Next::Done(_)) {
            self.checks.note_change(now);
        }
        match next {
            Next::ReadTag => self.call(Request::ListTagsForResource { model_arn }),
            Next::Stop(pause) => {
                let at = (!pause.is_zero()).then(|| now + pause);
                self.call_at(at, Request::StopProjectVersion { model_arn });
            }
            Next::Check => self.checks.check_now(model_arn),
            Next::WaitForChange => self.checks.check_later(model_arn),
            Next::Done(outcome) => {
                self.unfinished -= 1;
                progress.end(&model_arn, outcome);
                self.unlogged.push(model_arn);
                self.log();
            }
        }
    }

    /// Logs the models that are done, unless who started them may be known in a moment.
    fn log(&mut self) {
        if self.starts.are_missing() {
            return;
        }
        let price = self.assignment.settings.inference_unit_hour_price;
        for model_arn in std::mem::take(&mut self.unlogged) {
            let Some(Progress::Done(report)) = self.models.get_mut(&model_arn) else {
                continue;
            };
            if let Some(start) = self.starts.of(&model_arn) {
                let (now, units) = (self.assignment.now, report.inference_units);
                report.started = Started::new(start, now, units, price);
            }
            report.log(self.assignment.request_id);
        }
    }

    /// Goes on without knowing who started the models, which is not a failure.
    fn give_up_starts(&mut self, failure: &Failure) {
        tracing::warn!(
            requestId = self.assignment.request_id,
            account = &*self.key.account,
            region = &*self.key.region,
            error = %failure,
            "who started the models could not be looked up"
        );
        self.starts.give_up();
        self.log();
    }
}

impl Progress {
    /// Ends with this outcome.
    fn end(&mut self, model_arn: &ModelArn, outcome: Outcome) {
        if let Self::Unfinished(model) = self {
            let seen = std::mem::take(model).into_description();
            *self = Self::Done(ModelReport::new(model_arn, outcome, seen));
        }
    }
}
