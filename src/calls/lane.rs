//! A lane: the calls of one operation in one account and region, to which quotas apply.

use std::collections::VecDeque;

use super::error::CallError;
use super::operation::{Operation, Service};
use super::pace::Pace;
use super::pages::Pages;
use super::request::{Request, ScopeId};

/// How many lists are asked for before a status check has its turn, where both are waiting. What a
/// list finds is billed until it is stopped; what a check confirms is stopping already.
const LISTS_PER_CHECK: u32 = 3;
/// How many others have their turn before a call whose last attempt hung: it may hold its place for
/// ten seconds again.
const TURNS_PER_HUNG: u32 = 15;

/// One call, for as long as the queue has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallId(pub(super) u64);

/// A call that is to be made.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: CallId,
    pub(super) scope: ScopeId,
    pub(super) request: Request,
    /// How far its list has been read, once that matters.
    pub(super) pages: Option<Box<Pages>>,
    /// How many attempts have ended, for the same page.
    pub(super) attempts: u32,
    /// How many of them failed without being throttled, in a row.
    pub(super) failures: u32,
    pub(super) signature_was_refused: bool,
    pub(super) last_error: Option<CallError>,
}

/// The calls of one operation in one account and region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LaneId {
    pub(super) scope: ScopeId,
    pub(super) operation: Operation,
}

/// A lane.
#[derive(Debug)]
pub(super) struct Lane {
    waiting: VecDeque<Call>,
    /// The status checks among the calls, which wait in a separate line, and how many others have
    /// had their turn since the last.
    checks: VecDeque<Call>,
    since_check: u32,
    /// The calls whose last attempt hung, and may hang again, in the same way.
    hung: VecDeque<Call>,
    since_hung: u32,
    pub(super) pace: Pace,
    pub(super) in_flight: usize,
    pub(super) place: Place,
    pub(super) health: Health,
    /// Whether it is among those of its region that wait until a call that hung may be made.
    pub(super) is_held: bool,
    /// The region that it is in, for Rekognition.
    pub(super) region: Option<usize>,
}

/// Whether its last attempt failed in a way that may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Works,
    Fails,
}

/// Whether a call whose last attempt hung may be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hung {
    Allowed,
    NotNow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It has no call that could be made now.
    Idle,
    /// It is among the lanes of its service that take turns.
    Ready,
    /// Its pace does not allow the next call yet.
    Paced,
    /// Its region is silent, and has its few calls in flight.
    Parked,
}

impl Call {
    /// A call that has not been attempted.
    pub(super) fn new(id: CallId, scope: ScopeId, request: Request) -> Self {
        Self {
            id,
            scope,
            request,
            pages: None,
            attempts: 0,
            failures: 0,
            signature_was_refused: false,
            last_error: None,
        }
    }

    /// The same call for another page of its list, which has not been attempted.
    pub(super) fn for_page(self) -> Self {
        Self {
            pages: self.pages,
            ..Self::new(self.id, self.scope, self.request)
        }
    }

    /// The token of the page that is asked for, unless it is the first.
    pub(super) fn token(&self) -> Option<&str> {
        self.pages.as_ref()?.token.as_deref()
    }

    /// How far its list has been read.
    pub(super) fn pages(&mut self) -> &mut Pages {
        self.pages.get_or_insert_default()
    }

    /// Why it has not succeeded yet, if it has been attempted.
    pub(super) fn last_failure(&self) -> Option<String> {
        let last_error = self.last_error.as_ref().map(CallError::to_string);
        last_error.or_else(|| self.pages.as_ref()?.reason.clone())
    }

    /// The lane that it waits in.
    pub(super) fn lane(&self) -> LaneId {
        LaneId {
            scope: self.scope,
            operation: self.request.operation(),
        }
    }

    /// Whether its last attempt was given up without a response.
    pub(super) fn has_hung(&self) -> bool {
        self.last_error == Some(CallError::NoResponse)
    }
}

impl Lane {
    /// A lane without calls, in this region of Rekognition if it is one of Rekognition's.
    pub(super) fn new(operation: Operation, region: Option<usize>) -> Self {
        Self {
            waiting: VecDeque::new(),
            checks: VecDeque::new(),
            since_check: 0,
            hung: VecDeque::new(),
            since_hung: 0,
            pace: Pace::new(operation.service().widest_gap()),
            in_flight: 0,
            place: Place::Idle,
            health: Health::Works,
            is_held: false,
            region: region.filter(|_| operation.service() == Service::Rekognition),
        }
    }

    /// Adds a call behind the others of its kind.
    pub(super) fn push(&mut self, call: Call) {
        if call.has_hung() {
            self.hung.push_back(call);
        } else if call.request.is_status_check() {
            self.checks.push_back(call);
        } else {
            self.waiting.push_back(call);
        }
    }

    /// Whether it has a call that could be made now.
    pub(super) fn has_calls(&self, hung: Hung) -> bool {
        let has_others = !(self.waiting.is_empty() && self.checks.is_empty());
        has_others || (hung == Hung::Allowed && !self.hung.is_empty())
    }

    /// The call whose turn it is.
    pub(super) fn take(&mut self, hung: Hung) -> Option<Call> {
        let is_hungs_turn = self.since_hung >= TURNS_PER_HUNG || !self.has_calls(Hung::NotNow);
        if hung == Hung::Allowed
            && is_hungs_turn
            && let Some(call) = self.hung.pop_front()
        {
            self.since_hung = 0;
            return Some(call);
        }
        self.since_hung = self.since_hung.saturating_add(1);
        let is_checks_turn = self.since_check >= LISTS_PER_CHECK || self.waiting.is_empty();
        if is_checks_turn && let Some(check) = self.checks.pop_front() {
            self.since_check = 0;
            return Some(check);
        }
        self.since_check = self.since_check.saturating_add(1);
        self.waiting.pop_front()
    }

    /// All its calls.
    pub(super) fn into_calls(self) -> impl Iterator<Item = Call> {
        self.waiting.into_iter().chain(self.checks).chain(self.hung)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_hung_has_every_sixteenth_turn() {
        let mut lane = Lane::new(Operation::ListAccounts, None);
        let call = |id, last_error| Call {
            last_error,
            ..Call::new(CallId(id), ScopeId::FUNCTION, Request::ListAccounts)
        };
        for id in 0..2 {
            lane.push(call(id, Some(CallError::NoResponse)));
        }
        for id in 2..40 {
            lane.push(call(id, None));
        }
        assert_eq!(lane.take(Hung::NotNow).map(|it| it.id), Some(CallId(2)));
        let turns = std::iter::from_fn(|| lane.take(Hung::Allowed));
        let ids = Vec::from_iter(turns.map(|it| it.id.0));
        let hung = Vec::from_iter((0..ids.len()).filter(|&turn| ids[turn] < 2));
        assert_eq!(hung, [14, 30]);
        assert_eq!(ids.len(), 39);
    }
}
