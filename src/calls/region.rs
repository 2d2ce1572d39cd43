//! A region of Rekognition, which may not respond.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::error::CallError;
use super::lane::{Call, LaneId};

/// How many calls may be in flight in a region that has not responded yet, or not since an attempt
/// there was given up.
pub(super) const MOST_IN_SILENT_REGION: usize = 8;

/// A region of Rekognition, across all accounts.
#[derive(Debug)]
pub(super) struct Region {
    pub(super) name: String,
    pub(super) in_flight: usize,
    pub(super) health: Health,
    pub(super) parked: VecDeque<LaneId>,
    /// How many calls whose last attempt hung are waiting for their turn or in flight, and those
    /// that wait for a place among them.
    pub(super) hung: usize,
    pub(super) hung_waiting: VecDeque<Call>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It has responded, at last at this time.
    Responds { last: Instant },
    /// It has not responded yet, or not since an attempt was sent that was given up.
    Silent,
}

impl Region {
    /// A region that has not responded yet.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            in_flight: 0,
            health: Health::Silent,
            parked: VecDeque::new(),
            hung: 0,
            hung_waiting: VecDeque::new(),
        }
    }

    /// Notes how an attempt ended that was sent at this time.
    pub(super) fn note(&mut self, sent: Instant, error: Option<&CallError>, now: Instant) {
        match (error, self.health) {
            // Others have had a response since: it is not the region.
            (Some(CallError::NoResponse), Health::Responds { last }) if last > sent => {}
            (Some(CallError::NoResponse), _) => self.health = Health::Silent,
            (Some(error), _) if !error.is_response() => {}
            _ => self.health = Health::Responds { last: now },
        }
    }

    /// Whether no further call may begin there.
    pub(super) fn is_full(&self) -> bool {
        self.health == Health::Silent && self.in_flight >= MOST_IN_SILENT_REGION
    }
}
