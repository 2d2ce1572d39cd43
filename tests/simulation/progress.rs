//! The program does what a plain client would have done, in at most a multiple of the time: it
//! stops as many models, reports as much, and looks up the same patterns.

use std::collections::BTreeMap;
use std::time::Duration;

use rekognition_emulator::Operation;

use super::night::{ACCOUNT, Model};
use super::view::{Phase, Row, View, phase};
use super::wanted::{account_of, is_wild, region_of};

/// How many times as long as a plain client the program may take for the same calls,
const FACTOR: u32 = 3;
/// and how much longer: as long as the longest pause before a retry.
const SLACK: Duration = Duration::from_secs(5);
/// The longest pause between two polls of a model, plus the call.
const LOOK: Duration = Duration::from_secs(35);
/// The codes of failures that more time would have avoided.
const OUT_OF_TIME: [&str; 3] = ["StillStarting", "NotConfirmed", "DeadlineExceeded"];

pub fn check(view: &View, wrong: &mut Vec<String>) {
    stops(view, wrong);
    rows(view, wrong);
    lookups(view, wrong);
}

/// The time after which the program has done in an account, and in a region or before that, what
/// takes a plain client this long; none if it may not have so much.
fn allowed(view: &View, account: &str, region: &str, plain: Duration) -> Option<Duration> {
    let gaps = view.run.weather.gaps(view.night.models.len());
    in_time(view, without_gaps(view, account, region, plain) + gaps)
}

/// The same without what the calls for all models may cost if they are throttled by chance.
fn without_gaps(view: &View, account: &str, region: &str, plain: Duration) -> Duration {
    let weather = &view.run.weather;
    // Under a quota it depends on the order in which account the role is assumed last.
    let is_entered = account != ACCOUNT && weather.own_quota(Operation::AssumeRole).is_some();
    let entered = &view.plain().entered;
    let last = entered.values().max().filter(|_| is_entered);
    let others = last.zip(entered.get(account));
    let others = others.map(|(last, own)| *last - *own);
    let by = (plain + others.unwrap_or_default()) * FACTOR + SLACK;
    by + weather.margin(view.night, region)
}

/// This time, unless it is so late that the run may end before it.
fn in_time(view: &View, by: Duration) -> Option<Duration> {
    (by < view.run.time * 4 / 5).then_some(by)
}

/// A stop, of which a plain client makes this many in this time.
#[derive(Debug)]
struct Due {
    /// Without the time that the models take.
    plain: Duration,
    by: Duration,
}

/// As many models of an account and region are stopped in time as a plain client stops. Not each
/// model in its time: that depends on the order of the calls.
fn stops(view: &View, wrong: &mut Vec<String>) {
    let mut scopes: BTreeMap<(&str, &str), Vec<&Model>> = BTreeMap::new();
    for model in view.night.models.iter().filter(|it| is_certain(view, it)) {
        let scope = (model.account(), model.region);
        scopes.entry(scope).or_default().push(model);
    }
    for ((account, region), models) in scopes {
        let dues = models.iter().filter_map(|model| due(view, model));
        let mut dues: Vec<Due> = dues.collect();
        dues.sort_by_key(|due| due.by);
        let stopped = models.iter().filter_map(|model| stopped(view, model));
        let mut stopped: Vec<Duration> = stopped.collect();
        stopped.sort();
        for (number, due) in dues.iter().enumerate() {
            let was = stopped.get(number);
            let by = in_time(view, due.by + view.run.weather.gaps(number + 1));
            if let Some(by) = by.filter(|by| was.is_none_or(|was| was > by)) {
                let was = was.map_or("never".to_owned(), |was| format!("after {was:?}"));
                let (number, of, plain) = (number + 1, dues.len(), due.plain);
                wrong.push(format!(
                    "stop {number} of {of} in {region} of {account} is accepted {was}, and was due \
                     after {by:?}: a plain client's is accepted after {plain:?}"
                ));
                return;
            }
        }
    }
}

/// Whether there is a stop that a plain client makes in time.
pub fn is_stop_due(view: &View) -> bool {
    let mut certain = view.night.models.iter().filter(|it| is_certain(view, it));
    certain.any(|model| due(view, model).is_some())
}

fn due(view: &View, model: &Model) -> Option<Due> {
    let plain = *view.plain().stopped.get(&model.arn)?;
    let own = match &*view.run.before[&model.arn] {
        "STARTING" => model.start_takes,
        _ => Duration::ZERO,
    };
    let plain = plain.saturating_sub(own);
    let look = if own.is_zero() { own } else { LOOK };
    let weather = &view.run.weather;
    let order = weather.order(view.night, Some(Operation::StopProjectVersion));
    let by = without_gaps(view, model.account(), model.region, plain) + order + own + look;
    in_time(view, by).map(|by| Due { plain, by })
}

/// When the service accepted the model's stop.
fn stopped(view: &View, model: &Model) -> Option<Duration> {
    let mut changes = view.run.changes.iter();
    let stopped = changes.find(|it| it.arn == model.arn && it.status == "STOPPING");
    stopped.map(|change| change.at - view.run.begun)
}

/// The report says what is true of each model that a plain client could have told.
fn rows(view: &View, wrong: &mut Vec<String>) {
    for model in &view.night.models {
        let row = view.row(&model.arn);
        let found = row.map(|row| match &*row.code {
            "" => &*row.outcome,
            code => code,
        });
        if is_certain(view, model) && is_told_in_time(view, &model.arn) {
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
            && is_due_again(view, model)
        {
            let model_arn = &model.arn;
            wrong.push(format!(
                "{model_arn} was started or stopped by someone else, and there was time to see it \
                 stopped after that; it is reported as {code}"
            ));
        }
    }
}

/// What a plain client could have looked up was looked up, and no account and region has waited
/// for another.
fn lookups(view: &View, wrong: &mut Vec<String>) {
    let (plain, weather) = (view.plain(), &view.run.weather);
    let is_late = |row: &Row| row.code == "DeadlineExceeded";
    let by = |plain: Option<Duration>, account: &str, region: &str| {
        plain.and_then(|plain| allowed(view, account, region, plain))
    };
    for (_, pattern) in view.wanted.patterns() {
        let is_late_list = is_wild(account_of(pattern)) && view.row(pattern).is_some_and(is_late);
        if is_late_list && by(plain.listed, ACCOUNT, "").is_some() {
            wrong.push(format!(
                "the accounts of `{pattern}` could have been listed"
            ));
        }
        for (account, region) in view.wanted.scopes(pattern) {
            let place = (pattern.to_owned(), account.to_owned(), region.to_owned());
            let mut failures = view.failures(pattern, account, region);
            let possible = match failures.find(|row| !is_wild(account_of(&row.model_arn))) {
                Some(row) if plain.refused.contains(account) => {
                    entered(view, pattern, account).filter(|_| is_late(row))
                }
                Some(_) if !weather.bars_lists(account, region) => {
                    plain.searched.get(&place).copied()
                }
                _ => None,
            };
            if by(possible, account, region).is_some() {
                wrong.push(format!(
                    "`{pattern}` could be looked up in {region} of {account}"
                ));
            }
            let caller = view.night.caller(account);
            let called = plain.called.get(&(caller.to_owned(), region.to_owned()));
            let called = called.zip(entered(view, pattern, account));
            let called = called.map(|(called, entered)| entered.max(*called));
            // One that hangs may wait for its own calls.
            let due = by(called, account, region).filter(|_| !weather.hangs(account, region));
            let was = first_list(view, caller, region);
            if let Some(due) = due.filter(|due| was.is_none_or(|was| was > *due)) {
                let was = was.map_or("never".to_owned(), |was| format!("after {was:?}"));
                wrong.push(format!(
                    "{region} of {account} is looked into {was} for `{pattern}`, and was due \
                     after {due:?}"
                ));
            }
        }
    }
}

/// When the program first lists the projects in a region of an account.
fn first_list(view: &View, account: &str, region: &str) -> Option<Duration> {
    let mut lists = view.run.calls.iter().filter(|call| {
        call.operation == Operation::DescribeProjects
            && call.account == account
            && call.region == region
    });
    lists.next().map(|call| call.at - view.run.begun)
}

/// When a plain client has assumed the role in an account for a pattern, or knows that it cannot.
fn entered(view: &View, pattern: &str, account: &str) -> Option<Duration> {
    let entered = *view.plain().entered.get(account)?;
    match is_wild(account_of(pattern)) {
        true => Some(entered.max(*view.plain().known.get(account)?)),
        false => Some(entered),
    }
}

/// Whether nobody touches the model in all the time of the run, and nothing but time can keep the
/// program from dealing with it as it should.
fn is_certain(view: &View, model: &Model) -> bool {
    let is_starting = view.run.before[&model.arn] == "STARTING";
    let weather = &view.run.weather;
    view.wanted.asks_for(&model.arn)
        && view.night.caller(model.account()) == model.account()
        && last_touch(view, model).is_none()
        && !weather.bars(model)
        && !(is_starting && weather.bars_looks())
}

/// When somebody else touches the model for the last time, since the run's beginning.
fn last_touch(view: &View, model: &Model) -> Option<Duration> {
    let changes = model.becomes.iter();
    let since = changes.filter_map(|(after, _)| after.checked_sub(view.run.since));
    since.filter(|after| *after <= view.run.time).max()
}

/// Whether there is time to tell what becomes of a model.
fn is_told_in_time(view: &View, arn: &str) -> bool {
    let (own, looks) = takes(view, arn);
    is_time_for(view, arn, own + looks)
}

/// Whether there is time to deal with the model after the last time that someone else touched it.
fn is_due_again(view: &View, model: &Model) -> bool {
    let takes = model.start_takes + model.stop_takes + 2 * LOOK;
    let touched = last_touch(view, model).filter(|_| !view.run.weather.bars(model));
    touched.is_some_and(|touched| is_time_for(view, &model.arn, touched + takes))
}

/// Whether the run has this much time in addition to that of the calls for a model, and for all
/// others of its account and region: it may be the last.
fn is_time_for(view: &View, arn: &str, takes_itself: Duration) -> bool {
    let told = &view.plain().told;
    let is_left_alone = |arn: &str| {
        let model = view.night.model(arn);
        model.is_none_or(|model| last_touch(view, model).is_none())
    };
    let calls = told.iter().filter(|(other, _)| {
        let is_near = account_of(other) == account_of(arn) && region_of(other) == region_of(arn);
        is_near && is_left_alone(other)
    });
    let calls = calls.map(|(other, at)| at.saturating_sub(takes(view, other).0));
    let calls = calls.max().unwrap_or_default();
    let by = allowed(view, account_of(arn), region_of(arn), calls);
    let takes_itself = takes_itself + view.run.weather.order(view.night, None);
    let by = by.and_then(|by| in_time(view, by + takes_itself));
    told.contains_key(arn) && by.is_some()
}

/// How long the model itself takes, and its polls.
fn takes(view: &View, arn: &str) -> (Duration, Duration) {
    let Some(model) = view.night.model(arn) else {
        return (Duration::ZERO, Duration::ZERO);
    };
    let (mut own, mut looks) = (Duration::ZERO, Duration::ZERO);
    let before = &*view.run.before[arn];
    if before == "STARTING" {
        own += model.start_takes;
        looks += LOOK;
    }
    if view.night.settings.confirm_stopped && phase(before) == Phase::Billed {
        own += model.stop_takes;
        looks += LOOK;
    }
    (own, looks)
}

/// What the report should say about the model: an outcome, a code, or nothing.
fn right(view: &View, model: &Model) -> Vec<Option<&'static str>> {
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
    // If the response to a stop was lost, or cannot be read, it is unknown who stopped the model. A
    // model that is being stopped may be seen before or after it has stopped.
    let is_stopped = ["already_stopped", "stopped", "stopping"].map(Some);
    let is_open = before == "STOPPING" || !view.run.weather.faults.is_empty();
    if is_open && right.iter().any(|it| is_stopped.contains(it)) {
        right.extend(is_stopped);
    }
    // The stop was made again, and there was nothing left to stop.
    if model.is_deleted_once_stopped && is_open {
        right.push(Some("ResourceNotFoundException"));
    }
    if before == "STOPPING" {
        right.push(is_named.then_some("already_stopped"));
    }
    right
}
