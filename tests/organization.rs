//! Many accounts and regions: what wildcards match, in which role calls are made in each account,
//! what an account's failure means, and plans. The nights over organizations try whatever may go
//! wrong.

mod support;

use std::collections::BTreeSet;

use aws_sdk_rekognition::config::Region;
use rekognition_emulator::{Account, Builder, Emulator, Fault, Operation, Role};
use rekognition_stopper::Handler;
use rekognition_stopper::aws::Aws;
use rekognition_stopper::handler::{Error, Response};
use rekognition_stopper::report::Report;
use serde_json::{Value, json};
use support::log::Log;
use support::wire::Wire;
use support::{
    OWN, PLENTY, handler_with, in_process, invocation, invoke, lookups, outcomes, payload,
    reported, run, running, settings,
};

const MEMBERS: [&str; 3] = ["111111111111", "222222222222", "333333333333"];
const SUSPENDED: &str = "444444444444";
const EVERYTHING: &str = "arn:aws:rekognition:*:*:project/*/version/*/*";
const ROLE: (&str, &str) = ("MEMBER_ROLE", "audit/stopper-member");
const REGIONS: (&str, &str) = ("REGIONS", "us-east-1, eu-west-1");

fn role_arn(account: &str) -> String {
    format!("arn:aws:iam::{account}:role/audit/stopper-member")
}

fn arn(account: &str, region: &str) -> String {
    format!("arn:aws:rekognition:{region}:{account}:project/shelf/version/v1/1700000000000")
}

/// An organization of the function's own account, which manages it, its members and one that is
/// suspended, with a running model in two regions of each.
fn organization() -> Builder {
    let mut builder = Emulator::builder()
        .organization_account(Account::new(OWN))
        .organization_account(Account::new(SUSPENDED).state("SUSPENDED"));
    for account in MEMBERS {
        let role = Role::new(&role_arn(account)).unwrap();
        builder = builder
            .organization_account(Account::new(account))
            .role(role.trusts(&format!("arn:aws:iam::{OWN}:role/stopper")));
    }
    for account in [&[OWN, SUSPENDED], &MEMBERS[..]].concat() {
        for region in ["us-east-1", "eu-west-1"] {
            builder = builder.model(running(&arn(account, region)));
        }
    }
    builder
}

async fn sweep(emulator: &Emulator, variables: &[(&str, &str)], event: Value) -> Report {
    run(emulator, &[&[ROLE, REGIONS], variables].concat(), event).await
}

#[tokio::test(start_paused = true)]
async fn a_pattern_matches_every_account_and_region_and_one_role_serves_an_account() {
    let emulator = organization().in_process();
    let report = sweep(&emulator, &[], json!({"model_arns": [EVERYTHING]})).await;
    assert_eq!(outcomes(&report), ["stopped"; 8]);
    assert_eq!(report.summary.accounts, 4);
    for account in MEMBERS {
        assert_eq!(emulator.assume_role_count(account), 1);
    }
    // Calls in the function's own account are made as the function itself.
    assert_eq!(emulator.assume_role_count(OWN), 0);
    let mut stops = emulator.calls();
    stops.retain(|call| call.operation == Operation::StopProjectVersion);
    for stop in stops {
        assert!(stop.resources[0].contains(&stop.account), "{stop:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_is_assumed_in_the_functions_own_region_wherever_the_models_are() {
    let emulator = organization().in_process();
    let config = in_process(Wire::new(&emulator)).into_builder();
    let config = config.region(Region::new("eu-central-1")).build();
    let handler = handler_with(&emulator, &[ROLE, REGIONS], config);
    let event = json!({"model_arns": [EVERYTHING]});
    let report = invoke(&handler, event, PLENTY).await.unwrap();
    assert_eq!(report.summary.stopped, 8);
    let mut calls = emulator.calls();
    calls.retain(|call| call.operation == Operation::AssumeRole);
    assert_eq!(calls.len(), MEMBERS.len());
    assert!(calls.iter().all(|call| call.region == "eu-central-1"));
}

#[tokio::test(start_paused = true)]
async fn an_account_whose_role_cannot_be_assumed_is_one_failure_and_the_others_are_swept() {
    let closed = MEMBERS[1];
    let trusts_another = Role::new(&role_arn(closed)).unwrap();
    let trusts_another = trusts_another.trusts("arn:aws:iam::9:role/other");
    let emulator = organization().role(trusts_another).in_process();
    let named = arn(closed, "us-east-1");
    let report = sweep(&emulator, &[], json!({"model_arns": [named, EVERYTHING]})).await;
    assert_eq!(reported(&report)[0], named);
    assert_eq!(outcomes(&report)[0], "AccountUnreachable");
    let pattern = format!("arn:aws:rekognition:*:{closed}:project/*/version/*/*");
    assert_eq!(lookups(&report), [(&*pattern, "AccountUnreachable")]);
    assert_eq!((report.summary.failed, report.summary.stopped), (1, 6));
    assert_eq!(emulator.assume_role_count(closed), 1);
}

#[tokio::test(start_paused = true)]
async fn accounts_that_are_excluded_or_not_active_are_skipped_and_logged() {
    let emulator = organization().in_process();
    let log = Log::new("JSON", "INFO");
    let named = arn(MEMBERS[0], "us-east-1");
    let elsewhere = arn(MEMBERS[1], "eu-west-2");
    emulator.add_model(running(&elsewhere));
    let literal = format!("arn:aws:rekognition:eu-west-2:{}:project/*", MEMBERS[1]);
    let variables = [("EXCLUDED_ACCOUNTS", "111111111111 222222222222")];
    let event = json!({"model_arns": [EVERYTHING, named, literal]});
    let report = sweep(&emulator, &variables, event).await;
    // Exclusions, and REGIONS, apply to wildcards only.
    let expected = [
        arn(OWN, "eu-west-1"),
        arn(MEMBERS[2], "eu-west-1"),
        arn(OWN, "us-east-1"),
        arn(MEMBERS[2], "us-east-1"),
        named,
        elsewhere,
    ];
    assert_eq!(reported(&report), expected);
    assert_eq!(outcomes(&report), ["stopped"; 6]);
    let skipped = log.lines_with("message", "account skipped");
    let skipped = skipped
        .iter()
        .map(|line| [&line["account"], &line["reason"]]);
    let excluded = "it is in EXCLUDED_ACCOUNTS";
    let expected = [
        [MEMBERS[0], excluded],
        [MEMBERS[1], excluded],
        [SUSPENDED, "it is SUSPENDED"],
    ];
    let mut skipped = Vec::from_iter(skipped);
    skipped.sort_by_key(|[account, _]| account.as_str());
    assert_eq!(skipped, expected);
}

#[tokio::test(start_paused = true)]
async fn accounts_of_the_request_narrow_the_wildcard_and_unknown_ones_are_a_warning() {
    let emulator = organization().in_process();
    let log = Log::new("JSON", "INFO");
    let typo = "arn:aws:rekognition:*:*:project/shlef/*";
    let event = json!({
        "model_arns": [EVERYTHING, typo, arn(MEMBERS[0], "us-east-1"), "nonsense"],
        "accounts": [MEMBERS[1], "999999999999"],
    });
    let report = sweep(&emulator, &[], event).await;
    let expected = ["eu-west-1", "us-east-1"].map(|region| arn(MEMBERS[1], region));
    assert_eq!(reported(&report), expected);
    assert_eq!(outcomes(&report), ["stopped"; 2]);
    // It might match in the other accounts.
    assert!(report.unmatched_patterns.is_empty());
    let warnings = log.lines_with("level", "WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0]["account"], "999999999999");
}

/// The response to a request for a plan, or its error. A plan has no metrics.
async fn plan(emulator: &Emulator, event: &Value) -> Result<Value, Error> {
    let aws = Aws::new(in_process(Wire::new(emulator)));
    let handler = Handler::new(settings(&[ROLE, REGIONS]), aws, |it| panic!("{it}"));
    let response = handler.invoke(payload(event), invocation(PLENTY)).await?;
    assert!(matches!(response, Response::Plan(_)));
    Ok(serde_json::to_value(response).unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_requests_that_together_make_up_this_one() {
    let [one, two, three] = MEMBERS;
    let some = "arn:aws:rekognition:*:?2*:project/*";
    let named = arn(one, "us-east-1");
    let of = |accounts: &[&str], entry: &str| {
        let entries = [entry];
        json!({"model_arns": entries, "dry_run": true, "accounts": accounts})
    };
    let literal = json!({"model_arns": [named, "nonsense"], "dry_run": true});
    for (mut event, accounts_per_run, runs) in [
        (
            json!({"model_arns": [EVERYTHING, named, "nonsense"]}),
            3,
            vec![
                literal.clone(),
                of(&[one, OWN, two], EVERYTHING),
                of(&[three], EVERYTHING),
            ],
        ),
        (literal.clone(), 25, vec![literal]),
        (
            json!({"model_arns": [some]}),
            1,
            vec![of(&[OWN], some), of(&[two], some)],
        ),
        (
            json!({"model_arns": [EVERYTHING, named], "accounts": [three, one, SUSPENDED]}),
            25,
            vec![of(&[one, three], EVERYTHING)],
        ),
    ] {
        let emulator = organization().in_process();
        event["dry_run"] = true.into();
        let whole = sweep(&emulator, &[], event.clone()).await;
        let calls = emulator.calls().len();
        event["accounts_per_run"] = accounts_per_run.into();
        let planned = plan(&emulator, &event).await.unwrap();
        assert_eq!(planned, json!({ "runs": runs }));
        // No model is checked, and no role is assumed.
        let calls = emulator.calls().split_off(calls);
        let mut operations = calls.iter().map(|call| call.operation);
        assert!(
            operations.all(|it| it == Operation::ListAccounts),
            "{calls:?}"
        );
        // Each part is a dry run exactly if the whole is one.
        event["dry_run"] = false.into();
        let wet = plan(&emulator, &event).await.unwrap().to_string();
        assert_eq!(wet, planned.to_string().replace("true", "false"));

        let mut parts = BTreeSet::new();
        for run in runs {
            let part = sweep(&emulator, &[], run).await;
            parts.extend(reported(&part).into_iter().map(str::to_owned));
        }
        assert!(
            parts.iter().eq(&BTreeSet::from_iter(reported(&whole))),
            "{parts:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_cannot_be_made_is_an_error_that_says_why() {
    let nowhere = EVERYTHING.replace("*:*", "*:99*");
    let alone = Emulator::builder().in_process();
    // What was listed by the deadline is not taken for all.
    let slow = organization().in_process();
    slow.set_page_size(2);
    let hangs = Fault::hang().operation(Operation::ListAccounts);
    slow.add_fault(hangs.page(2));
    for (emulator, pattern, why) in [
        (alone, EVERYTHING, "AWSOrganizationsNotInUseException"),
        (slow, EVERYTHING, "could not be listed: DeadlineExceeded"),
        (
            organization().in_process(),
            &nowhere,
            "ORGANIZATIONAL_UNITS",
        ),
    ] {
        let event = json!({"model_arns": [pattern], "accounts_per_run": 25});
        let error = plan(&emulator, &event).await.unwrap_err();
        assert_eq!(error.error_type(), "NotPlanned");
        assert!(error.to_string().contains(why), "{error}");
    }
}
