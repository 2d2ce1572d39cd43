//! The built function, as Lambda runs it.

use std::process::Stdio;
use std::time::{Duration, SystemTime};

use rekognition_emulator::{Fault, Operation};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::runtime_api::{Function, lines_of};
use crate::support::{PLENTY, arns, emulator, model, pattern, running, running_emulator};

/// The metric records among the lines of a log.
fn records(log: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|line: &Value| line.get("_aws").is_some())
        .collect()
}

#[tokio::test]
async fn a_process_takes_one_event_after_another_over_the_same_connection() {
    let arns = arns(2);
    let emulator = running_emulator(&arns).await;
    // What a service responds, errors too, is no reason for another connection.
    let fault = Fault::error("InternalServerError").operation(Operation::StopProjectVersion);
    emulator.add_fault(fault.attempts(..=2));
    let mut function = Function::against(&emulator.url(), &[("MAX_CONCURRENCY", "1")]).await;
    let id = function.id();
    let event = json!({"model_arns": [arns[0]]}).to_string();
    assert!(function.invoke(event, PLENTY).await.is_ok);
    for event in ["{oops", "", "[]", "\"{}\"", "{\"model_arn\": []}"] {
        let answer = function.invoke(event, PLENTY).await;
        let message = answer.error("InvalidRequest");
        assert!(message.contains('`'), "{event}: {message}");
    }
    assert_eq!(emulator.count(Operation::StopProjectVersion), 3);
    // An event may begin with a byte order mark.
    let event = format!("\u{feff}{}", json!({"model_arns": [arns[1]]}));
    let answer = function.invoke(event, PLENTY).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(answer.body["summary"]["stopping"], 1);
    assert_eq!(function.id(), id);
    assert_eq!(emulator.connections(), 1);
    let log = function.end().await;
    let runs = lines_of(&log, "run");
    let request_ids: Vec<&Value> = runs.iter().map(|run| &run["requestId"]).collect();
    assert_eq!(request_ids, ["request-1", "request-7"]);
    assert_eq!(records(&log).len(), 2);
}

#[tokio::test]
async fn invalid_settings_are_reported_on_every_invocation_and_nothing_is_called() {
    let emulator = running_emulator(&arns(1)).await;
    let variables = [("MAX_CONCURRENCY", "none"), ("FIND_STARTS", "1")];
    let mut function = Function::against(&emulator.url(), &variables).await;
    for event in ["{}", "{\"what\": 1}"] {
        let answer = function.invoke(event, PLENTY).await;
        let message = answer.error("InvalidSettings");
        assert!(message.contains("MAX_CONCURRENCY is `none`"), "{message}");
        assert!(message.contains("FIND_STARTS is `1`"), "{message}");
    }
    assert!(emulator.calls().is_empty());
    assert!(records(&function.end().await).is_empty());
}

/// What a failed run leaves: the error of the function, a line of the runtime, and metrics all the
/// same, in CloudWatch's embedded metric format.
#[tokio::test]
async fn a_failed_run_is_an_error_of_the_function_with_a_metric_record() {
    let arns = arns(5);
    let emulator = emulator([
        running(&arns[0]).inference_units(2),
        running(&arns[1]).inference_units(3),
        model(&arns[2], "STOPPED"),
        running(&arns[3]).tag("keep-running", ""),
    ])
    .await;
    emulator.add_fault(Fault::error("AccessDeniedException").region("eu-west-1"));
    let list = [
        &*arns[0],
        &arns[1],
        &arns[2],
        &pattern("shelf", "v0003"),
        &arns[4],
        &pattern("*", "*").replace("us-east-1", "eu-west-1"),
    ];
    let list = list.join(",");
    let variables = [("CONFIRM_STOPPED", "true"), ("MODEL_ARNS", &*list)];
    let mut function = Function::against(&emulator.url(), &variables).await;
    let begin = SystemTime::now();
    let answer = function.invoke("{}", PLENTY).await;
    let end = SystemTime::now();
    answer.error("NotAllStopped");

    let log = function.end().await;
    let run = &lines_of(&log, "run")[0];
    assert_eq!(run["level"], "ERROR");
    let runtimes = log.lines().find(|line| line.contains("NotAllStopped"));
    let runtimes: Value = serde_json::from_str(runtimes.unwrap()).unwrap();
    assert_eq!(runtimes["level"], "ERROR");

    let mut record = records(&log).remove(0);
    let duration = record["Duration"].take().as_f64().unwrap();
    assert!((duration - run["duration_ms"].as_f64().unwrap()).abs() <= 1.0);
    let timestamp = record["_aws"]["Timestamp"].take().as_u64().unwrap();
    let timestamp = SystemTime::UNIX_EPOCH + Duration::from_millis(timestamp);
    assert!((begin - Duration::from_millis(1)..=end).contains(&timestamp));
    let expected = json!({
        "FunctionName": "nightly-stop",
        "Duration": null,
        "InferenceUnitsStopped": 5,
        "LookupsFailed": 1,
        "ModelsAlreadyStopped": 1,
        "ModelsFailed": 1,
        "ModelsKept": 1,
        "ModelsStopped": 2,
        "RunsSucceeded": 0,
        "_aws": {
            "Timestamp": null,
            "CloudWatchMetrics": [{
                "Namespace": "RekognitionStopper",
                "Dimensions": [["FunctionName"]],
                "Metrics": [
                    {"Name": "Duration", "Unit": "Milliseconds"},
                    {"Name": "InferenceUnitsStopped"},
                    {"Name": "LookupsFailed"},
                    {"Name": "ModelsAlreadyStopped"},
                    {"Name": "ModelsFailed"},
                    {"Name": "ModelsKept"},
                    {"Name": "ModelsStopped"},
                    {"Name": "RunsSucceeded"}
                ]
            }]
        }
    });
    assert_eq!(record, expected);
}

#[tokio::test]
async fn outside_lambda_it_prints_one_line_on_what_it_is_and_how_to_run_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_rekognition-stopper"))
        .env_clear()
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in [
        "AWS Lambda function",
        "cargo run --example nightly",
        "cargo lambda watch",
    ] {
        assert!(said.contains(part), "{said}");
    }
}
