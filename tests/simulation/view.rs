//! A run as the checks see it: the request, the answer, and what the service knows.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Duration;

use rekognition_emulator::{Answer, Call, FaultKind, Operation};
use rekognition_stopper::handler::Error;
use rekognition_stopper::report::Report;
use serde_json::Value;

use super::night::{Model, Night};
use super::organization::reach::Reach;
use super::plain::{self, Done};
use super::run::Run;
use super::wanted::{Kind, Places, Wanted, account_of, is_wild};

/// What a status means for the bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Running, starting or stopping.
    Billed,
    NotRunning,
    Unknown,
}

/// One row of the report: a model as it is in the answer, or a failed lookup.
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
    /// Which of the other accounts can be reached, if it is a night over an organization.
    pub reach: Option<Reach<'a>>,
    pub report: Value,
    /// The models, and then the lookups that failed.
    pub rows: Vec<Row>,
    plain: OnceCell<Done>,
}

impl<'a> View<'a> {
    /// The run, if it has an answer with a report.
    pub fn new(night: &'a Night, run: &'a Run) -> Result<Self, String> {
        let (report, lookups) = match &run.answer {
            None => return Err("there is no answer".to_owned()),
            Some(Ok(report) | Err(Error::NotAllStopped(report))) => (json(report), &report.lookups),
            Some(Err(error)) => return Err(format!("the answer is {error:?}")),
        };
        let lookups = lookups.iter().map(|lookup| Row {
            is_lookup: true,
            model_arn: lookup.pattern.clone(),
            outcome: "failed".to_owned(),
            status: None,
            code: lookup.failure.code.as_str().to_owned(),
            message: lookup.failure.message.clone(),
        });
        let rows = report["models"].as_array().unwrap().iter().map(row);
        let rows = rows.chain(lookups);
        let organization = night.organization.as_ref();
        let reach = organization.map(|organization| Reach::new(night, organization, &run.weather));
        let places = reach.as_ref().map_or_else(Places::default, Reach::places);
        let wanted = Wanted::read(&night.list.items, places);
        Ok(Self {
            night,
            run,
            wanted: match night.accounts() {
                Some(_) => wanted.narrow(),
                None => wanted,
            },
            reach,
            rows: rows.collect(),
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

    /// The minimum and maximum number of accounts that may have been called.
    pub fn accounts(&self) -> RangeInclusive<usize> {
        let Some(reach) = &self.reach else {
            let accounts = self.wanted.accounts().len();
            return accounts..=accounts;
        };
        let called = |is_called: &dyn Fn(&str) -> bool| {
            let entries = self.wanted.entries.iter();
            let entries = entries.filter(|(text, kind)| *kind != Kind::Invalid && is_called(text));
            let scopes = entries.flat_map(|(text, _)| self.wanted.scopes(text));
            let accounts: BTreeSet<&str> = scopes.map(|(account, _)| account).collect();
            accounts.len()
        };
        let is_listed = reach.is_listed_in_time(self);
        called(&|text| is_listed || !is_wild(account_of(text)))..=called(&|_| true)
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

    /// Whether the program had used up its time, except for what it reserves for the report.
    pub fn is_out_of_time(&self) -> bool {
        let least = Duration::from_millis(1100 + 3 * self.rows.len() as u64);
        let least = least.min(self.run.time / 3);
        let kept = (self.run.time / 5).clamp(least, Duration::from_secs(10));
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

fn json(report: &Report) -> Value {
    serde_json::to_value(report).unwrap()
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
