//! Input and output: events, settings, the report, the error, and the log.

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use lambda_runtime::Diagnostic;
use rekognition_emulator::{Emulator, Fault, Operation};
use rekognition_stopper::handler::Error;
use rekognition_stopper::report::{Outcome, Report};
use serde_json::{Map, Value, json};
use support::log::Log;
use support::{
    PLENTY, SECRET_KEY, SESSION_TOKEN, arns, emulator, handler, invoke, model, outcomes, pattern,
    report, running, summary,
};
use tokio::time::Instant;

/// The models of the sample events, and one that only `MODEL_ARNS` names.
const SHELF_AUDIT: &str = "arn:aws:rekognition:us-east-1:123456789012:project/shelf-audit/version/shelf-audit.2026-10-01T09.12.33/1759309953000";
const WELD_SEAMS: &str = "arn:aws:rekognition:eu-west-1:123456789012:project/weld-seams/version/weld-seams.2026-08-20T07.01.59/1787209319000";
const BOTTLE_CAPS: &str = "arn:aws:rekognition:us-east-1:123456789012:project/bottle-caps/version/bottle-caps.2026-09-14T16.40.05/1789404005000";
const OF_THE_SETTINGS: &str =
    "arn:aws:rekognition:us-east-1:123456789012:project/dock/version/v1/1700000000000";

/// One invocation with these settings, for models that are all running and stop at once.
async fn answer(variables: &[(&str, &str)], event: Value) -> (Emulator, Result<Report, Error>) {
    let models = [SHELF_AUDIT, WELD_SEAMS, BOTTLE_CAPS, OF_THE_SETTINGS];
    let emulator = emulator(models.map(running)).await;
    let handler = handler(&emulator, variables);
    let result = invoke(&handler, event, PLENTY).await;
    (emulator, result)
}

/// The error's type and message, of an invocation that called nothing.
async fn refused(variables: &[(&str, &str)], event: Value) -> (String, String) {
    let (emulator, result) = answer(variables, event).await;
    assert!(emulator.calls().is_empty());
    let diagnostic = Diagnostic::from(result.unwrap_err());
    (diagnostic.error_type, diagnostic.error_message)
}

/// What was stopped, or would be.
async fn stopped(variables: &[(&str, &str)], event: Value) -> Vec<String> {
    let (_, result) = answer(variables, event).await;
    let models = result.unwrap().models.into_iter();
    models.map(|model| model.model_arn.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn every_sample_event_works_as_is() {
    let table: [(&str, &[&str], &str); 7] = [
        ("alarm-action.json", &[OF_THE_SETTINGS], "stopped"),
        ("budget-alert-sns.json", &[OF_THE_SETTINGS], "stopped"),
        ("dry-run.json", &[SHELF_AUDIT], "would_stop"),
        ("model-arns.json", &[SHELF_AUDIT, WELD_SEAMS], "stopped"),
        ("put-events.json", &[BOTTLE_CAPS], "stopped"),
        ("schedule-rule.json", &[OF_THE_SETTINGS], "stopped"),
        ("schedule-scheduler.json", &[OF_THE_SETTINGS], "stopped"),
    ];
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
    let files: BTreeSet<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(files.iter().eq(table.iter().map(|(file, ..)| file)));

    for (file, models, outcome) in table {
        let text = std::fs::read_to_string(format!("{directory}/{file}")).unwrap();
        let event = serde_json::from_str(&text).unwrap();
        let (_, result) = answer(&[("MODEL_ARNS", OF_THE_SETTINGS)], event).await;
        let report = result.unwrap();
        let reported: Vec<&str> = report.models.iter().map(|it| &*it.model_arn).collect();
        assert_eq!(reported, models, "{file}");
        assert!(outcomes(&report).iter().all(|it| *it == outcome), "{file}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_envelope_of_aws_is_an_empty_request_and_any_other_carries_one() {
    let settings = [("MODEL_ARNS", OF_THE_SETTINGS)];
    for source in ["aws.events", "aws.scheduler", "aws.budgets", "aws."] {
        for detail in [json!({}), json!("{}"), json!({"model_arns": [SHELF_AUDIT]})] {
            let event = json!({"detail-type": "x", "source": source, "detail": detail});
            assert_eq!(stopped(&settings, event).await, [OF_THE_SETTINGS]);
        }
    }
    for source in ["com.example", "aws", "my.aws.events"] {
        let detail = json!({"model_arns": [SHELF_AUDIT]});
        let event = json!({"detail-type": "x", "source": source, "detail": detail});
        assert_eq!(stopped(&settings, event).await, [SHELF_AUDIT]);
        let event = json!({"detail-type": "x", "source": source, "detail": {}});
        assert_eq!(stopped(&settings, event).await, [OF_THE_SETTINGS]);
        let event = json!({"detail-type": "x", "source": source, "detail": "{}"});
        let (error_type, message) = refused(&settings, event).await;
        assert_eq!(error_type, "InvalidRequest");
        assert!(message.contains("`detail`"), "{message}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_list_of_the_event_replaces_that_of_the_settings() {
    let list = format!(" {OF_THE_SETTINGS},\n\t{BOTTLE_CAPS} ,, {WELD_SEAMS}");
    let settings = [("MODEL_ARNS", &*list)];
    assert_eq!(
        stopped(&settings, json!({})).await,
        [OF_THE_SETTINGS, BOTTLE_CAPS, WELD_SEAMS]
    );
    let event = json!({"model_arns": [SHELF_AUDIT]});
    assert_eq!(stopped(&settings, event).await, [SHELF_AUDIT]);
    // A dry run without a list of its own uses that of the settings.
    let (emulator, result) = answer(&settings, json!({"dry_run": true})).await;
    assert_eq!(outcomes(&result.unwrap()), ["would_stop"; 3]);
    assert_eq!(emulator.count(Operation::StopProjectVersion), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_dry_run_is_a_dry_run_if_the_settings_say_so() {
    let settings = [("DRY_RUN", "true")];
    for (dry_run, outcome) in [
        (None, "would_stop"),
        (Some(true), "would_stop"),
        (Some(false), "stopped"),
    ] {
        let mut event = json!({"model_arns": [SHELF_AUDIT]});
        if let Some(dry_run) = dry_run {
            event["dry_run"] = dry_run.into();
        }
        let (emulator, result) = answer(&settings, event).await;
        assert_eq!(outcomes(&result.unwrap()), [outcome]);
        let stops = emulator.count(Operation::StopProjectVersion);
        assert_eq!(stops, usize::from(outcome == "stopped"));
    }
}

#[tokio::test]
async fn an_empty_list_means_no_models_and_is_a_warning() {
    let log = Log::new("JSON", "INFO");
    let settings = [("MODEL_ARNS", OF_THE_SETTINGS)];
    let (emulator, result) = answer(&settings, json!({"model_arns": []})).await;
    assert_eq!(
        serde_json::to_value(result.unwrap()).unwrap(),
        json!({
            "message": "Nothing was looked up.",
            "summary": summary(json!({})),
            "models": []
        })
    );
    assert!(emulator.calls().is_empty());
    let warnings = log.of_level("WARN");
    assert_eq!(warnings.len(), 1);
    let message = warnings[0]["message"].as_str().unwrap();
    assert!(message.contains("model_arns is empty"), "{message}");
}

#[tokio::test]
async fn a_run_without_a_list_in_either_place_is_invalid() {
    for settings in [&[][..], &[("MODEL_ARNS", " , \n")]] {
        let (error_type, message) = refused(settings, json!({})).await;
        assert_eq!(error_type, "InvalidRequest");
        assert!(message.contains("`model_arns`"), "{message}");
        assert!(message.contains("MODEL_ARNS"), "{message}");
    }
}

/// What a function URL makes of a request that may be a right one.
fn function_url() -> Value {
    let body = json!({"model_arns": [SHELF_AUDIT]}).to_string();
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"accountId": "anonymous", "http": {"method": "POST", "path": "/"}},
        "body": body,
        "isBase64Encoded": false
    })
}

#[tokio::test]
async fn an_event_that_is_not_a_request_is_refused_with_the_reason() {
    for (event, part) in [
        (json!({"model_arn": [SHELF_AUDIT]}), "`model_arns`"),
        (json!({"model_arns": [], "dryRun": true}), "`dry_run`"),
        (json!({"model_arns": SHELF_AUDIT}), "`model_arns`"),
        (json!({"model_arns": [SHELF_AUDIT, 7]}), "`model_arns[1]`"),
        (json!({"dry_run": "true"}), "`dry_run`"),
        (json!({"source": "aws.events"}), "`source`"),
        (json!({"accounts": null}), "`accounts`"),
        (json!({"accounts": []}), "`accounts`"),
        (json!({"accounts": ["1234"]}), "`accounts[0]`"),
        (json!({"accounts": ["123456789012"]}), "`accounts`"),
        (json!({"accounts_per_run": 0}), "`accounts_per_run`"),
        (json!({"key1": "value1", "key2": "value2"}), "`model_arns`"),
        (function_url(), "`model_arns`"),
        (
            json!({"Records": [{"eventSource": "aws:s3"}]}),
            "`model_arns`",
        ),
        (json!([SHELF_AUDIT]), "is not an object; it should be one"),
        (json!("{}"), "is not an object; it should be one"),
        (json!(null), "is not an object; it should be one"),
    ] {
        let (error_type, message) = refused(&[("MODEL_ARNS", OF_THE_SETTINGS)], event).await;
        assert_eq!(error_type, "InvalidRequest");
        assert!(message.contains(part), "{message}");
        assert!(message.ends_with('.'), "{message}");
    }
}

#[tokio::test]
async fn bad_settings_are_named_on_every_invocation_and_nothing_is_called() {
    let emulator = emulator([running(SHELF_AUDIT)]).await;
    let variables = [
        ("MAX_CONCURRENCY", "65"),
        ("CONFIRM_STOPPED", "maybe"),
        ("INFERENCE_UNIT_HOUR_PRICE", "free"),
    ];
    let handler = handler(&emulator, &variables);
    for event in [
        json!({"model_arns": [SHELF_AUDIT]}),
        json!({}),
        json!({"what": 1}),
    ] {
        let error = invoke(&handler, event, PLENTY).await.unwrap_err();
        let diagnostic = Diagnostic::from(error);
        assert_eq!(diagnostic.error_type, "InvalidSettings");
        for (name, value) in variables {
            let part = format!("{name} is `{value}`");
            let message = &diagnostic.error_message;
            assert!(message.contains(&part), "{message}");
        }
    }
    assert!(emulator.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn invalid_entries_fail_on_their_own_and_in_their_position() {
    let no_arn = "arn:aws:lambda:us-east-1:123456789012:function:shelf";
    let entries = json!([
        null,
        SHELF_AUDIT,
        " ",
        no_arn,
        format!("\t{WELD_SEAMS} "),
        ""
    ]);
    let (emulator, result) = answer(&[], json!({"model_arns": entries})).await;
    let report = report(result);
    let reported: Vec<(&str, &str)> = report
        .models
        .iter()
        .map(|model| (&*model.model_arn, support::outcome(model)))
        .collect();
    let invalid = "InvalidModelArn";
    assert_eq!(
        reported,
        [
            ("null", invalid),
            (SHELF_AUDIT, "stopped"),
            ("", invalid),
            (no_arn, invalid),
            (WELD_SEAMS, "stopped"),
        ]
    );
    assert_eq!(emulator.status(SHELF_AUDIT).as_deref(), Some("STOPPED"));
    assert_eq!(emulator.status(WELD_SEAMS).as_deref(), Some("STOPPED"));
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_matched_as_iam_matches_a_resource_and_only_its_projects_are_listed() {
    let everything: &[&str] = &[BOTTLE_CAPS, OF_THE_SETTINGS, SHELF_AUDIT];
    for (resource, models) in [
        ("project/shelf-audit/*", &[SHELF_AUDIT][..]),
        ("project/shelf-audit/version/*", &[SHELF_AUDIT]),
        ("project/shelf-audit/version/*/*", &[SHELF_AUDIT]),
        ("project/*", everything),
        ("*", everything),
        ("project/?o*/version/*/1*", &[BOTTLE_CAPS, OF_THE_SETTINGS]),
        ("project/s*", &[SHELF_AUDIT]),
        ("project/shelf/*", &[]),
    ] {
        let entry = format!("arn:aws:rekognition:us-east-1:123456789012:{resource}");
        let event = json!({"model_arns": [entry], "dry_run": true});
        let (emulator, result) = answer(&[], event).await;
        let report = result.unwrap();
        let reported: Vec<&str> = report.models.iter().map(|it| &*it.model_arn).collect();
        assert_eq!(reported, models, "{resource}");
        let lists = emulator.count(Operation::DescribeProjectVersions);
        assert_eq!(lists, models.len(), "{resource}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_is_given_twice_is_one_model() {
    let entries = [
        BOTTLE_CAPS,
        SHELF_AUDIT,
        BOTTLE_CAPS,
        &format!(" {SHELF_AUDIT}"),
    ];
    let (emulator, result) = answer(&[], json!({"model_arns": entries})).await;
    let report = result.unwrap();
    assert_eq!(report.summary.models, 2);
    assert_eq!(&*report.models[0].model_arn, BOTTLE_CAPS);
    assert_eq!(emulator.count(Operation::StopProjectVersion), 2);
}

#[tokio::test(start_paused = true)]
async fn models_are_in_the_order_of_the_request_whatever_the_order_in_which_they_finish() {
    let mut entries = arns(12);
    entries.reverse();
    let models = entries.iter().enumerate().map(|(number, arn)| {
        let seconds = (number as u64 * 7) % 12;
        running(arn).stop_takes(Duration::from_secs(seconds))
    });
    let emulator = emulator(models).await;
    let handler = handler(&emulator, &[]);
    let report = invoke(&handler, json!({ "model_arns": entries }), PLENTY)
        .await
        .unwrap();
    let reported: Vec<&str> = report.models.iter().map(|it| &*it.model_arn).collect();
    assert_eq!(reported, entries);
}

#[tokio::test(start_paused = true)]
async fn the_report_has_each_outcome_and_adds_them_up() {
    let arns = arns(4);
    let emulator = emulator([
        running(&arns[0]).inference_units(2),
        model(&arns[1], "TRAINING_COMPLETED"),
        running(&arns[2]).tag("keep-running", "2999-12-24"),
        model(&arns[3], "STOPPING").inference_units(1),
    ])
    .await;
    let handler = handler(&emulator, &[("INFERENCE_UNIT_HOUR_PRICE", "4.00")]);
    let event = json!({"model_arns": [arns[0], arns[1], pattern("shelf", "*")]});
    emulator.set_stop_takes(Duration::from_secs(3));
    let report = invoke(&handler, event, PLENTY).await.unwrap();
    assert_eq!(
        serde_json::to_value(report).unwrap(),
        json!({
            "message": format!(
                "2 models were stopped: {}; {}. That is 3 inference units, or 12.00 an hour. 1 \
                 model was kept running: {} (tag keep-running=2999-12-24).",
                arns[0], arns[3], arns[2]
            ),
            "summary": summary(json!({
                "accounts": 1, "models": 4, "stopped": 2, "already_stopped": 1, "kept": 1,
                "inference_units_stopped": 3, "estimated_savings_per_hour": 12.0
            })),
            "models": [
                {"model_arn": arns[0], "outcome": "stopped", "status": "STOPPED"},
                {"model_arn": arns[1], "outcome": "already_stopped", "status": "TRAINING_COMPLETED"},
                {"model_arn": arns[2], "outcome": "kept", "status": "RUNNING", "reason": "tag keep-running=2999-12-24"},
                {"model_arn": arns[3], "outcome": "stopped", "status": "STOPPED"}
            ]
        })
    );
}

#[tokio::test(start_paused = true)]
async fn the_error_message_names_what_was_not_stopped() {
    let arns = arns(5);
    let emulator = emulator([
        running(&arns[0]),
        running(&arns[1]),
        model(&arns[2], "STARTING").start_takes(Duration::MAX),
        running(&arns[3]),
        model(&arns[4], "STOPPED"),
    ])
    .await;
    emulator.deny("rekognition:StopProjectVersion", Some(&arns[1]));
    let handler = handler(&emulator, &[]);
    let event = json!({ "model_arns": arns });
    let error = invoke(&handler, event, Duration::from_secs(5)).await;
    let diagnostic = Diagnostic::from(error.unwrap_err());
    assert_eq!(diagnostic.error_type, "NotAllStopped");
    let message = diagnostic.error_message;
    let beginning = format!(
        "2 of 5 models were not stopped: {} (AccessDeniedException: ",
        arns[1]
    );
    assert!(message.starts_with(&beginning), "{message}");
    let starting = format!("; {} (StillStarting", arns[2]);
    assert!(message.contains(&starting), "{message}");
    // What the service said of it.
    let end = "; its status message: The model is being started.).";
    assert!(message.ends_with(end), "{message}");
    for other in [&arns[0], &arns[3], &arns[4]] {
        assert!(!message.contains(other.as_str()), "{message}");
    }
}

#[tokio::test]
async fn no_error_message_can_break_the_template_of_an_email() {
    const SPOILER: &str = "\" \\ \n \u{1b} \u{85}";
    for (variables, event) in [
        (&[][..], json!({"model_arns": [SPOILER]})),
        (&[], json!({"model_arns": [SPOILER], "dry_run": true})),
        (&[], json!({ SPOILER: 1 })),
        (&[], json!({"detail-type": "x", "source": SPOILER})),
        (&[("MAX_CONCURRENCY", SPOILER)], json!({})),
    ] {
        let (_, message) = refused(variables, event).await;
        assert!(message.contains("' |"), "{message}");
        let spoils = |character: char| character.is_control() || matches!(character, '"' | '\\');
        assert!(!message.contains(spoils), "{message}");
    }
}

#[tokio::test]
async fn a_long_error_message_is_cut_and_the_log_has_everything() {
    let log = Log::new("JSON", "INFO");
    let entries: Vec<String> = (0..300)
        .map(|number| format!("not an ARN, number {number}"))
        .collect();
    let (_, result) = answer(&[], json!({ "model_arns": entries })).await;
    let message = result.unwrap_err().to_string();
    assert!(message.len() <= 8 * 1024, "{} bytes", message.len());
    assert!(message.starts_with("300 of 300 models were not stopped: not an ARN, number 0 ("));
    let named = message.matches("InvalidModelArn").count();
    assert!(message.ends_with(&format!("; and {} more.", 300 - named)));
    assert_eq!(log.of_message("model").len(), 300);
}

#[tokio::test(start_paused = true)]
async fn the_response_comes_before_the_deadline_and_names_what_was_not_reached() {
    for seconds in [2, 60] {
        let limit = Duration::from_secs(seconds);
        let arns = arns(20);
        let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
        emulator.add_fault(Fault::hang());
        let handler = handler(&emulator, &[("MAX_CONCURRENCY", "2")]);
        let start = Instant::now();
        let report = report(invoke(&handler, json!({ "model_arns": arns }), limit).await);
        assert!(start.elapsed() < limit, "{limit:?}: {:?}", start.elapsed());
        assert_eq!(outcomes(&report), ["DeadlineExceeded"; 20]);
    }
}

/// The fields of a line other than those that every line has.
fn fields(line: &Value) -> Map<String, Value> {
    let mut fields = line.as_object().unwrap().clone();
    assert!(fields.remove("timestamp").is_some_and(|it| it.is_string()));
    assert_eq!(fields.remove("requestId"), Some(json!("request-1")));
    fields
}

fn assert_flat(lines: &[Value]) {
    for line in lines {
        let values = line.as_object().unwrap().values();
        let mut nested = values.filter(|value| value.is_array() || value.is_object());
        assert_eq!(nested.next(), None, "{line}");
    }
}

/// One invocation with a model of each kind, of which two are not stopped.
async fn a_night(log_format: &str, log_level: &str) -> (Log, Vec<String>) {
    let arns = arns(4);
    let emulator = emulator([
        running(&arns[0]).inference_units(2),
        running(&arns[1]).tag("keep-running", "true"),
        model(&arns[2], "STARTING").start_takes(Duration::MAX),
        model(&arns[3], "STOPPED"),
    ])
    .await;
    let log = Log::new(log_format, log_level);
    let handler = handler(&emulator, &[("INFERENCE_UNIT_HOUR_PRICE", "4.00")]);
    let event =
        json!({"model_arns": [arns[0], pattern("shelf", "v0001"), arns[2], arns[3], "oops"]});
    let report = report(invoke(&handler, event, Duration::from_secs(5)).await);
    assert_eq!(report.summary.failed, 2);
    (log, arns)
}

#[tokio::test(start_paused = true)]
async fn the_log_has_a_line_for_each_model_and_one_for_the_run() {
    let (log, arns) = a_night("JSON", "INFO").await;
    let lines = log.lines();
    assert_eq!(lines.len(), 6, "{}", log.text());
    assert_flat(&lines);
    let line_of = |model_arn: &str| {
        let mut found = lines.iter().filter(|line| line["model_arn"] == model_arn);
        let line = fields(found.next().unwrap());
        assert_eq!(found.next(), None);
        Value::Object(line)
    };
    assert_eq!(
        line_of(&arns[0]),
        json!({"level": "INFO", "message": "model", "model_arn": arns[0], "outcome": "stopped", "status": "STOPPED"})
    );
    assert_eq!(
        line_of(&arns[1]),
        json!({"level": "INFO", "message": "model", "model_arn": arns[1], "outcome": "kept", "status": "RUNNING",
               "reason": "tag keep-running=true"})
    );
    let mut starting = line_of(&arns[2]);
    let error = starting["error"].take();
    let error = error.as_str().unwrap();
    assert!(
        error.starts_with("it was STARTING when it was last seen, "),
        "{error}"
    );
    assert_eq!(
        starting,
        json!({"level": "ERROR", "message": "model", "model_arn": arns[2], "outcome": "failed", "status": "STARTING",
               "code": "StillStarting", "error": null})
    );
    assert_eq!(
        line_of(&arns[3]),
        json!({"level": "INFO", "message": "model", "model_arn": arns[3], "outcome": "already_stopped",
               "status": "STOPPED"})
    );
    let oops = line_of("oops");
    assert_eq!(
        (&oops["level"], &oops["code"]),
        (&json!("ERROR"), &json!("InvalidModelArn"))
    );
    assert_eq!(oops.get("status"), None);

    let mut run = fields(&lines[5]);
    assert!(run.remove("duration_ms").is_some_and(|it| it.is_u64()));
    assert_eq!(
        Value::Object(run),
        summary(json!({
            "level": "ERROR", "message": "run", "accounts": 1, "models": 5, "stopped": 1,
            "already_stopped": 1, "kept": 1, "failed": 2, "inference_units_stopped": 2,
            "estimated_savings_per_hour": 8.0
        }))
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_lookup_has_a_line_of_its_own_and_is_not_a_model() {
    let log = Log::new("JSON", "INFO");
    let emulator = emulator([running(SHELF_AUDIT), running(WELD_SEAMS)]).await;
    let denied = Fault::error("AccessDeniedException").region("eu-west-1");
    emulator.add_fault(denied);
    let everywhere = "arn:aws:rekognition:*:123456789012:project/*/version/*/*";
    let handler = handler(&emulator, &[("REGIONS", "us-east-1,eu-west-1")]);
    let event = json!({"model_arns": [everywhere]});
    let error = invoke(&handler, event, PLENTY).await.unwrap_err();
    let (pattern, reason) = (
        everywhere.replace(":*:", ":eu-west-1:"),
        "rekognition:DescribeProjects is not allowed: AccessDeniedException by script",
    );
    assert_eq!(
        error.to_string(),
        format!("No model failed. 1 lookup failed: {pattern} (AccessDeniedException: {reason}).")
    );
    let lines = log.of_message("lookup");
    let [line] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(
        Value::Object(fields(line)),
        json!({"level": "ERROR", "message": "lookup", "pattern": pattern,
               "code": "AccessDeniedException", "error": reason})
    );
    let models = log.of_message("model");
    assert_eq!(models.len(), 1);
    assert_eq!(models[0]["outcome"], "stopped");
    let mut run = fields(&log.of_message("run")[0]);
    run.remove("duration_ms");
    assert_eq!(
        Value::Object(run),
        summary(json!({
            "level": "ERROR", "message": "run", "accounts": 1, "models": 1, "stopped": 1,
            "failed_lookups": 1, "inference_units_stopped": 1
        }))
    );
}

#[tokio::test(start_paused = true)]
async fn a_good_run_without_a_price_is_an_info_line_without_savings() {
    let log = Log::new("JSON", "INFO");
    let (_, result) = answer(&[], json!({"model_arns": [SHELF_AUDIT]})).await;
    result.unwrap();
    let run = &log.of_message("run")[0];
    assert_eq!(run["level"], "INFO");
    assert_eq!(run.get("estimated_savings_per_hour"), None);
}

#[tokio::test(start_paused = true)]
async fn without_json_the_log_is_readable_lines() {
    let (log, arns) = a_night("Text", "INFO").await;
    let text = log.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6, "{text}");
    let stopped = format!(
        r#" INFO model requestId="request-1" model_arn="{}" outcome="stopped" status="STOPPED""#,
        arns[0]
    );
    assert!(lines.contains(&&*stopped), "{text}");
    assert!(
        lines[5].starts_with(r#"ERROR run requestId="request-1" accounts=1 models=5 stopped=1 "#),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[tokio::test(start_paused = true)]
async fn at_the_level_fatal_errors_are_still_logged() {
    let (log, _) = a_night("JSON", "FATAL").await;
    let levels: Vec<Value> = log.lines().iter().map(|it| it["level"].clone()).collect();
    assert_eq!(levels, ["ERROR"; 3]);
}

#[tokio::test(start_paused = true)]
async fn no_credential_no_signature_and_no_whole_event_is_logged_at_any_level() {
    const OF_THE_EVENT: &str = "something that only the event says";
    for format in ["JSON", "Text"] {
        let emulator = emulator([running(SHELF_AUDIT)]).await;
        for fault in [
            Fault::error("InternalServerError"),
            Fault::garbage("oops"),
            Fault::reset(),
            Fault::hang(),
        ] {
            emulator.add_fault(fault.attempts(..=4));
        }
        let log = Log::new(format, "TRACE");
        let handler = handler(&emulator, &[]);
        let detail = json!({"model_arns": [SHELF_AUDIT, pattern("*", "*")]});
        let event = json!({"detail-type": OF_THE_EVENT, "source": "com.example", "detail": detail});
        let report = report(invoke(&handler, event, PLENTY).await);
        assert_eq!(outcomes(&report), ["stopped"]);
        assert!(matches!(report.models[0].outcome, Outcome::Stopped));
        let not_an_event = json!({"model_arns": OF_THE_EVENT});
        invoke(&handler, not_an_event, PLENTY).await.unwrap_err();

        let text = log.text();
        // Something is logged at this level: the attempts.
        assert!(text.contains("DEBUG") && text.contains("attempt"), "{text}");
        if format == "JSON" {
            assert_flat(&log.lines());
        }
        let text = text.to_lowercase();
        for secret in [
            SECRET_KEY,
            SESSION_TOKEN,
            "authorization",
            "signature",
            "x-amz-security-token",
            OF_THE_EVENT,
        ] {
            assert!(!text.contains(&secret.to_lowercase()), "{secret}: {text}");
        }
    }
}
