//! What the product's tests take for granted of the emulator and would not notice: when a status
//! changes, which calls go wrong, and what is recorded. The wire is judged in `tests/e2e`, by
//! botocore's models; what is listed, by the nights. Clocks are paused: no test waits.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use rekognition_emulator::{
    Answer, Connection, ConnectionReset, Emulator, Fault, Model, Operation, Quota, Role, Service,
    StartEvent, Starter, ThrottleWith,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, advance};
use tower::ServiceExt;

const REGION: &str = "us-east-1";
const OWN: &str = "123456789012";
const MEMBER: &str = "222222222222";
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

const STOP: Operation = Operation::StopProjectVersion;
const PROJECTS: Operation = Operation::DescribeProjects;
const VERSIONS: Operation = Operation::DescribeProjectVersions;

fn arn(project: &str, number: u64) -> String {
    format!("arn:aws:rekognition:{REGION}:{OWN}:project/{project}/version/v1/{number}")
}

/// The ARN of the one model of most tests.
fn cats() -> String {
    arn("cats", 1)
}

fn running(arn: &str) -> Model {
    Model::new(arn).unwrap().status("RUNNING")
}

fn with_running() -> Emulator {
    Emulator::builder().model(running(&cats())).in_process()
}

/// The status and the text of a response.
struct Read(u16, String);

impl Read {
    fn json(&self) -> Value {
        serde_json::from_str(&self.1).unwrap_or_default()
    }

    /// The error's code, or nothing.
    fn code(&self) -> String {
        let code = self.json()["__type"].take();
        code.as_str().unwrap_or_default().to_owned()
    }
}

/// Who calls, and where.
#[derive(Clone)]
struct Caller {
    emulator: Emulator,
    region: &'static str,
    key: String,
    token: String,
    connection: u64,
}

impl Caller {
    fn of(emulator: &Emulator) -> Self {
        Self {
            emulator: emulator.clone(),
            region: REGION,
            key: "AKID".to_owned(),
            token: String::new(),
            connection: 0,
        }
    }

    async fn send(&self, operation: Operation, body: &str) -> Response<Body> {
        let target = match operation.service() {
            Service::CloudTrail => "CloudTrail_20131101",
            _ => "RekognitionService",
        };
        let (region, service) = (self.region, operation.service().name());
        let scope = format!("{}/20261124/{region}/{service}/aws4_request", self.key);
        let request = Request::post("http://emulator/")
            .header("x-amz-target", format!("{target}.{operation}"))
            .header("x-amz-security-token", &self.token)
            .header(
                "authorization",
                format!("AWS4-HMAC-SHA256 Credential={scope}"),
            )
            .extension(Connection(self.connection))
            .body(Body::from(body.to_owned()));
        let Ok(response) = self.emulator.router().oneshot(request.unwrap()).await;
        response
    }

    async fn call(&self, operation: Operation, body: Value) -> Read {
        let body = body
            .as_str()
            .map_or_else(|| body.to_string(), str::to_owned);
        let (parts, body) = self.send(operation, &body).await.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Read(parts.status.as_u16(), text)
    }

    async fn stop(&self, arn: &str) -> Read {
        self.call(STOP, json!({ "ProjectVersionArn": arn })).await
    }

    async fn list(&self) -> Read {
        self.call(PROJECTS, json!({})).await
    }

    /// A session of the role `member`, if it is assumed.
    async fn assume(&self, more: &str) -> Option<Self> {
        let role = format!("arn:aws:iam::{MEMBER}:role/member");
        let form = format!("Action=AssumeRole&RoleArn={role}&RoleSessionName=nightly{more}");
        let text = self.call(Operation::AssumeRole, form.into()).await.1;
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            Some(rest.split_once('<')?.0.to_owned())
        };
        Some(Self {
            key: element("AccessKeyId")?,
            token: element("SessionToken")?,
            ..self.clone()
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_changes_at_its_time_and_each_change_is_kept() {
    let model = || running(&cats());
    let starting = || model().status("STARTING");
    let stopping = || model().status("STOPPING");
    let scripted = model().becomes(7 * SECOND, "STOPPED");
    let scripted = scripted.becomes(3 * SECOND, "STARTING");
    for (model, changes) in [
        (model(), vec![]),
        (starting(), vec![(2, "RUNNING")]),
        (stopping(), vec![(4, "STOPPED")]),
        (starting().start_takes(9 * SECOND), vec![(9, "RUNNING")]),
        (stopping().stop_takes(Duration::MAX), vec![]),
        (
            scripted,
            vec![(3, "STARTING"), (5, "RUNNING"), (7, "STOPPED")],
        ),
    ] {
        let emulator = Emulator::in_process();
        emulator.set_start_takes(2 * SECOND);
        emulator.set_stop_takes(4 * SECOND);
        emulator.add_model(model);
        let mut status = emulator.status(&cats()).unwrap();
        let begun = Instant::now();
        for second in 1..=10 {
            advance(SECOND).await;
            let change = changes.iter().find(|(at, _)| *at == second);
            status = change.map_or(status, |(_, changed)| (*changed).to_owned());
            assert_eq!(emulator.status(&cats()), Some(status.clone()));
        }
        let kept = emulator.changes();
        let kept = kept
            .iter()
            .map(|it| ((it.at - begun).as_secs(), &*it.status));
        assert_eq!(kept.collect::<Vec<_>>(), changes);
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_running_model_is_stopped_and_may_be_deleted_then() {
    let emulator = with_running();
    emulator.set_start_takes(Duration::MAX);
    let caller = Caller::of(&emulator);
    for status in ["STOPPED", "STARTING", "FAILED", "HIBERNATING"] {
        emulator.set_status(&cats(), status);
        let response = caller.stop(&cats()).await;
        assert_eq!(response.code(), "ResourceInUseException");
        assert_eq!(emulator.status(&cats()).unwrap(), status);
    }
    emulator.set_stop_takes(SECOND);
    emulator.add_model(running(&cats()).deleted_once_stopped());
    assert_eq!(caller.stop(&cats()).await.code(), "");
    assert_eq!(emulator.status(&cats()).unwrap(), "STOPPING");
    advance(SECOND).await;
    assert_eq!(emulator.status(&cats()), None);
    assert_eq!(emulator.statuses()[&cats()], "STOPPED");
}

/// The codes of this many lists, one after the other.
async fn codes(caller: &Caller, count: usize) -> Vec<String> {
    let mut codes = Vec::new();
    for _ in 0..count {
        codes.push(caller.list().await.code());
    }
    codes
}

#[tokio::test(start_paused = true)]
async fn a_quota_lets_a_burst_and_then_the_rate_through() {
    let twice = Quota::per_second(2.0);
    let shared = twice.background_calls_per_second(1.0);
    for (quota, at_once, a_second_later) in [(twice, 2, 2), (twice.burst(5), 5, 2), (shared, 2, 1)]
    {
        let emulator = with_running();
        emulator.set_quota(Some(quota));
        let caller = Caller::of(&emulator);
        // Throttled calls take nothing of it, and a long pause gives no more than the burst.
        for (pause, let_through) in [(0, at_once), (1, a_second_later), (60, at_once)] {
            advance(pause * SECOND).await;
            let codes = codes(&caller, 8).await;
            let through = codes.iter().filter(|code| code.is_empty());
            assert_eq!(through.count(), let_through, "{quota:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_applies_to_a_region_and_if_asked_to_each_operation() {
    let (throttled, once) = ("ThrottlingException", Quota::per_second(1.0));
    for (quota, of_lists, stop_code) in [
        (Some(once), None, throttled),
        (Some(once.for_each_operation()), None, ""),
        (Some(once), Some(once), ""),
        (None, Some(once), ""),
    ] {
        let emulator = with_running();
        emulator.set_quota(quota);
        emulator.set_operation_quota(PROJECTS, of_lists);
        let mut caller = Caller::of(&emulator);
        assert_eq!(codes(&caller, 2).await, ["", throttled]);
        assert_eq!(caller.stop(&cats()).await.code(), stop_code);
        caller.region = "eu-west-1";
        assert_eq!(codes(&caller, 2).await, ["", throttled]);
    }
    let emulator = with_running();
    emulator.set_quota(Some(once.throttle_with(ThrottleWith::Alternating)));
    let provisioned = "ProvisionedThroughputExceededException";
    let expected = ["", throttled, provisioned, throttled];
    assert_eq!(codes(&Caller::of(&emulator), 4).await, expected);
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_fault_has_its_response_its_record_and_its_effect() {
    let error = |code| format!(r#"{{"__type":"{code}","message":"{code} by script"}}"#);
    let (failed, slow) = (error("InternalServerError"), error("SlowDown"));
    let hibernating = r#"{"Status":"HIBERNATING"}"#;
    let stopping = r#"{"Status":"STOPPING"}"#;
    let large = format!("{stopping:65000}");
    let failure = Fault::error("InternalServerError");
    let slow_down = Fault::error_with_status("SlowDown", 503).after_effect();
    let gateway = Fault::http_status(502, "<html>");
    let unknown = Fault::status_override("HIBERNATING");
    let late = Fault::delay(3 * SECOND);
    let padded = Fault::large_response(65_000);
    for (fault, outcome, text) in [
        (failure, "500 InternalServerError RUNNING", &*failed),
        (slow_down, "503 SlowDown STOPPED", &*slow),
        (gateway, "502 fault:http_status RUNNING", "<html>"),
        (Fault::garbage("x"), "200 fault:garbage RUNNING", "x"),
        (Fault::empty_body(), "200 fault:empty_body RUNNING", ""),
        (unknown, "200 fault:status_override STOPPED", hibernating),
        (late, "200 Ok STOPPED", stopping),
        (padded, "200 Ok STOPPED", &*large),
    ] {
        let emulator = with_running();
        emulator.add_fault(fault);
        let response = Caller::of(&emulator).stop(&cats()).await;
        let (http, answer) = (response.0, &emulator.calls()[0].answer);
        let status = emulator.status(&cats()).unwrap();
        assert_eq!(format!("{http} {answer} {status}"), outcome);
        assert_eq!(response.1, text);
    }
}

#[tokio::test]
async fn a_fault_affects_the_calls_that_it_names_and_no_others() {
    let fault = || Fault::http_status(503, "");
    let dogs = arn("dogs", 1);
    // Two stops of one model and two of another, then the versions of the one's project and of the
    // other's by name, then two pages of projects. What fails otherwise is not marked.
    for (fault, affected) in [
        (fault(), "xx xx xx xx"),
        (fault().operation(PROJECTS), ".. .. .. xx"),
        (fault().resource(&dogs), ".. xx .. .."),
        (fault().resource("cats"), ".. .. x. .."),
        (fault().resource("v1"), ".. .. .x .."),
        (fault().attempts(2..=3), ".x x. .. .."),
        (fault().page(2), ".. .. .. .x"),
        (fault().region("eu-west-1"), ".. .. .. .."),
        (fault().account(MEMBER), ".. .. .. .."),
        (fault().attempts(..=1).of_each_call(), "x. x. xx xx"),
    ] {
        let emulator = with_running();
        emulator.add_model(running(&dogs));
        let caller = Caller::of(&emulator);
        let first = json!({ "MaxResults": 1 });
        let page = caller.call(PROJECTS, first.clone()).await.json();
        let second = json!({ "MaxResults": 1, "NextToken": page["NextToken"] });
        let stop = |arn: &str| (STOP, json!({ "ProjectVersionArn": arn }));
        let own = json!({ "ProjectArn": emulator.project_arn(&cats()) });
        let mut named = json!({ "ProjectArn": emulator.project_arn(&dogs) });
        named["VersionNames"] = json!(["v1"]);
        let what = format!("{fault:?}");
        emulator.add_fault(fault);
        let mut seen = String::new();
        for (operation, body) in [
            stop(&cats()),
            stop(&cats()),
            stop(&dogs),
            stop(&dogs),
            (VERSIONS, own),
            (VERSIONS, named),
            (PROJECTS, first),
            (PROJECTS, second),
        ] {
            let response = caller.call(operation, body).await;
            seen.push(if response.0 == 503 { 'x' } else { '.' });
        }
        assert_eq!(seen, affected.replace(' ', ""), "{what}");
    }
}

/// Which of four stops of each of a hundred models fail, each model's over its own connection.
async fn failures_of_a_hundred(fault: Fault) -> Vec<[bool; 4]> {
    let emulator = Emulator::builder().fault(fault).in_process();
    let mut caller = Caller::of(&emulator);
    let mut all = Vec::new();
    for number in 0..100 {
        caller.connection = number;
        let mut failures = [false; 4];
        for failed in &mut failures {
            *failed = caller.stop(&arn("cats", number)).await.0 == 503;
        }
        all.push(failures);
    }
    all
}

#[tokio::test]
async fn a_share_of_attempts_calls_or_connections_is_the_same_every_time() {
    type Share = fn(Fault, u64) -> Fault;
    let shares: [(Share, bool); 3] = [
        (|it, seed| it.share_of_attempts(30, seed), false),
        (|it, seed| it.share_of_calls(30, seed), true),
        (|it, seed| it.share_of_connections(30, seed), true),
    ];
    for (share, is_all_or_none) in shares {
        let share = |seed| share(Fault::http_status(503, ""), seed);
        let all = failures_of_a_hundred(share(7)).await;
        assert_eq!(all, failures_of_a_hundred(share(7)).await);
        assert_ne!(all, failures_of_a_hundred(share(8)).await);
        let failed = all.concat().iter().filter(|failed| **failed).count();
        assert!((72..=180).contains(&failed), "{failed} of 400");
        let is_mixed = |it: &[bool; 4]| it.contains(&true) && it.contains(&false);
        assert_eq!(!all.iter().any(is_mixed), is_all_or_none);
    }
}

#[tokio::test]
async fn a_connection_breaks_for_a_reset_and_amid_a_truncated_body() {
    let truncated = r#"{"Status": ""#;
    for (fault, received) in [(Fault::reset(), ""), (Fault::truncated(), truncated)] {
        let builder = Emulator::builder().model(running(&cats()));
        let emulator = builder.fault(fault.attempts(..=1)).start().await.unwrap();
        let address = emulator.url().replace("http://", "");
        for expected in [received, r#"{"Status":"STOPPING"}"#] {
            let mut stream = TcpStream::connect(&address).await.unwrap();
            let body = json!({ "ProjectVersionArn": cats() }).to_string();
            let scope = format!("Credential=K/D/{REGION}/rekognition/aws4_request");
            let request = format!(
                "POST / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
                 authorization: AWS4-HMAC-SHA256 {scope}\r\n\
                 x-amz-target: RekognitionService.{STOP}\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut response = Vec::new();
            let _ = stream.read_to_end(&mut response).await;
            let response = String::from_utf8(response).unwrap();
            let (head, body) = response.split_once("\r\n\r\n").unwrap_or_default();
            assert_eq!(body, expected);
            assert_eq!(head.contains("length: 64"), expected == truncated);
        }
        assert_eq!(emulator.connections(), 2);
    }
    // In-process, where there is no connection, the response is marked.
    let emulator = with_running();
    emulator.add_fault(Fault::reset());
    let response = Caller::of(&emulator).send(PROJECTS, "{}").await;
    assert!(response.extensions().get::<ConnectionReset>().is_some());
}

#[tokio::test]
async fn every_call_is_recorded_once_with_its_response() {
    let path = format!("{}/record.jsonl", env!("CARGO_TARGET_TMPDIR"));
    let emulator = with_running();
    emulator.record_to(std::fs::File::create(&path).unwrap());
    let project = emulator.project_arn(&cats()).unwrap();
    let denied = "arn:aws:rekognition:us-east-1:123456789012:project/cats/";
    emulator.deny("rekognition:DescribeProjectVersions", Some(denied));
    let caller = Caller::of(&emulator);
    caller.list().await;
    caller.stop(&cats()).await;
    caller.stop(&cats()).await;
    let body = json!({ "ProjectArn": project });
    caller.call(VERSIONS, body.clone()).await;

    let text = std::fs::read_to_string(path).unwrap();
    let expected = [
        (PROJECTS, "*", "Ok"),
        (STOP, &cats(), "Ok"),
        (STOP, &cats(), "ResourceInUseException"),
        (VERSIONS, &project, "AccessDeniedException"),
    ];
    assert_eq!(text.lines().count(), expected.len());
    for (line, (operation, resource, answer)) in text.lines().zip(expected) {
        let expected = json!({
            "operation": operation.name(), "action": operation.action(), "resources": [resource],
            "region": REGION, "access_key": "AKID", "account": OWN, "answer": answer,
        });
        assert_eq!(serde_json::from_str::<Value>(line).unwrap(), expected);
    }
    assert_eq!((emulator.calls().len(), emulator.count(STOP)), (4, 2));
    assert_eq!(emulator.calls()[3].body, body);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_in_flight_until_its_client_gives_up() {
    let hangs = Answer::Fault("hang");
    for (latency, meanwhile, at_last) in [
        (Duration::ZERO, hangs.clone(), hangs),
        (HOUR, Answer::Pending, Answer::GivenUp),
    ] {
        let emulator = with_running();
        emulator.set_latency(latency);
        emulator.add_fault(Fault::hang());
        let calls = [REGION, REGION, "eu-west-1"].map(|region| {
            let mut caller = Caller::of(&emulator);
            caller.region = region;
            tokio::spawn(async move { caller.stop(&cats()).await })
        });
        let have = |it: &Emulator, answer: &Answer| {
            let calls = it.calls();
            calls.len() == 3 && calls.iter().all(|call| call.answer == *answer)
        };
        emulator.wait_until(|it| have(it, &meanwhile)).await;
        assert_eq!(emulator.in_flight(REGION), 2);
        assert_eq!(emulator.in_flight_to(Service::Rekognition), 3);
        calls.iter().for_each(|call| call.abort());
        emulator.wait_until(|it| it.in_flight(REGION) == 0).await;
        assert!(have(&emulator, &at_last));
        assert_eq!(emulator.in_flight_to(Service::Rekognition), 0);
        assert_eq!(emulator.status(&cats()).unwrap(), "RUNNING");
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_is_assumed_by_those_that_it_trusts_for_an_hour_of_its_account() {
    let role = || Role::new(&format!("arn:aws:iam::{MEMBER}:role/member")).unwrap();
    let trusting = || role().trusts("arn:aws:iam::123456789012:role/stopper");
    let other = "arn:aws:iam::123456789012:role/other";
    for (role, more, is_assumed) in [
        (role(), "", false),
        (role().trusts(other), "", false),
        (trusting().trusts(other), "", true),
        (trusting().external_id("e1"), "", false),
        (trusting().external_id("e1"), "&ExternalId=e2", false),
        (trusting().external_id("e1"), "&ExternalId=e1", true),
    ] {
        let emulator = Emulator::builder().role(role.clone()).in_process();
        let assumed = Caller::of(&emulator).assume(more).await;
        assert_eq!(assumed.is_some(), is_assumed, "{role:?}{more}");
        assert_eq!(emulator.assume_role_count(MEMBER), 1);
    }

    let theirs = cats().replace(OWN, MEMBER);
    let emulator = Emulator::builder().role(trusting());
    let emulator = emulator.model(running(&theirs)).in_process();
    let own = Caller::of(&emulator);
    let mut member = own.assume("").await.unwrap();
    assert_eq!(own.stop(&theirs).await.code(), "AccessDeniedException");
    assert_eq!(member.stop(&theirs).await.code(), "");
    let call = emulator.calls().pop().unwrap();
    let session = "arn:aws:sts::222222222222:assumed-role/member/nightly";
    assert_eq!((&*call.account, &*call.identity), (MEMBER, session));
    advance(HOUR).await;
    assert_eq!(member.list().await.code(), "ExpiredTokenException");
    member.token = "another".to_owned();
    assert_eq!(member.list().await.code(), "UnrecognizedClientException");
}

#[tokio::test]
async fn a_list_ends_without_a_token_and_a_namesake_lists_no_model() {
    let emulator = with_running();
    let namesake = emulator.add_namesake_project(&cats(), "DELETING");
    let project = emulator.project_arn(&cats());
    assert_ne!(namesake, project);
    let caller = Caller::of(&emulator);
    for (project, models) in [(&project, 1), (&namesake, 0)] {
        let body = json!({ "ProjectArn": project });
        let page = caller.call(VERSIONS, body).await.json();
        let found = page["ProjectVersionDescriptions"].as_array().unwrap();
        assert_eq!(found.len(), models);
    }

    emulator.set_page_size(1);
    let page = async |token: &Value| {
        let body = json!({ "NextToken": token });
        caller.call(PROJECTS, body).await.json()
    };
    let first = page(&Value::Null).await;
    let last = page(&first["NextToken"]).await;
    assert_eq!(last.get("NextToken"), None);
    assert_ne!(first["ProjectDescriptions"], last["ProjectDescriptions"]);
}

/// The events of the caller's account and region, with what is in `CloudTrailEvent`.
async fn events(caller: &Caller) -> Vec<(Value, Value)> {
    let page = caller.call(Operation::LookupEvents, json!({})).await.json();
    let events = page["Events"].as_array().unwrap().iter().cloned();
    let record = |event: &Value| serde_json::from_str(event["CloudTrailEvent"].as_str()?).ok();
    events
        .map(|event| (event.clone(), record(&event).unwrap()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_start_is_in_the_history_of_its_region_after_a_delay_for_ninety_days() {
    let emulator = with_running();
    emulator.set_clock(SystemTime::UNIX_EPOCH + 20_000 * 24 * HOUR);
    emulator.set_event_delay(HOUR);
    for (hours, code) in [
        (24, "Older"),
        (0, "New"),
        (90 * 24, "Oldest"),
        (91 * 24, "Gone"),
    ] {
        let event = StartEvent::new(&cats(), Starter::Root, hours * HOUR);
        emulator.add_start(&event.unwrap().error_code(code));
    }
    let mut caller = Caller::of(&emulator);
    for (newest_first, pause) in [
        (vec!["Older", "Oldest"], HOUR),
        (vec!["New", "Older"], HOUR),
    ] {
        let found = events(&caller).await;
        let codes = found.iter().map(|(_, it)| it["errorCode"].as_str());
        assert_eq!(codes.flatten().collect::<Vec<_>>(), newest_first);
        let older = &found[newest_first.iter().position(|it| *it == "Older").unwrap()];
        assert_eq!(older.1["eventTime"], "2024-10-03T00:00:00Z");
        advance(pause).await;
    }
    caller.region = "eu-west-1";
    assert_eq!(events(&caller).await, []);
}

#[tokio::test(start_paused = true)]
async fn the_services_clock_can_be_wrong_and_advances() {
    let emulator = with_running();
    let caller = Caller::of(&emulator);
    emulator.set_clock(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777));
    for time in ["08:49:37", "08:50:37"] {
        let response = caller.send(PROJECTS, "{}").await;
        let date = format!("Sun, 06 Nov 1994 {time} GMT");
        assert_eq!(response.headers()["date"], date);
        advance(60 * SECOND).await;
    }
}
