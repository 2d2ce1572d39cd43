//! The limits: time, concurrency, what may be called at all, what may be retried, and what may be
//! left behind.

use std::collections::BTreeMap;
use std::time::Duration;

use rekognition_emulator::{Answer, Call, Operation, Service};

use super::run::Left;
use super::view::View;

/// An attempt that is not answered is given up after this long.
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
    pauses(view, wrong);
    leftovers(view, wrong);
}

/// The answer comes before the deadline, and no call is waited for too long.
fn time(view: &View, wrong: &mut Vec<String>) {
    let (took, time) = (view.took(), view.run.time);
    if took >= time {
        wrong.push(format!("the answer came after {took:?} of {time:?}"));
    }
    let wait = view.run.longest_wait;
    if wait > LONGEST_WAIT + Duration::from_millis(5) {
        wrong.push(format!("an answer was waited for {wait:?}"));
    }
}

/// The limit applies to each account, and unknown accounts answer in the same region.
fn turns(view: &View, wrong: &mut Vec<String>) {
    let most = view.night.settings.max_concurrency.get() as usize;
    for ((account, region), calls) in &view.run.most_in_flight {
        let accounts = match &view.reach {
            Some(reach) if reach.has_roles() => 1,
            _ => view.wanted.accounts_in(region).len().max(1),
        };
        if *calls > most * accounts {
            wrong.push(format!(
                "{calls} calls were in flight in {region}, of {most} allowed in each of {accounts} \
                 accounts, as {account}"
            ));
        }
    }
    for (service, calls) in &view.run.most_in_flight_to {
        let most = match service {
            Service::Rekognition => 128,
            Service::Sts | Service::Organizations => 16,
        };
        if *calls > most {
            wrong.push(format!(
                "{calls} calls to {service:?} were in flight, of {most} allowed"
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
        if *refused > others_who_may_ask(view, call.operation) {
            wrong.push(format!("{what} is retried after {refused} refusals"));
        }
        if matches!(&call.answer, Answer::Error(code) if FINAL.contains(&&**code)) {
            *refused += 1;
        }
    }
}

/// A model that was refused twice as in use is given time before it is stopped again.
fn pauses(view: &View, wrong: &mut Vec<String>) {
    let mut stops: BTreeMap<&str, Vec<&Call>> = BTreeMap::new();
    let calls = view.run.calls.iter();
    for call in calls.filter(|call| call.operation == Operation::StopProjectVersion) {
        stops.entry(&call.resources[0]).or_default().push(call);
    }
    let in_use = Answer::Error("ResourceInUseException".to_owned());
    for (arn, calls) in stops {
        for three in calls.windows(3) {
            let pause = three[2].at - three[1].at;
            let refused = three[..2].iter().all(|call| call.answer == in_use);
            if refused && pause < Duration::from_secs(1) {
                wrong.push(format!(
                    "{arn} was refused twice as in use, and is stopped again after {pause:?}"
                ));
            }
        }
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
        Operation::StartProjectVersion | Operation::Unknown => Err("the program has no such call"),
        Operation::DescribeProjects => Ok(()),
        operation if operation.service() != Service::Rekognition => match view.reach {
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
