//! One model: from what is known of it to what is next.
//!
//! [`Model::next`] is the table. What is known is always the service's own word: its answer to a
//! stop, the list that a pattern found the model in, or a look at it.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use crate::aws::{CallError, Observation, Phase, Status};
use crate::exemption::Exemption;
use crate::report::{Failure, Outcome};

/// The longest pause before the next stop of a model that runs and yet could not be stopped.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What is to be done with all models of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Look, but stop nothing.
    pub(super) dry_run: bool,
    /// Wait until a model is seen stopped.
    pub(super) confirm_stopped: bool,
}

/// What is to be done next with one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Read the tag that may exempt it.
    ReadTag,
    /// Stop it, after a pause.
    Stop(Duration),
    /// Look at it now.
    Look,
    /// Look at it when it may have changed.
    WaitForChange,
    /// Nothing.
    Done(Outcome),
}

/// What is known of one model.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// Whether the tag that may exempt it is yet to be read.
    tag_is_unread: bool,
    /// The service's last word on it.
    seen: Option<Observation>,
    /// Whether what was seen last is out of date: a stop may or may not have had its effect.
    is_in_doubt: bool,
    /// Whether a stop of it was accepted, by this run or shortly before.
    is_accepted: bool,
    /// Why its last stop was not accepted.
    refusal: Option<String>,
    /// How many of its stops in a row were not accepted.
    refusals: u32,
    outcome: Option<Outcome>,
}

impl Model {
    /// A model that is named by its own ARN.
    pub(super) fn named() -> Self {
        Self::default()
    }

    /// A model that a pattern found, as the list showed it; `may_be_exempt` where tags can exempt it.
    pub(super) fn found(observation: Observation, may_be_exempt: bool) -> Self {
        Self {
            tag_is_unread: may_be_exempt,
            is_accepted: observation.status.phase() == Phase::Stopping,
            seen: Some(observation),
            ..Self::default()
        }
    }

    /// What is to be done next.
    pub(super) fn next(&self, rules: Rules) -> Next {
        if let Some(outcome) = &self.outcome {
            return Next::Done(outcome.clone());
        }
        if self.tag_is_unread {
            return Next::ReadTag;
        }
        if self.is_in_doubt {
            return Next::Look;
        }
        match (self.phase(), rules.dry_run) {
            (None, true) => Next::Look,
            (None, false) => Next::Stop(Duration::ZERO),
            (Some(Phase::Unknown), _) => Next::Done(self.unexpected_status()),
            (Some(Phase::NotRunning), _) if self.is_accepted => Next::Done(Outcome::Stopped),
            (Some(Phase::NotRunning), _) => Next::Done(Outcome::AlreadyStopped),
            (Some(_), true) => Next::Done(Outcome::WouldStop),
            (Some(Phase::Running), false) => Next::Stop(self.pause()),
            (Some(Phase::Starting), false) => Next::WaitForChange,
            (Some(Phase::Stopping), false) if rules.confirm_stopped => Next::WaitForChange,
            (Some(Phase::Stopping), false) => Next::Done(Outcome::Stopping),
        }
    }

    /// The pause before the next stop of a model that the service refused to stop and yet says is
    /// running. The first time there is none: most likely it has just started.
    fn pause(&self) -> Duration {
        match self.refusals.checked_sub(2) {
            Some(exponent) => Duration::from_secs(1 << exponent.min(5)).min(LONGEST_PAUSE),
            None => Duration::ZERO,
        }
    }

    /// Takes the value of the tag with this key, or the news that there is none. Says whether the
    /// value is one that nothing is known about.
    pub(super) fn tagged(
        &mut self,
        key: &str,
        value: Result<Option<String>, CallError>,
        now: OffsetDateTime,
    ) -> Exemption {
        self.tag_is_unread = false;
        let value = match value {
            Ok(value) => value,
            Err(error) => {
                let failure = Failure::from(error)
                    .explain("its tags could not be read, so it was left alone");
                self.outcome = Some(Outcome::Failed(failure));
                return Exemption::None;
            }
        };
        let exemption = value
            .as_deref()
            .map_or(Exemption::None, |value| Exemption::read(value, now));
        if exemption != Exemption::None {
            let reason = format!("tag {key}={}", value.unwrap_or_default());
            self.outcome = Some(Outcome::Kept { reason });
        }
        exemption
    }

    /// The tag that it is kept for, if it is.
    pub(super) fn kept_reason(&self) -> Option<&str> {
        match &self.outcome {
            Some(Outcome::Kept { reason }) => Some(reason),
            _ => None,
        }
    }

    /// Takes the answer to a stop.
    pub(super) fn stopped(&mut self, answer: Result<Option<Status>, CallError>) {
        match answer {
            Ok(Some(status)) if status.phase() == Phase::Stopping => {
                self.refusal = None;
                self.refusals = 0;
                self.see(Observation {
                    status,
                    inference_units: None,
                    at: Instant::now(),
                });
                return;
            }
            Ok(status) => {
                self.is_accepted = true;
                let status = status.as_ref().map_or("", Status::as_str);
                self.refusal = Some(format!(
                    "StopProjectVersion was answered with the status `{status}`"
                ));
            }
            Err(error) if error.leaves_doubt() => {
                self.refusal = Some(Failure::from(error).to_string());
            }
            Err(error) => return self.fail(error),
        }
        self.refusals += 1;
        self.is_in_doubt = true;
    }

    /// Takes what a look has shown. Says whether that is news.
    pub(super) fn looked(&mut self, answer: Result<Observation, CallError>) -> bool {
        match answer {
            Ok(observation) => {
                let before = self.seen.as_ref().map(|seen| &seen.status);
                let is_news = before != Some(&observation.status);
                self.is_in_doubt = false;
                self.see(observation);
                is_news
            }
            Err(error) => {
                self.fail(error);
                true
            }
        }
    }

    /// The outcome of a model that time ran out for, with what the last call for it failed with.
    pub(super) fn out_of_time(&mut self, last_failure: Option<String>) -> Outcome {
        let error = CallError::OutOfTime { last_failure };
        if self.tag_is_unread {
            let failure =
                Failure::from(error).explain("its tags could not be read, so it was left alone");
            return Outcome::Failed(failure);
        }
        Outcome::Failed(self.failure(error))
    }

    /// The service's last word on it.
    pub(super) fn into_seen(self) -> Option<Observation> {
        self.seen
    }

    fn phase(&self) -> Option<Phase> {
        self.seen.as_ref().map(|seen| seen.status.phase())
    }

    /// Notes the service's last word. What it has said of the inference units holds until it says
    /// something else.
    fn see(&mut self, observation: Observation) {
        let known = self.seen.take().and_then(|seen| seen.inference_units);
        self.is_accepted |= observation.status.phase() == Phase::Stopping;
        self.seen = Some(Observation {
            inference_units: observation.inference_units.or(known),
            ..observation
        });
    }

    fn fail(&mut self, error: CallError) {
        self.outcome = Some(Outcome::Failed(self.failure(error)));
    }

    /// What the error of a call for it means.
    fn failure(&self, error: CallError) -> Failure {
        let phase = self.phase();
        let last_failure = match error {
            CallError::OutOfTime { last_failure } => last_failure,
            error if phase == Some(Phase::Stopping) => {
                return Failure::from(error)
                    .explain("its stop was accepted, but it could not be seen stopped");
            }
            error => return Failure::from(error),
        };
        match (phase, &self.seen) {
            (Some(Phase::Starting), Some(seen)) => {
                Failure::still_starting(seen.at.elapsed()).after(last_failure)
            }
            (Some(Phase::Stopping), Some(seen)) => {
                Failure::not_confirmed(seen.at.elapsed()).after(last_failure)
            }
            _ => {
                let last_failure = last_failure.or_else(|| self.refusal.clone());
                let failure = Failure::from(CallError::OutOfTime { last_failure });
                if self.is_accepted && phase == Some(Phase::Running) {
                    failure.explain("its stop was accepted, and then it was running")
                } else {
                    failure
                }
            }
        }
    }

    fn unexpected_status(&self) -> Outcome {
        let status = self.seen.as_ref().map_or("", |seen| seen.status.as_str());
        Outcome::Failed(Failure::unexpected_status(status))
    }
}
