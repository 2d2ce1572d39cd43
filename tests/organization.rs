//! Many accounts and regions: what wildcards match, in which role calls are made in each account,
//! and what an account's failure means.

mod support;

use std::time::Duration;

use rekognition_emulator::{
    Account, Builder, Emulator, Fault, ListEnd, Operation, OrganizationalUnit, Quota, Role,
};
use rekognition_stopper::handler::{Error, Response};
use rekognition_stopper::report::Report;
use serde_json::{Value, json};
use support::log::Log;
use support::{PLENTY, handler, invocation, invoke, lookups, outcomes, payload, report, running};
use tokio::time::Instant;

/// The function's own account, which is the organization's management account as well.
const OWN: &str = "123456789012";
const MEMBERS: [&str; 3] = ["111111111111", "222222222222", "333333333333"];
const EVERYTHING: &str = "arn:aws:rekognition:*:*:project/*/version/*/*";
const ROLE: (&str, &str) = ("MEMBER_ROLE", "audit/stopper-member");
const REGIONS: (&str, &str) = ("REGIONS", "us-east-1, eu-west-1");

fn role_arn(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/audit/stopper-member")
}

fn role(account: &str) -> Role {
    let role = Role::new(&role_arn(account)).unwrap();
    role.trusts(&format!("arn:aws:iam::{OWN}:role/stopper"))
}

fn arn(account: &str, region: &str) -> String {
    format!("arn:aws:rekognition:{region}:{account}:project/shelf/version/v1/1700000000000")
}

/// An organization of these accounts and the function's own, with a running model in each account
/// and region.
fn organization(accounts: &[&str]) -> Builder {
    let mut builder = Emulator::builder().organization_account(Account::new(OWN));
    for account in accounts {
        builder = builder
            .organization_account(Account::new(account))
            .role(role(account));
    }
    for account in accounts.iter().chain(&[OWN]) {
        for region in ["us-east-1", "eu-west-1"] {
            builder = builder.model(running(&arn(account, region)));
        }
    }
    builder
}

async fn sweep(emulator: &Emulator, variables: &[(&str, &str)], event: Value) -> Report {
    let variables = [&[ROLE, REGIONS], variables].concat();
    report(invoke(&handler(emulator, &variables), event, PLENTY).await)
}

async fn sweep_everything(emulator: &Emulator, variables: &[(&str, &str)]) -> Report {
    sweep(emulator, variables, json!({"model_arns": [EVERYTHING]})).await
}

fn reported(report: &Report) -> Vec<&str> {
    report
        .models
        .iter()
        .map(|model| &*model.model_arn)
        .collect()
}

/// The accounts in which models were stopped.
fn stopped_in(emulator: &Emulator) -> Vec<String> {
    let statuses = emulator.statuses();
    let stopped = statuses.iter().filter(|(_, status)| *status != "RUNNING");
    let mut accounts: Vec<String> = stopped
        .map(|(arn, _)| arn.split(':').nth(4).unwrap().to_owned())
        .collect();
    accounts.sort();
    accounts.dedup();
    accounts
}

#[tokio::test(start_paused = true)]
async fn a_pattern_matches_every_account_and_region_and_one_role_serves_an_account() {
    let emulator = organization(&MEMBERS).start().await.unwrap();
    let report = sweep_everything(&emulator, &[]).await;
    assert_eq!(outcomes(&report), ["stopped"; 8]);
    assert_eq!(report.summary.accounts, 4);
    for account in MEMBERS {
        assert_eq!(emulator.assume_role_count(account), 1);
    }
    // Calls in the function's own account are made as the function itself.
    assert_eq!(emulator.assume_role_count(OWN), 0);
    let calls = emulator.calls();
    let stops = calls
        .iter()
        .filter(|call| call.operation == Operation::StopProjectVersion);
    for stop in stops {
        assert!(stop.resources[0].contains(&stop.account), "{stop:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_run_assumes_each_accounts_role_once_and_keeps_no_session_for_the_next() {
    let emulator = organization(&MEMBERS).start().await.unwrap();
    let handler = handler(&emulator, &[ROLE, REGIONS]);
    for run in 1..=3 {
        let event = json!({"model_arns": [EVERYTHING], "dry_run": true});
        let report = report(invoke(&handler, event, PLENTY).await);
        assert_eq!(outcomes(&report), ["would_stop"; 8], "run {run}");
        for account in MEMBERS {
            assert_eq!(emulator.assume_role_count(account), run);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_role_cannot_be_assumed_is_one_failure_and_the_others_are_swept() {
    let closed = MEMBERS[1];
    let trusts_another = Role::new(&role_arn(closed))
        .unwrap()
        .trusts("arn:aws:iam::9:role/other");
    let emulator = organization(&MEMBERS)
        .role(trusts_another)
        .start()
        .await
        .unwrap();
    let named = arn(closed, "us-east-1");
    let event = json!({"model_arns": [named, EVERYTHING]});
    let report = sweep(&emulator, &[], event).await;

    let failed = report
        .models
        .iter()
        .filter(|model| model.outcome.name() == "failed");
    let failed: Vec<&str> = failed.map(|model| &*model.model_arn).collect();
    assert_eq!(failed, [&named]);
    let pattern = format!("arn:aws:rekognition:*:{closed}:project/*/version/*/*");
    assert_eq!(lookups(&report), [(&*pattern, "AccountUnreachable")]);
    assert_eq!(report.summary.stopped, 6);
    assert_eq!(emulator.assume_role_count(closed), 1);
    let message = report.message.clone();
    for (name, count) in [(&named, "1 of 7 models"), (&pattern, "1 lookup failed")] {
        let role_arn = role_arn(closed);
        let unreachable = format!("{name} (AccountUnreachable: {role_arn} could not be assumed");
        assert!(message.contains(&unreachable), "{message}");
        assert!(message.contains(count), "{message}");
    }
    assert!(message.contains("AccessDenied"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_hangs_does_not_hold_up_others_and_fails_at_the_deadline() {
    let hanging = role_arn(MEMBERS[0]);
    let fault = Fault::hang()
        .operation(Operation::AssumeRole)
        .resource(&hanging);
    let emulator = organization(&MEMBERS).fault(fault).start().await.unwrap();
    let begun = Instant::now();
    let report = sweep_everything(&emulator, &[]).await;
    let pattern = format!("arn:aws:rekognition:*:{}:project/*/version/*/*", MEMBERS[0]);
    assert_eq!(lookups(&report), [(&*pattern, "DeadlineExceeded")]);
    assert_eq!(report.summary.failed, 0);
    assert_eq!(report.summary.stopped, 6);
    let calls = emulator.calls();
    let stops = calls
        .iter()
        .filter(|call| call.operation == Operation::StopProjectVersion);
    let last = stops.map(|stop| stop.at).max().unwrap();
    assert!(last - begun < Duration::from_secs(2), "{:?}", last - begun);
}

#[tokio::test(start_paused = true)]
async fn a_region_that_hangs_is_a_separate_failure_for_each_account() {
    let fault = Fault::hang().region("eu-west-1");
    let emulator = organization(&MEMBERS[..2])
        .fault(fault)
        .start()
        .await
        .unwrap();
    let report = sweep_everything(&emulator, &[]).await;
    let expected = [MEMBERS[0], OWN, MEMBERS[1]].map(|account| arn(account, "us-east-1"));
    let failed = [MEMBERS[0], OWN, MEMBERS[1]]
        .map(|account| format!("arn:aws:rekognition:eu-west-1:{account}:project/*/version/*/*"));
    assert_eq!(reported(&report), expected);
    let failed = failed.iter().map(|it| (&**it, "DeadlineExceeded"));
    assert_eq!(lookups(&report), Vec::from_iter(failed));
    assert_eq!(report.summary.stopped, 3);
}

#[tokio::test(start_paused = true)]
async fn a_region_that_hangs_in_two_hundred_accounts_does_not_hold_up_others() {
    let accounts: Vec<String> = (0..200)
        .map(|number| format!("{:012}", 1000 + number))
        .collect();
    let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    let fault = Fault::hang().region("eu-west-1");
    let emulator = organization(&accounts).fault(fault).start().await.unwrap();
    let begun = Instant::now();
    let report = sweep_everything(&emulator, &[]).await;
    let summary = &report.summary;
    assert_eq!((summary.stopped, summary.failed_lookups), (201, 201));
    let message = report.message.clone();
    // Those that were attempted have one reason, and those that were not another.
    let beginning = "No model failed. 201 lookups failed: \
                     arn:aws:rekognition:eu-west-1:000000001000:project/*/version/*/* and ";
    assert!(message.starts_with(beginning), "{message}");
    let reasons = message.matches(" more (DeadlineExceeded: ").count();
    assert_eq!(reasons, 2, "{message}");
    let calls = emulator.calls();
    let stops = calls
        .iter()
        .filter(|call| call.operation == Operation::StopProjectVersion);
    let last = stops.map(|stop| stop.at).max().unwrap();
    assert!(last - begun < Duration::from_secs(5), "{:?}", last - begun);
}

#[tokio::test(start_paused = true)]
async fn patterns_that_match_nothing_in_the_accounts_of_a_request_are_not_unmatched() {
    let emulator = organization(&MEMBERS).start().await.unwrap();
    let log = Log::new("JSON", "INFO");
    let typo = "arn:aws:rekognition:*:*:project/shlef/version/*/*";
    let event = json!({"model_arns": [EVERYTHING, typo], "accounts": [MEMBERS[0]]});
    let report = sweep(&emulator, &[], event).await;
    assert_eq!(outcomes(&report), ["stopped"; 2]);
    assert!(report.unmatched_patterns.is_empty());
    assert!(log.of_level("WARN").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_plan_without_an_account_is_an_error() {
    let emulator = organization(&MEMBERS).start().await.unwrap();
    let nowhere = "arn:aws:rekognition:*:99*:project/*/version/*/*";
    let event = json!({"model_arns": [nowhere], "accounts_per_run": 25});
    let error = plan(&emulator, &event).await.unwrap_err();
    assert_eq!(error.error_type(), "NotPlanned");
    assert!(
        error.to_string().contains("ORGANIZATIONAL_UNITS"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn accounts_that_are_excluded_or_not_active_are_skipped_and_logged() {
    let suspended = "444444444444";
    let emulator = organization(&MEMBERS)
        .organization_account(Account::new(suspended).state("SUSPENDED"))
        .model(running(&arn(suspended, "us-east-1")))
        .start()
        .await
        .unwrap();
    let log = Log::new("JSON", "INFO");
    let named = arn(MEMBERS[0], "us-east-1");
    let variables = [("EXCLUDED_ACCOUNTS", "111111111111 222222222222")];
    // Exclusions apply to wildcards only.
    let event = json!({"model_arns": [EVERYTHING, named]});
    let report = sweep(&emulator, &variables, event).await;
    assert_eq!(report.summary.stopped, 5);
    assert_eq!(report.summary.failed, 0);
    assert_eq!(emulator.status(&named).unwrap(), "STOPPED");
    assert_eq!(
        emulator.status(&arn(MEMBERS[0], "eu-west-1")).unwrap(),
        "RUNNING"
    );
    let info = log.of_level("INFO");
    let skipped = info
        .iter()
        .filter(|line| line["message"] == "account skipped");
    let skipped: Vec<(&str, &str)> = skipped
        .map(|line| {
            (
                line["account"].as_str().unwrap(),
                line["reason"].as_str().unwrap(),
            )
        })
        .collect();
    let excluded = "it is in EXCLUDED_ACCOUNTS";
    let expected = [
        (MEMBERS[0], excluded),
        (MEMBERS[1], excluded),
        (suspended, "it is SUSPENDED"),
    ];
    assert_eq!(skipped, expected);
}

#[tokio::test(start_paused = true)]
async fn organizational_units_include_everything_under_them() {
    let emulator = organization(&[])
        .organizational_unit(OrganizationalUnit::new("ou-emul-11111111"))
        .organizational_unit(OrganizationalUnit::new("ou-emul-22222222").parent("ou-emul-11111111"))
        .organizational_unit(OrganizationalUnit::new("ou-emul-33333333").parent("ou-emul-22222222"))
        .organization_account(Account::new(MEMBERS[0]).parent("ou-emul-11111111"))
        .organization_account(Account::new(MEMBERS[1]).parent("ou-emul-33333333"))
        .organization_account(Account::new(MEMBERS[2]))
        .models(MEMBERS.map(|account| running(&arn(account, "us-east-1"))))
        .role(role(MEMBERS[0]))
        .role(role(MEMBERS[1]))
        .role(role(MEMBERS[2]))
        .empty_pages(true)
        .start()
        .await
        .unwrap();
    // The third is under the second: nothing is listed twice.
    let units = [("ORGANIZATIONAL_UNITS", "ou-emul-11111111,ou-emul-33333333")];
    let report = sweep_everything(&emulator, &units).await;
    assert_eq!(outcomes(&report), ["stopped"; 2]);
    assert_eq!(stopped_in(&emulator), &MEMBERS[..2]);
    assert_eq!(report.summary.accounts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_unit_that_does_not_exist_fails_the_pattern_and_what_was_listed_is_swept() {
    let emulator = organization(&[])
        .organizational_unit(OrganizationalUnit::new("ou-emul-11111111"))
        .organization_account(Account::new(MEMBERS[0]).parent("ou-emul-11111111"))
        .model(running(&arn(MEMBERS[0], "us-east-1")))
        .role(role(MEMBERS[0]))
        .start()
        .await
        .unwrap();
    let units = [("ORGANIZATIONAL_UNITS", "ou-emul-11111111 ou-emul-99999999")];
    let report = sweep_everything(&emulator, &units).await;
    assert_eq!(outcomes(&report), ["stopped"]);
    let failed = [(EVERYTHING, "ParentNotFoundException")];
    assert_eq!(lookups(&report), failed);
    let message = report.message.clone();
    assert!(message.contains("ou-emul-99999999"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn without_an_organization_the_pattern_fails_and_literal_entries_are_stopped() {
    let own = arn(OWN, "us-east-1");
    let other = arn(MEMBERS[0], "us-east-1");
    let emulator = Emulator::builder()
        .models([running(&own), running(&other)])
        .role(role(MEMBERS[0]));
    let emulator = emulator.start().await.unwrap();
    let event = json!({"model_arns": [EVERYTHING, own, other]});
    let report = sweep(&emulator, &[], event).await;
    assert_eq!(outcomes(&report), ["stopped", "stopped"]);
    let failed = [(EVERYTHING, "AWSOrganizationsNotInUseException")];
    assert_eq!(lookups(&report), failed);
}

#[tokio::test(start_paused = true)]
async fn a_wildcard_in_the_account_needs_a_member_role() {
    let emulator = organization(&MEMBERS).start().await.unwrap();
    let handler = handler(&emulator, &[REGIONS]);
    let event = json!({"model_arns": [EVERYTHING]});
    let report = report(invoke(&handler, event, PLENTY).await);
    assert_eq!(outcomes(&report), ["InvalidModelArn"]);
    assert!(report.message.contains("MEMBER_ROLE"), "{report:?}");
    assert!(emulator.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_external_id_is_sent_with_the_role() {
    let account = MEMBERS[0];
    let role = role(account).external_id("nightly-stop");
    let emulator = organization(&[])
        .organization_account(Account::new(account))
        .role(role);
    let emulator = emulator
        .model(running(&arn(account, "us-east-1")))
        .start()
        .await
        .unwrap();
    let report = sweep_everything(&emulator, &[]).await;
    assert!(
        report.message.contains("(AccountUnreachable: "),
        "{report:?}"
    );
    let report = sweep_everything(&emulator, &[("MEMBER_EXTERNAL_ID", "nightly-stop")]).await;
    assert_eq!(outcomes(&report), ["stopped"]);
}

#[tokio::test(start_paused = true)]
async fn accounts_of_the_request_narrow_the_wildcard_and_unknown_ones_are_a_warning() {
    let emulator = organization(&MEMBERS).start().await.unwrap();
    let log = Log::new("JSON", "INFO");
    let event = json!({
        "model_arns": [EVERYTHING, arn(MEMBERS[0], "us-east-1"), "nonsense"],
        "accounts": [MEMBERS[1], "999999999999"],
    });
    let report = sweep(&emulator, &[], event).await;
    assert_eq!(outcomes(&report), ["stopped", "stopped"]);
    assert_eq!(stopped_in(&emulator), [MEMBERS[1]]);
    let warnings = log.of_level("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["account"], "999999999999");
}

#[tokio::test(start_paused = true)]
async fn an_account_that_is_named_and_that_a_wildcard_matches_is_swept_once() {
    let emulator = organization(&MEMBERS).start().await.unwrap();
    let named = arn(MEMBERS[0], "us-east-1");
    let of_account = format!(
        "arn:aws:rekognition:*:{}:project/sh*/version/*/*",
        MEMBERS[0]
    );
    let event = json!({"model_arns": [EVERYTHING, of_account, named]});
    let report = sweep(&emulator, &[], event).await;
    assert_eq!(outcomes(&report), ["stopped"; 8]);
    // A model is listed at its own ARN, and one that only patterns found at the first of them.
    assert_eq!(reported(&report)[7], named);
    assert_eq!(emulator.count(Operation::StopProjectVersion), 8);
    assert_eq!(emulator.assume_role_count(MEMBERS[0]), 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_of_accounts_that_is_throttled_is_read_to_its_end() {
    let accounts: Vec<String> = (0..45)
        .map(|number| format!("{:012}", 200 + number))
        .collect();
    let accounts: Vec<&str> = accounts.iter().map(String::as_str).collect();
    let quota = Quota::per_second(1.0).burst(1);
    let emulator = organization(&accounts)
        .operation_quota(Operation::ListAccounts, quota)
        .start()
        .await
        .unwrap();
    let report = sweep_everything(&emulator, &[]).await;
    assert_eq!(report.summary.stopped, 92);
    assert_eq!(report.summary.accounts, 46);
}

#[tokio::test(start_paused = true)]
async fn an_empty_token_ends_a_list_of_accounts_and_one_that_repeats_fails_it() {
    for (end, calls, is_successful) in [
        (ListEnd::EmptyToken, 1..=1, true),
        (ListEnd::RepeatedToken, 2..=50, false),
    ] {
        let emulator = organization(&MEMBERS).start().await.unwrap();
        emulator.set_list_end(Operation::ListAccounts, end);
        let report = sweep_everything(&emulator, &[("CONFIRM_STOPPED", "false")]).await;
        assert_eq!(report.summary.stopping, 8, "{end:?}");
        assert_eq!(report.is_successful(), is_successful, "{end:?}: {report:?}");
        let made = emulator.count(Operation::ListAccounts);
        assert!(calls.contains(&made), "{end:?}: {made} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pattern_that_matches_nothing_anywhere_is_in_the_report() {
    let emulator = organization(&MEMBERS).start().await.unwrap();
    let typo = "arn:aws:rekognition:*:*:project/shlef/version/*/*";
    let elsewhere = "arn:aws:rekognition:ap-*:*:project/*/version/*/*";
    let event = json!({"model_arns": [EVERYTHING, typo, elsewhere], "dry_run": true});
    let report = sweep(&emulator, &[], event).await;
    assert!(report.is_successful());
    assert_eq!(report.unmatched_patterns, [typo, elsewhere]);
}

/// The response to a request for a plan.
async fn plan(emulator: &Emulator, event: &Value) -> Result<Value, Error> {
    let handler = handler(emulator, &[ROLE, REGIONS]);
    match handler.invoke(payload(event), invocation(PLENTY)).await? {
        Response::Plan(plan) => Ok(serde_json::to_value(plan).unwrap()),
        Response::Report(report) => panic!("{report:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_requests_that_together_make_up_this_one() {
    let emulator = organization(&MEMBERS).start().await.unwrap();
    let named = arn(MEMBERS[0], "us-east-1");
    let event = json!({
        "model_arns": [EVERYTHING, named, "nonsense"],
        "dry_run": true,
        "accounts_per_run": 3,
    });
    let plan = plan(&emulator, &event).await.unwrap();
    let of_all = json!([EVERYTHING]);
    assert_eq!(
        plan,
        json!({"runs": [
            {"model_arns": [named, "nonsense"], "dry_run": true},
            {"model_arns": of_all, "dry_run": true, "accounts": [MEMBERS[0], OWN, MEMBERS[1]]},
            {"model_arns": of_all, "dry_run": true, "accounts": [MEMBERS[2]]},
        ]})
    );
    // No model is checked, and no role is assumed.
    let calls = emulator.calls();
    assert!(
        calls
            .iter()
            .all(|call| call.operation == Operation::ListAccounts),
        "{calls:?}"
    );

    // Each part is a valid request, and together they make up the run.
    let mut stopped = 0;
    for run in plan["runs"].as_array().unwrap() {
        let mut run = run.clone();
        run["dry_run"] = false.into();
        stopped += sweep(&emulator, &[], run).await.summary.stopped;
    }
    assert_eq!(stopped, 8);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_cannot_be_made_is_an_error_that_says_why() {
    let emulator = Emulator::builder().start().await.unwrap();
    let event = json!({"model_arns": [EVERYTHING], "accounts_per_run": 25});
    let error = plan(&emulator, &event).await.unwrap_err();
    assert_eq!(error.error_type(), "NotPlanned");
    let message = error.to_string();
    assert!(
        message.contains("AWSOrganizationsNotInUseException"),
        "{message}"
    );
}
