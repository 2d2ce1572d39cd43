//! One account in one region: the loop that finds its models and sees them stopped.
//!
//! Models and calls are values. What is to be called waits in a queue for each operation, and
//! becomes a future only when its turn is near, so that ten thousand models are a few megabytes. No
//! queue waits for another.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, sleep_until};

use super::discovery::{Continue, Discovery, List, ProjectList, Search, Shown, VersionList};
use super::looks::{Look, LookCall, Looks, Lookup};
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
    List(List),
    Look(LookCall),
}

/// A call and its result.
enum Response {
    Stop(ModelArn, Result<Option<Status>, CallError>),
    Tag(ModelArn, Result<Option<String>, CallError>),
    Projects(ProjectList, Result<Page<Project>, CallError>),
    Versions(VersionList, Result<Page<Version>, CallError>),
    Lookup(Lookup, Result<Page<Project>, CallError>),
    Look(Look, Result<Page<Version>, CallError>),
}

/// What has become of a scope.
#[derive(Debug)]
pub(super) struct ScopeReport<'a> {
    pub(super) key: ScopeKey,
    /// The models, each with the place of its entry.
    pub(super) models: Vec<(usize, ModelReport)>,
    pub(super) searches: Vec<Search<'a>>,
}

/// The models of a scope, and the calls for them.
pub(super) struct Scope<'run, 'a> {
    run: &'run Run<'a>,
    service: &'run Rekognition,
    key: ScopeKey,
    discovery: Discovery<'a>,
    looks: Looks,
    /// Patterns that come later, until it is known that no more will.
    more: Option<UnboundedReceiver<Vec<Pattern<'a>>>>,
    /// Held until the first call has had its turn.
    starting: Option<OwnedSemaphorePermit>,
    /// The models without an outcome, and the others' without anything, so that none is found
    /// twice.
    models: HashMap<ModelArn, Option<Model>>,
    /// The models that are named by their own ARNs, each with the place of its entry.
    named: HashMap<ModelArn, usize>,
    /// How many models have no outcome.
    open: usize,
    queues: BTreeMap<&'static str, (Operation, VecDeque<Call>)>,
    /// Calls that are to be made later. The number keeps two of the same time apart.
    later: BTreeMap<(Instant, usize), Call>,
    calls: FuturesUnordered<BoxFuture<'run, Response>>,
    reports: Vec<(ModelArn, ModelReport)>,
}

impl<'run, 'a> Scope<'run, 'a> {
    /// A scope with these models and patterns, and with those that `more` gives.
    pub(super) fn new(
        run: &'run Run<'a>,
        service: &'run Rekognition,
        key: ScopeKey,
        targets: Targets<'a>,
        more: Option<UnboundedReceiver<Vec<Pattern<'a>>>>,
        starting: OwnedSemaphorePermit,
    ) -> Self {
        let mut scope = Self {
            run,
            service,
            discovery: Discovery::new(&key.account),
            key,
            looks: Looks::new(Instant::now()),
            more,
            starting: Some(starting),
            models: HashMap::new(),
            named: HashMap::new(),
            open: 0,
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
            self.enqueue(Call::List(list));
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
                // Responses can come so fast that the timer has no turn.
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
                more = next_patterns(&mut self.more), if !is_over => match more {
                    Some(patterns) => self.add_patterns(patterns),
                    None => self.more = None,
                },
                () = sleep_until(due), if !is_over => {}
            }
        }
    }

    fn is_done(&self) -> bool {
        self.open == 0
            && self.more.is_none()
            && self.later.is_empty()
            && self.queues.values().all(|(_, queue)| queue.is_empty())
    }

    /// Makes calls of those that wait, as many of each operation as may soon have their turn.
    fn begin_calls(&mut self) {
        for call in self.looks.calls() {
            self.enqueue(Call::Look(call));
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
            // A model may only wait for this to be stopped, and lists are long.
            Call::Look(_) => queue.push_front(call),
            _ => queue.push_back(call),
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let later = self.later.keys().next().map(|(at, _)| *at);
        later.into_iter().chain(self.looks.next_round()).min()
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
        if self.looks.next_round().is_some_and(|next| next <= now) {
            self.looks.begin_round(now, self.run.caller.deadline.at());
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

    fn take(&mut self, response: Response) {
        match response {
            Response::Stop(model_arn, answer) => {
                self.update(model_arn, |model| {
                    model.stopped(answer);
                    true
                });
            }
            Response::Tag(model_arn, answer) => self.take_tag(model_arn, answer),
            Response::Projects(list, page) => {
                let shown = self.discovery.take_projects(list, page);
                self.take_found(shown);
            }
            Response::Versions(list, page) => {
                let shown = self.discovery.take_versions(list, page);
                self.take_found(shown);
            }
            Response::Lookup(lookup, page) => {
                let (next, shown) = self.looks.take_projects(lookup, page);
                self.take_shown(next.map(LookCall::Lookup), shown);
            }
            Response::Look(look, page) => {
                let (next, shown) = self.looks.take_versions(look, page);
                self.take_shown(next.map(LookCall::Look), shown);
            }
        }
    }

    fn take_tag(&mut self, model_arn: ModelArn, answer: Result<Option<String>, CallError>) {
        let key = self.run.tag_key();
        let request_id = &self.run.caller.request_id;
        let now = self.run.now;
        let text = model_arn.clone();
        self.update(model_arn, |model| {
            let exemption = model.tagged(key, answer, now);
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

    fn take_found(&mut self, shown: Shown) {
        let may_be_exempt = self.run.settings.keep_running_tag.is_some();
        let known = self.models.len();
        for (model_arn, observation) in shown.found {
            self.add(model_arn, Model::found(observation, may_be_exempt));
        }
        self.run
            .caller
            .deadline
            .expect_lines(self.models.len() - known);
        for next in shown.next {
            match next {
                Continue::Now(list) => self.enqueue(Call::List(list)),
                Continue::After(pause, list) => self.call_after(pause, Call::List(list)),
            }
        }
    }

    fn take_shown(
        &mut self,
        next: Option<LookCall>,
        shown: Vec<(ModelArn, Result<Observation, CallError>)>,
    ) {
        if let Some(call) = next {
            self.enqueue(Call::Look(call));
        }
        for (model_arn, answer) in shown {
            self.update(model_arn, |model| model.looked(answer));
        }
    }

    fn add(&mut self, model_arn: ModelArn, model: Model) {
        if !self.models.contains_key(&model_arn) {
            self.open += 1;
            self.models.insert(model_arn.clone(), Some(model));
            self.update(model_arn, |_| true);
        }
    }

    /// Notes what has become known of a model, and begins what is next. `note` says whether it is
    /// news: where one model has changed, others soon may.
    fn update(&mut self, model_arn: ModelArn, note: impl FnOnce(&mut Model) -> bool) {
        let Some(Some(model)) = self.models.get_mut(&model_arn) else {
            return;
        };
        let is_news = note(model);
        let next = model.next(self.run.rules);
        if is_news && matches!(next, Next::WaitForChange | Next::Done(_)) {
            self.looks.changed();
        }
        match next {
            Next::ReadTag => self.enqueue(Call::Tag(model_arn)),
            Next::Stop(pause) => self.call_after(pause, Call::Stop(model_arn)),
            Next::Look => self.looks.look(model_arn),
            Next::WaitForChange => self.looks.wait(model_arn),
            Next::Done(outcome) => {
                let Some(Some(model)) = self.models.insert(model_arn.clone(), None) else {
                    return;
                };
                self.open -= 1;
                self.report(model_arn, outcome, model);
            }
        }
    }

    fn report(&mut self, model_arn: ModelArn, outcome: Outcome, model: Model) {
        let report = ModelReport::of(&model_arn, outcome, model.into_seen());
        report.log(&self.run.caller.request_id);
        self.reports.push((model_arn, report));
    }

    /// Reports what has no outcome yet.
    fn finish(mut self) -> ScopeReport<'a> {
        if let Some(mut more) = self.more.take() {
            more.close();
            let patterns = std::iter::from_fn(|| more.try_recv().ok());
            self.add_patterns(patterns.flatten().collect());
        }
        let queued = self
            .queues
            .values_mut()
            .flat_map(|(_, queue)| queue.drain(..));
        for call in queued.chain(std::mem::take(&mut self.later).into_values()) {
            if let Call::List(list) = call {
                self.discovery.out_of_time(&list);
            }
        }
        for (model_arn, model) in std::mem::take(&mut self.models) {
            if let Some(mut model) = model {
                let outcome = model.out_of_time(self.looks.last_failure(&model_arn));
                self.report(model_arn, outcome, model);
            }
        }
        // Patterns may have come in any order; the report does not depend on it.
        let place = |model_arn: &ModelArn| {
            let named = self.named.get(model_arn).copied();
            named.or_else(|| self.discovery.first_match(model_arn))
        };
        let models = self.reports.into_iter();
        let models = models.map(|(arn, report)| (place(&arn).unwrap_or_default(), report));
        ScopeReport {
            models: models.collect(),
            key: self.key,
            searches: self.discovery.into_searches(),
        }
    }
}

/// Waits for the next patterns; for ever where no more can come.
async fn next_patterns<'a>(
    more: &mut Option<UnboundedReceiver<Vec<Pattern<'a>>>>,
) -> Option<Vec<Pattern<'a>>> {
    match more {
        Some(more) => more.recv().await,
        None => std::future::pending().await,
    }
}

impl Call {
    fn operation(&self) -> Operation {
        match self {
            Self::Stop(_) => Operation::StopProjectVersion,
            Self::Tag(_) => Operation::ListTagsForResource,
            Self::List(List::Projects(_)) | Self::Look(LookCall::Lookup(_)) => {
                Operation::DescribeProjects
            }
            Self::List(List::Versions(_)) | Self::Look(LookCall::Look(_)) => {
                Operation::DescribeProjectVersions
            }
        }
    }

    async fn make(self, service: &Rekognition, tag_key: &str) -> Response {
        match self {
            Self::Stop(model_arn) => {
                let answer = service.stop_project_version(&model_arn).await;
                Response::Stop(model_arn, answer)
            }
            Self::Tag(model_arn) => {
                let answer = service.tag(&model_arn, tag_key).await;
                Response::Tag(model_arn, answer)
            }
            Self::List(List::Projects(list)) => {
                let page = service.projects(&list.names, list.pages.token()).await;
                Response::Projects(list, page)
            }
            Self::List(List::Versions(list)) => {
                let (arn, token) = (&list.project.arn, list.pages.token());
                let page = service.project_versions(arn, &[], token).await;
                Response::Versions(list, page)
            }
            Self::Look(LookCall::Lookup(lookup)) => {
                let page = service.projects(&lookup.names, lookup.pages.token()).await;
                Response::Lookup(lookup, page)
            }
            Self::Look(LookCall::Look(look)) => {
                let token = look.pages.token();
                let page = service
                    .project_versions(&look.project_arn, &look.names, token)
                    .await;
                Response::Look(look, page)
            }
        }
    }
}
