//! Lambda's smallest size: 128 MB of memory and 128/1769 of a processor, enforced by a cgroup of
//! version 1 or 2.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::process::Command;

const ROOT: &str = "/sys/fs/cgroup";
const MEMORY: u64 = 128 * 1024 * 1024;
/// The period of the processor's share, in microseconds.
const PERIOD: u64 = 20_000;
/// The megabytes for which Lambda gives a whole processor.
const MEGABYTES_OF_A_PROCESSOR: u64 = 1769;

/// A cgroup in which one program runs.
pub struct LambdaBox {
    /// The cgroup's directories: one in version 2, and one for each controller in version 1.
    directories: Vec<PathBuf>,
    is_version_2: bool,
}

impl LambdaBox {
    /// A cgroup with that memory, and the whole processor for now.
    pub fn new() -> io::Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("rekognition-stopper-{}-{number}", std::process::id());
        let root = Path::new(ROOT);
        let is_version_2 = root.join("cgroup.controllers").exists();
        let directories = if is_version_2 {
            fs::write(root.join("cgroup.subtree_control"), "+cpu +memory")?;
            vec![root.join(name)]
        } else {
            ["memory", "cpu", "cpuacct"]
                .map(|it| root.join(it).join(&name))
                .into()
        };
        let made = Self {
            directories,
            is_version_2,
        };
        for directory in &made.directories {
            fs::create_dir(directory)?;
        }
        let limit = if is_version_2 {
            "memory.max"
        } else {
            "memory.limit_in_bytes"
        };
        fs::write(made.directories[0].join(limit), MEMORY.to_string())?;
        Ok(made)
    }

    /// The command that runs another one in this cgroup, from its first instruction.
    pub fn command(&self, command: &Command) -> Command {
        let command = command.as_std();
        let mut shell = Command::new("/bin/sh");
        const ENTER: &str = r#"
            while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit; shift; done
            shift; exec "$@"
        "#;
        shell.args(["-c", ENTER, "sh"]);
        shell.args(&self.directories).arg("--");
        shell.arg(command.get_program()).args(command.get_args());
        if let Some(directory) = command.get_current_dir() {
            shell.current_dir(directory);
        }
        shell
    }

    /// From now on, limits it to its share of a processor.
    pub fn throttle(&self) {
        let quota = PERIOD * 128 / MEGABYTES_OF_A_PROCESSOR;
        if self.is_version_2 {
            let limit = format!("{quota} {PERIOD}");
            fs::write(self.directories[0].join("cpu.max"), limit).unwrap();
        } else {
            let cpu = &self.directories[1];
            fs::write(cpu.join("cpu.cfs_period_us"), PERIOD.to_string()).unwrap();
            fs::write(cpu.join("cpu.cfs_quota_us"), quota.to_string()).unwrap();
        }
    }

    /// The seconds of a processor that the program has used.
    pub fn processor_seconds(&self) -> f64 {
        let [.., directory] = &self.directories[..] else {
            unreachable!("a box has directories");
        };
        if self.is_version_2 {
            let stat = fs::read_to_string(directory.join("cpu.stat")).unwrap();
            let usage = stat
                .lines()
                .find_map(|line| line.strip_prefix("usage_usec "));
            usage.unwrap().parse::<f64>().unwrap() * 1e-6
        } else {
            let usage = fs::read_to_string(directory.join("cpuacct.usage")).unwrap();
            usage.trim().parse::<f64>().unwrap() * 1e-9
        }
    }
}

impl Drop for LambdaBox {
    fn drop(&mut self) {
        for directory in &self.directories {
            // If it is not empty, the operating system reports that once nothing is measured.
            let _ = fs::remove_dir(directory);
        }
    }
}
