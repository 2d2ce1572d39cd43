//! Between a stop and its end: models are waited for, polled with few calls, and stopped again.
//!
//! The clock is paused, so that minutes pass at once.

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use rekognition_emulator::{Answer, Emulator, Fault, ListEnd, Operation, Quota};
use rekognition_stopper::handler::Error;
use serde_json::json;
use support::{
    PLENTY, arn, arn_in, emulator, emulator_in_process, failure, handler, handler_in_process,
    invocation, invoke, model, outcomes, pattern, payload, report, running, stop,
};
use tokio::time::Instant;

/// More than a stop takes, and less than a test waits for.
const SHORT: Duration = Duration::from_secs(5);

/// This many models, spread over this many projects.
fn spread(models: usize, projects: usize) -> Vec<String> {
    let arns = (0..models).map(|number| {
        let project = format!("project-{:02}", number % projects);
        arn(&project, &format!("v{number:04}"))
    });
    arns.collect()
}

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
    // The last poll is 5 seconds before the deadline, which is a second before the end.
    for (model, seen) in [
        (
            starting,
            "it was STARTING when it was last seen, 5 s before the deadline",
        ),
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
    // At once, then after one second, and then after two.
    let pauses = times.windows(2).map(|two| (two[1] - two[0]).as_secs());
    assert_eq!(pauses.collect::<Vec<_>>(), [0, 1, 2]);
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
async fn a_project_that_cannot_be_checked_does_not_keep_others_from_being_confirmed() {
    let arns = spread(6, 3);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    let project_arn = emulator.project_arn(&arns[1]).unwrap();
    emulator.deny("rekognition:DescribeProjectVersions", Some(&project_arn));
    let entries: Vec<&str> = arns.iter().map(String::as_str).collect();
    let report = report(stop(&emulator, &entries).await);
    let denied = "AccessDeniedException";
    assert_eq!(
        outcomes(&report),
        ["stopped", denied, "stopped", "stopped", denied, "stopped"]
    );
    assert!(emulator.statuses().values().all(|it| it == "STOPPED"));
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_gone_when_it_is_checked_fails_with_the_services_code() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([]).await;
    // The stop is accepted, and then neither the project nor the model is listed.
    let accepted = Fault::garbage(r#"{"Status": "STOPPING"}"#);
    emulator.add_fault(accepted.operation(Operation::StopProjectVersion));
    let without_project = report(stop(&emulator, &[&arn]).await);
    assert_eq!(outcomes(&without_project), ["ResourceNotFoundException"]);
    assert!(failure(&without_project).contains("DescribeProjects finds no"));

    emulator.add_project("shelf", "us-east-1", "CUSTOM_LABELS");
    let without_model = report(stop(&emulator, &[&arn]).await);
    assert_eq!(outcomes(&without_model), ["ResourceNotFoundException"]);
    assert!(failure(&without_model).contains("does not list this model"));
}

#[tokio::test(start_paused = true)]
async fn of_a_project_that_is_listed_twice_the_one_that_lists_the_model_is_used() {
    let arns = spread(3, 1);
    for (namesake_first, status) in [
        (true, "DELETING"),
        (true, "CREATED"),
        (false, "DELETING"),
        (false, "CREATED"),
    ] {
        let emulator = emulator([]).await;
        let add_namesake = || emulator.add_namesake_project(&arns[0], status).unwrap();
        if namesake_first {
            add_namesake();
        }
        arns.iter().for_each(|arn| emulator.add_model(running(arn)));
        if !namesake_first {
            add_namesake();
        }
        let entries: Vec<&str> = arns.iter().map(String::as_str).collect();
        let report = report(stop(&emulator, &entries).await);
        assert_eq!(
            outcomes(&report),
            ["stopped"; 3],
            "{namesake_first} {status}"
        );
        let looks = emulator.count(Operation::DescribeProjectVersions);
        let asked_twice = usize::from(namesake_first && status == "CREATED");
        assert_eq!(looks, 1 + asked_twice, "{namesake_first} {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_ends_with_an_empty_token_is_read_with_one_call() {
    let arns = spread(12, 1);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    for operation in [
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
    ] {
        emulator.set_list_end(operation, ListEnd::EmptyToken);
    }
    let entries: Vec<&str> = arns.iter().map(String::as_str).collect();
    let report = stop(&emulator, &entries).await.unwrap();
    assert_eq!(report.summary.stopped, 12);
    assert_eq!(emulator.count(Operation::DescribeProjects), 1);
    assert_eq!(emulator.count(Operation::DescribeProjectVersions), 1);
}

#[tokio::test(start_paused = true)]
async fn a_list_whose_token_repeats_does_not_spin() {
    for operation in [
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
    ] {
        let arns = spread(2, 1);
        let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
        emulator.set_list_end(operation, ListEnd::RepeatedToken);
        // A model that is not listed is searched for on every page.
        let entries = [&*arns[0], &arns[1], &arn("project-00", "v0002")];
        let fault = Fault::garbage(r#"{"Status": "STOPPING"}"#).resource(entries[2]);
        emulator.add_fault(fault.operation(Operation::StopProjectVersion));
        let report = report(stop(&emulator, &entries).await);
        let calls = emulator.count(operation);
        assert!(calls < 25, "{operation}: {calls} calls");
        assert!(!report.is_good());
        assert!(emulator.statuses().values().all(|it| it == "STOPPED"));
    }
}

#[tokio::test(start_paused = true)]
async fn sixty_models_that_take_six_seconds_are_confirmed_in_time_and_with_few_polls() {
    let arns = spread(60, 3);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    let six_seconds = Duration::from_secs(6);
    emulator.set_stop_takes(six_seconds);
    let start = Instant::now();
    let entries: Vec<&str> = arns.iter().map(String::as_str).collect();
    let report = stop(&emulator, &entries).await.unwrap();
    let elapsed = start.elapsed();
    assert_eq!(report.summary.stopped, 60);
    let looks = emulator.count(Operation::DescribeProjectVersions);
    println!("60 models: {looks} calls of DescribeProjectVersions, {elapsed:?}");
    assert!(looks <= 60, "{looks} looks");
    assert!(elapsed <= six_seconds.mul_f64(2.5), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_check_that_fails_is_retried_and_loses_no_model() {
    let faults = [
        Fault::error("InternalServerError"),
        Fault::error("ThrottlingException"),
        Fault::http_status(500, ""),
        Fault::http_status(502, "<html>"),
        Fault::garbage("{\"ProjectVersionDescriptions\": [{"),
        Fault::garbage("[]"),
        Fault::empty_body(),
        Fault::truncated(),
        Fault::reset(),
        Fault::hang(),
    ];
    for operation in [
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
    ] {
        let runs = faults.iter().map(|fault| async move {
            let arns = spread(5, 2);
            let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
            emulator.add_fault(fault.clone().operation(operation).attempts(..=4));
            let entries: Vec<&str> = arns.iter().map(String::as_str).collect();
            let report = report(stop(&emulator, &entries).await);
            (operation, fault, report)
        });
        for (operation, fault, report) in join_all(runs).await {
            assert_eq!(
                outcomes(&report),
                ["stopped"; 5],
                "{operation} {fault:?}: {report}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn under_a_small_quota_every_model_is_confirmed() {
    let arns = spread(15, 5);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    emulator.set_quota(Some(Quota::per_second(2.0)));
    let entries: Vec<&str> = arns.iter().map(String::as_str).collect();
    let report = stop(&emulator, &entries).await.unwrap();
    assert_eq!(report.summary.stopped, 15);
    let throttled = Answer::Error("ThrottlingException".to_owned());
    assert!(emulator.calls().iter().any(|call| call.answer == throttled));
}

/// Without pacing, nine of ten are throttled, and with it one of four.
#[tokio::test(start_paused = true)]
async fn under_a_small_quota_most_calls_are_let_through() {
    let arns = spread(60, 1);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    emulator.set_quota(Some(Quota::per_second(5.0).burst(5).for_each_operation()));
    let arns: Vec<&str> = arns.iter().map(String::as_str).collect();
    let report = stop(&emulator, &arns).await.unwrap();
    assert_eq!(report.summary.stopped, 60);
    let throttled = Answer::Error("ThrottlingException".to_owned());
    let calls = emulator.calls();
    let throttled = calls.iter().filter(|call| call.answer == throttled).count();
    assert!(
        2 * throttled < calls.len(),
        "{throttled} of {}",
        calls.len()
    );
}

/// The call itself is not retried for these: the list has to be restarted.
#[tokio::test(start_paused = true)]
async fn a_check_whose_list_is_refused_half_way_or_is_unreadable_is_restarted() {
    for operation in [
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
    ] {
        for fault in [
            Fault::error("InvalidPaginationTokenException"),
            Fault::garbage("{}"),
        ] {
            let arn = arn("shelf", "v1");
            let emulator = emulator([running(&arn)]).await;
            emulator.add_fault(fault.clone().operation(operation).attempts(..=2));
            let report = stop(&emulator, &[&arn]).await.unwrap();
            assert_eq!(outcomes(&report), ["stopped"], "{operation} {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_read_until_the_deadline_is_the_reason_in_the_report() {
    for operation in [
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
    ] {
        let arn = arn("shelf", "v1");
        let emulator = emulator([running(&arn)]).await;
        emulator.add_fault(Fault::garbage("{}").operation(operation));
        let handler = handler(&emulator, &[]);
        for (event, code) in [
            (
                json!({"model_arns": [arn], "dry_run": true}),
                "DeadlineExceeded",
            ),
            (json!({"model_arns": [arn]}), "NotConfirmed"),
        ] {
            let report = report(invoke(&handler, event, SHORT).await);
            assert_eq!(outcomes(&report), [code]);
            let reason = format!("the response to {operation} cannot be read");
            assert!(failure(&report).contains(&reason), "{report:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_makes_a_check_of_several_fail_fails_on_its_own() {
    for code in ["ResourceNotFoundException", "InvalidParameterException"] {
        let arns = spread(3, 1);
        let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
        // The check of all three, and then that of one of them.
        let fault = Fault::error(code).operation(Operation::DescribeProjectVersions);
        emulator.add_fault(fault.attempts(..=2));
        let handler = handler(&emulator, &[]);
        let event = json!({"model_arns": arns, "dry_run": true});
        let report = report(invoke(&handler, event, PLENTY).await);
        let mut outcomes = outcomes(&report);
        outcomes.sort_unstable();
        assert_eq!(outcomes, [code, "would_stop", "would_stop"]);
        assert_eq!(emulator.count(Operation::DescribeProjectVersions), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_answer_is_given_up_after_ten_seconds() {
    for operation in [
        Operation::StopProjectVersion,
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
        Operation::ListTagsForResource,
    ] {
        let emulator = emulator([running(&arn("shelf", "v1"))]).await;
        emulator.add_fault(Fault::hang().operation(operation).attempts(..=1));
        let report = stop(&emulator, &[&pattern("shelf", "*")]).await.unwrap();
        assert_eq!(outcomes(&report), ["stopped"], "{operation}");
        let calls = emulator.calls().into_iter();
        let mut at = calls.filter(|call| call.operation == operation);
        let (first, second) = (at.next().unwrap(), at.next().unwrap());
        let seconds = (second.at - first.at).as_secs_f64();
        assert!((10.0..12.0).contains(&seconds), "{operation}: {seconds} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_half_way_through_a_large_project_is_read_again() {
    let arns = spread(150, 1);
    let entries: Vec<&str> = arns.iter().map(String::as_str).collect();
    for fault in [
        Fault::error("InternalServerError"),
        Fault::garbage("oops"),
        Fault::empty_body(),
        Fault::truncated(),
        Fault::reset(),
    ] {
        let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
        let check = fault.clone().operation(Operation::DescribeProjectVersions);
        emulator.add_fault(check.page(2).attempts(..=2));
        let report = report(stop(&emulator, &entries).await);
        assert_eq!(report.summary.stopped, 150, "{fault:?}: {report}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_models_of_a_project_are_checked_by_the_page_and_a_few_by_name() {
    // Of 250 versions, newest first; the ones that are checked are the last that a list would show.
    for (running_ones, looks_a_round) in [(120, 3), (12, 2), (10, 1)] {
        let arns: Vec<String> = (0..250)
            .map(|number| {
                let created = 1_700_000_000_000_u64 + number;
                let name = format!("v{number:04}");
                arn("shelf", &name).replace("1700000000000", &created.to_string())
            })
            .collect();
        let status = |number| {
            if number < running_ones {
                "RUNNING"
            } else {
                "STOPPED"
            }
        };
        let models = arns.iter().enumerate();
        let emulator = emulator(models.map(|(number, arn)| model(arn, status(number)))).await;
        emulator.set_stop_takes(Duration::from_secs(6));
        let entries: Vec<&str> = arns[..running_ones].iter().map(String::as_str).collect();
        let report = stop(&emulator, &entries).await.unwrap();
        assert_eq!(report.summary.stopped, running_ones);
        // Rounds after 1, 3 and 7 seconds, and one more if listing turned out to gain nothing.
        let looks = emulator.count(Operation::DescribeProjectVersions);
        assert!(
            looks <= 4 * looks_a_round,
            "{running_ones} of 250 models: {looks} looks"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn when_a_model_has_changed_the_next_poll_comes_soon() {
    let arns = spread(2, 1);
    // Polls come after 31 and 61 seconds, and would come after 91 if the first model's end changed
    // nothing.
    let takes = [50, 63].map(Duration::from_secs);
    let models = arns.iter().zip(takes);
    let emulator = emulator(models.map(|(arn, takes)| running(arn).stop_takes(takes))).await;
    let handler = handler(&emulator, &[]);
    let event = json!({"model_arns": arns});
    let start = Instant::now();
    let report = report(invoke(&handler, event, Duration::from_secs(300)).await);
    assert_eq!(outcomes(&report), ["stopped", "stopped"]);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(70), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn polls_that_take_many_calls_are_less_frequent() {
    // A check of all of them is one call per project.
    let arns = spread(100, 100);
    let slow = Duration::from_secs(60);
    let emulator = emulator(arns.iter().map(|arn| running(arn).stop_takes(slow))).await;
    let handler = handler(&emulator, &[]);
    let event = json!({"model_arns": arns});
    let report = report(invoke(&handler, event, 5 * slow).await);
    assert_eq!(report.summary.stopped, 100);
    let looks = emulator.count(Operation::DescribeProjectVersions);
    // With the short pauses for a few models, the last of these would be the sixth.
    assert!(looks <= 500, "{looks} looks");
}

#[tokio::test(start_paused = true)]
async fn each_projects_arn_is_looked_up_once_and_ten_per_call() {
    let arns = spread(25, 25);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    emulator.set_stop_takes(Duration::from_secs(6));
    let entries: Vec<&str> = arns.iter().map(String::as_str).collect();
    let report = stop(&emulator, &entries).await.unwrap();
    assert_eq!(report.summary.stopped, 25);
    assert!(emulator.count(Operation::DescribeProjectVersions) >= 50);
    assert_eq!(emulator.count(Operation::DescribeProjects), 3);
}

#[tokio::test(start_paused = true)]
async fn checks_and_lists_count_towards_the_calls_that_the_operator_allows() {
    let arns = spread(30, 15);
    let models = arns.iter().enumerate().map(|(number, arn)| {
        let status = ["RUNNING", "STOPPED"][number / 15];
        model(arn, status).tag("keep-running", "false")
    });
    let emulator = emulator(models).await;
    emulator.set_latency(Duration::from_millis(10));
    let handler = handler(&emulator, &[("MAX_CONCURRENCY", "3")]);
    let mut entries = arns[10..].to_vec();
    entries.push(pattern("project-*", "*"));
    let report = invoke(&handler, json!({ "model_arns": entries }), PLENTY)
        .await
        .unwrap();
    assert_eq!(report.summary.stopped, 15);
    assert_eq!(report.summary.already_stopped, 15);
    for operation in [
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
        Operation::ListTagsForResource,
        Operation::StopProjectVersion,
    ] {
        assert!(emulator.count(operation) > 1, "{operation}");
    }
    assert_eq!(emulator.max_in_flight("us-east-1"), 3);
}

#[tokio::test(start_paused = true)]
async fn each_region_has_its_own_limit_of_calls_in_flight() {
    let regions = ["us-east-1", "eu-west-1"];
    let entries: Vec<String> = (0..8)
        .map(|number| arn_in(regions[number % 2], "shelf", &format!("v{number}")))
        .collect();
    let emulator = emulator(entries.iter().map(|arn| running(arn))).await;
    emulator.add_fault(Fault::hang());
    let handler = handler(&emulator, &[("MAX_CONCURRENCY", "2")]);
    let both_full =
        emulator.wait_until(|it| regions.iter().all(|region| it.in_flight(region) == 2));
    tokio::select! {
        () = both_full => {}
        result = invoke(&handler, json!({ "model_arns": entries }), PLENTY) => panic!("{result:?}"),
    }
    assert_eq!(regions.map(|region| emulator.max_in_flight(region)), [2, 2]);
}
