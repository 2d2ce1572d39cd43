//! A run as the checks see it: the request, the response, and what the service knows.

use std::cell::OnceCell;
use std::time::Duration;

use rekognition_emulator::{Answer, Call, FaultKind, Operation, Service};
use rekognition_stopper::handler::Error;
use serde_json::Value;

use super::night::{Model, Night};
use super::plain::{self, Done};
use super::run::Run;
use super::wanted::{Wanted, account_of, is_wild, matches, region_of};

/// What a status means for the bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Running, starting or stopping.
    Billed,
    NotRunning,
    Unknown,
}

/// One row of the report: a model as it is in the response, or a failed lookup.
#[derive(Debug)]
pub struct Row {
    pub is_lookup: bool,
    /// Or the pattern that could not be looked up.
    pub model_arn: String,
    pub outcome: String,
    pub status: Option<String>,
    /// Of a failure; empty if there is none.
    pub code: String,
    pub message: String,
}

/// One run.
pub struct View<'a> {
    pub night: &'a Night,
    pub run: &'a Run,
    pub wanted: Wanted,
    pub report: Value,
    /// The models, and then the lookups that failed.
    pub rows: Vec<Row>,
    plain: OnceCell<Done>,
}

impl<'a> View<'a> {
    /// The run, if it has a response with a report.
    pub fn new(night: &'a Night, run: &'a Run) -> Result<Self, String> {
        let report = match &run.response {
            None => return Err("there is no response".to_owned()),
            Some(Ok(report) | Err(Error::NotAllStopped(report))) => report,
            Some(Err(error)) => return Err(format!("the response is {error:?}")),
        };
        let lookups = report.lookups.iter().map(|lookup| Row {
            is_lookup: true,
            model_arn: lookup.pattern.clone(),
            outcome: "failed".to_owned(),
            status: None,
            code: lookup.failure.code.as_str().to_owned(),
            message: lookup.failure.message.clone(),
        });
        let report = serde_json::to_value(report).unwrap();
        let rows = report["models"].as_array().unwrap().iter().map(row);
        Ok(Self {
            night,
            run,
            wanted: Wanted::read(night),
            rows: rows.chain(lookups).collect(),
            report,
            plain: OnceCell::new(),
        })
    }

    /// What a plain client gets done in the same time.
    pub fn plain(&self) -> &Done {
        self.plain.get_or_init(|| plain::live_through(self))
    }

    pub fn row(&self, arn: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.model_arn == arn)
    }

    /// The failures of a pattern's lookup in an account and region.
    pub fn failures<'b>(
        &'b self,
        pattern: &'b str,
        account: &'b str,
        region: &'b str,
    ) -> impl Iterator<Item = &'b Row> {
        self.rows.iter().filter(move |row| {
            row.is_lookup
                && matches(account_of(&row.model_arn), account)
                && matches(region_of(&row.model_arn), region)
                && self.wanted.is_part(pattern, &row.model_arn)
        })
    }

    /// Whether the report says that a pattern was not looked up in an account and region.
    pub fn is_failed(&self, pattern: &str, account: &str, region: &str) -> bool {
        self.failures(pattern, account, region).next().is_some()
    }

    /// Whether all accounts are known that the request names, so that the others do not matter.
    pub fn may_list_less(&self) -> bool {
        let accounts = self.wanted.accounts.iter().flatten();
        let matched = accounts.filter(|account| {
            let mut patterns = self.wanted.account_patterns();
            patterns.any(|pattern| matches(account_of(pattern), account))
        });
        let named = self.night.accounts();
        named.is_some_and(|named| matched.count() == named.len())
    }

    /// Whether a call is one that a row may depend on: in its account and region, or for the list
    /// of accounts.
    pub fn is_about(&self, call: &Call, row: &Row) -> bool {
        let (account, region) = (account_of(&row.model_arn), region_of(&row.model_arn));
        match call.operation.service() {
            Service::Organizations => is_wild(account),
            Service::Rekognition => {
                matches(region, &call.region)
                    && (!self.night.has_roles() || matches(account, &call.account))
            }
            Service::Sts | Service::CloudTrail => false,
        }
    }

    /// The last status of a model that the service reported to the program.
    pub fn last_reported(&self, arn: &str) -> Option<&str> {
        let reported = self.run.reported.iter().rev();
        reported
            .filter(|reported| reported.model_arn == arn)
            .map(|reported| &*reported.status)
            .next()
    }

    /// Whether a model was gone, as far as the program could see: it was deleted once it had
    /// stopped, or its project was not found.
    pub fn is_gone(&self, model: &Model) -> bool {
        let project = model.project_arn_prefix();
        let not_found = Answer::Error("ResourceNotFoundException".to_owned());
        let is_not_found = |call: &Call| match call.operation {
            _ if call.answer != not_found => false,
            Operation::DescribeProjectVersions => call.resources[0].starts_with(&project),
            operation => operation == Operation::DescribeProjects,
        };
        let is_deleted = model.is_deleted_once_stopped && self.run.after[&model.arn] == "STOPPED";
        is_deleted || self.run.calls.iter().any(is_not_found)
    }

    /// The statuses that a model was in while the run lasted.
    pub fn statuses(&self, arn: &str) -> Vec<&str> {
        let changes = self.run.changes.iter();
        let changes = changes.filter(|change| change.arn == arn);
        self.run
            .before
            .get(arn)
            .into_iter()
            .map(String::as_str)
            .chain(changes.map(|change| &*change.status))
            .collect()
    }

    /// Whether a model changed on its own during the run.
    pub fn is_restless(&self, model: &Model) -> bool {
        let (begun, ended) = (self.run.since, self.run.since + self.took());
        let mut changes = model.becomes.iter();
        changes.any(|(after, _)| (begun..=ended).contains(after))
    }

    /// Whether responses about a model may have had a status other than its own.
    pub fn lies_about(&self, model: &Model) -> bool {
        let faults = self.run.weather.faults.iter();
        let lies = faults.filter(|trouble| matches!(trouble.kind, FaultKind::StatusOverride(_)));
        let on = |resource: &String| *resource == model.arn || *resource == model.project;
        lies.into_iter()
            .any(|lie| lie.resource.as_ref().is_none_or(on))
    }

    /// Whether the program had used up its time, except for what it reserves for the report: that
    /// is more the more lines there may be.
    pub fn is_out_of_time(&self) -> bool {
        let entries = self.wanted.entries.iter();
        let lookups: usize = entries
            .map(|(text, _)| self.wanted.scopes(text).len())
            .sum();
        let lines = (self.rows.len() + lookups) as u64;
        let kept = Duration::from_millis(1100 + 3 * lines).min(self.run.time / 3);
        self.took() + kept + Duration::from_millis(5) >= self.run.time
    }

    pub fn took(&self) -> Duration {
        self.run.ended - self.run.begun
    }
}

/// What a status means, according to the service's reference.
pub fn phase(status: &str) -> Phase {
    const NOT_RUNNING: [&str; 11] = [
        "TRAINING_IN_PROGRESS",
        "TRAINING_COMPLETED",
        "TRAINING_FAILED",
        "FAILED",
        "STOPPED",
        "DELETING",
        "COPYING_IN_PROGRESS",
        "COPYING_COMPLETED",
        "COPYING_FAILED",
        "DEPRECATED",
        "EXPIRED",
    ];
    match status {
        "STARTING" | "RUNNING" | "STOPPING" => Phase::Billed,
        _ if NOT_RUNNING.contains(&status) => Phase::NotRunning,
        _ => Phase::Unknown,
    }
}

fn row(model: &Value) -> Row {
    let text = |field: &str| model[field].as_str().map(str::to_owned);
    Row {
        is_lookup: false,
        model_arn: text("model_arn").unwrap(),
        outcome: text("outcome").unwrap(),
        status: text("status"),
        code: text("code").unwrap_or_default(),
        message: text("error").unwrap_or_default(),
    }
}
