//! The limits: time, concurrency, what may be called at all, what may be retried, and what may be
//! left behind.

use std::collections::BTreeMap;
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
    silence(view, wrong);
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
    if let Some(last) = last.filter(|last| *last + LEAST_TIME > time) {
        wrong.push(format!("the last attempt began after {last:?} of {time:?}"));
    }
}

/// No more calls are in flight than may be: of an operation in each account and region, and to a
/// service.
fn turns(view: &View, wrong: &mut Vec<String>) {
    let scopes = view.wanted.all_scopes();
    let mut groups: BTreeMap<(String, usize), Vec<&Call>> = BTreeMap::new();
    for call in &view.run.calls {
        let (account, region, operation) = (&call.account, &call.region, call.operation);
        let service = operation.service();
        let is_rekognition = service == Service::Rekognition;
        let to_service = (
            service.name().to_owned(),
            if is_rekognition { 128 } else { 16 },
        );
        groups.entry(to_service).or_default().push(call);
        if is_rekognition {
            // Without roles, all accounts are called as one.
            let accounts = match view.night.has_roles() {
                true => 1,
                false => scopes
                    .iter()
                    .filter(|scope| scope.1 == region)
                    .count()
                    .max(1),
            };
            let most = view.night.settings.max_concurrency.get() as usize * accounts;
            let lane = format!("{operation} in {region} of {account}");
            groups.entry((lane, most)).or_default().push(call);
        }
    }
    for ((what, most), calls) in groups {
        let in_flight = most_in_flight(view, &calls);
        if in_flight > most {
            wrong.push(format!(
                "{what}: {in_flight} calls are in flight, of at most {most}"
            ));
        }
    }
}

/// How many of these calls are in flight at the same time.
fn most_in_flight(view: &View, calls: &[&Call]) -> usize {
    let begun = calls.iter().map(|call| (call.at, 1));
    let ended = calls.iter().map(|call| (end(view, call), -1));
    let mut moments: Vec<(Instant, i32)> = begun.chain(ended).collect();
    moments.sort();
    let in_flight = moments.iter().scan(0_i32, |count, (_, more)| {
        *count += more;
        Some(*count)
    });
    in_flight.max().unwrap_or_default().unsigned_abs() as usize
}

fn end(view: &View, call: &Call) -> Instant {
    call.ended.unwrap_or(view.run.ended)
}

/// In a region that has not responded yet, or not since an attempt there hung, no more than eight
/// calls are in flight.
fn silence(view: &View, wrong: &mut Vec<String>) {
    let mut regions: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    let calls = view.run.calls.iter();
    for call in calls.filter(|call| call.operation.service() == Service::Rekognition) {
        regions.entry(&call.region).or_default().push(call);
    }
    for (region, calls) in regions {
        let (hung, answered): (Vec<&Call>, Vec<&Call>) = calls
            .iter()
            .partition(|call| matches!(call.answer, Answer::GivenUp | Answer::Fault("hang")));
        let is_silent = |at: Instant| {
            let responses = answered.iter().map(|call| end(view, call));
            match responses.filter(|response| *response <= at).max() {
                Some(last) => hung.iter().any(|it| it.at > last && end(view, it) < at),
                None => true,
            }
        };
        let in_flight = |at: Instant| {
            let calls = calls.iter();
            calls
                .filter(|call| call.at <= at && at < end(view, call))
                .count()
        };
        if calls
            .iter()
            .any(|call| in_flight(call.at) > 8 && is_silent(call.at))
        {
            wrong.push(format!(
                "more than eight calls are in flight in {region}, which is silent"
            ));
        }
    }
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
