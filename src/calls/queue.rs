//! Whose turn it is: every call that is to be made, until it needs no further attempt.
//!
//! Calls of one operation in one account and region wait in their own lane, since the service's
//! quotas apply to exactly these. No lane waits for another. A lane is in one of four places:
//!
//! - idle, if it has no call that could be made, or `MAX_CONCURRENCY` in flight;
//! - ready, in the pool of its service, where turns go round;
//! - paced, until its pace allows the next call;
//! - parked, while its region does not respond and has its few calls in flight.
//!
//! An event costs the same however many lanes there are.

use std::collections::{BTreeMap, HashMap, VecDeque};

use tokio::time::Instant;

use super::error::CallError;
pub(crate) use super::lane::CallId;
use super::lane::{Call, Health, Hung, Lane, LaneId, Place};
use super::operation::{Operation, Service};
use super::pages::Continuation;
use super::region::Region;
use super::request::{Request, ScopeId};
use super::response::{Content, Response};
use super::retry::{SHORTEST_ATTEMPT, Verdict, is_given_up, judge, pause};

/// How many turns go to lanes that work before one that fails has its turn, where both are ready:
/// hundreds of failing accounts leave the processor to the others.
const TURNS_PER_FAILING: u32 = 3;
/// How many lanes may be ready before no further scope begins: enough that those in front of it
/// never keep a scope waiting for long, and few enough that scopes that wait are small.
const MOST_READY: usize = 16;

/// An attempt that is to be made now.
#[derive(Debug)]
pub(crate) struct Attempt<'queue> {
    pub(crate) id: CallId,
    pub(crate) scope: ScopeId,
    pub(crate) request: &'queue Request,
    /// The token of the page that is asked for, unless it is the first.
    pub(crate) token: Option<&'queue str>,
}

/// An attempt that is in flight.
#[derive(Debug)]
struct Flight {
    sent: Instant,
    region: Option<usize>,
    call: Call,
}

/// What has come of an attempt.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The call is over, or a page of its list has been read.
    Step(Step),
    /// The call will be made again.
    Retried(Retried),
}

/// A call that is over, or of which a page has been read.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) scope: ScopeId,
    pub(crate) request: Request,
    pub(crate) result: Result<Content, CallError>,
    pub(crate) rest: Rest,
}

/// Whether there is more to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    Nothing,
    /// Further pages of the list.
    Pages,
}

/// A call that will be made again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Retried {
    pub(crate) operation: Operation,
    /// What the call concerns.
    pub(crate) subject: String,
    /// How many attempts have been made.
    pub(crate) attempts: u32,
    /// Why it will be made again.
    pub(crate) reason: String,
}

/// A call that is not over.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) scope: ScopeId,
    pub(crate) request: Request,
    /// Why it has not succeeded, if it has been attempted.
    pub(crate) last_failure: Option<String>,
}

/// The lanes of one service.
#[derive(Debug, Default)]
struct Pool {
    ready: VecDeque<LaneId>,
    /// The lanes that are ready and whose last attempt failed, and how many others have had their
    /// turn since the last of them.
    failing: VecDeque<LaneId>,
    since_failing: u32,
    in_flight: usize,
}

#[derive(Debug)]
enum Timer {
    Retry(Call),
    Pace(LaneId),
    Wake(ScopeId),
}

/// The calls of a run.
#[derive(Debug)]
pub(crate) struct Queue {
    most_per_lane: usize,
    lanes: HashMap<LaneId, Lane>,
    pools: HashMap<Service, Pool>,
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
            pools: HashMap::new(),
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
            self.regions.push(Region::new(region));
            self.regions.len() - 1
        });
        self.scopes.insert(scope, region);
    }

    /// Forgets a scope that has no more calls.
    pub(crate) fn close(&mut self, scope: ScopeId) {
        self.scopes.remove(&scope);
        for operation in Operation::ALL {
            self.lanes.remove(&LaneId { scope, operation });
        }
    }

    /// Adds a call that is to be made as soon as it has its turn, but not before this time, if
    /// there is one.
    pub(crate) fn push(
        &mut self,
        scope: ScopeId,
        request: Request,
        not_before: Option<Instant>,
    ) -> CallId {
        let id = CallId(self.number());
        self.put(Call::new(id, scope, request), not_before);
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
                Timer::Retry(call) => self.wait(call),
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
            scope: flight.call.scope,
            request: &flight.call.request,
            token: flight.call.token(),
        })
    }

    /// Whether a further scope in this region should begin: there are few lanes whose turn has yet
    /// to come.
    pub(crate) fn has_room(&self, region: &str) -> bool {
        let known = self.regions.iter().find(|it| it.name == region);
        let pool = self.pools.get(&Service::Rekognition);
        pool.is_none_or(|pool| pool.ready.len() < MOST_READY) && known.is_none_or(Region::has_room)
    }

    /// Notes how an attempt ended. Retries the call if it has to be, and has the next page of a
    /// list read. Returns nothing if there is no such attempt.
    pub(crate) fn ended(
        &mut self,
        id: CallId,
        result: Result<Response, CallError>,
        now: Instant,
    ) -> Option<Ended> {
        let Flight {
            sent,
            region,
            mut call,
        } = self.flights.remove(&id)?;
        let operation = call.request.operation();
        let error = result.as_ref().err();
        let outcome = error.map(|error| (error, judge(error, operation)));
        self.land(&call, region, sent, outcome, now);
        call.attempts += 1;
        let pause = match outcome {
            Some((_, Verdict::Throttled)) => {
                call.failures = 0;
                None
            }
            Some((error, Verdict::Retry))
                if !is_given_up(&call.request, error, call.failures + 1) =>
            {
                call.failures += 1;
                Some(pause(call.failures, self.chance.f64()))
            }
            Some((_, Verdict::RetryOnce)) if !call.signature_was_refused => {
                call.signature_was_refused = true;
                None
            }
            _ => return Some(self.go_on(call, result, now)),
        };
        let error = result.err()?;
        let retried = call.retried(&error);
        call.last_error = Some(error);
        self.put(call, pause.map(|pause| now + pause));
        Some(Ended::Retried(retried))
    }

    /// Takes all calls that are not over, in the order in which they were added.
    pub(crate) fn drain(&mut self) -> Vec<Unfinished> {
        let flights = std::mem::take(&mut self.flights).into_values();
        let lanes = std::mem::take(&mut self.lanes).into_values();
        let timers = std::mem::take(&mut self.timers).into_values();
        let later = timers.filter_map(|timer| match timer {
            Timer::Retry(call) => Some(call),
            Timer::Pace(_) | Timer::Wake(_) => None,
        });
        let calls = flights.map(|flight| flight.call);
        let calls = calls.chain(lanes.flat_map(Lane::into_calls)).chain(later);
        let mut calls: Vec<Call> = calls.collect();
        calls.sort_by_key(|call| call.id);
        let unfinished = calls.into_iter().map(|call| Unfinished {
            last_failure: call.last_failure(),
            scope: call.scope,
            request: call.request,
        });
        unfinished.collect()
    }

    /// Handles a response, or an error after which nothing is retried, and goes on with the list if
    /// the call reads one.
    fn go_on(
        &mut self,
        mut call: Call,
        mut result: Result<Response, CallError>,
        now: Instant,
    ) -> Ended {
        let then = match &mut result {
            Ok(response) if response.next_token.is_none() => Continuation::End,
            Ok(response) => call.pages().after(response.next_token.take()),
            Err(error) => call.pages().after_error(error),
        };
        let result = result.map(|response| response.content);
        let pause = match then {
            Continuation::End => {
                return Ended::Step(Step {
                    scope: call.scope,
                    request: call.request,
                    result,
                    rest: Rest::Nothing,
                });
            }
            Continuation::Next => None,
            Continuation::Restart(pause) => Some(pause),
        };
        let retried = result.as_ref().err().map(|error| call.retried(error));
        let (scope, request) = (call.scope, call.request.clone());
        self.put(call.for_page(), pause.map(|pause| now + pause));
        match retried {
            Some(retried) => Ended::Retried(retried),
            None => Ended::Step(Step {
                scope,
                request,
                result,
                rest: Rest::Pages,
            }),
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

    /// Has a call wait until this time, if there is one, and then behind those of its lane.
    fn put(&mut self, call: Call, not_before: Option<Instant>) {
        match not_before {
            Some(at) => self.set_timer(at, Timer::Retry(call)),
            None => self.wait(call),
        }
    }

    /// Has a call wait behind those of its lane.
    fn wait(&mut self, call: Call) {
        let id = call.lane();
        let region = self.scopes.get(&call.scope).copied();
        let lanes = self.lanes.entry(id);
        let lane = lanes.or_insert_with(|| Lane::new(id.operation, region));
        lane.push(call);
        if lane.place == Place::Idle {
            self.make_ready(id);
        }
    }

    fn make_ready(&mut self, id: LaneId) {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.place = Place::Ready;
            let pool = self.pools.entry(id.operation.service()).or_default();
            match lane.health {
                Health::Works => pool.ready.push_back(id),
                Health::Fails => pool.failing.push_back(id),
            }
        }
    }

    /// Begins the first attempt of a service that can be made now.
    fn begin_one_of(&mut self, service: Service, now: Instant) -> Option<CallId> {
        while let Some(pool) = self.pools.get_mut(&service)
            && pool.in_flight < service.most_in_flight()
        {
            let lane = pool.take()?;
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
            _ => service.most_in_flight(),
        };
        let region_index = lane.region;
        let mut region = region_index.and_then(|region| self.regions.get_mut(region));
        let hung = region
            .as_ref()
            .map_or(Hung::Allowed, |region| region.hung());
        lane.place = Place::Idle;
        if lane.in_flight >= most {
            return None;
        }
        if !lane.has_calls(hung) {
            if let Some(region) = region
                && lane.has_calls(Hung::Allowed)
                && !lane.is_held
            {
                lane.is_held = true;
                region.held.push_back(id);
            }
            return None;
        }
        if let Some(at) = lane.pace.later(now) {
            lane.place = Place::Paced;
            self.set_timer(at, Timer::Pace(id));
            return None;
        }
        if let Some(region) = &mut region
            && region.is_full()
        {
            lane.place = Place::Parked;
            region.parked.push_back(id);
            return None;
        }
        let call = lane.take(hung)?;
        let call_id = call.id;
        lane.pace.sent(now);
        lane.in_flight += 1;
        if let Some(region) = region {
            region.in_flight += 1;
            region.hung += usize::from(call.has_hung());
        }
        self.pools.entry(service).or_default().in_flight += 1;
        self.make_ready(id);
        let flight = Flight {
            sent: now,
            region: region_index,
            call,
        };
        self.flights.insert(call_id, flight);
        Some(call_id)
    }

    /// Makes room for others after an attempt, and learns from how it ended.
    fn land(
        &mut self,
        call: &Call,
        region: Option<usize>,
        sent: Instant,
        outcome: Option<(&CallError, Verdict)>,
        now: Instant,
    ) {
        let id = call.lane();
        if let Some(pool) = self.pools.get_mut(&id.operation.service()) {
            pool.in_flight -= 1;
        }
        if let Some(region) = region.and_then(|region| self.regions.get_mut(region)) {
            region.in_flight -= 1;
            region.note(sent, outcome.map(|(error, _)| error), now);
            if call.has_hung() {
                region.hung -= 1;
            }
            let held = region.take_held();
            self.release(held);
        }
        // Lanes that are parked have waited for longer than this one, which would otherwise take
        // the room each time that it makes some.
        self.unpark(region);
        let Some(lane) = self.lanes.get_mut(&id) else {
            return;
        };
        lane.in_flight -= 1;
        lane.health = Health::Works;
        match outcome {
            Some((_, Verdict::Throttled)) => {
                lane.pace.throttled(sent, now, self.chance.f64());
            }
            // A passing failure says nothing about the quota.
            Some((_, Verdict::Retry)) => lane.health = Health::Fails,
            _ => lane.pace.let_through(),
        }
        if lane.place == Place::Idle {
            self.make_ready(id);
        }
    }

    /// Lets lanes go on that waited until a call that hung may be made.
    fn release(&mut self, held: Vec<LaneId>) {
        for id in held {
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.is_held = false;
                if lane.place == Place::Idle {
                    self.make_ready(id);
                }
            }
        }
    }

    /// Makes lanes of a region ready for which there is room: all of them if it responds, or else
    /// one.
    fn unpark(&mut self, region: Option<usize>) {
        while let Some(region) = region.and_then(|region| self.regions.get_mut(region))
            && !region.is_full()
            && let Some(lane) = region.parked.pop_front()
        {
            let is_silent = region.is_silent();
            if self.lanes.contains_key(&lane) {
                self.make_ready(lane);
                if is_silent {
                    return;
                }
            }
        }
    }
}

impl Call {
    /// What is reported when it will be made again.
    fn retried(&self, error: &CallError) -> Retried {
        Retried {
            operation: self.request.operation(),
            subject: self.request.subject().into_owned(),
            attempts: self.attempts,
            reason: error.to_string(),
        }
    }
}

impl Pool {
    /// The lane whose turn it is.
    fn take(&mut self) -> Option<LaneId> {
        let is_failings_turn = self.since_failing >= TURNS_PER_FAILING || self.ready.is_empty();
        if is_failings_turn && let Some(lane) = self.failing.pop_front() {
            self.since_failing = 0;
            return Some(lane);
        }
        self.since_failing = self.since_failing.saturating_add(1);
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::super::region::MOST_IN_SILENT_REGION;
    use super::super::response::{Project, ProjectState};
    use super::*;

    use std::collections::HashSet;
    use std::time::Duration;

    use fastrand::Rng;

    use super::super::operation::Operation::{
        AssumeRole, DescribeProjectVersions, DescribeProjects, ListAccounts, ListAccountsForParent,
        ListTagsForResource, LookupEvents, StopProjectVersion,
    };

    const MILLISECOND: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);
    const EAST: &str = "us-east-1";
    const WEST: &str = "eu-west-1";

    fn request(operation: Operation) -> Request {
        let model_arn = "arn:aws:rekognition:us-east-1:123456789012:project/shelf/version/v1/1";
        let model_arn = model_arn.parse().unwrap();
        let parent = || "r-1".to_owned();
        match operation {
            StopProjectVersion => Request::StopProjectVersion { model_arn },
            ListTagsForResource => Request::ListTagsForResource { model_arn },
            DescribeProjects => Request::DescribeProjects { names: Vec::new() },
            DescribeProjectVersions => versions(0),
            AssumeRole => Request::AssumeRole {
                role_arn: "role".to_owned(),
                external_id: None,
            },
            ListAccounts => Request::ListAccounts,
            LookupEvents => Request::LookupEvents { token: None },
            ListAccountsForParent => Request::ListAccountsForParent { parent: parent() },
            Operation::ListOrganizationalUnitsForParent => {
                Request::ListOrganizationalUnitsForParent { parent: parent() }
            }
        }
    }

    /// A list of a project's versions, or a status check of this many of them.
    fn versions(count: usize) -> Request {
        let models = (0..count).map(|number| {
            let model_arn = format!(
                "arn:aws:rekognition:us-east-1:123456789012:project/shelf/version/v{number}/1"
            );
            model_arn.parse().unwrap()
        });
        Request::DescribeProjectVersions {
            project: Project {
                name: "shelf".to_owned(),
                arn: "project".to_owned(),
                state: ProjectState::Created,
            },
            models: models.collect(),
        }
    }

    /// A response, with the token of the next page if there is one.
    fn page(next_token: Option<&str>) -> Response {
        Response {
            content: Content::Stop(None),
            next_token: next_token.map(str::to_owned),
        }
    }

    fn refused(status: u16, code: &str) -> CallError {
        CallError::Refused {
            status,
            code: Some(code.to_owned()),
            message: String::new(),
        }
    }

    fn throttled() -> CallError {
        refused(400, "ThrottlingException")
    }

    fn bad_signature() -> CallError {
        refused(403, "InvalidSignatureException")
    }

    fn broken() -> CallError {
        CallError::Broken {
            message: "connection reset".to_owned(),
        }
    }

    /// An attempt that has begun.
    #[derive(Clone, Copy, Debug)]
    struct Begun {
        id: CallId,
        scope: ScopeId,
        operation: Operation,
    }

    /// A queue, and the time.
    struct Calls {
        queue: Queue,
        now: Instant,
        end: Instant,
    }

    impl Calls {
        /// No calls, in scopes that are numbered from 1 and are each in one of these regions.
        fn new(most_per_lane: usize, regions: &[&str]) -> Self {
            let now = Instant::now();
            let mut queue = Queue::new(most_per_lane, Rng::with_seed(7));
            for (scope, region) in (1..).zip(regions) {
                queue.open(ScopeId(scope), region);
            }
            Self {
                queue,
                now,
                end: now + 3600 * SECOND,
            }
        }

        /// The same, where each region has responded already.
        fn responding(most_per_lane: usize, regions: &[&str]) -> Self {
            let mut calls = Self::new(most_per_lane, regions);
            for scope in (1..).take(regions.len()) {
                calls.push(scope, StopProjectVersion);
            }
            for begun in calls.begin() {
                assert!(calls.succeed(begun.id).is_some());
            }
            assert!(calls.begin().is_empty());
            calls
        }

        fn push(&mut self, scope: u32, operation: Operation) -> CallId {
            self.queue.push(ScopeId(scope), request(operation), None)
        }

        fn push_many(&mut self, count: usize, scope: u32, operation: Operation) {
            for _ in 0..count {
                self.push(scope, operation);
            }
        }

        /// Begins all attempts that can be made now.
        fn begin(&mut self) -> Vec<Begun> {
            std::iter::from_fn(|| self.begin_one()).collect()
        }

        fn begin_one(&mut self) -> Option<Begun> {
            let attempt = self.queue.next(self.now, self.end)?;
            Some(Begun {
                id: attempt.id,
                scope: attempt.scope,
                operation: attempt.request.operation(),
            })
        }

        /// Ends an attempt, and with it the call. Returns what was asked.
        fn succeed(&mut self, id: CallId) -> Option<Request> {
            match self.queue.ended(id, Ok(page(None)), self.now)? {
                Ended::Step(step) => Some(step.request),
                Ended::Retried(retried) => panic!("{retried:?}"),
            }
        }

        /// Ends an attempt with an error. Returns how many attempts there have been if the call
        /// will be retried.
        fn fail(&mut self, id: CallId, error: &CallError) -> Option<u32> {
            match self.queue.ended(id, Err(error.clone()), self.now) {
                Some(Ended::Retried(retried)) => Some(retried.attempts),
                Some(Ended::Step(_)) => None,
                None => panic!("{id:?} is not in flight"),
            }
        }

        /// Goes on to when something is due, before which no attempt can be made. Returns how
        /// long that is.
        fn go_on(&mut self) -> Duration {
            assert!(self.begin().is_empty());
            let due = self.queue.due().unwrap();
            let pause = due - self.now;
            self.now = due;
            assert!(self.queue.fire(due).is_empty());
            pause
        }
    }

    fn scopes(begun: &[Begun]) -> Vec<u32> {
        begun.iter().map(|begun| begun.scope.0).collect()
    }

    fn count(begun: &[Begun], operation: Operation) -> usize {
        let begun = begun.iter();
        begun.filter(|begun| begun.operation == operation).count()
    }

    #[test]
    fn turns_go_round_the_lanes_of_a_service() {
        let mut calls = Calls::responding(8, &[EAST, EAST, WEST]);
        calls.push_many(5, 1, StopProjectVersion);
        calls.push_many(2, 2, StopProjectVersion);
        calls.push_many(1, 3, StopProjectVersion);
        assert_eq!(scopes(&calls.begin()), [1, 2, 3, 1, 2, 1, 1, 1]);
    }

    #[test]
    fn each_operation_of_a_scope_has_its_own_limit() {
        let mut calls = Calls::responding(2, &[EAST, EAST]);
        for scope in [1, 2] {
            calls.push_many(5, scope, StopProjectVersion);
            calls.push_many(5, scope, ListTagsForResource);
        }
        let begun = calls.begin();
        assert_eq!(count(&begun, StopProjectVersion), 4);
        assert_eq!(count(&begun, ListTagsForResource), 4);
        // Where an attempt has ended there is room for another, and nowhere else.
        for begun in begun {
            calls.succeed(begun.id);
            let [next] = calls.begin()[..] else {
                panic!("{begun:?}");
            };
            assert_eq!((next.scope, next.operation), (begun.scope, begun.operation));
        }
    }

    #[test]
    fn each_service_has_its_own_limit() {
        let mut calls = Calls::responding(64, &[EAST, EAST, WEST]);
        for scope in [1, 2, 3] {
            calls.push_many(64, scope, StopProjectVersion);
        }
        calls.push_many(20, 0, AssumeRole);
        calls.push_many(10, 0, ListAccounts);
        calls.push_many(10, 0, ListAccountsForParent);
        calls.push_many(20, 1, LookupEvents);
        let begun = calls.begin();
        assert_eq!(count(&begun, StopProjectVersion), 128);
        assert_eq!(count(&begun, AssumeRole), 16);
        assert_eq!(count(&begun, ListAccounts), 8);
        assert_eq!(count(&begun, ListAccountsForParent), 8);
        assert_eq!(count(&begun, LookupEvents), 16);
        for operation in [StopProjectVersion, AssumeRole, ListAccounts] {
            let ended = begun.iter().find(|begun| begun.operation == operation);
            calls.succeed(ended.unwrap().id);
            let [next] = calls.begin()[..] else {
                panic!("{operation:?}");
            };
            assert_eq!(next.operation.service(), operation.service());
        }
    }

    #[test]
    fn there_is_room_for_further_scopes_while_few_lanes_wait_for_their_turn_or_for_their_region() {
        let count = 40;
        let mut calls = Calls::new(64, &vec![EAST; count]);
        assert!(calls.queue.has_room(EAST) && calls.queue.has_room("unknown"));
        let first = calls.push(1, StopProjectVersion);
        assert_eq!(calls.begin().len(), 1);
        calls.succeed(first);
        // All places of the process are taken, and scopes begin nevertheless.
        calls.push_many(128, 1, StopProjectVersion);
        calls.push_many(128, 2, StopProjectVersion);
        assert_eq!(calls.begin().len(), 128);
        assert!(calls.queue.has_room(EAST));
        for scope in (3..).take(MOST_READY) {
            calls.push(scope, StopProjectVersion);
        }
        assert!(!calls.queue.has_room(EAST) && !calls.queue.has_room(WEST));

        let mut calls = Calls::new(8, &vec![WEST; count]);
        for scope in (1..).take(count) {
            calls.push(scope, StopProjectVersion);
        }
        assert_eq!(calls.begin().len(), 8);
        assert!(!calls.queue.has_room(WEST) && calls.queue.has_room(EAST));
    }

    #[test]
    fn of_the_calls_that_hung_a_region_has_eight_in_flight_and_lanes_take_turns() {
        let mut calls = Calls::responding(64, &[EAST, EAST, EAST]);
        calls.push_many(40, 1, ListTagsForResource);
        for begun in calls.begin() {
            assert_eq!(calls.fail(begun.id, &CallError::NoResponse), Some(1));
        }
        calls.push(2, StopProjectVersion);
        calls.push(3, StopProjectVersion);
        let [hung, other] = &calls.begin()[..] else {
            panic!("two stops");
        };
        calls.fail(hung.id, &CallError::NoResponse);
        calls.succeed(other.id);
        calls.now += SECOND;
        assert!(calls.queue.fire(calls.now).is_empty());
        let begun = calls.begin();
        assert_eq!(begun.len(), 8);
        assert!(begun.iter().any(|it| it.operation == StopProjectVersion));
        // What has not hung is made all the same.
        calls.push(3, StopProjectVersion);
        assert_eq!(scopes(&calls.begin()), [3]);
        for ended in begun {
            calls.succeed(ended.id);
            assert_eq!(calls.begin().len(), 1);
        }
    }

    #[test]
    fn a_region_that_has_not_responded_has_eight_calls_and_the_others_wait_in_order() {
        let mut calls = Calls::new(8, &[EAST, EAST, EAST, EAST, EAST, WEST]);
        for scope in 1..=5 {
            calls.push_many(3, scope, StopProjectVersion);
        }
        calls.push_many(3, 6, StopProjectVersion);
        let begun = calls.begin();
        assert_eq!(scopes(&begun), [1, 2, 3, 4, 5, 6, 1, 2, 3, 6, 6]);
        // A broken connection is no response, and makes room for one.
        assert_eq!(calls.fail(begun[0].id, &broken()), Some(1));
        assert_eq!(scopes(&calls.begin()), [4]);
        calls.succeed(begun[1].id);
        assert_eq!(scopes(&calls.begin()), [1, 5, 2, 3, 4, 5]);
    }

    #[test]
    fn a_lane_at_its_own_limit_leaves_the_room_in_a_silent_region_to_those_that_are_parked() {
        let mut calls = Calls::new(8, &[EAST, EAST, EAST]);
        calls.push_many(50, 1, StopProjectVersion);
        let mut begun = calls.begin();
        assert_eq!(scopes(&begun), [1; 8]);
        calls.push(2, StopProjectVersion);
        calls.push_many(2, 3, StopProjectVersion);
        assert!(calls.begin().is_empty());
        let mut turns = Vec::new();
        for begun in begun.drain(..4) {
            calls.now += SECOND;
            assert_eq!(calls.fail(begun.id, &CallError::NoResponse), Some(1));
            turns.extend(scopes(&calls.begin()));
        }
        assert_eq!(turns, [1, 3, 2, 3]);
    }

    #[test]
    fn only_an_attempt_that_is_given_up_makes_a_region_silent_and_any_response_ends_that() {
        for (error, more) in [
            (CallError::NoResponse, 0),
            (broken(), 5),
            (refused(500, "InternalServerError"), 5),
            (refused(400, "AccessDeniedException"), 5),
            (CallError::unreadable(StopProjectVersion), 5),
        ] {
            let mut calls = Calls::responding(64, &[EAST, EAST]);
            calls.push_many(20, 1, StopProjectVersion);
            let begun = calls.begin();
            calls.fail(begun[0].id, &error);
            calls.push_many(5, 2, StopProjectVersion);
            assert_eq!(calls.begin().len(), more, "{error:?}");
            // A broken connection changes nothing, and a response, even a refusal, does.
            calls.fail(begun[1].id, &broken());
            assert_eq!(calls.begin().len(), 0, "{error:?}");
            calls.fail(begun[2].id, &refused(400, "AccessDeniedException"));
            assert_eq!(calls.begin().len(), 5 - more, "{error:?}");
        }
    }

    #[test]
    fn a_region_that_falls_silent_with_many_in_flight_has_room_again_below_eight() {
        let mut calls = Calls::responding(64, &[EAST, EAST]);
        calls.push_many(10, 1, StopProjectVersion);
        calls.push_many(10, 2, StopProjectVersion);
        let begun = calls.begin();
        assert_eq!(begun.len(), 20);
        calls.push_many(10, 2, ListTagsForResource);
        for (ended, begun) in (1..).zip(&begun) {
            calls.fail(begun.id, &CallError::NoResponse);
            let expected = match ended {
                1..=12 => 0,
                13..=20 => 1,
                more => panic!("{more}"),
            };
            assert_eq!(calls.begin().len(), expected, "{ended}");
        }
    }

    #[test]
    fn a_throttled_call_goes_behind_the_others_of_its_lane_which_waits_for_its_pace() {
        let mut calls = Calls::responding(1, &[EAST, EAST]);
        let [first, second] = [0; 2].map(|_| calls.push(1, StopProjectVersion));
        assert_eq!(calls.begin()[0].id, first);
        calls.now += MILLISECOND;
        assert_eq!(calls.fail(first, &throttled()), Some(1));
        // Only this lane is held back.
        let other = calls.push(2, StopProjectVersion);
        let tag = calls.push(1, ListTagsForResource);
        let begun: Vec<CallId> = calls.begin().iter().map(|begun| begun.id).collect();
        assert_eq!(begun, [other, tag]);
        for expected in [second, first] {
            assert!(calls.go_on() <= 50 * MILLISECOND);
            let [begun] = calls.begin()[..] else {
                panic!("{expected:?}");
            };
            assert_eq!(begun.id, expected);
            calls.succeed(expected);
        }
    }

    #[test]
    fn a_call_is_throttled_as_often_as_it_may_be_and_never_waits_for_longer_than_the_widest_gap() {
        for (scope, operation) in [(1, StopProjectVersion), (0, AssumeRole)] {
            let mut calls = Calls::responding(1, &[EAST]);
            let id = calls.push(scope, operation);
            let mut longest = Duration::ZERO;
            for attempt in 1..100 {
                assert_eq!(calls.begin()[0].id, id);
                calls.now += MILLISECOND;
                assert_eq!(calls.fail(id, &throttled()), Some(attempt));
                longest = longest.max(calls.go_on());
            }
            let widest = operation.service().widest_gap();
            assert!(
                longest <= widest && longest > widest * 9 / 10,
                "{longest:?}"
            );
        }
    }

    #[test]
    fn a_passing_failure_says_nothing_about_the_quota() {
        for (error, is_narrower) in [
            (None, true),
            (Some(refused(400, "AccessDeniedException")), true),
            (Some(refused(500, "InternalServerError")), false),
            (Some(CallError::NoResponse), false),
            (Some(broken()), false),
        ] {
            let mut calls = Calls::responding(1, &[EAST]);
            let throttled_call = calls.push(1, StopProjectVersion);
            calls.push_many(2, 1, StopProjectVersion);
            calls.begin();
            calls.fail(throttled_call, &throttled());
            let gap = 50 * MILLISECOND;
            assert!(calls.go_on() <= gap);
            let begun = calls.begin();
            let result = error.clone().map_or(Ok(page(None)), Err);
            calls.queue.ended(begun[0].id, result, calls.now);
            assert_eq!(calls.go_on(), gap);
            calls.begin();
            let mut paces = calls.queue.lanes.values().map(|lane| lane.pace);
            let next = paces.find_map(|pace| pace.later(calls.now)).unwrap();
            assert_eq!(next - calls.now < gap, is_narrower, "{error:?}");
        }
    }

    #[test]
    fn a_refused_signature_is_retried_at_once_and_only_once() {
        let mut calls = Calls::responding(1, &[EAST]);
        let id = calls.push(1, StopProjectVersion);
        assert_eq!(calls.begin()[0].id, id);
        assert_eq!(calls.fail(id, &bad_signature()), Some(1));
        assert_eq!(calls.begin()[0].id, id);
        assert_eq!(calls.fail(id, &broken()), Some(2));
        calls.go_on();
        assert_eq!(calls.begin()[0].id, id);
        assert_eq!(calls.fail(id, &bad_signature()), None);
        assert!(calls.begin().is_empty() && calls.queue.drain().is_empty());
    }

    #[test]
    fn a_failed_attempt_is_retried_after_a_growing_pause_which_holds_up_no_other_call() {
        let mut calls = Calls::responding(1, &[EAST]);
        let id = calls.push(1, StopProjectVersion);
        let errors = [
            (broken(), 0.1),
            (CallError::NoResponse, 0.15),
            (refused(500, "InternalServerError"), 0.225),
            (throttled(), 0.05),
            (broken(), 0.1),
        ];
        for (attempt, (error, longest)) in (1..).zip(errors) {
            assert_eq!(calls.begin()[0].id, id);
            assert_eq!(calls.fail(id, &error), Some(attempt));
            let pause = calls.go_on().as_secs_f64();
            assert!(
                (longest / 2.0..=longest).contains(&pause),
                "{attempt}: {pause}"
            );
        }
        let mut calls = Calls::responding(1, &[EAST]);
        let [failed, other] = [0; 2].map(|_| calls.push(1, StopProjectVersion));
        assert_eq!(calls.begin()[0].id, failed);
        calls.fail(failed, &broken());
        assert_eq!(calls.begin()[0].id, other);
    }

    #[test]
    fn the_end_of_a_call_is_reported_with_what_it_concerns() {
        let mut calls = Calls::responding(1, &[EAST]);
        let (scope, request) = (ScopeId(1), versions(1));
        let id = calls.queue.push(scope, request.clone(), None);
        calls.begin();
        let ended = calls.queue.ended(id, Err(broken()), calls.now);
        let Some(Ended::Retried(retried)) = ended else {
            panic!("{ended:?}");
        };
        let expected = Retried {
            operation: DescribeProjectVersions,
            subject: "project".to_owned(),
            attempts: 1,
            reason: "connection reset".to_owned(),
        };
        assert_eq!(retried, expected);
        // There is no such attempt while the call waits.
        assert_eq!(calls.succeed(id), None);
        calls.go_on();
        calls.begin();
        assert_eq!(calls.succeed(id), Some(request));
        assert_eq!(calls.succeed(id), None);
    }

    #[test]
    fn a_list_is_read_page_by_page_and_begun_again_when_its_token_has_expired() {
        let mut calls = Calls::new(8, &[]);
        let id = calls.push(0, ListAccounts);
        let expired = || Err(refused(400, "InvalidPaginationTokenException"));
        for (token, result, rest) in [
            (None, Ok(page(Some("2"))), Some(Rest::Pages)),
            (Some("2"), Ok(page(Some("3"))), Some(Rest::Pages)),
            (Some("3"), Err(CallError::NoResponse), None),
            (Some("3"), expired(), None),
            (None, Ok(page(Some("2"))), Some(Rest::Pages)),
            // A token that repeats.
            (Some("2"), Ok(page(Some("2"))), Some(Rest::Pages)),
            (
                None,
                Err(refused(400, "AccessDeniedException")),
                Some(Rest::Nothing),
            ),
        ] {
            if calls.queue.due().is_some() {
                calls.go_on();
            }
            let attempt = calls.queue.next(calls.now, calls.end).unwrap();
            assert_eq!((attempt.id, attempt.token), (id, token));
            let is_ok = result.is_ok();
            match calls.queue.ended(id, result, calls.now).unwrap() {
                Ended::Retried(_) => assert_eq!(rest, None, "{token:?}"),
                Ended::Step(step) => {
                    assert_eq!((Some(step.rest), step.result.is_ok()), (rest, is_ok));
                }
            }
        }
        assert!(calls.queue.drain().is_empty());
    }

    #[test]
    fn lists_and_status_checks_of_a_lane_take_turns() {
        for (lists, checks, turns) in [
            (9, 3, "LLLCLLLCLLLC"),
            (2, 6, "LLCCCCCC"),
            (0, 3, "CCC"),
            (12, 1, "LLLCLLLLLLLLL"),
        ] {
            let mut calls = Calls::responding(1, &[EAST]);
            let mut check_ids = HashSet::new();
            for _ in 0..checks {
                check_ids.insert(calls.queue.push(ScopeId(1), versions(1), None));
            }
            calls.push_many(lists, 1, DescribeProjectVersions);
            let mut made = String::new();
            while let Some(begun) = calls.begin_one() {
                made.push(match check_ids.contains(&begun.id) {
                    true => 'C',
                    false => 'L',
                });
                calls.succeed(begun.id);
            }
            assert_eq!(made, turns);
        }
    }

    #[test]
    fn a_check_that_comes_after_many_lists_has_its_turn_at_once() {
        let mut calls = Calls::responding(1, &[EAST]);
        calls.push_many(10, 1, DescribeProjectVersions);
        for _ in 0..5 {
            let begun = calls.begin_one().unwrap();
            calls.succeed(begun.id);
        }
        let check = calls.queue.push(ScopeId(1), versions(1), None);
        assert_eq!(calls.begin_one().unwrap().id, check);
    }

    #[test]
    fn no_attempt_begins_with_less_than_a_second_left() {
        let mut calls = Calls::responding(8, &[EAST]);
        let id = calls.push(1, StopProjectVersion);
        for left in [Duration::ZERO, SECOND - MILLISECOND] {
            calls.end = calls.now + left;
            assert!(calls.begin().is_empty(), "{left:?}");
        }
        calls.end = calls.now - SECOND;
        assert!(calls.begin().is_empty());
        calls.end = calls.now + SECOND;
        assert_eq!(calls.begin()[0].id, id);
    }

    #[test]
    fn what_is_not_to_be_done_before_a_time_is_done_then() {
        let mut calls = Calls::responding(8, &[EAST]);
        let start = calls.now;
        let at = start + 3 * SECOND;
        let later = calls
            .queue
            .push(ScopeId(1), request(StopProjectVersion), Some(at));
        calls.queue.wake(start + SECOND, ScopeId(1));
        calls.queue.wake(at, ScopeId(2));
        assert!(calls.begin().is_empty() && calls.queue.fire(start).is_empty());
        assert_eq!(calls.queue.due(), Some(start + SECOND));
        assert_eq!(calls.queue.fire(start + SECOND), [ScopeId(1)]);
        assert!(calls.begin().is_empty());
        assert_eq!(calls.queue.due(), Some(at));
        assert_eq!(calls.queue.fire(at), [ScopeId(2)]);
        assert_eq!(calls.begin()[0].id, later);
        assert_eq!(calls.queue.due(), None);
    }

    #[test]
    fn a_scope_that_is_closed_leaves_nothing_behind() {
        let mut calls = Calls::responding(8, &[EAST, EAST]);
        calls.push(2, StopProjectVersion);
        let begun = calls.begin();
        calls.succeed(begun[0].id);
        calls.queue.close(ScopeId(1));
        calls.queue.close(ScopeId(2));
        assert!(calls.queue.lanes.is_empty() && calls.queue.scopes.is_empty());
        assert!(calls.begin().is_empty());
        assert_eq!(calls.queue.drain().len(), 0);
    }

    #[test]
    fn every_call_that_is_not_over_is_taken_once_with_why_its_last_attempt_failed() {
        let mut calls = Calls::responding(3, &[EAST]);
        let [retried, flying, throttled_call, over] =
            [0; 4].map(|_| calls.push(1, StopProjectVersion));
        for begun in calls.begin() {
            if begun.id != flying {
                calls.now += MILLISECOND;
                calls.fail(begun.id, &broken());
            }
        }
        let begun = calls.begin();
        assert_eq!(begun[0].id, over);
        calls.succeed(over);
        for _ in 0..2 {
            calls.go_on();
            assert_eq!(calls.begin().len(), 1);
        }
        calls.fail(retried, &CallError::NoResponse);
        calls.fail(throttled_call, &throttled());
        let waiting = calls.push(1, StopProjectVersion);
        let later = calls.now + SECOND;
        let later = calls
            .queue
            .push(ScopeId(1), request(StopProjectVersion), Some(later));
        calls.queue.wake(calls.now + SECOND, ScopeId(1));

        calls.push(0, ListAccounts);
        let list = calls.begin_one().unwrap().id;
        let expired = refused(400, "InvalidPaginationTokenException");
        calls.fail(list, &expired);
        assert!(waiting < later && later < list);
        let unfinished = calls.queue.drain().into_iter();
        let unfinished: Vec<_> = unfinished.map(|call| call.last_failure).collect();
        let why = |error: CallError| Some(error.to_string());
        let expected = [
            why(CallError::NoResponse),
            None,
            why(throttled()),
            None,
            None,
            why(expired),
        ];
        assert_eq!(unfinished, expected);
        assert!(calls.queue.drain().is_empty());
    }

    #[test]
    fn whatever_happens_no_call_is_lost_no_limit_exceeded_and_something_always_comes_next() {
        for seed in 0..40 {
            let mut chance = Rng::with_seed(seed);
            let mut world = World::new(chance.usize(1..=20));
            for step in 0..600 {
                match chance.u8(..8) {
                    0..=2 if step < 400 => world.push(&mut chance),
                    3..=5 => world.end_one(&mut chance),
                    6 => world.calls.now += chance.u32(..200) * MILLISECOND,
                    _ => {
                        let due = world.calls.queue.due();
                        world.calls.now = due.unwrap_or(world.calls.now).max(world.calls.now);
                    }
                }
                world.begin();
                world.check(&format!("seed {seed}, step {step}"));
            }
            if chance.bool() {
                let drained = world.calls.queue.drain();
                assert_eq!(drained.len(), world.unfinished.len(), "seed {seed}");
                continue;
            }
            // Once nothing fails any more, every call comes to its end.
            while !world.unfinished.is_empty() {
                match world.in_flight.pop() {
                    Some(begun) => world.end(begun, None),
                    None => world.calls.now = world.calls.queue.due().unwrap(),
                }
                world.begin();
                world.check(&format!("seed {seed}, at the end"));
            }
            assert!(world.calls.queue.drain().is_empty(), "seed {seed}");
        }
    }

    /// What is known from outside about a queue and its calls, in 12 scopes of 3 regions.
    struct World {
        calls: Calls,
        most_per_lane: usize,
        unfinished: HashSet<CallId>,
        in_flight: Vec<Begun>,
        is_silent: [bool; 3],
        /// When a region last responded, and when each attempt was sent.
        last_response: [Option<Instant>; 3],
        sent: HashMap<CallId, Instant>,
    }

    impl World {
        fn new(most_per_lane: usize) -> Self {
            let regions = ["ap-south-1", EAST, WEST];
            let regions = Vec::from_iter(regions.into_iter().cycle().take(12));
            Self {
                calls: Calls::new(most_per_lane, &regions),
                most_per_lane,
                unfinished: HashSet::new(),
                in_flight: Vec::new(),
                is_silent: [true; 3],
                last_response: [None; 3],
                sent: HashMap::new(),
            }
        }

        /// The index of the region that a call is made in, if it is one to Rekognition.
        fn region(begun: &Begun) -> Option<usize> {
            let is_rekognition = begun.operation.service() == Service::Rekognition;
            is_rekognition.then(|| (begun.scope.0 as usize - 1) % 3)
        }

        fn push(&mut self, chance: &mut Rng) {
            let operation = Operation::ALL[chance.usize(..Operation::ALL.len())];
            let scope = match operation.service() {
                Service::Rekognition | Service::CloudTrail => ScopeId(chance.u32(1..=12)),
                Service::Sts | Service::Organizations => ScopeId::FUNCTION,
            };
            for _ in 0..chance.u8(1..30) {
                let request = match operation {
                    DescribeProjectVersions if chance.bool() => versions(2),
                    DescribeProjectVersions if chance.bool() => versions(1),
                    operation => request(operation),
                };
                let at = self.calls.now + chance.u32(..3000) * MILLISECOND;
                let id = match chance.u8(..4) {
                    0 => self.calls.queue.push(scope, request, Some(at)),
                    _ => self.calls.queue.push(scope, request, None),
                };
                assert!(self.unfinished.insert(id));
            }
        }

        fn end_one(&mut self, chance: &mut Rng) {
            if self.in_flight.is_empty() {
                return;
            }
            let begun = self
                .in_flight
                .swap_remove(chance.usize(..self.in_flight.len()));
            let error = match chance.u8(..14) {
                0 | 1 => Some(throttled()),
                2 => Some(refused(500, "InternalServerError")),
                3..=5 => Some(CallError::NoResponse),
                6 => Some(broken()),
                7 => Some(bad_signature()),
                8 => Some(refused(400, "AccessDeniedException")),
                9 => Some(CallError::unreadable(begun.operation)),
                _ => None,
            };
            self.end(begun, error.as_ref());
        }

        fn end(&mut self, begun: Begun, error: Option<&CallError>) {
            if let Some(region) = Self::region(&begun) {
                match error {
                    Some(CallError::NoResponse) => {
                        let sent = self.sent[&begun.id];
                        self.is_silent[region] |= self.last_response[region] <= Some(sent);
                    }
                    Some(CallError::Broken { .. }) => {}
                    _ => {
                        self.is_silent[region] = false;
                        self.last_response[region] = Some(self.calls.now);
                    }
                }
            }
            let result = error.cloned().map_or(Ok(page(None)), Err);
            match self.calls.queue.ended(begun.id, result, self.calls.now) {
                Some(Ended::Step(_)) => assert!(self.unfinished.remove(&begun.id)),
                Some(Ended::Retried(_)) => {}
                None => panic!("{begun:?} is not in flight"),
            }
        }

        /// Begins all attempts that can be made, none of which exceeds a limit.
        fn begin(&mut self) {
            assert!(self.calls.queue.fire(self.calls.now).is_empty());
            while let Some(begun) = self.calls.begin_one() {
                let is_double = self.in_flight.iter().any(|other| other.id == begun.id);
                assert!(!is_double && self.unfinished.contains(&begun.id));
                self.in_flight.push(begun);
                self.sent.insert(begun.id, self.calls.now);
                let service = begun.operation.service();
                let of_service = self.in_flight.iter();
                let of_service = of_service.filter(|other| other.operation.service() == service);
                assert!(of_service.count() <= service.most_in_flight());
                let Some(region) = Self::region(&begun) else {
                    continue;
                };
                let of_lane = self.in_flight.iter().filter(|other| {
                    (other.scope, other.operation) == (begun.scope, begun.operation)
                });
                assert!(of_lane.count() <= self.most_per_lane);
                let of_region = self.in_flight.iter();
                let of_region = of_region.filter(|other| Self::region(other) == Some(region));
                assert!(!self.is_silent[region] || of_region.count() <= MOST_IN_SILENT_REGION);
            }
        }

        /// Checks that each lane is in its one place, that no lane waits for nothing, and that
        /// something comes next.
        fn check(&self, context: &str) {
            let queue = &self.calls.queue;
            let pools = queue.pools.values();
            let ready = pools.flat_map(|pool| pool.ready.iter().chain(&pool.failing));
            let parked = queue.regions.iter().flat_map(|region| &region.parked);
            let paced = queue.timers.values().filter_map(|timer| match timer {
                Timer::Pace(lane) => Some(lane),
                Timer::Retry(..) | Timer::Wake(_) => None,
            });
            let places = ready
                .map(|lane| (lane, Place::Ready))
                .chain(parked.map(|lane| (lane, Place::Parked)))
                .chain(paced.map(|lane| (lane, Place::Paced)));
            let places: Vec<(&LaneId, Place)> = places.collect();
            for (id, lane) in &queue.lanes {
                let places = places.iter().filter(|(lane, _)| *lane == id);
                let places = places.map(|(_, place)| *place);
                let expected = Some(lane.place).filter(|place| *place != Place::Idle);
                assert!(places.eq(expected), "{context}: {id:?}");
                let most = match id.operation.service() {
                    Service::Rekognition => self.most_per_lane,
                    _ => 16,
                };
                let region = lane.region.map(|region| &queue.regions[region]);
                let hung = region.map_or(Hung::Allowed, Region::hung);
                let may_be_idle = !lane.has_calls(hung) || lane.in_flight >= most;
                let is_in_line = region.is_some_and(|region| region.held.contains(id));
                assert_eq!(lane.is_held, is_in_line, "{context}: {id:?}");
                assert!(
                    lane.place != Place::Idle || may_be_idle,
                    "{context}: {id:?}"
                );
            }
            let Some(pool) = queue.pools.get(&Service::Rekognition) else {
                return;
            };
            let is_full = pool.in_flight >= Service::Rekognition.most_in_flight();
            for region in &queue.regions {
                let is_right = is_full || region.is_full() || region.parked.is_empty();
                assert!(is_right, "{context}: {region:?}");
            }
            let is_idle = pool.ready.is_empty() && pool.failing.is_empty();
            assert!(is_full || is_idle, "{context}");
            let is_over = self.unfinished.is_empty();
            let comes_next = !self.in_flight.is_empty() || queue.due().is_some();
            assert!(is_over || comes_next, "{context}");
        }
    }
}
