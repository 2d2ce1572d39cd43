//! Nights in one region whose models are found by a pattern, and nights in Lambda's smallest box.

use std::time::{Duration, Instant};

use rekognition_emulator::{Emulator, Quota};
use serde_json::json;

use crate::cgroup::LambdaBox;
use crate::output::{Output, progress};
use crate::program::{Idle, most_resident, processor_seconds};
use crate::quotas::{CONCURRENCY, LATENCY, SECONDS_A_CALL};
use crate::support::{arns, pattern, running};

const TIME_LIMIT: Duration = Duration::from_secs(900);

/// A night of so many running models.
struct Night {
    models: usize,
    /// Whether a pattern finds them; else they are named.
    are_found: bool,
    /// Calls a second that each operation has, and as many at once after a pause; none for no
    /// quota, and calls that take their time.
    quota: Option<f64>,
    tls: bool,
    is_in_the_box: bool,
}

const NIGHTS: [Night; 5] = [
    Night {
        models: 300,
        are_found: true,
        quota: Some(10.0),
        tls: false,
        is_in_the_box: false,
    },
    Night {
        models: 10_000,
        are_found: true,
        quota: None,
        tls: false,
        is_in_the_box: false,
    },
    Night {
        models: 1000,
        are_found: false,
        quota: None,
        tls: true,
        is_in_the_box: true,
    },
    Night {
        models: 10_000,
        are_found: false,
        quota: None,
        tls: true,
        is_in_the_box: true,
    },
    Night {
        models: 10_000,
        are_found: true,
        quota: None,
        tls: true,
        is_in_the_box: true,
    },
];

/// What came of one night.
struct Run {
    seconds: f64,
    processor_seconds: f64,
    memory: f64,
}

impl Night {
    fn name(&self) -> String {
        let limit = match self.quota {
            Some(rate) => format!("{rate}/s for each operation"),
            None => format!("{} ms a call", SECONDS_A_CALL * 1000.0),
        };
        let way = if self.tls { "TLS" } else { "plain HTTP" };
        let place = match self.is_in_the_box {
            true => "in the box",
            false => "whole processor",
        };
        format!("{limit}, {way}, {place}")
    }

    /// The fewest seconds that it can be done in.
    fn ideal(&self) -> f64 {
        let models = self.models as f64;
        match self.quota {
            Some(rate) => (models - rate) / rate,
            None => {
                let calls = if self.are_found { 2.0 } else { 1.0 };
                calls * models * SECONDS_A_CALL / CONCURRENCY
            }
        }
    }

    async fn run(&self) -> Run {
        let arns = arns(self.models);
        let emulator = Emulator::builder().models(arns.iter().map(|arn| running(arn)));
        let emulator = match self.quota {
            Some(rate) => {
                let quota = Quota::per_second(rate).burst(rate as u32);
                emulator.quota(quota.for_each_operation())
            }
            None => emulator.latency(LATENCY),
        };
        let emulator = emulator.start().await.unwrap();
        let variables = [
            ("CONFIRM_STOPPED", "false"),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ];
        let idle = Idle::start(&emulator, &variables, self.tls, self.is_in_the_box).await;
        let mut function = idle.function;
        let entries = match self.are_found {
            true => vec![pattern("shelf", "*")],
            false => arns,
        };
        let event = json!({ "model_arns": entries }).to_string();
        let used_before = processor_seconds(function.id());
        let start = Instant::now();
        let answer = function.invoke(event, TIME_LIMIT).await;
        let run = Run {
            seconds: start.elapsed().as_secs_f64(),
            processor_seconds: processor_seconds(function.id()) - used_before,
            memory: most_resident(function.id()),
        };
        function.end().await;
        assert!(answer.is_ok, "{}", answer.body["errorMessage"]);
        assert_eq!(answer.body["summary"]["stopping"], self.models);
        run
    }
}

pub async fn measure(output: &mut Output) {
    let has_box = LambdaBox::new().is_ok();
    output.table(
        "**Many models** of one account and region, named or found by a pattern and then asked for \
         their tags. The box is Lambda's smallest: 128 MB and 128/1769 of a processor.",
        &[
            "models",
            "",
            "",
            "ideal",
            "taken",
            "ratio",
            "processor",
            "memory",
        ],
    );
    for night in &NIGHTS {
        if night.is_in_the_box && !has_box {
            continue;
        }
        let how = if night.are_found { "found" } else { "named" };
        progress(&format!("{} models {how}, {}", night.models, night.name()));
        let run = night.run().await;
        let ideal = night.ideal();
        output.row(&[
            night.models.to_string(),
            how.to_owned(),
            night.name(),
            format!("{ideal:.2} s"),
            format!("{:.2} s", run.seconds),
            format!("{:.2}", run.seconds / ideal),
            format!("{:.2} s", run.processor_seconds),
            format!("{:.1} MB", run.memory),
        ]);
    }
    if !has_box {
        output.line("");
        output.line("Not measured in the box: no cgroup can be made here.");
    }
}
