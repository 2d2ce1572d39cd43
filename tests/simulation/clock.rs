//! The SDK's clock: the paused one of the runtime, so that a wait of an hour takes no time.

use std::time::{Duration, SystemTime};

use aws_smithy_async::time::TimeSource;
use tokio::time::Instant;

/// When every night begins, in seconds since 1970.
const BEGINNING: Duration = Duration::from_secs(1_800_000_000);

/// The time of day by the runtime's clock.
#[derive(Debug)]
pub struct PausedClock(Instant);

impl PausedClock {
    /// A clock that shows the beginning of the night now.
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl TimeSource for PausedClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + BEGINNING + self.0.elapsed()
    }
}
