//! A lane: the calls of one operation in one account and region, which is what quotas are for.

use std::collections::VecDeque;

use super::error::CallError;
use super::operation::Operation;
use super::pace::Pace;
use super::request::{Request, ScopeId};

/// How many lists are asked for before a status check has its turn, where both are waiting. What a
/// list finds is billed until it is stopped; what a check confirms is stopping already.
const LISTS_PER_CHECK: u32 = 3;

/// One call, for as long as the queue has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallId(pub(super) u64);

/// A call that is to be made.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: CallId,
    pub(super) scope: ScopeId,
    pub(super) request: Request,
    /// How many attempts have ended.
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

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) waiting: VecDeque<Call>,
    /// The status checks among them, which wait in a line of their own.
    pub(super) checks: VecDeque<Call>,
    /// How many others have had their turn since the last status check.
    pub(super) since_check: u32,
    pub(super) pace: Pace,
    pub(super) in_flight: usize,
    pub(super) place: Place,
    /// The region that it is in, for Rekognition.
    pub(super) region: Option<usize>,
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
            pace: Pace::new(operation.service().widest_gap()),
            in_flight: 0,
            place: Place::Idle,
            region,
        }
    }

    /// Adds a call behind the others of its kind.
    pub(super) fn push(&mut self, call: Call) {
        match call.request.is_status_check() {
            true => self.checks.push_back(call),
            false => self.waiting.push_back(call),
        }
    }

    pub(super) fn has_calls(&self) -> bool {
        !(self.waiting.is_empty() && self.checks.is_empty())
    }

    /// The call whose turn it is.
    pub(super) fn take(&mut self) -> Option<Call> {
        // A list that has failed before may well fail again.
        let is_late = self.waiting.front().is_none_or(|call| call.failures > 0);
        let is_checks_turn = is_late || self.since_check >= LISTS_PER_CHECK;
        if is_checks_turn && let Some(check) = self.checks.pop_front() {
            self.since_check = 0;
            return Some(check);
        }
        self.since_check = self.since_check.saturating_add(1);
        self.waiting.pop_front()
    }
}
