//! Events that no one in their right mind sends: the built function refuses them or handles them
//! completely, in bounded memory.

use rekognition_emulator::{Emulator, Fault, Operation};
use serde_json::json;

use crate::support::process::Resources;
use crate::support::runtime_api::{Function, lines_of};
use crate::support::{PLENTY, arn, arns, pattern, running_emulator};

/// The largest event that Lambda accepts.
const LARGEST_EVENT: usize = 6 * 1024 * 1024;
/// The most memory that the function may take, in kB: half of what it has.
const MOST_MEMORY: u64 = 64 * 1024;
/// The longest line of the log.
const LONGEST_LINE: usize = 64 * 1024;

/// The function against this emulator.
async fn function(emulator: &Emulator) -> Function {
    Function::against(&emulator.url(), &[]).await
}

fn assert_memory(function: &Function, what: &str) {
    let peak = Resources::of(function.id()).peak;
    assert!(peak < MOST_MEMORY, "{what}: {peak} kB");
}

/// `begin`, as many of `middle` as fit, and `end`.
fn filled(begin: &str, middle: &str, end: &str) -> String {
    let room = LARGEST_EVENT - begin.len() - end.len();
    format!("{begin}{}{end}", middle.repeat(room / middle.len()))
}

/// As many of `open` as fit with their `close`, in the middle of something.
fn nested(begin: &str, open: &str, close: &str, end: &str) -> String {
    let room = LARGEST_EVENT - begin.len() - end.len() - 1;
    let depth = room / (open.len() + close.len());
    let (opened, closed) = (open.repeat(depth), close.repeat(depth));
    format!("{begin}{opened}1{closed}{end}")
}

#[tokio::test]
async fn six_megabytes_of_anything_are_refused_in_bounded_memory_with_a_short_message() {
    let list = "{\"model_arns\": [";
    let events = [
        ("no JSON", filled("", "garbage ", "")),
        ("cut off", filled(list, "\"a\",", "")),
        ("deep, and cut off", filled("", "[", "")),
        ("deep objects, and cut off", filled("", "{\"a\":", "")),
        ("deep", nested("", "[", "]", "")),
        ("deep objects", nested("", "{\"a\":", "}", "")),
        ("deep in the list", nested(list, "[", "]", "]}")),
        ("many numbers", filled("[", "0,", "0]")),
        ("many numbers in the list", filled(list, "0,", "0]}")),
        ("many blanks in the list", filled(list, "\"\",", "\"\"]}")),
        ("many objects in the list", filled(list, "{},", "{}]}")),
        ("many fields", filled("{", "\"a\":0,", "\"b\":0}")),
        ("a long string", filled("\"", "x", "\"")),
        ("a long number", filled("", "1", "")),
        ("a long list", filled("{\"model_arns\": \"", "x", "\"}")),
        ("a long field", filled("{\"", "x", "\": 1}")),
        (
            "a long source",
            filled("{\"detail-type\": 1, \"source\": \"", "x", "\"}"),
        ),
        ("line breaks", filled("{\"", "\\n", "\": 1}")),
    ];
    let emulator = running_emulator(&[]).await;
    let mut function = function(&emulator).await;
    for (what, event) in &events {
        let answer = function.invoke(event.as_str(), PLENTY).await;
        let message = answer.error("InvalidRequest");
        assert!(message.len() < 1000, "{what}: {message}");
        assert!(!message.contains('\n'), "{what}: {message}");
        assert_memory(&function, what);
    }
    let log = function.end().await;
    assert_eq!(log.lines().count(), events.len(), "{log}");
    for line in log.lines() {
        assert!(
            line.contains("InvalidRequest") && line.len() < 2000,
            "{line}"
        );
    }
    assert!(emulator.calls().is_empty());
}

#[tokio::test]
async fn an_envelope_of_aws_is_an_empty_request_whatever_fills_its_six_megabytes() {
    let begin = r#"{"source": "aws.events", "detail-type": "x", "detail": "#;
    let arns = arns(1);
    let emulator = running_emulator(&arns).await;
    let variables = [("MODEL_ARNS", &*arns[0])];
    let mut function = Function::against(&emulator.url(), &variables).await;
    for event in [
        nested(begin, "[", "]", "}"),
        filled(&format!("{begin}["), "0,", "0]}"),
    ] {
        let answer = function.invoke(event, PLENTY).await;
        assert!(answer.is_ok, "{answer:?}");
    }
    assert_memory(&function, "envelopes");
}

#[tokio::test]
async fn every_model_of_a_list_that_fills_the_largest_event_is_stopped() {
    const MODELS: usize = 5000;
    // The number at the end of an ARN is the only part without a maximum length.
    let arns = (0..MODELS).map(|number| {
        let arn = arn(&"p".repeat(255), &format!("{number:0>255}"));
        format!("{arn:0<1250}")
    });
    let arns = Vec::from_iter(arns);
    let emulator = running_emulator(&arns).await;
    let mut function = function(&emulator).await;
    let event = json!({ "model_arns": arns }).to_string();
    assert!((6_000_000..LARGEST_EVENT).contains(&event.len()));
    let answer = function.invoke(event, 10 * PLENTY).await;
    assert_memory(&function, "the largest event");

    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(answer.body["summary"]["stopping"], MODELS);
    assert_eq!(emulator.count(Operation::StopProjectVersion), MODELS);
    assert!(emulator.statuses().values().all(|it| it != "RUNNING"));
    // What does not fit into the response is counted in it, and is in the log.
    let named = answer.body["models"].as_array().unwrap().len();
    assert_eq!(answer.body["models_left_out"], MODELS - named);
    assert!(
        (190_000..=200_000).contains(&answer.size),
        "{}",
        answer.size
    );
    let message = answer.body["message"].as_str().unwrap();
    assert!((6_000..=8 * 1024).contains(&message.len()), "{message}");
    assert_eq!(lines_of(&function.end().await, "model").len(), MODELS);
}

/// Compared step by step, a pattern and a name would take longer than the age of the universe; and
/// each pattern against each entry, minutes.
#[tokio::test]
async fn a_list_that_is_hard_to_compare_is_stopped_all_the_same() {
    let hard = "*a".repeat(100);
    let models = (0..1000).map(|number| arn(&"a".repeat(250), &format!("v{number}")));
    let models = Vec::from_iter(models);
    let emulator = running_emulator(&models[..2]).await;
    let mut function = function(&emulator).await;
    let patterns = (0..1000).map(|number| pattern(&format!("{hard}b"), &format!("{number}*")));
    let entries = Vec::from_iter(patterns.chain(models.iter().cloned()));
    let event = json!({ "model_arns": entries }).to_string();
    let answer = function.invoke(event, 3 * PLENTY).await;
    let message = answer.error("NotAllStopped");
    assert!(message.starts_with("998 of 1000 models"), "{message}");
    assert!(emulator.statuses().values().all(|it| it != "RUNNING"));
}

#[tokio::test]
async fn a_line_of_the_log_cannot_be_forged_and_is_cut_whatever_its_length() {
    const FORGED: &str = "\nERROR run forged\r\n\u{1b}[31m{\"message\":\"run\"}\n";
    let (arns, long) = (arns(2), FORGED.repeat(10_000));
    for format in ["JSON", "Text"] {
        let emulator = running_emulator(&arns).await;
        let body = json!({"__type": "InvalidParameterException", "message": long});
        let fault = Fault::http_status(400, &body.to_string());
        emulator.add_fault(fault.resource(&arns[1]));
        let variables = [("AWS_LAMBDA_LOG_FORMAT", format)];
        let mut function = Function::against(&emulator.url(), &variables).await;
        for event in [
            json!({"model_arns": [FORGED, arns[0], long, arns[1]]}),
            json!({ FORGED: 1 }),
            json!({"detail-type": "x", "source": FORGED}),
        ] {
            let answer = function.invoke(event.to_string(), PLENTY).await;
            let message = answer.body["errorMessage"].as_str().unwrap();
            assert!(message.contains("forged"), "{message}");
            assert!(!message.contains(char::is_control), "{message}");
            assert!(message.len() <= 8 * 1024);
        }
        assert_ne!(emulator.status(&arns[0]).unwrap(), "RUNNING");
        let log = function.end().await;
        // Four models, a run, its metrics, and three errors.
        assert_eq!(log.lines().count(), 9, "{log}");
        assert!(!log.contains(|character: char| character.is_control() && character != '\n'));
        assert!(log.lines().all(|line| line.len() < LONGEST_LINE));
    }
}

#[tokio::test]
async fn a_response_of_200_megabytes_is_not_read_to_its_end_and_its_model_is_not_lost() {
    for operation in [
        Operation::StopProjectVersion,
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
        Operation::ListTagsForResource,
    ] {
        let emulator = running_emulator(&arns(1)).await;
        let large = Fault::large_response(200 * 1024 * 1024).operation(operation);
        emulator.add_fault(large.attempts(..=1));
        let mut function = function(&emulator).await;
        let event = json!({ "model_arns": [pattern("shelf", "*")] }).to_string();
        let answer = function.invoke(event, PLENTY).await;
        assert!(answer.is_ok, "{operation}: {answer:?}");
        assert_ne!(emulator.statuses().values().next().unwrap(), "RUNNING");
        assert_memory(&function, operation.name());
    }
}
