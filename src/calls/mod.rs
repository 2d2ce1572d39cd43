//! The rule of calling: which operations there are, what a failed attempt means, how fast one
//! operation can be called, and whose turn it is.
//!
//! Everything here is plain values. Nothing waits, locks or reads a clock: `now` is passed in. It
//! knows neither the SDK nor what a call is for.
//!
//! - [`operation`] lists the operations, and [`request`] and [`response`] what goes out and what
//!   comes back.
//! - [`error`] says how an attempt failed, and [`retry`] what follows from that.
//! - [`queue`] says which call is next. `lane` has the calls of one operation in one account and
//!   region, `pace` how fast they can be made, `region` is a region that may not respond, and
//!   `pages` is how a list is read.

pub(crate) mod error;
mod lane;
pub(crate) mod operation;
pub(crate) mod pace;
mod pages;
pub(crate) mod queue;
mod region;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod retry;
pub(crate) mod status;
