//! Whole nights: many models with a quota, or without one.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use rekognition_emulator::{Answer, Emulator, Quota};
use serde_json::json;
use tokio::time::sleep;

use crate::cold::Tls;
use crate::output::{Output, median, progress};
use crate::plots::{Bar, Group};
use crate::program::{Program, most_resident};
use crate::support::{arns, running};
use crate::tls::Authority;
use crate::work::left;

/// Each night is measured this many times.
const RUNS: usize = 3;
const TIME_LIMIT: Duration = Duration::from_secs(600);
/// The latency that the emulator is set to. With its timers and its own work, a call takes about 20
/// ms.
pub const LATENCY: Duration = Duration::from_millis(18);
pub const SECONDS_A_CALL: f64 = 0.02;
pub const CONCURRENCY: f64 = 8.0;

const OUTAGE: Duration = Duration::from_secs(30);

/// One night: a number of running models, and what the service lets through.
struct Night {
    models: usize,
    limit: Limit,
}

#[derive(Clone, Copy)]
enum Limit {
    /// No quota; every call takes its time.
    Latency { tls: bool },
    /// Calls per second, and as many at once after a pause.
    Quota(f64),
    /// The same, and half of them are taken by another client.
    Shared(f64),
    /// The first until half of the models are stopped, then the second.
    Changed(f64, f64),
    /// Calls per second, one at a time.
    OneAtATime(f64),
    /// Calls per second, and as many at once after a pause; when half of the models are stopped,
    /// none for [`OUTAGE`].
    Interrupted(f64),
}

const fn night(models: usize, limit: Limit) -> Night {
    Night { models, limit }
}

const NIGHTS: [Night; 12] = [
    night(1000, Limit::Latency { tls: false }),
    night(1000, Limit::Latency { tls: true }),
    night(100, Limit::Quota(5.0)),
    night(40, Limit::Quota(2.0)),
    night(300, Limit::Quota(10.0)),
    night(400, Limit::Quota(20.0)),
    night(100, Limit::Shared(5.0)),
    night(200, Limit::Shared(20.0)),
    night(200, Limit::Changed(5.0, 20.0)),
    night(200, Limit::Changed(20.0, 5.0)),
    night(100, Limit::OneAtATime(5.0)),
    night(100, Limit::Interrupted(5.0)),
];

/// The result of one run.
struct Run {
    seconds: f64,
    throttled: f64,
    left: f64,
    memory: f64,
}

fn quota(calls_a_second: f64) -> Quota {
    Quota::per_second(calls_a_second).burst(calls_a_second as u32)
}

impl Night {
    fn name(&self) -> String {
        match self.limit {
            Limit::Latency { tls } => {
                let way = if tls { ", TLS" } else { "" };
                format!("no quota, {} ms a call{way}", SECONDS_A_CALL * 1000.0)
            }
            Limit::Quota(rate) => format!("{rate}/s"),
            Limit::Shared(rate) => format!("{rate}/s, half taken by another"),
            Limit::Changed(before, after) => format!("{before}/s, then {after}/s"),
            Limit::OneAtATime(rate) => format!("{rate}/s, one at a time"),
            Limit::Interrupted(rate) => {
                format!("{rate}/s, none for {} s in the middle", OUTAGE.as_secs())
            }
        }
    }

    /// What it is called in a plot, of those that one shows: two lines.
    fn plotted_name(&self) -> Option<String> {
        let limit = match self.limit {
            Limit::Quota(rate) => format!("{rate}/s"),
            Limit::Shared(5.0) => "5/s, half taken".to_owned(),
            Limit::Changed(5.0, after) => format!("5/s, then {after}/s"),
            _ => return None,
        };
        Some(format!("{} models\n{limit}", self.models))
    }

    /// The fewest seconds that it can be done in.
    fn ideal(&self) -> f64 {
        let models = self.models as f64;
        match self.limit {
            Limit::Latency { .. } => models * SECONDS_A_CALL / CONCURRENCY,
            Limit::Quota(rate) => (models - rate) / rate,
            Limit::Shared(rate) => (models - rate) / (rate / 2.0),
            Limit::Changed(before, after) => {
                (models / 2.0 - before) / before + (models / 2.0 - after) / after
            }
            Limit::OneAtATime(rate) => (models - 1.0) / rate,
            Limit::Interrupted(rate) => 2.0 * (models / 2.0 - rate) / rate + OUTAGE.as_secs_f64(),
        }
    }

    async fn run(&self, program: Program) -> Run {
        let arns = arns(self.models);
        let emulator = Emulator::builder().models(arns.iter().map(|arn| running(arn)));
        let emulator = match self.limit {
            Limit::Latency { .. } => emulator.latency(LATENCY),
            Limit::Quota(rate) | Limit::Changed(rate, _) | Limit::Interrupted(rate) => {
                emulator.quota(quota(rate))
            }
            Limit::OneAtATime(rate) => emulator.quota(quota(rate).burst(1)),
            Limit::Shared(rate) => {
                emulator.quota(quota(rate).background_calls_per_second(rate / 2.0))
            }
        };
        let emulator = emulator.start().await.unwrap();
        let url = emulator.url();
        let mut variables = vec![
            ("CONFIRM_STOPPED", "false"),
            ("AWS_LAMBDA_LOG_LEVEL", "WARN"),
        ];
        let tls = match self.limit {
            Limit::Latency { tls: true } => {
                Some(Tls::start(&emulator, &Authority::rsa("night")).await)
            }
            _ => None,
        };
        match &tls {
            Some(tls) => variables.extend(tls.variables()),
            None => variables.push(("AWS_ENDPOINT_URL", &url)),
        }
        let mut function = program.start(&variables).await;
        let event = json!({ "model_arns": arns }).to_string();
        let start = Instant::now();
        let change = async {
            let half = emulator.wait_until(|emulator| left(emulator) <= self.models / 2);
            match self.limit {
                Limit::Changed(_, after) => {
                    half.await;
                    emulator.set_quota(Some(quota(after)));
                }
                Limit::Interrupted(rate) => {
                    half.await;
                    emulator.set_quota(Some(quota(0.0)));
                    sleep(OUTAGE).await;
                    emulator.set_quota(Some(quota(rate)));
                }
                _ => {}
            }
            std::future::pending().await
        };
        let answer = tokio::select! {
            answer = function.invoke(event, TIME_LIMIT) => answer,
            () = change => unreachable!("it waits for ever"),
        };
        let seconds = start.elapsed().as_secs_f64();
        let memory = most_resident(function.id());
        function.end().await;

        assert!(answer.is_ok, "{}: {:?}", program.name(), answer.body);
        let calls = emulator.calls();
        let throttled = calls.iter().filter(|call| call.answer != Answer::Ok);
        Run {
            seconds,
            throttled: throttled.count() as f64 / calls.len() as f64,
            left: left(&emulator) as f64,
            memory,
        }
    }

    /// All runs of these programs: in parallel if the quota determines the time, otherwise one
    /// after the other.
    async fn runs(&self, programs: &[Program]) -> Vec<Vec<Run>> {
        if let Limit::Latency { .. } = self.limit {
            let mut all = Vec::new();
            for program in programs {
                let mut runs = Vec::new();
                for _ in 0..RUNS {
                    runs.push(self.run(*program).await);
                }
                all.push(runs);
            }
            return all;
        }
        let runs = |program: &Program| join_all((0..RUNS).map(|_| self.run(*program)));
        join_all(programs.iter().map(runs)).await
    }
}

/// Gives what the plot shows of it.
pub async fn measure(programs: &[Program], output: &mut Output) -> Vec<Group> {
    let mut programs = programs.to_vec();
    programs.retain(|program| program.stops_models());
    let mut measured = Vec::new();
    for (number, night) in NIGHTS.iter().enumerate() {
        let what = format!("{} models, {}", night.models, night.name());
        progress(&format!("night {} of {}: {what}", number + 1, NIGHTS.len()));
        measured.push((night, night.runs(&programs).await));
    }

    output.table(
        &format!(
            "**Quotas.** rekognition-stopper with `CONFIRM_STOPPED=false`, over plain HTTP but for one row, medians of {RUNS}. The ideal is \
             what the quota allows, or, without one, the answering time and eight calls at once."
        ),
        &["models", "quota", "ideal", "taken", "ratio", "throttled", "left running", "memory"],
    );
    let stopper = programs.iter().position(|it| *it == Program::Stopper);
    for (night, measured) in &measured {
        let runs = &measured[stopper.unwrap()];
        let middle = |of: fn(&Run) -> f64| median(runs.iter().map(of));
        let (ideal, taken) = (night.ideal(), middle(|run| run.seconds));
        output.row(&[
            night.models.to_string(),
            night.name(),
            format!("{ideal:.2} s"),
            format!("{taken:.2} s"),
            format!("{:.2}", taken / ideal),
            format!("{:.0} %", 100.0 * middle(|run| run.throttled)),
            format!("{:.0}", middle(|run| run.left)),
            format!("{:.1} MB", middle(|run| run.memory)),
        ]);
    }

    let mut columns = vec!["models", "quota"];
    columns.extend(programs.iter().map(|program| program.name()));
    output.table(
        "**The same nights beside peers**, which use their SDK as it comes: the time, times the ideal, and how many \
         models are left running.",
        &columns,
    );
    for (night, measured) in &measured {
        let mut cells = vec![night.models.to_string(), night.name()];
        for runs in measured {
            let ratio = median(runs.iter().map(|run| run.seconds)) / night.ideal();
            let left = median(runs.iter().map(|run| run.left));
            cells.push(format!("{ratio:.2}, {left:.0} left"));
        }
        output.row(&cells);
    }
    let groups = measured.iter().filter_map(|(night, measured)| {
        let bars = programs.iter().zip(measured).map(|(program, runs)| Bar {
            name: program.name(),
            value: median(runs.iter().map(|run| run.left)),
        });
        Some(Group {
            name: night.plotted_name()?,
            bars: bars.collect(),
        })
    });
    groups.collect()
}
