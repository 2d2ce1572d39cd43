//! What a process takes of the machine, as Linux tells it.

use std::fs;

/// What a process takes at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    /// `VmRSS`: the memory that it takes now, in kB.
    pub memory: u64,
    /// `VmHWM`: the most memory that it ever took, in kB.
    pub peak: u64,
    /// Its open files, sockets among them.
    pub files: usize,
}

impl Resources {
    /// Those of the process of this id.
    pub fn of(id: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let kilobytes = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        Self {
            memory: kilobytes("VmRSS:"),
            peak: kilobytes("VmHWM:"),
            files: fs::read_dir(format!("/proc/{id}/fd")).unwrap().count(),
        }
    }
}
