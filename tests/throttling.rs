//! Throttling: every code for it, quotas and outages; and no call waits for the quota of another
//! operation.
//!
//! The clock is paused and the service is in the same process, so the times depend on the quotas
//! alone.

mod support;

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use rekognition_emulator::{Answer, Call, Emulator, Fault, Operation, Quota, Service};
use rekognition_stopper::Handler;
use rekognition_stopper::report::Report;
use serde_json::{Value, json};
use support::wire::Wire;
use support::{
    PLENTY, arn, arn_in, arns, emulator_in_process, handler_in_process, handler_with, in_process,
    invocation, outcomes, pattern, payload, running,
};
use tokio::time::{Instant, sleep};

const STOP: Operation = Operation::StopProjectVersion;
const TAGS: Operation = Operation::ListTagsForResource;

/// Settings under which a stop is all that a model needs.
const UNCONFIRMED: [(&str, &str); 1] = [("CONFIRM_STOPPED", "false")];

/// Every code that AWS throttles with.
const CODES: [(&str, u16); 14] = [
    ("BandwidthLimitExceeded", 400),
    ("EC2ThrottledException", 400),
    ("LimitExceededException", 400),
    ("PriorRequestNotComplete", 400),
    ("ProvisionedThroughputExceededException", 400),
    ("RequestLimitExceeded", 503),
    ("RequestThrottled", 400),
    ("RequestThrottledException", 400),
    ("SlowDown", 503),
    ("ThrottledException", 429),
    ("Throttling", 400),
    ("ThrottlingException", 500),
    ("TooManyRequestsException", 429),
    ("TransactionInProgressException", 400),
];

fn emulator(arns: &[String]) -> Emulator {
    emulator_in_process(arns.iter().map(|arn| running(arn)))
}

/// A run that has this much time. Returns its report, and the seconds that it took.
async fn run(handler: &Handler, event: &Value, time: Duration) -> (Report, f64) {
    let start = Instant::now();
    let response = handler.invoke(payload(event), invocation(time)).await;
    let report = match response {
        Ok(rekognition_stopper::handler::Response::Report(report)) => report,
        Err(rekognition_stopper::handler::Error::NotAllStopped(report)) => report,
        other => panic!("{other:?}"),
    };
    (report, start.elapsed().as_secs_f64())
}

/// The calls of an operation, and how many of them were throttled.
fn throttled(emulator: &Emulator, operation: Operation) -> (usize, usize) {
    let calls = emulator.calls().into_iter();
    let calls: Vec<Call> = calls.filter(|call| call.operation == operation).collect();
    let throttled = calls.iter().filter(|call| call.answer != Answer::Ok);
    (calls.len(), throttled.count())
}

/// When each call of an operation that was let through was made, in seconds.
fn let_through(emulator: &Emulator, operation: Operation, start: Instant) -> Vec<f64> {
    let calls = emulator.calls().into_iter();
    calls
        .filter(|call| call.operation == operation && call.answer == Answer::Ok)
        .map(|call| (call.at - start).as_secs_f64())
        .collect()
}

/// A service that throttles with a response different from the emulator's.
#[derive(Clone, Debug)]
struct Throttles {
    wire: Wire,
    status: u16,
    /// The code; none for a bare status.
    code: Option<&'static str>,
}

impl HttpClient for Throttles {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Throttles {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let this = self.clone();
        HttpConnectorFuture::new(async move {
            let response = this.wire.call(request).await?;
            let body = response.body().bytes().unwrap_or_default();
            let body = String::from_utf8_lossy(body).into_owned();
            if body.contains("ThrottlingException") {
                let code = this
                    .code
                    .map(|code| body.replace("ThrottlingException", code));
                let status = this.status.try_into().unwrap();
                return Ok(HttpResponse::new(status, code.unwrap_or_default().into()));
            }
            Ok(response)
        })
    }
}

fn handler_throttled_with(emulator: &Emulator, status: u16, code: Option<&'static str>) -> Handler {
    let wire = Wire::new(emulator);
    let throttles = Throttles { wire, status, code };
    handler_with(emulator, &UNCONFIRMED, in_process(throttles))
}

#[tokio::test(start_paused = true)]
async fn each_throttling_code_is_retried_at_the_pace_of_the_quota() {
    for (code, status) in CODES {
        let arns = arns(55);
        let emulator = emulator(&arns);
        emulator.set_operation_quota(STOP, Some(Quota::per_second(5.0)));
        let handler = handler_throttled_with(&emulator, status, Some(code));
        let (report, took) = run(&handler, &json!({"model_arns": arns}), PLENTY).await;
        assert_eq!(report.summary.stopping, 55, "{code}");
        assert!(took < 10.0 * 1.25, "{code}: {took} s");
        let (calls, throttled) = throttled(&emulator, STOP);
        assert!(throttled * 4 < calls, "{code}: {throttled} of {calls}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bare_429_is_throttling_and_eighty_models_take_about_the_eight_seconds_of_their_quota() {
    let arns = arns(80);
    let emulator = emulator(&arns);
    emulator.set_operation_quota(STOP, Some(Quota::per_second(10.0).burst(1)));
    let handler = handler_throttled_with(&emulator, 429, None);
    let (report, took) = run(&handler, &json!({"model_arns": arns}), PLENTY).await;
    assert_eq!(report.summary.stopping, 80);
    // A bucket of a single call leaves nothing over for a moment in which none is made.
    assert!(took < 8.0 * 1.5, "{took} s");
}

/// It teaches the pace nothing, so each call has only its own pauses.
#[tokio::test(start_paused = true)]
async fn under_a_quota_that_is_told_by_a_bare_503_every_model_is_stopped_nevertheless() {
    let arns = arns(80);
    let emulator = emulator(&arns);
    emulator.set_operation_quota(STOP, Some(Quota::per_second(10.0).burst(1)));
    let handler = handler_throttled_with(&emulator, 503, None);
    let (report, took) = run(&handler, &json!({"model_arns": arns}), PLENTY).await;
    assert_eq!(report.summary.stopping, 80);
    assert!(took < 40.0, "{took} s");
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_the_quota_is_used_as_if_there_had_been_none() {
    for begins_after in [0, 1, 5, 10] {
        let arns = arns(300);
        let emulator = emulator(&arns);
        emulator.set_operation_quota(STOP, Some(Quota::per_second(20.0).burst(20)));
        let handler = handler_in_process(&emulator, &UNCONFIRMED);
        let outage = async {
            sleep(Duration::from_secs(begins_after)).await;
            emulator.add_fault(Fault::error("ThrottlingException").operation(STOP));
            sleep(Duration::from_secs(30)).await;
            emulator.clear_faults();
        };
        let event = json!({"model_arns": arns});
        let time = Duration::from_secs(300);
        let ((report, took), ()) = tokio::join!(run(&handler, &event, time), outage);
        assert_eq!(report.summary.stopping, 300);
        // Half a minute, and 300 calls of which the quota lets 20 through at once.
        assert!(took < 44.0 * 1.25, "after {begins_after} s: {took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_few_throttled_calls_without_a_quota_cost_a_few_seconds() {
    for confirm_stopped in ["false", "true"] {
        let arns = arns(8);
        let emulator = emulator(&arns);
        let fault = Fault::error("ThrottlingException").operation(STOP);
        emulator.add_fault(fault.attempts(..=16));
        let handler = handler_in_process(&emulator, &[("CONFIRM_STOPPED", confirm_stopped)]);
        let (report, took) = run(&handler, &json!({"model_arns": arns}), PLENTY).await;
        assert!(report.is_successful());
        assert!(took < 8.0, "{took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn found_models_are_stopped_while_the_tags_of_others_have_yet_to_be_read() {
    let arns = arns(300);
    let emulator = emulator(&arns);
    for operation in [TAGS, STOP] {
        emulator.set_operation_quota(operation, Some(Quota::per_second(10.0)));
    }
    let handler = handler_in_process(&emulator, &UNCONFIRMED);
    let event = json!({"model_arns": [pattern("shelf", "*")]});
    let start = Instant::now();
    let (report, took) = run(&handler, &event, PLENTY).await;
    assert_eq!(report.summary.stopping, 300);
    let stops = let_through(&emulator, STOP, start);
    assert!(stops[0] < 0.5 && stops[10] < 2.5, "{:?}", &stops[..=10]);
    assert!(took < 30.0 * 1.05, "{took} s");
}

#[tokio::test(start_paused = true)]
async fn named_models_are_confirmed_while_tags_are_throttled_to_one_per_second() {
    let mut arns = arns(100);
    arns.extend(["v1", "v2"].map(|version| arn("dock", version)));
    let emulator = emulator(&arns);
    emulator.set_stop_takes(Duration::from_secs(5));
    emulator.set_operation_quota(TAGS, Some(Quota::per_second(1.0)));
    let handler = handler_in_process(&emulator, &[]);
    let event = json!({"model_arns": [arns[100], arns[101], pattern("shelf", "*")]});
    let (report, _) = run(&handler, &event, Duration::from_secs(30)).await;
    assert_eq!(outcomes(&report)[..2], ["stopped"; 2]);
    // Meanwhile tags are read, at no less than two thirds of what a bucket of one call allows.
    let (calls, throttled) = throttled(&emulator, TAGS);
    assert!(calls - throttled > 14, "{throttled} of {calls} throttled");
    assert!(report.summary.failed > 60, "{}", report.summary.failed);
}

#[tokio::test(start_paused = true)]
async fn one_model_that_is_throttled_forever_slows_down_others_by_a_few_seconds() {
    let arns = arns(201);
    for (bad, latency) in [(0, 0), (0, 20), (100, 20), (200, 20)] {
        let emulator = emulator(&arns);
        emulator.set_latency(Duration::from_millis(latency));
        let fault = Fault::error("ThrottlingException").operation(STOP);
        emulator.add_fault(fault.resource(&arns[bad]));
        let handler = handler_in_process(&emulator, &UNCONFIRMED);
        let start = Instant::now();
        let (report, _) = run(&handler, &json!({"model_arns": arns}), PLENTY).await;
        assert_eq!(report.summary.stopping, 200);
        assert_eq!(outcomes(&report)[bad], "DeadlineExceeded");
        let last = *let_through(&emulator, STOP, start).last().unwrap();
        assert!(last < 10.0, "model {bad}, {latency} ms a call: {last} s");
    }
}

#[tokio::test(start_paused = true)]
async fn up_to_128_calls_are_in_flight_in_the_process_and_never_more() {
    let arns: Vec<String> = (0..30)
        .flat_map(|region| {
            let region = format!("xx-test-{region}");
            (0..20).map(move |number| arn_in(&region, "shelf", &format!("v{number:02}")))
        })
        .collect();
    let emulator = emulator(&arns);
    emulator.set_latency(Duration::from_millis(100));
    let variables = [("MAX_CONCURRENCY", "64"), ("CONFIRM_STOPPED", "false")];
    let handler = handler_in_process(&emulator, &variables);
    let (report, _) = run(&handler, &json!({"model_arns": arns}), PLENTY).await;
    assert_eq!(report.summary.stopping, 600);
    assert_eq!(emulator.max_in_flight_to(Service::Rekognition), 128);
}
