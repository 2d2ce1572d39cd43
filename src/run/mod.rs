//! A run: one loop over one queue of calls, and around it values that decide. It does not know the
//! SDK.
//!
//! - [`assignment`] is what the run is asked to do.
//! - [`accounts`] is what a wildcard in the account matches, and [`plan`] splits a run into parts.
//! - [`scopes`] has the accounts and regions, and [`scope`] the models of one account and region.
//! - [`model`] is the table for one model, from what is known about it to the next step.
//! - [`discovery`] finds the models of patterns, [`checks`] decides which call checks which models,
//!   and [`cadence`] when.
//! - [`starts`] finds who started the models, and [`tally`] collects the results.

mod accounts;
mod assignment;
mod cadence;
mod checks;
mod discovery;
mod model;
mod plan;
mod scope;
mod scopes;
mod starts;
mod tally;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::time::{Instant, sleep_until};

use crate::arn::{AccountId, ModelPattern, Target};
use crate::aws::{Aws, Clients};
use crate::calls::error::CallError;
use crate::calls::operation::Service;
use crate::calls::queue::{CallId, Ended, Queue};
use crate::calls::response::Response;
use crate::error::Error;
use crate::report::{Failure, Report};
use accounts::{AccountList, FoundAccount};
pub(crate) use assignment::Assignment;
use assignment::{NamedModel, Pattern, ScopeKey, Targets};
pub use plan::{Plan, PlannedRun};
use scopes::Scopes;
use tally::Tally;

/// The time that one line of the report takes, with the share of a processor that comes with the
/// smallest memory: most of it goes into the line in the log. A failed lookup takes 0.9 ms there,
/// with what has to be given up for it, and a model a tenth of that. `cargo bench -- late` fails if
/// that is too little.
const TIME_PER_LINE: Duration = Duration::from_micros(1250);
/// The time that everything else takes after the calls have ended.
const TIME_PER_RUN: Duration = Duration::from_secs(1);
/// The divisor for the largest part of a run that is kept for the report.
const LARGEST_SHARE: u32 = 3;
/// How long the report waits after the last outcome for who started the models.
const WAIT_FOR_STARTS: Duration = Duration::from_secs(5);

/// One run.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    assignment: Assignment<'a>,
    clients: Clients,
    queue: Queue,
    accounts: AccountList<'a>,
    scopes: Scopes<'a>,
    tally: Tally<'a>,
    /// What a wildcard in the region can match.
    regions: Vec<Arc<str>>,
    goal: Goal,
    /// The accounts of a plan.
    planned: Vec<AccountId>,
    /// When it began, and when Lambda ends the invocation.
    begun: Instant,
    end: Instant,
    /// Since when nothing is left to do but to find who started the models.
    settled: Option<Instant>,
}

/// What is done with the accounts that wildcards match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// Their models are stopped.
    Stop,
    /// They are collected.
    Plan,
}

impl<'a> Run<'a> {
    /// Stops the models of all entries and reports on each: models at the first entry that is their
    /// own ARN, or else at the first pattern that found them; those of a pattern in the order of
    /// their ARNs, followed by the lookups of that pattern that failed. Each outcome is logged as
    /// soon as it is known.
    pub(crate) async fn run(assignment: Assignment<'a>, aws: &Aws, end: Instant) -> Report {
        let mut run = Self::new(assignment, aws, Goal::Stop, end);
        run.add_entries();
        run.make_calls().await;
        run.end()
    }

    /// Splits a run into as few parts as possible, each with at most this many accounts. No model
    /// is checked or stopped.
    ///
    /// # Errors
    /// Accounts that could not be listed, and a plan that is too large for Step Functions.
    pub(crate) async fn plan(
        assignment: Assignment<'a>,
        accounts_per_run: usize,
        aws: &Aws,
        end: Instant,
    ) -> Result<Plan, Error> {
        let mut run = Self::new(assignment, aws, Goal::Plan, end);
        run.accounts.begin(&mut run.queue);
        run.make_calls().await;
        run.give_up(Instant::now());
        match run.accounts.end() {
            Some(unlisted) => Err(Error::NotPlanned(format!(
                "the accounts of the organization could not be listed: {}",
                unlisted.failure
            ))),
            None => plan::plan(&assignment, run.planned, accounts_per_run),
        }
    }

    /// A run without anything to do yet.
    fn new(assignment: Assignment<'a>, aws: &Aws, goal: Goal, end: Instant) -> Self {
        let settings = assignment.settings;
        let queue = Queue::new(settings.max_concurrency, fastrand::Rng::new());
        let regions = settings.regions.iter();
        Self {
            assignment,
            clients: aws.clients(),
            accounts: AccountList::new(assignment),
            queue,
            scopes: Scopes::new(assignment),
            tally: Tally::new(assignment.request_id),
            regions: regions.map(|region| Arc::from(&**region)).collect(),
            goal,
            planned: Vec::new(),
            begun: Instant::now(),
            end,
            settled: None,
        }
    }

    /// Adds the scopes of all entries, and the first calls for them.
    fn add_entries(&mut self) {
        let mut literal: BTreeMap<ScopeKey, Targets> = BTreeMap::new();
        for (entry, written) in self.assignment.entries() {
            match self.assignment.target(written) {
                Ok(Target::Pattern(pattern)) => {
                    let pattern = Pattern { entry, pattern };
                    self.tally.note_pattern(pattern);
                    if let Some(account) = pattern.pattern.account() {
                        for key in scopes_of(pattern.pattern, account, &self.regions) {
                            literal.entry(key).or_default().patterns.push(pattern);
                        }
                    }
                }
                Ok(Target::Model(model_arn)) => {
                    let targets = literal.entry(ScopeKey::of_model(model_arn)).or_default();
                    targets.models.push(NamedModel {
                        entry,
                        model_arn: model_arn.clone(),
                    });
                }
                Err(invalid) => self.tally.invalid(entry, &written.text, &invalid),
            }
        }
        self.accounts.begin(&mut self.queue);
        let (is_complete, now) = (self.accounts.is_complete(), Instant::now());
        for (key, targets) in literal {
            match is_complete {
                true => {
                    self.scopes.add(key, targets, &mut self.queue, now);
                }
                false => self
                    .scopes
                    .add_extensible(key, targets, &mut self.queue, now),
            }
        }
    }

    /// Makes all calls, until there are none left to make or the report is due.
    async fn make_calls(&mut self) {
        let mut in_flight = FuturesUnordered::new();
        while !self.is_done() {
            let (now, due) = (Instant::now(), self.due());
            for scope in self.queue.fire(now) {
                self.scopes.wake(scope, &mut self.queue, now, due);
            }
            loop {
                while let Some(call) = self.queue.next(now, due) {
                    let attempt = self.clients.attempt(call.scope, call.request, call.token);
                    in_flight.push(attempt.map(move |result| (call.id, result)));
                }
                if !self.begin_scope(now) {
                    break;
                }
            }
            let next = self.queue.due().unwrap_or(due);
            tokio::select! {
                biased;
                () = sleep_until(due) => break,
                Some((call, result)) = in_flight.next() => self.take(call, result),
                () = sleep_until(next) => {}
            }
        }
    }

    fn is_done(&self) -> bool {
        self.accounts.is_complete() && self.scopes.are_done()
    }

    /// When the report is due: so long before the invocation ends that what still needs a line can
    /// have one.
    fn due(&self) -> Instant {
        let lines = self.scopes.lines() + self.accounts.lines();
        let lines = TIME_PER_LINE.saturating_mul(u32::try_from(lines).unwrap_or(u32::MAX));
        let most = self.end.saturating_duration_since(self.begun) / LARGEST_SHARE;
        let due = self.end - TIME_PER_RUN.saturating_add(lines).min(most);
        self.settled.map_or(due, |at| due.min(at + WAIT_FOR_STARTS))
    }

    /// Begins the next scope, if its calls could be made. Returns whether it has.
    fn begin_scope(&mut self, now: Instant) -> bool {
        let Some(opened) = self.scopes.begin_next(&mut self.queue, now) else {
            return false;
        };
        self.clients.open(opened.id, opened.region, opened.session);
        true
    }

    /// Handles the end of an attempt.
    fn take(&mut self, id: CallId, result: Result<Response, CallError>) {
        let now = Instant::now();
        let step = match self.queue.ended(id, result, now) {
            Some(Ended::Step(step)) => step,
            Some(Ended::Retried(retried)) => {
                tracing::debug!(
                    requestId = self.assignment.request_id,
                    operation = retried.operation.name(),
                    subject = retried.subject,
                    attempt = retried.attempts,
                    reason = retried.reason,
                    "retry"
                );
                return;
            }
            None => return,
        };
        match step.request.operation().service() {
            Service::Organizations => {
                let found = self.accounts.take(step, &mut self.queue);
                self.take_accounts(found, now);
                if self.accounts.is_complete() {
                    self.scopes.close(now);
                }
            }
            Service::Sts | Service::Rekognition | Service::CloudTrail => {
                self.scopes.take(step, &mut self.queue, now);
            }
        }
        self.note_ended();
        if self.accounts.is_complete() && self.scopes.are_settled() {
            self.settled.get_or_insert(now);
        }
    }

    fn take_accounts(&mut self, found: Vec<FoundAccount<'a>>, now: Instant) {
        for FoundAccount { id, patterns } in found {
            if self.goal == Goal::Plan {
                self.planned.push(id);
                continue;
            }
            let mut of_scopes: BTreeMap<ScopeKey, Vec<Pattern>> = BTreeMap::new();
            for pattern in patterns {
                for key in scopes_of(pattern.pattern, id.as_str(), &self.regions) {
                    of_scopes.entry(key).or_default().push(pattern);
                }
            }
            for (key, patterns) in of_scopes {
                self.scopes.extend(key, patterns, &mut self.queue, now);
            }
        }
    }

    /// Notes the results of the scopes that have ended.
    fn note_ended(&mut self) {
        for ended in self.scopes.take_ended() {
            self.queue.close(ended.id);
            self.clients.close(ended.id);
            self.tally.add(ended);
        }
    }

    /// Gives up what has not ended, and reports.
    fn end(mut self) -> Report {
        let now = Instant::now();
        self.give_up(now);
        self.scopes.end(now);
        self.note_ended();
        if let Some(unlisted) = self.accounts.end() {
            for pattern in unlisted.patterns {
                self.tally.fail_list(pattern, &unlisted.failure);
            }
        }
        let accounts = self.scopes.accounts();
        let reports = self.tally.into_reports(self.assignment.accounts.is_some());
        Report::new(
            reports.models,
            reports.lookups,
            reports.unmatched_patterns,
            accounts,
            self.assignment.dry_run,
            self.assignment.settings.inference_unit_hour_price,
        )
    }

    /// Gives up all calls that are not over.
    fn give_up(&mut self, now: Instant) {
        for call in self.queue.drain() {
            match call.request.operation().service() {
                Service::Organizations => {
                    let failure = Failure::out_of_time(call.last_failure);
                    self.accounts.fail(&call.request, failure);
                }
                Service::Sts | Service::Rekognition | Service::CloudTrail => {
                    self.scopes.give_up(call, now)
                }
            }
        }
    }
}

/// The scopes of a pattern in an account: one for each region that it matches.
fn scopes_of(pattern: &ModelPattern, account: &str, regions: &[Arc<str>]) -> Vec<ScopeKey> {
    let (partition, account): (Arc<str>, Arc<str>) = (pattern.partition().into(), account.into());
    let scope = |region: Arc<str>| ScopeKey {
        partition: Arc::clone(&partition),
        account: Arc::clone(&account),
        region,
    };
    match pattern.region() {
        Some(region) => vec![scope(region.into())],
        None => {
            let regions = regions.iter();
            let regions = regions.filter(|region| pattern.matches_region(region));
            regions.map(|region| scope(Arc::clone(region))).collect()
        }
    }
}
