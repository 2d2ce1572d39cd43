//! Stops the Amazon Rekognition Custom Labels models that somebody left running, and tells of each that it could
//! not stop.
//!
//! A run goes one way: event and environment, entries, models, outcomes, report.
//!
//! 1. [`handler`] takes one invocation: an event in, a report or an error out.
//! 2. [`request`] reads the event, [`settings`] the environment. Both give entries: [`arn`]s and patterns.
//! 3. `sweep` brings the entries to their regions, finds the models that patterns stand for, and stops all of them at
//!    once. [`exemption`] says which of the found ones are kept.
//! 4. `stop` sees one model stopped.
//! 5. [`rekognition`] makes the calls: retries, limits, discovery and looks. Nothing else knows the SDK.
//! 6. [`report`] says what came of it, and `metrics` counts it. [`log`] is where the lines go, and `excerpt`
//!    makes what others wrote fit for them.

#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod arn;
mod excerpt;
pub mod exemption;
pub mod handler;
pub mod log;
mod metrics;
pub mod rekognition;
pub mod report;
pub mod request;
pub mod settings;
mod stop;
mod sweep;

pub use handler::Handler;
