//! The result of a run: the response, the error and the log lines.
//!
//! [`Outcome`] and [`ModelReport`] concern one model, [`Failure`] says why it may still be running,
//! and [`Report`] covers the whole run.

mod failure;
mod outcome;
mod run;

pub use crate::calls::status::{Phase, Status};
pub use failure::{Code, Failure};
pub use outcome::{ModelReport, Outcome};
pub use run::{Report, Summary};
