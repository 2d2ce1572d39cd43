//! The models of one account in one region: how each is found, and seen stopped.

use std::collections::HashMap;

use tokio::time::Instant;

use super::assignment::{Assignment, Pattern, ScopeKey, Targets};
use super::checks::{Checks, Findings};
use super::discovery::{Discovery, FoundModel, Search};
use super::model::{Model, News, Next, Rules};
use super::pending::Pending;
use super::purpose::{Rest, ScopePurpose};
use crate::arn::ModelArn;
use crate::calls::error::CallError;
use crate::calls::request::ScopeId;
use crate::calls::response::Response;
use crate::exemption::Exemption;
use crate::report::{Failure, ModelReport, Outcome};

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
    /// Why the calls for these models had not succeeded that did not end in time.
    last_failures: HashMap<ModelArn, String>,
    /// The same for lookups of projects, by their names.
    lookup_failures: HashMap<String, String>,
    reports: Vec<Reported>,
}

/// A model that has its outcome.
#[derive(Debug)]
struct Reported {
    model_arn: ModelArn,
    report: ModelReport,
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
            last_failures: HashMap::new(),
            lookup_failures: HashMap::new(),
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
            self.call(call, pending);
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

    /// Handles the end of a call, or a page of a list.
    pub(super) fn take(
        &mut self,
        purpose: ScopePurpose,
        result: Result<Response, CallError>,
        rest: Rest,
        pending: &mut Pending,
        now: Instant,
    ) {
        if rest == Rest::Nothing {
            self.calls -= 1;
        }
        match purpose {
            ScopePurpose::Stop(model_arn) => {
                let status = result.and_then(Response::into_stop);
                self.update(model_arn, pending, now, |model| {
                    model.handle_stop(status, now);
                    News::Changed
                });
            }
            ScopePurpose::Tag(model_arn) => self.take_tags(model_arn, result, pending, now),
            ScopePurpose::FindProjects(list) => {
                let projects = result.and_then(Response::into_projects);
                for call in self.discovery.take_projects(list, projects) {
                    self.call(call, pending);
                }
            }
            ScopePurpose::FindVersions(list) => {
                let versions = result.and_then(Response::into_versions);
                let found = self.discovery.take_versions(&list, versions);
                self.take_found(found, pending, now);
            }
            ScopePurpose::LookUpProjects(names) => {
                let projects = result.and_then(Response::into_projects);
                let findings = self.checks.take_projects(names, projects, rest);
                self.take_findings(findings, pending, now);
            }
            ScopePurpose::CheckVersions(check) => {
                let versions = result.and_then(Response::into_versions);
                let findings = self.checks.take_versions(check, versions, rest);
                self.take_findings(findings, pending, now);
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

    /// Notes that a call did not end in time, and why it had not succeeded before.
    pub(super) fn give_up(&mut self, purpose: ScopePurpose, last_failure: Option<String>) {
        match purpose {
            ScopePurpose::FindProjects(list) => {
                let failure = Failure::out_of_time(last_failure);
                self.discovery.fail_projects(&list, &failure);
            }
            ScopePurpose::FindVersions(list) => {
                let failure = Failure::out_of_time(last_failure);
                self.discovery.fail_versions(&list, &failure);
            }
            ScopePurpose::Stop(model_arn) | ScopePurpose::Tag(model_arn) => {
                self.last_failures
                    .extend(last_failure.map(|failure| (model_arn, failure)));
            }
            ScopePurpose::CheckVersions(check) => {
                for model_arn in check.models {
                    let last_failure = last_failure.clone();
                    self.last_failures
                        .extend(last_failure.map(|failure| (model_arn, failure)));
                }
            }
            ScopePurpose::LookUpProjects(names) => {
                for name in names {
                    let last_failure = last_failure.clone();
                    self.lookup_failures
                        .extend(last_failure.map(|failure| (name, failure)));
                }
            }
        }
    }

    /// The result, in which whatever has no outcome yet has run out of time.
    pub(super) fn end(mut self, now: Instant) -> ScopeReport<'a> {
        for (model_arn, model) in self.take_unfinished() {
            let last_failure = self.last_failures.remove(&model_arn);
            let of_project = self.lookup_failures.get(model_arn.project());
            let outcome = model.out_of_time(last_failure.or_else(|| of_project.cloned()), now);
            self.report(model_arn, outcome, model);
        }
        self.into_report()
    }

    /// The result, in which whatever has no outcome yet has failed.
    pub(super) fn fail(mut self, failure: &Failure) -> ScopeReport<'a> {
        for (model_arn, model) in self.take_unfinished() {
            self.report(model_arn, Outcome::Failed(failure.clone()), model);
        }
        self.discovery.fail(failure);
        self.into_report()
    }

    /// The models that have no outcome yet.
    fn take_unfinished(&mut self) -> impl Iterator<Item = (ModelArn, Model)> + use<> {
        let models = std::mem::take(&mut self.models).into_iter();
        models.filter_map(|(model_arn, model)| Some((model_arn, model?)))
    }

    fn into_report(self) -> ScopeReport<'a> {
        // Patterns may have arrived in any order; the report does not depend on it.
        let (named, discovery) = (&self.named, &self.discovery);
        let models = self.reports.into_iter().filter_map(|it| {
            let named = named.get(&it.model_arn).copied();
            let entry = named.or_else(|| discovery.first_match(&it.model_arn))?;
            let report = it.report;
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

    /// Makes the checks that are to be made now, and has the queue wake this scope for the next
    /// round of them.
    fn go_on(&mut self, pending: &mut Pending) {
        for call in self.checks.calls() {
            self.call(call, pending);
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

    fn take_found(&mut self, found: Vec<FoundModel>, pending: &mut Pending, now: Instant) {
        let may_be_exempt = self.assignment.settings.keep_running_tag.is_some();
        for found in found {
            let model = Model::found(found.description, may_be_exempt, now);
            self.add(found.model_arn, model, pending, now);
        }
    }

    fn take_findings(&mut self, findings: Findings, pending: &mut Pending, now: Instant) {
        for call in findings.next {
            self.call(call, pending);
        }
        for result in findings.results {
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
                self.calls += 1;
                let at = (!pause.is_zero()).then(|| now + pause);
                pending.push_in(self.id, at, ScopePurpose::Stop(model_arn));
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
        self.reports.push(Reported { model_arn, report });
    }
}
