//! What goes in and what comes out: the sample events, the report, and the log.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use rekognition_emulator::{Emulator, Fault, Operation};
use rekognition_stopper::handler::Error;
use rekognition_stopper::report::Report;
use serde_json::{Map, Value, json};
use support::log::Log;
use support::{
    PLENTY, arn_in, arns, emulator_in_process, handler_in_process, invoke, model, outcomes,
    pattern, report, reported, running, summary,
};

/// The models of the sample events, and one that only `MODEL_ARNS` names.
const SHELF_AUDIT: &str = "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit/version/shelf-audit.2026-10-01T09.12.33/1759309953000";
const WELD_SEAMS: &str = "arn:aws:rekognition:eu-west-1:123456789012:project/weld-seams/version/weld-seams.2026-08-20T07.01.59/1787209319000";
const BOTTLE_CAPS: &str = "arn:aws:rekognition:us-east-1:123456789012:project/bottle-caps/version/bottle-caps.2026-09-14T16.40.05/1789404005000";
const DOCK: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/dock/version/v1/1700000000000";

/// The calls for a model that is named, in their order.
const STEPS: [Operation; 3] = [
    Operation::StopProjectVersion,
    Operation::DescribeProjects,
    Operation::DescribeProjectVersions,
];

/// One invocation with these settings, for models that are all running and stop at once.
async fn respond(variables: &[(&str, &str)], event: Value) -> (Emulator, Result<Report, Error>) {
    let models = [SHELF_AUDIT, WELD_SEAMS, BOTTLE_CAPS, DOCK];
    let emulator = emulator_in_process(models.map(running));
    let handler = handler_in_process(&emulator, variables);
    let result = invoke(&handler, event, PLENTY).await;
    (emulator, result)
}

#[tokio::test(start_paused = true)]
async fn every_sample_event_works_as_is() {
    let table: [(&str, &[&str], &str); 7] = [
        ("alarm-action.json", &[DOCK], "stopped"),
        ("budget-alert-sns.json", &[DOCK], "stopped"),
        ("dry-run.json", &[SHELF_AUDIT], "would_stop"),
        ("model-arns.json", &[SHELF_AUDIT, WELD_SEAMS], "stopped"),
        ("put-events.json", &[BOTTLE_CAPS], "stopped"),
        ("schedule-rule.json", &[DOCK], "stopped"),
        ("schedule-scheduler.json", &[DOCK], "stopped"),
    ];
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    let files = fs::read_dir(directory).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let files = BTreeSet::from_iter(files);
    assert!(files.iter().eq(table.iter().map(|(file, ..)| file)));

    for (file, models, outcome) in table {
        let text = fs::read_to_string(format!("{directory}/{file}")).unwrap();
        let event = serde_json::from_str(&text).unwrap();
        let (_, result) = respond(&[("MODEL_ARNS", DOCK)], event).await;
        let report = result.unwrap();
        assert_eq!(reported(&report), models, "{file}");
        assert!(outcomes(&report).iter().all(|it| *it == outcome), "{file}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_is_a_dry_run_if_it_says_so_and_else_if_the_settings_do() {
    for (setting, event, outcome) in [
        ("true", json!({}), "would_stop"),
        ("true", json!({"dry_run": false}), "stopped"),
        ("", json!({"dry_run": true}), "would_stop"),
        ("", json!({}), "stopped"),
    ] {
        let variables = [("MODEL_ARNS", DOCK), ("DRY_RUN", setting)];
        let (emulator, result) = respond(&variables, event).await;
        assert_eq!(outcomes(&result.unwrap()), [outcome]);
        let stops = emulator.count(Operation::StopProjectVersion);
        assert_eq!(stops, usize::from(outcome == "stopped"));
    }
}

#[tokio::test]
async fn a_request_or_settings_that_are_invalid_are_refused_and_nothing_is_called() {
    let list = ("MODEL_ARNS", DOCK);
    let price = ("INFERENCE_UNIT_HOUR_PRICE", "free");
    let accounts = "InvalidRequest: `accounts`";
    for (variables, event, beginning) in [
        (
            &[list][..],
            json!([DOCK]),
            "InvalidRequest: the payload is not",
        ),
        (
            &[list],
            json!({"body": "{}"}),
            "InvalidRequest: `body`: unknown",
        ),
        (
            &[list],
            json!({"dry_run": 1}),
            "InvalidRequest: `dry_run`: ",
        ),
        (&[], json!({}), "InvalidRequest: no models are named"),
        (&[list], json!({"accounts": []}), accounts),
        // The list has no wildcard in an account.
        (&[list], json!({"accounts": [support::OWN]}), accounts),
        (&[list, price], json!({}), "InvalidSettings: INFERENCE"),
    ] {
        let (emulator, result) = respond(variables, event).await;
        let error = format!("{:?}", result.unwrap_err());
        assert!(error.starts_with(beginning), "{error}");
        assert!(emulator.calls().is_empty());
    }
}

#[tokio::test]
async fn an_empty_list_means_no_models_and_is_a_warning() {
    let log = Log::new("JSON", "INFO");
    let event = json!({"model_arns": []});
    let (emulator, result) = respond(&[("MODEL_ARNS", DOCK)], event).await;
    let response = serde_json::to_value(result.unwrap()).unwrap();
    assert_eq!(response["summary"], summary(json!({})));
    assert!(emulator.calls().is_empty());
    let warnings = log.lines_with("level", "WARN");
    assert_eq!(warnings.len(), 1);
    let message = warnings[0]["message"].as_str().unwrap();
    assert!(message.contains("model_arns is empty"), "{message}");
    // Nothing failed, and without a price no savings are made up.
    let run = &log.lines_with("message", "run")[0];
    assert_eq!(run["level"], "INFO");
    assert_eq!(run.get("estimated_savings_per_hour"), None);
}

#[tokio::test(start_paused = true)]
async fn the_response_has_each_model_and_adds_them_up() {
    let arns = arns(4);
    let emulator = emulator_in_process([
        running(&arns[0]).inference_units(2),
        model(&arns[1], "EXPIRED"),
        running(&arns[2]).tag("keep-running", "2999-12-24"),
        model(&arns[3], "STOPPING").stop_takes(Duration::from_secs(3)),
    ]);
    let handler = handler_in_process(&emulator, &[("INFERENCE_UNIT_HOUR_PRICE", "4.00")]);
    let event = json!({"model_arns": [arns[0], arns[1], pattern("shelf", "*")]});
    let response = invoke(&handler, event, PLENTY).await.unwrap();
    let mut response = serde_json::to_value(response).unwrap();
    // Its text is tested in `messages.rs`.
    assert!(response["message"].take().is_string());
    assert_eq!(
        response,
        json!({
            "message": null,
            "summary": summary(json!({
                "accounts": 1, "models": 4, "stopped": 2, "already_stopped": 1, "kept": 1,
                "inference_units_stopped": 3, "estimated_savings_per_hour": 12.0
            })),
            "models": [
                {"model_arn": arns[0], "outcome": "stopped", "status": "STOPPED"},
                {"model_arn": arns[1], "outcome": "already_stopped", "status": "EXPIRED"},
                {"model_arn": arns[2], "outcome": "kept", "status": "RUNNING",
                 "reason": "tag keep-running=2999-12-24"},
                {"model_arn": arns[3], "outcome": "stopped", "status": "STOPPED"}
            ]
        })
    );
}

/// The log of a night with a model of each kind, of which two are not stopped, and a lookup that
/// fails; and the ARNs of the models.
async fn a_night(log_format: &str) -> (Log, Vec<String>) {
    let arns = arns(4);
    let emulator = emulator_in_process([
        running(&arns[0]).inference_units(2),
        running(&arns[1]).tag("keep-running", "true"),
        model(&arns[2], "STARTING").start_takes(Duration::MAX),
        model(&arns[3], "STOPPED"),
        running(&arn_in("eu-west-1", "shelf", "v1")),
    ]);
    emulator.add_fault(Fault::error("AccessDeniedException").region("eu-west-1"));
    let log = Log::new(log_format, "INFO");
    let everywhere = pattern("shelf", "v0001").replace("us-east-1", "*");
    let variables = [
        ("INFERENCE_UNIT_HOUR_PRICE", "4.00"),
        ("REGIONS", "us-east-1,eu-west-1"),
    ];
    let handler = handler_in_process(&emulator, &variables);
    let event = json!({"model_arns": [arns[0], everywhere, arns[2], arns[3], "oops"]});
    let report = report(invoke(&handler, event, Duration::from_secs(5)).await);
    assert_eq!(
        (report.summary.failed, report.summary.failed_lookups),
        (2, 1)
    );
    (log, arns)
}

#[tokio::test(start_paused = true)]
async fn the_log_has_a_line_for_each_model_for_each_failed_lookup_and_for_the_run() {
    let (log, arns) = a_night("JSON").await;
    let denied = pattern("shelf", "v0001").replace("us-east-1", "eu-west-1");
    let mut expected = Vec::from_iter([
        json!({"level": "INFO", "message": "model", "model_arn": arns[0], "outcome": "stopped",
               "status": "STOPPED"}),
        json!({"level": "INFO", "message": "model", "model_arn": arns[1], "outcome": "kept",
               "status": "RUNNING", "reason": "tag keep-running=true"}),
        json!({"level": "ERROR", "message": "model", "model_arn": arns[2], "outcome": "failed",
               "status": "STARTING", "code": "StillStarting"}),
        json!({"level": "INFO", "message": "model", "model_arn": arns[3],
               "outcome": "already_stopped", "status": "STOPPED"}),
        json!({"level": "ERROR", "message": "model", "model_arn": "oops", "outcome": "failed",
               "code": "InvalidModelArn"}),
        json!({"level": "ERROR", "message": "lookup", "pattern": denied,
               "code": "AccessDeniedException"}),
        summary(
            json!({"level": "ERROR", "message": "run", "accounts": 1, "models": 5, "stopped": 1,
                       "already_stopped": 1, "kept": 1, "failed": 2, "failed_lookups": 1,
                       "inference_units_stopped": 2, "estimated_savings_per_hour": 8.0}),
        ),
    ]);
    let text = log.text();
    let lines = text.lines().map(|line| {
        let mut line: Map<String, Value> = serde_json::from_str(line).unwrap();
        assert!(
            line.values().all(|it| !it.is_array() && !it.is_object()),
            "not flat: {line:?}"
        );
        assert!(line.remove("timestamp").unwrap().is_string());
        assert_eq!(line.remove("requestId").unwrap(), "request-1");
        // Texts and times, of the lines that have them.
        assert_eq!(line.remove("error").is_some(), line.contains_key("code"));
        assert_eq!(
            line.remove("duration_ms").is_some(),
            line["message"] == "run"
        );
        Value::Object(line)
    });
    let mut lines = Vec::from_iter(lines);
    lines.sort_by_key(Value::to_string);
    expected.sort_by_key(Value::to_string);
    assert_eq!(lines, expected);
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_a_line_at_the_level_debug_with_the_operation_and_its_subject() {
    let arn = &arns(1)[0];
    let throttled = Fault::error("ThrottlingException").attempts(..=1);
    for (level, lines) in [("DEBUG", 3), ("INFO", 0)] {
        let emulator = emulator_in_process([running(arn)]);
        for operation in STEPS {
            emulator.add_fault(throttled.clone().operation(operation));
        }
        let log = Log::new("JSON", level);
        let event = json!({"model_arns": [arn]});
        let handler = handler_in_process(&emulator, &[]);
        invoke(&handler, event, PLENTY).await.unwrap();
        let retries = log.lines_with("message", "retry");
        assert_eq!(retries.len(), lines);
        for (line, operation) in retries.iter().zip(STEPS) {
            assert_eq!(line["level"], "DEBUG");
            assert_eq!(line["operation"], operation.name());
            assert_eq!(line["attempt"], 1);
            let subject = line["subject"].as_str().unwrap();
            assert!(subject.contains("shelf"), "{line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_json_the_log_is_readable_lines() {
    let (log, arns) = a_night("Text").await;
    let text = log.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 7, "{text}");
    let stopped = format!(
        r#" INFO model requestId="request-1" model_arn="{}" outcome="stopped" status="STOPPED""#,
        arns[0]
    );
    assert!(lines.contains(&&*stopped), "{text}");
    let run = r#"ERROR run requestId="request-1" accounts=1 models=5 stopped=1 "#;
    assert!(lines[6].starts_with(run), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}
