//! Whose turn it is to call.
//!
//! An attempt waits for the following, in this order, and holds all but the first while it is in
//! flight:
//!
//! 1. the [`Pace`] of its operation, which is the unit of the service's quotas. An attempt that
//!    waits for it holds nothing that another call could use;
//! 2. one of a few slots of its region, if the region has not answered yet or has stopped
//!    answering, and for any call whose last attempt was not answered: regions that hang leave
//!    slots to those that answer;
//! 3. a slot in the operation's [`Window`], which is small until the service answers, and small
//!    again when it stops answering: an operation that hangs leaves most slots to the others;
//! 4. one of the slots of its scope, of which there are `MAX_CONCURRENCY`;
//! 5. one of the slots of the process.
//!
//! Each is handed out in the order in which it is requested, and a scope never waits for more of
//! the process's slots than it has slots itself: turns go round the scopes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{AcquireError, Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::operation::Operation;
use super::pace::Pace;

/// The number of slots of an operation that has not been answered yet.
const FIRST_SLOTS: usize = 2;

/// The slots of the process for the calls to one service.
#[derive(Debug)]
pub(crate) struct Slots {
    number: usize,
    all: Semaphore,
    /// How many of them a region that does not answer may take.
    in_silence: usize,
    regions: Mutex<HashMap<String, Arc<Region>>>,
}

impl Slots {
    /// This many slots, of which a region that does not answer may take `in_silence`.
    pub(super) fn new(slots: usize, in_silence: usize) -> Self {
        Self {
            number: slots,
            all: Semaphore::new(slots),
            in_silence,
            regions: Mutex::default(),
        }
    }

    fn region(&self, name: &str) -> Arc<Region> {
        let mut regions = self.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let region = regions.entry(name.to_owned());
        Arc::clone(region.or_insert_with(|| Arc::new(Region::new(self.in_silence))))
    }
}

/// A region, shared by all scopes of the process.
#[derive(Debug)]
struct Region {
    in_silence: Semaphore,
    state: Mutex<RegionState>,
}

#[derive(Debug)]
struct RegionState {
    last_answer: Option<Instant>,
    is_silent: bool,
}

impl Region {
    fn new(in_silence: usize) -> Self {
        Self {
            in_silence: Semaphore::new(in_silence),
            state: Mutex::new(RegionState {
                last_answer: None,
                is_silent: true,
            }),
        }
    }

    fn is_silent(&self) -> bool {
        self.state().is_silent
    }

    fn answered(&self) {
        *self.state() = RegionState {
            last_answer: Some(Instant::now()),
            is_silent: false,
        };
    }

    /// Notes that an attempt was not answered. If others have been answered since it was made, it
    /// is not the region that is silent.
    fn unanswered(&self, since: Instant) {
        let mut state = self.state();
        state.is_silent |= state.last_answer.is_none_or(|at| at <= since);
    }

    fn state(&self) -> MutexGuard<'_, RegionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The slots of one scope, which its operations share.
#[derive(Debug)]
pub(super) struct ScopeSlots {
    number: usize,
    all: Semaphore,
    region: Arc<Region>,
    /// Whether the few slots of a silent region also apply to first attempts.
    is_regional: bool,
    process: Arc<Slots>,
    /// Notified when there may be more room for calls.
    room: Notify,
}

impl ScopeSlots {
    /// The slots of a scope in this region.
    pub(super) fn new(number: usize, region: &str, process: &Arc<Slots>) -> Arc<Self> {
        Arc::new(Self {
            number,
            all: Semaphore::new(number),
            region: process.region(region),
            is_regional: true,
            process: Arc::clone(process),
            room: Notify::new(),
        })
    }

    /// The slots of a service that all scopes share. Each call has a different subject (a role, a
    /// unit), so one that hangs says nothing about the others.
    pub(super) fn of_service(process: &Arc<Slots>) -> Arc<Self> {
        Arc::new(Self {
            number: process.number,
            all: Semaphore::new(process.number),
            region: process.region(""),
            is_regional: false,
            process: Arc::clone(process),
            room: Notify::new(),
        })
    }

    /// Waits until there may be more room for calls.
    pub(super) async fn room_changed(&self) {
        self.room.notified().await;
    }
}

/// How many calls of one operation may be in flight at once, between a minimum and a maximum: one
/// more after each answer, and the minimum again after an attempt without an answer.
#[derive(Debug)]
struct Window {
    least: usize,
    most: usize,
    permits: Semaphore,
    size: Mutex<WindowSize>,
}

#[derive(Debug)]
struct WindowSize {
    slots: usize,
    /// Slots that are still taken and will not be given back.
    surplus: usize,
}

impl Window {
    fn new(least: usize, most: usize) -> Self {
        let slots = FIRST_SLOTS.clamp(least, most);
        Self {
            least,
            most,
            permits: Semaphore::new(slots),
            size: Mutex::new(WindowSize { slots, surplus: 0 }),
        }
    }

    fn answered(&self) {
        let mut size = self.size();
        if size.slots < self.most {
            size.slots += 1;
            match size.surplus.checked_sub(1) {
                Some(surplus) => size.surplus = surplus,
                None => self.permits.add_permits(1),
            }
        }
    }

    fn unanswered(&self) {
        let mut size = self.size();
        let fewer = size.slots.saturating_sub(self.least);
        size.slots -= fewer;
        size.surplus += fewer - self.permits.forget_permits(fewer);
    }

    fn leave(&self, permit: SemaphorePermit<'_>) {
        let mut size = self.size();
        if let Some(surplus) = size.surplus.checked_sub(1) {
            size.surplus = surplus;
            permit.forget();
        }
    }

    fn size(&self) -> MutexGuard<'_, WindowSize> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The calls of one operation in one scope.
#[derive(Debug)]
pub(super) struct Lane {
    operation: Operation,
    pace: Pace,
    /// The number of calls let through so far.
    let_through: AtomicU64,
    window: Window,
    scope: Arc<ScopeSlots>,
    /// The number of calls that are waiting for their first turn.
    waiting: AtomicUsize,
}

/// The right to make one attempt now. Dropping it makes room for the next.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    lane: &'a Lane,
    since: Instant,
    window: Option<SemaphorePermit<'a>>,
    _scope: SemaphorePermit<'a>,
    _process: SemaphorePermit<'a>,
    _in_silence: Option<SemaphorePermit<'a>>,
}

impl Lane {
    /// The calls of an operation, in these slots.
    pub(super) fn new(operation: Operation, scope: &Arc<ScopeSlots>) -> Self {
        let least = match scope.is_regional {
            true => 1,
            false => scope.number,
        };
        Self {
            operation,
            pace: Pace::default(),
            let_through: AtomicU64::new(0),
            window: Window::new(least, scope.number),
            scope: Arc::clone(scope),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The operation.
    pub(super) fn operation(&self) -> Operation {
        self.operation
    }

    /// How many more calls would soon have their turn. Further calls need not exist yet: they can
    /// wait as values.
    pub(super) fn room(&self) -> usize {
        let waiting = self.waiting.load(Ordering::Relaxed);
        self.scope.number.saturating_sub(waiting)
    }

    /// Waits until there may be more room.
    pub(super) async fn room_changed(&self) {
        self.scope.room_changed().await;
    }

    /// How many calls the service has let through so far.
    pub(super) fn let_through(&self) -> u64 {
        self.let_through.load(Ordering::Relaxed)
    }

    /// Notes that a call is waiting for its first turn, until the guard is dropped.
    pub(super) fn first_turn(&self) -> FirstTurn<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        FirstTurn(self)
    }

    /// Waits for the next turn. `first` is the guard of the first turn, if this is the first;
    /// `after_silence` is whether the call's last attempt was not answered.
    ///
    /// # Errors
    /// None: the semaphores are never closed.
    pub(super) async fn turn(
        &self,
        mut first: Option<FirstTurn<'_>>,
        after_silence: bool,
    ) -> Result<Turn<'_>, AcquireError> {
        let region = &self.scope.region;
        loop {
            let paced = self.pace.wait().await;
            let is_silent = self.scope.is_regional && region.is_silent();
            let in_silence = if after_silence || is_silent {
                let slot = region.in_silence.try_acquire();
                if slot.is_err() {
                    // There is no telling how long this will take, and others need not wait for it.
                    first = None;
                }
                Some(match slot {
                    Ok(slot) => slot,
                    Err(_) => region.in_silence.acquire().await?,
                })
            } else {
                None
            };
            let window = self.window.permits.acquire().await?;
            let scope = self.scope.all.acquire().await?;
            let process = self.scope.process.all.acquire().await?;
            if self.pace.holds(paced) {
                drop(first);
                return Ok(Turn {
                    lane: self,
                    since: Instant::now(),
                    window: Some(window),
                    _scope: scope,
                    _process: process,
                    _in_silence: in_silence,
                });
            }
        }
    }
}

impl Turn<'_> {
    /// The attempt was let through, whatever the response.
    pub(super) fn let_through(self) {
        self.lane.let_through.fetch_add(1, Ordering::Relaxed);
        self.lane.pace.learn(self.since, false);
        self.answered();
    }

    /// The attempt was throttled because of the call rate.
    pub(super) fn throttled(self) {
        self.lane.pace.learn(self.since, true);
        self.answered();
    }

    /// The attempt was throttled because of its subject, which says nothing about other calls.
    pub(super) fn throttled_alone(self) {
        self.answered();
    }

    /// The attempt was given up without an answer.
    pub(super) fn unanswered(self) {
        self.lane.window.unanswered();
        self.lane.scope.region.unanswered(self.since);
    }

    fn answered(&self) {
        self.lane.window.answered();
        self.lane.scope.region.answered();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.window.take() {
            self.lane.window.leave(permit);
        }
    }
}

/// A call that is waiting for its first turn.
pub(super) struct FirstTurn<'a>(&'a Lane);

impl Drop for FirstTurn<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.scope.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use futures_util::FutureExt;

    const STOP: Operation = Operation::StopProjectVersion;

    fn process(slots: usize) -> Arc<Slots> {
        Arc::new(Slots::new(slots, slots / 4))
    }

    fn scope(slots: usize, region: &str, process: &Arc<Slots>) -> Arc<ScopeSlots> {
        ScopeSlots::new(slots, region, process)
    }

    /// A lane in a scope of its own.
    fn lane(max_concurrency: usize, process: &Arc<Slots>) -> Lane {
        Lane::new(STOP, &scope(max_concurrency, "us-east-1", process))
    }

    fn now(lane: &Lane) -> Option<Turn<'_>> {
        // A test needs more of tokio's cooperative budget than a task has.
        let turn = tokio::task::unconstrained(lane.turn(None, false));
        turn.now_or_never().map(Result::unwrap)
    }

    fn turns(lane: &Lane) -> Vec<Turn<'_>> {
        std::iter::from_fn(|| now(lane)).collect()
    }

    #[tokio::test]
    async fn an_operation_starts_with_two_slots_and_gets_one_more_with_each_answer() {
        let lane = lane(8, &process(128));
        for slots in [2, 4, 8, 8] {
            let turns = turns(&lane);
            assert_eq!(turns.len(), slots);
            turns.into_iter().for_each(Turn::let_through);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_operation_that_stops_answering_has_one_slot_until_it_answers_again() {
        let lane = lane(8, &process(128));
        for _ in 0..3 {
            turns(&lane).into_iter().for_each(Turn::let_through);
        }
        let mut hanging = turns(&lane);
        assert_eq!(hanging.len(), 8);
        hanging.pop().unwrap().unanswered();
        assert_eq!(turns(&lane).len(), 0);
        hanging.into_iter().for_each(Turn::unanswered);
        let mut last = turns(&lane);
        assert_eq!(last.len(), 1);
        last.pop().unwrap().let_through();
        assert_eq!(turns(&lane).len(), 2);
    }

    #[tokio::test]
    async fn the_operations_of_a_scope_share_its_slots() {
        let scope = scope(3, "us-east-1", &process(128));
        let [one, other] = [(); 2].map(|()| Lane::new(STOP, &scope));
        let held = turns(&one);
        assert_eq!((held.len(), turns(&other).len()), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_region_that_does_not_answer_gets_a_few_slots_of_the_process() {
        let process = process(16);
        let hanging: Vec<Lane> = (0..40)
            .map(|_| Lane::new(STOP, &scope(1, "eu-west-1", &process)))
            .collect();
        let held: Vec<Turn> = hanging.iter().filter_map(now).collect();
        assert_eq!(held.len(), 4);
        // Other regions get the rest, all of it once they answer.
        let others: Vec<Lane> = (0..40).map(|_| lane(1, &process)).collect();
        assert_eq!(others.iter().filter_map(now).collect::<Vec<_>>().len(), 4);
        now(&others[0]).unwrap().let_through();
        let others: Vec<Turn> = others.iter().filter_map(now).collect();
        assert_eq!(others.len(), 12);
        drop(others);
        // The region gets all of them when it answers, and few again when it stops answering.
        held.into_iter().for_each(Turn::let_through);
        let held: Vec<Turn> = hanging.iter().filter_map(now).collect();
        assert_eq!(held.len(), 16);
        tokio::time::advance(Duration::from_secs(10)).await;
        held.into_iter().for_each(Turn::unanswered);
        assert_eq!(hanging.iter().filter_map(now).collect::<Vec<_>>().len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_while_others_are_answered_does_not_make_the_region_silent() {
        let process = process(16);
        let lane = lane(8, &process);
        let hanging = now(&lane).unwrap();
        tokio::time::advance(Duration::from_secs(10)).await;
        now(&lane).unwrap().let_through();
        hanging.unanswered();
        assert!(!lane.scope.region.is_silent());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_for_a_slot_in_silence_holds_no_other_and_lets_others_begin() {
        let process = process(4);
        let scope = scope(4, "us-east-1", &process);
        let [one, other] = [(); 2].map(|()| Lane::new(STOP, &scope));
        now(&one).unwrap().let_through();
        let hanging = one.turn(None, true).await.unwrap();
        let waiting = other.turn(Some(other.first_turn()), true);
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(other.room(), 4);
        assert_eq!(turns(&other).len(), 2);
        drop(hanging);
        assert!(waiting.now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_that_hang_leave_most_slots_of_the_service_to_the_others() {
        let process = process(16);
        let lane = Lane::new(Operation::AssumeRole, &ScopeSlots::of_service(&process));
        let hanging: Vec<_> = (0..20)
            .map(|_| lane.turn(None, true).now_or_never())
            .collect();
        assert_eq!(hanging.iter().flatten().count(), 4);
        assert_eq!(turns(&lane).len(), 12);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_for_its_pace_holds_no_slot() {
        let scope = scope(1, "us-east-1", &process(4));
        let [throttled, other] = [(); 2].map(|()| Lane::new(STOP, &scope));
        now(&throttled).unwrap().throttled();
        let waiting = throttled.turn(None, false);
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(now(&other).is_some());
        let start = Instant::now();
        waiting.await.unwrap().let_through();
        assert_eq!(start.elapsed(), Duration::from_millis(100));
    }

    #[tokio::test]
    async fn there_is_room_for_as_many_waiting_calls_as_there_are_slots() {
        let lane = lane(2, &process(128));
        let first = lane.first_turn();
        assert_ne!(lane.room(), 0);
        let second = lane.first_turn();
        assert_eq!(lane.room(), 0);
        drop(first);
        lane.room_changed().await;
        assert_ne!(lane.room(), 0);
        drop(second);
    }
}
