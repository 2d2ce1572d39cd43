//! The texts of a run for people, as the function returns them: `message` and `errorMessage`.
//! `src/text.rs` tests how they are made from a report.

mod support;

use std::time::Duration;

use rekognition_emulator::{Account, Builder, Emulator, Fault, FaultKind, Operation, Role};
use rekognition_stopper::handler::Response;
use serde_json::json;
use support::{
    OWN, PLENTY, emulator_in_process, handler_in_process, invocation, model, payload, running,
};

const SHELF: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit/version/v1/1759309953000";
const WELD: &str =
    "arn:aws:rekognition:eu-west-1:123456789012:project/weld-seams/version/v2/1787209319000";
const CAPS: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/bottle-caps/version/v9/1789404005000";
const GATE: &str = "arn:aws:rekognition:us-east-1:123456789012:project/gate/version/v1/17000000002";
const EVERYTHING: &str = "arn:aws:rekognition:*:*:project/*";
const ROLE: (&str, &str) = ("MEMBER_ROLE", "stopper-member");

/// Asserts that a run of this list, with these variables and five minutes, has this text, in which
/// `[...]` is whatever the service says.
async fn check(emulator: &Emulator, list: &[&str], variables: &[(&str, &str)], expected: &str) {
    let list = list.join(",");
    let variables = [&[("MODEL_ARNS", &*list)], variables].concat();
    let handler = handler_in_process(emulator, &variables);
    let invocation = invocation(5 * PLENTY);
    let text = match handler.invoke(payload(&json!({})), invocation).await {
        Ok(Response::Report(report)) => report.message,
        Ok(Response::Plan(plan)) => panic!("{plan:?}"),
        Err(error) => error.to_string(),
    };
    let form = regex::escape(expected).replace(r"\[\.\.\.\]", ".+");
    let form = regex::Regex::new(&format!("^{form}$")).unwrap();
    assert!(form.is_match(&text), "{text}\n\n{expected}");
}

/// An organization of accounts with these numbers besides the function's own.
fn organization(accounts: std::ops::Range<usize>) -> Builder {
    let own = Emulator::builder().organization_account(Account::new(OWN));
    accounts.fold(own, |organization, number| {
        let account = format!("{number:012}");
        let role = Role::new(&format!("arn:aws:iam::{account}:role/{}", ROLE.1)).unwrap();
        organization
            .organization_account(Account::new(&account))
            .role(role.trusts(&format!("arn:aws:iam::{OWN}:role/stopper")))
    })
}

#[tokio::test(start_paused = true)]
async fn a_night_of_two_models_one_that_is_kept_and_a_pattern_that_matches_nothing() {
    let kept = running(CAPS).tag("keep-running", "2999-12-24");
    let emulator = emulator_in_process([running(SHELF), running(WELD), kept]);
    let typo = "arn:aws:rekognition:us-east-1:123456789012:project/shelf-adit/*";
    let caps = "arn:aws:rekognition:us-east-1:123456789012:project/bottle-caps/*";
    let expected = format!(
        "2 models were stopped: {SHELF}; {WELD}. That is 2 inference units. 1 model was kept \
         running: {CAPS} (tag keep-running=2999-12-24). 1 pattern matches no model: {typo}."
    );
    check(&emulator, &[SHELF, WELD, caps, typo], &[], &expected).await;
    let expected = "No model was running.";
    check(&emulator, &[SHELF, WELD], &[], expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_of_two_models_with_a_price_one_of_them_with_auto_scaling() {
    let scaled = running(CAPS).inference_units(2).max_inference_units(5);
    let emulator = emulator_in_process([running(SHELF), scaled]);
    let variables = [("DRY_RUN", "true"), ("INFERENCE_UNIT_HOUR_PRICE", "4.00")];
    let everything = "arn:aws:rekognition:us-east-1:123456789012:project/*";
    let expected = format!(
        "This was a dry run; nothing was stopped. 2 models would be stopped: {CAPS}; {SHELF}. That \
         is at least 3 inference units, or at least 12.00 an hour."
    );
    check(&emulator, &[everything], &variables, &expected).await;
}

#[tokio::test(start_paused = true)]
async fn one_model_is_refused_and_another_has_a_typing_error() {
    let emulator = emulator_in_process([SHELF, WELD, CAPS].map(running));
    emulator.deny("rekognition:StopProjectVersion", Some(CAPS));
    let typo = "arn:aws:rekognition:us-east-1:123456789012:projects/weld-seams/*";
    let expected = format!(
        "2 of 4 models were not stopped: {CAPS} (AccessDeniedException: User: [...] is not \
         authorized to perform: rekognition:StopProjectVersion on resource: {CAPS} because no \
         identity-based policy allows the rekognition:StopProjectVersion action); {typo} \
         (InvalidModelArn: the resource `projects/weld-seams/*` should be [...])."
    );
    check(&emulator, &[SHELF, WELD, CAPS, typo], &[], &expected).await;
}

#[tokio::test(start_paused = true)]
async fn five_regions_are_denied_in_fifty_accounts_and_one_model_is_refused() {
    const DENIED: [&str; 5] = [
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
    ];
    const POLICY: &str = "User: arn:aws:sts::ACCOUNT:assumed-role/stopper-member/nightly is not \
                          authorized to perform: rekognition:DescribeProjects with an explicit \
                          deny in a service control policy";
    let emulator = organization(1..51).models([SHELF, CAPS].map(running));
    let emulator = emulator.in_process();
    for region in DENIED {
        let denied = FaultKind::Error {
            code: "AccessDeniedException".to_owned(),
            http_status: None,
            message: POLICY.to_owned(),
        };
        emulator.add_fault(Fault::new(denied).region(region));
    }
    emulator.deny("rekognition:StopProjectVersion", Some(CAPS));
    let expected = format!(
        "1 of 2 models was not stopped: {CAPS} (AccessDeniedException: User: [...]). 255 lookups \
         failed: arn:aws:rekognition:ap-northeast-1:000000000001:project/* and 254 more \
         (AccessDeniedException: {POLICY}). Leave out of REGIONS what a policy denies in many \
         accounts: {}.",
        DENIED.join(", ")
    );
    check(&emulator, &[EVERYTHING], &[ROLE], &expected).await;
}

#[tokio::test(start_paused = true)]
async fn an_account_is_unreachable() {
    let emulator = organization(1..3).organization_account(Account::new("222222222222"));
    let emulator = emulator.model(running(SHELF)).in_process();
    let named = SHELF.replace(OWN, "222222222222");
    let why = "(AccountUnreachable: arn:aws:iam::222222222222:role/stopper-member could not be \
               assumed (deploy it there, or exclude the account): AccessDenied: User: [...])";
    let expected = format!(
        "1 of 2 models was not stopped: {named} {why}. 1 lookup failed: \
         arn:aws:rekognition:*:222222222222:project/* {why}."
    );
    check(&emulator, &[EVERYTHING, &named], &[ROLE], &expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_comes_in_the_middle() {
    let starting = model(WELD, "STARTING").start_takes(Duration::MAX);
    let slow = running(CAPS).stop_takes(Duration::MAX);
    let emulator = emulator_in_process([running(SHELF), starting, slow, running(GATE)]);
    let hangs = Fault::hang().operation(Operation::StopProjectVersion);
    emulator.add_fault(hangs.resource(GATE));
    let dock = "arn:aws:rekognition:us-west-2:123456789012:project/dock/*";
    emulator.add_fault(Fault::hang().region("us-west-2"));
    let retried = "DeadlineExceeded: it was still being retried at the deadline; the last attempt \
                   failed with: no response in time";
    let expected = format!(
        "3 of 4 models were not stopped: {WELD} (StillStarting: it was STARTING when it was last \
         seen, 5 s before the deadline; a retry stops it; its status message: The model is being \
         started.); {CAPS} (NotConfirmed: its stop was accepted, but it was still STOPPING when it \
         was last seen, 5 s before the deadline; its status message: The model is being \
         stopped.); {GATE} ({retried}). 1 lookup failed: {dock} ({retried})."
    );
    check(&emulator, &[SHELF, WELD, CAPS, GATE, dock], &[], &expected).await;
}
