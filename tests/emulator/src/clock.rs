//! The time of day as the service sees it.

use std::time::{Duration, SystemTime};

use axum::http::HeaderValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

/// A clock that shows the true time until it is set, and advances with tokio's time then.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock(Option<(SystemTime, Instant)>);

impl Clock {
    /// A clock that shows this time now.
    pub(crate) fn showing(time: SystemTime) -> Self {
        Self(Some((time, Instant::now())))
    }

    pub(crate) fn now(self) -> SystemTime {
        match self.0 {
            Some((shown, at)) => shown + at.elapsed(),
            None => SystemTime::now(),
        }
    }

    /// The value of a `Date` header, if the clock was set; none for a time before 1970 or after
    /// 9999.
    pub(crate) fn date(self) -> Option<HeaderValue> {
        const END: Duration = Duration::from_secs(253_402_300_800);
        self.0?;
        let now = self.now();
        let since = now.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let date = (since < END).then(|| httpdate::fmt_http_date(now))?;
        HeaderValue::from_str(&date).ok()
    }
}

/// `2026-11-25T22:00:00Z`
pub(crate) fn timestamp(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole.format(&Rfc3339).unwrap_or_default()
}
