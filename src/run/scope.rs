//! The models of one account in one region: how each is found, and seen stopped.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::assignment::{Assignment, Pattern, ScopeKey, Targets};
use super::checks::{CheckCall, CheckResult, Checks};
use super::discovery::{Discovery, DiscoveryCall, Findings, Search};
use super::model::{Model, News, Next, Rules};
use super::pending::{Pending, ScopePurpose};
use crate::arn::ModelArn;
use crate::calls::error::CallError;
use crate::calls::request::ScopeId;
use crate::calls::response::Response;
use crate::exemption::Exemption;
use crate::report::{ModelReport, Outcome};

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
    rules: Rules,
    id: ScopeId,
    pub(super) key: ScopeKey,
    discovery: Discovery<'a>,
    checks: Checks,
    /// The models that have no outcome yet, and `None` for the others, so that none is found twice.
    models: HashMap<ModelArn, Option<Model>>,
    /// The models that are given by their own ARNs, each with the index of its entry.
    named: HashMap<ModelArn, usize>,
    /// How many models have no outcome yet.
    unfinished: usize,
    /// How many calls are under way.
    calls: usize,
    /// When the queue wakes this scope next.
    wakes_at: Option<Instant>,
    /// Why the last calls for these models failed that did not end in time.
    last_errors: HashMap<ModelArn, String>,
    reports: Vec<(ModelArn, ModelReport)>,
}

impl<'a> Scope<'a> {
    /// A scope with these models and patterns, whose first calls are added to those that are
    /// pending.
    pub(super) fn begin(
        assignment: Assignment<'a>,
        id: ScopeId,
        key: ScopeKey,
        targets: Targets<'a>,
        pending: &mut Pending,
        now: Instant,
    ) -> Self {
        let mut scope = Self {
            assignment,
            rules: Rules {
                dry_run: assignment.dry_run,
                confirm_stopped: assignment.settings.confirm_stopped,
            },
            id,
            discovery: Discovery::new(&key.account),
            key,
            checks: Checks::new(now),
            models: HashMap::new(),
            named: HashMap::new(),
            unfinished: 0,
            calls: 0,
            wakes_at: None,
            last_errors: HashMap::new(),
            reports: Vec::new(),
        };
        for named in targets.models {
            scope.named.insert(named.model_arn.clone(), named.entry);
            scope.add(named.model_arn, Model::named(), pending, now);
        }
        scope.add_patterns(targets.patterns, pending);
        scope.go_on(pending);
        scope
    }

    /// Searches for these patterns as well.
    pub(super) fn add_patterns(&mut self, patterns: Vec<Pattern<'a>>, pending: &mut Pending) {
        for call in self.discovery.add(patterns) {
            self.call(ScopePurpose::Discovery(call), pending);
        }
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_done(&self) -> bool {
        self.unfinished == 0 && self.calls == 0
    }

    /// How many lines the log may still need for it.
    pub(super) fn lines(&self) -> usize {
        self.unfinished + self.discovery.patterns()
    }

    /// Handles the end of a call.
    pub(super) fn take(
        &mut self,
        purpose: ScopePurpose,
        result: Result<Response, CallError>,
        pending: &mut Pending,
        now: Instant,
    ) {
        self.calls -= 1;
        match purpose {
            ScopePurpose::Stop(model_arn) => {
                let status = result.and_then(Response::into_stop);
                self.update(model_arn, pending, now, |model| {
                    model.handle_stop(status, now);
                    News::Changed
                });
            }
            ScopePurpose::Tag(model_arn) => self.take_tags(model_arn, result, pending, now),
            ScopePurpose::Discovery(DiscoveryCall::Projects(list)) => {
                let page = result.and_then(Response::into_projects);
                let findings = self.discovery.take_projects(list, page);
                self.take_findings(findings, pending, now);
            }
            ScopePurpose::Discovery(DiscoveryCall::Versions(list)) => {
                let page = result.and_then(Response::into_versions);
                let findings = self.discovery.take_versions(list, page);
                self.take_findings(findings, pending, now);
            }
            ScopePurpose::Check(CheckCall::Projects(lookup)) => {
                let page = result.and_then(Response::into_projects);
                let (next, results) = self.checks.take_projects(lookup, page, now);
                self.take_check_results(next, results, pending, now);
            }
            ScopePurpose::Check(CheckCall::Versions(check)) => {
                let page = result.and_then(Response::into_versions);
                let (next, results) = self.checks.take_versions(check, page, now);
                self.take_check_results(next, results, pending, now);
            }
        }
        self.go_on(pending);
    }

    /// Begins the next round of checks, if it is due.
    pub(super) fn wake(&mut self, pending: &mut Pending, now: Instant, due: Instant) {
        self.wakes_at = None;
        if self.checks.next_round().is_some_and(|next| next <= now) {
            self.checks.begin_round(now, due);
        }
        self.go_on(pending);
    }

    /// Notes that a call did not end in time, and why its last attempt failed.
    pub(super) fn give_up(&mut self, purpose: ScopePurpose, last_error: Option<String>) {
        if let ScopePurpose::Discovery(call) = &purpose {
            self.discovery.fail_at_deadline(call, last_error);
            return;
        }
        let Some(last_error) = last_error else {
            return;
        };
        match purpose {
            ScopePurpose::Stop(model_arn) | ScopePurpose::Tag(model_arn) => {
                self.last_errors.insert(model_arn, last_error);
            }
            ScopePurpose::Check(CheckCall::Versions(check)) => {
                let models = check.missing().cloned();
                self.last_errors
                    .extend(models.map(|model_arn| (model_arn, last_error.clone())));
            }
            ScopePurpose::Check(CheckCall::Projects(lookup)) => {
                let models = self.models.keys();
                let models = models
                    .filter(|model_arn| lookup.concerns(model_arn))
                    .cloned();
                self.last_errors
                    .extend(models.map(|model_arn| (model_arn, last_error.clone())));
            }
            ScopePurpose::Discovery(_) => {}
        }
    }

    /// The result, in which whatever has no outcome yet has run out of time.
    pub(super) fn end(mut self, now: Instant) -> ScopeReport<'a> {
        for (model_arn, model) in std::mem::take(&mut self.models) {
            if let Some(model) = model {
                let last_error = self.last_errors.remove(&model_arn);
                let interruption = self.checks.interruption(&model_arn).map(str::to_owned);
                let outcome = model.out_of_time(last_error.or(interruption), now);
                self.report(model_arn, outcome, model);
            }
        }
        // Patterns may have arrived in any order; the report does not depend on it.
        let (named, discovery) = (&self.named, &self.discovery);
        let models = self.reports.into_iter().filter_map(|(model_arn, report)| {
            let named = named.get(&model_arn).copied();
            let entry = named.or_else(|| discovery.first_match(&model_arn))?;
            Some(ScopeModel { entry, report })
        });
        ScopeReport {
            models: models.collect(),
            key: self.key,
            searches: self.discovery.into_searches(),
        }
    }

    fn call(&mut self, purpose: ScopePurpose, pending: &mut Pending) {
        self.calls += 1;
        pending.push_in(self.id, None, purpose);
    }

    fn call_after(
        &mut self,
        pause: Duration,
        purpose: ScopePurpose,
        pending: &mut Pending,
        now: Instant,
    ) {
        self.calls += 1;
        let at = (!pause.is_zero()).then(|| now + pause);
        pending.push_in(self.id, at, purpose);
    }

    /// Makes the checks that are to be made now, and has the queue wake this scope for the next
    /// round of them.
    fn go_on(&mut self, pending: &mut Pending) {
        for call in self.checks.calls() {
            self.call(ScopePurpose::Check(call), pending);
        }
        if let Some(next) = self.checks.next_round()
            && self.wakes_at.is_none_or(|at| next < at)
        {
            self.wakes_at = Some(next);
            pending.queue.wake(next, self.id);
        }
    }

    fn take_tags(
        &mut self,
        model_arn: ModelArn,
        result: Result<Response, CallError>,
        pending: &mut Pending,
        now: Instant,
    ) {
        let Assignment {
            settings,
            request_id,
            now: time,
            ..
        } = self.assignment;
        let key = settings.keep_running_tag.as_deref().unwrap_or_default();
        let value = result.and_then(Response::into_tags);
        let value = value.map(|mut tags| tags.remove(key));
        let text = model_arn.clone();
        self.update(model_arn, pending, now, |model| {
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

    fn take_findings(&mut self, findings: Findings, pending: &mut Pending, now: Instant) {
        let may_be_exempt = self.assignment.settings.keep_running_tag.is_some();
        for found in findings.models {
            let model = Model::found(found.description, may_be_exempt, now);
            self.add(found.model_arn, model, pending, now);
        }
        for next in findings.next {
            let pause = next.pause.unwrap_or_default();
            self.call_after(pause, ScopePurpose::Discovery(next.call), pending, now);
        }
    }

    fn take_check_results(
        &mut self,
        next: Vec<CheckCall>,
        results: Vec<CheckResult>,
        pending: &mut Pending,
        now: Instant,
    ) {
        for call in next {
            self.call(ScopePurpose::Check(call), pending);
        }
        for result in results {
            self.update(result.model_arn, pending, now, |model| {
                model.handle_check(result.description, now)
            });
        }
    }

    fn add(&mut self, model_arn: ModelArn, model: Model, pending: &mut Pending, now: Instant) {
        if !self.models.contains_key(&model_arn) {
            self.unfinished += 1;
            self.models.insert(model_arn.clone(), Some(model));
            self.update(model_arn, pending, now, |_| News::Changed);
        }
    }

    /// Notes what has become known about a model, and takes the next step. `note` returns whether
    /// it is news: when one model has changed, others may change soon.
    fn update(
        &mut self,
        model_arn: ModelArn,
        pending: &mut Pending,
        now: Instant,
        note: impl FnOnce(&mut Model) -> News,
    ) {
        let Some(Some(model)) = self.models.get_mut(&model_arn) else {
            return;
        };
        let news = note(model);
        let next = model.next(self.rules);
        if news == News::Changed && matches!(next, Next::WaitForChange | Next::Done(_)) {
            self.checks.note_change(now);
        }
        match next {
            Next::ReadTag => self.call(ScopePurpose::Tag(model_arn), pending),
            Next::Stop(pause) => {
                self.call_after(pause, ScopePurpose::Stop(model_arn), pending, now);
            }
            Next::Check => self.checks.check_now(model_arn),
            Next::WaitForChange => self.checks.check_later(model_arn),
            Next::Done(outcome) => {
                let Some(Some(model)) = self.models.insert(model_arn.clone(), None) else {
                    return;
                };
                self.unfinished -= 1;
                self.report(model_arn, outcome, model);
            }
        }
    }

    fn report(&mut self, model_arn: ModelArn, outcome: Outcome, model: Model) {
        let report = ModelReport::new(&model_arn, outcome, model.into_description());
        report.log(self.assignment.request_id);
        self.reports.push((model_arn, report));
    }
}
