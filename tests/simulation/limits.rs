//! The limits: time, concurrency, what may be called at all, what may be tried again, and what may be left behind.

use std::collections::BTreeSet;
use std::time::Duration;

use rekognition_emulator::{Answer, Call, Operation};

use super::view::View;

/// An attempt without an answer is given up after this long.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// What the service will not take back.
const FINAL: [&str; 3] = [
    "AccessDeniedException",
    "InvalidParameterException",
    "ResourceNotFoundException",
];

pub fn check(view: &View, wrong: &mut Vec<String>) {
    let run = view.run;
    if view.took() >= run.time {
        wrong.push(format!(
            "the answer came after {:?} of {:?}",
            view.took(),
            run.time
        ));
    }
    if run.longest_wait > LONGEST_WAIT + Duration::from_millis(5) {
        wrong.push(format!("an answer was waited for {:?}", run.longest_wait));
    }
    let most = view.night.settings.max_concurrency.get() as usize;
    for (region, calls) in &run.most_in_flight {
        if *calls > most {
            wrong.push(format!(
                "{calls} calls were in flight in {region}, of {most} allowed"
            ));
        }
    }
    if run.left_in_flight + run.left_tasks + run.later_calls > 0 {
        wrong.push(format!(
            "left behind: {} calls in flight, {} tasks, {} calls made later",
            run.left_in_flight, run.left_tasks, run.later_calls
        ));
    }

    let mut refused = BTreeSet::new();
    for call in &run.calls {
        if let Err(why) = may_be_made(view, call) {
            wrong.push(format!("{} of {:?}: {why}", call.operation, call.resources));
        }
        let is_for_one = matches!(
            call.operation,
            Operation::StopProjectVersion | Operation::ListTagsForResource
        );
        let is_final = matches!(&call.answer, Answer::Error(code) if FINAL.contains(&&**code));
        if is_for_one && refused.contains(&(call.operation, &call.resources)) {
            let (operation, resources) = (call.operation, &call.resources);
            wrong.push(format!(
                "{operation} of {resources:?} was tried again after a refusal"
            ));
        }
        if is_for_one && is_final {
            refused.insert((call.operation, &call.resources));
        }
    }
}

fn may_be_made(view: &View, call: &Call) -> Result<(), &'static str> {
    let of_another_region = |arn: &String| arn.split(':').nth(3) != Some(&call.region);
    match call.operation {
        Operation::StartProjectVersion | Operation::Unknown => Err("the program has no such call"),
        Operation::DescribeProjects => Ok(()),
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
        Err("nobody asked for it")
    } else if is_exempt && !view.wanted.names(arn) {
        Err("its tag exempts it")
    } else {
        Ok(())
    }
}
