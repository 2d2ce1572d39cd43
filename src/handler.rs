//! One invocation: event in, report or error out.

use std::time::{Duration, SystemTime};

use lambda_runtime::{Context, LambdaEvent};
use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::aws::Aws;
pub use crate::error::Error;
use crate::metrics;
use crate::report::{LARGEST_RESPONSE, Report};
use crate::request::{Payload, Request};
use crate::run::{Assignment, Plan, Run};
use crate::settings::Settings;
use crate::text;

/// The function: its settings, the services that it calls, and where its metrics go. There is one
/// per process.
pub struct Handler {
    settings: Result<Settings, Error>,
    aws: Aws,
    write_metrics: Box<dyn Fn(&str) + Send + Sync>,
}

/// One invocation as a run sees it.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Lambda's request ID, which is in every log line of the run.
    pub request_id: String,
    /// The function's name, which is the dimension of its metrics.
    pub function_name: String,
    /// The ARN by which the function was invoked.
    pub function_arn: String,
    /// When Lambda ends the invocation, with or without a response.
    pub deadline: Instant,
}

impl Handler {
    /// Creates a handler with these settings, which writes the metric record of each run, a line,
    /// with `write_metrics`. Invalid settings are reported on every invocation.
    pub fn new(
        settings: Result<Settings, Error>,
        aws: Aws,
        write_metrics: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        Self {
            settings,
            aws,
            write_metrics: Box::new(write_metrics),
        }
    }

    /// Handles an event of the Lambda runtime: see [`Handler::invoke`].
    ///
    /// # Errors
    /// Those of [`Handler::invoke`].
    pub async fn handle(&self, event: LambdaEvent<Payload>) -> Result<Response, Error> {
        let (payload, context) = event.into_parts();
        self.invoke(payload, Invocation::from(context)).await
    }

    /// Stops the models that the event or the settings name, or plans to, and responds before the
    /// invocation's deadline.
    ///
    /// Every model and the run are logged, and the run's metrics are written.
    ///
    /// # Errors
    /// Invalid settings and invalid requests, before anything is called; a run after which a model
    /// may still be running; and a plan that could not be made.
    pub async fn invoke(
        &self,
        payload: Payload,
        invocation: Invocation,
    ) -> Result<Response, Error> {
        let start = Instant::now();
        let settings = self.settings.as_ref().map_err(Error::clone)?;
        let request = Request::read(&payload)?;
        drop(payload);
        let entries = match &request.entries {
            Some(entries) => entries,
            None if settings.model_arns.is_empty() => {
                return Err(Error::InvalidRequest(
                    "no models are named: the event has no `model_arns` and the environment \
                     variable MODEL_ARNS is not set; give a list of ARNs or patterns in one of them"
                        .to_owned(),
                ));
            }
            None => &settings.model_arns,
        };
        request.check(entries)?;
        let dry_run = request.dry_run.unwrap_or(settings.dry_run);
        if entries.is_empty() {
            tracing::warn!(
                requestId = invocation.request_id,
                "model_arns is empty: there is nothing to do"
            );
        }

        let assignment = Assignment {
            settings,
            entries,
            dry_run,
            accounts: request.accounts.as_deref(),
            own_account: invocation.function_arn.split(':').nth(4),
            request_id: &invocation.request_id,
            now: OffsetDateTime::from(SystemTime::now()),
        };
        let end = invocation.deadline;
        if let Some(accounts_per_run) = request.accounts_per_run {
            let plan = Run::plan(assignment, accounts_per_run, &self.aws, end).await;
            return plan.map(Response::Plan);
        }
        let mut report = Run::run(assignment, &self.aws, end).await;
        report.message = text::of(&report);
        let duration = start.elapsed();
        report.log(&invocation.request_id, duration);
        let is_of_configured_list = request.entries.is_none() && request.accounts.is_none();
        let name = &invocation.function_name;
        let record = metrics::record(name, &report, is_of_configured_list, duration);
        (self.write_metrics)(&record);
        if report.is_successful() {
            report.fit(LARGEST_RESPONSE);
            Ok(Response::Report(report))
        } else {
            Err(Error::NotAllStopped(report))
        }
    }
}

impl From<Context> for Invocation {
    fn from(context: Context) -> Self {
        let left = time_left(context.deadline, SystemTime::now());
        Self {
            request_id: context.request_id,
            function_name: context.env_config.function_name.clone(),
            function_arn: context.invoked_function_arn,
            deadline: Instant::now() + left,
        }
    }
}

/// The response of an invocation.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// The report of a run in which nothing failed.
    Report(Report),
    /// The runs that together make up the requested one.
    Plan(Plan),
}

/// The time until a deadline in milliseconds since 1970.
///
/// A number too small to be a date is taken as a duration: `cargo lambda watch` gives every
/// invocation a deadline of 600000, meaning ten minutes. A deadline farther away than any
/// invocation can have counts as a day.
fn time_left(deadline: u64, now: SystemTime) -> Duration {
    const FIRST_DATE: u64 = 1_000_000_000_000;
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let deadline_or_time = Duration::from_millis(deadline);
    let left = if deadline < FIRST_DATE {
        deadline_or_time
    } else {
        let now = now.duration_since(SystemTime::UNIX_EPOCH);
        deadline_or_time.saturating_sub(now.unwrap_or_default())
    };
    left.min(DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_is_measured_from_now() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        assert_eq!(time_left(1_800_000_900_000, now), Duration::from_secs(900));
        assert_eq!(time_left(1_799_999_999_000, now), Duration::ZERO);
        assert_eq!(time_left(600_000, now), Duration::from_secs(600));
        assert_eq!(time_left(u64::MAX, now), Duration::from_secs(86_400));
    }
}
