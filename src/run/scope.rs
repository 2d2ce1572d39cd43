//! One account in one region: the loop that finds its models and sees them stopped.
//!
//! Models and calls are values. Calls wait in one queue per operation, and become futures only when
//! their turn is near, so that ten thousand models take a few megabytes. No queue waits for
//! another.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use super::checks::{CheckCall, Checks, ProjectLookup, StatusCheck};
use super::discovery::{
    Discovery, DiscoveryCall, Findings, NextCall, ProjectList, Search, VersionList,
};
use super::model::{Model, Next};
use super::{Pattern, Run, ScopeKey, Targets};
use crate::arn::ModelArn;
use crate::aws::{CallError, Observation, Operation, Page, Project, Rekognition, Status, Version};
use crate::exemption::Exemption;
use crate::report::{ModelReport, Outcome};

/// A call to be made.
#[derive(Debug)]
enum Call {
    Stop(ModelArn),
    Tag(ModelArn),
    Discovery(DiscoveryCall),
    Check(CheckCall),
}

/// A call with its result.
enum CallResult {
    Stop(ModelArn, Result<Option<Status>, CallError>),
    Tag(ModelArn, Result<Option<String>, CallError>),
    ProjectList(ProjectList, Result<Page<Project>, CallError>),
    VersionList(VersionList, Result<Page<Version>, CallError>),
    ProjectLookup(ProjectLookup, Result<Page<Project>, CallError>),
    StatusCheck(StatusCheck, Result<Page<Version>, CallError>),
}

/// The result of a scope.
#[derive(Debug)]
pub(super) struct ScopeReport<'a> {
    pub(super) key: ScopeKey,
    /// The models, each with the index of its entry.
    pub(super) models: Vec<(usize, ModelReport)>,
    pub(super) searches: Vec<Search<'a>>,
}

/// The models of a scope, and the calls for them.
pub(super) struct Scope<'run, 'a> {
    run: &'run Run<'a>,
    service: &'run Rekognition,
    key: ScopeKey,
    discovery: Discovery<'a>,
    checks: Checks,
    /// Patterns that arrive later, until it is known that there are no more.
    later_patterns: Option<UnboundedReceiver<Vec<Pattern<'a>>>>,
    /// Held until the first call has had its turn.
    starting: Option<OwnedSemaphorePermit>,
    /// The models that have no outcome yet, and `None` for the others, so that none is found twice.
    models: HashMap<ModelArn, Option<Model>>,
    /// The models that are given by their own ARNs, each with the index of its entry.
    named: HashMap<ModelArn, usize>,
    /// How many models have no outcome yet.
    unfinished: usize,
    queues: BTreeMap<&'static str, (Operation, VecDeque<Call>)>,
    /// Calls to be made later. The number distinguishes calls at the same time.
    later: BTreeMap<(Instant, usize), Call>,
    calls: FuturesUnordered<BoxFuture<'run, CallResult>>,
    reports: Vec<(ModelArn, ModelReport)>,
}

impl<'run, 'a> Scope<'run, 'a> {
    /// A scope with these models and patterns, and with the patterns that `later_patterns`
    /// receives.
    pub(super) fn new(
        run: &'run Run<'a>,
        service: &'run Rekognition,
        key: ScopeKey,
        targets: Targets<'a>,
        later_patterns: Option<UnboundedReceiver<Vec<Pattern<'a>>>>,
        starting: OwnedSemaphorePermit,
    ) -> Self {
        let mut scope = Self {
            run,
            service,
            discovery: Discovery::new(&key.account),
            key,
            checks: Checks::new(Instant::now()),
            later_patterns,
            starting: Some(starting),
            models: HashMap::new(),
            named: HashMap::new(),
            unfinished: 0,
            queues: BTreeMap::new(),
            later: BTreeMap::new(),
            calls: FuturesUnordered::new(),
            reports: Vec::new(),
        };
        for (entry, model_arn) in targets.models {
            scope.named.insert(model_arn.clone(), entry);
            scope.add(model_arn, Model::named());
        }
        scope.add_patterns(targets.patterns);
        scope
    }

    fn add_patterns(&mut self, patterns: Vec<Pattern<'a>>) {
        for list in self.discovery.add(patterns) {
            self.enqueue(Call::Discovery(list));
        }
    }

    /// Sees every model to its outcome, by the deadline.
    pub(super) async fn run(mut self) -> ScopeReport<'a> {
        let deadline = &self.run.caller.deadline;
        let passed = deadline.passed();
        tokio::pin!(passed);
        let mut is_over = deadline.has_passed();
        loop {
            if !is_over {
                // Responses can arrive so fast that the timer never gets a turn.
                self.become_due(Instant::now());
                self.begin_calls();
            }
            if self.calls.is_empty() && (is_over || self.is_done()) {
                return self.finish();
            }
            let due = self.next_due().unwrap_or_else(|| deadline.at());
            tokio::select! {
                biased;
                () = &mut passed, if !is_over => is_over = true,
                Some(response) = self.calls.next() => self.take(response),
                () = self.service.room_changed(), if !is_over => self.starting = None,
                patterns = next_patterns(&mut self.later_patterns), if !is_over => match patterns {
                    Some(patterns) => self.add_patterns(patterns),
                    None => self.later_patterns = None,
                },
                () = sleep_until(due), if !is_over => {}
            }
        }
    }

    fn is_done(&self) -> bool {
        self.unfinished == 0
            && self.later_patterns.is_none()
            && self.later.is_empty()
            && self.queues.values().all(|(_, queue)| queue.is_empty())
    }

    /// Makes queued calls, as many of each operation as will soon have their turn.
    fn begin_calls(&mut self) {
        for call in self.checks.calls() {
            self.enqueue(Call::Check(call));
        }
        for (operation, queue) in self.queues.values_mut() {
            let room = self.service.room_for(*operation).min(queue.len());
            for call in queue.drain(..room) {
                let call = call.make(self.service, self.run.tag_key());
                self.calls.push(Box::pin(call));
            }
        }
    }

    fn enqueue(&mut self, call: Call) {
        let operation = call.operation();
        let (_, queue) = self
            .queues
            .entry(operation.name())
            .or_insert_with(|| (operation, VecDeque::new()));
        match call {
            // This may be all that a model waits for to be stopped, and lists are long.
            Call::Check(_) => queue.push_front(call),
            _ => queue.push_back(call),
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let later = self.later.keys().next().map(|(at, _)| *at);
        later.into_iter().chain(self.checks.next_round()).min()
    }

    fn become_due(&mut self, now: Instant) {
        while let Some(first) = self
            .later
            .first_entry()
            .filter(|first| first.key().0 <= now)
        {
            let call = first.remove();
            self.enqueue(call);
        }
        if self.checks.next_round().is_some_and(|next| next <= now) {
            self.checks.begin_round(now, self.run.caller.deadline.at());
        }
    }

    fn call_after(&mut self, pause: Duration, call: Call) {
        if pause.is_zero() {
            return self.enqueue(call);
        }
        let at = Instant::now() + pause;
        let same = self.later.range((at, 0)..=(at, usize::MAX)).count();
        self.later.insert((at, same), call);
    }

    fn take(&mut self, response: CallResult) {
        match response {
            CallResult::Stop(model_arn, answer) => {
                self.update(model_arn, |model| {
                    model.handle_stop(answer);
                    true
                });
            }
            CallResult::Tag(model_arn, answer) => self.take_tag(model_arn, answer),
            CallResult::ProjectList(list, page) => {
                let findings = self.discovery.take_projects(list, page);
                self.take_findings(findings);
            }
            CallResult::VersionList(list, page) => {
                let findings = self.discovery.take_versions(list, page);
                self.take_findings(findings);
            }
            CallResult::ProjectLookup(lookup, page) => {
                let (next, results) = self.checks.take_projects(lookup, page);
                self.take_check_results(next.map(CheckCall::Projects), results);
            }
            CallResult::StatusCheck(check, page) => {
                let (next, results) = self.checks.take_versions(check, page);
                self.take_check_results(next.map(CheckCall::Versions), results);
            }
        }
    }

    fn take_tag(&mut self, model_arn: ModelArn, answer: Result<Option<String>, CallError>) {
        let key = self.run.tag_key();
        let request_id = &self.run.caller.request_id;
        let now = self.run.now;
        let text = model_arn.clone();
        self.update(model_arn, |model| {
            let exemption = model.handle_tag(key, answer, now);
            if exemption == Exemption::KeepUnclear {
                tracing::warn!(
                    requestId = &**request_id,
                    model_arn = text.as_str(),
                    reason = model.kept_reason(),
                    "the tag's value should be empty, true, false, a date such as 2026-12-24 or a \
                     time such as 2026-12-24T18:00:00+01:00; the model is kept running"
                );
            }
            exemption == Exemption::None
        });
    }

    fn take_findings(&mut self, findings: Findings) {
        let may_be_exempt = self.run.settings.keep_running_tag.is_some();
        let known = self.models.len();
        for (model_arn, observation) in findings.models {
            self.add(model_arn, Model::found(observation, may_be_exempt));
        }
        self.run
            .caller
            .deadline
            .expect_lines(self.models.len() - known);
        for next in findings.next {
            match next {
                NextCall::Now(list) => self.enqueue(Call::Discovery(list)),
                NextCall::After(pause, list) => self.call_after(pause, Call::Discovery(list)),
            }
        }
    }

    fn take_check_results(
        &mut self,
        next: Option<CheckCall>,
        results: Vec<(ModelArn, Result<Observation, CallError>)>,
    ) {
        if let Some(call) = next {
            self.enqueue(Call::Check(call));
        }
        for (model_arn, answer) in results {
            self.update(model_arn, |model| model.handle_check(answer));
        }
    }

    fn add(&mut self, model_arn: ModelArn, model: Model) {
        if !self.models.contains_key(&model_arn) {
            self.unfinished += 1;
            self.models.insert(model_arn.clone(), Some(model));
            self.update(model_arn, |_| true);
        }
    }

    /// Notes what has become known about a model, and takes the next step. `note` returns whether
    /// it is news: when one model has changed, others may change soon.
    fn update(&mut self, model_arn: ModelArn, note: impl FnOnce(&mut Model) -> bool) {
        let Some(Some(model)) = self.models.get_mut(&model_arn) else {
            return;
        };
        let is_news = note(model);
        let next = model.next(self.run.rules);
        if is_news && matches!(next, Next::WaitForChange | Next::Done(_)) {
            self.checks.note_change();
        }
        match next {
            Next::ReadTag => self.enqueue(Call::Tag(model_arn)),
            Next::Stop(pause) => self.call_after(pause, Call::Stop(model_arn)),
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
        let report = ModelReport::new(&model_arn, outcome, model.into_seen());
        report.log(&self.run.caller.request_id);
        self.reports.push((model_arn, report));
    }

    /// Reports whatever has no outcome yet.
    fn finish(mut self) -> ScopeReport<'a> {
        if let Some(mut later_patterns) = self.later_patterns.take() {
            later_patterns.close();
            let patterns = std::iter::from_fn(|| later_patterns.try_recv().ok());
            self.add_patterns(patterns.flatten().collect());
        }
        let queued = self
            .queues
            .values_mut()
            .flat_map(|(_, queue)| queue.drain(..));
        for call in queued.chain(std::mem::take(&mut self.later).into_values()) {
            if let Call::Discovery(list) = call {
                self.discovery.fail_at_deadline(&list);
            }
        }
        for (model_arn, model) in std::mem::take(&mut self.models) {
            if let Some(mut model) = model {
                let outcome = model.out_of_time(self.checks.last_failure(&model_arn));
                self.report(model_arn, outcome, model);
            }
        }
        // Patterns may have arrived in any order; the report does not depend on it.
        let entry_index = |model_arn: &ModelArn| {
            let named = self.named.get(model_arn).copied();
            named.or_else(|| self.discovery.first_match(model_arn))
        };
        let models = self.reports.into_iter();
        let models = models.map(|(arn, report)| (entry_index(&arn).unwrap_or_default(), report));
        ScopeReport {
            models: models.collect(),
            key: self.key,
            searches: self.discovery.into_searches(),
        }
    }
}

/// Waits for the next patterns, or forever if there can be no more.
async fn next_patterns<'a>(
    later_patterns: &mut Option<UnboundedReceiver<Vec<Pattern<'a>>>>,
) -> Option<Vec<Pattern<'a>>> {
    match later_patterns {
        Some(later_patterns) => later_patterns.recv().await,
        None => std::future::pending().await,
    }
}

impl Call {
    fn operation(&self) -> Operation {
        match self {
            Self::Stop(_) => Operation::StopProjectVersion,
            Self::Tag(_) => Operation::ListTagsForResource,
            Self::Discovery(DiscoveryCall::Projects(_)) | Self::Check(CheckCall::Projects(_)) => {
                Operation::DescribeProjects
            }
            Self::Discovery(DiscoveryCall::Versions(_)) | Self::Check(CheckCall::Versions(_)) => {
                Operation::DescribeProjectVersions
            }
        }
    }

    async fn make(self, service: &Rekognition, tag_key: &str) -> CallResult {
        match self {
            Self::Stop(model_arn) => {
                let answer = service.stop_project_version(&model_arn).await;
                CallResult::Stop(model_arn, answer)
            }
            Self::Tag(model_arn) => {
                let answer = service.tag(&model_arn, tag_key).await;
                CallResult::Tag(model_arn, answer)
            }
            Self::Discovery(DiscoveryCall::Projects(list)) => {
                let page = service.projects(&list.names, list.pages.token()).await;
                CallResult::ProjectList(list, page)
            }
            Self::Discovery(DiscoveryCall::Versions(list)) => {
                let (arn, token) = (&list.project.arn, list.pages.token());
                let page = service.project_versions(arn, &[], token).await;
                CallResult::VersionList(list, page)
            }
            Self::Check(CheckCall::Projects(lookup)) => {
                let page = service.projects(&lookup.names, lookup.pages.token()).await;
                CallResult::ProjectLookup(lookup, page)
            }
            Self::Check(CheckCall::Versions(check)) => {
                let token = check.pages.token();
                let page = service
                    .project_versions(&check.project_arn, &check.names, token)
                    .await;
                CallResult::StatusCheck(check, page)
            }
        }
    }
}
