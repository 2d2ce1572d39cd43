//! Runs on a paused clock against an emulator in the same process, and when they did what.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use regex::Regex;
use rekognition_emulator::Emulator;
use rekognition_stopper::Handler;
use rekognition_stopper::handler::{Error, Response};
use rekognition_stopper::report::Report;
use serde_json::Value;
use tokio::time::Instant;

use super::{invocation, payload};

/// A run that has responded. Times are in seconds from its beginning.
#[derive(Debug)]
pub struct Run {
    pub report: Report,
    pub began: Instant,
    /// When it responded.
    pub took: f64,
    /// When each model's stop was accepted.
    pub stops: BTreeMap<String, f64>,
    /// The models that are running.
    pub left: Vec<String>,
}

impl Run {
    /// A run that has this much time. It is printed, and checked to tell of every model that the
    /// emulator has running: it has to be asked for all of them.
    pub async fn new(
        handler: &Handler,
        emulator: &Emulator,
        event: &Value,
        time: Duration,
    ) -> Self {
        let began = Instant::now();
        let response = handler.invoke(payload(event), invocation(time)).await;
        let took = began.elapsed().as_secs_f64();
        let report = match response {
            Ok(Response::Report(report)) | Err(Error::NotAllStopped(report)) => report,
            other => panic!("{other:?}"),
        };
        let mut stops = BTreeMap::new();
        for change in emulator.changes() {
            if change.status == "STOPPING" && change.at >= began {
                let seconds = (change.at - began).as_secs_f64();
                stops.entry(change.arn).or_insert(seconds);
            }
        }
        let statuses = emulator.statuses().into_iter();
        let left = statuses.filter(|(_, status)| status == "RUNNING");
        let run = Self {
            report,
            began,
            took,
            stops,
            left: left.map(|(arn, _)| arn).collect(),
        };
        println!("{run}");
        run.assert_told_truly();
        run
    }

    /// Asserts that each running model is reported, in its own line or by a lookup that failed, and
    /// that none of them is said to be stopped.
    fn assert_told_truly(&self) {
        let rows = self.report.models.iter();
        let names = rows.map(|row| (&*row.model_arn, row.outcome.name()));
        let own: BTreeMap<&str, &str> = names.collect();
        let lookups = self.report.lookups.iter();
        let patterns: Vec<Regex> = lookups.map(|it| wildcards(&it.pattern)).collect();
        for arn in &self.left {
            let is_told = match own.get(&**arn) {
                Some(outcome) => ["failed", "kept", "would_stop"].contains(outcome),
                None => patterns.iter().any(|pattern| pattern.is_match(arn)),
            };
            assert!(is_told, "{arn} is running, and nobody is told: {self}");
        }
    }

    /// When the last stop was accepted; after all time if there was none.
    pub fn last_stop(&self) -> f64 {
        let last = self.stops.values().copied().reduce(f64::max);
        last.unwrap_or(f64::INFINITY)
    }
}

/// A pattern as a regular expression: `*` is any run of characters, `?` any single one.
pub fn wildcards(pattern: &str) -> Regex {
    let pattern = regex::escape(pattern);
    let pattern = pattern.replace(r"\*", ".*").replace(r"\?", ".");
    Regex::new(&format!("^{pattern}$")).unwrap()
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stops, left) = (self.stops.len(), self.left.len());
        let (took, last) = (self.took, self.last_stop());
        let failed = self.report.summary.failed + self.report.summary.failed_lookups;
        write!(
            f,
            "{stops} stops, the last after {last:.2} s, {left} models left, {failed} failed, \
             the response after {took:.2} s"
        )
    }
}
