//! The programs that are measured: the function as it is deployed, the floor, and the peers that
//! are installed.

use std::path::{Path, PathBuf};

use rekognition_emulator::Emulator;
use tokio::process::Command;

use crate::cgroup::LambdaBox;
use crate::cold::Tls;
use crate::support::process::Resources;
use crate::support::runtime_api::Function;
use crate::tls::Authority;

/// Names another build of the function that is to be measured, of an earlier commit perhaps.
const PROGRAM: &str = "PROGRAM";

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
    /// All programs that there are here. Builds those that have to be built.
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

    /// What has to be there for the program to run: itself, or what it is made of.
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
                // Found here, since the program's environment has no PATH.
                let paths = std::env::var_os("PATH").unwrap_or_default();
                let mut nodes = std::env::split_paths(&paths).map(|path| path.join("node"));
                let node = nodes.find(|node| node.exists());
                let mut command = Command::new(node.unwrap());
                // It would say on each start which version of Node.js it wants.
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

    /// Starts it with these variables beside those that Lambda sets.
    pub async fn start(self, environment: &[(&str, &str)]) -> Function {
        Function::start_program(self.command(), environment).await
    }

    /// The same in a box.
    pub async fn start_in(self, lambda_box: &LambdaBox, environment: &[(&str, &str)]) -> Function {
        let command = lambda_box.command(&self.command());
        Function::start_program(command, environment).await
    }
}

/// The function as it waits for its first event, and what it needs for as long as it runs.
pub struct Idle {
    pub function: Function,
    _lambda_box: Option<LambdaBox>,
    _tls: Option<Tls>,
}

impl Idle {
    /// The function with these variables, which calls the emulator over TLS or plainly. In the box
    /// it has the whole processor until it waits, as Lambda gives it.
    pub async fn start(
        emulator: &Emulator,
        variables: &[(&str, &str)],
        tls: bool,
        is_in_the_box: bool,
    ) -> Self {
        let url = emulator.url();
        let mut variables = variables.to_vec();
        let tls = match tls {
            true => Some(Tls::start(emulator, &Authority::rsa("night"), "night").await),
            false => None,
        };
        match &tls {
            Some(tls) => variables.extend(tls.variables()),
            None => variables.push(("AWS_ENDPOINT_URL", &url)),
        }
        let lambda_box = is_in_the_box.then(|| LambdaBox::new().unwrap());
        let mut function = match &lambda_box {
            Some(lambda_box) => Program::Stopper.start_in(lambda_box, &variables).await,
            None => Program::Stopper.start(&variables).await,
        };
        function.is_idle().await;
        if let Some(lambda_box) = &lambda_box {
            lambda_box.throttle();
        }
        Self {
            function,
            _lambda_box: lambda_box,
            _tls: tls,
        }
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

/// Builds the function as its users do. What `cargo bench` itself builds has the features that
/// tests need as well.
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

/// The most memory that a process had resident, in millions of bytes.
pub fn most_resident(id: u32) -> f64 {
    Resources::of(id).peak as f64 * 1024.0 / 1e6
}

/// The seconds of a processor that a process has used, to a hundredth.
pub fn processor_seconds(id: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // The name before, in brackets, may have spaces in it.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks
        .map(|ticks| ticks.parse::<f64>().unwrap() / 100.0)
        .sum()
}
