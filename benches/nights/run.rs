//! One invocation of a program that Lambda's Runtime API, here a stand-in, has started.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rekognition_emulator::Emulator;

use crate::cgroup::LambdaBox;
use crate::program::Program;
use crate::support::process::Resources;
use crate::support::runtime_api::{Answer, End, Function};
use crate::tls::{Authority, TlsFront};
use crate::work::{Work, left};

/// How long a response that is late is waited for.
const LATEST: Duration = Duration::from_secs(15);

/// How many programs run at the same time, each in its own box with a fourteenth of a processor.
pub const SIDE_BY_SIDE: usize = 3;

/// Where a program runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    WholeProcessor,
    /// Lambda's smallest size.
    SmallestBox,
}

/// TLS in front of the services. CloudTrail is at a different address, so that lookups have
/// separate connections, as they have on AWS.
pub struct Tls {
    front: TlsFront,
    cloudtrail: TlsFront,
    /// The file with the one certificate that clients trust.
    trusted: String,
}

impl Tls {
    /// The certificates are RSA, like those of AWS.
    pub async fn start(emulator: &Emulator) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("authority-{number}"));
        std::fs::create_dir_all(&directory).unwrap();
        let authority = Authority::rsa("benchmark");
        Self {
            front: TlsFront::start(&emulator.url(), &authority).await,
            cloudtrail: TlsFront::start(&emulator.url(), &authority).await,
            trusted: authority.write_to(&directory),
        }
    }

    /// The variables that make a client take this way.
    pub fn variables(&self) -> [(&'static str, &str); 5] {
        // One name for the certificates in each SDK.
        [
            ("AWS_ENDPOINT_URL", &self.front.url),
            ("AWS_ENDPOINT_URL_CLOUDTRAIL", &self.cloudtrail.url),
            ("SSL_CERT_FILE", &self.trusted),
            ("AWS_CA_BUNDLE", &self.trusted),
            ("NODE_EXTRA_CA_CERTS", &self.trusted),
        ]
    }
}

/// A program that waits for its first event, and what it needs for as long as it runs.
pub struct Idle {
    program: Program,
    function: Function,
    /// From its start until it asked for that event.
    pub start_seconds: f64,
    pub emulator: Emulator,
    work: Work,
    lambda_box: Option<LambdaBox>,
    _tls: Tls,
}

/// One invocation of a program that was waiting for it.
pub struct Run {
    pub work: Work,
    pub time_limit: Duration,
    pub response: Answer,
    /// From the event to the response.
    pub seconds: f64,
    /// Of a processor, in that time, of a program in the box.
    pub processor_seconds: f64,
    /// The most that the process ever had resident, in millions of bytes.
    pub memory: f64,
    /// The models that it left running.
    pub left: usize,
    /// What it wrote to its standard output.
    pub log: String,
}

impl Idle {
    /// The program, about to do this work. In the box it has the whole processor until it asks for
    /// its first event, as Lambda gives it.
    pub async fn start(program: Program, mut work: Work, place: Place) -> Self {
        let emulator = std::mem::replace(&mut work.emulator, Emulator::builder());
        let emulator = emulator.start().await.unwrap();
        let tls = Tls::start(&emulator).await;
        let mut variables = tls.variables().to_vec();
        // The last of a name is the one that counts.
        let own = work.variables.iter();
        variables.extend(own.map(|(name, value)| (*name, value.as_str())));
        let lambda_box = match place {
            Place::WholeProcessor => None,
            Place::SmallestBox => Some(LambdaBox::new().unwrap()),
        };
        let command = program.command();
        let command = match &lambda_box {
            Some(lambda_box) => lambda_box.command(&command),
            None => command,
        };
        let start = Instant::now();
        let mut function = Function::start_program(command, &variables).await;
        function.is_idle().await;
        let start_seconds = start.elapsed().as_secs_f64();
        if let Some(lambda_box) = &lambda_box {
            lambda_box.throttle();
        }
        Self {
            program,
            function,
            start_seconds,
            emulator,
            work,
            lambda_box,
            _tls: tls,
        }
    }

    /// Invokes it, and ends it.
    pub async fn run(mut self, time_limit: Duration) -> Run {
        let lambda_box = self.lambda_box.as_ref();
        let processor = || lambda_box.map_or(0.0, LambdaBox::processor_seconds);
        let before = processor();
        let start = Instant::now();
        let event = self.work.event.to_string();
        let end = self.function.invoke_beyond(event, time_limit, LATEST).await;
        let seconds = start.elapsed().as_secs_f64();
        let End::Answer(response) = end else {
            let (program, work) = (self.program.name(), &self.work.name);
            panic!("{program}, {work}: no response within {time_limit:?}: {end:?}");
        };
        Run {
            time_limit,
            response,
            seconds,
            processor_seconds: processor() - before,
            memory: Resources::of(self.function.id()).peak as f64 * 1024.0 / 1e6,
            left: left(&self.emulator),
            log: self.function.end_with_output().await.stdout,
            work: self.work,
        }
    }
}
