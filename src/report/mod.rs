//! The result of a run: the response, the error and the log lines.
//!
//! [`Outcome`] and [`ModelReport`] concern one model, [`FailedLookup`] a place that could not be
//! searched for models. [`Failure`] says why, [`Started`] who started a model, and [`Report`]
//! covers the whole run.

mod failure;
mod outcome;
mod started;

use std::time::Duration;

use serde::Serialize;

pub use crate::calls::response::InferenceUnits;
pub use crate::calls::status::{Phase, Status};
pub use failure::{Code, FailedLookup, Failure};
pub use outcome::{ModelReport, Outcome};
pub use started::Started;

/// The maximum size of the response, in bytes. Destinations and Step Functions carry 256 KB, with
/// what they add to it.
pub(crate) const LARGEST_RESPONSE: usize = 200_000;
/// How much of that is reserved for everything but the message, the models and the patterns.
const SUMMARY_SIZE: usize = 1_000;

/// The report of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The text of the run for people; if it failed, the error message.
    pub message: String,
    /// The totals of the run.
    pub summary: Summary,
    /// Every model, in the order of the request; those of a pattern in the order of their ARNs.
    pub models: Vec<ModelReport>,
    /// How many of them are left out at the end, if the response would be too large.
    #[serde(skip_serializing_if = "is_zero")]
    pub models_left_out: usize,
    /// The patterns that match no version anywhere, in any status.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unmatched_patterns: Vec<String>,
    /// How many of them are left out, for the same reason.
    #[serde(skip_serializing_if = "is_zero")]
    pub unmatched_patterns_left_out: usize,
    /// The lookups that failed, in the order of the request and then of their patterns. There are
    /// none in a response.
    #[serde(skip)]
    pub lookups: Vec<FailedLookup>,
    /// Whether it was a dry run.
    #[serde(skip)]
    pub(crate) dry_run: bool,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The totals of a run. All but the last are counts, and the counts of the outcomes add up to
/// `models`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The accounts that the entries lead to.
    pub accounts: usize,
    /// All models, and all invalid entries.
    pub models: usize,
    /// Stopped, as the service has confirmed.
    pub stopped: usize,
    /// Stop accepted, but not confirmed.
    pub stopping: usize,
    /// Not running in the first place.
    pub already_stopped: usize,
    /// Kept running by their tag.
    pub kept: usize,
    /// Would be stopped if this were not a dry run.
    pub would_stop: usize,
    /// May still be running.
    pub failed: usize,
    /// The lookups that failed, which may hide running models.
    pub failed_lookups: usize,
    /// The inference units of the models that are stopped, stopping or would be stopped: the least
    /// that is billed for them.
    pub inference_units_stopped: u64,
    /// What these cost per hour, if a price is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_savings_per_hour: Option<f64>,
}

impl Report {
    /// The report of these models, lookups and patterns in this many accounts, with the price of an
    /// inference unit hour if one is set. Its message has yet to be written.
    pub(crate) fn new(
        models: Vec<ModelReport>,
        lookups: Vec<FailedLookup>,
        unmatched_patterns: Vec<String>,
        accounts: usize,
        dry_run: bool,
        inference_unit_hour_price: Option<f64>,
    ) -> Self {
        let mut summary = Summary {
            accounts,
            models: models.len(),
            failed_lookups: lookups.len(),
            ..Summary::default()
        };
        for model in &models {
            let count = match model.outcome {
                Outcome::Stopped => &mut summary.stopped,
                Outcome::Stopping => &mut summary.stopping,
                Outcome::AlreadyStopped => &mut summary.already_stopped,
                Outcome::Kept { .. } => &mut summary.kept,
                Outcome::WouldStop => &mut summary.would_stop,
                Outcome::Failed(_) => &mut summary.failed,
            };
            *count += 1;
            if let (true, Some(units)) = (model.outcome.saves_units(), model.inference_units) {
                summary.inference_units_stopped += u64::from(units.min);
            }
        }
        // There are a few hundred units at most, which a float represents exactly.
        let units = summary.inference_units_stopped as f64;
        // Rounded to remove the noise of binary fractions.
        let savings = |price: f64| (price * units * 1e6).round() / 1e6;
        summary.estimated_savings_per_hour = inference_unit_hour_price.map(savings);
        Self {
            message: String::new(),
            summary,
            models,
            models_left_out: 0,
            lookups,
            unmatched_patterns,
            unmatched_patterns_left_out: 0,
            dry_run,
        }
    }

    /// Whether the run was successful: no model that it was asked to stop may still be running.
    pub fn is_successful(&self) -> bool {
        self.summary.failed == 0 && self.summary.failed_lookups == 0
    }

    /// Leaves out the models at the end that do not fit into a response of at most this many bytes,
    /// and then the patterns that do not fit beside the models.
    pub(crate) fn fit(&mut self, most: usize) {
        let mut room = most.saturating_sub(SUMMARY_SIZE + self.message.len());
        self.models_left_out = leave_out(&mut self.models, &mut room);
        self.unmatched_patterns_left_out = leave_out(&mut self.unmatched_patterns, &mut room);
    }

    /// Writes the run's line to the log.
    pub(crate) fn log(&self, request_id: &str, duration: Duration) {
        // A tracing call site needs its level at compile time, so there are two.
        macro_rules! run {
            ($level:ident) => {
                tracing::$level!(
                    requestId = request_id,
                    accounts = self.summary.accounts,
                    models = self.summary.models,
                    stopped = self.summary.stopped,
                    stopping = self.summary.stopping,
                    already_stopped = self.summary.already_stopped,
                    kept = self.summary.kept,
                    would_stop = self.summary.would_stop,
                    failed = self.summary.failed,
                    failed_lookups = self.summary.failed_lookups,
                    inference_units_stopped = self.summary.inference_units_stopped,
                    estimated_savings_per_hour = self.summary.estimated_savings_per_hour,
                    duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
                    "run"
                )
            };
        }
        if self.is_successful() {
            run!(info);
        } else {
            run!(error);
        }
    }
}

/// Leaves out the items at the end for which, as JSON, there is no room, and returns how many.
/// Subtracts the size of the others from the room.
fn leave_out<T: Serialize>(items: &mut Vec<T>, room: &mut usize) -> usize {
    let first_without_room = items.iter().position(|item| {
        let size = serde_json::to_string(item).map_or(0, |json| json.len()) + ",".len();
        let rest = room.checked_sub(size);
        *room = rest.unwrap_or_default();
        rest.is_none()
    });
    let first_without_room = first_without_room.unwrap_or(items.len());
    let left_out = items.len() - first_without_room;
    items.truncate(first_without_room);
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(models: Vec<ModelReport>) -> Report {
        Report::new(models, Vec::new(), Vec::new(), 1, false, None)
    }

    fn model(name: &str, outcome: Outcome, units: Option<u32>) -> ModelReport {
        ModelReport {
            model_arn: name.into(),
            outcome,
            status: Some(Status::new("STOPPED")),
            inference_units: units.map(|min| InferenceUnits { min, max: None }),
            started: Started::default(),
        }
    }

    fn failed(name: &str) -> ModelReport {
        let failure = Failure::still_starting(Duration::from_secs(5));
        model(name, Outcome::Failed(failure), None)
    }

    #[test]
    fn the_summary_adds_up() {
        let kept = Outcome::Kept {
            reason: "tag keep-running=true".to_owned(),
        };
        let lookup = FailedLookup {
            pattern: "p".to_owned(),
            failure: Failure::new(Code::Panicked, "a bug"),
            entry: 6,
            account: None,
            region: None,
        };
        let report = Report::new(
            vec![
                model("a", Outcome::Stopped, Some(2)),
                model("b", Outcome::Stopping, None),
                model("c", Outcome::AlreadyStopped, Some(5)),
                model("d", kept, Some(7)),
                model("e", Outcome::WouldStop, Some(1)),
                failed("f"),
            ],
            vec![lookup],
            vec!["p".to_owned()],
            3,
            false,
            Some(0.1),
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            json["summary"],
            serde_json::json!({
                "accounts": 3, "models": 6, "stopped": 1, "stopping": 1, "already_stopped": 1,
                "kept": 1, "would_stop": 1, "failed": 1, "failed_lookups": 1,
                "inference_units_stopped": 3,
                "estimated_savings_per_hour": 0.3
            })
        );
        assert_eq!(json["unmatched_patterns"], serde_json::json!(["p"]));
        assert!(json.get("lookups").is_none());
        assert_eq!(
            json["models"][0],
            serde_json::json!({"model_arn": "a", "outcome": "stopped", "status": "STOPPED"})
        );
        assert_eq!(json["models"][3]["reason"], "tag keep-running=true");
        assert_eq!(json["models"][5]["code"], "StillStarting");
        assert_eq!(
            json["models"][5]["error"],
            "it was STARTING when it was last seen, 5 s before the deadline; a retry stops it"
        );
    }

    #[test]
    fn a_response_that_is_too_large_leaves_out_the_last_models_and_patterns() {
        let models = vec![model(&"é\n".repeat(100), Outcome::Stopped, Some(1)); 100];
        let patterns = vec!["p".repeat(100); 10];
        let whole = Report::new(models, Vec::new(), patterns, 1, false, Some(1.0));
        let json = serde_json::to_string(&whole).unwrap();
        let mut report = whole.clone();
        report.fit(json.len() + SUMMARY_SIZE);
        assert_eq!(serde_json::to_string(&report).unwrap(), json);
        assert!(!json.contains("left_out"));

        let named = |most: usize| {
            let mut report = whole.clone();
            report.fit(most);
            let json = serde_json::to_value(&report).unwrap();
            assert!(json.to_string().len() <= most);
            assert_eq!(json["summary"]["models"], 100);
            assert_eq!(report.models.len() + report.models_left_out, 100);
            assert_eq!(
                report.unmatched_patterns.len() + report.unmatched_patterns_left_out,
                10
            );
            (report.models.len(), report.unmatched_patterns.len())
        };
        let (models, patterns) = named(json.len() / 2 + SUMMARY_SIZE);
        assert!((40..60).contains(&models), "{models}");
        assert_eq!(patterns, 0);
        let (models, patterns) = named(json.len() + SUMMARY_SIZE - 500);
        assert_eq!(models, 100);
        assert!((1..10).contains(&patterns), "{patterns}");
    }

    #[test]
    fn without_a_price_no_figure_is_made_up() {
        let report = report(vec![model("a", Outcome::Stopped, Some(2))]);
        let json = serde_json::to_value(&report).unwrap();
        assert!(json["summary"].get("estimated_savings_per_hour").is_none());
        assert!(json.get("unmatched_patterns").is_none());
    }
}
