//! The time of day as the service sees it.

use std::time::SystemTime;

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

    /// The value of a `Date` header, if the clock was set.
    pub(crate) fn date(self) -> Option<HeaderValue> {
        self.0?;
        HeaderValue::from_str(&httpdate::fmt_http_date(self.now())).ok()
    }
}

/// `2026-11-25T22:00:00Z`
pub(crate) fn timestamp(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    whole.format(&Rfc3339).unwrap_or_default()
}
