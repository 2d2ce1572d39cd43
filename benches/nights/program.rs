//! The programs that are measured: the function as it is deployed, the floor, and the peers that
//! are installed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rekognition_emulator::Emulator;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::process::Command;

use crate::cgroup::LambdaBox;
use crate::cold::Tls;
use crate::support::process::Resources;
use crate::support::runtime_api::{Answer, End, Function, lines_of};
use crate::tls::Authority;

/// Names another build of the function to measure, perhaps of an earlier commit.
pub const PROGRAM: &str = "PROGRAM";

/// How long an answer that is late is waited for.
const LATEST: Duration = Duration::from_secs(15);

/// So many lines tell how long one takes.
const ENOUGH_LINES: usize = 500;

/// Something that Lambda could run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Takes an invocation and answers it, and does nothing else.
    Floor,
    /// The function, built as it is deployed.
    Stopper,
    PythonLoop,
    PythonThreads,
    JavaScript,
}

impl Program {
    /// All the programs that are available. Builds those that have to be built.
    pub fn all() -> Vec<Self> {
        if std::env::var_os(PROGRAM).is_none() {
            build_stopper();
        }
        build_floor();
        let all = [
            Self::Floor,
            Self::Stopper,
            Self::PythonLoop,
            Self::PythonThreads,
            Self::JavaScript,
        ];
        let (installed, missing): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|program| program.path().exists());
        for program in missing {
            let name = program.name();
            eprintln!("not measured, since benches/peers/install has not installed it: {name}");
        }
        installed
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Floor => "the floor",
            Self::Stopper => "rekognition-stopper",
            Self::PythonLoop => "Python, a loop",
            Self::PythonThreads => "Python, 8 threads",
            Self::JavaScript => "JavaScript",
        }
    }

    /// Whether it stops models.
    pub fn stops_models(self) -> bool {
        self != Self::Floor
    }

    /// The file that must exist for the program to run: itself, or its source.
    pub fn path(self) -> PathBuf {
        let target = target_directory();
        match self {
            Self::Floor => target.join("peers/floor"),
            Self::Stopper => match std::env::var_os(PROGRAM) {
                Some(program) => program.into(),
                None => target.join("release/rekognition-stopper"),
            },
            Self::PythonLoop | Self::PythonThreads => target.join("peers/python/bin/python"),
            Self::JavaScript => target.join("peers/javascript/bundle.mjs"),
        }
    }

    fn command(self) -> Command {
        let handler = match self {
            Self::Floor | Self::Stopper => return Command::new(self.path()),
            Self::JavaScript => {
                // Resolved here, because the program's environment has no PATH.
                let paths = std::env::var_os("PATH").unwrap_or_default();
                let mut nodes = std::env::split_paths(&paths).map(|path| path.join("node"));
                let node = nodes.find(|node| node.exists());
                let mut command = Command::new(node.unwrap());
                // Otherwise it would print on each start which version of Node.js it wants.
                command.arg("--no-warnings").arg(self.path());
                return command;
            }
            Self::PythonLoop => "stop_models.loop",
            Self::PythonThreads => "stop_models.threads",
        };
        let mut command = Command::new(self.path());
        command.args(["-m", "awslambdaric", handler]);
        command.current_dir(peers().join("python"));
        command
    }

    /// Starts it with these variables in addition to those that Lambda sets.
    pub async fn start(self, environment: &[(&str, &str)]) -> Function {
        Function::start_program(self.command(), environment).await
    }

    /// The same in a cgroup.
    pub async fn start_in(self, lambda_box: &LambdaBox, environment: &[(&str, &str)]) -> Function {
        let command = lambda_box.command(&self.command());
        Function::start_program(command, environment).await
    }
}

/// How a program is started, and how it reaches the service.
#[derive(Clone, Copy)]
pub struct Setting {
    /// Whether calls go over TLS.
    pub tls: bool,
    /// Whether it runs in Lambda's smallest box.
    pub is_in_the_box: bool,
}

impl Setting {
    pub const WHOLE: Self = Self {
        tls: false,
        is_in_the_box: false,
    };
    pub const WHOLE_TLS: Self = Self {
        tls: true,
        is_in_the_box: false,
    };
    pub const BOX_TLS: Self = Self {
        tls: true,
        is_in_the_box: true,
    };

    pub fn name(self) -> &'static str {
        if self.tls { "TLS" } else { "plain HTTP" }
    }
}

/// A program that waits for its first event, and what it needs for as long as it runs.
pub struct Idle {
    function: Function,
    lambda_box: Option<LambdaBox>,
    _tls: Option<Tls>,
}

/// Seconds of a processor.
#[derive(Clone, Copy, Default)]
pub struct ProcessorTime {
    pub seconds: f64,
    /// Of these, those in the system's kernel.
    pub system_seconds: f64,
}

/// One invocation of a program that was waiting for it.
pub struct Run {
    /// The answer, or in a word why there is none.
    pub answer: Result<Answer, &'static str>,
    /// From the event to the answer.
    pub seconds: f64,
    pub ended_at: SystemTime,
    /// What it used of a processor in that time; nothing of a process that was killed, as with its
    /// memory and page faults.
    pub processor_time: ProcessorTime,
    /// The pages that it touched first in that time.
    pub page_faults: u64,
    /// The most that the process ever had resident, in millions of bytes.
    pub memory: f64,
    /// What it wrote to its standard output.
    pub log: String,
}

impl Idle {
    /// The program with these variables. In the box it has the whole processor until it asks for
    /// its first event, as Lambda gives it.
    pub async fn start(
        program: Program,
        emulator: &Emulator,
        variables: &[(&str, &str)],
        setting: Setting,
    ) -> Self {
        let url = emulator.url();
        let tls = match setting.tls {
            true => Some(Tls::start(emulator, &Authority::rsa("night")).await),
            false => None,
        };
        let mut all = match &tls {
            Some(tls) => tls.variables().to_vec(),
            None => vec![("AWS_ENDPOINT_URL", url.as_str())],
        };
        // Those given may name another service.
        all.extend(variables);
        let variables = all;
        let lambda_box = setting.is_in_the_box.then(|| LambdaBox::new().unwrap());
        let mut function = match &lambda_box {
            Some(lambda_box) => program.start_in(lambda_box, &variables).await,
            None => program.start(&variables).await,
        };
        function.is_idle().await;
        if let Some(lambda_box) = &lambda_box {
            lambda_box.throttle();
        }
        Self {
            function,
            lambda_box,
            _tls: tls,
        }
    }

    /// Invokes it, and ends it.
    pub async fn run(mut self, event: &Value, time_limit: Duration) -> Run {
        let id = self.function.id();
        let lambda_box = self.lambda_box;
        let processor_time = || match &lambda_box {
            Some(lambda_box) => lambda_box.processor_time(),
            None => processor_time(id),
        };
        let faults_before = page_faults(id);
        let before = processor_time();
        let start = Instant::now();
        let end = self
            .function
            .invoke_beyond(event.to_string(), time_limit, LATEST)
            .await;
        let (seconds, ended_at) = (start.elapsed().as_secs_f64(), SystemTime::now());
        let answer = match end {
            End::Answer(answer) if seconds < time_limit.as_secs_f64() => Ok(answer),
            End::Answer(_) | End::TimedOut => Err("late"),
            End::Killed(_) => {
                return Run {
                    answer: Err("killed"),
                    seconds,
                    ended_at,
                    processor_time: ProcessorTime::default(),
                    page_faults: 0,
                    memory: 0.0,
                    log: String::new(),
                };
            }
        };
        let after = processor_time();
        Run {
            answer,
            seconds,
            ended_at,
            processor_time: ProcessorTime {
                seconds: after.seconds - before.seconds,
                system_seconds: after.system_seconds - before.system_seconds,
            },
            page_faults: page_faults(id) - faults_before,
            memory: most_resident(id),
            log: self.function.end_with_output().await.stdout,
        }
    }
}

impl Run {
    /// The answer of a successful run.
    pub fn report(&self) -> &Value {
        let answer = self.answer.as_ref().unwrap();
        assert!(answer.is_ok, "{}", answer.body["errorMessage"]);
        &answer.body
    }

    /// The lines in the log for models and failed lookups.
    pub fn lines(&self) -> Vec<Value> {
        let mut lines = lines_of(&self.log, "model");
        lines.extend(lines_of(&self.log, "lookup"));
        lines
    }

    /// How many lines it wrote a second once nothing more was tried: from the first failure to the
    /// answer, if there were enough to tell.
    pub fn lines_a_second(&self) -> Option<f64> {
        let time = |line: &Value| {
            let time = line["timestamp"].as_str().unwrap();
            OffsetDateTime::parse(time, &Rfc3339).unwrap()
        };
        let lines = self.lines();
        let failed = lines.iter().filter(|line| line["level"] == "ERROR");
        let start = failed.clone().map(time).min()?;
        let written = lines.iter().filter(|line| time(line) >= start).count() as f64;
        let seconds = (OffsetDateTime::from(self.ended_at) - start).as_seconds_f64();
        (failed.count() >= ENOUGH_LINES).then_some(written / seconds)
    }
}

/// Where `cargo bench` builds.
pub fn target_directory() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    directory.unwrap().to_path_buf()
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers")
}

/// Builds the function as its users do. What `cargo bench` itself builds also has the features that
/// tests need.
fn build_stopper() {
    let built = std::process::Command::new(env!("CARGO"))
        .args([
            "build",
            "--release",
            "--locked",
            "--bin",
            "rekognition-stopper",
        ])
        .arg("--target-dir")
        .arg(target_directory())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success(), "the release build failed");
}

fn build_floor() {
    std::fs::create_dir_all(target_directory().join("peers")).unwrap();
    let built = std::process::Command::new("rustc")
        .args([
            "--edition",
            "2024",
            "-C",
            "opt-level=z",
            "-C",
            "lto",
            "-C",
            "strip=symbols",
        ])
        .arg("-o")
        .arg(Program::Floor.path())
        .arg(peers().join("floor.rs"))
        .status()
        .unwrap();
    assert!(built.success(), "the floor's build failed");
}

/// The maximum resident memory of a process, in millions of bytes.
pub fn most_resident(id: u32) -> f64 {
    Resources::of(id).peak as f64 * 1024.0 / 1e6
}

/// What a process has used of a processor, to a hundredth of a second.
fn processor_time(id: u32) -> ProcessorTime {
    let [user, system] = [14, 15].map(|field| stat(id, field) as f64 / 100.0);
    ProcessorTime {
        seconds: user + system,
        system_seconds: system,
    }
}

/// The page faults of a process for which nothing was read from a disk.
fn page_faults(id: u32) -> u64 {
    stat(id, 10)
}

/// A field of a process's `stat`, by its number in proc(5), behind the name.
fn stat(id: u32, field: usize) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The name, in brackets, may have spaces in it. The field behind it is the third.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let field = fields.split_whitespace().nth(field - 3).unwrap();
    field.parse().unwrap()
}
