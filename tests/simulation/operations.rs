//! No operation waits for another: its calls are made as its own quota allows, whatever the quota,
//! the faults and the hanging calls of the others.
//!
//! For each operation of a region, this lists the calls that have to be made, each with the time
//! from which the program knew enough to make it. The calls before it and the operation's own quota
//! give the time by which it is due. This is only required of operations that have no trouble of
//! their own.

use std::collections::BTreeSet;
use std::time::Duration;

use rekognition_emulator::{Answer, Call, FaultKind, Operation};
use tokio::time::Instant;

use super::night::Model;
use super::view::{Phase, View, phase};
use super::wanted::Kind;
use super::weather::Weather;

/// The extra time that a program may need to learn a quota and to get to a call.
const SLACK: Duration = Duration::from_secs(2);
/// The same in calls.
const SLACK_IN_CALLS: u32 = 3;
/// How much longer than its quota requires an operation may take.
const FACTOR: f64 = 1.25;
/// The operations that compete for slots.
const OPERATIONS: u32 = 4;
/// The minimum number of slots of an operation, if there are that many.
const PLACES: u32 = 2;
/// The longest pause between two polls of a model.
const LOOK: Duration = Duration::from_secs(35);
/// The slots that a hanging operation may hold.
const PLACES_OF_HANGING: usize = 2;

/// Something that has to be called or seen, and by when.
#[derive(Debug)]
pub struct Due {
    pub operation: Operation,
    by: Instant,
    /// When it was; none if it never was.
    was: Option<Instant>,
}

pub fn check(view: &View, wrong: &mut Vec<String>) {
    for due in dues(view) {
        if due.was.is_none_or(|was| was > due.by) {
            let begun = view.run.begun;
            let (by, was) = (due.by - begun, due.was.map(|was| was - begun));
            wrong.push(format!(
                "{} waits for another operation: by its own quota it was due after {by:?}, and it \
                 came after {was:?}",
                due.operation
            ));
        }
    }
}

/// Everything that was due before time was up.
pub fn dues(view: &View) -> Vec<Due> {
    let regions: BTreeSet<&str> = view.night.models.iter().map(|it| it.region).collect();
    // A stranger's calls would count towards the same quotas.
    let regions = (regions.into_iter()).filter(|it| view.wanted.accounts_in(it).len() == 1);
    let dues = regions.flat_map(|region| {
        let mut dues = stops(view, region);
        dues.extend(tags(view, region));
        dues.extend(looks(view, region));
        dues
    });
    let end = view.run.begun + view.run.time * 4 / 5;
    dues.filter(|due| due.by < end).collect()
}

/// Models given by ARN are stopped at once, and those that patterns find as soon as their tags are
/// read.
fn stops(view: &View, region: &str) -> Vec<Due> {
    let operation = Operation::StopProjectVersion;
    let Some(gap) = gap(view, operation).filter(|_| !view.night.dry_run) else {
        return Vec::new();
    };
    let entries = view.wanted.entries.iter();
    let named = entries
        .filter(|(text, kind)| *kind == Kind::Model && text.split(':').nth(3) == Some(region));
    let mut ready: Vec<Instant> = named.map(|_| view.run.begun).collect();
    if !view.night.settings.keep_running_tag.is_empty() {
        let tags = calls(view, region, Operation::ListTagsForResource);
        let read = tags.filter(|call| call.answer == Answer::Ok);
        let found = read.filter(|call| {
            view.night.model(&call.resources[0]).is_some_and(|model| {
                view.run.before[&model.arn] == "RUNNING"
                    && !view.night.is_exempt(model)
                    && is_plain(view, model)
            })
        });
        ready.extend(found.map(|call| call.at + view.run.weather.latency));
    }
    due(view, region, operation, ready, gap)
}

/// Tags are read as models are found.
fn tags(view: &View, region: &str) -> Vec<Due> {
    let operation = Operation::ListTagsForResource;
    let models = view.night.models.iter().filter(|it| it.region == region);
    let models: Vec<&Model> = models.collect();
    // A status check of a model given by ARN may show others before they are found, and so may one
    // between two pages.
    let is_found_at_once = models.iter().all(|model| !view.wanted.names(&model.arn))
        && models.len() <= view.run.weather.page_size as usize;
    let Some(gap) = gap(view, operation).filter(|_| is_found_at_once) else {
        return Vec::new();
    };
    let found = models.into_iter().filter(|model| {
        !view.night.settings.keep_running_tag.is_empty()
            && view.wanted.asks_for(&model.arn)
            && phase(&view.run.before[&model.arn]) != Phase::NotRunning
            && is_plain(view, model)
    });
    let reported = found.filter_map(|model| {
        let mut reported = view.run.reported.iter();
        reported.find(|reported| reported.model_arn == model.arn)
    });
    let ready = reported.filter(|reported| phase(&reported.status) != Phase::NotRunning);
    let ready = ready.map(|reported| reported.at).collect();
    due(view, region, operation, ready, gap)
}

/// Models that have stopped are confirmed.
fn looks(view: &View, region: &str) -> Vec<Due> {
    let needed = [
        Operation::StopProjectVersion,
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
    ];
    let gaps: Option<Vec<Duration>> = needed.iter().map(|it| gap(view, *it)).collect();
    let Some(gaps) = gaps.filter(|_| view.night.settings.confirm_stopped && !view.night.dry_run)
    else {
        return Vec::new();
    };
    let seen_stopped = |model: &Model| {
        let mut accepted = calls(view, region, needed[0]);
        let accepted =
            accepted.find(|call| call.resources[0] == model.arn && call.answer == Answer::Ok)?;
        let mut changes = view.run.changes.iter();
        let stopped = changes.find(|change| {
            change.arn == model.arn
                && change.at >= accepted.at
                && phase(&change.status) == Phase::NotRunning
        })?;
        let mut reported = view.run.reported.iter();
        let reported = reported.find(|reported| {
            reported.model_arn == model.arn
                && reported.at >= stopped.at
                && phase(&reported.status) == Phase::NotRunning
        });
        let was = reported.map(|reported| reported.at);
        // Others are polled in the same round, and listing for discovery happens in between.
        let until = was.unwrap_or(view.run.ended);
        let rounds = needed.iter().zip(&gaps).skip(1).map(|(operation, gap)| {
            let calls = calls(view, region, *operation);
            let others = calls.filter(|call| (stopped.at..=until).contains(&call.at));
            *gap * (others.count() as u32 + SLACK_IN_CALLS)
        });
        Some(Due {
            operation: Operation::DescribeProjectVersions,
            by: stopped.at + LOOK + SLACK + rounds.sum(),
            was,
        })
    };
    let models = view.night.models.iter();
    models
        .filter(|model| model.region == region && is_plain(view, model))
        .filter_map(seen_stopped)
        .collect()
}

/// When as many first calls of an operation are due as there are times from which one could be
/// made; and when they were made.
fn due(
    view: &View,
    region: &str,
    operation: Operation,
    mut ready: Vec<Instant>,
    gap: Duration,
) -> Vec<Due> {
    let mut resources = BTreeSet::new();
    let mut made = Vec::new();
    for call in calls(view, region, operation) {
        if resources.insert(&call.resources[0]) {
            made.push(call.at);
        } else if !is_throttled(call) {
            // A further call for the same model uses the quota as well.
            made.push(call.at);
            ready.push(call.at);
        }
    }
    ready.sort_unstable();
    let mut by = view.run.begun + gap * SLACK_IN_CALLS;
    let mut made = made.into_iter();
    let due = ready.into_iter().map(|ready| {
        by = by.max(ready + SLACK) + gap;
        Due {
            operation,
            by,
            was: made.next(),
        }
    });
    due.collect()
}

fn calls<'a>(
    view: &'a View,
    region: &'a str,
    operation: Operation,
) -> impl Iterator<Item = &'a Call> {
    let calls = view.run.calls.iter();
    calls.filter(move |call| call.region == region && call.operation == operation)
}

fn is_throttled(call: &Call) -> bool {
    let codes = [
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
    ];
    matches!(&call.answer, Answer::Error(code) if codes.contains(&&**code))
}

/// Whether no one else touches the model, and everything reported about it is true.
fn is_plain(view: &View, model: &Model) -> bool {
    !view.is_restless(model) && !view.lies_about(model)
}

/// The time between two calls of an operation according to its own quota and the latency; none if
/// it has trouble of its own, or another operation may be the cause.
fn gap(view: &View, operation: Operation) -> Option<Duration> {
    let weather = &view.run.weather;
    let is_untroubled = weather.faults.iter().all(|trouble| {
        trouble.operation.is_some_and(|it| it != operation)
            && !matches!(trouble.kind, FaultKind::Delay(_))
    });
    let is_denied = weather.denials.iter().any(|it| it.operation == operation);
    let per_second = weather.calls_per_second(operation)?;
    let is_fair = is_untroubled && !is_denied && per_second >= 0.5 && leaves_places(view, weather);
    let places = view.night.settings.max_concurrency.get().min(PLACES);
    let turn = weather.latency * OPERATIONS / places;
    is_fair.then(|| Duration::from_secs_f64(FACTOR / per_second) + turn)
}

/// Whether hanging calls leave slots to others: they are few enough at first and fewer afterwards.
/// Faults that only some calls meet may occur when an operation has many slots.
fn leaves_places(view: &View, weather: &Weather) -> bool {
    let faults = weather.faults.iter();
    let mut hanging: Vec<_> = faults
        .filter(|trouble| matches!(trouble.kind, FaultKind::Hang))
        .collect();
    let all_hang = hanging.iter().all(|trouble| {
        trouble.is_permanent()
            && trouble.attempts.0 == 1
            && trouble.resource.is_none()
            && trouble.page.is_none()
    });
    hanging.dedup_by_key(|trouble| trouble.operation);
    let places = view.night.settings.max_concurrency.get() as usize;
    hanging.is_empty() || all_hang && places > PLACES_OF_HANGING * hanging.len()
}
