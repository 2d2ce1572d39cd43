//! One model, from its stop to its end: what is retried, waited for, confirmed, stopped again, and
//! reported with the reason; and how few calls that takes for many.
//!
//! The clock is paused, so that minutes pass at once.

mod support;

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use aws_sdk_rekognition::primitives::{DateTime, DateTimeFormat};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use rekognition_emulator::{Account, Emulator, Fault, Model, Operation, Role};
use serde_json::json;
use support::log::Log;
use support::wire::Wire;
use support::{
    OWN, PLENTY, arn, emulator_in_process, failure, handler_in_process, handler_with, in_process,
    invoke, model, outcomes, report, running, stop, summary,
};
use tokio::time::Instant;

const STOP: Operation = Operation::StopProjectVersion;
const PROJECTS: Operation = Operation::DescribeProjects;
const VERSIONS: Operation = Operation::DescribeProjectVersions;

/// Settings under which an accepted stop is enough.
const UNCONFIRMED: (&str, &str) = ("CONFIRM_STOPPED", "false");

const DRY_RUN: (&str, &str) = ("DRY_RUN", "true");

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_running_model_is_stopped_and_reported() {
    let arn = arn("shelf", "v1");
    let emulator = support::emulator([running(&arn).inference_units(2)]).await;
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

/// A model, what goes wrong, and what becomes of it.
struct Story {
    name: &'static str,
    model: Option<Model>,
    faults: Vec<Fault>,
    variables: Vec<(&'static str, &'static str)>,
    /// The time that the run has, and that it may take at most.
    time: (u64, u64),
    outcome: &'static str,
    /// A part of the error message, if it failed.
    error: &'static str,
    /// How many stops are sent.
    stops: RangeInclusive<usize>,
    /// The statuses that the model goes through.
    history: &'static str,
}

fn story(name: &'static str, model: impl Into<Option<Model>>, outcome: &'static str) -> Story {
    Story {
        name,
        model: model.into(),
        faults: Vec::new(),
        variables: Vec::new(),
        time: (60, 60),
        outcome,
        error: "",
        stops: 1..=1,
        history: "",
    }
}

impl Story {
    async fn check(self) {
        println!("{}", self.name);
        let arn = arn("shelf", "v1");
        let emulator = emulator_in_process(self.model);
        emulator.add_project("shelf", "us-east-1", "CUSTOM_LABELS");
        self.faults
            .into_iter()
            .for_each(|fault| emulator.add_fault(fault));
        let handler = handler_in_process(&emulator, &self.variables);
        let begin = Instant::now();
        let event = json!({"model_arns": [arn]});
        let report = report(invoke(&handler, event, seconds(self.time.0)).await);
        assert!(
            begin.elapsed() <= seconds(self.time.1),
            "{:?}",
            begin.elapsed()
        );
        assert_eq!(outcomes(&report), [self.outcome], "{report:?}");
        if !self.error.is_empty() {
            assert!(failure(&report).contains(self.error), "{report:?}");
        }
        let stops = emulator.count(STOP);
        assert!(self.stops.contains(&stops), "{stops} stops");
        let changes = emulator.changes().into_iter();
        let history = changes
            .map(|change| change.status)
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(history, self.history);
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn a_model_is_stopped_waited_for_confirmed_and_stopped_again() {
    let arn = arn("shelf", "v1");
    let running = || running(&arn);
    let in_status = |status| model(&arn, status);
    let starting = || in_status("STARTING");
    let in_use = || Fault::error("ResourceInUseException").operation(STOP);
    let garbage = || Fault::garbage("{\"Status\":").operation(STOP).attempts(..=1);
    for story in [
        Story { history: "STOPPING STOPPED",
            ..story("running", running().stop_takes(seconds(30)), "stopped") },
        // The last look is shortly before the deadline.
        Story { time: (120, 120), history: "STOPPING STOPPED",
            ..story("slow to stop", running().stop_takes(seconds(105)), "stopped") },
        Story { history: "STOPPED",
            ..story("stopping", in_status("STOPPING").stop_takes(seconds(30)), "stopped") },
        Story { time: (900, 850), stops: 2..=2, history: "RUNNING STOPPING STOPPED",
            ..story("starting", starting().start_takes(seconds(13 * 60)), "stopped") },
        Story { stops: 2..=2, history: "STOPPING STARTING RUNNING STOPPING STOPPED",
            ..story("started again", running().stop_takes(seconds(5)).start_takes(seconds(5))
                .becomes(seconds(2), "STARTING"), "stopped") },
        Story { history: "STOPPING STOPPED",
            ..story("deleted", running().deleted_once_stopped(), "stopped") },
        story("stopped", in_status("STOPPED"), "already_stopped"),
        Story { history: "FAILED",
            ..story("failing to start", starting().start_takes(seconds(99))
                .becomes(seconds(5), "FAILED"), "already_stopped") },
        // Without confirmation.
        Story { variables: vec![UNCONFIRMED], time: (60, 0), history: "STOPPING",
            ..story("unconfirmed", running().stop_takes(seconds(99)), "stopping") },
        Story { variables: vec![UNCONFIRMED],
            ..story("unconfirmed and stopping", in_status("STOPPING").stop_takes(seconds(99)),
                "stopping") },
        Story { variables: vec![UNCONFIRMED], stops: 2..=2, history: "RUNNING STOPPING",
            ..story("unconfirmed and starting", starting().start_takes(seconds(20))
                .stop_takes(seconds(99)), "stopping") },
        // The response leaves doubt.
        Story { faults: vec![in_use().attempts(..=3)], stops: 4..=4, history: "STOPPING STOPPED",
            ..story("refused as in use", running(), "stopped") },
        Story { faults: vec![garbage()], stops: 2..=2, history: "STOPPING STOPPED",
            ..story("unreadable, without effect", running(), "stopped") },
        Story { faults: vec![garbage().after_effect()], history: "STOPPING STOPPED",
            ..story("unreadable, with effect", running(), "already_stopped") },
    ] {
        story.check().await;
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn a_model_that_is_not_confirmed_to_be_stopped_fails_with_the_reason() {
    let arn = arn("shelf", "v1");
    let running = || running(&arn);
    let in_use = || Fault::error("ResourceInUseException");
    let denied = || Fault::error("AccessDeniedException");
    let described = json!({"ProjectVersionDescriptions": [{"ProjectVersionArn": arn}]});
    let without_status = || Fault::garbage(&described.to_string()).operation(VERSIONS);
    for story in [
        story("not there", None, "ResourceNotFoundException"),
        Story { error: "`HIBERNATING`",
            ..story("unknown", model(&arn, "HIBERNATING"), "UnexpectedStatus") },
        Story { error: "`HIBERNATING`", history: "STOPPING HIBERNATING",
            ..story("becoming unknown", running().stop_takes(seconds(99))
                .becomes(seconds(5), "HIBERNATING"), "UnexpectedStatus") },
        Story { error: "it was STARTING when it was last seen, ",
            ..story("starting", model(&arn, "STARTING").start_takes(seconds(99)),
                "StillStarting") },
        Story { error: "its stop was accepted", history: "STOPPING",
            ..story("slow to stop", running().stop_takes(seconds(99)), "NotConfirmed") },
        Story { faults: vec![in_use().operation(STOP)], stops: 15..=40,
            error: "the last attempt failed with: ResourceInUseException",
            ..story("always in use", running(), "DeadlineExceeded") },
        Story { faults: vec![Fault::status_override("RUNNING").operation(VERSIONS)], stops: 15..=40,
            error: "its stop was accepted, but it was running when it was last seen, ",
            history: "STOPPING STOPPED",
            ..story("always said to be running", running(), "DeadlineExceeded") },
        Story { faults: vec![Fault::garbage("{}").operation(VERSIONS)],
            error: "the response to DescribeProjectVersions cannot be read",
            history: "STOPPING STOPPED",
            ..story("not readable", running(), "NotConfirmed") },
        Story { faults: vec![without_status()], error: "its status is ``", history: "STOPPING STOPPED",
            ..story("without a status", running(), "UnexpectedStatus") },
        // A dry run, too.
        Story { faults: vec![without_status()], variables: vec![DRY_RUN], stops: 0..=0,
            ..story("dry run: without a status", running(), "UnexpectedStatus") },
        Story { faults: vec![Fault::garbage("{}").operation(VERSIONS)], variables: vec![DRY_RUN],
            stops: 0..=0, error: "the response to DescribeProjectVersions cannot be read",
            ..story("dry run: not readable", running(), "DeadlineExceeded") },
        // At once.
        Story { faults: vec![denied().operation(PROJECTS)], time: (60, 5),
            error: "its stop was accepted, but could not be confirmed",
            history: "STOPPING STOPPED",
            ..story("lookup denied", running(), "AccessDeniedException") },
        Story { faults: vec![denied().operation(VERSIONS)], time: (60, 5),
            error: "its stop was accepted, but could not be confirmed",
            history: "STOPPING STOPPED",
            ..story("description denied", running(), "AccessDeniedException") },
    ] {
        story.check().await;
    }
}

/// Every code that AWS throttles with.
const THROTTLING: [(&str, u16); 14] = [
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

const SIGNATURE: [&str; 5] = [
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "RequestExpired",
    "RequestInTheFuture",
    "RequestTimeTooSkewed",
];

const FINAL: [&str; 3] = [
    "AccessDeniedException",
    "InvalidParameterException",
    "ResourceNotFoundException",
];

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_retried_a_refused_signature_once_and_a_refusal_never() {
    let throttling = THROTTLING.map(|(code, status)| Fault::error_with_status(code, status));
    let passing = [
        Fault::http_status(429, ""),
        Fault::error("InternalServerError"),
        Fault::http_status(500, ""),
        Fault::http_status(502, "<html>"),
        Fault::http_status(503, ""),
        Fault::http_status(507, "{}"),
        Fault::reset(),
        Fault::truncated(),
        Fault::hang(),
    ];
    let retried = throttling.into_iter().chain(passing);
    let retried = retried.map(|fault| (fault.attempts(..=4), "stopping", 5));
    let once = SIGNATURE.map(|code| (Fault::error(code).attempts(..=1), "stopping", 2));
    let only_once = SIGNATURE.map(|code| (Fault::error(code), code, 2));
    let never = FINAL.map(|code| (Fault::error(code), code, 1));
    for (fault, outcome, attempts) in retried.chain(once).chain(only_once).chain(never) {
        let arn = arn("shelf", "v1");
        let emulator = emulator_in_process([running(&arn)]);
        // Whatever the clocks say.
        emulator.set_clock(SystemTime::now() + seconds(600));
        emulator.add_fault(fault.clone().operation(STOP));
        let handler = handler_in_process(&emulator, &[UNCONFIRMED]);
        let report = report(invoke(&handler, json!({"model_arns": [arn]}), PLENTY).await);
        assert_eq!(outcomes(&report), [outcome], "{fault:?}");
        assert_eq!(emulator.calls().len(), attempts, "{fault:?}");
    }
}

/// A service whose clock is ten minutes ahead, and that refuses what was not signed within five
/// minutes of it.
#[derive(Clone, Debug)]
struct Ahead(Wire);

impl HttpClient for Ahead {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Ahead {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let ahead = |minutes: u64, format| {
            let time = SystemTime::now() + seconds(60 * minutes);
            DateTime::from(time).fmt(format).unwrap()
        };
        // As `20261129T224400Z`.
        let signed = request.headers().get("x-amz-date").unwrap_or_default();
        let earliest = ahead(5, DateTimeFormat::DateTime).replace(['-', ':'], "");
        if signed < &*earliest {
            let refusal = json!({"__type": "InvalidSignatureException"}).to_string();
            let mut response = HttpResponse::new(400.try_into().unwrap(), refusal.into());
            let date = ahead(10, DateTimeFormat::HttpDate);
            response.headers_mut().insert("date", date);
            return HttpConnectorFuture::ready(Ok(response));
        }
        self.0.call(request)
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_costs_one_refused_signature() {
    // Those of each service: that of a role, of the accounts, of starts, and of models.
    let member = "111111111111";
    let role = Role::new(&format!("arn:aws:iam::{member}:role/stopper")).unwrap();
    let emulator = Emulator::builder()
        .organization_account(Account::new(OWN))
        .organization_account(Account::new(member))
        .role(role.trusts(&format!("arn:aws:iam::{OWN}:role/stopper")))
        .model(running(&arn("shelf", "v1").replace(OWN, member)))
        .in_process();
    emulator.set_clock(SystemTime::now() + seconds(600));
    let ahead = Ahead(Wire::new(&emulator));
    let variables = [("MEMBER_ROLE", "stopper"), ("FIND_STARTS", "true")];
    let handler = handler_with(&emulator, &variables, in_process(ahead));
    let log = Log::new("JSON", "WARN");
    let event = json!({"model_arns": ["arn:aws:rekognition:us-east-1:*:project/*"]});
    let report = invoke(&handler, event, PLENTY).await.unwrap();
    assert_eq!(outcomes(&report), ["stopped"]);
    assert_ne!(emulator.count(Operation::LookupEvents), 0);
    assert_eq!(log.text(), "");
}

/// Stops this many models of this many projects. Returns the calls of DescribeProjectVersions and
/// of DescribeProjects that it took, and the time.
async fn confirm(models: usize, projects: usize, stop_takes: &[u64]) -> (usize, usize, Duration) {
    let arns = (0..models).map(|number| {
        let project = format!("project-{:02}", number % projects);
        arn(&project, &format!("v{number:04}"))
    });
    let arns = Vec::from_iter(arns);
    let models = arns.iter().zip(stop_takes.iter().cycle());
    let models = models.map(|(arn, takes)| running(arn).stop_takes(seconds(*takes)));
    let emulator = emulator_in_process(models);
    let handler = handler_in_process(&emulator, &[]);
    let begin = Instant::now();
    let report = invoke(&handler, json!({"model_arns": arns}), seconds(300))
        .await
        .unwrap();
    assert_eq!(report.summary.stopped, arns.len());
    let calls = emulator.calls().into_iter();
    let mut checks = calls.filter(|call| call.operation == VERSIONS);
    assert!(checks.all(|call| call.body["VersionNames"].is_array()));
    (
        emulator.count(VERSIONS),
        emulator.count(PROJECTS),
        begin.elapsed(),
    )
}

#[tokio::test(start_paused = true)]
async fn many_models_are_confirmed_in_time_and_with_few_calls() {
    // Rounds after 1, 3 and 7 seconds, of a call for ten models of each project.
    let (checks, lookups, took) = confirm(60, 3, &[6]).await;
    assert!(
        checks <= 4 * 6 && lookups == 1 && took <= seconds(8),
        "{checks} {lookups} {took:?}"
    );
    // Projects are looked up ten a call, and only once.
    let (checks, lookups, took) = confirm(25, 25, &[6]).await;
    assert!(
        checks <= 4 * 25 && lookups == 3,
        "{checks} {lookups} {took:?}"
    );
    // Rounds of many calls are less frequent: with the short pauses there would be six.
    let (checks, ..) = confirm(100, 100, &[60]).await;
    assert!(checks <= 500, "{checks}");
    // After 31 and 61 seconds, and then soon, because a model has changed, and not after 91.
    let (.., took) = confirm(2, 1, &[50, 63]).await;
    assert!(took < seconds(70), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_fails_every_model_by_the_deadline() {
    let emulator = support::emulator([]).await;
    let config = support::sdk_config(&emulator.url());
    let handler = handler_with(&Emulator::builder().in_process(), &[], config);
    drop(emulator);
    let event = json!({"model_arns": [arn("shelf", "v1")]});
    let report = report(invoke(&handler, event, PLENTY).await);
    assert_eq!(outcomes(&report), ["DeadlineExceeded"]);
    assert!(failure(&report).contains("refused"), "{report:?}");
}
