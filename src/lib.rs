//! Stops the Amazon Rekognition Custom Labels models that someone left running, and reports each
//! one that it could not stop.
//!
//! Data flows in one direction: event and environment, entries, models, outcomes, report.
//!
//! 1. [`handler`] takes one invocation: an event in, a report or an error out.
//! 2. [`request`] reads the event, [`settings`] the environment. Both produce entries: [`arn`]s and
//!    patterns.
//! 3. `run` is what the program is for, and does not know the SDK: a loop for each account and
//!    region, which finds the models that match patterns and sees each model stopped. [`exemption`]
//!    says which of the models found are kept running.
//! 4. [`aws`] makes the calls, and does not know why: the operations, when a call is retried, and
//!    whose turn it is.
//! 5. [`report`] is the result, and `metrics` counts it. [`log`] is where the lines go, and
//!    `excerpt` makes text from outside safe for them. `deadline` is when all of this has to end.

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
