//! One model and many: stopped, retried, refused, or reported.

mod support;

use std::time::{Duration, SystemTime};

use rekognition_emulator::{Answer, Emulator, Fault, Model, Operation, Quota, ThrottleWith};
use serde_json::json;
use support::troubled::{Fate, Troubled};
use support::{
    PLENTY, arn, arn_in, arns, emulator_in_process, failure, handler, handler_with, in_process,
    invoke, model, outcomes, report, running, stop, summary,
};

/// Settings under which an accepted stop is enough.
const UNCONFIRMED: [(&str, &str); 1] = [("CONFIRM_STOPPED", "false")];

async fn emulator(models: impl IntoIterator<Item = Model>) -> Emulator {
    let builder = Emulator::builder().stop_takes(Duration::ZERO);
    builder.models(models).start().await.unwrap()
}

#[tokio::test]
async fn a_running_model_is_stopped_and_reported() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([running(&arn).inference_units(2)]).await;
    let report = stop(&emulator, &[&arn]).await.unwrap();
    assert_eq!(emulator.status(&arn).as_deref(), Some("STOPPED"));
    assert_eq!(
        serde_json::to_value(&report).unwrap(),
        json!({
            "message": format!("1 model was stopped: {arn}. That is 2 inference units."),
            "summary": summary(json!({
                "accounts": 1, "models": 1, "stopped": 1, "inference_units_stopped": 2
            })),
            "models": [{"model_arn": arn, "outcome": "stopped", "status": "STOPPED"}]
        })
    );
}

#[tokio::test(start_paused = true)]
async fn a_throttled_stop_is_retried_until_it_succeeds() {
    for code in [
        "ThrottlingException",
        "ProvisionedThroughputExceededException",
    ] {
        let arn = arn("shelf", "v1");
        let emulator = emulator([running(&arn)]).await;
        // More often than the three attempts that the SDK makes by default.
        emulator.add_fault(
            Fault::error(code)
                .operation(Operation::StopProjectVersion)
                .attempts(..=4),
        );
        let report = stop(&emulator, &[&arn]).await.unwrap();
        assert_eq!(outcomes(&report), ["stopped"], "{code}");
        assert_eq!(emulator.count(Operation::StopProjectVersion), 5);
    }
}

#[tokio::test(start_paused = true)]
async fn server_errors_and_broken_connections_are_retried() {
    for fault in [
        Fault::error("InternalServerError"),
        Fault::http_status(500, ""),
        Fault::http_status(502, "<html>"),
        Fault::http_status(503, ""),
        Fault::http_status(507, "{}"),
        Fault::reset(),
        Fault::truncated(),
    ] {
        let arn = arn("shelf", "v1");
        let emulator = emulator([running(&arn)]).await;
        emulator.add_fault(
            fault
                .clone()
                .operation(Operation::StopProjectVersion)
                .attempts(..=4),
        );
        let report = report(stop(&emulator, &[&arn]).await);
        assert_eq!(outcomes(&report), ["stopped"], "{fault:?}");
        assert_eq!(
            emulator.count(Operation::StopProjectVersion),
            5,
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn what_the_service_refuses_for_good_is_not_retried() {
    for code in [
        "AccessDeniedException",
        "InvalidParameterException",
        "ResourceNotFoundException",
    ] {
        let arn = arn("shelf", "v1");
        let emulator = emulator([running(&arn)]).await;
        emulator.add_fault(Fault::error(code).operation(Operation::StopProjectVersion));
        let report = report(stop(&emulator, &[&arn]).await);
        assert_eq!(outcomes(&report), [code]);
        assert!(failure(&report).contains("by script"));
        assert_eq!(emulator.calls().len(), 1);
    }
}

#[tokio::test]
async fn what_the_service_refuses_for_good_is_not_retried_if_a_clock_is_wrong() {
    let ten_minutes = Duration::from_secs(600);
    let now = SystemTime::now();
    for clock in [now - ten_minutes, now, now + ten_minutes] {
        for code in [
            "AccessDeniedException",
            "InvalidParameterException",
            "ResourceNotFoundException",
        ] {
            let arn = arn("shelf", "v1");
            let emulator = emulator([running(&arn)]).await;
            emulator.set_clock(clock);
            emulator.add_fault(Fault::error(code).operation(Operation::StopProjectVersion));
            let report = report(stop(&emulator, &[&arn]).await);
            assert_eq!(outcomes(&report), [code]);
            assert_eq!(emulator.calls().len(), 1, "{code}");
        }
    }
}

#[tokio::test]
async fn a_signature_that_is_refused_is_retried_once_whatever_the_clocks_say() {
    let now = SystemTime::now();
    let code = "InvalidSignatureException";
    for (minutes, spoilt, outcome) in [
        (10, 1, "stopping"),
        (10, 2, code),
        (0, 1, "stopping"),
        (0, 2, code),
    ] {
        let arn = arn("shelf", "v1");
        let emulator = emulator([running(&arn)]).await;
        emulator.set_clock(now + Duration::from_secs(60 * minutes));
        let fault = Fault::error(code).operation(Operation::StopProjectVersion);
        emulator.add_fault(fault.attempts(..=spoilt));
        let handler = handler(&emulator, &UNCONFIRMED);
        let event = json!({"model_arns": [arn]});
        let report = report(invoke(&handler, event, PLENTY).await);
        let case = format!("{minutes} minutes off, {spoilt} spoilt");
        assert_eq!(outcomes(&report), [outcome], "{case}");
        assert_eq!(emulator.calls().len(), 2, "{case}");
    }
}

#[tokio::test]
async fn a_model_that_is_not_running_is_already_stopped() {
    for status in [
        "STOPPED",
        "TRAINING_COMPLETED",
        "FAILED",
        "EXPIRED",
        "DELETING",
    ] {
        let arn = arn("shelf", "v1");
        let emulator = emulator([model(&arn, status)]).await;
        let report = stop(&emulator, &[&arn]).await.unwrap();
        assert_eq!(outcomes(&report), ["already_stopped"]);
        assert_eq!(report.models[0].status.as_ref().unwrap().as_str(), status);
    }
}

#[tokio::test]
async fn a_model_that_does_not_exist_fails_with_the_services_code() {
    let emulator = emulator([]).await;
    let report = report(stop(&emulator, &[&arn("shelf", "v1")]).await);
    assert_eq!(outcomes(&report), ["ResourceNotFoundException"]);
}

#[tokio::test]
async fn a_response_that_cannot_be_read_is_resolved_by_a_status_check() {
    for (fault, outcome) in [
        (Fault::garbage("{\"Status\":"), "already_stopped"),
        (Fault::garbage("[]"), "already_stopped"),
        (Fault::status_override("MELTING"), "stopped"),
    ] {
        let arn = arn("shelf", "v1");
        let emulator = emulator([running(&arn)]).await;
        let fault = fault
            .operation(Operation::StopProjectVersion)
            .attempts(..=1);
        emulator.add_fault(fault.clone().after_effect());
        let report = report(stop(&emulator, &[&arn]).await);
        assert_eq!(outcomes(&report), [outcome], "{fault:?}: {report:?}");
        assert_eq!(
            emulator.status(&arn).as_deref(),
            Some("STOPPED"),
            "{fault:?}"
        );
        assert!(
            emulator.count(Operation::DescribeProjectVersions) > 0,
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_stop_that_returns_another_status_is_resolved_by_a_status_check() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([running(&arn)]).await;
    emulator.add_fault(Fault::status_override("STOPPED").operation(Operation::StopProjectVersion));
    let report = stop(&emulator, &[&arn]).await.unwrap();
    assert_eq!(outcomes(&report), ["stopped"]);
    assert!(emulator.count(Operation::DescribeProjectVersions) > 0);
}

#[tokio::test]
async fn an_unreadable_response_to_a_stop_without_effect_is_followed_by_another_stop() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([running(&arn)]).await;
    emulator.add_fault(
        Fault::garbage("oops")
            .operation(Operation::StopProjectVersion)
            .attempts(..=1),
    );
    let report = stop(&emulator, &[&arn]).await.unwrap();
    assert_eq!(outcomes(&report), ["stopped"]);
    assert_eq!(emulator.count(Operation::StopProjectVersion), 2);
}

#[tokio::test]
async fn an_unknown_status_is_reported_verbatim_and_not_taken_for_stopped() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([model(&arn, "HIBERNATING")]).await;
    let report = report(stop(&emulator, &[&arn]).await);
    assert_eq!(outcomes(&report), ["UnexpectedStatus"]);
    assert_eq!(
        report.models[0].status.as_ref().unwrap().as_str(),
        "HIBERNATING"
    );
    assert!(failure(&report).contains("HIBERNATING"));
}

#[tokio::test]
async fn without_confirmation_an_accepted_stop_is_enough() {
    let arn = arn("shelf", "v1");
    let emulator = emulator([running(&arn).stop_takes(Duration::MAX)]).await;
    let handler = handler(&emulator, &UNCONFIRMED);
    let report = invoke(&handler, json!({"model_arns": [arn]}), PLENTY)
        .await
        .unwrap();
    assert_eq!(outcomes(&report), ["stopping"]);
    assert_eq!(
        report.models[0].status.as_ref().unwrap().as_str(),
        "STOPPING"
    );
    assert_eq!(emulator.calls().len(), 1);
}

#[tokio::test]
async fn each_model_is_called_in_the_region_of_its_arn() {
    let here = arn("shelf", "v1");
    let there = arn_in("eu-west-1", "shelf", "v1");
    let emulator = emulator([running(&here), running(&there)]).await;
    let report = stop(&emulator, &[&there, &here]).await.unwrap();
    assert_eq!(outcomes(&report), ["stopped", "stopped"]);
    let calls = emulator.calls();
    let stops = calls
        .iter()
        .filter(|call| call.operation == Operation::StopProjectVersion);
    for call in stops {
        assert!(call.resources[0].contains(&call.region), "{call:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn exactly_as_many_stops_are_in_flight_as_the_operator_allows() {
    let arns = arns(40);
    let emulator = emulator_in_process(arns.iter().map(|arn| running(arn)));
    emulator.set_latency(Duration::from_millis(20));
    let wire = Troubled::new(&emulator, |_| Fate::Passes);
    let variables = [("MAX_CONCURRENCY", "3")];
    let handler = handler_with(&emulator, &variables, in_process(wire.clone()));
    let report = invoke(&handler, json!({"model_arns": arns}), PLENTY)
        .await
        .unwrap();
    assert_eq!(report.summary.stopped, 40);
    let stops = Operation::StopProjectVersion;
    assert_eq!(wire.most_in_flight(stops, "us-east-1"), 3);
}

#[tokio::test(start_paused = true)]
async fn models_whose_calls_keep_failing_do_not_hold_up_others() {
    let arns = arns(20);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    for bad in &arns[..8] {
        emulator.add_fault(Fault::error("InternalServerError").resource(bad));
    }
    let handler = handler(&emulator, &[("MAX_CONCURRENCY", "2")]);
    let report = report(
        invoke(
            &handler,
            json!({"model_arns": arns}),
            Duration::from_secs(5),
        )
        .await,
    );
    assert_eq!(report.summary.stopped, 12);
    assert_eq!(outcomes(&report)[..8], ["DeadlineExceeded"; 8]);
    let error = report.message.clone();
    assert!(error.contains("8 of 20 models were not stopped"), "{error}");
    assert!(error.contains("InternalServerError"), "{error}");
}

#[tokio::test]
async fn under_a_small_quota_every_model_is_stopped() {
    let arns = arns(30);
    for (error, code) in [
        (ThrottleWith::ThrottlingException, "ThrottlingException"),
        (
            ThrottleWith::ProvisionedThroughputExceededException,
            "ProvisionedThroughputExceededException",
        ),
    ] {
        let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
        emulator.set_quota(Some(Quota::per_second(20.0).burst(5).throttle_with(error)));
        let handler = handler(&emulator, &UNCONFIRMED);
        let report = invoke(&handler, json!({"model_arns": arns}), PLENTY)
            .await
            .unwrap();
        assert_eq!(report.summary.stopping, 30);
        let throttled = Answer::Error(code.to_owned());
        assert!(emulator.calls().iter().any(|call| call.answer == throttled));
    }
}

#[tokio::test(start_paused = true)]
async fn models_that_were_not_reached_by_the_deadline_are_named() {
    let arns = arns(6);
    let emulator = emulator(arns.iter().map(|arn| running(arn))).await;
    emulator.add_fault(Fault::hang());
    let handler = handler(&emulator, &[("MAX_CONCURRENCY", "1")]);
    let report = report(
        invoke(
            &handler,
            json!({"model_arns": arns}),
            Duration::from_secs(5),
        )
        .await,
    );
    assert_eq!(outcomes(&report), ["DeadlineExceeded"; 6]);
    assert!(emulator.count(Operation::StopProjectVersion) > 0);
}

#[tokio::test]
async fn a_dead_endpoint_fails_every_model_by_the_deadline() {
    let emulator = emulator([]).await;
    let url = emulator.url();
    drop(emulator);
    let settings =
        rekognition_stopper::settings::Settings::read(|_| Err(std::env::VarError::NotPresent));
    let rekognition = rekognition_stopper::aws::Aws::new(support::sdk_config(&url));
    let handler = rekognition_stopper::Handler::new(settings, rekognition, |_| ());
    let event = json!({"model_arns": [arn("shelf", "v1")]});
    let report = report(invoke(&handler, event, Duration::from_secs(2)).await);
    assert_eq!(outcomes(&report), ["DeadlineExceeded"]);
    assert!(failure(&report).contains("refused"), "{}", failure(&report));
}
