//! All that knows the AWS SDK: clients by region, what is tried again, the discovery of models, and what
//! their status is.
//!
//! - [`Rekognition`] is the service for the whole process: connections and credentials, kept warm.
//! - `Region` is the service in one region, for one run: its four calls, with the run's limits and at the pace that
//!   the service bears.
//! - `Poller` asks for many models' status in one call, project by project.
//! - `Discovery` finds the models that patterns match.

mod call;
mod client;
mod connector;
mod credentials;
mod discovery;
mod http_client;
mod pace;
mod poller;
mod region;
mod status;

pub use call::CallError;
pub use client::Rekognition;
pub(crate) use discovery::{Discovery, Found, LookedUp};
pub(crate) use poller::Poller;
pub(crate) use region::Region;
pub use status::{Observed, Phase, Status};
