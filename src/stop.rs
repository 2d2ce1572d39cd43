//! One model: stopped, and seen stopped.
//!
//! A model's status decides what is done next, over and over, until it leaves nothing to do or the time is up.
//! The status is always the service's own word: from its answer to a stop, from the list that a pattern was found
//! in, or from a look at the model.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::arn::ModelArn;
use crate::rekognition::{CallError, Observed, Phase, Poller, Region, Status};
use crate::report::{Failure, ModelReport, Outcome};

/// The longest pause before a model is tried again that runs and yet could not be stopped.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What it takes to stop the models of one region.
pub(crate) struct Stopper<'a> {
    /// The calls.
    pub(crate) region: &'a Region,
    /// The looks.
    pub(crate) poller: Poller,
    /// Whether to wait until a model is seen stopped.
    pub(crate) confirm_stopped: bool,
    /// Whether to look only.
    pub(crate) dry_run: bool,
}

impl Stopper<'_> {
    /// Stops a model, of which a list may have shown something already, and tells what came of it.
    pub(crate) async fn stop(&self, model_arn: ModelArn, listed: Option<Observed>) -> ModelReport {
        let mut progress = Progress {
            seen: listed,
            accepted: false,
            refusal: None,
        };
        let outcome = if self.dry_run {
            self.look_only(&model_arn, &mut progress).await
        } else {
            self.see_stopped(&model_arn, &mut progress).await
        };
        ModelReport {
            model_arn: model_arn.as_str().into(),
            outcome,
            inference_units: progress.seen.as_ref().and_then(|seen| seen.inference_units),
            status: progress.seen.map(|seen| seen.status),
        }
    }

    /// The three steps: stop it; where that is not possible or not clear, see how it is; see it stopped.
    async fn see_stopped(&self, model_arn: &ModelArn, progress: &mut Progress) -> Outcome {
        let mut refusals = 0;
        loop {
            let seen = progress.seen.as_ref().map(|seen| &seen.status);
            let looked = match seen.map(|status| (status.phase(), status)) {
                None | Some((Phase::Running, _)) => {
                    self.pause_after(refusals).await;
                    match self.region.stop_project_version(model_arn).await {
                        Ok(Some(status)) if status.phase() == Phase::Stopping => {
                            progress.accepted(status);
                            refusals = 0;
                            continue;
                        }
                        Ok(status) => {
                            progress.accepted = true;
                            let status = status.as_ref().map_or("", Status::as_str);
                            progress.refusal = Some(format!(
                                "StopProjectVersion was answered with the status `{status}`"
                            ));
                        }
                        Err(error) if error.leaves_doubt() => {
                            progress.refusal = Some(Failure::from(error).to_string());
                        }
                        Err(error) => return progress.failed(error),
                    }
                    refusals += 1;
                    self.poller.look(model_arn).await
                }
                Some((Phase::Starting, known)) => {
                    self.poller.wait_for_change(model_arn, known).await
                }
                Some((Phase::Stopping, known)) => {
                    progress.accepted = true;
                    if !self.confirm_stopped {
                        return Outcome::Stopping;
                    }
                    self.poller.wait_for_change(model_arn, known).await
                }
                Some((Phase::NotRunning, _)) if progress.accepted => return Outcome::Stopped,
                Some((Phase::NotRunning, _)) => return Outcome::AlreadyStopped,
                Some((Phase::Unknown, _)) => return progress.unexpected_status(),
            };
            match looked {
                Ok(observed) => progress.see(observed),
                Err(error) => return progress.failed(error),
            }
        }
    }

    async fn look_only(&self, model_arn: &ModelArn, progress: &mut Progress) -> Outcome {
        if progress.seen.is_none() {
            match self.poller.look(model_arn).await {
                Ok(observed) => progress.seen = Some(observed),
                Err(error) => return progress.failed(error),
            }
        }
        match progress.phase() {
            Some(Phase::Starting | Phase::Running | Phase::Stopping) => Outcome::WouldStop,
            Some(Phase::NotRunning) => Outcome::AlreadyStopped,
            Some(Phase::Unknown) | None => progress.unexpected_status(),
        }
    }

    /// The pause before the next stop of a model that the service refused to stop and yet says is running. The
    /// first time there is none: it has most likely become so in between.
    async fn pause_after(&self, refusals: u32) {
        if refusals > 1 {
            let pause = Duration::from_secs(1 << (refusals - 2).min(5)).min(LONGEST_PAUSE);
            sleep_until(self.region.deadline().min(Instant::now() + pause)).await;
        }
    }
}

/// How far the stopping of one model has come.
struct Progress {
    /// The service's last word on it.
    seen: Option<Observed>,
    /// Whether a stop of it was accepted, by this run or shortly before.
    accepted: bool,
    /// Why the last stop of it was not accepted.
    refusal: Option<String>,
}

impl Progress {
    fn phase(&self) -> Option<Phase> {
        self.seen.as_ref().map(|seen| seen.status.phase())
    }

    fn accepted(&mut self, status: Status) {
        self.accepted = true;
        self.refusal = None;
        self.see(Observed {
            status,
            inference_units: None,
        });
    }

    /// Notes the service's last word. What it has said of the inference units holds until it says something else.
    fn see(&mut self, observed: Observed) {
        let known = self.seen.take().and_then(|seen| seen.inference_units);
        self.seen = Some(Observed {
            inference_units: observed.inference_units.or(known),
            ..observed
        });
    }

    fn failed(&self, error: CallError) -> Outcome {
        let awaited = self.phase() == Some(Phase::Stopping);
        let failure = match error {
            CallError::OutOfTime { last_failure } if self.phase() == Some(Phase::Starting) => {
                Failure::new("StillStarting", "it was STARTING up to the deadline")
                    .after(last_failure)
            }
            CallError::OutOfTime { last_failure } if awaited => Failure::new(
                "NotConfirmed",
                "its stop was accepted, but it was not seen stopped by the deadline",
            )
            .after(last_failure),
            CallError::OutOfTime { last_failure } => {
                let failure = Failure::from(CallError::OutOfTime {
                    last_failure: last_failure.or_else(|| self.refusal.clone()),
                });
                if self.accepted && self.phase() == Some(Phase::Running) {
                    failure.explain("its stop was accepted, and then it was running")
                } else {
                    failure
                }
            }
            error if awaited => Failure::from(error)
                .explain("its stop was accepted, but it could not be seen stopped"),
            error => Failure::from(error),
        };
        Outcome::Failed(failure)
    }

    fn unexpected_status(&self) -> Outcome {
        let status = self.seen.as_ref().map_or("", |seen| seen.status.as_str());
        Outcome::Failed(Failure::new(
            "UnexpectedStatus",
            format!("its status is `{status}`, of which it is not known whether it is billed"),
        ))
    }
}
