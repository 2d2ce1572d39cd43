//! The built function, as Lambda runs it: in a process, with its environment, over sockets.

#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tls.rs"]
mod tls;

mod binary;
mod credentials;
mod entropy;
mod https;
#[cfg(target_os = "linux")]
mod long_life;
mod panics;
mod secrets;
#[cfg(target_os = "linux")]
mod strangers;
