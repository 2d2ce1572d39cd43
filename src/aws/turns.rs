//! Whose turn it is to call.
//!
//! An attempt of a call waits for four things, in this order, and holds three of them while it is in
//! flight:
//!
//! 1. the [`Pace`] of its operation, which is what the service has quotas for. What waits for it holds
//!    nothing that another call could use;
//! 2. a place in the operation's [`Window`], which is small until the service answers, and again when
//!    it stops answering: an operation that hangs leaves the other operations their places;
//! 3. one of the places of its scope, of which there are `MAX_CONCURRENCY`;
//! 4. one of the places of the process. Those that a call takes after an attempt without an answer
//!    are few, so that scopes that hang leave places to those that answer.
//!
//! Each is handed out in the order of the requests for it, and a scope never has more requests at the
//! process's places than it has places itself: turns go round the scopes.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{AcquireError, Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::operation::Operation;
use super::pace::Pace;

/// Of the places of the process, the part that calls may take after an attempt without an answer.
const SHARE_AFTER_SILENCE: usize = 4;
/// The places of an operation that has not been answered yet.
const FIRST_PLACES: usize = 2;

/// The places of the process for the calls to one service.
#[derive(Debug)]
pub(crate) struct Places {
    number: usize,
    all: Semaphore,
    after_silence: Semaphore,
}

impl Places {
    /// So many places.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            number: places,
            all: Semaphore::new(places),
            after_silence: Semaphore::new((places / SHARE_AFTER_SILENCE).max(1)),
        }
    }
}

/// How many calls of one operation may be in flight at once: between a least and a most number, one
/// more with each answer, and the least again after an attempt without an answer.
#[derive(Debug)]
struct Window {
    least: usize,
    most: usize,
    permits: Semaphore,
    size: Mutex<WindowSize>,
}

#[derive(Debug)]
struct WindowSize {
    places: usize,
    /// Places that are still taken and will not be given back.
    surplus: usize,
}

impl Window {
    fn new(least: usize, most: usize) -> Self {
        let places = FIRST_PLACES.clamp(least, most);
        Self {
            least,
            most,
            permits: Semaphore::new(places),
            size: Mutex::new(WindowSize { places, surplus: 0 }),
        }
    }

    fn answered(&self) {
        let mut size = self.size();
        if size.places < self.most {
            size.places += 1;
            match size.surplus.checked_sub(1) {
                Some(surplus) => size.surplus = surplus,
                None => self.permits.add_permits(1),
            }
        }
    }

    fn unanswered(&self) {
        let mut size = self.size();
        let fewer = size.places.saturating_sub(self.least);
        size.places -= fewer;
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
pub(crate) struct Lane {
    operation: Operation,
    pace: Pace,
    /// The calls that were let through so far.
    let_through: AtomicU64,
    window: Window,
    scope: Arc<Semaphore>,
    process: Arc<Places>,
    /// Calls that still wait for their first turn.
    waiting: AtomicUsize,
    /// The most of these that are of any use.
    most_waiting: usize,
    /// Notified when one of these gets its turn.
    has_room: Arc<Notify>,
}

/// The right to make one attempt now. Dropped, it makes room for the next.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    lane: &'a Lane,
    pub(super) since: Instant,
    window: Option<SemaphorePermit<'a>>,
    _scope: SemaphorePermit<'a>,
    _process: (SemaphorePermit<'a>, Option<SemaphorePermit<'a>>),
}

impl Lane {
    /// The calls of an operation that shares the places of its scope with other operations, and those
    /// of the process with other scopes. `room` is notified when [`Lane::room`] may have changed.
    pub(super) fn in_scope(
        operation: Operation,
        max_concurrency: usize,
        scope: &Arc<Semaphore>,
        process: &Arc<Places>,
        room: &Arc<Notify>,
    ) -> Self {
        Self {
            operation,
            pace: Pace::default(),
            let_through: AtomicU64::new(0),
            window: Window::new(1, max_concurrency),
            scope: Arc::clone(scope),
            process: Arc::clone(process),
            waiting: AtomicUsize::new(0),
            most_waiting: max_concurrency,
            has_room: Arc::clone(room),
        }
    }

    /// The calls of an operation whose service is called once for the whole process. Each is about
    /// something else (a role, a unit), so that one that hangs says nothing of the others: all
    /// places may be taken at any time.
    pub(super) fn of_process(operation: Operation, process: &Arc<Places>) -> Self {
        let places = process.number;
        let scope = Arc::new(Semaphore::new(places));
        Self {
            window: Window::new(places, places),
            ..Self::in_scope(operation, places, &scope, process, &Arc::default())
        }
    }

    /// The operation.
    pub(super) fn operation(&self) -> Operation {
        self.operation
    }

    /// How many more calls would soon have their turn. Others need not exist yet: what they are for
    /// can wait as a value.
    pub(crate) fn room(&self) -> usize {
        let waiting = self.waiting.load(Ordering::Relaxed);
        self.most_waiting.saturating_sub(waiting)
    }

    /// How many calls the service has let through so far.
    pub(super) fn let_through(&self) -> u64 {
        self.let_through.load(Ordering::Relaxed)
    }

    /// Waits until there may be more room.
    pub(super) async fn has_room(&self) {
        self.has_room.notified().await;
    }

    /// Notes that a call waits for its first turn, until the guard is dropped.
    pub(super) fn first_turn(&self) -> FirstTurn<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        FirstTurn(self)
    }

    /// Waits for the next turn; `after_silence` where the call's last attempt was not answered.
    ///
    /// # Errors
    /// None: the semaphores are never closed.
    pub(super) async fn turn(&self, after_silence: bool) -> Result<Turn<'_>, AcquireError> {
        loop {
            let paced = self.pace.wait().await;
            let window = self.window.permits.acquire().await?;
            let scope = self.scope.acquire().await?;
            let silence = match after_silence {
                true => Some(self.process.after_silence.acquire().await?),
                false => None,
            };
            let process = self.process.all.acquire().await?;
            if self.pace.holds(paced) {
                return Ok(Turn {
                    lane: self,
                    since: Instant::now(),
                    window: Some(window),
                    _scope: scope,
                    _process: (process, silence),
                });
            }
        }
    }
}

impl Turn<'_> {
    /// The attempt was let through, whatever the answer.
    pub(super) fn let_through(self) {
        self.lane.let_through.fetch_add(1, Ordering::Relaxed);
        self.lane.pace.learn(self.since, false);
        self.lane.window.answered();
    }

    /// The attempt was throttled, because there are too many of them.
    pub(super) fn throttled(self) {
        self.lane.pace.learn(self.since, true);
        self.lane.window.answered();
    }

    /// The attempt was throttled for a reason of its own, which says nothing of others.
    pub(super) fn throttled_alone(self) {
        self.lane.window.answered();
    }

    /// The attempt was given up without an answer.
    pub(super) fn unanswered(self) {
        self.lane.window.unanswered();
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.window.take() {
            self.lane.window.leave(permit);
        }
    }
}

/// A call that waits for its first turn.
pub(super) struct FirstTurn<'a>(&'a Lane);

impl Drop for FirstTurn<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.0.has_room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use futures_util::FutureExt;

    const STOP: Operation = Operation::StopProjectVersion;

    /// A lane in a scope of its own.
    fn lane(max_concurrency: usize, process: &Arc<Places>) -> Lane {
        let scope = Arc::new(Semaphore::new(max_concurrency));
        Lane::in_scope(STOP, max_concurrency, &scope, process, &Arc::default())
    }

    fn now(lane: &Lane) -> Option<Turn<'_>> {
        lane.turn(false).now_or_never().map(Result::unwrap)
    }

    fn turns(lane: &Lane) -> Vec<Turn<'_>> {
        std::iter::from_fn(|| now(lane)).collect()
    }

    #[tokio::test]
    async fn an_operation_has_two_places_at_first_and_one_more_with_each_answer() {
        let lane = lane(8, &Arc::new(Places::new(128)));
        for places in [2, 4, 8, 8] {
            let turns = turns(&lane);
            assert_eq!(turns.len(), places);
            turns.into_iter().for_each(|turn| turn.let_through());
        }
    }

    #[tokio::test]
    async fn an_operation_that_stops_answering_has_one_place_until_it_answers_again() {
        let lane = lane(8, &Arc::new(Places::new(128)));
        for _ in 0..3 {
            turns(&lane).into_iter().for_each(|turn| turn.let_through());
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
    async fn the_operations_of_a_scope_share_its_places() {
        let process = Arc::new(Places::new(128));
        let scope = Arc::new(Semaphore::new(3));
        let [one, other] =
            [(); 2].map(|()| Lane::in_scope(STOP, 3, &scope, &process, &Arc::default()));
        let held = turns(&one);
        assert_eq!((held.len(), turns(&other).len()), (2, 1));
    }

    #[tokio::test]
    async fn the_scopes_of_the_process_share_its_places_and_those_that_hang_have_a_quarter() {
        let process = Arc::new(Places::new(8));
        let lanes = [(); 9].map(|()| lane(1, &process));
        let after_silence = lanes
            .iter()
            .filter_map(|lane| lane.turn(true).now_or_never());
        let after_silence: Vec<_> = after_silence.collect();
        assert_eq!(after_silence.len(), 2);
        let held: Vec<_> = lanes.iter().filter_map(now).collect();
        assert_eq!(held.len(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_for_its_pace_holds_no_place() {
        let process = Arc::new(Places::new(1));
        let scope = Arc::new(Semaphore::new(1));
        let [throttled, other] =
            [(); 2].map(|()| Lane::in_scope(STOP, 1, &scope, &process, &Arc::default()));
        now(&throttled).unwrap().throttled();
        let waiting = throttled.turn(false);
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        assert!(now(&other).is_some());
        let start = Instant::now();
        waiting.await.unwrap().let_through();
        assert_eq!(start.elapsed(), Duration::from_millis(100));
    }

    #[tokio::test]
    async fn there_is_room_for_as_many_waiting_calls_as_there_are_places() {
        let lane = lane(2, &Arc::new(Places::new(128)));
        let first = lane.first_turn();
        assert_ne!(lane.room(), 0);
        let second = lane.first_turn();
        assert_eq!(lane.room(), 0);
        drop(first);
        lane.has_room.notified().await;
        assert_ne!(lane.room(), 0);
        drop(second);
    }
}
