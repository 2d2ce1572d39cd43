//! The programs that are measured: the function as it is deployed, and the peers that are
//! installed.

use std::path::{Path, PathBuf};
use std::process;

use tokio::process::Command;

/// Names another build of the function to measure, perhaps of an earlier commit.
pub const PROGRAM: &str = "PROGRAM";

/// Something that Lambda could run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// The function, built as it is deployed.
    Stopper,
    PythonLoop,
    PythonThreads,
    JavaScript,
}

impl Program {
    pub const ALL: [Self; 4] = [
        Self::Stopper,
        Self::PythonLoop,
        Self::PythonThreads,
        Self::JavaScript,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Stopper => "rekognition-stopper",
            Self::PythonLoop => "Python, a loop",
            Self::PythonThreads => "Python, 8 threads",
            Self::JavaScript => "JavaScript",
        }
    }

    /// The file that must exist for the program to run: itself, or what runs it.
    pub fn path(self) -> PathBuf {
        let target = target_directory();
        match self {
            Self::Stopper => match std::env::var_os(PROGRAM) {
                Some(program) => program.into(),
                None => target.join("release/rekognition-stopper"),
            },
            Self::PythonLoop | Self::PythonThreads => target.join("peers/python/bin/python"),
            Self::JavaScript => target.join("peers/javascript/bundle.mjs"),
        }
    }

    /// Whether it can be run here. Peers are installed by `benches/peers/install`.
    pub fn is_installed(self) -> bool {
        self.path().exists()
    }

    pub fn command(self) -> Command {
        let handler = match self {
            Self::Stopper => return Command::new(self.path()),
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
        command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/python"));
        command
    }
}

/// Builds the function as its users do, unless another build is to be measured. What `cargo bench`
/// itself builds also has the features that tests need.
pub fn build_stopper() {
    if std::env::var_os(PROGRAM).is_some() {
        return;
    }
    let built = process::Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--bin"])
        .arg("rekognition-stopper")
        .arg("--target-dir")
        .arg(target_directory())
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .unwrap();
    assert!(built.success(), "the release build failed");
}

/// Where `cargo bench` builds.
fn target_directory() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    directory.unwrap().to_path_buf()
}
