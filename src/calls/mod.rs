//! The rule of calling: which operations there are, what a failed attempt means, how fast one
//! operation can be called, and whose turn it is.
//!
//! Everything here is plain values. Nothing waits, locks or reads a clock: `now` is passed in. It
//! knows neither the SDK nor what a call is for.
//!
//! - [`operation`] lists the operations, and [`request`] and [`response`] what goes out and what
//!   comes back.
//! - [`error`] says how an attempt failed, and [`retry`] what follows from that.
//! - [`pace`] is how fast one operation of one account and region can be called, and [`queue`]
//!   which call is next.

pub(crate) mod error;
pub(crate) mod operation;
pub(crate) mod pace;
pub(crate) mod queue;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod retry;
pub(crate) mod status;
