//! The result of a run: the response, the error and the log lines.
//!
//! [`Outcome`] and [`ModelReport`] concern one model, [`FailedLookup`] a place that could not be
//! searched for models. [`Failure`] says why, and [`Report`] covers the whole run.

mod failure;
mod lookup;
mod outcome;
mod run;

pub use crate::calls::response::InferenceUnits;
pub use crate::calls::status::{Phase, Status};
pub use failure::{Code, Failure};
pub use lookup::FailedLookup;
pub use outcome::{ModelReport, Outcome};
pub use run::{Report, Summary};
