//! A process that lives from one invocation to the next, as Lambda keeps it warm: nothing in it may
//! grow.

use std::time::Duration;

use rekognition_emulator::{Emulator, Fault, Operation};
use serde_json::{Value, json};

use crate::support::process::Resources;
use crate::support::runtime_api::{Answer, Function, lines_of};
use crate::support::{PLENTY, arns, pattern, running_emulator};

const STOPS: Operation = Operation::StopProjectVersion;
/// The models of every invocation.
const MODELS: usize = 20;
/// The most that memory may grow by, in kB.
const GROWTH: u64 = 1024;
/// Twice as many as there may be calls at once, which is eight of each of four operations: the HTTP
/// client opens a connection for a call that finds none free, and keeps it even if another becomes
/// free before it is established.
const MOST_CONNECTIONS: usize = 64;

/// A warm function, and the models that it stops over and over again.
struct Life {
    arns: Vec<String>,
    emulator: Emulator,
    function: Function,
}

impl Life {
    async fn begin(variables: &[(&str, &str)]) -> Self {
        let arns = arns(MODELS);
        let emulator = running_emulator(&arns).await;
        emulator.set_stop_takes(Duration::from_millis(1));
        let function = Function::against(&emulator.url(), variables).await;
        Self {
            arns,
            emulator,
            function,
        }
    }

    /// One invocation after somebody has left all models running again.
    async fn invoke(&mut self, event: &Value, time_limit: Duration) -> Answer {
        for arn in &self.arns {
            self.emulator.set_status(arn, "RUNNING");
        }
        self.function.invoke(event.to_string(), time_limit).await
    }

    fn resources(&self) -> Resources {
        Resources::of(self.function.id())
    }

    /// Asserts that nothing has grown since its first invocations, neither between invocations nor
    /// within one.
    fn assert_no_growth(&self, first: Resources) {
        let last = self.resources();
        println!("{first:?} at first, {last:?} at the end");
        assert!(last.memory <= first.memory + GROWTH);
        assert!(last.peak <= first.peak + GROWTH);
        // The first invocations may have needed fewer connections than the function may open.
        assert!(last.files < first.files + MOST_CONNECTIONS);
        assert!(self.emulator.connections() <= MOST_CONNECTIONS);
    }
}

#[tokio::test]
async fn a_hundred_invocations_take_no_more_than_the_first_thirty() {
    let mut life = Life::begin(&[]).await;
    // Mostly what a schedule does; and now and then a pattern, with its lists and tags, and a dry
    // run, with its status checks.
    let stop = json!({"model_arns": life.arns});
    let pattern = json!({"model_arns": [pattern("shelf", "*")]});
    let dry_run = json!({"model_arns": life.arns, "dry_run": true});
    let mut first = None;
    for number in 0..100 {
        let (event, outcome) = match number % 10 {
            8 => (&pattern, "stopping"),
            9 => (&dry_run, "would_stop"),
            _ => (&stop, "stopping"),
        };
        let answer = life.invoke(event, PLENTY).await;
        assert_eq!(answer.body["summary"][outcome], MODELS, "{answer:?}");
        if number == 29 {
            first = Some(life.resources());
        }
    }
    life.assert_no_growth(first.unwrap());
    assert_eq!(lines_of(&life.function.end().await, "run").len(), 100);
}

#[tokio::test]
async fn invocations_that_wait_for_their_models_take_no_more_than_the_first() {
    let mut life = Life::begin(&[("CONFIRM_STOPPED", "true")]).await;
    let event = json!({"model_arns": life.arns});
    let mut first = None;
    // Only a few, because each takes the first pause before a poll.
    for _ in 0..3 {
        let answer = life.invoke(&event, PLENTY).await;
        assert_eq!(answer.body["summary"]["stopped"], MODELS, "{answer:?}");
        first = first.or(Some(life.resources()));
    }
    life.assert_no_growth(first.unwrap());
}

#[tokio::test]
async fn an_invocation_that_ran_into_its_deadline_leaves_nothing_behind_for_the_next() {
    let mut life = Life::begin(&[]).await;
    let event = json!({"model_arns": life.arns});
    let mut first = None;
    for _ in 0..3 {
        life.emulator.add_fault(Fault::hang().operation(STOPS));
        let stops = life.emulator.count(STOPS);
        // Nothing is begun in the last second.
        let answer = life.invoke(&event, Duration::from_secs(2)).await;
        let message = answer.error("NotAllStopped");
        assert!(message.starts_with("20 of 20 models"), "{message}");
        assert!(life.emulator.count(STOPS) > stops);
        // The abandoned calls are gone, and so are their connections.
        let emulator = &life.emulator;
        emulator
            .wait_until(|it| it.in_flight("us-east-1") == 0)
            .await;
        emulator.clear_faults();

        let stops = life.emulator.count(STOPS);
        let answer = life.invoke(&event, PLENTY).await;
        assert_eq!(answer.body["summary"]["stopping"], MODELS, "{answer:?}");
        assert_eq!(life.emulator.count(STOPS), stops + MODELS);
        assert_eq!(life.emulator.in_flight("us-east-1"), 0);
        first = first.or(Some(life.resources()));
    }
    life.assert_no_growth(first.unwrap());

    // Every line belongs to the invocation that was running at the time.
    let log = life.function.end().await;
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let requests = lines.filter_map(|line: Value| {
        let request = line["requestId"].as_str()?;
        request.strip_prefix("request-")?.parse().ok()
    });
    let requests: Vec<u32> = requests.collect();
    assert!(requests.is_sorted(), "{requests:?}");
    assert_eq!(requests.len(), 6 * (MODELS + 1));
}
