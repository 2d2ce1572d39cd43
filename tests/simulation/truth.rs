//! No outcome is false: each is checked against what the service last reported to the program, and
//! against the facts.

use rekognition_emulator::Operation;

use super::night::Model;
use super::view::{Phase, Row, View, phase};
use super::wanted::{Kind, account_of, region_of};
use super::weather::{ROLE_REFUSED, SIGNATURE};

pub fn check(view: &View, wrong: &mut Vec<String>) {
    for row in &view.rows {
        if let Err(why) = row_is_true(view, row) {
            let reported = view.last_reported(&row.model_arn);
            let (model_arn, outcome, code) = (&row.model_arn, &row.outcome, &row.code);
            let statuses = view.statuses(model_arn);
            wrong.push(format!(
                "{model_arn} is called {outcome} {code}, and {why} (last reported: {reported:?}, \
                 status: {:?}, in truth: {statuses:?})",
                row.status
            ));
        }
    }
}

fn row_is_true(view: &View, row: &Row) -> Result<(), &'static str> {
    let model = view.night.model(&row.model_arn);
    let was_reported = |status: &String| {
        let mut reported = view.run.reported.iter();
        reported.any(|reported| reported.model_arn == row.model_arn && reported.status == *status)
    };
    if !row.status.iter().all(was_reported) {
        return Err("the service did not say so");
    }
    match (&*row.outcome, model) {
        ("failed", _) => failure_is_true(view, row),
        (_, None) => Err("it does not exist"),
        ("stopped" | "already_stopped", Some(model)) => not_running(view, model, row),
        ("stopping", Some(model)) => stopping(view, model, row),
        ("kept", Some(model)) => kept(view, model, row),
        ("would_stop", _) if !view.night.dry_run => Err("this is no dry run"),
        ("would_stop", _) if row.status.as_deref().map(phase) != Some(Phase::Billed) => {
            Err("nothing said that it is billed")
        }
        ("would_stop", _) => Ok(()),
        _ => Err("there is no such outcome"),
    }
}

fn not_running(view: &View, model: &Model, row: &Row) -> Result<(), &'static str> {
    // What someone else did to a model may be reported after its outcome is final, and so may a
    // lie.
    let last = match view.is_restless(model) || view.lies_about(model) {
        true => row.status.as_deref(),
        false => view.last_reported(&model.arn),
    };
    // Only what is not running can be deleted.
    let is_gone = row.outcome == "stopped" && view.is_gone(model);
    if last.map(phase) != Some(Phase::NotRunning) && !is_gone {
        return Err("the service did not say last that it is not running");
    }
    let is_running = phase(&view.run.after[&model.arn]) == Phase::Billed;
    if is_running && !view.is_restless(model) && !view.lies_about(model) && !is_gone {
        return Err("it is billed");
    }
    Ok(())
}

fn stopping(view: &View, model: &Model, row: &Row) -> Result<(), &'static str> {
    if view.night.settings.confirm_stopped {
        return Err("stops are to be confirmed");
    }
    if row.status.as_deref() != Some("STOPPING") {
        return Err("the service did not say that it is stopping");
    }
    let is_running = matches!(&*view.run.after[&model.arn], "STARTING" | "RUNNING");
    if is_running && !view.is_restless(model) && !view.lies_about(model) {
        return Err("it is not");
    }
    Ok(())
}

fn kept(view: &View, model: &Model, row: &Row) -> Result<(), &'static str> {
    if view.wanted.names(&model.arn) {
        Err("it is named by its own ARN")
    } else if !view.night.is_exempt(model) {
        Err("its tag does not exempt it")
    } else if (row.status.as_deref().map(phase)).is_none_or(|phase| phase == Phase::NotRunning) {
        Err("nothing said that it is billed")
    } else {
        Ok(())
    }
}

/// Whether a model exists, and in an account that the calls can act as.
fn is_seen(view: &View, arn: &str) -> bool {
    let account = account_of(arn);
    view.night.model(arn).is_some() && view.night.caller(account) == account
}

/// Whether STS refused the role of the row's account, which is one failure of an entry, whatever
/// the number of regions.
fn is_unreachable(view: &View, row: &Row) -> bool {
    let account = account_of(&row.model_arn);
    let refusals = [ROLE_REFUSED, SIGNATURE].concat();
    let mut calls = view.run.calls.iter().filter(|call| {
        call.operation == Operation::AssumeRole && account_of(&call.resources[0]) == account
    });
    let is_whole = |pattern: &str| {
        view.wanted.is_part(pattern, &row.model_arn)
            && region_of(pattern) == region_of(&row.model_arn)
    };
    calls.any(|call| refusals.contains(&&*call.answer.to_string()))
        && (!row.is_lookup || view.wanted.patterns().any(|(_, pattern)| is_whole(pattern)))
}

fn failure_is_true(view: &View, row: &Row) -> Result<(), &'static str> {
    let entry = view
        .wanted
        .entries
        .iter()
        .find(|(text, _)| *text == row.model_arn);
    let model = view.night.model(&row.model_arn);
    let out_of_time = view.is_out_of_time();
    let status = row.status.as_deref();
    let right = match &*row.code {
        "InvalidModelArn" => entry.is_some_and(|(_, kind)| *kind == Kind::Invalid),
        "StillStarting" => status == Some("STARTING") && out_of_time,
        "NotConfirmed" => status.is_none_or(|status| status == "STOPPING") && out_of_time,
        // Models that were starting or stopping have their own codes, unless it was unknown whether
        // to stop them.
        "DeadlineExceeded" if row.message.starts_with("its tags ") => out_of_time,
        "DeadlineExceeded" => out_of_time && !matches!(status, Some("STARTING" | "STOPPING")),
        "UnexpectedStatus" => status.map(phase) == Some(Phase::Unknown),
        "AccountUnreachable" => is_unreachable(view, row),
        "UnexpectedAnswer" => !view.run.weather.faults.is_empty(),
        "ResourceNotFoundException" if !is_seen(view, &row.model_arn) => true,
        "ResourceNotFoundException" if model.is_some_and(|model| view.is_gone(model)) => true,
        code => {
            let mut calls = view
                .run
                .calls
                .iter()
                .filter(|call| view.is_about(call, row));
            calls.any(|call| call.answer.to_string() == code)
        }
    };
    match right {
        true => Ok(()),
        false => Err("there is no reason for that"),
    }
}
