//! The examples of what the program prints: in the documentation, what follows a mark `<!-- output:
//! NAME -->` is the output of a run, except for white space. Of an email, that is the function's
//! own text; the end-to-end test compares what the template puts around it.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use regex::Regex;
use rekognition_emulator::{Emulator, Fault, FaultKind, Model, Operation, StartEvent, Starter};
use rekognition_stopper::handler::Response;
use serde_json::{Value, json};
use support::log::Log;
use support::{
    PLENTY, emulator_in_process, handler_in_process, invocation, model, payload, running,
};

const SHELF: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit/version/v1/1759309953000";
const KEPT: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit/version/v2/1759396353000";
const WELD: &str =
    "arn:aws:rekognition:eu-west-1:123456789012:project/weld-seams/version/v2/1787209319000";
const CAPS: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/bottle-caps/version/v9/1789404005000";
const DOCK: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/dock/version/v1/1787300000000";
const GATE: &str = "arn:aws:rekognition:us-east-1:123456789012:project/gate/version/v1/17000000002";
/// All versions of a project, and of one that is misspelled.
const AUDITS: &str = "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit/*";
const TYPO: &str = "arn:aws:rekognition:us-east-1:123456789012:project/shelf-adit/*";

const DRY: (&str, &str) = ("DRY_RUN", "true");
const PRICE: (&str, &str) = ("INFERENCE_UNIT_HOUR_PRICE", "4.00");
const STARTS: (&str, &str) = ("FIND_STARTS", "true");

/// All pages.
fn documentation() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(root.join("docs")).unwrap();
    let docs = docs.map(|file| file.unwrap().path());
    let pages = docs.filter(|file| file.extension().is_some_and(|it| it == "md"));
    let pages = pages.chain([root.join("README.md")]);
    pages
        .map(|page| fs::read_to_string(page).unwrap())
        .collect()
}

/// The example with this name.
fn example(name: &str) -> String {
    let documentation = documentation();
    let mark = format!("<!-- output: {name} -->\n```");
    let (_, rest) = documentation.split_once(&mark).expect(name);
    let (_, block) = rest.split_once('\n').unwrap();
    block.split("\n```").next().unwrap().to_owned()
}

fn without_spaces(text: &str) -> String {
    text.split_whitespace().collect()
}

/// What a run of these entries responds.
async fn run(
    emulator: &Emulator,
    variables: &[(&str, &str)],
    entries: &[&str],
) -> Result<Value, String> {
    let list = entries.join(" ");
    let variables = [&[("MODEL_ARNS", &*list)], variables].concat();
    let handler = handler_in_process(emulator, &variables);
    let result = handler
        .invoke(payload(&json!({})), invocation(PLENTY))
        .await;
    match result {
        Ok(Response::Report(report)) => Ok(serde_json::to_value(report).unwrap()),
        Ok(Response::Plan(plan)) => panic!("{plan:?}"),
        Err(error) => Err(error.to_string()),
    }
}

/// The text of such a run.
async fn text(emulator: &Emulator, variables: &[(&str, &str)], entries: &[&str]) -> String {
    match run(emulator, variables, entries).await {
        Ok(report) => report["message"].as_str().unwrap().to_owned(),
        Err(message) => message,
    }
}

/// An emulator of these models, the first of which alice started 61.3 hours ago.
fn started(models: impl IntoIterator<Item = Model>) -> Emulator {
    let ago = Duration::from_secs(3600) * 613 / 10;
    let start = StartEvent::new(SHELF, Starter::User("alice".to_owned()), ago).unwrap();
    let builder = Emulator::builder().models(models).starts([start]);
    builder.in_process()
}

fn kept() -> Model {
    running(KEPT).tag("keep-running", "true")
}

#[tokio::test(start_paused = true)]
async fn an_email_that_is_shown_has_the_text_of_a_run() {
    let looked_at = started([running(SHELF), kept()]);
    let two_units = emulator_in_process([running(SHELF).inference_units(2)]);
    let denied = emulator_in_process([SHELF, WELD, CAPS].map(running));
    denied.deny("rekognition:StopProjectVersion", Some(SHELF));
    for (name, text) in [
        (
            "dry-run-mail",
            text(&looked_at, &[DRY, STARTS], &[AUDITS]).await,
        ),
        (
            "dry-run-mail-with-a-price",
            text(&two_units, &[DRY, PRICE], &[AUDITS, TYPO]).await,
        ),
        ("report-mail", text(&two_units, &[PRICE], &[AUDITS]).await),
        (
            "failure-mail",
            text(&denied, &[], &[SHELF, WELD, CAPS]).await,
        ),
    ] {
        let shown = without_spaces(&example(name));
        assert!(shown.contains(&without_spaces(&text)), "{name}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_that_is_shown_comes_from_a_run() {
    let emulator = started([running(SHELF)]);
    let found = text(&emulator, &[STARTS, PRICE], &[AUDITS]).await;
    assert_eq!(
        without_spaces(&example("who-started-it")),
        without_spaces(&found)
    );

    let starting = model(WELD, "STARTING").start_takes(Duration::MAX);
    let slow = running(CAPS).stop_takes(Duration::MAX);
    let emulator = emulator_in_process([running(SHELF), starting, slow, running(GATE)]);
    let hangs = Fault::hang().operation(Operation::StopProjectVersion);
    emulator.add_fault(hangs.resource(GATE));
    emulator.add_fault(Fault::hang().region("us-west-2"));
    let dock = "arn:aws:rekognition:us-west-2:123456789012:project/dock/*";
    let failed = text(&emulator, &[], &[SHELF, WELD, CAPS, GATE, dock]).await;
    assert_eq!(
        without_spaces(&example("error-message")),
        without_spaces(&failed)
    );

    let project = "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit/1759309953000";
    let invalid = text(&emulator, &[], &[project]).await;
    let shown = without_spaces(&example("invalid-model-arn"));
    assert!(without_spaces(&invalid).contains(&shown), "{invalid}");
}

#[tokio::test(start_paused = true)]
async fn the_report_that_is_shown_comes_from_a_run() {
    let emulator = emulator_in_process([running(WELD).inference_units(2), kept()]);
    let report = run(&emulator, &[PRICE], &[WELD, AUDITS, TYPO]).await;
    let shown: Value = serde_json::from_str(&example("report")).unwrap();
    assert_eq!(report, Ok(shown));
}

#[tokio::test(start_paused = true)]
async fn the_log_that_is_shown_comes_from_a_run() {
    let emulator = emulator_in_process([running(SHELF).inference_units(2)]);
    let shown = example("log-json");
    let lookup: Value = serde_json::from_str(shown.lines().next().unwrap()).unwrap();
    emulator.add_fault(
        Fault::new(FaultKind::Error {
            code: "AccessDeniedException".to_owned(),
            http_status: None,
            message: lookup["error"].as_str().unwrap().to_owned(),
        })
        .region("ap-south-1"),
    );
    let log = Log::new("JSON", "INFO");
    let everything = "arn:aws:rekognition:ap-south-1:123456789012:project/*";
    assert!(
        run(&emulator, &[PRICE], &[SHELF, DOCK, everything])
            .await
            .is_err()
    );
    // What differs from run to run.
    let own = Regex::new(r#""(timestamp|requestId|duration_ms)":("[^"]*"|\d+)"#).unwrap();
    let same = |lines: &str| own.replace_all(lines.trim(), r#""$1":"""#).into_owned();
    assert_eq!(same(&log.text()), same(&shown));
}

#[test]
fn the_examples_print_what_is_shown_of_them() {
    for name in ["nightly", "organization"] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["run", "--quiet", "--locked", "--example", name]);
        let output = cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let shown = without_spaces(&example(name));
        assert!(without_spaces(&printed).contains(&shown), "{printed}");
    }
}

#[test]
fn every_example_with_a_mark_is_known() {
    let mark = Regex::new(r"<!-- output: (\S+) -->").unwrap();
    let documentation = documentation();
    let marked = mark.captures_iter(&documentation);
    let marked: BTreeSet<&str> = marked.map(|it| it.extract::<1>().1[0]).collect();
    let known = include_str!("outputs.rs");
    let unknown = marked
        .iter()
        .filter(|name| !known.contains(&format!("\"{name}\"")));
    let unknown = Vec::from_iter(unknown);
    assert!(marked.len() > 5 && unknown.is_empty(), "{unknown:?}");
}
