//! CloudTrail's event history, read by the SDK.

use std::time::{Duration, SystemTime};

use aws_sdk_cloudtrail::types::{Event, LookupAttribute, LookupAttributeKey};
use rekognition_emulator::{Emulator, Operation, Quota, StartEvent, Starter};
use serde_json::{Value, json};
use tokio::time::advance;

use crate::client::{Caller, arn, model};
use crate::sdk::{Sdk, error_of, own_credentials};

const HOUR: Duration = Duration::from_secs(3600);

fn start(starter: Starter, ago: Duration) -> StartEvent {
    StartEvent::new(&arn("cats", "v1"), starter, ago).unwrap()
}

fn alice() -> Starter {
    Starter::User("ops/alice".to_owned())
}

fn name(value: &str) -> LookupAttribute {
    let attribute = LookupAttribute::builder().attribute_key(LookupAttributeKey::EventName);
    attribute.attribute_value(value).build().unwrap()
}

/// All events, page by page, and how many there were on each.
async fn history(sdk: &Sdk) -> (Vec<Event>, Vec<usize>) {
    let (mut events, mut pages) = (Vec::new(), Vec::new());
    let mut token = None;
    loop {
        let call = sdk.cloudtrail.lookup_events();
        let call = call.lookup_attributes(name("StartProjectVersion"));
        let page = call.set_next_token(token).send().await.unwrap();
        pages.push(page.events().len());
        events.extend(page.events.unwrap());
        token = page.next_token;
        if token.is_none() {
            return (events, pages);
        }
    }
}

/// `CloudTrailEvent`.
fn record(event: &Event) -> Value {
    serde_json::from_str(event.cloud_trail_event().unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_identity_is_spelled_as_cloudtrail_spells_it() {
    let sso = "AWSReservedSSO_Admin_0123";
    for (starter, username, identity, value) in [
        (
            alice(),
            Some("alice"),
            "arn",
            "arn:aws:iam::123456789012:user/ops/alice",
        ),
        (
            Starter::session(sso, "bob@example.com"),
            Some("bob@example.com"),
            "arn",
            "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Admin_0123/bob@example.com",
        ),
        (
            Starter::Root,
            Some("root"),
            "arn",
            "arn:aws:iam::123456789012:root",
        ),
        (
            Starter::Service("codepipeline.amazonaws.com".to_owned()),
            None,
            "invokedBy",
            "codepipeline.amazonaws.com",
        ),
    ] {
        let builder = Emulator::builder().starts([start(starter, HOUR)]);
        let emulator = builder.start().await.unwrap();
        let (events, _) = history(&Sdk::new(&emulator)).await;
        assert_eq!(events[0].username(), username);
        assert_eq!(record(&events[0])["userIdentity"][identity], value);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_events_whether_they_succeed_or_not() {
    let arn = arn("cats", "v1");
    let stopped = model(&arn).status("STOPPED");
    let day = SystemTime::UNIX_EPOCH + 20_000 * 24 * HOUR;
    let emulator = Emulator::builder().model(stopped).clock(day);
    let emulator = emulator.start().await.unwrap();
    let body = json!({"ProjectVersionArn": arn, "MinInferenceUnits": 1});
    let client = Caller::new(&emulator);
    client.call("StartProjectVersion", body.clone()).await;
    client.call("StartProjectVersion", body.clone()).await;
    emulator.deny("rekognition:StartProjectVersion", None);
    client.call("StartProjectVersion", body).await;
    let (events, _) = history(&Sdk::new(&emulator)).await;
    let codes: Vec<Value> = events
        .iter()
        .map(|event| record(event)["errorCode"].clone())
        .collect();
    let newest_first = [
        json!("AccessDeniedException"),
        json!("ResourceInUseException"),
        Value::Null,
    ];
    assert_eq!(codes, newest_first);
    let first = &events[2];
    assert_eq!(
        first.event_time().unwrap().secs(),
        20_000 * 24 * 3600,
        "{first:?}"
    );
    let record = record(first);
    assert_eq!(record["eventTime"], "2024-10-04T00:00:00Z");
    assert_eq!(record["requestParameters"]["projectVersionArn"], arn);
    let own = "arn:aws:sts::123456789012:assumed-role/stopper/stopper";
    assert_eq!(record["userIdentity"]["arn"], own);
}

#[tokio::test(start_paused = true)]
async fn the_history_has_fifty_events_a_page_newest_first_for_ninety_days() {
    let starts = (0..120).map(|hour| start(alice(), hour * HOUR));
    let old = start(alice(), 90 * 24 * HOUR + HOUR);
    let builder = Emulator::builder().starts(starts.chain([old]));
    let emulator = builder.start().await.unwrap();
    let (events, pages) = history(&Sdk::new(&emulator)).await;
    assert_eq!(pages, [50, 50, 20]);
    let times = events
        .iter()
        .map(|event| event.event_time().unwrap().secs());
    assert!(times.is_sorted_by(|one, next| one >= next));
}

#[tokio::test(start_paused = true)]
async fn an_event_is_there_after_a_delay_in_its_own_region_and_without_what_it_lacks() {
    let event = start(alice(), Duration::ZERO);
    let event = event
        .without("/Username")
        .without("/CloudTrailEvent/userIdentity/arn");
    let builder = Emulator::builder().starts([event]);
    let emulator = builder.event_delay(HOUR).start().await.unwrap();
    let sdk = Sdk::new(&emulator);
    assert_eq!(history(&sdk).await.0, []);
    advance(HOUR).await;
    let (events, _) = history(&sdk).await;
    assert_eq!(events[0].username(), None);
    let record = record(&events[0]);
    assert_eq!(record["userIdentity"]["userName"], "alice");
    assert_eq!(record["userIdentity"]["arn"], Value::Null);
    let elsewhere = Sdk::with(&emulator, "eu-west-1", own_credentials());
    assert_eq!(history(&elsewhere).await.0, []);
}

#[tokio::test(start_paused = true)]
async fn it_is_refused_and_throttled_in_its_own_words() {
    let quota = Quota::per_second(2.0);
    let builder = Emulator::builder().operation_quota(Operation::LookupEvents, quota);
    let emulator = builder.start().await.unwrap();
    emulator.deny("cloudtrail:LookupEvents", None);
    let sdk = Sdk::new(&emulator);
    let attempt = async || {
        let error = sdk.cloudtrail.lookup_events().send().await.unwrap_err();
        let status = error.raw_response().unwrap().status().as_u16();
        (status, error_of(&error))
    };
    let (status, (code, message)) = attempt().await;
    assert_eq!((status, &*code), (400, "AccessDeniedException"));
    assert!(message.contains("cloudtrail:LookupEvents on resource: *"));
    attempt().await;
    let (status, (code, _)) = attempt().await;
    assert_eq!((status, &*code), (400, "ThrottlingException"));
    emulator.allow_all();
    advance(HOUR).await;
    let two = [name("StartProjectVersion"), name("StopProjectVersion")];
    let call = sdk.cloudtrail.lookup_events();
    let call = call.set_lookup_attributes(Some(two.to_vec()));
    let (code, _) = error_of(&call.send().await.unwrap_err());
    assert_eq!(code, "InvalidLookupAttributesException");
    let call = sdk.cloudtrail.lookup_events().max_results(51);
    let (code, _) = error_of(&call.send().await.unwrap_err());
    assert_eq!(code, "InvalidMaxResultsException");
}
