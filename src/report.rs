//! What came of a run: the answer, the error and the log lines.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::arn::ModelArn;
use crate::aws::{CallError, Observation, Status};
use crate::excerpt::{cut, one_line};

/// The most bytes of the error's sentence. Lambda passes it on whole, but not every destination does.
const LONGEST_SENTENCE: usize = 8 * 1024;

/// The most bytes of an entry, which is what an ARN may have, and of a reason in the sentence.
const LONGEST_ENTRY: usize = 2048;
const LONGEST_REASON: usize = 512;
/// The most bytes of a code. The service's longest has 40.
const LONGEST_CODE: usize = 128;
/// The most bytes of a reason in the log.
const LONGEST_LOGGED_REASON: usize = 8 * 1024;

/// The most bytes of the answer. Lambda takes 6 MB and makes an error of more, so that a good run would be a failed one.
const LARGEST_ANSWER: usize = 6_000_000;
/// What of that is kept for all but the models.
const SUMMARY_SIZE: usize = 1_000;

/// What came of one model, or of an entry that stands for none.
#[derive(Clone, Debug)]
pub struct ModelReport {
    /// The model's ARN; of an entry that failed as a whole, the entry as it was written.
    pub model_arn: Arc<str>,
    /// What came of it.
    pub outcome: Outcome,
    /// The service's last word on it, if it said anything.
    pub status: Option<Status>,
    /// `MinInferenceUnits`, as far as a description was read.
    pub inference_units: Option<u32>,
}

/// What came of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its stop was accepted, now or shortly before, and it was seen stopped.
    Stopped,
    /// Its stop was accepted, and nobody waited for more.
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
    /// It may be running.
    Failed(Failure),
}

impl Outcome {
    /// The outcome's name in the answer and in the log.
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
}

/// Why a model may still be running.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The service's code, or one of this function's own.
    pub code: Cow<'static, str>,
    /// What happened, in words.
    pub message: String,
}

impl Failure {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
        }
    }

    /// Says also what the last attempt failed with, if one did.
    pub(crate) fn after(mut self, last_failure: Option<String>) -> Self {
        if let Some(last_failure) = last_failure {
            self.message = format!(
                "{}; the last look failed with: {last_failure}",
                self.message
            );
        }
        self
    }

    /// Says first what the failure means for the model.
    pub(crate) fn explain(mut self, meaning: &str) -> Self {
        self.message = format!("{meaning}: {}", self.message);
        self
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused { code, message } => Self {
                code: code.into(),
                message,
            },
            CallError::NotSent { code, message } => Self::new(code, message),
            CallError::Unclear { message } => Self::new("UnexpectedAnswer", message),
            CallError::Panicked => Self::new(
                "Panicked",
                "a fault in this program, of which the line `panic` in the log says more",
            ),
            CallError::OutOfTime {
                last_failure: Some(last_failure),
            } => Self::new(
                "DeadlineExceeded",
                format!(
                    "it was still being tried again when time ran out, the last time after: {last_failure}"
                ),
            ),
            CallError::OutOfTime { last_failure: None } => Self::new(
                "DeadlineExceeded",
                "it was not reached, or not answered, before time ran out",
            ),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl ModelReport {
    /// The report of a model, with the service's last word on it.
    pub(crate) fn of(model_arn: &ModelArn, outcome: Outcome, seen: Option<Observation>) -> Self {
        Self {
            model_arn: model_arn.as_str().into(),
            outcome,
            inference_units: seen.as_ref().and_then(|seen| seen.inference_units),
            status: seen.map(|seen| seen.status),
        }
    }

    /// The report of a model of which nothing else is known, or of an entry that failed as a whole.
    pub(crate) fn failed(text: &str, failure: Failure) -> Self {
        Self {
            model_arn: cut(text, LONGEST_ENTRY).into(),
            outcome: Outcome::Failed(failure),
            status: None,
            inference_units: None,
        }
    }

    fn status(&self) -> Option<&str> {
        self.status.as_ref().map(Status::as_str)
    }

    /// Writes the model's line to the log.
    pub(crate) fn log(&self, request_id: &str) {
        let outcome = self.outcome.name();
        let (model_arn, status) = (&*self.model_arn, self.status());
        match &self.outcome {
            Outcome::Failed(failure) => tracing::error!(
                requestId = request_id,
                model_arn,
                outcome,
                status,
                code = &*cut(&failure.code, LONGEST_CODE),
                error = &*cut(&failure.message, LONGEST_LOGGED_REASON),
                "model"
            ),
            Outcome::Kept { reason } => tracing::info!(
                requestId = request_id,
                model_arn,
                outcome,
                status,
                reason,
                "model"
            ),
            _ => tracing::info!(requestId = request_id, model_arn, outcome, status, "model"),
        }
    }
}

impl Serialize for ModelReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("ModelReport", 6)?;
        fields.serialize_field("model_arn", &*self.model_arn)?;
        fields.serialize_field("outcome", self.outcome.name())?;
        if let Some(status) = self.status() {
            fields.serialize_field("status", status)?;
        }
        match &self.outcome {
            Outcome::Kept { reason } => fields.serialize_field("reason", reason)?,
            Outcome::Failed(failure) => {
                fields.serialize_field("code", &failure.code)?;
                fields.serialize_field("message", &failure.message)?;
            }
            _ => {}
        }
        fields.end()
    }
}

/// What came of a run.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    /// The run in numbers.
    pub summary: Summary,
    /// Every model, in the order of the request; those of a pattern by their ARNs.
    pub models: Vec<ModelReport>,
    /// How many of them are left out at the end, where the answer would be larger than Lambda takes.
    #[serde(skip_serializing_if = "is_zero")]
    pub models_left_out: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A run in numbers. All but the last are counts, and those of the outcomes add up to `models`.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Summary {
    /// All models, and entries that stand for none.
    pub models: usize,
    /// Stopped, and seen so.
    pub stopped: usize,
    /// Their stop was accepted.
    pub stopping: usize,
    /// Were not running.
    pub already_stopped: usize,
    /// Kept running by their tag.
    pub kept: usize,
    /// Would be stopped by a run that is not dry.
    pub would_stop: usize,
    /// May be running.
    pub failed: usize,
    /// The inference units of those that were stopped, are stopping or would be stopped.
    pub inference_units_stopped: u64,
    /// What these cost an hour, where a price is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_savings_per_hour: Option<f64>,
}

impl Report {
    /// The report of these models, with the price of an inference unit hour if there is one.
    pub(crate) fn new(models: Vec<ModelReport>, inference_unit_hour_price: Option<f64>) -> Self {
        let mut summary = Summary {
            models: models.len(),
            ..Summary::default()
        };
        for model in &models {
            let stopped = match model.outcome {
                Outcome::Stopped => &mut summary.stopped,
                Outcome::Stopping => &mut summary.stopping,
                Outcome::WouldStop => &mut summary.would_stop,
                Outcome::AlreadyStopped => {
                    summary.already_stopped += 1;
                    continue;
                }
                Outcome::Kept { .. } => {
                    summary.kept += 1;
                    continue;
                }
                Outcome::Failed(_) => {
                    summary.failed += 1;
                    continue;
                }
            };
            *stopped += 1;
            summary.inference_units_stopped += u64::from(model.inference_units.unwrap_or_default());
        }
        summary.estimated_savings_per_hour =
            inference_unit_hour_price.map(|price| savings(price, summary.inference_units_stopped));
        Self {
            summary,
            models,
            models_left_out: 0,
        }
    }

    /// Whether nothing that was asked for may still be running.
    pub fn is_good(&self) -> bool {
        self.summary.failed == 0
    }

    /// Leaves out the models at the end that an answer of Lambda has no room for.
    pub(crate) fn fit_answer(&mut self) {
        self.fit(LARGEST_ANSWER);
    }

    fn fit(&mut self, most: usize) {
        let mut size = SUMMARY_SIZE;
        let first_without_room = self.models.iter().position(|model| {
            size += serde_json::to_string(model).map_or(0, |json| json.len()) + ",".len();
            size > most
        });
        if let Some(first) = first_without_room {
            self.models_left_out = self.models.len() - first;
            self.models.truncate(first);
        }
    }

    /// Writes the run's line to the log.
    pub(crate) fn log(&self, request_id: &str, duration: Duration) {
        // One call site for both levels would need the level at compile time.
        macro_rules! run {
            ($level:ident) => {
                tracing::$level!(
                    requestId = request_id,
                    models = self.summary.models,
                    stopped = self.summary.stopped,
                    stopping = self.summary.stopping,
                    already_stopped = self.summary.already_stopped,
                    kept = self.summary.kept,
                    would_stop = self.summary.would_stop,
                    failed = self.summary.failed,
                    inference_units_stopped = self.summary.inference_units_stopped,
                    estimated_savings_per_hour = self.summary.estimated_savings_per_hour,
                    duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
                    "run"
                )
            };
        }
        if self.is_good() {
            run!(info);
        } else {
            run!(error);
        }
    }
}

/// The sentence of a run that is not good: how many models were not stopped, which, and why.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sentence = format!(
            "{} of {} models were not stopped",
            self.summary.failed, self.summary.models
        );
        let mut left = self.summary.failed;
        for model in &self.models {
            let Outcome::Failed(failure) = &model.outcome else {
                continue;
            };
            let separator = if left == self.summary.failed {
                ": "
            } else {
                "; "
            };
            let part = format!(
                "{separator}{} ({}: {})",
                cut(&one_line(&model.model_arn), LONGEST_ENTRY),
                cut(&one_line(&failure.code), LONGEST_CODE),
                cut(&one_line(&failure.message), LONGEST_REASON)
            );
            let room_for_the_rest = "; and 10000 more".len();
            if sentence.len() + part.len() + room_for_the_rest > LONGEST_SENTENCE {
                write!(sentence, "{separator}and {left} more")?;
                break;
            }
            sentence.push_str(&part);
            left -= 1;
        }
        f.write_str(&sentence)
    }
}

/// The cost of inference units an hour, without the noise that binary fractions add to a price.
fn savings(price: f64, inference_units: u64) -> f64 {
    const PARTS: f64 = 1e6;
    // Units are counted in hundreds at most, which a float holds exactly.
    let cost = price * inference_units as f64;
    (cost * PARTS).round() / PARTS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str, outcome: Outcome, inference_units: Option<u32>) -> ModelReport {
        ModelReport {
            model_arn: name.into(),
            outcome,
            status: Some(Status::new("STOPPED")),
            inference_units,
        }
    }

    fn failed(name: &str) -> ModelReport {
        let failure = Failure::new("StillStarting", "it was STARTING up to the deadline");
        model(name, Outcome::Failed(failure), None)
    }

    #[test]
    fn the_summary_adds_up() {
        let kept = Outcome::Kept {
            reason: "tag keep-running=true".to_owned(),
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
            Some(0.1),
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(
            json["summary"],
            serde_json::json!({
                "models": 6, "stopped": 1, "stopping": 1, "already_stopped": 1, "kept": 1, "would_stop": 1,
                "failed": 1, "inference_units_stopped": 3, "estimated_savings_per_hour": 0.3
            })
        );
        assert_eq!(
            json["models"][0],
            serde_json::json!({"model_arn": "a", "outcome": "stopped", "status": "STOPPED"})
        );
        assert_eq!(json["models"][3]["reason"], "tag keep-running=true");
        assert_eq!(json["models"][5]["code"], "StillStarting");
        assert_eq!(
            json["models"][5]["message"],
            "it was STARTING up to the deadline"
        );
    }

    #[test]
    fn an_answer_that_lambda_would_not_take_leaves_out_the_last_models() {
        let models = vec![model(&"é\n".repeat(100), Outcome::Stopped, Some(1)); 100];
        let mut report = Report::new(models, Some(1.0));
        let whole = serde_json::to_string(&report).unwrap();
        report.fit(whole.len() + SUMMARY_SIZE);
        assert_eq!(serde_json::to_string(&report).unwrap(), whole);
        assert!(!whole.contains("models_left_out"));

        let most = whole.len() / 2 + SUMMARY_SIZE;
        report.fit(most);
        let json = serde_json::to_value(&report).unwrap();
        let named = json["models"].as_array().unwrap().len();
        assert!((40..60).contains(&named), "{named}");
        assert_eq!(json["models_left_out"], 100 - named);
        assert_eq!(json["summary"]["models"], 100);
        assert!(json.to_string().len() <= most);
    }

    #[test]
    fn what_somebody_wrote_stays_in_the_sentences_one_line() {
        let report = Report::new(vec![failed("a\nERROR b")], None);
        assert!(
            report.to_string().contains(": a\\nERROR b (StillStarting"),
            "{report}"
        );
    }

    #[test]
    fn without_a_price_no_figure_is_made_up() {
        let report = Report::new(vec![model("a", Outcome::Stopped, Some(2))], None);
        let json = serde_json::to_value(&report).unwrap();
        assert!(json["summary"].get("estimated_savings_per_hour").is_none());
    }

    #[test]
    fn the_sentence_names_every_model_that_was_not_stopped() {
        let report = Report::new(
            vec![failed("a"), model("b", Outcome::Stopped, None), failed("c")],
            None,
        );
        assert_eq!(
            report.to_string(),
            "2 of 3 models were not stopped: a (StillStarting: it was STARTING up to the deadline); \
             c (StillStarting: it was STARTING up to the deadline)"
        );
    }

    #[test]
    fn a_long_sentence_is_cut_and_says_how_many_it_leaves_out() {
        let report = Report::new(vec![failed(&"a".repeat(100)); 1000], None);
        let sentence = report.to_string();
        assert!(sentence.len() <= LONGEST_SENTENCE);
        let named = sentence.matches("StillStarting").count();
        assert!(
            sentence.ends_with(&format!("; and {} more", 1000 - named)),
            "{sentence}"
        );
    }

    #[test]
    fn an_entry_of_any_length_hides_no_other() {
        for (entry, cut) in [
            ("é", "ééé... (StillStarting"),
            ("\u{1}", "\\u{... (StillStarting"),
        ] {
            let report = Report::new(vec![failed(&entry.repeat(9000)), failed("b")], None);
            let sentence = report.to_string();
            assert!(sentence.len() <= LONGEST_SENTENCE);
            assert!(sentence.contains(cut), "{sentence}");
            assert!(sentence.contains("; b (StillStarting"), "{sentence}");
        }
    }
}
