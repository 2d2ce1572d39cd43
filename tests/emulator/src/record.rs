//! What happened: every call with its answer, and how many were in flight at once.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::operation::Operation;
use crate::request;

/// A call, as it came in and as it was answered.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it came in.
    pub at: Instant,
    /// The operation; [`Operation::Unknown`] for any that the emulator does not have.
    pub operation: Operation,
    /// The region of the signature; empty where there was none.
    pub region: String,
    /// The access key of the signature; empty where there was none.
    pub access_key: String,
    /// The model's or project's ARN; for DescribeProjects the names in `ProjectNames`.
    pub resources: Vec<String>,
    /// The body; [`Value::Null`] where it was no JSON.
    pub body: Value,
    /// What was answered.
    pub answer: Answer,
}

impl Call {
    /// The resource that a policy has to name for this call: an ARN, or `*`.
    pub fn policy_resource(&self) -> String {
        request::policy_resource(self.operation, &self.resources)
    }

    /// The line of a record file.
    fn to_json(&self) -> Value {
        json!({
            "operation": self.operation.name(),
            "action": self.operation.action(),
            "resources": [self.policy_resource()],
            "region": self.region,
            "access_key": self.access_key,
            "answer": self.answer.to_string(),
        })
    }
}

/// What a call was answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet: the call is in flight.
    Pending,
    /// The operation's normal answer.
    Ok,
    /// An error of the service, with this code.
    Error(String),
    /// A fault of this kind: [`FaultKind::name`](crate::FaultKind::name).
    Fault(&'static str),
    /// Nothing: the client gave up first.
    GivenUp,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Pending => f.write_str("Pending"),
            Answer::Ok => f.write_str("Ok"),
            Answer::Error(code) => f.write_str(code),
            Answer::Fault(kind) => write!(f, "fault:{kind}"),
            Answer::GivenUp => f.write_str("GivenUp"),
        }
    }
}

/// A model that went to another status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// When it did.
    pub at: Instant,
    /// The model.
    pub arn: String,
    /// The status that it went to.
    pub status: String,
}

/// Every call so far.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) calls: Vec<Call>,
    pub(crate) connections: usize,
    in_flight: HashMap<String, InFlight>,
    file: Option<Box<dyn Write + Send>>,
}

#[derive(Debug, Default, Clone, Copy)]
struct InFlight {
    now: usize,
    max: usize,
}

impl Record {
    /// Writes a line of JSON to `file` for each call from now on, when it is answered.
    pub(crate) fn write_to(&mut self, file: Box<dyn Write + Send>) {
        self.file = Some(file);
    }

    /// Notes a call that came in; the number is its place among the calls.
    pub(crate) fn arrived(&mut self, call: Call) -> usize {
        let in_flight = self.in_flight.entry(call.region.clone()).or_default();
        in_flight.now += 1;
        in_flight.max = in_flight.max.max(in_flight.now);
        self.calls.push(call);
        self.calls.len() - 1
    }

    /// Notes what a call is being answered with.
    pub(crate) fn answered(&mut self, number: usize, answer: Answer) {
        if let Some(call) = self.calls.get_mut(number) {
            call.answer = answer;
        }
    }

    /// Notes that a call is no longer in flight.
    pub(crate) fn ended(&mut self, number: usize) {
        let Some(call) = self.calls.get_mut(number) else {
            return;
        };
        if call.answer == Answer::Pending {
            call.answer = Answer::GivenUp;
        }
        if let Some(in_flight) = self.in_flight.get_mut(&call.region) {
            in_flight.now = in_flight.now.saturating_sub(1);
        }
        if let Some(file) = &mut self.file {
            // A record that cannot be written must not change what the client sees.
            let _ = writeln!(file, "{}", call.to_json()).and_then(|()| file.flush());
        }
    }

    pub(crate) fn in_flight(&self, region: &str) -> usize {
        self.in_flight.get(region).map_or(0, |it| it.now)
    }

    pub(crate) fn max_in_flight(&self, region: &str) -> usize {
        self.in_flight.get(region).map_or(0, |it| it.max)
    }
}
