//! The limits: time, concurrency, what may be called at all, what may be retried, and what may be
//! left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rekognition_emulator::{Answer, Call, Operation, Service};
use tokio::time::Instant;

use super::run::Left;
use super::view::View;
use super::weather::SIGNATURE;

/// No attempt begins with less time than this.
const LEAST_TIME: Duration = Duration::from_secs(1);
/// An attempt without a response is given up after this long.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// Refusals that are final.
const FINAL: [&str; 3] = [
    "AccessDeniedException",
    "InvalidParameterException",
    "ResourceNotFoundException",
];

pub fn check(view: &View, wrong: &mut Vec<String>) {
    time(view, wrong);
    turns(view, wrong);
    calls(view, wrong);
    leftovers(view, wrong);
}

/// The response comes before the deadline, and no call is waited for too long.
fn time(view: &View, wrong: &mut Vec<String>) {
    let (took, time) = (view.took(), view.run.time);
    if took >= time {
        wrong.push(format!("the response came after {took:?} of {time:?}"));
    }
    let wait = view.run.longest_wait;
    if wait > LONGEST_WAIT + Duration::from_millis(5) {
        wrong.push(format!("a response was waited for {wait:?}"));
    }
    let last = view.run.last_attempt.map(|last| last - view.run.begun);
    if last.is_some_and(|last| last + LEAST_TIME > time) {
        wrong.push(format!("the last attempt began after {last:?} of {time:?}"));
    }
}

/// What happens to a call, in the order in which it counts if it is at the same time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    /// It is no longer in flight, with a response or without.
    End {
        is_response: bool,
    },
    Beginning,
    /// There was no response.
    Silence,
}

/// No more calls are in flight than may be: of an operation in each account and region, to a
/// service, and in a region that does not respond. Accounts without a role respond in the same region.
fn turns(view: &View, wrong: &mut Vec<String>) {
    let mut moments: Vec<(Instant, Moment, &Call)> = Vec::new();
    for call in &view.run.calls {
        let is_response = !matches!(call.answer, Answer::GivenUp | Answer::Fault("hang"));
        let end = call.ended.unwrap_or(view.run.ended);
        moments.push((call.at, Moment::Beginning, call));
        moments.push((end, Moment::End { is_response }, call));
        if !is_response {
            moments.push((end, Moment::Silence, call));
        }
    }
    moments.sort_by_key(|(at, moment, _)| (*at, *moment));
    // How many accounts' limits a region has: without roles, all are called as one.
    let mut accounts: BTreeMap<&str, i64> = BTreeMap::new();
    for (_, region) in view.wanted.all_scopes() {
        *accounts.entry(region).or_default() += 1;
    }
    // Below zero for a moment, if calls end in the instant in which they begin.
    let mut in_flight: BTreeMap<String, i64> = BTreeMap::new();
    let mut broken: BTreeSet<String> = BTreeSet::new();
    let mut responded: BTreeMap<&str, Instant> = BTreeMap::new();
    for (at, moment, call) in moments {
        let region = &*call.region;
        let is_silent = !responded.contains_key(region);
        for (what, most) in limits_of(view, &accounts, call, is_silent) {
            let count = in_flight.entry(what.clone()).or_default();
            match moment {
                Moment::Beginning => *count += 1,
                Moment::End { .. } => *count -= 1,
                Moment::Silence => {}
            }
            if let Some(most) = most.filter(|most| moment == Moment::Beginning && *count > *most) {
                broken.insert(format!("{what}: more than {most} calls are in flight"));
            }
        }
        if call.operation.service() != Service::Rekognition {
            continue;
        }
        match moment {
            Moment::End { is_response: true } => {
                responded.insert(region, at);
            }
            // Not if there has been a response since it began.
            Moment::Silence if responded.get(region).is_some_and(|last| *last < call.at) => {
                responded.remove(region);
            }
            _ => {}
        }
    }
    wrong.extend(broken);
}

/// What a call counts towards, and the limit of that.
fn limits_of(
    view: &View,
    accounts: &BTreeMap<&str, i64>,
    call: &Call,
    is_silent: bool,
) -> Vec<(String, Option<i64>)> {
    let (account, region, operation) = (&call.account, &call.region, call.operation);
    let service = operation.service();
    if service != Service::Rekognition {
        return vec![(service.name().to_owned(), Some(16))];
    }
    let accounts = match view.night.has_roles() {
        true => 1,
        false => accounts.get(&**region).copied().unwrap_or(1),
    };
    let of_operation = i64::from(view.night.settings.max_concurrency.get()) * accounts;
    vec![
        (service.name().to_owned(), Some(128)),
        (
            format!("{operation} in {region} of {account}"),
            Some(of_operation),
        ),
        (
            format!("{region}, which does not respond"),
            is_silent.then_some(8),
        ),
    ]
}

/// Every call is allowed, and none is repeated that the service has refused for good.
fn calls(view: &View, wrong: &mut Vec<String>) {
    let mut refusals: BTreeMap<String, usize> = BTreeMap::new();
    for call in &view.run.calls {
        let (region, account) = (&call.region, &call.account);
        let what = format!("{region} {account} {} {}", call.operation, call.body);
        if let Err(why) = may_be_made(view, call) {
            wrong.push(format!("{what}: {why}"));
        }
        let refused = refusals.entry(what.clone()).or_default();
        if *refused > 2 * others_who_may_ask(view, call.operation) + 1 {
            wrong.push(format!("{what} is retried after it was refused for good"));
        }
        // A signature may be made anew, once.
        *refused += match &call.answer {
            Answer::Error(code) if FINAL.contains(&&**code) => 2,
            Answer::Error(code) if SIGNATURE.contains(&&**code) => 1,
            _ => 0,
        };
    }
}

/// Nothing outlives the invocation.
fn leftovers(view: &View, wrong: &mut Vec<String>) {
    let left = view.run.left;
    if left != Left::default() {
        wrong.push(format!("something is left behind: {left:?}"));
    }
}

/// How often a call may be made after a refusal: not for the same model or list, but a status check
/// covers many models, each of which may be checked again on its own.
fn others_who_may_ask(view: &View, operation: Operation) -> usize {
    match operation {
        Operation::StopProjectVersion | Operation::ListTagsForResource => 0,
        _ => view.night.models.len() + view.wanted.entries.len(),
    }
}

fn may_be_made(view: &View, call: &Call) -> Result<(), &'static str> {
    let of_another_region = |arn: &String| arn.split(':').nth(3) != Some(&call.region);
    match call.operation {
        Operation::Unknown => Err("the program has no such call"),
        Operation::DescribeProjects => Ok(()),
        Operation::LookupEvents => match view.night.history {
            Some(_) => Ok(()),
            None => Err("nobody asked for starts"),
        },
        operation if operation.service() != Service::Rekognition => match view.night.organization {
            Some(_) => Ok(()),
            None => Err("there is no other account"),
        },
        _ if call.resources.iter().any(of_another_region) => Err("it went to another region"),
        Operation::StopProjectVersion => may_be_stopped(view, &call.resources[0]),
        Operation::ListTagsForResource if view.night.settings.keep_running_tag.is_empty() => {
            Err("no tag is of interest")
        }
        _ => Ok(()),
    }
}

fn may_be_stopped(view: &View, arn: &str) -> Result<(), &'static str> {
    let is_exempt = (view.night.model(arn)).is_some_and(|model| view.night.is_exempt(model));
    if view.night.dry_run {
        Err("this is a dry run")
    } else if !view.wanted.asks_for(arn) {
        Err("it was not asked for")
    } else if is_exempt && !view.wanted.names(arn) {
        Err("its tag exempts it")
    } else {
        Ok(())
    }
}
