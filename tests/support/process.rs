//! What a process uses, as Linux reports it.

use std::fs;

/// What a process uses at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Resources {
    /// `VmRSS`: the memory that it uses now, in kB.
    pub memory: u64,
    /// `VmHWM`: the most memory that it has used, in kB.
    pub peak: u64,
    /// Its open files, including sockets.
    pub files: usize,
}

impl Resources {
    /// The usage of the process with this ID.
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
