//! Many nights: side by side in processes of their own, whose standard output, a line of metrics for each run, goes
//! nowhere.

use std::env;
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;

/// The variable by which a process knows its share, as `INDEX/COUNT`.
const SHARE: &str = "SHARE_OF_NIGHTS";
/// A process that has seen so many nights fail stops there.
const ENOUGH: usize = 5;

/// Judges the night of each seed, and fails the test of this name with all that is wrong.
pub fn judge(test: &str, seeds: &[u64], judge: fn(u64) -> Vec<String>) {
    if let Ok(share) = env::var(SHARE) {
        let (index, count) = share.split_once('/').unwrap();
        let own = seeds.iter().skip(index.parse().unwrap());
        let own = own.step_by(count.parse().unwrap());
        let mut failed = 0;
        for seed in own {
            let wrong = judge(*seed);
            if !wrong.is_empty() {
                tell(*seed, &wrong);
                failed += 1;
            }
            if failed == ENOUGH {
                eprintln!("{failed} nights have failed: the others are left out");
                return;
            }
        }
        return;
    }
    let count = available_parallelism().map_or(1, usize::from);
    let children: Vec<Child> = (0..count).map(|index| start(test, index, count)).collect();
    let mut all_told = String::new();
    let mut all_ended_well = true;
    for child in children {
        let output = child.wait_with_output().unwrap();
        all_told.push_str(&String::from_utf8_lossy(&output.stderr));
        all_ended_well &= output.status.success();
    }
    assert!(all_told.is_empty() && all_ended_well, "\n{all_told}");
}

/// This test once more, for a share of the seeds.
fn start(test: &str, index: usize, count: usize) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(SHARE, format!("{index}/{count}"))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn tell(seed: u64, wrong: &[String]) {
    const MOST: usize = 5;
    eprintln!(
        "night {seed}; again, with its log: SEED={seed} NIGHTS=1 cargo test --test simulation no_night -- --nocapture"
    );
    for line in wrong.iter().take(MOST) {
        eprintln!("  {line}");
    }
    if wrong.len() > MOST {
        eprintln!("  and {} more", wrong.len() - MOST);
    }
}
