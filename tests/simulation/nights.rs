//! Many nights, in as many threads as the machine has processors; or one, with everything that
//! happens in it. A night is the same whichever thread it runs in: it seeds the thread's random
//! generator first.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::time::Instant;

use super::night::Night;
use super::run::live_through;
use super::{tally, verdict};
use crate::support::log::Log;

/// The nights of a test.
pub struct Nights {
    /// What a filter for the test has to be.
    test: &'static str,
    night: fn(u64) -> Night,
    /// How many, from seed 1, if the environment does not say.
    count: u64,
    to_meet: fn() -> BTreeSet<String>,
}

pub const OF_ONE_ACCOUNT: Nights = Nights {
    test: "no_night_breaks",
    night: Night::new,
    count: 200,
    to_meet: tally::to_meet,
};

pub const OVER_ORGANIZATIONS: Nights = Nights {
    test: "no_night_over",
    night: Night::over_an_organization,
    count: 100,
    to_meet: tally::to_meet_over_organizations,
};

/// As many nights as make all that there is to meet likely many times over.
const ENOUGH_TO_MEET_ALL: usize = 500;
/// Once this many nights have failed, no further one begins.
const MOST_FAILURES: usize = 10;
/// How many promises are named of a night that breaks more.
const MOST_LINES: usize = 5;
/// How many nights are lived through twice.
const REPEATED: u64 = 8;

/// What is wrong with a night, and what it has met.
#[derive(Default)]
struct Verdict {
    wrong: Vec<String>,
    met: BTreeSet<String>,
}

impl Nights {
    /// Lives through the nights that the environment names, or the first. Fails with everything
    /// that is wrong, or that should be met in this many nights and is not.
    pub fn live_through(&self) {
        let first = number("SEED").unwrap_or(1);
        let count = number("NIGHTS").unwrap_or(self.count);
        if count == 1 {
            return self.tell(first);
        }
        let seeds: Vec<u64> = (0..count).map(|night| first.wrapping_add(night)).collect();
        let met = self.judge(&seeds, |night| {
            let (wrong, met) = verdict::of_night(&night);
            Verdict { wrong, met }
        });
        let missing = (self.to_meet)();
        let missing: Vec<&String> = missing.difference(&met).collect();
        let is_enough = seeds.len() >= ENOUGH_TO_MEET_ALL;
        assert!(!is_enough || missing.is_empty(), "never met: {missing:#?}");
    }

    /// Checks that a seed always gives the same night, call by call.
    pub fn repeat(&self) {
        let seeds: Vec<u64> = (1..=REPEATED).collect();
        self.judge(&seeds, |night| {
            let (first, second) = (verdict::record(&night), verdict::record(&night));
            let mut differing = first
                .iter()
                .zip(&second)
                .filter(|(one, other)| one != other);
            let wrong = match differing.next() {
                None if first.len() == second.len() => Vec::new(),
                differing => vec![format!("the second time it is another: {differing:?}")],
            };
            Verdict {
                wrong,
                ..Verdict::default()
            }
        });
    }

    /// Judges the night of each seed. Returns what they have met.
    fn judge(&self, seeds: &[u64], judge: impl Fn(Night) -> Verdict + Sync) -> BTreeSet<String> {
        let next = AtomicUsize::new(0);
        let failed: Mutex<BTreeMap<u64, Vec<String>>> = Mutex::default();
        let met: Mutex<BTreeSet<String>> = Mutex::default();
        let work = || {
            while failed.lock().unwrap().len() < MOST_FAILURES
                && let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed))
            {
                let verdict = panic::catch_unwind(AssertUnwindSafe(|| judge((self.night)(*seed))));
                let verdict = verdict.unwrap_or_else(|_| Verdict {
                    wrong: vec!["it panicked; see above".to_owned()],
                    ..Verdict::default()
                });
                met.lock().unwrap().extend(verdict.met);
                if !verdict.wrong.is_empty() {
                    failed.lock().unwrap().insert(*seed, verdict.wrong);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
                scope.spawn(work);
            }
        });
        let failed = failed.into_inner().unwrap();
        let failures = failed
            .iter()
            .map(|(seed, wrong)| self.failure(*seed, wrong));
        let failures: Vec<String> = failures.collect();
        assert!(failures.is_empty(), "\n{}", failures.concat());
        met.into_inner().unwrap()
    }

    fn failure(&self, seed: u64, wrong: &[String]) -> String {
        let lines = wrong.iter().take(MOST_LINES);
        let lines: String = lines.map(|line| format!("  {line}\n")).collect();
        format!(
            "night {seed} breaks {} promises; again, with its log: SEED={seed} NIGHTS=1 cargo test \
             --test simulation {} -- --nocapture\n{lines}",
            wrong.len(),
            self.test
        )
    }

    /// Lives through one night and prints it, and fails if a promise is broken.
    fn tell(&self, seed: u64) {
        let night = (self.night)(seed);
        eprintln!("{night:#?}\n");
        let log = Log::new("text", "DEBUG");
        let runs = live_through(&night);
        eprintln!("{}", log.text());
        for run in &runs {
            let calls = run.calls.iter().map(|call| {
                let (account, region, operation) = (&call.account, &call.region, call.operation);
                let (body, response) = (&call.body, &call.answer);
                let line = format!("{account} {region}  {operation} {body} -> {response}");
                (call.at, line)
            });
            let changes = run.changes.iter();
            let changes = changes.map(|it| (it.at, format!("{} is {}", it.arn, it.status)));
            let mut events: Vec<(Instant, String)> = calls.chain(changes).collect();
            events.push((
                run.ended,
                format!("the response, after at most {:?}\n", run.time),
            ));
            events.sort_by_key(|(at, _)| *at);
            for (at, event) in events {
                eprintln!("{:>12?}  {event}", at - run.begun);
            }
        }
        let (wrong, _) = verdict::of_runs(&night, &runs);
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is `{value}`; it should be a number")))
}
