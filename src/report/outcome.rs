//! The outcome of one model, in the response and in the log.

use std::sync::Arc;

use serde::Serialize;

use super::failure::Failure;
use super::started::Started;
use crate::arn::ModelArn;
use crate::calls::response::{Description, InferenceUnits};
use crate::calls::status::Status;
use crate::excerpt::cut;

/// The maximum length of an entry, in bytes: no ARN is longer.
const LONGEST_ENTRY: usize = 2048;

/// The result for one model, or for an invalid entry.
#[derive(Clone, Debug, Serialize)]
pub struct ModelReport {
    /// The model's ARN; for an invalid entry, the entry as it was written.
    pub model_arn: Arc<str>,
    /// Its outcome.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// The last status that the service reported, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Its inference units, if a description was read.
    #[serde(skip)]
    pub inference_units: Option<InferenceUnits>,
    /// Its last start, as far as it is known.
    #[serde(flatten)]
    pub started: Started,
}

/// The outcome of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// Its stop was accepted, now or shortly before, and the service has confirmed that it stopped.
    Stopped,
    /// Its stop was accepted; `CONFIRM_STOPPED` is off.
    Stopping,
    /// It was not running; nothing was done.
    AlreadyStopped,
    /// A pattern matched it, and its tag exempts it.
    Kept {
        /// The tag, as `tag KEY=VALUE`.
        reason: String,
    },
    /// A dry run found it running, starting or stopping.
    WouldStop,
    /// It may still be running.
    Failed(Failure),
}

impl Outcome {
    /// The outcome's name in the response and in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Stopping => "stopping",
            Self::AlreadyStopped => "already_stopped",
            Self::Kept { .. } => "kept",
            Self::WouldStop => "would_stop",
            Self::Failed(_) => "failed",
        }
    }

    /// Whether it ends what is billed for the model, or would.
    pub(crate) fn saves_units(&self) -> bool {
        match self {
            Self::Stopped | Self::Stopping | Self::WouldStop => true,
            Self::AlreadyStopped | Self::Kept { .. } | Self::Failed(_) => false,
        }
    }

    /// Why the model was kept running.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Kept { reason } => Some(reason),
            Self::Stopped
            | Self::Stopping
            | Self::AlreadyStopped
            | Self::WouldStop
            | Self::Failed(_) => None,
        }
    }

    /// Why the model may still be running.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed(failure) => Some(failure),
            Self::Stopped
            | Self::Stopping
            | Self::AlreadyStopped
            | Self::Kept { .. }
            | Self::WouldStop => None,
        }
    }
}

impl ModelReport {
    /// The report of a model, with what the service last said about it.
    pub(crate) fn new(model_arn: &ModelArn, outcome: Outcome, seen: Option<Description>) -> Self {
        let said = seen.as_ref().and_then(|it| it.status_message.as_deref());
        let mut outcome = outcome;
        if let (Outcome::Failed(failure), Some(said)) = (&mut outcome, said) {
            failure.message = format!("{}; its status message: {said}", failure.message);
        }
        Self {
            model_arn: model_arn.as_str().into(),
            outcome,
            inference_units: seen.as_ref().and_then(|seen| seen.inference_units),
            status: seen.map(|seen| seen.status),
            started: Started::default(),
        }
    }

    /// The report of a model about which nothing else is known, or of an invalid entry.
    pub(crate) fn failed(text: &str, failure: Failure) -> Self {
        Self {
            model_arn: cut(text, LONGEST_ENTRY).into(),
            outcome: Outcome::Failed(failure),
            status: None,
            inference_units: None,
            started: Started::default(),
        }
    }

    /// Writes the model's line to the log.
    pub(crate) fn log(&self, request_id: &str) {
        let failure = self.outcome.failure();
        // A tracing call site needs its level at compile time, so there are two.
        macro_rules! model {
            ($level:ident) => {
                tracing::$level!(
                    requestId = request_id,
                    model_arn = &*self.model_arn,
                    outcome = self.outcome.name(),
                    status = self.status.as_ref().map(Status::as_str),
                    reason = self.outcome.reason(),
                    code = failure.map(|it| it.code.as_str()),
                    error = failure.map(Failure::logged_error).as_deref(),
                    started_at = self.started.started_at,
                    started_by = self.started.started_by,
                    hours_running = self.started.hours_running,
                    cost_so_far = self.started.cost_so_far,
                    "model"
                )
            };
        }
        match failure {
            Some(_) => model!(error),
            None => model!(info),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Code;

    #[test]
    fn only_the_error_of_a_failed_model_has_what_the_service_says_about_its_status() {
        let arn = "arn:aws:rekognition:us-east-1:123456789012:project/shelf/version/v1/1";
        let arn: ModelArn = arn.parse().unwrap();
        let report = |outcome, message: Option<&str>| {
            let seen = Description {
                status: Status::new("FAILED"),
                status_message: message.map(str::to_owned),
                inference_units: None,
            };
            ModelReport::new(&arn, outcome, Some(seen)).outcome
        };
        let failed = |error: &str| Outcome::Failed(Failure::new(Code::Panicked, error));
        let message = Some("no capacity");
        let said = failed("a bug; its status message: no capacity");
        assert_eq!(report(failed("a bug"), message), said);
        assert_eq!(report(failed("a bug"), None), failed("a bug"));
        assert_eq!(report(Outcome::Stopped, message), Outcome::Stopped);
    }
}
