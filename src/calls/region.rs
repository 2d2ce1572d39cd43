//! A region of Rekognition, which may not respond.

use std::collections::VecDeque;

use tokio::time::Instant;

use super::error::CallError;
use super::lane::{Hung, LaneId};

/// How many calls may be in flight in a region that has not responded yet, or not since an attempt
/// was sent there that was given up; and how many of the calls whose last attempt hung, in any
/// region.
pub(super) const MOST_IN_SILENT_REGION: usize = 8;
/// How many lanes of a region may be parked before no further scope begins there.
const MOST_PARKED: usize = 16;

/// A region of Rekognition, across all accounts.
#[derive(Debug)]
pub(super) struct Region {
    pub(super) name: String,
    pub(super) in_flight: usize,
    voice: Voice,
    pub(super) parked: VecDeque<LaneId>,
    /// How many calls whose last attempt hung are in flight, and the lanes that have only such
    /// calls and wait until one of them may be made.
    pub(super) hung: usize,
    pub(super) held: VecDeque<LaneId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
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
            voice: Voice::Silent,
            parked: VecDeque::new(),
            hung: 0,
            held: VecDeque::new(),
        }
    }

    /// Notes how an attempt ended that was sent at this time.
    pub(super) fn note(&mut self, sent: Instant, error: Option<&CallError>, now: Instant) {
        match (error, self.voice) {
            // Others have had a response since: it is not the region.
            (Some(CallError::NoResponse), Voice::Responds { last }) if last > sent => {}
            (Some(CallError::NoResponse), _) => self.voice = Voice::Silent,
            (Some(error), _) if !error.is_response() => {}
            _ => self.voice = Voice::Responds { last: now },
        }
    }

    /// Whether it has not responded yet, or not since an attempt was sent that was given up.
    pub(super) fn is_silent(&self) -> bool {
        self.voice == Voice::Silent
    }

    /// Whether no further call may begin there.
    pub(super) fn is_full(&self) -> bool {
        self.is_silent() && self.in_flight >= MOST_IN_SILENT_REGION
    }

    /// Whether a further scope may begin there.
    pub(super) fn has_room(&self) -> bool {
        self.parked.len() < MOST_PARKED
    }

    /// Takes as many of the lanes that are held as could make a call now.
    pub(super) fn take_held(&mut self) -> Vec<LaneId> {
        let free = MOST_IN_SILENT_REGION.saturating_sub(self.hung);
        self.held.drain(..free.min(self.held.len())).collect()
    }

    /// Whether a call whose last attempt hung may be made there.
    pub(super) fn hung(&self) -> Hung {
        match self.hung < MOST_IN_SILENT_REGION {
            true => Hung::Allowed,
            false => Hung::NotNow,
        }
    }
}
