//! Simulated nights: whole runs of the real handler and the real SDK, thrown by dice, against the
//! emulator in the same process and on a paused clock. A night of 15 minutes takes milliseconds.
//!
//! `cargo test --test simulation` lives through the same 1,000 nights every time, `SEED=7
//! NIGHTS=10000` before it through others, and `SEED=7 NIGHTS=1` before it and `no_night --
//! --nocapture` behind it through one, and tells all of it. `tests/simulation/README.md` says how
//! it works.

mod support;
/// In the order in which they come into play.
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
    pub mod run;
    // What is asked of it.
    pub mod accounts;
    pub mod limits;
    pub mod operations;
    pub mod progress;
    pub mod trouble;
    pub mod truth;
    pub mod verdict;
    pub mod view;
    pub mod wanted;
    // What is told of it.
    pub mod many;
    pub mod single;
    pub mod tally;
}

use std::env;

use simulation::night::Night;
use simulation::{many, single, tally, verdict};

/// Seeds of nights that once failed.
const ONCE_FAILED: [u64; 3] = [261, 883, 931];

/// What lives through one of the nights over one account, and over many.
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
fn nights_that_once_failed_fail_no_more() {
    many::judge(NIGHTS, &ONCE_FAILED, |seed| {
        verdict::of_night(|| Night::new(seed))
    });
}

#[test]
fn a_seed_gives_the_same_night_again() {
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

/// Lives through the nights that the environment names, or through so many from the first.
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
