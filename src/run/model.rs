//! One model: from what is known about it to the next step.
//!
//! [`Model::next`] is the table. What is known always comes from the service itself: its response
//! to a stop, the list in which a pattern found the model, or a status check.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;

use super::assignment::Aim;
use crate::calls::error::CallError;
use crate::calls::response::Description;
use crate::calls::retry;
use crate::calls::status::{Phase, Status};
use crate::exemption::Exemption;
use crate::report::{Failure, Outcome};

/// What it means for a model that its tags could not be read.
const TAGS_UNREAD: &str = "its tags could not be read, so it was left alone";

/// The next step for one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Read the tag that may exempt it.
    ReadTag,
    /// Stop it, after a pause.
    Stop(Duration),
    /// Check it now.
    Check,
    /// Check it when it may have changed.
    WaitForChange,
    /// Nothing.
    Done(Outcome),
}

/// What the service said about a model, and when.
#[derive(Clone, Debug)]
struct Seen {
    description: Description,
    at: Instant,
}

/// Whether a status check has shown anything new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    Changed,
    Unchanged,
}

/// What is known about one model.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// Whether the tag that may exempt it has yet to be read.
    tag_is_unread: bool,
    /// What the service last said about it.
    seen: Option<Seen>,
    /// Whether that is out of date: a stop may or may not have had its effect.
    is_in_doubt: bool,
    /// Whether a stop has been accepted, in this run or shortly before.
    is_accepted: bool,
    /// Why its last stop was not accepted.
    refusal: Option<String>,
    /// How many stops in a row were not accepted.
    refusals: u32,
    outcome: Option<Outcome>,
}

impl Model {
    /// A model that is named by its own ARN.
    pub(super) fn named() -> Self {
        Self::default()
    }

    /// A model that a pattern found, as it was listed; `may_be_exempt` is whether exemptions are
    /// on.
    pub(super) fn found(description: Description, may_be_exempt: bool, now: Instant) -> Self {
        let mut model = Self {
            tag_is_unread: may_be_exempt,
            ..Self::default()
        };
        model.see(description, now);
        model
    }

    /// The next step.
    pub(super) fn next(&self, aim: Aim) -> Next {
        if let Some(outcome) = &self.outcome {
            return Next::Done(outcome.clone());
        }
        if self.tag_is_unread {
            return Next::ReadTag;
        }
        if self.is_in_doubt {
            return Next::Check;
        }
        match (self.phase(), aim) {
            (None, Aim::DryRun) => Next::Check,
            (None, _) => Next::Stop(Duration::ZERO),
            (Some(Phase::Unknown), _) => Next::Done(self.unexpected_status()),
            (Some(Phase::NotRunning), _) if self.is_accepted => Next::Done(Outcome::Stopped),
            (Some(Phase::NotRunning), _) => Next::Done(Outcome::AlreadyStopped),
            (Some(_), Aim::DryRun) => Next::Done(Outcome::WouldStop),
            (Some(Phase::Running), _) => Next::Stop(self.pause()),
            (Some(Phase::Starting), _) => Next::WaitForChange,
            (Some(Phase::Stopping), Aim::Stop) => Next::Done(Outcome::Stopping),
            (Some(Phase::Stopping), Aim::StopAndConfirm) => Next::WaitForChange,
        }
    }

    /// The pause before the next stop of a model that the service refused to stop but reports as
    /// running. The first time there is no pause: most likely the model has only just started.
    fn pause(&self) -> Duration {
        match self.refusals {
            0 | 1 => Duration::ZERO,
            refusals => retry::pause(refusals - 1, 0.0),
        }
    }

    /// Handles the value of the tag with this key, or the absence of one. Returns what it means; if
    /// it could not be read, the model has failed.
    pub(super) fn handle_tag(
        &mut self,
        key: &str,
        value: Result<Option<String>, CallError>,
        now: OffsetDateTime,
    ) -> Exemption {
        self.tag_is_unread = false;
        let value = match value {
            Ok(value) => value,
            Err(error) => {
                let failure = Failure::from(error).context(TAGS_UNREAD);
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

    /// The tag for which it is kept, if it is kept.
    pub(super) fn kept_reason(&self) -> Option<&str> {
        self.outcome.as_ref()?.reason()
    }

    /// Handles the response to a stop.
    pub(super) fn handle_stop(
        &mut self,
        response: Result<Option<Status>, CallError>,
        now: Instant,
    ) {
        match response {
            Ok(Some(status)) if status.phase() == Phase::Stopping => {
                self.refusal = None;
                self.refusals = 0;
                let description = Description {
                    status,
                    status_message: None,
                    inference_units: None,
                };
                self.see(description, now);
                return;
            }
            Ok(status) => {
                self.is_accepted = true;
                let status = status.as_ref().map_or("", Status::as_str);
                self.refusal = Some(format!("StopProjectVersion returned the status `{status}`"));
            }
            // Only what is not running can be deleted.
            Err(error) if error.is_not_found() && self.is_accepted => {
                self.outcome = Some(Outcome::Stopped);
                return;
            }
            Err(error) if error.leaves_doubt() => {
                self.refusal = Some(Failure::from(error).to_string());
            }
            Err(error) => {
                self.fail(error);
                return;
            }
        }
        self.refusals += 1;
        self.is_in_doubt = true;
    }

    /// Handles the result of a status check.
    pub(super) fn handle_check(
        &mut self,
        response: Result<Description, CallError>,
        now: Instant,
    ) -> News {
        match response {
            Ok(description) => {
                let before = self.seen.as_ref().map(|seen| &seen.description.status);
                let news = match before == Some(&description.status) {
                    true => News::Unchanged,
                    false => News::Changed,
                };
                self.is_in_doubt = false;
                self.see(description, now);
                news
            }
            // Only what is not running can be deleted. A list may have a hole, though, so that it
            // does not contradict what was said before.
            Err(error) if error.is_not_found() && self.is_accepted && !self.is_running() => {
                self.outcome = Some(Outcome::Stopped);
                News::Changed
            }
            Err(error) => {
                self.fail(error);
                News::Changed
            }
        }
    }

    /// The outcome of a model that is unfinished at the deadline, given why the last call for it
    /// failed.
    pub(super) fn out_of_time(&self, last_failure: Option<String>, now: Instant) -> Outcome {
        if self.tag_is_unread {
            let failure = Failure::out_of_time(last_failure);
            return Outcome::Failed(failure.context(TAGS_UNREAD));
        }
        let Some(seen) = &self.seen else {
            let last_failure = last_failure.or_else(|| self.refusal.clone());
            return Outcome::Failed(Failure::out_of_time(last_failure));
        };
        let ago = now.saturating_duration_since(seen.at);
        Outcome::Failed(match seen.description.status.phase() {
            Phase::Starting => Failure::still_starting(ago).with_last_failure(last_failure),
            Phase::Stopping => Failure::not_confirmed(ago).with_last_failure(last_failure),
            Phase::Running => {
                let running = match self.is_accepted {
                    true => "its stop was accepted, but it was running",
                    false => "it was running",
                };
                let last_failure = last_failure.or_else(|| self.refusal.clone());
                Failure::out_of_time(last_failure).context(&format!(
                    "{running} when it was last seen, {} s before the deadline",
                    ago.as_secs()
                ))
            }
            Phase::NotRunning | Phase::Unknown => {
                Failure::out_of_time(last_failure.or_else(|| self.refusal.clone()))
            }
        })
    }

    /// What the service last said about it.
    pub(super) fn into_description(self) -> Option<Description> {
        self.seen.map(|seen| seen.description)
    }

    /// Whether the service last said that it is running, or will be.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase(), Some(Phase::Running | Phase::Starting))
    }

    fn phase(&self) -> Option<Phase> {
        let seen = self.seen.as_ref();
        seen.map(|seen| seen.description.status.phase())
    }

    /// Notes what the service says. The inference units stay the same until it reports others.
    fn see(&mut self, mut description: Description, now: Instant) {
        let known = self
            .seen
            .take()
            .and_then(|seen| seen.description.inference_units);
        description.inference_units = description.inference_units.or(known);
        self.is_accepted |= description.status.phase() == Phase::Stopping;
        self.seen = Some(Seen {
            description,
            at: now,
        });
    }

    /// Fails with the error of a call.
    fn fail(&mut self, error: CallError) {
        let failure = Failure::from(error);
        self.outcome = Some(Outcome::Failed(match self.phase() {
            Some(Phase::Stopping) => {
                failure.context("its stop was accepted, but could not be confirmed")
            }
            _ => failure,
        }));
    }

    fn unexpected_status(&self) -> Outcome {
        let seen = self.seen.as_ref();
        let status = seen.map_or("", |seen| seen.description.status.as_str());
        Outcome::Failed(Failure::unexpected_status(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::calls::response::InferenceUnits;

    const STOP: Aim = Aim::StopAndConfirm;
    const UNCONFIRMED: Aim = Aim::Stop;
    const DRY_RUN: Aim = Aim::DryRun;

    /// The response to a call for a model.
    #[derive(Clone, Copy)]
    enum Response {
        /// To a stop, with this status.
        Stop(&'static str),
        /// To a stop, without a status.
        StopWithout,
        /// A stop refused with this code.
        StopRefused(&'static str),
        /// A stop whose response cannot be read.
        StopUnreadable,
        /// To a status check, with this status.
        Check(&'static str),
        /// A status check refused with this code.
        CheckRefused(&'static str),
        /// The tags: this value, or none.
        Tag(Option<&'static str>),
        /// Tags refused with this code.
        TagRefused(&'static str),
    }
    use Response::{
        Check, CheckRefused, Stop, StopRefused, StopUnreadable, StopWithout, Tag, TagRefused,
    };

    const IN_USE: Response = StopRefused("ResourceInUseException");
    const STOP_IS_GONE: Response = StopRefused("ResourceNotFoundException");
    const IS_GONE: Response = CheckRefused("ResourceNotFoundException");
    const CHECK_DENIED: Response = CheckRefused("AccessDeniedException");
    const TAG_DENIED: Response = TagRefused("AccessDeniedException");

    fn description(status: &str) -> Description {
        Description {
            status: Status::new(status),
            status_message: None,
            inference_units: None,
        }
    }

    fn refused(code: &str) -> CallError {
        CallError::Refused {
            status: 400,
            code: Some(code.to_owned()),
            message: "by script".to_owned(),
        }
    }

    fn unreadable() -> CallError {
        CallError::Unreadable {
            message: "garbage".to_owned(),
        }
    }

    fn named(responses: &[Response]) -> Model {
        after(Model::named(), responses)
    }

    /// A model that a pattern found in this status, with exemptions off.
    fn found(status: &str, responses: &[Response]) -> Model {
        after(
            Model::found(description(status), false, Instant::now()),
            responses,
        )
    }

    /// A model that a pattern found in this status, and that a tag may exempt.
    fn tagged(status: &str, responses: &[Response]) -> Model {
        after(
            Model::found(description(status), true, Instant::now()),
            responses,
        )
    }

    fn after(mut model: Model, responses: &[Response]) -> Model {
        let now = Instant::now();
        for response in responses {
            match *response {
                Stop(status) => model.handle_stop(Ok(Some(Status::new(status))), now),
                StopWithout => model.handle_stop(Ok(None), now),
                StopRefused(code) => model.handle_stop(Err(refused(code)), now),
                StopUnreadable => model.handle_stop(Err(unreadable()), now),
                Check(status) => {
                    model.handle_check(Ok(description(status)), now);
                }
                CheckRefused(code) => {
                    model.handle_check(Err(refused(code)), now);
                }
                Tag(value) => {
                    let value = value.map(str::to_owned);
                    model.handle_tag("keep", Ok(value), OffsetDateTime::UNIX_EPOCH);
                }
                TagRefused(code) => {
                    model.handle_tag("keep", Err(refused(code)), OffsetDateTime::UNIX_EPOCH);
                }
            }
        }
        model
    }

    /// The last column of a row: the next step, or the outcome.
    fn text(next: &Next) -> String {
        match next {
            Next::ReadTag => "read the tag".to_owned(),
            Next::Stop(pause) if pause.is_zero() => "stop".to_owned(),
            Next::Stop(pause) => format!("stop in {pause:?}"),
            Next::Check => "check".to_owned(),
            Next::WaitForChange => "wait".to_owned(),
            Next::Done(Outcome::Failed(failure)) => failure.code.as_str().to_owned(),
            Next::Done(outcome) => outcome.name().to_owned(),
        }
    }

    fn check(table: &[(Model, Aim, &str)]) {
        for (row, (model, aim, expected)) in table.iter().enumerate() {
            let next = text(&model.next(*aim));
            assert_eq!(next, *expected, "row {row}: {model:?}, {aim:?}");
        }
    }

    #[test]
    #[rustfmt::skip]
    fn a_model_given_by_its_arn_is_stopped_and_the_response_decides() {
        check(&[
            (named(&[]), STOP, "stop"),
            (named(&[]), UNCONFIRMED, "stop"),
            // The stop is accepted.
            (named(&[Stop("STOPPING")]), STOP, "wait"),
            (named(&[Stop("STOPPING")]), UNCONFIRMED, "stopping"),
            (named(&[Stop("STOPPING"), Check("STOPPING")]), STOP, "wait"),
            (named(&[Stop("STOPPING"), Check("STOPPED")]), STOP, "stopped"),
            (named(&[Stop("STOPPING"), Check("FAILED")]), STOP, "stopped"),
            // It is gone after its stop was accepted, so that it cannot be running.
            (named(&[Stop("STOPPING"), IS_GONE]), STOP, "stopped"),
            (named(&[StopWithout, IS_GONE]), STOP, "stopped"),
            (named(&[StopUnreadable, IS_GONE]), STOP, "ResourceNotFoundException"),
            (named(&[Stop("STOPPING"), Check("RUNNING"), STOP_IS_GONE]), STOP, "stopped"),
            // A list may have a hole, and the model was running when it was last seen.
            (
                named(&[Stop("STOPPING"), Check("RUNNING"), IN_USE, IS_GONE]),
                STOP,
                "ResourceNotFoundException",
            ),
            // The response is something else.
            (named(&[StopWithout]), STOP, "check"),
            (named(&[Stop("STOPPED")]), STOP, "check"),
            (named(&[Stop("RUNNING")]), STOP, "check"),
            (named(&[Stop("MELTING")]), UNCONFIRMED, "check"),
            (named(&[Stop("STOPPED"), Check("STOPPED")]), STOP, "stopped"),
            (named(&[StopUnreadable]), STOP, "check"),
            (named(&[StopUnreadable, Check("STOPPING")]), STOP, "wait"),
            (named(&[StopUnreadable, Check("STOPPED")]), STOP, "already_stopped"),
            (named(&[StopUnreadable, Check("RUNNING")]), STOP, "stop"),
            // The stop is refused.
            (named(&[IN_USE]), STOP, "check"),
            (named(&[IN_USE]), UNCONFIRMED, "check"),
            (named(&[StopRefused("AccessDeniedException")]), STOP, "AccessDeniedException"),
            (named(&[StopRefused("ResourceNotFoundException")]), STOP, "ResourceNotFoundException"),
            (named(&[StopRefused("InvalidParameterException")]), STOP, "InvalidParameterException"),
        ]);
    }

    #[test]
    #[rustfmt::skip]
    fn a_stop_that_is_refused_as_in_use_is_resolved_by_the_status() {
        check(&[
            (named(&[IN_USE, Check("STARTING")]), STOP, "wait"),
            (named(&[IN_USE, Check("STARTING")]), UNCONFIRMED, "wait"),
            (named(&[IN_USE, Check("STARTING"), Check("RUNNING")]), STOP, "stop"),
            (named(&[IN_USE, Check("STARTING"), Check("FAILED")]), STOP, "already_stopped"),
            (named(&[IN_USE, Check("STOPPING")]), STOP, "wait"),
            (named(&[IN_USE, Check("STOPPING")]), UNCONFIRMED, "stopping"),
            (named(&[IN_USE, Check("STOPPING"), Check("STOPPED")]), STOP, "stopped"),
            (named(&[IN_USE, Check("STOPPED")]), STOP, "already_stopped"),
            (named(&[IN_USE, Check("TRAINING_IN_PROGRESS")]), STOP, "already_stopped"),
            (named(&[IN_USE, Check("MELTING")]), STOP, "UnexpectedStatus"),
            (named(&[IN_USE, Check("")]), STOP, "UnexpectedStatus"),
            (named(&[IN_USE, CHECK_DENIED]), STOP, "AccessDeniedException"),
            (named(&[IN_USE, IS_GONE]), STOP, "ResourceNotFoundException"),
        ]);
    }

    #[test]
    fn a_running_model_that_could_not_be_stopped_is_stopped_after_growing_pauses() {
        let mut model = named(&[]);
        let pauses = (0..13).map(|_| {
            let refused = [IN_USE, Check("RUNNING")];
            model = after(model.clone(), &refused);
            match model.next(STOP) {
                Next::Stop(pause) => pause.as_millis(),
                next => panic!("{next:?}"),
            }
        });
        let pauses = Vec::from_iter(pauses);
        assert_eq!(pauses[..4], [0, 100, 150, 225]);
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert_eq!(pauses[11..], [5000, 5000]);
        // An accepted stop resets the pauses.
        model = after(model, &[Stop("STOPPING"), Check("RUNNING")]);
        assert_eq!(text(&model.next(STOP)), "stop");
    }

    #[test]
    #[rustfmt::skip]
    fn a_model_that_runs_again_after_an_accepted_stop_is_stopped_again() {
        check(&[
            (named(&[Stop("STOPPING"), Check("RUNNING")]), STOP, "stop"),
            (named(&[Stop("STOPPING"), Check("RUNNING"), Stop("STOPPING")]), STOP, "wait"),
            (named(&[Stop("STOPPING"), Check("STARTING")]), STOP, "wait"),
            (named(&[Stop("STOPPING"), Check("STARTING"), Check("RUNNING")]), STOP, "stop"),
            (named(&[Stop("STOPPING"), Check("MELTING")]), STOP, "UnexpectedStatus"),
            (found("STOPPING", &[Check("RUNNING")]), STOP, "stop"),
        ]);
    }

    #[test]
    #[rustfmt::skip]
    fn a_model_that_a_pattern_found_starts_from_its_listed_status() {
        check(&[
            (found("RUNNING", &[]), STOP, "stop"),
            (found("RUNNING", &[]), UNCONFIRMED, "stop"),
            (found("STARTING", &[]), STOP, "wait"),
            (found("STARTING", &[]), UNCONFIRMED, "wait"),
            (found("STOPPING", &[]), STOP, "wait"),
            (found("STOPPING", &[]), UNCONFIRMED, "stopping"),
            (found("STOPPING", &[Check("STOPPED")]), STOP, "stopped"),
            (found("STOPPING", &[IS_GONE]), STOP, "stopped"),
            (found("MELTING", &[]), STOP, "UnexpectedStatus"),
            (found("RUNNING", &[IN_USE]), STOP, "check"),
            (found("RUNNING", &[IN_USE, Check("STOPPED")]), STOP, "already_stopped"),
        ]);
    }

    #[test]
    #[rustfmt::skip]
    fn a_tag_is_read_before_anything_else_and_exempts_as_its_value_says() {
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
            (tagged("RUNNING", &[TAG_DENIED]), STOP, "AccessDeniedException"),
            (tagged("RUNNING", &[TAG_DENIED]), DRY_RUN, "AccessDeniedException"),
        ]);
        let kept = tagged("RUNNING", &[Tag(Some("soon"))]);
        assert_eq!(kept.kept_reason(), Some("tag keep=soon"));
    }

    #[test]
    #[rustfmt::skip]
    fn a_dry_run_checks_and_stops_nothing() {
        check(&[
            (named(&[]), DRY_RUN, "check"),
            (named(&[Check("RUNNING")]), DRY_RUN, "would_stop"),
            (named(&[Check("STARTING")]), DRY_RUN, "would_stop"),
            (named(&[Check("STOPPING")]), DRY_RUN, "would_stop"),
            (named(&[Check("STOPPED")]), DRY_RUN, "already_stopped"),
            (named(&[Check("MELTING")]), DRY_RUN, "UnexpectedStatus"),
            (named(&[CHECK_DENIED]), DRY_RUN, "AccessDeniedException"),
            (found("RUNNING", &[]), DRY_RUN, "would_stop"),
            (found("STARTING", &[]), DRY_RUN, "would_stop"),
            (found("MELTING", &[]), DRY_RUN, "UnexpectedStatus"),
        ]);
    }

    #[tokio::test(start_paused = true)]
    #[rustfmt::skip]
    async fn the_failure_of_a_model_at_the_deadline_depends_on_what_was_last_seen() {
        let failed = Some("HTTP 502 without an error code");
        let in_use = "failed with: ResourceInUseException: by script";
        let check_failed = "7 s before the deadline; the last status check failed with: HTTP 502";
        let starting = "StillStarting: it was STARTING when it was last seen, 7 s before";
        let running = "DeadlineExceeded: it was running when it was last seen, 7 s before the \
                       deadline: it was not reached";
        let again = "its stop was accepted, but it was running when it was last seen, 7 s before";
        let unread = "DeadlineExceeded: its tags could not be read, so it was left alone";
        let table: [(Model, Option<&str>, &str); 14] = [
            (named(&[]), None, "DeadlineExceeded: it was not reached"),
            (named(&[]), failed, "failed with: HTTP 502"),
            (named(&[IN_USE]), None, in_use),
            (named(&[IN_USE, Check("RUNNING")]), None, in_use),
            (named(&[IN_USE, Check("RUNNING")]), failed, "failed with: HTTP 502"),
            (named(&[Stop("RUNNING")]), None, "the status `RUNNING`"),
            (found("RUNNING", &[]), None, running),
            (named(&[IN_USE, Check("STARTING")]), None, starting),
            (found("STARTING", &[]), failed, "a retry stops it; the last status check failed with: HTTP 502"),
            (named(&[Stop("STOPPING")]), None, "NotConfirmed: its stop was accepted"),
            (found("STOPPING", &[]), failed, check_failed),
            (named(&[Stop("STOPPING"), Check("RUNNING")]), None, again),
            (named(&[Stop("STOPPING"), Check("STARTING")]), None, "StillStarting"),
            (tagged("RUNNING", &[]), failed, unread),
        ];
        let now = Instant::now() + Duration::from_secs(7);
        for (row, (model, last_failure, expected)) in table.into_iter().enumerate() {
            let outcome = model.out_of_time(last_failure.map(str::to_owned), now);
            let Outcome::Failed(failure) = outcome else {
                panic!("row {row}: {outcome:?}");
            };
            let failure = failure.to_string();
            assert!(failure.contains(expected), "row {row}: {failure}");
        }
    }

    #[test]
    fn a_failed_check_after_an_accepted_stop_says_that_the_stop_was_accepted() {
        let model = named(&[Stop("STOPPING"), CHECK_DENIED]);
        let Next::Done(Outcome::Failed(failure)) = model.next(STOP) else {
            panic!("{model:?}");
        };
        let expected = "AccessDeniedException: its stop was accepted, but could not be confirmed: \
                        by script";
        assert_eq!(failure.to_string(), expected);
    }

    #[test]
    fn inference_units_stay_the_same_until_a_check_reports_others() {
        let now = Instant::now();
        let units = |min| InferenceUnits { min, max: None };
        let said = |known: Option<u32>| Description {
            inference_units: known.map(units),
            ..description("STOPPING")
        };
        let mut model = named(&[]);
        for (seen, known) in [(Some(2), 2), (None, 2), (Some(3), 3)] {
            model.handle_check(Ok(said(seen)), now);
            let seen = model.clone().into_description().unwrap();
            assert_eq!(seen.inference_units, Some(units(known)));
        }
        model.handle_stop(Ok(Some(Status::new("STOPPING"))), now);
        let seen = model.into_description().unwrap();
        assert_eq!(seen.inference_units, Some(units(3)));
    }

    #[test]
    fn a_check_is_news_if_the_status_has_changed() {
        let now = Instant::now();
        let mut model = named(&[Stop("STOPPING")]);
        for (status, news) in [
            ("STOPPING", News::Unchanged),
            ("RUNNING", News::Changed),
            ("RUNNING", News::Unchanged),
            ("STOPPED", News::Changed),
        ] {
            assert_eq!(model.handle_check(Ok(description(status)), now), news);
        }
        assert_eq!(model.handle_check(Err(unreadable()), now), News::Changed);
    }
}
