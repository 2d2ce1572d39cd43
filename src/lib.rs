//! Stops the Amazon Rekognition Custom Labels models that somebody left running, and tells of each
//! that it could not stop.
//!
//! A run goes one way: event and environment, entries, models, outcomes, report.
//!
//! 1. [`handler`] takes one invocation: an event in, a report or an error out.
//! 2. [`request`] reads the event, [`settings`] the environment. Both give entries: [`arn`]s and
//!    patterns.
//! 3. `run` is what the program exists for, and does not know the SDK: a loop for each account and
//!    region, which finds the models of patterns and sees each model stopped. [`exemption`] says
//!    which of the found ones are kept.
//! 4. [`aws`] makes the calls, and does not know what for: when a call is retried, whose turn it
//!    is, and the operations.
//! 5. [`report`] is what came of it, and `metrics` counts it. [`log`] is where the lines go, and
//!    `excerpt` makes what others wrote fit for them. `deadline` is when all of it has to be over.

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
pub mod aws;
mod deadline;
mod excerpt;
pub mod exemption;
pub mod handler;
pub mod log;
mod metrics;
pub mod report;
pub mod request;
mod run;
pub mod settings;

pub use handler::{Handler, Invocation};
pub use run::{NotPlanned, Plan, PlannedRun};
