//! Amazon Rekognition Custom Labels for tests: the operations that stop and describe models, over
//! real HTTP, with states, quotas and faults.
//!
//! An [`Emulator`] holds [`Model`]s. A client, such as an AWS SDK, is pointed at [`Emulator::url`]
//! and calls the service's operations; the test says what goes wrong ([`Fault`], [`Quota`],
//! [`Emulator::deny`]) and reads what happened ([`Emulator::calls`], [`Emulator::changes`]).
//!
//! All time is tokio's, so that an emulator in the same process ([`Emulator::in_process`]) runs on
//! a paused clock. A status changes when it is read: nothing runs in the background but the server.

/// Setters: each takes a value by its argument, and gives it back.
macro_rules! setters {
    ($type:ident {$(
        $(#[$doc:meta])*
        $name:ident($this:ident $(, $argument:ident: $of:ty)*) => $change:expr;
    )*}) => {
        impl $type {$(
            $(#[$doc])*
            // Some only call what they hold.
            #[allow(unused_mut)]
            pub fn $name(self $(, $argument: $of)*) -> Self {
                let mut $this = self;
                $change;
                $this
            }
        )*}
    };
}

mod arn;
mod call;
mod clock;
mod emulator;
mod error;
mod faults;
mod identity;
mod models;
mod operation;
mod operations;
mod organization;
mod page;
mod record;
mod request;
mod server;
mod wire;

pub use emulator::{Builder, Emulator};
pub use faults::{Fault, FaultKind, Quota, ThrottleWith};
pub use identity::Role;
pub use models::Model;
pub use operation::{Operation, Service};
pub use operations::lookup_events::{StartEvent, Starter};
pub use organization::{Account, OrganizationalUnit, ROOT_ID};
pub use record::{Answer, Call, Change};
pub use request::Connection;
pub use wire::ConnectionReset;
