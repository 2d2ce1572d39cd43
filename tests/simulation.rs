//! Simulated nights: whole runs of the real handler and the real SDK, generated at random, against
//! the emulator in the same process and on a paused clock. A night of 15 minutes takes
//! milliseconds. `tests/simulation/README.md` says how it works, and how to simulate other nights.

mod support;
/// In the order in which they are used.
mod simulation {
    // What happens.
    pub mod chance;
    pub mod list;
    pub mod night;
    pub mod organization;
    pub mod starts;
    pub mod weather;
    // How it happens.
    pub mod plain;
    pub mod run;
    // What it must satisfy.
    pub mod identity;
    pub mod limits;
    pub mod progress;
    pub mod report;
    pub mod trouble;
    pub mod truth;
    pub mod verdict;
    pub mod view;
    pub mod wanted;
    // How it is reported.
    pub mod nights;
    pub mod tally;
}

use simulation::nights::{OF_ONE_ACCOUNT, OVER_ORGANIZATIONS};

#[test]
fn no_night_breaks_a_promise() {
    OF_ONE_ACCOUNT.live_through();
}

#[test]
fn no_night_over_an_organization_breaks_a_promise() {
    OVER_ORGANIZATIONS.live_through();
}

#[test]
fn a_seed_always_gives_the_same_night() {
    OF_ONE_ACCOUNT.repeat();
    OVER_ORGANIZATIONS.repeat();
}
