//! Whose turn it is: every call that is to be made, until it needs no further attempt.
//!
//! Calls of one operation in one account and region wait in a lane of their own, since that is what
//! the service's quotas are for. No lane waits for another. A lane whose next call could be made is
//! in one of four places:
//!
//! - idle, if it has no call, or `MAX_CONCURRENCY` in flight;
//! - ready, in the pool of its service, where turns go round;
//! - paced, until its [`Pace`] allows the next call;
//! - parked, while its region does not respond and has its few calls in flight.
//!
//! Each event costs the same however many lanes there are.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::time::Instant;

use super::error::CallError;
use super::operation::{Operation, Service};
use super::pace::Pace;
use super::request::{Request, ScopeId};
use super::retry::{SHORTEST_ATTEMPT, Verdict, judge, pause};

/// How many calls may be in flight in a region that has not responded yet, or not since an attempt
/// there was given up.
const MOST_IN_SILENT_REGION: usize = 8;
/// How many lists are asked for before a status check has its turn, where both are waiting. What a
/// list finds is billed until it is stopped; what a check confirms is stopping already.
const LISTS_PER_CHECK: u32 = 3;

/// One call, for as long as the queue has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallId(u64);

/// A call that is to be made.
#[derive(Debug)]
struct Call {
    id: CallId,
    request: Request,
    /// How many attempts have ended.
    attempts: u32,
    /// How many of them failed without being throttled, in a row.
    failures: u32,
    signature_was_refused: bool,
    last_error: Option<CallError>,
}

/// An attempt that is to be made now.
#[derive(Debug)]
pub(crate) struct Attempt<'queue> {
    pub(crate) id: CallId,
    pub(crate) scope: ScopeId,
    pub(crate) request: &'queue Request,
}

/// An attempt that is in flight.
#[derive(Debug)]
struct Flight {
    lane: LaneId,
    sent: Instant,
    call: Call,
}

/// What an attempt means for its call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The call is over, with the attempt's result.
    Over(Over),
    /// The call will be retried.
    Retried(Retried),
}

/// A call that is over.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) scope: ScopeId,
    pub(crate) request: Request,
}

/// A call that will be retried.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Retried {
    pub(crate) operation: Operation,
    /// What the call concerns.
    pub(crate) subject: String,
    /// How many attempts have been made.
    pub(crate) attempts: u32,
}

/// A call that is not over.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) id: CallId,
    /// Why its last attempt failed.
    pub(crate) last_error: Option<CallError>,
}

/// The calls of one operation in one account and region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct LaneId {
    scope: ScopeId,
    operation: Operation,
}

#[derive(Debug)]
struct Lane {
    waiting: VecDeque<Call>,
    /// The status checks among them, which wait in a line of their own.
    checks: VecDeque<Call>,
    /// How many others have had their turn since the last status check.
    since_check: u32,
    pace: Pace,
    in_flight: usize,
    place: Place,
    /// The region that it is in, for Rekognition.
    region: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Idle,
    Ready,
    Paced,
    Parked,
}

/// The lanes of each service.
#[derive(Debug, Default)]
struct Pools {
    rekognition: Pool,
    sts: Pool,
    organizations: Pool,
}

/// The lanes of one service.
#[derive(Debug, Default)]
struct Pool {
    ready: VecDeque<LaneId>,
    in_flight: usize,
}

/// A region of Rekognition, across all accounts.
#[derive(Debug)]
struct Region {
    name: String,
    in_flight: usize,
    health: Health,
    parked: VecDeque<LaneId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    /// It has responded, and no attempt has been given up since.
    Responds,
    Silent,
}

#[derive(Debug)]
enum Timer {
    Retry(ScopeId, Call),
    Pace(LaneId),
    Wake(ScopeId),
}

/// The calls of a run.
#[derive(Debug)]
pub(crate) struct Queue {
    most_per_lane: usize,
    lanes: HashMap<LaneId, Lane>,
    pools: Pools,
    regions: Vec<Region>,
    /// The region of each scope that is open.
    scopes: HashMap<ScopeId, usize>,
    /// The number distinguishes timers at the same time.
    timers: BTreeMap<(Instant, u64), Timer>,
    flights: HashMap<CallId, Flight>,
    last_number: u64,
    chance: fastrand::Rng,
}

impl Queue {
    /// A queue that has at most this many calls of an operation of Rekognition in flight in each
    /// account and region.
    pub(crate) fn new(most_per_lane: usize, chance: fastrand::Rng) -> Self {
        Self {
            most_per_lane,
            lanes: HashMap::new(),
            pools: Pools::default(),
            regions: Vec::new(),
            scopes: HashMap::new(),
            timers: BTreeMap::new(),
            flights: HashMap::new(),
            last_number: 0,
            chance,
        }
    }

    /// Says which region the calls of a scope to Rekognition are made in.
    pub(crate) fn open(&mut self, scope: ScopeId, region: &str) {
        let known = self.regions.iter().position(|it| it.name == region);
        let region = known.unwrap_or_else(|| {
            self.regions.push(Region {
                name: region.to_owned(),
                in_flight: 0,
                health: Health::Silent,
                parked: VecDeque::new(),
            });
            self.regions.len() - 1
        });
        self.scopes.insert(scope, region);
    }

    /// Forgets a scope that has no more calls.
    pub(crate) fn close(&mut self, scope: ScopeId) {
        self.scopes.remove(&scope);
        for operation in Operation::OF_SCOPES {
            self.lanes.remove(&LaneId { scope, operation });
        }
    }

    /// Adds a call that is to be made as soon as it has its turn.
    pub(crate) fn push(&mut self, scope: ScopeId, request: Request) -> CallId {
        let call = self.call(request);
        let id = call.id;
        self.wait(scope, call);
        id
    }

    /// Adds a call that is not to be made before this time.
    pub(crate) fn push_at(&mut self, at: Instant, scope: ScopeId, request: Request) -> CallId {
        let call = self.call(request);
        let id = call.id;
        self.set_timer(at, Timer::Retry(scope, call));
        id
    }

    /// Has a scope returned by [`Queue::fire`] at this time.
    pub(crate) fn wake(&mut self, at: Instant, scope: ScopeId) {
        self.set_timer(at, Timer::Wake(scope));
    }

    /// When something is next due, if anything is.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.timers.keys().next().map(|(at, _)| *at)
    }

    /// Does what is due, and returns the scopes that wanted to be woken.
    pub(crate) fn fire(&mut self, now: Instant) -> Vec<ScopeId> {
        let mut woken = Vec::new();
        while let Some(first) = self.timers.first_entry() {
            if first.key().0 > now {
                break;
            }
            match first.remove() {
                Timer::Retry(scope, call) => self.wait(scope, call),
                Timer::Pace(lane) => self.make_ready(lane),
                Timer::Wake(scope) => woken.push(scope),
            }
        }
        woken
    }

    /// The next attempt to be made, if one can be made now. None begins shortly before `end`, when
    /// attempts are given up.
    pub(crate) fn next(&mut self, now: Instant, end: Instant) -> Option<Attempt<'_>> {
        if end.saturating_duration_since(now) < SHORTEST_ATTEMPT {
            return None;
        }
        let begun = Service::ALL
            .into_iter()
            .find_map(|service| self.begin_one_of(service, now))?;
        let flight = self.flights.get(&begun)?;
        Some(Attempt {
            id: begun,
            scope: flight.lane.scope,
            request: &flight.call.request,
        })
    }

    /// Whether further scopes could make calls to Rekognition now.
    pub(crate) fn has_room(&self) -> bool {
        let pool = &self.pools.rekognition;
        pool.ready.is_empty() && pool.in_flight < Service::Rekognition.most_in_flight()
    }

    /// Notes how an attempt ended, and retries the call if it has to be. There is no answer if
    /// there is no such attempt.
    pub(crate) fn ended(
        &mut self,
        id: CallId,
        error: Option<&CallError>,
        now: Instant,
    ) -> Option<Ended> {
        let Flight {
            lane,
            sent,
            mut call,
        } = self.flights.remove(&id)?;
        call.attempts += 1;
        let verdict = error.map(|error| judge(error, &call.request, call.failures + 1));
        self.land(lane, sent, error, verdict, now);
        let pause = match verdict {
            Some(Verdict::Throttled) => {
                call.failures = 0;
                None
            }
            Some(Verdict::Retry) => {
                call.failures += 1;
                Some(pause(call.failures, self.chance.f64()))
            }
            Some(Verdict::RetryOnce) if !call.signature_was_refused => {
                call.signature_was_refused = true;
                None
            }
            Some(Verdict::RetryOnce | Verdict::Final) | None => {
                return Some(Ended::Over(Over {
                    scope: lane.scope,
                    request: call.request,
                }));
            }
        };
        call.last_error = error.cloned();
        let retried = Retried {
            operation: lane.operation,
            subject: call.request.subject().into_owned(),
            attempts: call.attempts,
        };
        match pause {
            Some(pause) => self.set_timer(now + pause, Timer::Retry(lane.scope, call)),
            None => self.wait(lane.scope, call),
        }
        Some(Ended::Retried(retried))
    }

    /// Takes all calls that are not over.
    pub(crate) fn drain(&mut self) -> Vec<Unfinished> {
        let flights = std::mem::take(&mut self.flights).into_values();
        let lanes = std::mem::take(&mut self.lanes).into_values();
        let timers = std::mem::take(&mut self.timers).into_values();
        let waiting = lanes.flat_map(|lane| lane.waiting.into_iter().chain(lane.checks));
        let later = timers.filter_map(|timer| match timer {
            Timer::Retry(_, call) => Some(call),
            Timer::Pace(_) | Timer::Wake(_) => None,
        });
        let calls = flights
            .map(|flight| flight.call)
            .chain(waiting)
            .chain(later);
        let unfinished = calls.map(|call| Unfinished {
            id: call.id,
            last_error: call.last_error,
        });
        unfinished.collect()
    }

    fn call(&mut self, request: Request) -> Call {
        Call {
            id: CallId(self.number()),
            request,
            attempts: 0,
            failures: 0,
            signature_was_refused: false,
            last_error: None,
        }
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn set_timer(&mut self, at: Instant, timer: Timer) {
        let number = self.number();
        self.timers.insert((at, number), timer);
    }

    /// Has a call wait behind those of its lane.
    fn wait(&mut self, scope: ScopeId, call: Call) {
        let operation = call.request.operation();
        let id = LaneId { scope, operation };
        let region = match operation.service() {
            Service::Rekognition => self.scopes.get(&scope).copied(),
            Service::Sts | Service::Organizations => None,
        };
        let lane = self.lanes.entry(id).or_insert_with(|| Lane {
            waiting: VecDeque::new(),
            checks: VecDeque::new(),
            since_check: 0,
            pace: Pace::new(operation.service().widest_gap()),
            in_flight: 0,
            place: Place::Idle,
            region,
        });
        if call.request.is_status_check() {
            lane.checks.push_back(call);
        } else {
            lane.waiting.push_back(call);
        }
        if lane.place == Place::Idle {
            self.make_ready(id);
        }
    }

    fn make_ready(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.place = Place::Ready;
            self.pools.of(id.operation.service()).ready.push_back(id);
        }
    }

    /// Begins the first attempt of a service that can be made now.
    fn begin_one_of(&mut self, service: Service, now: Instant) -> Option<CallId> {
        while self.pools.of(service).in_flight < service.most_in_flight() {
            let lane = self.pools.of(service).ready.pop_front()?;
            if let Some(begun) = self.begin(lane, now) {
                return Some(begun);
            }
        }
        None
    }

    /// Begins the first attempt of a lane that is no longer among those that are ready, and puts
    /// the lane where it belongs.
    fn begin(&mut self, id: LaneId, now: Instant) -> Option<CallId> {
        let lane = self.lanes.get_mut(&id)?;
        let service = id.operation.service();
        let most = match service {
            Service::Rekognition => self.most_per_lane,
            Service::Sts | Service::Organizations => service.most_in_flight(),
        };
        let region = lane.region;
        if lane.in_flight >= most || !lane.has_calls() {
            lane.place = Place::Idle;
            self.unpark(region);
            return None;
        }
        if let Some(at) = lane.pace.later(now) {
            lane.place = Place::Paced;
            self.set_timer(at, Timer::Pace(id));
            self.unpark(region);
            return None;
        }
        if let Some(region) = region.and_then(|region| self.regions.get_mut(region)) {
            if region.is_full() {
                lane.place = Place::Parked;
                region.parked.push_back(id);
                return None;
            }
            region.in_flight += 1;
        }
        let call = lane.take()?;
        let call_id = call.id;
        lane.pace.sent(now);
        lane.in_flight += 1;
        self.pools.of(service).in_flight += 1;
        self.make_ready(id);
        let flight = Flight {
            lane: id,
            sent: now,
            call,
        };
        self.flights.insert(call_id, flight);
        Some(call_id)
    }

    /// Makes room for others after an attempt, and learns from how it ended.
    fn land(
        &mut self,
        id: LaneId,
        sent: Instant,
        error: Option<&CallError>,
        verdict: Option<Verdict>,
        now: Instant,
    ) {
        self.pools.of(id.operation.service()).in_flight -= 1;
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        lane.in_flight -= 1;
        match verdict {
            Some(Verdict::Throttled) => lane.pace.throttled(sent, now),
            // A passing failure says nothing about the quota.
            Some(Verdict::Retry) => {}
            _ => lane.pace.let_through(),
        }
        let (is_idle, region) = (lane.place == Place::Idle, lane.region);
        if is_idle {
            self.make_ready(id);
        }
        if let Some(region) = region.and_then(|region| self.regions.get_mut(region)) {
            region.in_flight -= 1;
            match error {
                Some(CallError::NoResponse) => region.health = Health::Silent,
                Some(error) if !error.is_response() => {}
                _ => region.health = Health::Responds,
            }
        }
        self.unpark(region);
    }

    /// Makes lanes of a region ready for which there is room: all of them if it responds, or else
    /// one. A lane that makes no use of the room passes it on.
    fn unpark(&mut self, region: Option<usize>) {
        while let Some(region) = region.and_then(|region| self.regions.get_mut(region))
            && !region.is_full()
            && let Some(lane) = region.parked.pop_front()
        {
            let health = region.health;
            if self.lanes.contains_key(&lane) {
                self.make_ready(lane);
                if health == Health::Silent {
                    return;
                }
            }
        }
    }
}

impl Pools {
    fn of(&mut self, service: Service) -> &mut Pool {
        match service {
            Service::Rekognition => &mut self.rekognition,
            Service::Sts => &mut self.sts,
            Service::Organizations => &mut self.organizations,
        }
    }
}

impl Lane {
    fn has_calls(&self) -> bool {
        !(self.waiting.is_empty() && self.checks.is_empty())
    }

    /// The call whose turn it is.
    fn take(&mut self) -> Option<Call> {
        let is_checks_turn = self.waiting.is_empty() || self.since_check >= LISTS_PER_CHECK;
        if is_checks_turn && let Some(check) = self.checks.pop_front() {
            self.since_check = 0;
            return Some(check);
        }
        self.since_check = self.since_check.saturating_add(1);
        self.waiting.pop_front()
    }
}

impl Region {
    fn is_full(&self) -> bool {
        self.health == Health::Silent && self.in_flight >= MOST_IN_SILENT_REGION
    }
}
