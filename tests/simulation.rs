//! Simulated nights: whole runs of the real handler and the real SDK, generated at random, against
//! the emulator in the same process and on a paused clock. A night of 15 minutes takes
//! milliseconds.
//!
//! `cargo test --test simulation` simulates the same 1,000 nights every time. With `SEED=7
//! NIGHTS=10000` it simulates others, and with `SEED=7 NIGHTS=1` and `no_night -- --nocapture` a
//! single one, of which it prints everything. `tests/simulation/README.md` says how it works.

mod support;
/// In the order in which they are used.
mod simulation {
    // What happens.
    pub mod chance;
    pub mod entries;
    pub mod night;
    pub mod weather;
    /// Nights over many accounts.
    pub mod organization {
        pub mod entries;
        pub mod night;
        pub mod oracle;
        pub mod reach;
        pub mod sessions;
        pub mod weather;
    }
    // How it happens.
    pub mod clock;
    pub mod plain;
    pub mod run;
    // What it must satisfy.
    pub mod accounts;
    pub mod limits;
    pub mod progress;
    pub mod starts;
    pub mod trouble;
    pub mod truth;
    pub mod verdict;
    pub mod view;
    pub mod wanted;
    // How it is reported.
    pub mod many;
    pub mod single;
    pub mod tally;
}

use std::env;

use simulation::night::Night;
use simulation::{many, single, tally, verdict};

/// Seeds of nights that once failed.
const ONCE_FAILED: [u64; 6] = [261, 883, 931, 1203, 3819, 5259];

/// The tests that run one of the nights over one account, and over many.
const NIGHTS: &str = "no_night_breaks";
const NIGHTS_OVER_MANY: &str = "no_night_over";

#[test]
fn no_night_breaks_a_promise() {
    live(NIGHTS, Night::new, 1000);
}

#[test]
fn no_night_over_an_organization_breaks_a_promise() {
    live(NIGHTS_OVER_MANY, Night::over_an_organization, 300);
}

#[test]
fn nights_that_once_failed_pass() {
    many::judge(NIGHTS, &ONCE_FAILED, |seed| {
        verdict::of_night(|| Night::new(seed))
    });
}

#[test]
fn a_seed_always_gives_the_same_night() {
    let seeds: Vec<u64> = (1..=30).collect();
    many::judge(NIGHTS, &seeds, |seed| {
        verdict::of_repetition(|| Night::new(seed))
    });
    many::judge(NIGHTS_OVER_MANY, &seeds, |seed| {
        verdict::of_repetition(|| Night::over_an_organization(seed))
    });
}

#[test]
fn the_nights_meet_all_that_can_break_a_promise() {
    let missing = tally::of_what_is_missing(1);
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn the_nights_over_organizations_meet_all_that_can_break_a_promise() {
    let missing = tally::of_what_is_missing_over_organizations(1);
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

/// Runs the nights that the environment names, or this many from the first.
fn live(test: &str, night: impl Fn(u64) -> Night + Sync, nights: u64) {
    let first = number("SEED").unwrap_or(1);
    match number("NIGHTS").unwrap_or(nights) {
        1 => single::tell(&night(first)),
        nights => {
            let seeds: Vec<u64> = (0..nights).map(|night| first.wrapping_add(night)).collect();
            many::judge(test, &seeds, |seed| verdict::of_night(|| night(seed)));
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is `{value}`; it should be a number")))
}
