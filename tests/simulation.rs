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

use simulation::{many, single, tally, verdict};

/// Seeds of nights that once failed.
const ONCE_FAILED: [u64; 3] = [261, 883, 931];

#[test]
fn no_night_breaks_a_promise() {
    let first = number("SEED").unwrap_or(1);
    match number("NIGHTS").unwrap_or(1000) {
        1 => single::tell(first),
        nights => {
            let seeds: Vec<u64> = (0..nights).map(|night| first.wrapping_add(night)).collect();
            many::judge(&seeds, verdict::of_seed);
        }
    }
}

#[test]
fn nights_that_once_failed_fail_no_more() {
    many::judge(&ONCE_FAILED, verdict::of_seed);
}

#[test]
fn a_seed_gives_the_same_night_again() {
    let seeds: Vec<u64> = (1..=30).collect();
    many::judge(&seeds, verdict::of_repetition);
}

#[test]
fn the_nights_meet_all_that_can_break_a_promise() {
    let missing = tally::of_what_is_missing(1);
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

fn number(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is `{value}`; it should be a number")))
}
