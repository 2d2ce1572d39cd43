//! Many nights, in parallel in as many threads as the machine has processors. A night is the same
//! whichever thread it runs in: it seeds the thread's random generator first.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Once this many nights have failed, no further one begins.
const ENOUGH: usize = 10;

/// Judges the night of each seed, and panics with everything that is wrong; `test` is the test that
/// runs one of them again.
pub fn judge(test: &str, seeds: &[u64], judge: impl Fn(u64) -> Vec<String> + Sync) {
    let next = AtomicUsize::new(0);
    let failed: Mutex<BTreeMap<u64, Vec<String>>> = Mutex::default();
    let work = || {
        while failed.lock().unwrap().len() < ENOUGH
            && let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed))
        {
            let wrong = judge(*seed);
            if !wrong.is_empty() {
                failed.lock().unwrap().insert(*seed, wrong);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    let failed = failed.into_inner().unwrap();
    let nights: Vec<String> = failed
        .iter()
        .map(|(seed, wrong)| tell(test, *seed, wrong))
        .collect();
    let more = match nights.len() {
        ENOUGH.. => "so many nights have failed that the others were left out",
        _ => "",
    };
    assert!(nights.is_empty(), "\n{}{more}", nights.concat());
}

fn tell(test: &str, seed: u64, wrong: &[String]) -> String {
    const MOST: usize = 5;
    let mut text = format!(
        "night {seed}; again, with its log: SEED={seed} NIGHTS=1 cargo test --test simulation \
         {test} -- --nocapture\n"
    );
    for line in wrong.iter().take(MOST) {
        text.push_str(&format!("  {line}\n"));
    }
    if wrong.len() > MOST {
        text.push_str(&format!("  and {} more\n", wrong.len() - MOST));
    }
    text
}
