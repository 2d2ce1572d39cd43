//! A process that lives from one invocation to the next, as Lambda keeps it warm: nothing in it may
//! grow.

#![cfg(target_os = "linux")]
mod support;

use std::time::Duration;

use rekognition_emulator::{Emulator, Fault, Operation};
use serde_json::{Value, json};
use support::process::Resources;
use support::runtime_api::{Function, lines_of};
use support::{PLENTY, arns, pattern, running};

/// The models of every invocation.
const MODELS: usize = 50;
/// The most that memory may grow by, in kB.
const GROWTH: u64 = 1024;
/// Twice as many as there may be calls at once, which is eight of each of four operations: the HTTP
/// client opens a connection for a call that finds none free, and keeps it even if another becomes
/// free before it is established.
const MOST_CONNECTIONS: usize = 64;

async fn emulator(arns: &[String]) -> Emulator {
    let models = arns.iter().map(|arn| running(arn));
    let emulator = Emulator::builder().models(models).start().await.unwrap();
    emulator.set_stop_takes(Duration::from_millis(1));
    emulator
}

async fn function(emulator: &Emulator, confirm_stopped: &str) -> Function {
    let url = emulator.url();
    Function::start(&[
        ("AWS_ENDPOINT_URL_REKOGNITION", &url),
        ("CONFIRM_STOPPED", confirm_stopped),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
    ])
    .await
}

/// Sets every model running again, as if someone had left them so.
fn leave_running(emulator: &Emulator, arns: &[String]) {
    for arn in arns {
        emulator.set_status(arn, "RUNNING");
    }
}

/// One invocation, in which all models must have this outcome.
async fn invoke(function: &mut Function, event: &Value, outcome: &str) {
    let answer = function.invoke(event.to_string(), PLENTY).await;
    assert!(answer.is_ok, "{answer:?}");
    assert_eq!(answer.body["summary"][outcome], MODELS, "{answer:?}");
}

/// What the process used after its first invocations, and its maximum later.
struct Growth {
    id: u32,
    first: Resources,
    memory: u64,
    files: usize,
}

impl Growth {
    fn begin(function: &Function) -> Self {
        let first = Resources::of(function.id());
        Self {
            id: function.id(),
            first,
            memory: first.memory,
            files: first.files,
        }
    }

    fn measure(&mut self) {
        let now = Resources::of(self.id);
        self.memory = self.memory.max(now.memory);
        self.files = self.files.max(now.files);
    }

    /// Asserts that nothing has grown, neither between invocations nor within one.
    fn end(&self, invocations: usize) {
        let last = Resources::of(self.id);
        println!(
            "{invocations} invocations of {MODELS} models: {} kB at first, at most {} kB between invocations and {} \
             kB ever, {} kB at the end; {} open files at first, at most {}",
            self.first.memory, self.memory, last.peak, last.memory, self.first.files, self.files
        );
        assert!(self.memory <= self.first.memory + GROWTH);
        assert!(last.peak <= self.first.peak + GROWTH);
        // The first invocations may have needed fewer connections than the function may open.
        assert!(self.files < self.first.files + MOST_CONNECTIONS);
    }
}

#[tokio::test]
async fn a_thousand_invocations_take_no_more_than_the_first_fifty() {
    let arns = arns(MODELS);
    let emulator = emulator(&arns).await;
    let mut function = function(&emulator, "false").await;
    let events = [
        (json!({ "model_arns": arns }), "stopping"),
        (json!({"model_arns": [pattern("shelf", "*")]}), "stopping"),
        (json!({"model_arns": arns, "dry_run": true}), "would_stop"),
    ];
    // Mostly what a schedule does; and now and then a pattern, with its lists and tags, and a dry
    // run, with its status checks.
    let kind = |number: usize| match number % 10 {
        8 => &events[1],
        9 => &events[2],
        _ => &events[0],
    };
    for number in 0..50 {
        leave_running(&emulator, &arns);
        let (event, outcome) = kind(number);
        invoke(&mut function, event, outcome).await;
    }
    let mut growth = Growth::begin(&function);
    for number in 50..1000 {
        leave_running(&emulator, &arns);
        let (event, outcome) = kind(number);
        invoke(&mut function, event, outcome).await;
        growth.measure();
    }
    growth.end(1000);
    let connections = emulator.connections();
    println!(
        "{} calls over {connections} connections",
        emulator.calls().len()
    );
    assert!(connections <= MOST_CONNECTIONS, "{connections}");
    assert_eq!(lines_of(&function.end().await, "run").len(), 1000);
}

#[tokio::test]
async fn invocations_that_wait_for_their_models_take_no_more_than_the_first() {
    let arns = arns(MODELS);
    let emulator = emulator(&arns).await;
    let mut function = function(&emulator, "true").await;
    let event = json!({ "model_arns": arns });
    // Only a few, because each takes the first pause before a poll.
    for _ in 0..2 {
        leave_running(&emulator, &arns);
        invoke(&mut function, &event, "stopped").await;
    }
    let mut growth = Growth::begin(&function);
    for _ in 0..4 {
        leave_running(&emulator, &arns);
        invoke(&mut function, &event, "stopped").await;
        growth.measure();
    }
    growth.end(6);
    assert!(
        emulator.connections() <= MOST_CONNECTIONS,
        "{}",
        emulator.connections()
    );
}

#[tokio::test]
async fn an_invocation_that_ran_into_its_deadline_leaves_nothing_behind_for_the_next() {
    const STOPS: Operation = Operation::StopProjectVersion;
    let arns = arns(MODELS);
    let emulator = emulator(&arns).await;
    let mut function = function(&emulator, "false").await;
    let event = json!({ "model_arns": arns });
    invoke(&mut function, &event, "stopping").await;
    let mut growth = None;
    for round in 0..5 {
        leave_running(&emulator, &arns);
        emulator.add_fault(Fault::hang().operation(STOPS));
        let stops = emulator.count(STOPS);
        // Nothing is begun in the last second.
        let limit = Duration::from_secs(2);
        let answer = function.invoke(event.to_string(), limit).await;
        let message = answer.body["errorMessage"].as_str().unwrap();
        assert!(
            message.starts_with("50 of 50 models were not stopped"),
            "{message}"
        );
        assert!(emulator.count(STOPS) > stops, "{round}");
        // The abandoned calls are gone, and so are their connections.
        emulator
            .wait_until(|emulator| emulator.in_flight("us-east-1") == 0)
            .await;
        emulator.clear_faults();

        let stops = emulator.count(STOPS);
        invoke(&mut function, &event, "stopping").await;
        assert_eq!(
            emulator.count(STOPS),
            stops + MODELS,
            "calls of the last one"
        );
        match &mut growth {
            None => growth = Some(Growth::begin(&function)),
            Some(growth) => growth.measure(),
        }
        assert_eq!(emulator.in_flight("us-east-1"), 0, "{round}");
    }
    growth.unwrap().end(11);

    // Every line belongs to the invocation that was running at the time.
    let log = function.end().await;
    let requests = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| {
            let request = line["requestId"].as_str()?;
            request.strip_prefix("request-")?.parse().ok()
        });
    let requests: Vec<u32> = requests.collect();
    assert!(requests.is_sorted(), "{requests:?}");
    assert_eq!(requests.len(), 11 * (MODELS + 1));
}
