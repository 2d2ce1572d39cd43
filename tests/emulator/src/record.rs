//! What happened: every call with its response, and how many were in flight at once.

use std::collections::HashMap;
use std::fmt;
use std::io::Write;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::operation::{Operation, Service};
use crate::request;

/// A call, as it came in, and its response.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it came in.
    pub at: Instant,
    /// The operation; [`Operation::Unknown`] for any that the emulator does not have.
    pub operation: Operation,
    /// The region of the signature; empty if there was none.
    pub region: String,
    /// The access key of the signature; empty if there was none.
    pub access_key: String,
    /// The account that the call acts as: that of its session, or the emulator's.
    pub account: String,
    /// The ARN that the call acts as, which is a role's session.
    pub identity: String,
    /// The model's, project's or role's ARN, or the parent's ID; for DescribeProjects the names in
    /// `ProjectNames`.
    pub resources: Vec<String>,
    /// The body; [`Value::Null`] if it was not JSON. A form is an object of strings.
    pub body: Value,
    /// The response.
    pub answer: Answer,
    /// When it was no longer in flight: it had its response, or the client gave up.
    pub ended: Option<Instant>,
}

/// The response to a call, in a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing yet: the call is in flight.
    Pending,
    /// The operation's normal response.
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
    in_flight_to: HashMap<Service, usize>,
    /// A line of JSON is written to it for each call, when it ends.
    pub(crate) file: Option<Box<dyn Write + Send>>,
}

impl Record {
    /// Notes a call that came in; the number is its place among the calls.
    pub(crate) fn arrived(&mut self, call: Call) -> usize {
        let in_flight = self.in_flight_to.entry(call.operation.service());
        *in_flight.or_default() += 1;
        self.calls.push(call);
        self.calls.len() - 1
    }

    /// Notes the response to a call.
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
        call.ended = Some(Instant::now());
        let in_flight = self.in_flight_to.entry(call.operation.service());
        *in_flight.or_default() -= 1;
        if let Some(file) = &mut self.file {
            let line = json!({
                "operation": call.operation.name(),
                "action": call.operation.action(),
                "resources": [request::policy_resource(call.operation, &call.resources)],
                "region": call.region,
                "access_key": call.access_key,
                "account": call.account,
                "answer": call.answer.to_string(),
            });
            // A record that cannot be written must not change what the client sees.
            let _ = writeln!(file, "{line}").and_then(|()| file.flush());
        }
    }

    /// How many calls to a service are in flight.
    pub(crate) fn in_flight_to(&self, service: Service) -> usize {
        self.in_flight_to.get(&service).copied().unwrap_or_default()
    }
}
