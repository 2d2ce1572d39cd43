//! The verdict on a night: nothing, if every promise was kept.

use std::panic::{self, AssertUnwindSafe};

use serde_json::Value;

use super::night::Night;
use super::organization::{oracle, sessions};
use super::run::{Run, live_through};
use super::view::View;
use super::{accounts, limits, progress, starts, truth};

/// The promises that are broken in a night.
pub fn of_night(night: impl FnOnce() -> Night) -> Vec<String> {
    or_panic(|| {
        let mut night = night();
        let runs = live_through(&night);
        let mut wrong = of_runs(&night, &runs);
        if let Some(history) = night.history.take() {
            let without = live_through(&night);
            night.history = Some(history);
            starts::compare(&night, &runs, &without, &mut wrong);
        }
        wrong
    })
}

/// The promises that these runs of a night break.
pub fn of_runs(night: &Night, runs: &[Run]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (number, run) in (1..).zip(runs) {
        let mut of_run = Vec::new();
        match View::new(night, run) {
            Ok(view) => {
                truth::check(&view, &mut of_run);
                limits::check(&view, &mut of_run);
                if let Some(history) = &night.history {
                    starts::check(&view, history, &mut of_run);
                }
                progress::check(&view, &mut of_run);
                match &view.reach {
                    Some(reach) => oracle::check(&view, reach, &mut of_run),
                    None => accounts::check(&view, &mut of_run),
                }
            }
            Err(no_report) => of_run.push(no_report),
        }
        wrong.extend(of_run.iter().map(|it| format!("invocation {number}: {it}")));
    }
    sessions::check(night, runs, &mut wrong);
    wrong
}

/// Whether the same seed gives the same night again, call by call.
pub fn of_repetition(night: impl Fn() -> Night) -> Vec<String> {
    or_panic(|| {
        let (first, second) = (record(&night()), record(&night()));
        let same = first
            .iter()
            .zip(&second)
            .take_while(|(one, other)| one == other);
        match (same.count(), first.len().max(second.len())) {
            (same, all) if same == all => Vec::new(),
            (same, _) => vec![format!(
                "the second time it is {:?}, and the first time it was {:?}",
                second.get(same),
                first.get(same)
            )],
        }
    })
}

/// Everything that happens in a night, as lines.
fn record(night: &Night) -> Vec<String> {
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

fn or_panic(judge: impl FnOnce() -> Vec<String>) -> Vec<String> {
    panic::catch_unwind(AssertUnwindSafe(judge))
        .unwrap_or_else(|_| vec!["it panicked; see above".to_owned()])
}
