//! The time of day as the service sees it.

use std::time::{Duration, SystemTime};

use axum::http::HeaderValue;
use tokio::time::Instant;

/// A clock that was set once, and advances with tokio's time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    shown: SystemTime,
    at: Instant,
}

impl Clock {
    /// A clock that shows this time now.
    pub(crate) fn showing(time: SystemTime) -> Self {
        Self {
            shown: time,
            at: Instant::now(),
        }
    }

    pub(crate) fn now(self) -> SystemTime {
        self.shown + self.at.elapsed()
    }

    /// The value of a `Date` header; none for a time before 1970 or after 9999.
    pub(crate) fn date(self) -> Option<HeaderValue> {
        const END: Duration = Duration::from_secs(253_402_300_800);
        let now = self.now();
        let since = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let date = (since < END).then(|| httpdate::fmt_http_date(now))?;
        HeaderValue::from_str(&date).ok()
    }
}
