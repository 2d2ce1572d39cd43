//! Progress in one account: whatever fails, hangs or is throttled, a model that a plain client
//! would have stopped is stopped, and about as soon.
//!
//! The clock is paused and the service is in the same process, so the times depend on what the
//! service does and on the program's own pauses alone. Each bar allows for the pauses of a client
//! that retries each call after at most five seconds.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use rekognition_emulator::{Emulator, Fault, Model, Operation, Quota};
use serde_json::{Value, json};
use support::runs::Run;
use support::troubled::{Attempt, Fate, Troubled, picked};
use support::{
    arn, arns, emulator_in_process, handler_with, in_process, lookups, model, outcomes, pattern,
    running,
};
use time::OffsetDateTime;
use tokio::time::Instant;

const STOP: Operation = Operation::StopProjectVersion;
const PROJECTS: Operation = Operation::DescribeProjects;
const VERSIONS: Operation = Operation::DescribeProjectVersions;
const TAGS: Operation = Operation::ListTagsForResource;
const OPERATIONS: [Operation; 4] = [STOP, PROJECTS, VERSIONS, TAGS];

/// How a service that has a bad day lets an attempt fail at once.
const FAILURES: [Fate; 4] = [
    Fate::Status(503),
    Fate::Refused(500, "InternalServerError"),
    Fate::Breaks,
    Fate::Throttled,
];

/// A service of these models that responds after 20 ms.
fn service(models: impl IntoIterator<Item = Model>) -> Emulator {
    let emulator = emulator_in_process(models);
    emulator.set_latency(Duration::from_millis(20));
    emulator
}

/// One run with this connection and this many seconds.
async fn run(
    emulator: &Emulator,
    troubled: &Troubled,
    variables: &[(&str, &str)],
    event: &Value,
    seconds: u64,
) -> Run {
    let handler = handler_with(emulator, variables, in_process(troubled.clone()));
    Run::new(&handler, emulator, event, Duration::from_secs(seconds)).await
}

/// One run with default settings, in which the attempts fare so.
async fn run_through(
    emulator: &Emulator,
    decide: impl FnMut(&Attempt) -> Fate + Send + 'static,
    event: &Value,
    seconds: u64,
) -> Run {
    let troubled = Troubled::new(emulator, decide);
    run(emulator, &troubled, &[], event, seconds).await
}

/// This many projects, with one version each.
fn projects(count: usize) -> Vec<String> {
    let names = (0..count).map(|number| format!("project-{number:03}"));
    names.map(|name| arn(&name, "v1")).collect()
}

/// This many models of a project, and this many projects, which a pattern finds.
fn shelves(projects: usize, versions: usize) -> Vec<String> {
    let versions = (0..versions).map(|number| format!("v{number:04}"));
    versions
        .flat_map(|version| {
            (0..projects).map(move |shelf| arn(&format!("shelf-{shelf}"), &version))
        })
        .collect()
}

fn everything() -> Value {
    json!({"model_arns": [pattern("*", "*")]})
}

fn all_running(arns: &[String]) -> Emulator {
    service(arns.iter().map(|arn| running(arn)))
}

/// Both ways to name the models of an account.
fn both_ways(arns: &[String]) -> [(&'static str, Value); 2] {
    [
        ("named", json!({"model_arns": arns})),
        ("found", everything()),
    ]
}

/// Lets so many attempts of a call fail in a row at most.
fn at_most_in_a_row(
    most: usize,
    mut decide: impl FnMut(&Attempt) -> Fate + Send + 'static,
) -> impl FnMut(&Attempt) -> Fate + Send + 'static {
    let mut in_a_row: BTreeMap<String, usize> = BTreeMap::new();
    move |attempt| {
        let failures = in_a_row.entry(format!("{} {}", attempt.operation, attempt.body));
        let failures = failures.or_default();
        let fate = match decide(attempt) {
            Fate::Passes => Fate::Passes,
            _ if *failures == most => Fate::Passes,
            fate => fate,
        };
        *failures = if fate == Fate::Passes {
            0
        } else {
            *failures + 1
        };
        fate
    }
}

#[tokio::test(start_paused = true)]
async fn if_no_first_attempt_is_ever_answered_the_second_ones_stop_every_model_at_once() {
    let arns = arns(8);
    let emulator = all_running(&arns);
    let first_hangs = |attempt: &Attempt| match attempt.number {
        1 => Fate::Hangs,
        _ => Fate::Passes,
    };
    let event = json!({"model_arns": arns});
    let run = run_through(&emulator, first_hangs, &event, 60).await;
    run.assert_all_stopped_within(13.0, "named");
    // Two lookups more have first attempts.
    assert_eq!(outcomes(&run.report), ["stopped"; 8]);
    assert!(run.took <= 45.0, "{run}");
}

#[tokio::test(start_paused = true)]
async fn if_the_first_attempts_of_one_operation_are_never_answered_it_costs_ten_seconds() {
    for operation in OPERATIONS {
        for (way, event) in both_ways(&arns(8)) {
            let emulator = all_running(&arns(8));
            let first_hangs = move |attempt: &Attempt| {
                let is_first = attempt.operation == operation && attempt.number == 1;
                if is_first { Fate::Hangs } else { Fate::Passes }
            };
            let run = run_through(&emulator, first_hangs, &event, 60).await;
            let case = format!("{operation}, {way}");
            run.assert_all_stopped_within(13.0, &case);
            assert_eq!(outcomes(&run.report), ["stopped"; 8], "{case}");
            // A check of several models is given up, and then each is checked alone.
            assert!(run.took <= 32.0, "{case}: {run}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn if_every_other_attempt_of_each_call_hangs_found_models_are_stopped_all_the_same() {
    let arns = shelves(4, 2);
    let emulator = all_running(&arns);
    let every_other = |attempt: &Attempt| match attempt.number % 2 {
        1 => Fate::Hangs,
        _ => Fate::Passes,
    };
    let run = run_through(&emulator, every_other, &everything(), 180).await;
    // Four calls one after the other, of which each has ten seconds to wait.
    run.assert_all_stopped_within(50.0, "found");
    assert_eq!(outcomes(&run.report), ["stopped"; 8]);
}

#[tokio::test(start_paused = true)]
async fn eight_models_that_are_throttled_twice_each_take_a_few_seconds() {
    for (way, event) in both_ways(&arns(8)) {
        let emulator = all_running(&arns(8));
        let twice = |attempt: &Attempt| match (attempt.operation, attempt.number) {
            (STOP, ..=2) => Fate::Throttled,
            _ => Fate::Passes,
        };
        let run = run_through(&emulator, twice, &event, 60).await;
        assert!(run.report.is_successful(), "{way}: {run}");
        assert!(run.took <= 8.0, "{way}: {run}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_throttling_in_any_operation_is_not_taken_for_an_outage() {
    for operation in OPERATIONS {
        for burst in [4, 16] {
            let emulator = all_running(&arns(8));
            let throttled = move |attempt: &Attempt| {
                let is_one = attempt.operation == operation && attempt.of_operation <= burst;
                if is_one {
                    Fate::Throttled
                } else {
                    Fate::Passes
                }
            };
            let run = run_through(&emulator, throttled, &everything(), 300).await;
            let case = format!("{operation}, {burst} attempts");
            assert!(run.report.is_successful(), "{case}: {run}");
            // The one call that lists the projects is throttled as often, with pauses of its own.
            let calls = if operation == PROJECTS || operation == VERSIONS {
                1
            } else {
                8
            };
            let bar = 8.0 + 5.0 * (burst / calls) as f64;
            run.assert_all_stopped_within(bar, &case);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_projects_are_listed_though_every_second_response_of_their_lists_is_503() {
    let emulator = all_running(&projects(50));
    let every_second = |attempt: &Attempt| match attempt.operation {
        VERSIONS if attempt.of_operation.is_multiple_of(2) => Fate::Status(503),
        _ => Fate::Passes,
    };
    let run = run_through(&emulator, every_second, &everything(), 300).await;
    run.assert_all_stopped_within(12.0, "found");
    assert_eq!(run.report.summary.stopped, 50);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_models_are_stopped_though_every_third_response_to_a_stop_is_503() {
    for (way, event) in both_ways(&arns(100)) {
        let emulator = all_running(&arns(100));
        let every_third = |attempt: &Attempt| match attempt.operation {
            STOP if attempt.of_operation.is_multiple_of(3) => Fate::Status(503),
            _ => Fate::Passes,
        };
        let run = run_through(&emulator, every_third, &event, 300).await;
        run.assert_all_stopped_within(12.0, way);
        assert_eq!(run.report.summary.stopped, 100);
    }
}

#[tokio::test(start_paused = true)]
async fn if_half_of_the_attempts_of_any_operation_fail_twenty_models_are_stopped_in_seconds() {
    for operation in OPERATIONS {
        for failure in FAILURES {
            for seed in 0..3 {
                let arns = shelves(5, 4);
                let emulator = all_running(&arns);
                let half = at_most_in_a_row(5, move |attempt| {
                    let fails = attempt.operation == operation && picked(seed, 0.5, attempt);
                    if fails { failure } else { Fate::Passes }
                });
                let run = run_through(&emulator, half, &everything(), 300).await;
                let case = format!("{operation}, {failure:?}, seed {seed}");
                // Throttled half of the time, an operation is as slow as its pace may be: forty
                // attempts, half a second apart.
                let bar = match failure {
                    Fate::Throttled => 27.0,
                    _ => 20.0,
                };
                run.assert_all_stopped_within(bar, &case);
                assert_eq!(run.report.summary.stopped, 20, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn if_a_quarter_of_the_attempts_of_any_operation_hang_twenty_models_are_stopped() {
    for operation in OPERATIONS {
        for seed in 0..3 {
            let arns = shelves(5, 4);
            let emulator = all_running(&arns);
            let quarter = at_most_in_a_row(2, move |attempt| {
                let hangs = attempt.operation == operation && picked(seed, 0.25, attempt);
                if hangs { Fate::Hangs } else { Fate::Passes }
            });
            let run = run_through(&emulator, quarter, &everything(), 300).await;
            let case = format!("{operation}, seed {seed}");
            // Twice ten seconds and a pause after each.
            run.assert_all_stopped_within(27.0, &case);
            assert_eq!(run.report.summary.stopped, 20, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn if_everything_goes_wrong_now_and_then_all_models_are_stopped_and_confirmed() {
    for seed in 0..5 {
        let arns = shelves(5, 4);
        let emulator = all_running(&arns);
        emulator.set_stop_takes(Duration::from_secs(20));
        let now_and_then = at_most_in_a_row(3, move |attempt| {
            let of = |part: u64| picked(5 * seed + part, 0.1, attempt);
            let failed = (0..4)
                .find(|part| of(*part))
                .map(|part| FAILURES[part as usize]);
            let hangs = of(4).then_some(Fate::Hangs);
            failed.or(hangs).unwrap_or(Fate::Passes)
        });
        let run = run_through(&emulator, now_and_then, &everything(), 600).await;
        let case = format!("seed {seed}");
        run.assert_all_stopped_within(60.0, &case);
        assert_eq!(run.report.summary.stopped, 20, "{case}");
        assert!(run.took <= 240.0, "{case}: {run}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_of_half_a_minute_every_model_is_stopped_within_seconds() {
    for failure in FAILURES.into_iter().chain([Fate::Hangs]) {
        for (way, event) in both_ways(&arns(8)) {
            let emulator = all_running(&arns(8));
            let ends = Instant::now() + Duration::from_secs(30);
            let outage = move |attempt: &Attempt| match attempt.at < ends {
                true => failure,
                false => Fate::Passes,
            };
            let run = run_through(&emulator, outage, &event, 120).await;
            let case = format!("{failure:?}, {way}");
            // The last attempt of the outage hangs ten seconds into the time after it.
            let bar = match failure {
                Fate::Hangs => 46.0,
                _ => 40.0,
            };
            run.assert_all_stopped_within(bar, &case);
            assert_eq!(outcomes(&run.report), ["stopped"; 8], "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_keeps_failing_is_retried_every_few_seconds_and_not_more_often() {
    for failure in FAILURES {
        for (operation, event) in [
            (STOP, json!({"model_arns": [arn("shelf", "v1")]})),
            (PROJECTS, everything()),
            (VERSIONS, everything()),
            (TAGS, everything()),
        ] {
            let emulator = all_running(&[arn("shelf", "v1")]);
            let fails = move |attempt: &Attempt| match attempt.operation == operation {
                true => failure,
                false => Fate::Passes,
            };
            let troubled = Troubled::new(&emulator, fails);
            run(&emulator, &troubled, &[], &event, 120).await;
            let attempts = troubled.attempts().into_iter();
            let times: Vec<Instant> = attempts
                .filter(|(attempt, _)| attempt.operation == operation)
                .map(|(attempt, _)| attempt.at)
                .collect();
            let pauses: Vec<f64> = times
                .windows(2)
                .map(|two| (two[1] - two[0]).as_secs_f64())
                .collect();
            let case = format!("{operation}, {failure:?}: {pauses:?}");
            // What is throttled is as slow as its pace, which is bound to half a second.
            let most = if failure == Fate::Throttled { 300 } else { 75 };
            assert!((18..=most).contains(&pauses.len()), "{case}");
            assert!(pauses.iter().all(|pause| *pause <= 6.0), "{case}");
            assert!(pauses[0] <= 2.0, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_fail_at_the_same_moment_are_not_all_retried_at_the_same_moment() {
    let arns = arns(8);
    let emulator = all_running(&arns);
    let troubled = Troubled::new(&emulator, |_| Fate::Status(503));
    let event = json!({"model_arns": arns});
    run(&emulator, &troubled, &[], &event, 30).await;
    let attempts = troubled.attempts();
    let fifth = attempts.iter().filter(|(attempt, _)| attempt.number == 5);
    let mut times: Vec<Instant> = fifth.map(|(attempt, _)| attempt.at).collect();
    times.dedup();
    assert!(times.len() > 4, "{times:?}");
}

/// The models that are confirmed to be stopped, and when, of a run whose attempts fare so.
async fn confirmed(
    emulator: &Emulator,
    decide: impl FnMut(&Attempt) -> Fate + Send + 'static,
    event: &Value,
    seconds: u64,
) -> (Run, BTreeMap<String, f64>) {
    let troubled = Troubled::new(emulator, decide);
    let run = run(emulator, &troubled, &[], event, seconds).await;
    let confirmed = troubled.first_reports("STOPPED", run.began);
    println!("{confirmed:?}");
    (run, confirmed)
}

/// Asserts that all of these but the one at this position were seen stopped by then, and are
/// reported so.
fn assert_others_confirmed(
    (run, confirmed): &(Run, BTreeMap<String, f64>),
    arns: &[String],
    bad: Option<usize>,
    seconds: f64,
    case: &str,
) {
    for (position, arn) in arns.iter().enumerate() {
        if Some(position) != bad {
            let outcome = outcomes(&run.report)[position];
            assert_eq!(outcome, "stopped", "{case}: {arn}, {run}");
            let seen = confirmed.get(arn).copied().unwrap_or(f64::INFINITY);
            assert!(seen <= seconds, "{case}: {arn} after {seen} s");
        }
    }
}

/// A failure of every description in which there is a model of this name.
fn description_fails(
    name: &'static str,
    failure: Fate,
) -> impl FnMut(&Attempt) -> Fate + Send + 'static {
    move |attempt| {
        let describes = !attempt.mentions("VersionNames") || attempt.mentions(name);
        match attempt.operation == VERSIONS && describes {
            true => failure,
            false => Fate::Passes,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_cannot_be_described_does_not_keep_others_from_being_confirmed() {
    for (count, failure) in [
        (10, Fate::Refused(500, "InternalServerError")),
        (10, Fate::Status(503)),
        (10, Fate::Breaks),
        (10, Fate::Hangs),
        (30, Fate::Refused(500, "InternalServerError")),
        (30, Fate::Hangs),
    ] {
        let arns = arns(count);
        let emulator = all_running(&arns);
        let event = json!({"model_arns": arns});
        let fails = description_fails("v0003", failure);
        let run = confirmed(&emulator, fails, &event, 120).await;
        let case = format!("{count} models, {failure:?}");
        run.0.assert_all_stopped_within(1.0, &case);
        assert_others_confirmed(&run, &arns, Some(3), 20.0, &case);
        assert_eq!(outcomes(&run.0.report)[3], "NotConfirmed", "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_cannot_be_described_does_not_keep_others_running_that_were_starting() {
    for (count, failure) in [
        (10, Fate::Refused(500, "InternalServerError")),
        (10, Fate::Hangs),
        (30, Fate::Hangs),
    ] {
        let arns = arns(count);
        let starting = |arn: &String| model(arn, "STARTING").start_takes(Duration::from_secs(2));
        let emulator = service(arns.iter().map(starting));
        let event = json!({"model_arns": arns});
        let fails = description_fails("v0003", failure);
        let run = run_through(&emulator, fails, &event, 120).await;
        let others = [&arns[..3], &arns[4..]].concat();
        let last = run.last_stop_of(&others);
        assert!(last <= 20.0, "{count} models, {failure:?}: {last} s, {run}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_cannot_be_described_does_not_keep_others_out_of_a_dry_run() {
    for (count, failure) in [
        (10, Fate::Refused(500, "InternalServerError")),
        (30, Fate::Hangs),
    ] {
        let arns = arns(count);
        let emulator = all_running(&arns);
        let event = json!({"model_arns": arns, "dry_run": true});
        let fails = description_fails("v0003", failure);
        let run = run_through(&emulator, fails, &event, 30).await;
        let mut expected = vec!["would_stop"; count];
        expected[3] = "DeadlineExceeded";
        assert_eq!(outcomes(&run.report), expected, "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_that_cannot_be_looked_up_does_not_keep_others_from_being_looked_up() {
    for failure in [
        Fate::Refused(500, "InternalServerError"),
        Fate::Status(503),
        Fate::Breaks,
        Fate::Hangs,
    ] {
        let arns = projects(10);
        let lookup_fails = move |attempt: &Attempt| {
            let fails = attempt.operation == PROJECTS && attempt.mentions("project-003");
            if fails { failure } else { Fate::Passes }
        };
        // Found by a pattern for each project.
        let emulator = all_running(&arns);
        let patterns = (0..10).map(|number| pattern(&format!("project-{number:03}"), "*"));
        let event = json!({"model_arns": patterns.collect::<Vec<_>>()});
        let run = run_through(&emulator, lookup_fails, &event, 120).await;
        let others = [&arns[..3], &arns[4..]].concat();
        let last = run.last_stop_of(&others);
        assert!(last <= 20.0, "{failure:?}: {last} s, {run}");
        let failed = [(&*pattern("project-003", "*"), "DeadlineExceeded")];
        assert_eq!(lookups(&run.report), failed, "{failure:?}");
        assert_eq!(run.left, arns[3..=3], "{failure:?}");

        // Named, and looked up to be confirmed.
        let emulator = all_running(&arns);
        let event = json!({"model_arns": arns});
        let run = confirmed(&emulator, lookup_fails, &event, 120).await;
        let case = format!("{failure:?}, named");
        assert_others_confirmed(&run, &arns, Some(3), 20.0, &case);
        assert_eq!(outcomes(&run.0.report)[3], "NotConfirmed", "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn three_hundred_projects_are_listed_while_the_models_that_were_found_are_confirmed() {
    let arns = projects(300);
    let emulator = all_running(&arns);
    emulator.set_stop_takes(Duration::from_secs(60));
    emulator.set_quota(Some(Quota::per_second(5.0).for_each_operation()));
    let run = run_through(&emulator, |_| Fate::Passes, &everything(), 300).await;
    run.assert_all_stopped_within(100.0, "300 models");
    assert_eq!(run.report.summary.stopped, 300);
}

#[tokio::test(start_paused = true)]
async fn sixty_running_models_in_three_hundred_projects_are_stopped_as_their_projects_are_listed() {
    let arns = projects(300);
    let models = arns.iter().enumerate().map(|(number, arn)| {
        let is_running = number % 5 == 0;
        model(arn, if is_running { "RUNNING" } else { "STOPPED" })
    });
    let emulator = service(models);
    emulator.set_stop_takes(Duration::from_secs(60));
    emulator.set_quota(Some(Quota::per_second(5.0).for_each_operation()));
    let run = run_through(&emulator, |_| Fate::Passes, &everything(), 600).await;
    run.assert_all_stopped_within(95.0, "60 models");
    assert_eq!(run.report.summary.stopped, 60);
    assert!(run.took <= 200.0, "{run}");
}

#[tokio::test(start_paused = true)]
async fn named_models_are_confirmed_while_three_hundred_projects_have_yet_to_be_listed() {
    let arns = projects(300);
    let named = vec![arn("shelf", "v1"), arn("dock", "v1")];
    let models = arns.iter().map(|arn| model(arn, "STOPPED"));
    let emulator = service(models.chain(named.iter().map(|arn| running(arn))));
    emulator.set_stop_takes(Duration::from_secs(5));
    emulator.set_quota(Some(Quota::per_second(5.0).for_each_operation()));
    let event = json!({"model_arns": [named[0], named[1], pattern("project-*", "*")]});
    let run = confirmed(&emulator, |_| Fate::Passes, &event, 300).await;
    assert!(run.0.report.is_successful(), "{}", run.0);
    assert_others_confirmed(&run, &named, None, 20.0, "named");
    // Lists and checks take turns, so the lists are twice as slow at most.
    assert!(run.0.took <= 130.0, "{}", run.0);
}

#[tokio::test(start_paused = true)]
async fn connecting_may_take_four_seconds() {
    for (way, event) in both_ways(&arns(8)) {
        let emulator = all_running(&arns(8));
        let slow = Troubled::new(&emulator, |_| Fate::Passes);
        let slow = slow.connecting_takes(Duration::from_secs(4));
        let run = run(&emulator, &slow, &[], &event, 60).await;
        // Found models are stopped over connections of their own.
        let bar = if way == "found" { 14.0 } else { 10.0 };
        assert_eq!(outcomes(&run.report), ["stopped"; 8], "{way}");
        assert!(run.took <= bar, "{way}: {run}");
    }
}

#[tokio::test(start_paused = true)]
async fn twenty_models_are_stopped_at_once_but_for_two_whose_stops_always_hang() {
    let arns = arns(20);
    for bad in [[0, 1], [0, 7], [6, 7], [9, 10], [18, 19]] {
        for (way, event) in both_ways(&arns) {
            let emulator = all_running(&arns);
            let hanging = bad.map(|position| arns[position].clone());
            let hangs = move |attempt: &Attempt| {
                let is_one = hanging.iter().any(|arn| attempt.mentions(arn));
                let is_one = is_one && attempt.operation == STOP;
                if is_one { Fate::Hangs } else { Fate::Passes }
            };
            let run = run_through(&emulator, hangs, &event, 60).await;
            let case = format!("{way}, {bad:?}");
            let mut expected = ["stopped"; 20];
            for position in bad {
                expected[position] = "DeadlineExceeded";
            }
            assert_eq!(outcomes(&run.report), expected, "{case}");
            assert!(run.last_stop() <= 2.0, "{case}: {run}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn more_stops_that_always_hang_than_there_may_be_at_once_let_the_others_through() {
    let arns = arns(20);
    let emulator = all_running(&arns);
    let hanging = arns[..10].to_vec();
    let hangs = move |attempt: &Attempt| match hanging.iter().any(|arn| attempt.mentions(arn)) {
        true => Fate::Hangs,
        false => Fate::Passes,
    };
    let event = json!({"model_arns": arns});
    let run = run_through(&emulator, hangs, &event, 60).await;
    let last = run.last_stop_of(&arns[10..]);
    assert!(last <= 15.0, "{last} s, {run}");
}

#[tokio::test(start_paused = true)]
async fn models_whose_tags_or_lists_always_hang_do_not_hold_up_the_others() {
    let arns = shelves(20, 1);
    for (operation, what) in [(TAGS, "project/shelf-7/"), (VERSIONS, "project/shelf-7/")] {
        let emulator = all_running(&arns);
        let hangs = move |attempt: &Attempt| {
            let is_one = attempt.operation == operation && attempt.body.contains(what);
            if is_one { Fate::Hangs } else { Fate::Passes }
        };
        let run = run_through(&emulator, hangs, &everything(), 60).await;
        let others: Vec<String> = [&arns[..7], &arns[8..]].concat();
        let last = run.last_stop_of(&others);
        assert!(last <= 2.0, "{operation}: {last} s, {run}");
        assert_eq!(run.left, arns[7..=7], "{operation}");
        assert_eq!(run.report.summary.stopped, 19, "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_call_at_a_time_is_one_of_each_operation_so_hanging_tags_hold_up_no_named_model() {
    let (named, found) = (arns(10), shelves(1, 10));
    for hanging in [TAGS, PROJECTS] {
        let emulator = all_running(&[&named[..], &found[..]].concat());
        emulator.set_latency(Duration::from_millis(500));
        let hangs = move |attempt: &Attempt| {
            let names = attempt.operation == PROJECTS && attempt.mentions("shelf");
            let hangs = attempt.operation == hanging && !names;
            if hangs { Fate::Hangs } else { Fate::Passes }
        };
        let mut entries = named.clone();
        entries.push(pattern("shelf-*", "*"));
        let troubled = Troubled::new(&emulator, hangs);
        let event = json!({"model_arns": entries});
        let one = [("MAX_CONCURRENCY", "1")];
        let run = run(&emulator, &troubled, &one, &event, 120).await;
        let confirmed = troubled.first_reports("STOPPED", run.began);
        let last = run.last_stop_of(&named);
        assert!(last <= 6.0, "{hanging}: {last} s, {run}");
        // A list that hangs holds up the lookups of projects by name, ten seconds at a time.
        let bar = if hanging == TAGS { 20.0 } else { 25.0 };
        let run = (run, confirmed);
        assert_others_confirmed(&run, &named, None, bar, &hanging.to_string());
        for operation in OPERATIONS {
            let most = troubled.most_in_flight(operation, "us-east-1");
            assert!(most <= 1, "{hanging}: {most} of {operation}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_call_at_a_time_of_which_one_always_hangs_lets_the_others_through_between() {
    let arns = arns(10);
    let emulator = all_running(&arns);
    let hangs = |attempt: &Attempt| match attempt.body.contains("/v0000/") {
        true => Fate::Hangs,
        false => Fate::Passes,
    };
    let troubled = Troubled::new(&emulator, hangs);
    let event = json!({"model_arns": arns});
    let run = run(
        &emulator,
        &troubled,
        &[("MAX_CONCURRENCY", "1")],
        &event,
        60,
    )
    .await;
    let last = run.last_stop_of(&arns[1..]);
    assert!(last <= 12.0, "{last} s, {run}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_nine_seconds_a_call_stops_six_models_and_each_is_told_truly() {
    let arns = arns(6);
    for (way, event) in both_ways(&arns) {
        for stop_takes in [0, 30] {
            let emulator = all_running(&arns);
            emulator.set_latency(Duration::from_secs(9));
            emulator.set_stop_takes(Duration::from_secs(stop_takes));
            let run = run_through(&emulator, |_| Fate::Passes, &event, 120).await;
            let case = format!("{way}, a stop takes {stop_takes} s: {run}");
            assert!(run.took < 120.0, "{case}");
            assert!(run.left.is_empty(), "{case}");
            assert_eq!(outcomes(&run.report), ["stopped"; 6], "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_middle_of_a_slow_call_is_kept_and_each_model_is_told_truly() {
    let arns = arns(6);
    for seconds in [8, 12, 20, 30, 45] {
        for (way, event) in both_ways(&arns) {
            let emulator = all_running(&arns);
            emulator.set_latency(Duration::from_secs(9));
            let run = run_through(&emulator, |_| Fate::Passes, &event, seconds).await;
            let case = format!("{way}, {seconds} s: {run}");
            assert!(run.took < seconds as f64, "{case}");
            for (model, outcome) in run.report.models.iter().zip(outcomes(&run.report)) {
                let is_running = run.left.contains(&model.model_arn.to_string());
                let says_stopped = ["stopped", "stopping", "already_stopped"].contains(&outcome);
                assert!(!(says_stopped && is_running), "{case}: {model:?}");
            }
            let is_told = run.left.is_empty() || !run.report.is_successful();
            assert!(is_told, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_attempt_is_begun_with_less_than_a_second_left() {
    for failure in FAILURES {
        let arns = arns(20);
        let emulator = all_running(&arns);
        let troubled = Troubled::new(&emulator, move |_| failure);
        let event = json!({"model_arns": [arns[0], arns[1], pattern("*", "*")]});
        let run = run(&emulator, &troubled, &[], &event, 30).await;
        let attempts = troubled.attempts();
        let last = attempts
            .iter()
            .map(|(attempt, _)| attempt.at)
            .max()
            .unwrap();
        let last = (last - run.began).as_secs_f64();
        assert!((20.0..=29.0).contains(&last), "{failure:?}: {last} s");
        assert!(run.took < 30.0, "{failure:?}: {run}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_is_given_up_after_ten_seconds_however_little_time_is_left() {
    for (seconds, attempts) in [(8, 1..=1), (14, 2..=2), (60, 4..=6)] {
        let emulator = all_running(&arns(1));
        let troubled = Troubled::new(&emulator, |_| Fate::Hangs);
        let event = json!({"model_arns": arns(1)});
        let run = run(&emulator, &troubled, &[], &event, seconds).await;
        let made = troubled.attempts();
        let times: Vec<Instant> = made.iter().map(|(attempt, _)| attempt.at).collect();
        let hung: Vec<f64> = times
            .windows(2)
            .map(|two| (two[1] - two[0]).as_secs_f64())
            .collect();
        let case = format!("{seconds} s: {hung:?}, {run}");
        assert!(hung.iter().all(|it| (10.0..=16.0).contains(it)), "{case}");
        assert!(attempts.contains(&made.len()), "{case}");
        assert_eq!(outcomes(&run.report), ["DeadlineExceeded"], "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_region_that_does_not_respond_has_at_most_eight_calls_in_flight() {
    let arns = arns(40);
    let most = [("MAX_CONCURRENCY", "64")];
    let event = json!({"model_arns": arns});
    let emulator = all_running(&arns);
    let silent = Troubled::new(&emulator, |_| Fate::Hangs);
    run(&emulator, &silent, &most, &event, 60).await;
    assert_eq!(silent.most_in_flight(STOP, "us-east-1"), 8);

    // One that falls silent later has as many again once that is known.
    let emulator = all_running(&arns);
    let falls_silent = Troubled::new(&emulator, |attempt| match attempt.of_operation {
        ..=10 => Fate::Passes,
        _ => Fate::Hangs,
    });
    let run = run(&emulator, &falls_silent, &most, &event, 60).await;
    assert!(falls_silent.most_in_flight(STOP, "us-east-1") > 8);
    let attempts = falls_silent.attempts();
    let later = attempts.iter().filter(|(attempt, _)| {
        let seconds = (attempt.at - run.began).as_secs_f64();
        attempt.operation == STOP && (10.5..19.5).contains(&seconds)
    });
    assert!(later.count() <= 8);
}

/// A time as it is in a signature.
fn signed_at(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let (hour, minute, second) = time.to_hms();
    format!(
        "{:04}{:02}{:02}T{hour:02}{minute:02}{second:02}Z",
        time.year(),
        u8::from(time.month()),
        time.day()
    )
}

/// A service that refuses what was not signed within five minutes of its clock.
fn checks_times(attempt: &Attempt) -> Fate {
    let minutes = Duration::from_secs(5 * 60);
    let now = SystemTime::now();
    match (signed_at(now - minutes)..signed_at(now + minutes)).contains(&attempt.signed_at) {
        true => Fate::Passes,
        false => Fate::Refused(400, "InvalidSignatureException"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_date_that_is_ten_minutes_off_once_costs_one_refused_signature() {
    const TEN_MINUTES: Duration = Duration::from_secs(10 * 60);
    let now = SystemTime::now();
    for date in [now + TEN_MINUTES, now - TEN_MINUTES] {
        for operation in OPERATIONS {
            for (way, event) in both_ways(&arns(2)) {
                let emulator = all_running(&arns(2));
                // There is a call after each.
                emulator.set_stop_takes(Duration::from_secs(5));
                let wrong_once = move |attempt: &Attempt| {
                    let is_first = attempt.operation == operation && attempt.of_operation == 1;
                    match checks_times(attempt) {
                        Fate::Passes if is_first => Fate::PassesDated(date),
                        fate => fate,
                    }
                };
                let troubled = Troubled::new(&emulator, wrong_once);
                let one = [("MAX_CONCURRENCY", "1")];
                let run = run(&emulator, &troubled, &one, &event, 60).await;
                let case = format!("{operation}, {way}");
                run.assert_all_stopped_within(2.0, &case);
                assert_eq!(outcomes(&run.report), ["stopped"; 2], "{case}");
                // Named models are asked for no tags.
                let is_called = way == "found" || operation != TAGS;
                let attempts = troubled.attempts();
                let refused = |fate: &Fate| matches!(fate, Fate::Refused(..));
                let refusals = attempts.iter().filter(|(_, fate)| refused(fate)).count();
                assert_eq!(refusals > 0, is_called, "{case}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_signature_is_retried_once_and_a_second_refusal_is_final() {
    for code in [
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "RequestExpired",
        "RequestInTheFuture",
        "RequestTimeTooSkewed",
    ] {
        for operation in OPERATIONS {
            let emulator = all_running(&arns(1));
            let once = move |attempt: &Attempt| {
                let is_first = attempt.operation == operation && attempt.of_operation == 1;
                if is_first {
                    Fate::Refused(400, code)
                } else {
                    Fate::Passes
                }
            };
            let run = run_through(&emulator, once, &everything(), 60).await;
            let case = format!("{operation}, {code}");
            run.assert_all_stopped_within(2.0, &case);
            assert_eq!(outcomes(&run.report), ["stopped"], "{case}");
        }
        let emulator = all_running(&arns(1));
        let always = Troubled::new(&emulator, move |_| Fate::Refused(400, code));
        let event = json!({"model_arns": arns(1)});
        let run = run(&emulator, &always, &[], &event, 60).await;
        assert_eq!(outcomes(&run.report), [code]);
        assert_eq!(always.attempts().len(), 2, "{code}");
        assert!(run.took <= 6.0, "{code}: {run}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bare_503_about_one_model_does_not_slow_down_the_stops_of_others() {
    let arns = arns(101);
    let emulator = all_running(&arns);
    let fails = |attempt: &Attempt| match attempt.body.contains("/v0050/") {
        true => Fate::Status(503),
        false => Fate::Passes,
    };
    let event = json!({"model_arns": arns});
    let run = run_through(&emulator, fails, &event, 60).await;
    let others = [&arns[..50], &arns[51..]].concat();
    let last = run.last_stop_of(&others);
    assert!(last <= 2.0, "{last} s, {run}");
    assert_eq!(run.left, arns[50..=50]);
}

#[tokio::test(start_paused = true)]
async fn a_model_or_project_that_is_throttled_forever_costs_the_others_a_few_seconds() {
    let arns = shelves(50, 1);
    for operation in [STOP, VERSIONS, TAGS] {
        let emulator = all_running(&arns);
        let throttled = move |attempt: &Attempt| {
            let is_one = attempt.operation == operation;
            let is_one = is_one && attempt.body.contains("project/shelf-7/");
            if is_one {
                Fate::Throttled
            } else {
                Fate::Passes
            }
        };
        let run = run_through(&emulator, throttled, &everything(), 120).await;
        let others: Vec<String> = [&arns[..7], &arns[8..]].concat();
        let last = run.last_stop_of(&others);
        assert!(last <= 10.0, "{operation}: {last} s, {run}");
        assert_eq!(run.left, arns[7..=7], "{operation}");
        // The others are confirmed, at whatever pace.
        assert_eq!(run.report.summary.stopped, 49, "{operation}: {run}");
    }
}

#[tokio::test(start_paused = true)]
async fn more_lists_that_always_hang_than_there_may_be_at_once_let_the_others_through() {
    let arns = projects(100);
    let named = vec![arn("shelf", "v1"), arn("shelf", "v2")];
    let emulator = all_running(&[&arns[..], &named[..]].concat());
    emulator.set_stop_takes(Duration::from_secs(5));
    // Twenty projects, which are the first to be listed.
    let hangs = |attempt: &Attempt| {
        let is_one = attempt.operation == VERSIONS;
        let is_one = is_one && (attempt.body.contains("-00") || attempt.body.contains("-01"));
        if is_one { Fate::Hangs } else { Fate::Passes }
    };
    let event = json!({"model_arns": [named[0], named[1], pattern("project-*", "*")]});
    let run = confirmed(&emulator, hangs, &event, 120).await;
    let last = run.0.last_stop_of(&arns[20..]);
    assert!(last <= 40.0, "{last} s, {}", run.0);
    assert_others_confirmed(&run, &named, None, 40.0, "named");
    assert_eq!(run.0.left, arns[..20]);
    // What was found is confirmed between the attempts that hang.
    assert_eq!(run.0.report.summary.stopped, 82, "{}", run.0);
}

#[tokio::test(start_paused = true)]
async fn tags_that_always_hang_do_not_hold_up_named_models_that_start_meanwhile() {
    // The region is taken to be silent after ten seconds, and has few calls then.
    for max_concurrency in ["1", "8", "64"] {
        let (named, found) = (arns(10), shelves(1, 80));
        let starting = named.iter().map(|arn| {
            let takes = Duration::from_secs(12);
            model(arn, "STARTING").start_takes(takes)
        });
        let emulator = service(starting.chain(found.iter().map(|arn| running(arn))));
        let hangs = |attempt: &Attempt| match attempt.operation {
            TAGS => Fate::Hangs,
            _ => Fate::Passes,
        };
        let mut entries = named.clone();
        entries.push(pattern("shelf-*", "*"));
        let troubled = Troubled::new(&emulator, hangs);
        let event = json!({"model_arns": entries});
        let most = [("MAX_CONCURRENCY", max_concurrency)];
        let run = run(&emulator, &troubled, &most, &event, 120).await;
        let last = run.last_stop_of(&named);
        // They are seen running at the check after fifteen seconds.
        assert!(last <= 30.0, "{max_concurrency}: {last} s, {run}");
        assert_eq!(outcomes(&run.report)[..10], ["stopped"; 10], "{run}");
    }
}

#[tokio::test(start_paused = true)]
async fn stops_whose_responses_are_lost_have_taken_effect_and_are_confirmed() {
    for lost in [Fault::hang(), Fault::reset(), Fault::http_status(503, "")] {
        for attempts in [8, 16] {
            let emulator = all_running(&arns(8));
            emulator.set_stop_takes(Duration::from_secs(3));
            let fault = lost.clone().operation(STOP).after_effect();
            emulator.add_fault(fault.attempts(..=attempts));
            let event = json!({"model_arns": arns(8)});
            let run = run_through(&emulator, |_| Fate::Passes, &event, 120).await;
            let case = format!("{lost:?}, {attempts} attempts");
            run.assert_all_stopped_within(1.0, &case);
            let outcomes = outcomes(&run.report);
            let is_true = |outcome: &&str| ["stopped", "already_stopped"].contains(outcome);
            assert!(outcomes.iter().all(is_true), "{case}: {outcomes:?}");
            assert!(run.took <= 40.0, "{case}: {run}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_list_that_hangs_twice_holds_up_no_model_of_the_pages_before_it() {
    let arns = projects(120);
    let emulator = all_running(&arns);
    for operation in [PROJECTS, VERSIONS] {
        let fault = Fault::hang().operation(operation).page(2);
        emulator.add_fault(fault.attempts(..=2));
    }
    let run = run_through(&emulator, |_| Fate::Passes, &everything(), 120).await;
    // Projects are listed in the order of their creation.
    let last = run.last_stop_of(&arns[..100]);
    assert!(last <= 3.0, "{last} s, {run}");
    run.assert_all_stopped_within(26.0, "120 projects");
}
