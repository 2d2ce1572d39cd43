//! Speed and memory of the built function, invoked as Lambda invokes it: `cargo bench --bench nights`.
//!
//! Every row is one invocation of a new process against the emulator, which runs beside it. The ideal time is what
//! the service's quota, or its answering time and the allowed concurrency, leave possible. Memory is the most that
//! was resident, from the kernel.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use rekognition_emulator::{Answer, Emulator, Quota};
use serde_json::json;
use support::runtime_api::Function;
use support::{arns, running};

const TIME_LIMIT: Duration = Duration::from_secs(600);
/// What the emulator is told to wait. Its timers and its own work make a call take about 20 ms of that.
const LATENCY: Duration = Duration::from_millis(18);
const MILLISECONDS_A_CALL: f64 = 20.0;
const CONCURRENCY: f64 = 8.0;

/// One night: so many running models, and a quota in calls a second with a burst, if there is one.
struct Night {
    models: usize,
    quota: Option<(f64, u32)>,
}

const NIGHTS: [Night; 6] = [
    Night {
        models: 1,
        quota: None,
    },
    Night {
        models: 1000,
        quota: None,
    },
    Night {
        models: 100,
        quota: Some((5.0, 5)),
    },
    Night {
        models: 40,
        quota: Some((2.0, 2)),
    },
    Night {
        models: 300,
        quota: Some((10.0, 10)),
    },
    Night {
        models: 400,
        quota: Some((20.0, 20)),
    },
];

impl Night {
    fn name(&self) -> String {
        match self.quota {
            Some((rate, burst)) => format!("{rate} calls/s, burst {burst}"),
            None => format!("none, {MILLISECONDS_A_CALL} ms a call"),
        }
    }

    fn ideal(&self) -> f64 {
        let models = self.models as f64;
        match self.quota {
            Some((rate, burst)) => (models - f64::from(burst)) / rate,
            None => models * MILLISECONDS_A_CALL / 1000.0 / CONCURRENCY.min(models),
        }
    }

    async fn run(&self) -> String {
        let arns = arns(self.models);
        let emulator = Emulator::builder().models(arns.iter().map(|arn| running(arn)));
        let emulator = match self.quota {
            Some((rate, burst)) => emulator.quota(Quota::per_second(rate).burst(burst)),
            None => emulator.latency(LATENCY),
        };
        let emulator = emulator.start().await.unwrap();
        let url = emulator.url();
        let variables = [
            ("AWS_ENDPOINT_URL", &*url),
            ("CONFIRM_STOPPED", "false"),
            ("AWS_LAMBDA_LOG_LEVEL", "WARN"),
        ];
        let mut function = Function::start(&variables).await;
        let event = json!({ "model_arns": arns }).to_string();
        let start = Instant::now();
        let answer = function.invoke(event, TIME_LIMIT).await;
        let time = start.elapsed().as_secs_f64();
        let memory = most_resident(function.id());
        function.end().await;

        assert!(answer.is_ok, "{:?}", answer.body);
        let calls = emulator.calls();
        let throttled = calls
            .iter()
            .filter(|call| call.answer != Answer::Ok)
            .count();
        let left = emulator
            .statuses()
            .values()
            .filter(|status| *status == "RUNNING")
            .count();
        format!(
            "| {} | {} | {:.2} s | {time:.2} s | {:.2} | {:.0} % | {left} | {memory:.1} MB |",
            self.models,
            self.name(),
            self.ideal(),
            time / self.ideal(),
            100.0 * throttled as f64 / calls.len() as f64,
        )
    }
}

/// The most memory that a process had resident, in millions of bytes.
fn most_resident(id: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kibibytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024.0 / 1e6
}

#[tokio::main]
async fn main() {
    println!("| models | quota | ideal | taken | ratio | throttled | left running | memory |");
    println!("|---|---|---|---|---|---|---|---|");
    for (number, night) in NIGHTS.iter().enumerate() {
        eprint!("\rnight {} of {} ...", number + 1, NIGHTS.len());
        let row = night.run().await;
        eprint!("\r");
        println!("{row}");
    }
}
