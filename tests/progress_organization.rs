//! Progress in many accounts: a region, an account or a service that fails, hangs or is throttled
//! keeps no model running but its own.
//!
//! The clock is paused and the services are in the same process: see `progress.rs`.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rekognition_emulator::{
    Account, Emulator, Fault, Operation, OrganizationalUnit, Quota, Role, Service,
};
use serde_json::{Value, json};
use support::runs::Run;
use support::troubled::{Attempt, Fate, Troubled, picked};
use support::{handler_with, in_process, lookups, model, outcome, outcomes, running};

const ASSUME: Operation = Operation::AssumeRole;
const ACCOUNTS: Operation = Operation::ListAccounts;

/// The function's own account, which is the organization's management account as well.
const OWN: &str = "123456789012";
const EVERYTHING: &str = "arn:aws:rekognition:*:*:project/*/version/*/*";
const ROLE: (&str, &str) = ("MEMBER_ROLE", "stopper-member");

/// The regions of Custom Labels, in the order of the list.
const REGIONS: [&str; 11] = [
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-central-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-northeast-1",
    "ap-northeast-2",
];

/// How a service that has a bad day lets an attempt fail at once.
const FAILURES: [Fate; 4] = [
    Fate::Status(503),
    Fate::Refused(500, "InternalFailure"),
    Fate::Breaks,
    Fate::Throttled,
];

/// The ID of an account by its number.
fn account(number: usize) -> String {
    format!("{:012}", 1000 + number)
}

fn role_arn(number: usize) -> String {
    format!("arn:aws:iam::{}:role/{}", account(number), ROLE.1)
}

fn arn(number: usize, region: &str) -> String {
    let account = account(number);
    format!("arn:aws:rekognition:{region}:{account}:project/shelf/version/v1/1700000000000")
}

/// An organization of so many accounts beside the function's own, whose services respond after
/// 20 ms. Each account has a running model in the region that it is given.
fn organization(accounts: usize, region_of: impl Fn(usize) -> &'static str) -> Emulator {
    let mut builder = Emulator::builder()
        .latency(Duration::from_millis(20))
        .organization_account(Account::new(OWN));
    for number in 0..accounts {
        let role = Role::new(&role_arn(number)).unwrap();
        builder = builder
            .organization_account(Account::new(&account(number)))
            .role(role.trusts(&format!("arn:aws:iam::{OWN}:role/stopper")))
            .model(running(&arn(number, region_of(number))));
    }
    builder.in_process()
}

fn everything() -> Value {
    json!({"model_arns": [EVERYTHING]})
}

/// Only the first region and the last.
const TWO_REGIONS: (&str, &str) = ("REGIONS", "us-east-1 ap-northeast-2");

/// A sweep of everything with this connection and this many seconds.
async fn sweep(
    emulator: &Emulator,
    troubled: &Troubled,
    variables: &[(&str, &str)],
    seconds: u64,
) -> Run {
    let variables = [&[ROLE], variables].concat();
    let handler = handler_with(emulator, &variables, in_process(troubled.clone()));
    Run::new(
        &handler,
        emulator,
        &everything(),
        Duration::from_secs(seconds),
    )
    .await
}

/// A sweep of everything whose attempts fare so.
async fn sweep_through(
    emulator: &Emulator,
    decide: impl FnMut(&Attempt) -> Fate + Send + 'static,
    variables: &[(&str, &str)],
    seconds: u64,
) -> Run {
    let troubled = Troubled::new(emulator, decide);
    sweep(emulator, &troubled, variables, seconds).await
}

async fn sweep_plainly(emulator: &Emulator, variables: &[(&str, &str)], seconds: u64) -> Run {
    sweep_through(emulator, |_| Fate::Passes, variables, seconds).await
}

/// The models of these accounts in the regions that they were given.
fn models(accounts: Range<usize>, region_of: impl Fn(usize) -> &'static str) -> Vec<String> {
    accounts
        .map(|number| arn(number, region_of(number)))
        .collect()
}

fn last_region(_: usize) -> &'static str {
    REGIONS[10]
}

fn first_region(_: usize) -> &'static str {
    REGIONS[0]
}

/// Whether an attempt is one to assume the role of one of these accounts.
fn assumes(attempt: &Attempt, accounts: &BTreeSet<usize>) -> bool {
    let mut roles = accounts.iter().map(|number| role_arn(*number));
    attempt.operation == ASSUME && roles.any(|role| attempt.mentions(&role))
}

/// Whether an attempt is one of Rekognition's in one of the first so many regions.
fn is_in_first_regions(attempt: &Attempt, regions: usize) -> bool {
    let is_one = REGIONS[..regions].contains(&&*attempt.region);
    is_one && attempt.operation.service() == Service::Rekognition
}

#[tokio::test(start_paused = true)]
async fn ten_of_eleven_regions_that_hang_or_break_connections_leave_no_model_in_the_eleventh() {
    for (accounts, broken) in [(150, 0), (40, 5), (20, 10)] {
        let emulator = organization(accounts, last_region);
        let fails = move |attempt: &Attempt| match () {
            () if is_in_first_regions(attempt, broken) => Fate::Breaks,
            () if is_in_first_regions(attempt, 10) => Fate::Hangs,
            () => Fate::Passes,
        };
        let run = sweep_through(&emulator, fails, &[], 60).await;
        let case = format!("{accounts} accounts, {broken} regions broken");
        run.assert_all_stopped_within(20.0, &case);
        assert_eq!(run.report.summary.stopped, accounts, "{case}");
        assert!(run.took < 60.0, "{case}: {run}");
        // Each account, and the function's own, in each of ten regions.
        assert_eq!(lookups(&run.report).len(), (accounts + 1) * 10, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_ten_of_eleven_regions_hanging_the_response_comes_in_time_at_any_deadline() {
    for seconds in [15, 30, 180, 240] {
        let emulator = organization(60, last_region);
        let hangs = |attempt: &Attempt| match is_in_first_regions(attempt, 10) {
            true => Fate::Hangs,
            false => Fate::Passes,
        };
        let run = sweep_through(&emulator, hangs, &[], seconds).await;
        assert!(run.took < seconds as f64, "{seconds} s: {run}");
        run.assert_all_stopped_within(12.0, &format!("{seconds} s"));
        assert_eq!(lookups(&run.report).len(), 610, "{seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn one_of_eleven_regions_that_answers_503_to_everything_leaves_no_model_in_the_others() {
    let region_of = |number: usize| REGIONS[number % 10];
    let emulator = organization(150, region_of);
    let fails = |attempt: &Attempt| match attempt.region == REGIONS[10] {
        true => Fate::Status(503),
        false => Fate::Passes,
    };
    let troubled = Troubled::new(&emulator, fails);
    let run = sweep(&emulator, &troubled, &[], 60).await;
    run.assert_all_stopped_within(30.0, "150 accounts");
    assert_eq!(run.report.summary.stopped, 150);
    assert_eq!(lookups(&run.report).len(), 151);
    // Each of them has to be retried, every few seconds, and no more than that.
    let attempts = troubled.attempts();
    let in_vain = attempts.iter().filter(|(_, fate)| *fate != Fate::Passes);
    let in_vain = in_vain.count();
    assert!((151 * 10..151 * 35).contains(&in_vain), "{in_vain}");
}

#[tokio::test(start_paused = true)]
async fn a_region_whose_every_call_hangs_once_is_searched_in_all_accounts_nevertheless() {
    // In groups of eight, of which each takes ten seconds: the calls of thirty accounts.
    let emulator = organization(30, last_region);
    let first_hangs = |attempt: &Attempt| match (&*attempt.region, attempt.number) {
        ("ap-northeast-2", 1) => Fate::Hangs,
        _ => Fate::Passes,
    };
    let run = sweep_through(&emulator, first_hangs, &[TWO_REGIONS], 600).await;
    // Four calls for each model, one after the other.
    run.assert_all_stopped_within(200.0, "30 accounts");
    assert!(run.report.is_successful(), "{run}");
}

#[tokio::test(start_paused = true)]
async fn twenty_accounts_that_hang_keep_no_model_of_the_forty_others_running() {
    for hanging in [0..20, 20..40, 40..60] {
        let emulator = organization(60, last_region);
        for number in hanging.clone() {
            let fault = Fault::hang().account(&account(number));
            for operation in [
                Operation::DescribeProjects,
                Operation::DescribeProjectVersions,
            ] {
                emulator.add_fault(fault.clone().operation(operation));
            }
        }
        let run = sweep_plainly(&emulator, &[TWO_REGIONS], 120).await;
        let others = [0..hanging.start, hanging.end..60];
        let others = others.map(|numbers| models(numbers, last_region)).concat();
        let last = run.last_stop_of(&others);
        assert!(last <= 35.0, "{hanging:?}: {last} s, {run}");
        assert_eq!(
            run.left,
            models(hanging.clone(), last_region),
            "{hanging:?}"
        );
        assert!(run.took < 120.0, "{hanging:?}: {run}");
    }
}

#[tokio::test(start_paused = true)]
async fn twenty_accounts_that_answer_503_keep_no_model_of_the_thirty_others_running() {
    for failure in FAILURES {
        let emulator = organization(50, last_region);
        for number in 0..20 {
            let fault = match failure {
                Fate::Status(status) => Fault::http_status(status, ""),
                Fate::Refused(status, code) => Fault::error_with_status(code, status),
                Fate::Breaks => Fault::reset(),
                _ => Fault::error("ThrottlingException"),
            };
            emulator.add_fault(fault.account(&account(number)));
        }
        let run = sweep_plainly(&emulator, &[TWO_REGIONS], 30).await;
        let last = run.last_stop_of(&models(20..50, last_region));
        assert!(last <= 3.0, "{failure:?}: {last} s, {run}");
        assert_eq!(run.left.len(), 20, "{failure:?}");
        assert_eq!(lookups(&run.report).len(), 40, "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_accounts_are_swept_though_every_second_assume_role_is_throttled() {
    for seed in 0..3 {
        let emulator = organization(100, last_region);
        let half = move |attempt: &Attempt| {
            let fails = attempt.operation == ASSUME && picked(seed, 0.5, attempt);
            if fails { Fate::Throttled } else { Fate::Passes }
        };
        let run = sweep_through(&emulator, half, &[TWO_REGIONS], 300).await;
        let case = format!("seed {seed}");
        run.assert_all_stopped_within(25.0, &case);
        assert_eq!(run.report.summary.stopped, 100, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_accounts_are_swept_though_half_of_the_attempts_to_assume_a_role_fail() {
    for failure in FAILURES {
        for seed in 0..2 {
            let emulator = organization(100, last_region);
            let half = move |attempt: &Attempt| {
                let is_one = attempt.operation == ASSUME && attempt.number <= 5;
                let fails = is_one && picked(seed, 0.5, attempt);
                if fails { failure } else { Fate::Passes }
            };
            let run = sweep_through(&emulator, half, &[TWO_REGIONS], 300).await;
            let case = format!("{failure:?}, seed {seed}");
            run.assert_all_stopped_within(25.0, &case);
            assert_eq!(run.report.summary.stopped, 100, "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bursts_of_throttling_by_sts_and_organizations_are_not_taken_for_outages() {
    for burst in [2, 16] {
        for (operation, calls) in [(ASSUME, 20), (ACCOUNTS, 2)] {
            let emulator = organization(20, last_region);
            let throttled = move |attempt: &Attempt| {
                let is_one = attempt.operation == operation && attempt.of_operation <= burst;
                if is_one {
                    Fate::Throttled
                } else {
                    Fate::Passes
                }
            };
            let run = sweep_through(&emulator, throttled, &[TWO_REGIONS], 300).await;
            let case = format!("{operation}, {burst} attempts");
            // A call that is throttled many times has as many pauses of its own.
            let bar = 8.0 + 5.0 * (burst / calls) as f64;
            run.assert_all_stopped_within(bar, &case);
            assert!(run.report.is_successful(), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn twenty_accounts_whose_every_call_is_throttled_twice_take_a_few_seconds() {
    let emulator = organization(20, last_region);
    let twice = |attempt: &Attempt| match attempt.number {
        ..=2 => Fate::Throttled,
        _ => Fate::Passes,
    };
    let run = sweep_through(&emulator, twice, &[TWO_REGIONS], 300).await;
    // Six calls one after the other.
    run.assert_all_stopped_within(30.0, "20 accounts");
    assert!(run.report.is_successful(), "{run}");
}

#[tokio::test(start_paused = true)]
async fn a_list_of_accounts_whose_attempts_fail_or_hang_at_first_is_read_to_its_end() {
    for (failure, bar) in FAILURES
        .map(|failure| (failure, 12.0))
        .into_iter()
        .chain([(Fate::Hangs, 24.0)])
    {
        let emulator = organization(45, last_region);
        // Of three pages, the first attempt at the first and the first two at the last.
        let fails = move |attempt: &Attempt| match attempt.operation {
            ACCOUNTS if [1, 4].contains(&attempt.of_operation) => failure,
            _ => Fate::Passes,
        };
        let run = sweep_through(&emulator, fails, &[TWO_REGIONS], 300).await;
        let case = format!("{failure:?}");
        run.assert_all_stopped_within(bar, &case);
        assert_eq!(run.report.summary.stopped, 45, "{case}");
        assert_eq!(run.report.summary.accounts, 46, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn forty_accounts_whose_assume_role_hangs_keep_none_of_the_twenty_others_waiting_long() {
    let every_third = |number: &usize| number % 3 != 2;
    let interleaved: BTreeSet<usize> = (0..60).filter(every_third).collect();
    for hanging in [(0..40).collect(), (20..60).collect(), interleaved] {
        let emulator = organization(60, last_region);
        let bad: BTreeSet<usize> = hanging;
        let hanging = bad.clone();
        let hangs = move |attempt: &Attempt| match assumes(attempt, &hanging) {
            true => Fate::Hangs,
            false => Fate::Passes,
        };
        let run = sweep_through(&emulator, hangs, &[TWO_REGIONS], 300).await;
        let good = (0..60).filter(|number| !bad.contains(number));
        let good: Vec<String> = good.map(|number| arn(number, REGIONS[10])).collect();
        let last = run.last_stop_of(&good);
        assert!(last <= 25.0, "{bad:?}: {last} s, {run}");
        // One failure for each account.
        assert_eq!(lookups(&run.report).len(), 40, "{bad:?}");
        assert_eq!(run.report.summary.stopped, 20, "{bad:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn accounts_whose_assume_role_hangs_once_are_not_lost_among_those_where_it_always_does() {
    let emulator = organization(60, last_region);
    let hanging: BTreeSet<usize> = (0..40).collect();
    let hangs = move |attempt: &Attempt| {
        let is_first = attempt.operation == ASSUME && attempt.number == 1;
        let hangs = is_first || assumes(attempt, &hanging);
        if hangs { Fate::Hangs } else { Fate::Passes }
    };
    let run = sweep_through(&emulator, hangs, &[TWO_REGIONS], 300).await;
    // Sixty first attempts and forty second ones, sixteen at once.
    let last = run.last_stop_of(&models(40..60, last_region));
    assert!(last <= 80.0, "{last} s, {run}");
}

#[tokio::test(start_paused = true)]
async fn if_no_first_attempt_to_assume_a_role_is_answered_thirty_accounts_take_two_rounds() {
    let emulator = organization(30, last_region);
    let first_hangs = |attempt: &Attempt| match (attempt.operation, attempt.number) {
        (ASSUME, 1) => Fate::Hangs,
        _ => Fate::Passes,
    };
    let troubled = Troubled::new(&emulator, first_hangs);
    let run = sweep(&emulator, &troubled, &[TWO_REGIONS], 300).await;
    // Sixteen at once.
    run.assert_all_stopped_within(30.0, "30 accounts");
    assert!(run.report.is_successful(), "{run}");
    assert!(troubled.most_in_flight(ASSUME, "us-east-1") <= 16);
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_entered_late_is_swept_like_the_others() {
    let emulator = organization(20, last_region);
    let late: BTreeSet<usize> = [3, 17].into();
    let fails = move |attempt: &Attempt| {
        let is_late = assumes(attempt, &late) && attempt.number <= 4;
        if is_late {
            Fate::Status(503)
        } else {
            Fate::Passes
        }
    };
    let run = sweep_through(&emulator, fails, &[TWO_REGIONS], 300).await;
    run.assert_all_stopped_within(20.0, "20 accounts");
    assert!(run.report.is_successful(), "{run}");
    let others = (0..20).filter(|number| ![3, 17].contains(number));
    let others: Vec<String> = others.map(|number| arn(number, REGIONS[10])).collect();
    assert!(run.last_stop_of(&others) <= 2.0, "{run}");
}

#[tokio::test(start_paused = true)]
async fn a_role_that_was_made_again_between_two_runs_is_assumed_anew_by_the_second() {
    let emulator = organization(3, last_region);
    // Nobody knows the sessions of the role that was deleted, which are those of the first run.
    let is_made_again = Arc::new(AtomicBool::new(false));
    let mut sessions: BTreeSet<String> = BTreeSet::new();
    let knows = {
        let is_made_again = Arc::clone(&is_made_again);
        move |attempt: &Attempt| {
            if !attempt.access_key.starts_with("ASIA") {
                return Fate::Passes;
            }
            if !is_made_again.load(Ordering::Relaxed) {
                sessions.insert(attempt.access_key.clone());
            } else if sessions.contains(&attempt.access_key) {
                return Fate::Refused(400, "UnrecognizedClientException");
            }
            Fate::Passes
        }
    };
    let troubled = Troubled::new(&emulator, knows);
    let handler = handler_with(&emulator, &[ROLE, TWO_REGIONS], in_process(troubled));
    let minute = Duration::from_secs(60);
    let dry_run = json!({"model_arns": [EVERYTHING], "dry_run": true});
    let first = Run::new(&handler, &emulator, &dry_run, minute).await;
    assert_eq!(outcomes(&first.report), ["would_stop"; 3]);
    is_made_again.store(true, Ordering::Relaxed);
    let second = Run::new(&handler, &emulator, &everything(), minute).await;
    assert_eq!(
        outcomes(&second.report),
        ["stopped"; 3],
        "{}",
        second.report.message
    );
    for number in 0..3 {
        assert_eq!(emulator.assume_role_count(&account(number)), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_signature_of_sts_or_organizations_is_retried_once_and_then_final() {
    for (operation, code) in [
        (ASSUME, "SignatureDoesNotMatch"),
        (ACCOUNTS, "InvalidSignatureException"),
    ] {
        for refusals in [1, 2] {
            let emulator = organization(1, first_region);
            let refused = move |attempt: &Attempt| {
                let is_one = attempt.operation == operation && attempt.of_operation <= refusals;
                if is_one {
                    Fate::Refused(403, code)
                } else {
                    Fate::Passes
                }
            };
            let troubled = Troubled::new(&emulator, refused);
            let run = sweep(&emulator, &troubled, &[TWO_REGIONS], 60).await;
            let case = format!("{operation}, {refusals} refusals");
            let summary = &run.report.summary;
            let failed = refusals - 1;
            assert_eq!(summary.failed_lookups, failed, "{case}");
            assert_eq!(summary.stopped, 1 - failed, "{case}");
            let attempts = troubled.attempts();
            let made = attempts.iter().filter(|(it, _)| it.operation == operation);
            assert_eq!(made.count(), 2, "{case}");
            assert!(run.took <= 8.0, "{case}: {run}");
            let message = run.report.message.clone();
            assert_eq!(message.contains(code), refusals == 2, "{case}: {message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_date_of_sts_or_organizations_costs_no_account() {
    let ten_minutes = SystemTime::now() + Duration::from_secs(600);
    for operation in [ASSUME, ACCOUNTS] {
        let emulator = organization(45, last_region);
        // The call that follows is signed at a wrong time, and refused once.
        let mut is_refused = false;
        let wrong_once = move |attempt: &Attempt| {
            if attempt.operation != operation {
                return Fate::Passes;
            }
            if attempt.of_operation == 1 {
                return Fate::PassesDated(ten_minutes);
            }
            match std::mem::replace(&mut is_refused, true) {
                false => Fate::Refused(403, "SignatureDoesNotMatch"),
                true => Fate::Passes,
            }
        };
        let run = sweep_through(&emulator, wrong_once, &[TWO_REGIONS], 60).await;
        assert_eq!(run.report.summary.stopped, 45, "{operation}: {run}");
        assert!(run.report.is_successful(), "{operation}: {run}");
        run.assert_all_stopped_within(8.0, &operation.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn regions_that_hang_have_eight_calls_each_and_leave_room_for_those_that_respond() {
    let emulator = organization(30, last_region);
    let hangs = |attempt: &Attempt| match is_in_first_regions(attempt, 10) {
        true => Fate::Hangs,
        false => Fate::Passes,
    };
    let troubled = Troubled::new(&emulator, hangs);
    let run = sweep(&emulator, &troubled, &[("MAX_CONCURRENCY", "64")], 60).await;
    run.assert_all_stopped_within(3.0, "30 accounts");
    for region in &REGIONS[..10] {
        let most = troubled.most_in_flight(Operation::DescribeProjects, region);
        assert_eq!(most, 8, "{region}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_that_hangs_is_told_of_with_every_other_that_was_not_reached() {
    let emulator = organization(5, last_region);
    let hangs = |attempt: &Attempt| match attempt.operation {
        ASSUME => Fate::Hangs,
        _ => Fate::Passes,
    };
    let run = sweep_through(&emulator, hangs, &[TWO_REGIONS], 25).await;
    let failed = lookups(&run.report);
    assert_eq!(failed.len(), 5, "{run}");
    let codes: BTreeSet<&str> = failed.into_iter().map(|(_, code)| code).collect();
    assert_eq!(codes, ["DeadlineExceeded"].into());
    assert!(run.took < 25.0, "{run}");
}

#[tokio::test(start_paused = true)]
async fn accounts_are_swept_while_the_rest_of_their_list_has_yet_to_be_read() {
    let emulator = organization(45, last_region);
    // The last of three pages, twice. The function's own account is the first of the list.
    let hangs = |attempt: &Attempt| match attempt.operation {
        ACCOUNTS if [3, 4].contains(&attempt.of_operation) => Fate::Hangs,
        _ => Fate::Passes,
    };
    let run = sweep_through(&emulator, hangs, &[TWO_REGIONS], 300).await;
    let last = run.last_stop_of(&models(0..35, last_region));
    assert!(last <= 2.0, "{last} s, {run}");
    run.assert_all_stopped_within(27.0, "45 accounts");
    assert!(run.report.is_successful(), "{run}");
}

#[tokio::test(start_paused = true)]
async fn ten_accounts_whose_assume_role_is_always_throttled_slow_down_the_ninety_others_little() {
    let emulator = organization(100, last_region);
    let throttled: BTreeSet<usize> = (0..10).collect();
    let fails = move |attempt: &Attempt| match assumes(attempt, &throttled) {
        true => Fate::Throttled,
        false => Fate::Passes,
    };
    let run = sweep_through(&emulator, fails, &[TWO_REGIONS], 120).await;
    let last = run.last_stop_of(&models(10..100, last_region));
    assert!(last <= 25.0, "{last} s, {run}");
    assert_eq!(lookups(&run.report).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn accounts_that_hang_slow_down_no_account_that_has_work_for_half_a_minute() {
    // A quota of five a second for a hundred models, in a region in which twenty accounts hang.
    let emulator = organization(40, last_region);
    let many: Vec<String> = (0..100)
        .map(|number| arn(30, REGIONS[10]).replace("/v1/", &format!("/v{number:03}/")))
        .collect();
    for arn in &many {
        emulator.add_model(running(arn));
    }
    emulator.set_quota(Some(Quota::per_second(5.0).for_each_operation()));
    for number in 0..20 {
        emulator.add_fault(Fault::hang().account(&account(number)));
    }
    let run = sweep_plainly(&emulator, &[TWO_REGIONS], 180).await;
    let last = run.last_stop_of(&many);
    assert!(last <= 60.0, "{last} s, {run}");
    let others = run.last_stop_of(&models(20..40, last_region));
    assert!(others <= 60.0, "{others} s, {run}");
}

#[tokio::test(start_paused = true)]
async fn regions_that_take_nine_seconds_a_call_are_swept_and_leave_turns_to_the_one_that_does_not()
{
    let emulator = organization(50, |number| REGIONS[[10, number % 10][number % 2]]);
    for region in &REGIONS[..10] {
        for operation in [
            Operation::DescribeProjects,
            Operation::DescribeProjectVersions,
            Operation::ListTagsForResource,
            Operation::StopProjectVersion,
        ] {
            let nine_seconds = Fault::delay(Duration::from_secs(9));
            emulator.add_fault(nine_seconds.operation(operation).region(region));
        }
    }
    let run = sweep_plainly(&emulator, &[], 300).await;
    let fast = (0..50).filter(|number| number % 2 == 0);
    let fast: Vec<String> = fast.map(|number| arn(number, REGIONS[10])).collect();
    let last = run.last_stop_of(&fast);
    assert!(last <= 60.0, "{last} s, {run}");
    // Five hundred lists of nine seconds, 128 at once, and three calls more for each model.
    run.assert_all_stopped_within(150.0, "50 accounts");
    assert!(run.report.is_successful(), "{run}");
}

#[tokio::test(start_paused = true)]
async fn if_a_tenth_of_all_attempts_hang_and_a_tenth_fail_sixty_accounts_are_swept() {
    for seed in 0..3 {
        let emulator = organization(60, last_region);
        let mut failures: BTreeMap<String, usize> = BTreeMap::new();
        let goes_wrong = move |attempt: &Attempt| {
            let fate = match () {
                () if picked(2 * seed, 0.1, attempt) => Fate::Hangs,
                () if picked(2 * seed + 1, 0.1, attempt) => FAILURES[attempt.of_operation % 4],
                () => return Fate::Passes,
            };
            // At most two in a row of a call.
            let call = format!(
                "{} {} {}",
                attempt.access_key, attempt.operation, attempt.body
            );
            let failures = failures.entry(call).or_default();
            *failures += 1;
            if *failures > 2 { Fate::Passes } else { fate }
        };
        let run = sweep_through(&emulator, goes_wrong, &[TWO_REGIONS], 600).await;
        let case = format!("seed {seed}");
        run.assert_all_stopped_within(90.0, &case);
        assert_eq!(run.report.summary.stopped, 60, "{case}");
        assert!(run.report.is_successful(), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn lists_of_units_whose_first_attempts_fail_or_hang_are_read_to_their_end() {
    let units = ["ou-emul-11111111", "ou-emul-22222222", "ou-emul-33333333"];
    for (failure, bar) in [
        (Fate::Status(503), 8.0),
        (Fate::Throttled, 8.0),
        (Fate::Hangs, 45.0),
    ] {
        let emulator = organization(6, last_region);
        let mut parent = None;
        for (unit, number) in units.into_iter().zip(0..) {
            let mut added = OrganizationalUnit::new(unit);
            if let Some(parent) = parent {
                added = added.parent(parent);
            }
            emulator.add_organizational_unit(added);
            parent = Some(unit);
            for number in [number, 3 + number] {
                emulator.add_account(Account::new(&account(number)).parent(unit));
            }
        }
        let first = move |attempt: &Attempt| {
            let is_list = attempt.operation.service() == Service::Organizations;
            if is_list && attempt.number == 1 {
                failure
            } else {
                Fate::Passes
            }
        };
        let variables = [TWO_REGIONS, ("ORGANIZATIONAL_UNITS", units[0])];
        let run = sweep_through(&emulator, first, &variables, 300).await;
        let case = format!("{failure:?}");
        run.assert_all_stopped_within(bar, &case);
        assert_eq!(run.report.summary.stopped, 6, "{case}");
        assert_eq!(run.report.summary.accounts, 6, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_hangs_in_one_region_leaves_the_process_room_for_the_others() {
    for max_concurrency in ["8", "64"] {
        // Two more models in each account, whose tags hang; and the region responds to all else.
        let emulator = organization(150, last_region);
        let mut hanging = Vec::new();
        for number in 0..150 {
            for version in ["/v1/", "/v2/"] {
                hanging.push(arn(number, REGIONS[0]).replace("/v1/", version));
            }
        }
        hanging
            .iter()
            .for_each(|arn| emulator.add_model(running(arn)));
        let hangs = |attempt: &Attempt| {
            let is_one = attempt.operation == Operation::ListTagsForResource;
            let hangs = is_one && attempt.region == REGIONS[0];
            if hangs { Fate::Hangs } else { Fate::Passes }
        };
        let variables = [TWO_REGIONS, ("MAX_CONCURRENCY", max_concurrency)];
        let run = sweep_through(&emulator, hangs, &variables, 120).await;
        let last = run.last_stop_of(&models(0..150, last_region));
        assert!(last <= 30.0, "{max_concurrency}: {last} s, {run}");
        assert_eq!(run.report.summary.stopped, 150, "{run}");
        assert_eq!(run.left.len(), 300, "{run}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_hangs_in_most_accounts_leaves_turns_to_an_account_where_it_does_not() {
    let emulator = organization(70, last_region);
    let many: Vec<String> = (0..100)
        .map(|number| arn(69, REGIONS[10]).replace("/v1/", &format!("/v{number:03}/")))
        .collect();
    for number in 0..69 {
        for version in ["/v2/", "/v3/"] {
            emulator.add_model(running(&arn(number, REGIONS[10]).replace("/v1/", version)));
        }
    }
    many.iter().for_each(|arn| emulator.add_model(running(arn)));
    let account = account(69);
    let hangs = move |attempt: &Attempt| {
        let is_one = attempt.operation == Operation::ListTagsForResource;
        let hangs = is_one && !attempt.body.contains(&account);
        if hangs { Fate::Hangs } else { Fate::Passes }
    };
    let run = sweep_through(&emulator, hangs, &[TWO_REGIONS], 120).await;
    let last = run.last_stop_of(&many);
    assert!(last <= 30.0, "{last} s, {run}");
    assert_eq!(run.report.summary.stopped, 101, "{run}");
}

#[tokio::test(start_paused = true)]
async fn operations_that_fail_or_hang_for_good_in_some_accounts_hold_up_no_other_account() {
    const BROKEN: [Operation; 3] = [
        Operation::DescribeProjectVersions,
        Operation::ListTagsForResource,
        Operation::StopProjectVersion,
    ];
    for seed in 0..4 {
        let emulator = organization(100, last_region);
        let mut chance = fastrand::Rng::with_seed(seed);
        // An operation is broken in a third of the accounts.
        let mut broken: BTreeMap<(String, Operation), Fate> = BTreeMap::new();
        let mut healthy = Vec::new();
        for number in 0..100 {
            let more = ["/v2/", "/v3/"];
            let more = more.map(|it| arn(number, REGIONS[10]).replace("/v1/", it));
            // One has to be stopped at once, and the others when something hangs already.
            for arn in &more {
                let takes = Duration::from_secs(12);
                emulator.add_model(model(arn, "STARTING").start_takes(takes));
            }
            let kinds = [Fate::Hangs, Fate::Hangs, Fate::Status(503), Fate::Throttled];
            match chance.usize(..9) {
                kind @ 0..3 => {
                    let fate = kinds[chance.usize(..kinds.len())];
                    broken.insert((account(number), BROKEN[kind]), fate);
                }
                _ => {
                    healthy.push(arn(number, REGIONS[10]));
                    healthy.extend(more);
                }
            }
        }
        let fails = move |attempt: &Attempt| {
            let account = attempt.body.split(':').nth(5).unwrap_or_default();
            let place = (account.to_owned(), attempt.operation);
            broken.get(&place).copied().unwrap_or(Fate::Passes)
        };
        let run = sweep_through(&emulator, fails, &[TWO_REGIONS], 120).await;
        let last = run.last_stop_of(&healthy);
        assert!(last <= 40.0, "seed {seed}: {last} s, {run}");
        let outcomes: BTreeMap<&str, &str> = (run.report.models.iter())
            .map(|model| (&*model.model_arn, outcome(model)))
            .collect();
        for arn in &healthy {
            assert_eq!(outcomes.get(&**arn), Some(&"stopped"), "seed {seed}: {arn}");
        }
    }
}
