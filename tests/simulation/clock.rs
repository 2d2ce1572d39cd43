//! The SDK's clock and timers: those of the runtime, which is paused, so that waiting for an hour
//! takes no time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_smithy_async::rt::sleep::{AsyncSleep, Sleep};
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

/// The SDK's sleep, which knows how many are going on.
#[derive(Debug, Default)]
pub struct Timers {
    /// Held once here, and once by every sleep.
    held: Arc<()>,
}

impl Timers {
    /// The sleeps that have neither ended nor been dropped.
    pub fn running(&self) -> usize {
        Arc::strong_count(&self.held) - 1
    }
}

impl AsyncSleep for Timers {
    fn sleep(&self, duration: Duration) -> Sleep {
        let held = Arc::clone(&self.held);
        Sleep::new(async move {
            tokio::time::sleep(duration).await;
            drop(held);
        })
    }
}
