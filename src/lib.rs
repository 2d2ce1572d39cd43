//! Stops the Amazon Rekognition Custom Labels models that someone left running, and reports each
//! one that it could not stop.
//!
//! Data flows in one direction: event and environment, entries, models, outcomes, report.
//!
//! 1. [`handler`] takes one invocation: an event in, a report or an [`error`] out.
//! 2. [`request`] reads the event, [`settings`] the environment. Both produce entries: [`arn`]s and
//!    patterns.
//! 3. `run` is what the program is for, and does not know the SDK: one loop, and around it values
//!    that decide which models there are and what is next for each. [`exemption`] says which of the
//!    models found are kept running.
//! 4. `calls` is the rule of calling, in plain values: the operations, when a call is retried, how
//!    fast calls can be made, and whose turn it is.
//! 5. [`aws`] makes one attempt at a call, and is the only place that knows the SDK.
//! 6. [`report`] is the result. `text` writes what people read of it, and `metrics` counts it.
//!    [`log`] is where the lines go, and `excerpt` makes text from outside safe for them.

// Not in Cargo.toml, where they would hold for the tests' helpers as well.
#![deny(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

pub mod arn;
pub mod aws;
mod calls;
pub mod error;
mod excerpt;
pub mod exemption;
pub mod handler;
pub mod log;
mod metrics;
pub mod report;
pub mod request;
mod run;
pub mod settings;
mod text;

pub use handler::{Handler, Invocation};
pub use run::{Plan, PlannedRun};
