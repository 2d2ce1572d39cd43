//! The built function, as Lambda runs it.

mod support;

use std::process::{Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rekognition_emulator::{Emulator, Fault, Operation};
use serde_json::{Value, json};
use support::runtime_api::{Function, lines_of};
use support::{PLENTY, arns, emulator, model, running, summary};
use tokio::process::Command;

/// The function against this emulator, without waiting for confirmation.
async fn function(emulator: &Emulator, variables: &[(&str, &str)]) -> Function {
    let url = emulator.url();
    let mut environment = vec![
        ("AWS_ENDPOINT_URL_REKOGNITION", &*url),
        ("CONFIRM_STOPPED", "false"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
    ];
    environment.extend(variables);
    Function::start(&environment).await
}

/// The metric records among the lines of a log.
fn records(log: &str) -> Vec<Value> {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line.get("_aws").is_some())
        .collect()
}

#[tokio::test]
async fn a_process_answers_one_invocation_after_another_over_the_same_connection() {
    let arns = arns(3);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    // What a service responds, errors too, is no reason for another connection.
    emulator.add_fault(
        Fault::error("InternalServerError")
            .operation(Operation::StopProjectVersion)
            .attempts(..=2),
    );
    let mut function = function(&emulator, &[("MAX_CONCURRENCY", "1")]).await;
    let id = function.id();
    for arn in &arns {
        let answer = function
            .invoke(json!({"model_arns": [arn]}).to_string(), PLENTY)
            .await;
        assert!(answer.is_ok, "{answer:?}");
        assert_eq!(
            answer.body,
            json!({
                "message": format!("1 model is stopping: {arn}."),
                "summary": summary(json!({"accounts": 1, "models": 1, "stopping": 1})),
                "models": [{"model_arn": arn, "outcome": "stopping", "status": "STOPPING"}]
            })
        );
    }
    assert_eq!(function.id(), id);
    assert_eq!(emulator.connections(), 1);
    let log = function.end().await;
    let request_ids = lines_of(&log, "run");
    let request_ids: Vec<&Value> = request_ids.iter().map(|run| &run["requestId"]).collect();
    assert_eq!(request_ids, ["request-1", "request-2", "request-3"]);
    assert_eq!(records(&log).len(), 3);
}

#[tokio::test]
async fn a_scheduled_run_stops_the_models_of_the_environment_and_confirms_it() {
    let arns = arns(2);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    let variables = [
        ("MODEL_ARNS", &*arns.join(",")),
        ("CONFIRM_STOPPED", "true"),
        ("INFERENCE_UNIT_HOUR_PRICE", "4.00"),
    ];
    let mut function = function(&emulator, &variables).await;
    let event = include_bytes!("../events/schedule-scheduler.json");
    let answer = function.invoke(event.as_slice(), PLENTY).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(answer.body["summary"]["stopped"], 2);
    assert_eq!(answer.body["summary"]["estimated_savings_per_hour"], 8.0);
    assert!(emulator.statuses().values().all(|it| it == "STOPPED"));
}

#[tokio::test]
async fn an_event_may_begin_with_a_byte_order_mark() {
    let arns = arns(1);
    let emulator = emulator([running(&arns[0])]).await;
    let mut function = function(&emulator, &[]).await;
    let event = format!("\u{feff}{}", json!({"model_arns": arns}));
    let answer = function.invoke(event, PLENTY).await;
    assert!(answer.is_ok, "{answer:?}");
}

#[tokio::test]
async fn an_event_that_is_not_json_is_an_invalid_request_and_the_process_lives_on() {
    let arns = arns(1);
    let emulator = emulator([running(&arns[0])]).await;
    let mut function = function(&emulator, &[]).await;
    for event in ["{oops", "", "[]", "\"{}\"", "{\"model_arn\": []}"] {
        let answer = function.invoke(event, PLENTY).await;
        assert!(!answer.is_ok, "{event}");
        assert_eq!(answer.body["errorType"], "InvalidRequest", "{event}");
        let message = answer.body["errorMessage"].as_str().unwrap();
        assert!(message.contains('`'), "{event}: {message}");
    }
    assert!(emulator.calls().is_empty());
    let event = json!({"model_arns": arns}).to_string();
    let answer = function.invoke(event, PLENTY).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(records(&function.end().await).len(), 1);
}

#[tokio::test]
async fn a_failed_run_is_a_function_error_and_its_metrics_are_written_all_the_same() {
    let arns = arns(3);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    emulator.deny("rekognition:StopProjectVersion", Some(&arns[1]));
    let mut function = function(&emulator, &[]).await;
    let event = json!({"model_arns": arns}).to_string();
    let answer = function.invoke(event, PLENTY).await;
    assert!(!answer.is_ok);
    assert_eq!(answer.body["errorType"], "NotAllStopped");
    let message = answer.body["errorMessage"].as_str().unwrap();
    let beginning = format!(
        "1 of 3 models was not stopped: {} (AccessDeniedException: ",
        arns[1]
    );
    assert!(message.starts_with(&beginning), "{message}");

    let log = function.end().await;
    let records = records(&log);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["ModelsFailed"], 1);
    assert_eq!(records[0]["ModelsStopped"], 2);
    assert_eq!(lines_of(&log, "run")[0]["level"], "ERROR");
    // One of them is the runtime's own line for the error.
    let runtimes = log.lines().find(|line| line.contains("NotAllStopped"));
    let runtimes: Value = serde_json::from_str(runtimes.unwrap()).unwrap();
    assert_eq!(runtimes["level"], "ERROR");
}

#[tokio::test]
async fn what_a_dry_run_would_stop_is_in_its_report_and_not_in_its_metrics() {
    let arns = arns(1);
    let emulator = emulator([running(&arns[0]).inference_units(2)]).await;
    let mut function = function(&emulator, &[]).await;
    let event = json!({"model_arns": arns, "dry_run": true}).to_string();
    let answer = function.invoke(event, PLENTY).await;
    assert_eq!(answer.body["summary"]["inference_units_stopped"], 2);
    let records = records(&function.end().await);
    assert_eq!(records[0]["InferenceUnitsStopped"], 0);
    assert_eq!(records[0].get("RunsSucceeded"), None);
}

#[tokio::test]
async fn a_run_that_hangs_is_answered_before_the_deadline() {
    let arns = arns(3);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    emulator.add_fault(Fault::hang());
    let mut function = function(&emulator, &[]).await;
    let event = json!({"model_arns": arns}).to_string();
    let (start, limit) = (Instant::now(), Duration::from_secs(2));
    let answer = function.invoke(event, limit).await;
    assert!(start.elapsed() < limit, "{:?}", start.elapsed());
    assert_eq!(answer.body["errorType"], "NotAllStopped");
    let message = answer.body["errorMessage"].as_str().unwrap();
    assert_eq!(message.matches("DeadlineExceeded").count(), 3, "{message}");
}

#[tokio::test]
async fn invalid_settings_are_reported_on_every_invocation() {
    let arns = arns(1);
    let emulator = emulator([running(&arns[0])]).await;
    let variables = [("MAX_CONCURRENCY", "none"), ("CONFIRM_STOPPED", "1")];
    let mut function = function(&emulator, &variables).await;
    for _ in 0..2 {
        let event = json!({"model_arns": arns}).to_string();
        let answer = function.invoke(event, PLENTY).await;
        assert_eq!(answer.body["errorType"], "InvalidSettings");
        let message = answer.body["errorMessage"].as_str().unwrap();
        assert!(message.contains("MAX_CONCURRENCY is `none`"), "{message}");
        assert!(message.contains("CONFIRM_STOPPED is `1`"), "{message}");
    }
    assert!(emulator.calls().is_empty());
    assert!(records(&function.end().await).is_empty());
}

#[tokio::test]
async fn the_metric_record_is_in_cloudwatchs_embedded_metric_format() {
    let arns = arns(5);
    let emulator = emulator([
        running(&arns[0]).inference_units(2),
        running(&arns[1]).inference_units(3),
        model(&arns[2], "STOPPED"),
        running(&arns[3]).tag("keep-running", ""),
    ])
    .await;
    let denied = "arn:aws:rekognition:eu-west-1:123456789012:project/";
    emulator.add_fault(Fault::error("AccessDeniedException").region("eu-west-1"));
    let kept = support::pattern("shelf", "v0003");
    let entries = [&arns[0], &arns[1], &arns[2], &kept, &arns[4]].map(|it| &**it);
    let list = format!("{},{denied}*/version/*/*", entries.join(","));
    let variables = [("CONFIRM_STOPPED", "true"), ("MODEL_ARNS", &*list)];
    let mut function = function(&emulator, &variables).await;
    let begin = SystemTime::now();
    function.invoke("{}", PLENTY).await;
    let end = SystemTime::now();

    let log = function.end().await;
    let record = records(&log).remove(0);
    let mut names: Vec<&String> = record.as_object().unwrap().keys().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "Duration",
            "FunctionName",
            "InferenceUnitsStopped",
            "LookupsFailed",
            "ModelsAlreadyStopped",
            "ModelsFailed",
            "ModelsKept",
            "ModelsStopped",
            "RunsSucceeded",
            "_aws"
        ]
    );
    assert_eq!(record["FunctionName"], "nightly-stop");
    assert_eq!(record["ModelsStopped"], 2);
    assert_eq!(record["ModelsAlreadyStopped"], 1);
    assert_eq!(record["ModelsKept"], 1);
    assert_eq!(record["ModelsFailed"], 1);
    assert_eq!(record["LookupsFailed"], 1);
    assert_eq!(record["InferenceUnitsStopped"], 5);
    assert_eq!(record["RunsSucceeded"], 0);
    let duration = record["Duration"].as_f64().unwrap();
    let run = &lines_of(&log, "run")[0];
    assert!((duration - run["duration_ms"].as_f64().unwrap()).abs() <= 1.0);

    let aws = &record["_aws"];
    let timestamp =
        SystemTime::UNIX_EPOCH + Duration::from_millis(aws["Timestamp"].as_u64().unwrap());
    let millisecond = Duration::from_millis(1);
    assert!(
        begin - millisecond <= timestamp && timestamp <= end,
        "{aws}"
    );
    assert_eq!(
        aws["CloudWatchMetrics"],
        json!([{
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
        }])
    );
}

#[tokio::test]
async fn only_a_run_of_the_configured_list_counts_as_succeeded_or_not() {
    let arns = arns(1);
    let emulator = emulator([model(&arns[0], "STOPPED")]).await;
    let variables = [("MODEL_ARNS", &*arns[0])];
    let mut function = function(&emulator, &variables).await;
    function.invoke("{}", PLENTY).await;
    function.invoke(r#"{"dry_run": true}"#, PLENTY).await;
    let event = json!({"model_arns": arns});
    function.invoke(event.to_string(), PLENTY).await;
    emulator.deny("rekognition:StopProjectVersion", None);
    function.invoke("{}", PLENTY).await;
    let records = records(&function.end().await);
    let succeeded = records
        .iter()
        .map(|record| record["RunsSucceeded"].as_u64());
    assert_eq!(Vec::from_iter(succeeded), [Some(1), None, None, Some(0)]);
}

#[tokio::test]
async fn the_log_is_json_or_text_as_lambda_says() {
    let arns = arns(1);
    for (format, model, run) in [
        (
            "JSON",
            r#""level":"INFO","message":"model""#,
            r#""message":"run""#,
        ),
        ("Text", " INFO model requestId=", " INFO run requestId="),
        ("", " INFO model requestId=", " INFO run requestId="),
    ] {
        let emulator = emulator([running(&arns[0])]).await;
        let variables = [("AWS_LAMBDA_LOG_FORMAT", format)];
        let mut function = function(&emulator, &variables).await;
        let event = json!({"model_arns": arns}).to_string();
        assert!(function.invoke(event, PLENTY).await.is_ok);
        let log = function.end().await;
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 3, "{log}");
        assert!(lines[0].contains(model), "{log}");
        assert!(lines[1].contains(run), "{log}");
        assert!(lines[2].contains(r#""_aws":{"#), "{log}");
    }
}

#[tokio::test]
async fn outside_lambda_it_prints_one_line_on_what_it_is_and_how_to_run_it() {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_rekognition-stopper"))
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
