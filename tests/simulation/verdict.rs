//! The verdict on a night: what is wrong, which is nothing if every promise was kept; and what it
//! has met.

use std::collections::BTreeSet;

use serde_json::Value;

use super::night::Night;
use super::run::{Run, live_through};
use super::view::View;
use super::{identity, limits, progress, report, starts, tally, truth};

pub fn of_night(night: &Night) -> (Vec<String>, BTreeSet<String>) {
    of_runs(night, &live_through(night))
}

/// The verdict on these runs of a night.
pub fn of_runs(night: &Night, runs: &[Run]) -> (Vec<String>, BTreeSet<String>) {
    let (mut wrong, mut met) = (Vec::new(), BTreeSet::new());
    for (number, run) in (1..).zip(runs) {
        let mut of_run = Vec::new();
        match View::new(night, run) {
            Ok(view) => {
                truth::check(&view, &mut of_run);
                limits::check(&view, &mut of_run);
                identity::check(&view, &mut of_run);
                report::check(&view, &mut of_run);
                progress::check(&view, &mut of_run);
                starts::check(&view, &mut of_run);
                met.extend(tally::met(&view));
            }
            Err(no_report) => of_run.push(no_report),
        }
        wrong.extend(of_run.iter().map(|it| format!("invocation {number}: {it}")));
    }
    identity::check_sessions(night, runs, &mut wrong);
    (wrong, met)
}

/// Everything that happens in a night, as lines.
pub fn record(night: &Night) -> Vec<String> {
    let mut lines = Vec::new();
    for run in live_through(night) {
        lines.extend(run.calls.iter().map(|call| {
            let (at, operation) = (call.at - run.begun, call.operation);
            format!(
                "{at:?} {} {} {operation} {} {}",
                call.account, call.region, call.body, call.answer
            )
        }));
        let report = View::new(night, &run).map(|view| view.report);
        let mut report = report.unwrap_or_default();
        let models = report["models"].as_array_mut();
        for row in models.into_iter().flatten().flat_map(Value::as_object_mut) {
            // The one thing in it that the true time decides.
            row.remove("started_at");
        }
        lines.push(format!("{:?} {report}", run.ended - run.begun));
    }
    lines
}
