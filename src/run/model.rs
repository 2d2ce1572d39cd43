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

    /// A model that a pattern found, as the list showed it; `may_be_exempt` where tags can exempt
    /// it.
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

    /// Takes the value of the tag with this key, or the news that there is none. Gives what it
    /// means; where it could not be read, the model has failed.
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
            (_, seen) => {
                let last_failure = last_failure.or_else(|| self.refusal.clone());
                let failure = Failure::from(CallError::OutOfTime { last_failure });
                let Some(seen) = seen.as_ref().filter(|_| phase == Some(Phase::Running)) else {
                    return failure;
                };
                let running = match self.is_accepted {
                    true => "its stop was accepted, and then it was running",
                    false => "it was running",
                };
                let ago = seen.at.elapsed().as_secs();
                failure.explain(&format!(
                    "{running} when it was last seen, {ago} s before the deadline"
                ))
            }
        }
    }

    fn unexpected_status(&self) -> Outcome {
        let status = self.seen.as_ref().map_or("", |seen| seen.status.as_str());
        Outcome::Failed(Failure::unexpected_status(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: Rules = Rules {
        dry_run: false,
        confirm_stopped: true,
    };
    const UNCONFIRMED: Rules = Rules {
        confirm_stopped: false,
        ..STOP
    };
    const DRY_RUN: Rules = Rules {
        dry_run: true,
        ..STOP
    };

    /// What a call for a model was answered with.
    #[derive(Clone, Copy)]
    enum Answer {
        /// A stop, with this status.
        Stop(&'static str),
        /// A stop, without a status.
        StopWithout,
        /// A stop that is refused with this code.
        StopRefused(&'static str),
        /// A stop whose response cannot be read.
        StopUnreadable,
        /// A look, with this status.
        Look(&'static str),
        /// A look that is refused with this code.
        LookRefused(&'static str),
        /// The tags: this one, or none.
        Tag(Option<&'static str>),
        /// The tags are refused with this code.
        TagRefused(&'static str),
    }
    use Answer::{
        Look, LookRefused, Stop, StopRefused, StopUnreadable, StopWithout, Tag, TagRefused,
    };

    fn observation(status: &str) -> Observation {
        Observation {
            status: Status::new(status),
            inference_units: None,
            at: Instant::now(),
        }
    }

    fn refused(code: &str) -> CallError {
        CallError::Refused {
            code: code.to_owned(),
            message: "by script".to_owned(),
        }
    }

    fn unreadable() -> CallError {
        CallError::Unclear {
            message: "garbage".to_owned(),
        }
    }

    fn named(answers: &[Answer]) -> Model {
        after(Model::named(), answers)
    }

    /// One that a pattern found in this status, where no tag exempts any.
    fn found(status: &str, answers: &[Answer]) -> Model {
        after(Model::found(observation(status), false), answers)
    }

    /// One that a pattern found in this status, and that a tag may exempt.
    fn tagged(status: &str, answers: &[Answer]) -> Model {
        after(Model::found(observation(status), true), answers)
    }

    fn after(mut model: Model, answers: &[Answer]) -> Model {
        for answer in answers {
            match *answer {
                Stop(status) => model.stopped(Ok(Some(Status::new(status)))),
                StopWithout => model.stopped(Ok(None)),
                StopRefused(code) => model.stopped(Err(refused(code))),
                StopUnreadable => model.stopped(Err(unreadable())),
                Look(status) => drop(model.looked(Ok(observation(status)))),
                LookRefused(code) => drop(model.looked(Err(refused(code)))),
                Tag(value) => {
                    let value = value.map(str::to_owned);
                    model.tagged("keep", Ok(value), OffsetDateTime::UNIX_EPOCH);
                }
                TagRefused(code) => {
                    model.tagged("keep", Err(refused(code)), OffsetDateTime::UNIX_EPOCH);
                }
            }
        }
        model
    }

    /// The last words of a row: what is next, or the outcome.
    fn text(next: &Next) -> String {
        match next {
            Next::ReadTag => "read the tag".to_owned(),
            Next::Stop(pause) if pause.is_zero() => "stop".to_owned(),
            Next::Stop(pause) => format!("stop in {pause:?}"),
            Next::Look => "look".to_owned(),
            Next::WaitForChange => "wait".to_owned(),
            Next::Done(Outcome::Failed(failure)) => failure.code.to_string(),
            Next::Done(outcome) => outcome.name().to_owned(),
        }
    }

    fn check(table: &[(Model, Rules, &str)]) {
        for (row, (model, rules, expected)) in table.iter().enumerate() {
            let next = text(&model.next(*rules));
            assert_eq!(next, *expected, "row {row}: {model:?}, {rules:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    #[rustfmt::skip]
    async fn a_model_that_is_named_is_stopped_and_what_it_says_decides() {
        check(&[
            (named(&[]), STOP, "stop"),
            (named(&[]), UNCONFIRMED, "stop"),
            // The stop is accepted.
            (named(&[Stop("STOPPING")]), STOP, "wait"),
            (named(&[Stop("STOPPING")]), UNCONFIRMED, "stopping"),
            (named(&[Stop("STOPPING"), Look("STOPPING")]), STOP, "wait"),
            (named(&[Stop("STOPPING"), Look("STOPPED")]), STOP, "stopped"),
            (named(&[Stop("STOPPING"), Look("FAILED")]), STOP, "stopped"),
            // It is answered with something else.
            (named(&[StopWithout]), STOP, "look"),
            (named(&[Stop("STOPPED")]), STOP, "look"),
            (named(&[Stop("RUNNING")]), STOP, "look"),
            (named(&[Stop("MELTING")]), UNCONFIRMED, "look"),
            (named(&[Stop("STOPPED"), Look("STOPPED")]), STOP, "stopped"),
            (named(&[StopUnreadable]), STOP, "look"),
            (named(&[StopUnreadable, Look("STOPPING")]), STOP, "wait"),
            (named(&[StopUnreadable, Look("STOPPED")]), STOP, "already_stopped"),
            (named(&[StopUnreadable, Look("RUNNING")]), STOP, "stop"),
            // It is refused.
            (named(&[StopRefused("ResourceInUseException")]), STOP, "look"),
            (named(&[StopRefused("ResourceInUseException")]), UNCONFIRMED, "look"),
            (named(&[StopRefused("AccessDeniedException")]), STOP, "AccessDeniedException"),
            (named(&[StopRefused("ResourceNotFoundException")]), STOP, "ResourceNotFoundException"),
            (named(&[StopRefused("InvalidParameterException")]), STOP, "InvalidParameterException"),
        ]);
    }

    #[tokio::test(start_paused = true)]
    #[rustfmt::skip]
    async fn a_stop_that_comes_at_the_wrong_time_is_settled_by_the_status() {
        let in_use = StopRefused("ResourceInUseException");
        check(&[
            (named(&[in_use, Look("STARTING")]), STOP, "wait"),
            (named(&[in_use, Look("STARTING")]), UNCONFIRMED, "wait"),
            (named(&[in_use, Look("STARTING"), Look("RUNNING")]), STOP, "stop"),
            (named(&[in_use, Look("STARTING"), Look("FAILED")]), STOP, "already_stopped"),
            (named(&[in_use, Look("STOPPING")]), STOP, "wait"),
            (named(&[in_use, Look("STOPPING")]), UNCONFIRMED, "stopping"),
            (named(&[in_use, Look("STOPPING"), Look("STOPPED")]), STOP, "stopped"),
            (named(&[in_use, Look("STOPPED")]), STOP, "already_stopped"),
            (named(&[in_use, Look("TRAINING_IN_PROGRESS")]), STOP, "already_stopped"),
            (named(&[in_use, Look("MELTING")]), STOP, "UnexpectedStatus"),
            (named(&[in_use, Look("")]), STOP, "UnexpectedStatus"),
            (named(&[in_use, LookRefused("AccessDeniedException")]), STOP, "AccessDeniedException"),
            (named(&[in_use, LookRefused("ResourceNotFoundException")]), STOP, "ResourceNotFoundException"),
        ]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_model_that_runs_and_cannot_be_stopped_is_stopped_after_growing_pauses() {
        let mut model = named(&[]);
        let pauses = (0..9).map(|_| {
            let in_use = [StopRefused("ResourceInUseException"), Look("RUNNING")];
            model = after(model.clone(), &in_use);
            text(&model.next(STOP))
        });
        let pauses = pauses.collect::<Vec<_>>();
        #[rustfmt::skip]
        assert_eq!(pauses, [
            "stop", "stop in 1s", "stop in 2s", "stop in 4s", "stop in 8s", "stop in 16s",
            "stop in 30s", "stop in 30s", "stop in 30s",
        ]);
        // An accepted stop begins anew.
        model = after(model, &[Stop("STOPPING"), Look("RUNNING")]);
        assert_eq!(text(&model.next(STOP)), "stop");
    }

    #[tokio::test(start_paused = true)]
    #[rustfmt::skip]
    async fn a_model_that_is_accepted_and_runs_again_is_stopped_again() {
        check(&[
            (named(&[Stop("STOPPING"), Look("RUNNING")]), STOP, "stop"),
            (named(&[Stop("STOPPING"), Look("RUNNING"), Stop("STOPPING")]), STOP, "wait"),
            (named(&[Stop("STOPPING"), Look("STARTING")]), STOP, "wait"),
            (named(&[Stop("STOPPING"), Look("STARTING"), Look("RUNNING")]), STOP, "stop"),
            (named(&[Stop("STOPPING"), Look("MELTING")]), STOP, "UnexpectedStatus"),
            (found("STOPPING", &[Look("RUNNING")]), STOP, "stop"),
        ]);
    }

    #[tokio::test(start_paused = true)]
    #[rustfmt::skip]
    async fn a_model_that_a_pattern_found_begins_where_the_list_showed_it() {
        check(&[
            (found("RUNNING", &[]), STOP, "stop"),
            (found("RUNNING", &[]), UNCONFIRMED, "stop"),
            (found("STARTING", &[]), STOP, "wait"),
            (found("STARTING", &[]), UNCONFIRMED, "wait"),
            (found("STOPPING", &[]), STOP, "wait"),
            (found("STOPPING", &[]), UNCONFIRMED, "stopping"),
            (found("STOPPING", &[Look("STOPPED")]), STOP, "stopped"),
            (found("MELTING", &[]), STOP, "UnexpectedStatus"),
            (found("RUNNING", &[StopRefused("ResourceInUseException")]), STOP, "look"),
            (found("RUNNING", &[StopRefused("ResourceInUseException"), Look("STOPPED")]), STOP, "already_stopped"),
        ]);
    }

    #[tokio::test(start_paused = true)]
    #[rustfmt::skip]
    async fn a_tag_is_read_before_anything_else_and_exempts_as_its_value_says() {
        check(&[
            (tagged("RUNNING", &[]), STOP, "read the tag"),
            (tagged("STARTING", &[]), STOP, "read the tag"),
            (tagged("STOPPING", &[]), UNCONFIRMED, "read the tag"),
            (tagged("MELTING", &[]), STOP, "read the tag"),
            (tagged("RUNNING", &[]), DRY_RUN, "read the tag"),
            (tagged("RUNNING", &[Tag(None)]), STOP, "stop"),
            (tagged("STARTING", &[Tag(None)]), STOP, "wait"),
            (tagged("RUNNING", &[Tag(Some("false"))]), STOP, "stop"),
            (tagged("RUNNING", &[Tag(Some("1969-12-31"))]), STOP, "stop"),
            (tagged("RUNNING", &[Tag(Some(""))]), STOP, "kept"),
            (tagged("RUNNING", &[Tag(Some("true"))]), STOP, "kept"),
            (tagged("RUNNING", &[Tag(Some("1970-01-01"))]), STOP, "kept"),
            (tagged("RUNNING", &[Tag(Some("soon"))]), STOP, "kept"),
            (tagged("RUNNING", &[Tag(Some("true"))]), DRY_RUN, "kept"),
            (tagged("RUNNING", &[Tag(None)]), DRY_RUN, "would_stop"),
            (tagged("RUNNING", &[TagRefused("AccessDeniedException")]), STOP, "AccessDeniedException"),
            (tagged("RUNNING", &[TagRefused("AccessDeniedException")]), DRY_RUN, "AccessDeniedException"),
        ]);
        let kept = tagged("RUNNING", &[Tag(Some("soon"))]);
        assert_eq!(kept.kept_reason(), Some("tag keep=soon"));
    }

    #[tokio::test(start_paused = true)]
    #[rustfmt::skip]
    async fn a_dry_run_looks_and_stops_nothing() {
        check(&[
            (named(&[]), DRY_RUN, "look"),
            (named(&[Look("RUNNING")]), DRY_RUN, "would_stop"),
            (named(&[Look("STARTING")]), DRY_RUN, "would_stop"),
            (named(&[Look("STOPPING")]), DRY_RUN, "would_stop"),
            (named(&[Look("STOPPED")]), DRY_RUN, "already_stopped"),
            (named(&[Look("MELTING")]), DRY_RUN, "UnexpectedStatus"),
            (named(&[LookRefused("AccessDeniedException")]), DRY_RUN, "AccessDeniedException"),
            (found("RUNNING", &[]), DRY_RUN, "would_stop"),
            (found("STARTING", &[]), DRY_RUN, "would_stop"),
            (found("MELTING", &[]), DRY_RUN, "UnexpectedStatus"),
        ]);
    }

    #[tokio::test(start_paused = true)]
    #[rustfmt::skip]
    async fn what_the_deadline_ends_is_told_by_what_was_seen_last() {
        let in_use = StopRefused("ResourceInUseException");
        let failed = Some("HTTP 502 without an error code");
        let table: [(Model, Option<&str>, &str); 14] = [
            (named(&[]), None, "DeadlineExceeded: it was not reached"),
            (named(&[]), failed, "after: HTTP 502"),
            (named(&[in_use]), None, "after: ResourceInUseException: by script"),
            (named(&[in_use, Look("RUNNING")]), None, "after: ResourceInUseException: by script"),
            (named(&[in_use, Look("RUNNING")]), failed, "after: HTTP 502"),
            (named(&[Stop("RUNNING")]), None, "the status `RUNNING`"),
            (found("RUNNING", &[]), None, "DeadlineExceeded: it was running when it was last seen, 7 s before the deadline: it was not reached"),
            (named(&[in_use, Look("STARTING")]), None, "StillStarting: it was STARTING when it was last seen, 7 s before"),
            (found("STARTING", &[]), failed, "7 s before the deadline; the last look failed with: HTTP 502"),
            (named(&[Stop("STOPPING")]), None, "NotConfirmed: its stop was accepted"),
            (found("STOPPING", &[]), failed, "7 s before the deadline; the last look failed with: HTTP 502"),
            (named(&[Stop("STOPPING"), Look("RUNNING")]), None, "its stop was accepted, and then it was running when it was last seen, 7 s before the deadline: "),
            (named(&[Stop("STOPPING"), Look("STARTING")]), None, "StillStarting"),
            (tagged("RUNNING", &[]), failed, "DeadlineExceeded: its tags could not be read, so it was left alone"),
        ];
        tokio::time::advance(Duration::from_secs(7)).await;
        for (row, (mut model, last_failure, expected)) in table.into_iter().enumerate() {
            let outcome = model.out_of_time(last_failure.map(str::to_owned));
            let Outcome::Failed(failure) = outcome else {
                panic!("row {row}: {outcome:?}");
            };
            let failure = failure.to_string();
            assert!(failure.contains(expected), "row {row}: {failure}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_a_look_after_an_accepted_stop_says_that_it_was_accepted() {
        let model = named(&[Stop("STOPPING"), LookRefused("AccessDeniedException")]);
        let Next::Done(Outcome::Failed(failure)) = model.next(STOP) else {
            panic!("{model:?}");
        };
        let expected = "AccessDeniedException: its stop was accepted, but it could not be seen \
                        stopped: by script";
        assert_eq!(failure.to_string(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn inference_units_hold_until_a_look_says_others() {
        let units = |units| Observation {
            inference_units: units,
            ..observation("STOPPING")
        };
        let mut model = named(&[]);
        for (seen, known) in [(Some(2), 2), (None, 2), (Some(3), 3)] {
            model.looked(Ok(units(seen)));
            let seen = model.clone().into_seen().unwrap();
            assert_eq!(seen.inference_units, Some(known));
        }
        model.stopped(Ok(Some(Status::new("STOPPING"))));
        assert_eq!(model.into_seen().unwrap().inference_units, Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_is_news_where_the_status_is_another_one() {
        let mut model = named(&[Stop("STOPPING")]);
        let looks = ["STOPPING", "RUNNING", "RUNNING", "STOPPED"];
        let news = looks.map(|status| model.looked(Ok(observation(status))));
        assert_eq!(news, [false, true, false, true]);
        assert!(model.looked(Err(unreadable())));
    }
}
