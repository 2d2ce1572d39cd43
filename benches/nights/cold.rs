//! Cold starts and cold runs: from the start of the process to the answer to its first invocation.

use std::time::{Duration, Instant};

use rekognition_emulator::Emulator;
use serde_json::json;

use crate::output::{Output, median, progress};
use crate::program::{Program, most_resident};
use crate::support::{arns, running};
use crate::tls::{Authority, TlsFront};

/// Each measurement is made so often, in turn with the others.
const RUNS: usize = 11;
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// What the first invocation asks for, and how the service is reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// No models: no call is made.
    NoCall,
    /// One model, over plain HTTP.
    Plain,
    /// One model, over TLS.
    Tls,
}

const WAYS: [Way; 3] = [Way::NoCall, Way::Plain, Way::Tls];

/// The service and what clients trust, for runs of one model.
pub struct Service {
    emulator: Emulator,
    front: TlsFront,
    /// The file with the one certificate that clients trust.
    pub trusted: String,
}

impl Service {
    pub async fn start() -> Self {
        let authority = Authority::new("benchmark");
        let trusted = authority.write_to(env!("CARGO_TARGET_TMPDIR").as_ref());
        let emulator = Emulator::builder().start().await.unwrap();
        let front = TlsFront::start(&emulator.url(), &authority).await;
        Self {
            emulator,
            front,
            trusted,
        }
    }

    /// The variables and the event of an invocation. The model that it stops is running again.
    pub fn invocation(&self, way: Way) -> (Vec<(&str, String)>, String) {
        let arns = if way == Way::NoCall { vec![] } else { arns(1) };
        for arn in &arns {
            self.emulator.add_model(running(arn));
        }
        let url = match way {
            Way::Tls => self.front.url.clone(),
            _ => self.emulator.url(),
        };
        let mut environment = vec![
            ("AWS_ENDPOINT_URL", url),
            ("CONFIRM_STOPPED", "false".to_owned()),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
        ];
        if way == Way::Tls {
            // One name for each SDK.
            for name in ["SSL_CERT_FILE", "AWS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"] {
                environment.push((name, self.trusted.clone()));
            }
        }
        (environment, json!({ "model_arns": arns }).to_string())
    }
}

/// The milliseconds to the answer, and the megabytes that were resident.
async fn run(program: Program, service: &Service, way: Way) -> (f64, f64) {
    let (environment, event) = service.invocation(way);
    let environment: Vec<(&str, &str)> = environment
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let start = Instant::now();
    let mut function = program.start(&environment).await;
    let answer = function.invoke(event, TIME_LIMIT).await;
    let time = start.elapsed();
    assert!(answer.is_ok, "{}: {answer:?}", program.name());
    if program.stops_models() && way != Way::NoCall {
        let statuses = service.emulator.statuses();
        let is_left = statuses.values().any(|status| status == "RUNNING");
        assert!(!is_left, "{} left the model running", program.name());
    }
    let memory = most_resident(function.id());
    function.end().await;
    (time.as_secs_f64() * 1000.0, memory)
}

pub async fn measure(programs: &[Program], output: &mut Output) {
    let service = Service::start().await;
    // By program and way.
    let mut measured = vec![[const { Vec::new() }; WAYS.len()]; programs.len()];
    for round in 1..=RUNS {
        progress(&format!("cold: round {round} of {RUNS}"));
        for (program, measured) in programs.iter().zip(&mut measured) {
            for (way, measured) in WAYS.into_iter().zip(measured) {
                if way == Way::NoCall || program.stops_models() {
                    measured.push(run(*program, &service, way).await);
                }
            }
        }
    }

    output.table(
        &format!(
            "**Cold.** From the start of the process to the answer to its first invocation, medians of {RUNS}; in \
             brackets, times the floor. The floor takes an invocation and answers it, and does nothing else."
        ),
        &[
            "program",
            "no model",
            "1 model, plain HTTP",
            "1 model, TLS",
            "memory, 1 model, TLS",
        ],
    );
    let time = |measured: &[(f64, f64)]| median(measured.iter().map(|(time, _)| *time));
    let floor = time(&measured[0][0]);
    for (program, measured) in programs.iter().zip(&measured) {
        let mut cells = vec![program.name().to_owned()];
        for measured in measured {
            cells.push(if measured.is_empty() {
                String::new()
            } else {
                let time = time(measured);
                format!("{time:.1} ms ({:.1})", time / floor)
            });
        }
        let last = measured.iter().rfind(|measured| !measured.is_empty());
        let memory = median(last.unwrap().iter().map(|(_, memory)| *memory));
        cells.push(format!("{memory:.1} MB"));
        output.row(&cells);
    }
}
