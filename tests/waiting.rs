//! Between a stop and its end: models are waited for, confirmed, and stopped again.
//!
//! The clock is paused, so that minutes pass at once.

mod support;

use std::time::Duration;

use rekognition_emulator::{Answer, Emulator, Fault, Operation};
use rekognition_stopper::handler::Error;
use serde_json::json;
use support::{
    PLENTY, arn, emulator, emulator_in_process, failure, handler, handler_in_process, invocation,
    invoke, model, outcomes, payload, report, running, stop,
};
use tokio::time::Instant;

/// More than a stop takes, and less than a test waits for.
const SHORT: Duration = Duration::from_secs(5);

/// The statuses that a model went through.
fn history(emulator: &Emulator, arn: &str) -> Vec<String> {
    let changes = emulator.changes().into_iter();
    changes
        .filter(|change| change.arn == arn)
        .map(|change| change.status)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_starting_model_is_waited_out_and_then_stopped() {
    let arn = arn("shelf", "v1");
    let thirteen_minutes = Duration::from_secs(13 * 60);
    let starting = model(&arn, "STARTING")
        .start_takes(thirteen_minutes)
        .stop_takes(Duration::from_secs(30));
    let emulator = emulator([starting.inference_units(3)]).await;
    let handler = handler(&emulator, &[]);
    let event = json!({"model_arns": [arn]});
    let report = invoke(&handler, event, Duration::from_secs(900))
        .await
        .unwrap();
    assert_eq!(outcomes(&report), ["stopped"]);
    assert_eq!(report.summary.inference_units_stopped, 3);
    assert_eq!(history(&emulator, &arn), ["RUNNING", "STOPPING", "STOPPED"]);
    // Pauses of 1, 2, 4, 8, 16 and then of 30 seconds.
    let looks = emulator.count(Operation::DescribeProjectVersions);
    assert!((20..50).contains(&looks), "{looks} looks");
}

#[tokio::test(start_paused = true)]
async fn without_confirmation_a_starting_model_is_waited_out_all_the_same() {
    let arn = arn("shelf", "v1");
    let starting = model(&arn, "STARTING").start_takes(Duration::from_secs(20));
    let emulator = emulator([starting.stop_takes(Duration::MAX)]).await;
    let handler = handler(&emulator, &[("CONFIRM_STOPPED", "false")]);
    let report = invoke(&handler, json!({"model_arns": [arn]}), PLENTY)
        .await
        .unwrap();
    assert_eq!(outcomes(&report), ["stopping"]);
    assert_eq!(history(&emulator, &arn), ["RUNNING", "STOPPING"]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_starting_up_to_the_deadline_fails_as_still_starting() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([model(&arn, "STARTING").start_takes(Duration::MAX)]).await;
    let handler = handler(&emulator, &[]);
    let result = invoke(&handler, json!({"model_arns": [arn]}), SHORT).await;
    assert!(result.as_ref().unwrap_err().to_string().contains(&arn));
    let report = report(result);
    assert_eq!(outcomes(&report), ["StillStarting"]);
    assert_eq!(
        report.models[0].status.as_ref().unwrap().as_str(),
        "STARTING"
    );
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_unfinished_at_the_deadline_says_when_it_was_last_seen() {
    let arn = arn("shelf", "v1");
    let starting = model(&arn, "STARTING").start_takes(Duration::from_secs(57));
    let refused =
        || Fault::error("ResourceInUseException").operation(Operation::StopProjectVersion);
    for (model, seen) in [
        (starting, "it was STARTING when it was last seen, "),
        (running(&arn), "it was running when it was last seen, "),
    ] {
        let emulator = emulator_in_process([model]);
        emulator.add_fault(refused());
        let handler = handler_in_process(&emulator, &[]);
        let event = payload(&json!({"model_arns": [arn]}));
        let Err(Error::NotAllStopped(report)) = handler.invoke(event, invocation(PLENTY)).await
        else {
            panic!("{:?}", emulator.statuses());
        };
        assert!(failure(&report).contains(seen), "{report:?}");
        assert!(
            failure(&report).contains(" s before the deadline"),
            "{report:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_starting_model_that_fails_to_start_needs_no_stop() {
    let arn = arn("shelf", "v1");
    let starting = model(&arn, "STARTING").start_takes(Duration::MAX);
    let emulator = emulator([starting.becomes(SHORT, "FAILED")]).await;
    let report = stop(&emulator, &[&arn]).await.unwrap();
    assert_eq!(outcomes(&report), ["already_stopped"]);
    assert_eq!(report.models[0].status.as_ref().unwrap().as_str(), "FAILED");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_runs_again_after_its_stop_is_stopped_again() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([running(&arn)]).await;
    emulator.set_stop_takes(Duration::MAX);
    let someone_starts_it = async {
        emulator
            .wait_until(|emulator| emulator.status(&arn).as_deref() == Some("STOPPING"))
            .await;
        emulator.set_status(&arn, "RUNNING");
        emulator.set_stop_takes(SHORT);
    };
    let entries = [&*arn];
    let (report, ()) = tokio::join!(stop(&emulator, &entries), someone_starts_it);
    assert_eq!(outcomes(&report.unwrap()), ["stopped"]);
    assert_eq!(
        history(&emulator, &arn),
        ["STOPPING", "RUNNING", "STOPPING", "STOPPED"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_model_that_starts_again_after_its_stop_is_waited_out_and_stopped_again() {
    let arn = arn("shelf", "v1");
    let stopped = running(&arn)
        .stop_takes(SHORT)
        .start_takes(SHORT)
        .becomes(Duration::from_secs(2), "STARTING");
    let emulator = emulator([stopped]).await;
    let report = stop(&emulator, &[&arn]).await.unwrap();
    assert_eq!(outcomes(&report), ["stopped"]);
    assert_eq!(
        history(&emulator, &arn),
        ["STOPPING", "STARTING", "RUNNING", "STOPPING", "STOPPED"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_still_stopping_at_the_deadline_is_not_confirmed() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([running(&arn).stop_takes(Duration::MAX)]).await;
    let handler = handler(&emulator, &[]);
    let event = json!({"model_arns": [arn]});
    let first = report(invoke(&handler, event.clone(), SHORT).await);
    assert_eq!(outcomes(&first), ["NotConfirmed"]);
    assert_eq!(
        first.models[0].status.as_ref().unwrap().as_str(),
        "STOPPING"
    );

    // The repeated run finds it as the first left it.
    let again = invoke(&handler, event.clone(), SHORT);
    let at_last = async {
        let stops = Operation::StopProjectVersion;
        emulator.wait_until(|it| it.count(stops) == 2).await;
        emulator.set_status(&arn, "STOPPED");
    };
    let (second, ()) = tokio::join!(again, at_last);
    assert!(
        ["stopped", "already_stopped"].contains(&outcomes(&second.unwrap())[0]),
        "{arn}"
    );
    let third = invoke(&handler, event, SHORT).await.unwrap();
    assert_eq!(outcomes(&third), ["already_stopped"]);
}

#[tokio::test(start_paused = true)]
async fn a_model_that_stops_after_the_last_regular_poll_is_confirmed_shortly_before_the_deadline() {
    let arn = arn("shelf", "v1");
    // Polls come after 1, 3, 7, 15, 31, 61 and 91 seconds, and the next would come after 121.
    let slow = running(&arn).stop_takes(Duration::from_secs(105));
    let emulator = emulator([slow]).await;
    let handler = handler(&emulator, &[]);
    let event = json!({"model_arns": [arn]});
    let report = report(invoke(&handler, event, Duration::from_secs(120)).await);
    assert_eq!(outcomes(&report), ["stopped"]);
}

#[tokio::test(start_paused = true)]
async fn a_model_found_stopping_ends_stopped() {
    let arn = arn("shelf", "v1");
    let stopping = model(&arn, "STOPPING").stop_takes(SHORT);
    let emulator = emulator([stopping]).await;
    let report = stop(&emulator, &[&arn]).await.unwrap();
    assert_eq!(outcomes(&report), ["stopped"]);
    assert_eq!(emulator.count(Operation::StopProjectVersion), 1);

    emulator.set_status(&arn, "STOPPING");
    let handler = handler(&emulator, &[("CONFIRM_STOPPED", "false")]);
    let report = invoke(&handler, json!({"model_arns": [arn]}), PLENTY)
        .await
        .unwrap();
    assert_eq!(outcomes(&report), ["stopping"]);
}

#[tokio::test(start_paused = true)]
async fn a_running_model_whose_stop_is_refused_as_in_use_is_stopped_again() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([running(&arn)]).await;
    let in_use = Fault::error("ResourceInUseException").operation(Operation::StopProjectVersion);
    emulator.add_fault(in_use.attempts(..=3));
    let report = stop(&emulator, &[&arn]).await.unwrap();
    assert_eq!(outcomes(&report), ["stopped"]);
    let calls = emulator.calls().into_iter();
    let stops = calls.filter(|call| call.operation == Operation::StopProjectVersion);
    let times: Vec<Instant> = stops.map(|call| call.at).collect();
    assert_eq!(times.len(), 4);
    // At once, and then with pauses that grow.
    let pauses = [
        times[1] - times[0],
        times[2] - times[1],
        times[3] - times[2],
    ];
    assert!(
        pauses.is_sorted() && pauses[1] > Duration::ZERO,
        "{pauses:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stop_that_is_always_refused_as_in_use_is_tried_again_every_few_seconds() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([running(&arn)]).await;
    let in_use = Fault::error("ResourceInUseException").operation(Operation::StopProjectVersion);
    emulator.add_fault(in_use);
    let report = report(stop(&emulator, &[&arn]).await);
    assert_eq!(outcomes(&report), ["DeadlineExceeded"]);
    // In a minute.
    let stops = emulator.count(Operation::StopProjectVersion);
    assert!((5..=40).contains(&stops), "{stops} stops");
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_reported_running_to_the_end_is_never_reported_stopped() {
    let arn = arn("shelf", "v1");
    for (fault, is_accepted) in [
        // Refused and running, forever.
        (
            Fault::error("ResourceInUseException").operation(Operation::StopProjectVersion),
            false,
        ),
        // Accepted, then refused and reported as running, forever.
        (
            Fault::status_override("RUNNING").operation(Operation::DescribeProjectVersions),
            true,
        ),
    ] {
        let emulator = emulator([running(&arn)]).await;
        emulator.add_fault(fault.clone());
        let handler = handler(&emulator, &[]);
        let report = report(invoke(&handler, json!({"model_arns": [arn]}), SHORT).await);
        assert_eq!(outcomes(&report), ["DeadlineExceeded"], "{fault:?}");
        let reason = "the last attempt failed with: ResourceInUseException";
        assert!(failure(&report).contains(reason), "{report:?}");
        let accepted = failure(&report).contains("its stop was accepted, but it was running");
        assert_eq!(accepted, is_accepted, "{report:?}");
        let status = report.models[0].status.as_ref().unwrap();
        assert_eq!(status.as_str(), "RUNNING", "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_that_becomes_unknown_is_unexpected() {
    let arn = arn("shelf", "v1");
    let stopping = running(&arn).stop_takes(Duration::MAX);
    let emulator = emulator([stopping.becomes(SHORT, "HIBERNATING")]).await;
    let report = report(stop(&emulator, &[&arn]).await);
    assert_eq!(outcomes(&report), ["UnexpectedStatus"]);
    assert!(failure(&report).contains("HIBERNATING"));
}

/// Waiting for the deadline would take `PLENTY`.
#[tokio::test(start_paused = true)]
async fn without_permission_to_describe_the_stop_is_sent_and_the_failure_names_it_at_once() {
    for action in [
        "rekognition:DescribeProjects",
        "rekognition:DescribeProjectVersions",
    ] {
        let arn = arn("shelf", "v1");
        let emulator = emulator([running(&arn)]).await;
        emulator.deny(action, None);
        let start = Instant::now();
        let report = report(stop(&emulator, &[&arn]).await);
        assert!(start.elapsed() < PLENTY / 3);
        assert_eq!(outcomes(&report), ["AccessDeniedException"]);
        assert!(failure(&report).contains(action), "{}", failure(&report));
        assert!(failure(&report).contains("its stop was accepted"));
        let denied = Answer::Error("AccessDeniedException".to_owned());
        let calls = emulator.calls().into_iter();
        assert_eq!(calls.filter(|call| call.answer == denied).count(), 1);
        assert_eq!(emulator.status(&arn).as_deref(), Some("STOPPED"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_deleted_while_its_stop_is_being_confirmed_is_stopped() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([]).await;
    // The stop is accepted, and then neither the project nor the model is listed.
    let accepted = Fault::garbage(r#"{"Status": "STOPPING"}"#);
    emulator.add_fault(accepted.operation(Operation::StopProjectVersion));
    let start = Instant::now();
    let without_project = stop(&emulator, &[&arn]).await.unwrap();
    assert_eq!(outcomes(&without_project), ["stopped"]);

    emulator.add_project("shelf", "us-east-1", "CUSTOM_LABELS");
    let without_model = stop(&emulator, &[&arn]).await.unwrap();
    assert_eq!(outcomes(&without_model), ["stopped"]);

    // Its project was deleted after it had been looked up.
    let gone = Fault::error("ResourceNotFoundException");
    emulator.add_fault(gone.operation(Operation::DescribeProjectVersions));
    let without_both = stop(&emulator, &[&arn]).await.unwrap();
    assert_eq!(outcomes(&without_both), ["stopped"]);
    assert!(start.elapsed() < PLENTY / 2, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_deleted_does_not_keep_another_from_being_confirmed() {
    let (kept, deleted) = (arn("shelf", "v1"), arn("shelf", "v2"));
    let emulator = emulator([running(&kept).stop_takes(SHORT)]).await;
    let accepted = Fault::garbage(r#"{"Status": "STOPPING"}"#).resource(&deleted);
    emulator.add_fault(accepted.operation(Operation::StopProjectVersion));
    let start = Instant::now();
    let report = stop(&emulator, &[&kept, &deleted]).await.unwrap();
    assert_eq!(outcomes(&report), ["stopped", "stopped"]);
    assert!(start.elapsed() < 3 * SHORT, "{:?}", start.elapsed());
}

/// Only an accepted stop shows that a model that is gone did not run to the end.
#[tokio::test(start_paused = true)]
async fn a_model_that_is_not_there_and_whose_stop_was_not_accepted_is_not_said_to_be_stopped() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([]).await;
    emulator.add_project("shelf", "us-east-1", "CUSTOM_LABELS");
    let in_use = Fault::error("ResourceInUseException");
    emulator.add_fault(in_use.operation(Operation::StopProjectVersion));
    let report = report(stop(&emulator, &[&arn]).await);
    assert_eq!(outcomes(&report), ["ResourceNotFoundException"]);
}
