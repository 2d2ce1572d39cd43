//! The emulator's behaviour, over real HTTP. Clocks are paused: no test waits for time to pass.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

mod aws_cli;
mod binary;
mod client;
mod faults;
mod in_process;
mod lists;
mod organizations;
mod permissions;
mod protocol;
mod quotas;
mod records;
mod sdk;
mod sessions;
mod states;
mod tags;
mod trail;
mod validation;
