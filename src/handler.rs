//! One invocation: event in, report or error out.

use std::fmt;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use lambda_runtime::{Diagnostic, LambdaEvent};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::metrics;
use crate::rekognition::Rekognition;
use crate::report::Report;
use crate::request::{InvalidRequest, Payload, Request};
use crate::settings::{InvalidSettings, Settings};
use crate::sweep::Sweep;

/// The function: its settings, and the service that it calls. Made once a process.
#[derive(Clone, Debug)]
pub struct Handler {
    settings: Result<Settings, InvalidSettings>,
    rekognition: Rekognition,
}

impl Handler {
    /// A handler with these settings. Bad ones are told on every invocation.
    pub fn new(settings: Result<Settings, InvalidSettings>, rekognition: Rekognition) -> Self {
        Self {
            settings,
            rekognition,
        }
    }

    /// Stops the models that the event or the settings name, and answers before the invocation's deadline.
    ///
    /// Every model and the run are logged, and the run's metrics are written to standard output.
    ///
    /// # Errors
    /// Bad settings and bad requests, before anything is called; and a run after which a model may be running.
    pub async fn handle(&self, event: LambdaEvent<Payload>) -> Result<Report, Error> {
        let start = Instant::now();
        let (payload, context) = event.into_parts();
        let settings = self
            .settings
            .as_ref()
            .map_err(|error| Error::InvalidSettings(error.clone()))?;
        let request = Request::read(&payload).map_err(Error::InvalidRequest)?;
        drop(payload);
        let entries = match &request.entries {
            Some(entries) => entries,
            None if settings.model_arns.is_empty() => {
                return Err(Error::InvalidRequest(InvalidRequest::no_list()));
            }
            None => &settings.model_arns,
        };
        let request_id = &context.request_id;
        if entries.is_empty() {
            tracing::warn!(
                requestId = request_id,
                "model_arns is empty: there is nothing to do"
            );
        }

        let now = SystemTime::now();
        let left = time_left(context.deadline, now);
        let sweep = Sweep {
            rekognition: &self.rekognition,
            settings,
            dry_run: request.dry_run,
            today: OffsetDateTime::from(now).date(),
            deadline: start + left.saturating_sub(time_to_report(left, entries.len())),
            request_id,
        };
        let models = sweep.run(entries).await;

        let mut report = Report::new(models, settings.inference_unit_hour_price);
        let duration = start.elapsed();
        report.log(request_id, duration);
        let function_name = &context.env_config.function_name;
        let mut stdout = io::stdout().lock();
        let written = metrics::write(
            &mut stdout,
            function_name,
            &report.summary,
            request.dry_run,
            duration,
        )
        .and_then(|()| stdout.flush());
        if let Err(error) = written {
            tracing::warn!(requestId = request_id, %error, "the metrics could not be written");
        }
        if report.is_good() {
            report.fit_answer();
            Ok(report)
        } else {
            Err(Error::NotAllStopped(report))
        }
    }
}

/// Why an invocation fails. Shown, it is the message; its type is what Lambda reports as `errorType`.
#[derive(Clone)]
pub enum Error {
    /// Environment variables have bad values; nothing was called.
    InvalidSettings(InvalidSettings),
    /// The event is no request, or nothing names models; nothing was called.
    InvalidRequest(InvalidRequest),
    /// Models may be running.
    NotAllStopped(Report),
}

impl Error {
    /// What Lambda reports as `errorType`.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::InvalidSettings(_) => "InvalidSettings",
            Self::InvalidRequest(_) => "InvalidRequest",
            Self::NotAllStopped(_) => "NotAllStopped",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidSettings(error) => error.fmt(f),
            Self::InvalidRequest(error) => error.fmt(f),
            Self::NotAllStopped(report) => report.fmt(f),
        }
    }
}

/// The form that the runtime logs.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {self}", self.error_type())
    }
}

impl std::error::Error for Error {}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        Self {
            error_type: error.error_type().to_owned(),
            error_message: error.to_string(),
        }
    }
}

/// The time until a deadline in milliseconds since 1970.
///
/// A number too small for a date is taken for the time itself: `cargo lambda watch` gives every invocation a
/// deadline of 600000, and means ten minutes.
fn time_left(deadline: u64, now: SystemTime) -> Duration {
    const FIRST_DATE: u64 = 1_000_000_000_000;
    let deadline_or_time = Duration::from_millis(deadline);
    if deadline < FIRST_DATE {
        return deadline_or_time;
    }
    let now = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    deadline_or_time.saturating_sub(now)
}

/// The part of the time left that is kept for the report, when every line may have to be written at once: a second, and
/// a millisecond for each entry, at the smallest memory's share of a processor. It is at least a two-hundredth of the
/// time, for what patterns find, and at most a fifth.
fn time_to_report(left: Duration, entries: usize) -> Duration {
    let lines = u32::try_from(entries).unwrap_or(u32::MAX);
    let wanted = Duration::from_secs(1) + Duration::from_millis(1).saturating_mul(lines);
    wanted.max(left / 200).min(left / 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_counted_from_now() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        assert_eq!(time_left(1_800_000_900_000, now), Duration::from_secs(900));
        assert_eq!(time_left(1_799_999_999_000, now), Duration::ZERO);
        assert_eq!(time_left(600_000, now), Duration::from_secs(600));
    }

    #[test]
    fn the_report_gets_a_second_and_at_most_a_fifth_of_the_time() {
        assert_eq!(
            time_to_report(Duration::from_secs(60), 0),
            Duration::from_secs(1)
        );
        assert_eq!(
            time_to_report(Duration::from_secs(900), 0),
            Duration::from_millis(4500)
        );
        assert_eq!(
            time_to_report(Duration::from_secs(900), 10_000),
            Duration::from_secs(11)
        );
        assert_eq!(
            time_to_report(Duration::from_secs(2), 1),
            Duration::from_millis(400)
        );
    }
}
