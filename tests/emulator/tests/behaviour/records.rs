//! What the emulator remembers.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rekognition_emulator::{Answer, Emulator, Fault, Operation};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::{Caller, REGION, running, with_running};

#[tokio::test]
async fn every_call_is_remembered() {
    let (emulator, arn) = with_running().await;
    let caller = Caller::new(&emulator);
    let project = emulator.project_arn(&arn).unwrap();
    caller
        .call("DescribeProjects", json!({ "ProjectNames": ["cats"] }))
        .await;
    caller
        .call("DescribeProjectVersions", json!({ "ProjectArn": project }))
        .await;
    caller.stop(&arn).await;
    caller.stop(&arn).await;
    let calls = emulator.calls();
    let seen: Vec<_> = calls
        .iter()
        .map(|call| {
            (
                call.operation.name(),
                call.resources.join(","),
                call.policy_resource(),
            )
        })
        .collect();
    let expected = [
        ("DescribeProjects", "cats".to_owned(), "*".to_owned()),
        ("DescribeProjectVersions", project.clone(), project),
        ("StopProjectVersion", arn.clone(), arn.clone()),
        ("StopProjectVersion", arn.clone(), arn.clone()),
    ];
    assert_eq!(seen, expected);
    assert_eq!(calls[2].body, json!({ "ProjectVersionArn": arn }));
    assert_eq!(calls[2].answer, Answer::Ok);
    assert_eq!(
        calls[3].answer,
        Answer::Error("ResourceInUseException".to_owned())
    );
    assert!(calls[2].at <= calls[3].at);
    assert!(calls[2].at <= calls[2].ended.unwrap());
    assert_eq!(emulator.count(Operation::StopProjectVersion), 2);
    assert_eq!(emulator.count(Operation::ListTagsForResource), 0);
}

#[tokio::test]
async fn calls_in_flight_are_counted_by_region() {
    let (emulator, arn) = with_running().await;
    emulator.add_fault(Fault::hang());
    let mut calls = Vec::new();
    for region in [REGION, REGION, REGION, "eu-west-1"] {
        let (caller, arn) = (Caller::new(&emulator).in_region(region), arn.clone());
        calls.push(tokio::spawn(async move { caller.try_stop(&arn).await }));
    }
    emulator
        .wait_until(|e| e.in_flight(REGION) == 3 && e.in_flight("eu-west-1") == 1)
        .await;
    assert_eq!(emulator.connections(), 4);
    calls.iter().for_each(|call| call.abort());
    emulator.wait_until(|e| e.in_flight(REGION) == 0).await;
    assert_eq!(emulator.max_in_flight(REGION), 3);
    assert_eq!(emulator.max_in_flight("eu-west-1"), 1);
}

#[tokio::test]
async fn a_kept_connection_is_counted_once() {
    let (emulator, arn) = with_running().await;
    let caller = Caller::new(&emulator);
    for _ in 0..5 {
        caller.stop(&arn).await;
    }
    assert_eq!(emulator.connections(), 1);
    assert_eq!(emulator.max_in_flight(REGION), 1);
}

#[tokio::test(start_paused = true)]
async fn every_call_takes_the_latency() {
    let (emulator, arn) = with_running().await;
    let caller = Caller::new(&emulator);
    let begun = Instant::now();
    caller.stop(&arn).await;
    assert_eq!(begun.elapsed(), Duration::ZERO);
    emulator.set_latency(Duration::from_millis(250));
    caller.stop(&arn).await;
    assert!((250..300).contains(&begun.elapsed().as_millis()));
}

#[tokio::test]
async fn a_client_that_gives_up_before_the_effect_is_told_apart() {
    let (emulator, arn) = with_running().await;
    emulator.set_latency(Duration::from_secs(3600));
    let caller = Caller::new(&emulator);
    let call = tokio::spawn({
        let arn = arn.clone();
        async move { caller.try_stop(&arn).await }
    });
    emulator.wait_until(|e| e.in_flight(REGION) == 1).await;
    assert_eq!(emulator.calls()[0].answer, Answer::Pending);
    call.abort();
    emulator.wait_until(|e| e.in_flight(REGION) == 0).await;
    assert_eq!(emulator.calls()[0].answer, Answer::GivenUp);
    assert_eq!(emulator.status(&arn).unwrap(), "RUNNING");
}

/// A file in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_call_is_a_line_of_the_record() {
    let (model, arn) = running();
    let lines = Lines::default();
    let builder = Emulator::builder().model(model).record_to(lines.clone());
    let emulator = builder.start().await.unwrap();
    let caller = Caller::new(&emulator);
    caller
        .call("DescribeProjects", json!({ "ProjectNames": ["cats"] }))
        .await;
    caller.stop(&arn).await;
    caller.stop(&arn).await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let line = |operation: &str, resource: &str, answer: &str| {
        json!({
            "operation": operation,
            "action": format!("rekognition:{operation}"),
            "resources": [resource],
            "region": REGION,
            "access_key": "AKIDEXAMPLE",
            "account": "123456789012",
            "answer": answer,
        })
    };
    let expected = [
        line("DescribeProjects", "*", "Ok"),
        line("StopProjectVersion", &arn, "Ok"),
        line("StopProjectVersion", &arn, "ResourceInUseException"),
    ];
    assert_eq!(lines, expected);
}
