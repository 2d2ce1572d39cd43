//! How the statuses of many models are read: by name, with few calls, and through lists that break
//! off.
//!
//! The clock is paused, so that minutes pass at once.

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use rekognition_emulator::{Answer, Fault, ListEnd, Operation, Quota};
use serde_json::json;
use support::troubled::{Attempt, Fate, Troubled};
use support::{
    PLENTY, arn, arn_in, emulator, emulator_in_process, failure, handler, handler_with, in_process,
    invoke, model, outcomes, pattern, report, running, stop,
};
use tokio::time::Instant;

/// This many models, spread over this many projects.
fn spread(models: usize, projects: usize) -> Vec<String> {
    let arns = (0..models).map(|number| {
        let project = format!("project-{:02}", number % projects);
        arn(&project, &format!("v{number:04}"))
    });
    arns.collect()
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
    let arns = spread(10, 1);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    for operation in [
        Operation::DescribeProjects,
        Operation::DescribeProjectVersions,
    ] {
        emulator.set_list_end(operation, ListEnd::EmptyToken);
    }
    let entries: Vec<&str> = arns.iter().map(String::as_str).collect();
    let report = stop(&emulator, &entries).await.unwrap();
    assert_eq!(report.summary.stopped, 10);
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
        assert!(calls < 50, "{operation}: {calls} calls");
        assert!(emulator.statuses().values().all(|it| it == "STOPPED"));
        // A list that does not end does not show that the model is gone.
        if operation == Operation::DescribeProjectVersions {
            assert_eq!(outcomes(&report)[2], "NotConfirmed");
        }
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
                "{operation} {fault:?}: {report:?}"
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
            let report = report(invoke(&handler, event, Duration::from_secs(5)).await);
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
        let emulator = emulator_in_process(arns.iter().map(|arn| running(arn)));
        let refused = move |attempt: &Attempt| match attempt.mentions("v0001") {
            true => Fate::Refused(400, code),
            false => Fate::Passes,
        };
        let wire = Troubled::new(&emulator, refused);
        let handler = handler_with(&emulator, &[], in_process(wire.clone()));
        let event = json!({"model_arns": arns, "dry_run": true});
        let start = Instant::now();
        let report = report(invoke(&handler, event, PLENTY).await);
        assert_eq!(outcomes(&report), ["would_stop", code, "would_stop"]);
        assert!(start.elapsed() < Duration::from_secs(5), "{report:?}");
        // The check of all three, and then of fewer.
        let attempts = wire.attempts().into_iter();
        let checks = attempts.filter(|(it, _)| it.operation == Operation::DescribeProjectVersions);
        assert!((3..=6).contains(&checks.count()), "{code}");
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
async fn a_page_that_fails_half_way_through_a_check_is_read_again() {
    let arns = spread(30, 1);
    let entries: Vec<&str> = arns.iter().map(String::as_str).collect();
    for fault in [
        Fault::error("InternalServerError"),
        Fault::garbage("oops"),
        Fault::empty_body(),
        Fault::truncated(),
        Fault::reset(),
    ] {
        let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
        // Smaller pages than the names of a check would fill.
        emulator.set_page_size(4);
        let check = fault.clone().operation(Operation::DescribeProjectVersions);
        emulator.add_fault(check.page(2).attempts(..=2));
        let report = report(stop(&emulator, &entries).await);
        assert_eq!(report.summary.stopped, 30, "{fault:?}: {report:?}");
        assert!(emulator.count(Operation::DescribeProjectVersions) > 10);
    }
}

#[tokio::test(start_paused = true)]
async fn models_are_checked_by_name_and_ten_per_call() {
    // Of 250 versions, newest first; the ones that are checked are the last that a list would show.
    for (running_ones, looks_a_round) in [(120, 12), (12, 2), (10, 1)] {
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
        // Rounds after 1, 3 and 7 seconds, and one more for those that were stopped between two.
        let looks = emulator.count(Operation::DescribeProjectVersions);
        assert!(
            looks <= 4 * looks_a_round,
            "{running_ones} of 250 models: {looks} looks"
        );
        let calls = emulator.calls().into_iter();
        let mut checks = calls.filter(|call| call.operation == Operation::DescribeProjectVersions);
        assert!(checks.all(|call| call.body["VersionNames"].is_array()));
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
async fn as_many_calls_of_each_operation_are_in_flight_as_the_operator_allows() {
    let arns = spread(30, 15);
    let models = arns.iter().enumerate().map(|(number, arn)| {
        let status = ["RUNNING", "STOPPED"][number / 15];
        model(arn, status).tag("keep-running", "false")
    });
    let emulator = emulator_in_process(models);
    emulator.set_latency(Duration::from_millis(10));
    let wire = Troubled::new(&emulator, |_| Fate::Passes);
    let variables = [("MAX_CONCURRENCY", "3")];
    let handler = handler_with(&emulator, &variables, in_process(wire.clone()));
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
        let most = wire.most_in_flight(operation, "us-east-1");
        assert!(most <= 3, "{operation}: {most}");
    }
    assert_eq!(
        wire.most_in_flight(Operation::StopProjectVersion, "us-east-1"),
        3
    );
}

#[tokio::test(start_paused = true)]
async fn each_region_has_its_own_limit_of_calls_in_flight() {
    let regions = ["us-east-1", "eu-west-1"];
    let entries: Vec<String> = (0..8)
        .map(|number| arn_in(regions[number % 2], "shelf", &format!("v{number}")))
        .collect();
    let emulator = emulator_in_process(entries.iter().map(|arn| running(arn)));
    let wire = Troubled::new(&emulator, |_| Fate::Hangs);
    let variables = [("MAX_CONCURRENCY", "2")];
    let handler = handler_with(&emulator, &variables, in_process(wire.clone()));
    let report = report(invoke(&handler, json!({ "model_arns": entries }), PLENTY).await);
    assert_eq!(outcomes(&report), ["DeadlineExceeded"; 8]);
    let stops = Operation::StopProjectVersion;
    let most = regions.map(|region| wire.most_in_flight(stops, region));
    assert_eq!(most, [2, 2]);
}
