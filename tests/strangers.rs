//! Events that no one in their right mind sends: the built function refuses them or handles them
//! completely, in bounded memory.

#![cfg(target_os = "linux")]
mod support;

use std::time::Duration;

use rekognition_emulator::{Emulator, Fault, Operation};
use serde_json::json;
use support::process::Resources;
use support::runtime_api::{Answer, Function, LARGEST_ANSWER, lines_of};
use support::{PLENTY, arn, arns, pattern, running_emulator};

/// The largest event that Lambda accepts.
const LARGEST_EVENT: usize = LARGEST_ANSWER;
/// The function's memory, in kB. Lambda kills a function that exceeds it.
const MEMORY: u64 = 128 * 1024;
/// The most memory that a refused event may take.
const MEMORY_TO_REFUSE: u64 = 64 * 1024;
/// The longest line of the log.
const LONGEST_LINE: usize = 64 * 1024;

/// The function with its default settings.
async fn function(emulator: &Emulator, format: &str) -> Function {
    let url = emulator.url();
    Function::start(&[
        ("AWS_ENDPOINT_URL_REKOGNITION", &url),
        ("AWS_LAMBDA_LOG_FORMAT", format),
    ])
    .await
}

/// `begin`, as many of `middle` as fit, and `end`.
fn filled(begin: &str, middle: &str, end: &str) -> String {
    let room = LARGEST_EVENT - begin.len() - end.len();
    format!("{begin}{}{end}", middle.repeat(room / middle.len()))
}

/// As many of `open` as fit with their `close`, and something in the middle.
fn nested(begin: &str, open: &str, middle: &str, close: &str, end: &str) -> String {
    let room = LARGEST_EVENT - begin.len() - middle.len() - end.len();
    let depth = room / (open.len() + close.len());
    format!(
        "{begin}{}{middle}{}{end}",
        open.repeat(depth),
        close.repeat(depth)
    )
}

/// The message of a request that is refused.
fn refused(answer: &Answer) -> &str {
    assert!(!answer.is_ok, "{answer:?}");
    assert_eq!(answer.body["errorType"], "InvalidRequest");
    answer.body["errorMessage"].as_str().unwrap()
}

#[tokio::test]
async fn six_megabytes_of_anything_are_refused_in_bounded_memory_with_a_short_message() {
    let long = "x".repeat(LARGEST_EVENT - 100);
    let events = [
        ("no JSON", filled("", "garbage ", "")),
        ("cut off", filled("{\"model_arns\": [", "\"a\",", "")),
        ("deep, and cut off", filled("", "[", "")),
        ("deep objects, and cut off", filled("", "{\"a\":", "")),
        ("deep", nested("", "[", "", "]", "")),
        ("deep objects", nested("", "{\"a\":", "1", "}", "")),
        (
            "deep in the list",
            nested("{\"model_arns\": [", "[", "", "]", "]}"),
        ),
        ("many numbers", filled("[", "0,", "0]")),
        (
            "many numbers in the list",
            filled("{\"model_arns\": [", "0,", "0]}"),
        ),
        (
            "many blanks in the list",
            filled("{\"model_arns\": [", "\"\",", "\"\"]}"),
        ),
        (
            "many objects in the list",
            filled("{\"model_arns\": [", "{},", "{}]}"),
        ),
        ("many fields", filled("{", "\"a\":0,", "\"b\":0}")),
        ("a long string", format!("\"{long}\"")),
        ("a long number", "1".repeat(LARGEST_EVENT)),
        ("a long list", format!("{{\"model_arns\": \"{long}\"}}")),
        ("a long field", format!("{{\"{long}\": 1}}")),
        (
            "a long source",
            format!("{{\"detail-type\": \"\", \"source\": \"{long}\"}}"),
        ),
        (
            "line breaks",
            format!("{{\"{}\": 1}}", "\\n".repeat(LARGEST_EVENT / 2 - 100)),
        ),
    ];
    let emulator = running_emulator(&[]).await;
    for format in ["JSON", "Text"] {
        let mut function = function(&emulator, format).await;
        for (what, event) in &events {
            assert!(event.len() <= LARGEST_EVENT);
            let answer = function.invoke(event.as_str(), PLENTY).await;
            let message = refused(&answer);
            assert!(message.len() < 1000, "{what}: {message}");
            assert!(!message.contains('\n'), "{what}: {message}");
            let peak = Resources::of(function.id()).peak;
            println!("{what}: {message}; at most {peak} kB until now");
            assert!(peak < MEMORY_TO_REFUSE, "{what}: {peak} kB");
        }
        let log = function.end().await;
        assert_eq!(log.lines().count(), events.len(), "{log}");
        assert!(
            log.lines().all(|line| line.contains("InvalidRequest")),
            "{log}"
        );
        assert!(log.lines().all(|line| line.len() < 2000), "{log}");
    }
    assert!(emulator.calls().is_empty());
}

#[tokio::test]
async fn an_envelope_of_aws_is_an_empty_request_whatever_fills_its_six_megabytes() {
    let begin = r#"{"source": "aws.events", "detail-type": "x", "detail": "#;
    let arns = arns(1);
    let emulator = running_emulator(&arns).await;
    let url = emulator.url();
    let mut function = Function::start(&[
        ("AWS_ENDPOINT_URL_REKOGNITION", &url),
        ("CONFIRM_STOPPED", "false"),
        ("MODEL_ARNS", &arns[0]),
    ])
    .await;
    for event in [
        nested(begin, "[", "", "]", "}"),
        filled(&format!("{begin}["), "0,", "0]}"),
    ] {
        let answer = function.invoke(event, PLENTY).await;
        assert!(answer.is_ok, "{answer:?}");
    }
    let peak = Resources::of(function.id()).peak;
    assert!(peak < MEMORY_TO_REFUSE, "{peak} kB");
}

#[tokio::test]
async fn one_entry_too_many_is_refused_and_nothing_is_stopped() {
    let arns = arns(10_001);
    let emulator = running_emulator(&arns[..1]).await;
    let mut function = function(&emulator, "JSON").await;
    let event = json!({ "model_arns": arns }).to_string();
    let answer = function.invoke(event, PLENTY).await;
    let message = refused(&answer);
    assert!(
        message.contains("`model_arns`: a list of more than 10000 entries; it should have no more"),
        "{message}"
    );
    assert!(emulator.calls().is_empty());
}

#[tokio::test]
async fn an_entry_may_have_2048_characters_and_a_longer_one_fails_on_its_own() {
    let arns = arns(1);
    let emulator = running_emulator(&arns).await;
    let mut function = function(&emulator, "JSON").await;
    // The number at the end is the only part without a maximum length of its own.
    let longest = |length: usize| {
        let arn = arn("shelf", "v");
        format!("{arn}{}", "0".repeat(length - arn.len()))
    };
    let endless = "x".repeat(LARGEST_EVENT - 5000);
    let event = json!({"model_arns": [longest(2048), longest(2049), endless, arns[0]]}).to_string();
    assert!(event.len() <= LARGEST_EVENT);
    let answer = function.invoke(event, PLENTY).await;
    assert_eq!(answer.body["errorType"], "NotAllStopped");
    let message = answer.body["errorMessage"].as_str().unwrap();
    assert!(
        message.starts_with("3 of 4 models were not stopped"),
        "{message}"
    );
    assert!(message.len() <= 8 * 1024);
    assert_ne!(emulator.status(&arns[0]).unwrap(), "RUNNING");

    let log = function.end().await;
    let models = lines_of(&log, "model");
    let code = |arn: &str| {
        let line = models.iter().find(|line| line["model_arn"] == arn);
        line.unwrap()["code"].as_str().unwrap()
    };
    assert_eq!(code(&longest(2048)), "ResourceNotFoundException");
    // It is cut in the message.
    assert_eq!(code(&format!("{}...", longest(2048))), "InvalidModelArn");
    assert!(log.lines().all(|line| line.len() < LONGEST_LINE));
}

#[tokio::test]
async fn every_model_of_the_largest_list_that_an_event_can_hold_is_stopped() {
    // Ten thousand entries that fill the six megabytes.
    let arns: Vec<String> = (0..10_000)
        .map(|number| arn(&"p".repeat(255), &format!("{number:0>255}")))
        .collect();
    let emulator = running_emulator(&arns).await;
    let mut function = function(&emulator, "JSON").await;
    let event = json!({ "model_arns": arns }).to_string();
    println!("an event of {} bytes", event.len());
    assert!((5_500_000..LARGEST_EVENT).contains(&event.len()));
    let answer = function.invoke(event, 10 * PLENTY).await;
    let peak = Resources::of(function.id()).peak;
    println!(
        "an answer of {} bytes, and {peak} kB of memory at most",
        answer.size
    );

    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(answer.body["summary"]["stopped"], 10_000);
    assert_eq!(emulator.count(Operation::StopProjectVersion), 10_000);
    assert!(emulator.statuses().values().all(|it| it == "STOPPED"));
    // What does not fit into the response is counted in it, and is in the log.
    let named = answer.body["models"].as_array().unwrap().len();
    assert_eq!(answer.body["models_left_out"], 10_000 - named);
    assert!(
        (190_000..=200_000).contains(&answer.size),
        "{}",
        answer.size
    );
    let message = answer.body["message"].as_str().unwrap();
    assert!(
        message.starts_with("10000 models were stopped: arn:"),
        "{message}"
    );
    assert!(
        message.ends_with(" more. That is 10000 inference units."),
        "{message}"
    );
    assert!(peak < MEMORY / 2, "{peak} kB");
    let log = function.end().await;
    assert_eq!(lines_of(&log, "model").len(), 10_000);
}

#[tokio::test]
async fn a_list_that_is_hard_to_compare_is_stopped_all_the_same() {
    let hard = "*a".repeat(100);
    let models: Vec<String> = (0..4000)
        .map(|number| arn(&"a".repeat(250), &format!("v{number}")))
        .collect();
    let emulator = running_emulator(&models[..10]).await;
    let mut function = function(&emulator, "JSON").await;
    let mut entries: Vec<String> = (0..4000)
        .map(|number| pattern(&format!("{hard}b"), &format!("{number}*")))
        .collect();
    entries.extend(models.iter().cloned());
    let event = json!({ "model_arns": entries }).to_string();
    // All the comparisons would take a debug build more than a minute, so a model's position in the
    // report may be given up, but no model is.
    let answer = function.invoke(event, Duration::from_secs(30)).await;
    assert_eq!(answer.body["errorType"], "NotAllStopped");
    assert!(
        models[..10]
            .iter()
            .all(|it| emulator.status(it).unwrap() != "RUNNING")
    );
}

#[tokio::test]
async fn a_line_of_the_log_cannot_be_forged() {
    const FORGED: &str = "\nERROR run forged\r\n\u{1b}[31m{\"message\":\"run\"}\n";
    let arns = arns(1);
    for format in ["JSON", "Text"] {
        let emulator = running_emulator(&arns).await;
        let mut function = function(&emulator, format).await;
        for event in [
            json!({"model_arns": [FORGED, arns[0]]}),
            json!({ FORGED: 1 }),
            json!({"detail-type": "x", "source": FORGED}),
        ] {
            let answer = function.invoke(event.to_string(), PLENTY).await;
            let message = answer.body["errorMessage"].as_str().unwrap();
            assert!(message.contains("forged"), "{message}");
            assert!(!message.contains(char::is_control), "{message}");
        }
        let log = function.end().await;
        // Two models, a run, its metrics, and three errors.
        assert_eq!(log.lines().count(), 7, "{log}");
        assert!(!log.contains(|character: char| character.is_control() && character != '\n'));
    }
}

#[tokio::test]
async fn a_message_of_the_service_is_cut_whatever_its_length() {
    let arns = arns(1);
    let emulator = running_emulator(&arns).await;
    let message = "\"\n".repeat(500_000);
    let body = json!({"__type": "InvalidParameterException", "message": message}).to_string();
    emulator.add_fault(Fault::http_status(400, &body));
    let mut function = function(&emulator, "JSON").await;
    let event = json!({ "model_arns": arns }).to_string();
    let answer = function.invoke(event, PLENTY).await;
    assert!(answer.size < 3000, "{}", answer.size);
    let log = function.end().await;
    assert_eq!(
        lines_of(&log, "model")[0]["code"],
        "InvalidParameterException"
    );
    assert!(log.lines().all(|line| line.len() < LONGEST_LINE));
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
        let large = Fault::large_answer(200 * 1024 * 1024).operation(operation);
        emulator.add_fault(large.attempts(..=1));
        let mut function = function(&emulator, "JSON").await;
        let event = json!({ "model_arns": [pattern("shelf", "*")] }).to_string();
        let answer = function.invoke(event, PLENTY).await;
        assert!(answer.is_ok, "{operation}: {answer:?}");
        assert_eq!(answer.body["models"][0]["status"], "STOPPED");
        let peak = Resources::of(function.id()).peak;
        assert!(peak < MEMORY_TO_REFUSE, "{operation}: {peak} kB");
        function.end().await;
    }
}
