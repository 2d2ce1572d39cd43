//! What could be stopped in the available time was stopped; and what is exempt was kept.
//!
//! This is only required if it is beyond doubt: nothing permanently blocks the model's calls, and
//! there is far more time than they take, even after the last time that someone else touched it.

use std::time::Duration;

use super::night::Model;
use super::view::{Phase, View, phase};
use super::wanted::Kind;

/// The longest pause between two polls of a model, plus the call.
pub const LOOK: Duration = Duration::from_secs(35);
/// The codes of failures that more time would have avoided.
const OUT_OF_TIME: [&str; 3] = ["StillStarting", "NotConfirmed", "DeadlineExceeded"];

pub fn check(view: &View, wrong: &mut Vec<String>) {
    for model in &view.night.models {
        let row = view.row(&model.arn);
        let found = row.map(|row| match &*row.code {
            "" => &*row.outcome,
            code => code,
        });
        if view.wanted.asks_for(&model.arn) && is_due(view, model) {
            let right = right(view, model);
            if !right.contains(&found) {
                let message = row.map_or("", |row| &row.message);
                wrong.push(format!(
                    "{} is reported as {found:?} ({message}) and should be {right:?}",
                    model.arn
                ));
            }
        }
        if let Some(code) = found
            && OUT_OF_TIME.contains(&code)
            && view.is_restless(model)
            && is_due_again(view, model)
        {
            let model_arn = &model.arn;
            wrong.push(format!(
                "{model_arn} was started or stopped by someone else, and there was time to see it \
                 stopped after that; it is reported as {code}"
            ));
        }
    }
    for (text, kind) in &view.wanted.entries {
        let region = text.split(':').nth(3).unwrap_or_default();
        if *kind == Kind::Pattern
            && view.row(text).is_some()
            && !view.run.weather.bars_lists()
            && is_enough(view, region, Duration::ZERO)
        {
            wrong.push(format!("the pattern `{text}` could have been looked up"));
        }
    }
}

/// Whether nothing and no one keeps the program from dealing with the model as it should.
fn is_due(view: &View, model: &Model) -> bool {
    let mut takes = Duration::ZERO;
    if view.run.before[&model.arn] == "STARTING" {
        takes += model.start_takes + LOOK;
    }
    if view.night.settings.confirm_stopped {
        takes += model.stop_takes + LOOK;
    }
    !view.is_restless(model)
        && !view.run.weather.bars(model)
        && is_enough(view, model.region, takes)
}

/// The same, if someone else has touched the model, for the time after that.
fn is_due_again(view: &View, model: &Model) -> bool {
    let (begun, ended) = (view.run.since, view.run.since + view.run.time);
    let changes = model.becomes.iter().map(|(after, _)| *after);
    let last = changes
        .filter(|after| (begun..=ended).contains(after))
        .max();
    let takes = model.start_takes + LOOK + model.stop_takes + LOOK;
    let passed = last.unwrap_or_default().saturating_sub(begun);
    !view.run.weather.bars(model) && is_enough(view, model.region, passed + takes)
}

/// Whether the run has this much time, in addition to that of its calls.
fn is_enough(view: &View, region: &str, takes: Duration) -> bool {
    let calls = view.run.weather.calls_take(view.night, region);
    calls.is_some_and(|calls| calls + takes < view.run.time * 4 / 5)
}

/// What the report should say about the model: an outcome, a code, or nothing.
pub fn right(view: &View, model: &Model) -> Vec<Option<&'static str>> {
    let before = &*view.run.before[&model.arn];
    let is_named = view.wanted.names(&model.arn);
    let is_kept = !is_named && view.night.is_exempt(model);
    let mut right = match phase(before) {
        Phase::NotRunning if is_named => vec![Some("already_stopped")],
        Phase::NotRunning => vec![None],
        _ if is_kept => vec![Some("kept")],
        Phase::Unknown => vec![Some("UnexpectedStatus")],
        Phase::Billed if view.night.dry_run => vec![Some("would_stop")],
        Phase::Billed if view.night.settings.confirm_stopped => vec![Some("stopped")],
        Phase::Billed => vec![Some("stopping")],
    };
    // If the response to a stop was lost, or cannot be read, it is open who stopped the model. A
    // model that is being stopped may be seen before or after it has stopped.
    let is_stopped = ["already_stopped", "stopped", "stopping"].map(Some);
    let is_open = before == "STOPPING" || !view.run.weather.faults.is_empty();
    if is_open && right.iter().any(|it| is_stopped.contains(it)) {
        right.extend(is_stopped);
    }
    if before == "STOPPING" {
        right.push(is_named.then_some("already_stopped"));
    }
    right
}
