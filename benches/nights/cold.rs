//! Cold starts and cold runs: from the start of the process to the answer to its first invocation.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rekognition_emulator::Emulator;
use serde_json::json;

use crate::output::{Output, median, progress};
use crate::program::{Program, most_resident};
use crate::support::{arns, running};
use crate::tls::{Authority, TlsFront};

/// Each measurement is made this many times, in turn with the others.
const RUNS: usize = 11;
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// What the first invocation asks for, and how the service is reached.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// No models: no call is made.
    NoCall,
    /// One model, over plain HTTP.
    Plain,
    /// One model, over TLS. The certificates are RSA, like those of AWS.
    Tls,
    /// The same with certificates of the curve P-256.
    TlsP256,
    /// This many models over TLS.
    ManyTls {
        models: usize,
        /// `MAX_CONCURRENCY`.
        concurrency: usize,
    },
}

const WAYS: [Way; 3] = [Way::NoCall, Way::Plain, Way::Tls];

/// The service and the ways to it, for runs of one model.
pub struct Service {
    emulator: Emulator,
    pub tls: Tls,
    p256: Tls,
}

/// TLS in front of a service.
pub struct Tls {
    front: TlsFront,
    /// The file with the one certificate that clients trust.
    pub trusted: String,
}

impl Tls {
    pub async fn start(emulator: &Emulator, authority: &Authority) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("authority-{number}"));
        std::fs::create_dir_all(&directory).unwrap();
        Self {
            front: TlsFront::start(&emulator.url(), authority).await,
            trusted: authority.write_to(&directory),
        }
    }

    pub fn url(&self) -> &str {
        &self.front.url
    }

    /// The variables that make a client take this route.
    pub fn variables(&self) -> [(&'static str, &str); 4] {
        // One name for the certificates in each SDK.
        [
            ("AWS_ENDPOINT_URL", &self.front.url),
            ("SSL_CERT_FILE", &self.trusted),
            ("AWS_CA_BUNDLE", &self.trusted),
            ("NODE_EXTRA_CA_CERTS", &self.trusted),
        ]
    }
}

impl Service {
    pub async fn start() -> Self {
        let emulator = Emulator::builder().start().await.unwrap();
        Self {
            tls: Tls::start(&emulator, &Authority::rsa("benchmark")).await,
            p256: Tls::start(&emulator, &Authority::new("benchmark")).await,
            emulator,
        }
    }

    /// The variables and the event of an invocation. The model that it stops is running again.
    pub fn invocation(&self, way: Way) -> (Vec<(&'static str, String)>, String) {
        let arns = match way {
            Way::NoCall => vec![],
            Way::ManyTls { models, .. } => arns(models),
            Way::Plain | Way::Tls | Way::TlsP256 => arns(1),
        };
        for arn in &arns {
            self.emulator.add_model(running(arn));
        }
        let mut environment = vec![
            ("CONFIRM_STOPPED", "false".to_owned()),
            ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
        ];
        let own = |(name, value): (_, &str)| (name, value.to_owned());
        match way {
            Way::NoCall | Way::Plain => {
                environment.extend(self.tls.variables().map(own));
                // The last of a name is the one that counts.
                environment.push(("AWS_ENDPOINT_URL", self.emulator.url()));
            }
            Way::Tls => environment.extend(self.tls.variables().map(own)),
            Way::ManyTls { concurrency, .. } => {
                environment.extend(self.tls.variables().map(own));
                environment.push(("MAX_CONCURRENCY", concurrency.to_string()));
            }
            Way::TlsP256 => environment.extend(self.p256.variables().map(own)),
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
             brackets, times the floor. The floor takes an invocation and answers it, and does nothing else. The \
             certificates are RSA, as those of AWS are."
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
