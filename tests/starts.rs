//! Who started the models that run, and when: what CloudTrail's event history says about them.
//! `src/aws/cloudtrail.rs` tests whom an event names, and `src/run/starts.rs` which pages are read.

mod support;

use std::time::Duration;

use rekognition_emulator::{Emulator, Fault, Model, Operation, Quota, StartEvent, Starter};
use rekognition_stopper::report::Report;
use serde_json::{Map, Value, json};
use support::log::Log;
use support::runs::Run;
use support::{
    OWN, PLENTY, arn_in, arns, handler_in_process, model, outcomes, pattern, run, running,
};

const ON: (&str, &str) = ("FIND_STARTS", "true");
const PRICE: (&str, &str) = ("INFERENCE_UNIT_HOUR_PRICE", "4.00");
const LOOKUP: Operation = Operation::LookupEvents;

/// An emulator of these models, each of which alice started 61.3 hours ago.
fn started(models: impl IntoIterator<Item = Model>) -> Emulator {
    let models = Vec::from_iter(models);
    let starts = models.iter().map(|model| {
        let alice = Starter::User("alice".to_owned());
        StartEvent::new(model.arn(), alice, Duration::from_secs(613 * 360)).unwrap()
    });
    let starts = Vec::from_iter(starts);
    Emulator::builder()
        .models(models)
        .starts(starts)
        .in_process()
}

/// What each row says of a start.
fn fields(report: &Report) -> Vec<Map<String, Value>> {
    let report = serde_json::to_value(report).unwrap();
    let rows = report["models"].as_array().unwrap();
    rows.iter().map(fields_of).collect()
}

/// What a row or a line says of a start.
fn fields_of(row: &Value) -> Map<String, Value> {
    let mut fields = row.as_object().unwrap().clone();
    let names = ["started_at", "started_by", "hours_running", "cost_so_far"];
    fields.retain(|name, _| names.contains(&&**name));
    fields
}

/// Which models are explained, in the order of the report.
fn explained(report: &Report) -> Vec<bool> {
    let models = report.models.iter();
    models.map(|it| it.started.started_by.is_some()).collect()
}

/// All models of the account in `us-east-1`.
fn all(dry_run: bool) -> Value {
    json!({"model_arns": [pattern("*", "*")], "dry_run": dry_run})
}

#[tokio::test(start_paused = true)]
async fn a_row_its_line_and_the_text_say_who_started_it_when_and_what_it_has_cost() {
    let arns = arns(1);
    let emulator = started([running(&arns[0]).inference_units(2)]);
    let log = Log::new("JSON", "INFO");
    let report = run(&emulator, &[ON, PRICE], all(false)).await;
    assert_eq!(outcomes(&report), ["stopped"]);
    let mut row = fields(&report).remove(0);
    assert_eq!(fields_of(&log.lines_with("message", "model")[0]), row);
    let at = row.remove("started_at").unwrap();
    let form = regex::Regex::new(r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$").unwrap();
    assert!(form.is_match(at.as_str().unwrap()), "{at}");
    let expected = json!({"started_by": "alice", "hours_running": 61.3, "cost_so_far": 490.4});
    assert_eq!(Value::Object(row), expected);
    let text = "(running for 61.3 hours, started by alice, about 490.40 so far)";
    assert!(report.message.contains(text), "{}", report.message);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_or_would_be_stopped_or_fails_is_explained_as_well_and_nothing_else() {
    let arns = arns(5);
    let models = || {
        [
            running(&arns[0]).tag("keep-running", "true"),
            running(&arns[1]),
            model(&arns[2], "STARTING").start_takes(Duration::MAX),
            model(&arns[3], "STOPPED"),
            model(&arns[4], "STOPPING").stop_takes(Duration::MAX),
        ]
    };
    let emulator = started(models());
    // The history has three pages.
    emulator.set_page_size(2);
    emulator.deny("rekognition:StopProjectVersion", None);
    let dry = run(&emulator, &[ON], all(true)).await;
    let expected = ["kept", "would_stop", "would_stop", "would_stop"];
    assert_eq!(outcomes(&dry), expected);
    let wet = run(&emulator, &[ON], all(false)).await;
    let expected = [
        "kept",
        "AccessDeniedException",
        "StillStarting",
        "NotConfirmed",
    ];
    assert_eq!(outcomes(&wet), expected);
    for report in [&dry, &wet] {
        assert_eq!(explained(report), [true, true, true, false]);
    }
    let kept = "(tag keep-running=true; running for 61.3 hours, started by alice)";
    assert!(dry.message.contains(kept), "{}", dry.message);
    let failed = "; running for 61.3 hours, started by alice)";
    assert_eq!(wet.message.matches(failed).count(), 2, "{}", wet.message);

    // One that is named is explained once its stop is accepted. By then there is nothing to
    // explain for the next run.
    let emulator = started(models());
    let event = json!({"model_arns": [arns[1], arns[3]]});
    for (variables, expected, lookups) in [
        (&[ON][..], [true, false], 1),
        (&[ON], [false, false], 1),
        (&[], [false, false], 1),
    ] {
        let report = run(&emulator, variables, event.clone()).await;
        assert_eq!(explained(&report), expected);
        assert_eq!(emulator.count(LOOKUP), lookups);
    }
    emulator.set_status(&arns[1], "RUNNING");
    let report = run(&emulator, &[("FIND_STARTS", "false")], event).await;
    assert_eq!(outcomes(&report), ["stopped", "already_stopped"]);
    assert_eq!(emulator.count(LOOKUP), 1);
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_lookups_no_outcome_changes_and_one_warning_is_enough() {
    let arns = arns(2);
    let night = async |fault: Option<&Fault>, variables: &[(&str, &str)]| {
        let emulator = started([
            running(&arns[0]).stop_takes(Duration::from_secs(20)),
            model(&arns[1], "STARTING").start_takes(Duration::from_secs(30)),
            running(&arn_in("eu-west-1", "shelf", "v1")),
        ]);
        if let Some(fault) = fault {
            emulator.add_fault(fault.clone().operation(LOOKUP));
        }
        let handler = handler_in_process(&emulator, variables);
        let everywhere = pattern("*", "*").replace("us-east-1", "*");
        Run::new(
            &handler,
            &emulator,
            &json!({"model_arns": [everywhere]}),
            5 * PLENTY,
        )
        .await
    };
    let without = night(None, &[]).await;
    for (fault, warnings) in [
        (Fault::error("AccessDeniedException"), 1),
        (Fault::error("ThrottlingException"), 1),
        (Fault::error("InvalidNextTokenException"), 1),
        (Fault::hang(), 1),
        (Fault::garbage("<html>"), 1),
        // Nothing can be said of these, which is no failure.
        (Fault::garbage("{\"Events\": null}"), 0),
        (Fault::garbage("{\"Events\": [{}, {}]}"), 0),
    ] {
        let log = Log::new("JSON", "INFO");
        let with = night(Some(&fault.clone().region("us-east-1")), &[ON]).await;
        assert_eq!(
            outcomes(&with.report),
            outcomes(&without.report),
            "{fault:?}"
        );
        // That of the other region is found.
        assert_eq!(explained(&with.report), [true, false, false], "{fault:?}");
        assert_eq!(with.stops, without.stops, "{fault:?}");
        assert!(with.took <= without.took + 5.0, "{fault:?}: {with}");
        let lines = log.lines_with("level", "WARN");
        assert_eq!(lines.len(), warnings, "{fault:?}: {lines:?}");
        for line in lines {
            assert_eq!([&line["account"], &line["region"]], [OWN, "us-east-1"]);
            assert_eq!(line["requestId"], "request-1");
            assert!(line["error"].is_string(), "{line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_response_waits_five_seconds_for_a_slow_lookup_and_no_longer() {
    for (seconds, is_explained) in [(4, true), (6, false)] {
        let emulator = started([running(&arns(1)[0])]);
        let slow = Fault::delay(Duration::from_secs(seconds));
        emulator.add_fault(slow.operation(LOOKUP));
        let handler = handler_in_process(&emulator, &[ON]);
        let run = Run::new(&handler, &emulator, &all(true), PLENTY).await;
        assert_eq!(explained(&run.report), [is_explained]);
        assert!(run.took <= 5.1, "{run}");
    }
}

#[tokio::test(start_paused = true)]
async fn stops_of_many_models_come_when_they_would_without_lookups() {
    let arns = arns(100);
    let night = async |fault: Option<Fault>, variables: &[(&str, &str)]| {
        let emulator = started(arns.iter().map(|arn| running(arn)));
        for (operation, calls) in [
            (Operation::StopProjectVersion, 10.0),
            (Operation::ListTagsForResource, 10.0),
            (LOOKUP, 2.0),
        ] {
            emulator.set_operation_quota(operation, Some(Quota::per_second(calls)));
        }
        if let Some(fault) = fault {
            emulator.add_fault(fault.operation(LOOKUP));
        }
        // The same chance in the pace of each.
        fastrand::seed(7);
        let handler = handler_in_process(&emulator, variables);
        Run::new(&handler, &emulator, &all(false), 5 * PLENTY).await
    };
    let without = night(None, &[]).await;
    for fault in [None, Some(Fault::hang())] {
        let run = night(fault, &[ON]).await;
        assert_eq!(outcomes(&run.report), ["stopped"; 100]);
        let late = run.last_stop() - without.last_stop();
        assert!(late <= 0.1, "the last stop is {late} s later: {run}");
        assert!(run.took <= without.took + 5.0, "{run}");
    }
}
