//! How fast the service can be called: learned from its responses, never configured.
//!
//! A quota is a token bucket with a refill rate and a capacity. Whenever a call is throttled, the
//! bucket is known to be empty, so the number of calls let through between two such times is what
//! was refilled: the quota, to within one call. Calls are then made at that rate, and a little
//! faster with each one that is let through, so that a quota that has grown is noticed, and a quota
//! that others use too is shared. If no calls at all are let through for a while, that says nothing
//! about the quota: the service is probed now and then, and the previous rate resumes once it lets
//! calls through again.
//!
//! Until the first throttled call nothing is held back. [`judge`](super::judge) decides which
//! responses count as throttling; this module only decides when to call.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The pause after the first throttled call, when nothing is known about the quota yet.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The factor by which each call that is let through raises the rate while searching for the
/// quota...
const SEARCH: f64 = 1.4;
/// ... and once the quota is known. The larger it is, the sooner a larger quota is used, but the
/// more calls are throttled while the quota stays the same.
const GROWTH: f64 = 1.02;
/// When this many calls in a row are let through, the quota has grown, and the search begins again.
const CALLS_BEFORE_SEARCH: f64 = 12.0;
/// How many calls a rate that was found by a search weighs in the estimate.
const SEARCHED_CALLS: f64 = 4.0;
/// The weight of older intervals in the estimate when a new one is added.
const MEMORY: f64 = 0.8;
/// When no call has been let through for this long, nor for the time that this many calls take at
/// the known rate, this is taken to be an outage...
const OUTAGE: Duration = Duration::from_secs(1);
const CALLS_MISSED: f64 = 3.0;
/// ... and the service is probed with one call per interval of this length, until it lets one
/// through.
const PROBE: Duration = Duration::from_millis(200);
/// When more calls than this are let through after that, it was indeed an outage and not a small
/// quota.
const CALLS_AFTER_OUTAGE: f64 = 2.0;
/// How late a timer may be.
const TIMER: Duration = Duration::from_millis(2);
/// The minimum rate, in calls per second, so that the next call is never far off.
const LOWEST_RATE: f64 = 0.2;
/// The maximum rate, so that a search that finds no limit ends somewhere.
const HIGHEST_RATE: f64 = 10_000.0;

/// The pace of the calls of one operation in one scope, which is the unit of the service's quotas.
#[derive(Debug, Default)]
pub(super) struct Pace {
    state: Mutex<State>,
    /// Held by the call that is first in line. The others cannot know yet when they may go, because
    /// that may change.
    first: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Calls per second; none before the first throttled call.
    rate: Option<f64>,
    /// When the next call may be made.
    next: Option<Instant>,
    /// When the bucket was last known to be empty.
    emptied: Option<Instant>,
    /// The calls let through since then.
    let_through: f64,
    /// The seconds since then in which a call could have been made but none was.
    idle: f64,
    /// Whether the last call had to wait for its turn.
    held_back: bool,
    /// Calls let through between times when the bucket was empty, and the seconds in between.
    calls: f64,
    seconds: f64,
    /// The throttled calls since the last one that was let through, if there are any.
    streak: Option<Streak>,
    /// The duration of the outage that has just ended, in seconds, while it may still turn out not
    /// to have been one.
    outage: f64,
}

/// Consecutive throttled calls.
#[derive(Clone, Copy, Debug)]
struct Streak {
    since: Instant,
    /// The rate when the streak began, and the estimate behind it.
    rate: f64,
    calls: f64,
    seconds: f64,
}

impl Streak {
    /// Whether it is too long for a quota of this rate.
    fn is_outage(&self, now: Instant) -> bool {
        let expected = Duration::from_secs_f64(CALLS_MISSED / self.rate);
        now - self.since >= OUTAGE.max(expected)
    }
}

impl Pace {
    /// Waits until the next call may be made, and returns that time.
    pub(super) async fn wait(&self) -> Instant {
        let _first = self.first.lock().await;
        loop {
            let now = Instant::now();
            let turn = self.state().take_turn(now);
            match turn {
                Ok(()) => return now,
                Err(next) => sleep_until(next).await,
            }
        }
    }

    /// Whether a call whose turn came at this time may still be made: not if another has been
    /// throttled since.
    pub(super) fn holds(&self, turn: Instant) -> bool {
        self.state().emptied.is_none_or(|emptied| emptied <= turn)
    }

    /// Learns from the answer to a call that was made at `sent`.
    pub(super) fn learn(&self, sent: Instant, throttled: bool) {
        let now = Instant::now();
        let mut state = self.state();
        if throttled {
            state.throttled(sent, now);
        } else {
            state.let_through(now);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the turn if it has come; otherwise returns when it will, as far as is known.
    fn take_turn(&mut self, now: Instant) -> Result<(), Instant> {
        if let Some(next) = self.next.filter(|next| *next > now) {
            return Err(next);
        }
        if let Some(next) = self.next {
            self.idle += (now - next).as_secs_f64();
        }
        // If only the timer was late, the next turn is not delayed.
        let on_time = self.next.filter(|next| *next + TIMER >= now);
        self.held_back = on_time.is_some();
        self.next = self
            .rate
            .map(|rate| on_time.unwrap_or(now) + Duration::from_secs_f64(1.0 / rate));
        Ok(())
    }

    fn let_through(&mut self, now: Instant) {
        if let Some(streak) = self.streak.take()
            && streak.is_outage(now)
        {
            // Calls are let through again, most likely at the previous rate.
            self.outage = (now - streak.since).as_secs_f64();
            self.emptied = Some(now);
            (self.calls, self.seconds) = (streak.calls, streak.seconds);
            self.set_rate(streak.rate, now);
        }
        self.let_through += 1.0;
        if self.let_through > CALLS_AFTER_OUTAGE {
            self.outage = 0.0;
        }
        // If the rate held nothing back, this says nothing about whether more would be let through.
        if let Some(rate) = self.rate.as_mut().filter(|_| self.held_back) {
            let searching = self.calls == 0.0 || self.let_through >= CALLS_BEFORE_SEARCH;
            let faster = *rate * if searching { SEARCH } else { GROWTH };
            *rate = faster.min(HIGHEST_RATE);
        }
    }

    fn throttled(&mut self, sent: Instant, now: Instant) {
        // A call that was already in flight when the bucket was found empty tells nothing new.
        if self.emptied.is_some_and(|emptied| sent < emptied) {
            return;
        }
        match self.streak.filter(|streak| streak.is_outage(now)) {
            Some(streak) => {
                let pause = Duration::from_secs_f64(1.0 / streak.rate).max(PROBE);
                self.next = Some(now + pause);
            }
            None => {
                let rate = self.learned_rate(now).clamp(LOWEST_RATE, HIGHEST_RATE);
                self.set_rate(rate, now);
                let (calls, seconds) = (self.calls, self.seconds);
                self.streak.get_or_insert(Streak {
                    since: now,
                    rate,
                    calls,
                    seconds,
                });
            }
        }
        self.emptied = Some(now);
        self.let_through = 0.0;
        self.idle = 0.0;
        self.outage = 0.0;
    }

    /// The quota, from what was let through since the bucket was last empty.
    fn learned_rate(&mut self, now: Instant) -> f64 {
        let (Some(rate), Some(emptied)) = (self.rate, self.emptied) else {
            return 1.0 / FIRST_PAUSE.as_secs_f64();
        };
        // What would have been let through while no calls were made is unknown. And if only a few
        // calls were let through after an outage, it was not an outage but a small quota.
        let busy = (now - emptied).as_secs_f64() + self.outage - self.idle;
        let busy = busy.max(TIMER.as_secs_f64());
        if self.let_through >= CALLS_BEFORE_SEARCH {
            // The quota has changed, and the rate before this one was still within it.
            let found = (rate / SEARCH).min(self.let_through / busy);
            self.calls = SEARCHED_CALLS;
            self.seconds = SEARCHED_CALLS / found;
        } else {
            self.calls = self.calls * MEMORY + self.let_through;
            self.seconds = self.seconds * MEMORY + busy;
        }
        // One more call may have been refilled since the last one was let through.
        (self.calls + 1.0) / self.seconds
    }

    fn set_rate(&mut self, rate: f64, now: Instant) {
        self.rate = Some(rate);
        self.next = Some(now + Duration::from_secs_f64(1.0 / rate));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bucket like the service's, with calls made at a pace, one after the other.
    struct Quota {
        calls_a_second: f64,
        burst: f64,
        left: f64,
        at: Instant,
    }

    impl Quota {
        fn new(calls_a_second: f64, burst: f64) -> Self {
            Self {
                calls_a_second,
                burst,
                left: burst,
                at: Instant::now(),
            }
        }

        fn call(&mut self) -> bool {
            let flowed_in = self.at.elapsed().as_secs_f64() * self.calls_a_second;
            self.at = Instant::now();
            self.left = (self.left + flowed_in).min(self.burst);
            let let_through = self.left >= 1.0;
            if let_through {
                self.left -= 1.0;
            }
            let_through
        }

        /// Makes calls until this many were let through. Returns how many were throttled, and the
        /// time it took.
        async fn take(&mut self, pace: &Pace, calls: u32) -> (u32, Duration) {
            let start = Instant::now();
            let (mut let_through, mut throttled) = (0, 0);
            while let_through < calls {
                let sent = pace.wait().await;
                let was_let_through = self.call();
                pace.learn(sent, !was_let_through);
                if was_let_through {
                    let_through += 1;
                } else {
                    throttled += 1;
                }
            }
            (throttled, start.elapsed())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_in_flight_when_one_is_throttled_tell_nothing_new() {
        let pace = Pace::default();
        let sent = [pace.wait().await, pace.wait().await, pace.wait().await];
        tokio::time::advance(Duration::from_millis(20)).await;
        for sent in sent {
            pace.learn(sent, true);
            assert_eq!(pace.state().rate, Some(1.0 / FIRST_PAUSE.as_secs_f64()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_from_before_a_throttled_call_is_no_longer_valid() {
        let pace = Pace::default();
        let early = pace.wait().await;
        assert!(pace.holds(early));
        tokio::time::advance(Duration::from_millis(20)).await;
        pace.learn(early, true);
        assert!(!pace.holds(early));
        let late = pace.wait().await;
        assert_eq!(late - early, Duration::from_millis(20) + FIRST_PAUSE);
        assert!(pace.holds(late));
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_quota_nothing_is_held_back() {
        let (throttled, time) = Quota::new(0.0, 1e6).take(&Pace::default(), 10_000).await;
        assert_eq!((throttled, time), (0, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_is_learned_whatever_it_is_and_nearly_all_of_it_is_used() {
        for calls_a_second in [0.5, 2.0, 5.0, 20.0, 50.0] {
            let pace = Pace::default();
            let mut quota = Quota::new(calls_a_second, 5.0);
            let (throttled, time) = quota.take(&pace, 205).await;
            let ideal = 200.0 / calls_a_second;
            let used = ideal / time.as_secs_f64();
            assert!(used > 0.9, "{calls_a_second}/s: {used} of it used");
            assert!(throttled < 40, "{calls_a_second}/s: {throttled} throttled");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_quota_that_changes_is_learned_again() {
        let pace = Pace::default();
        let mut quota = Quota::new(10.0, 5.0);
        quota.take(&pace, 100).await;
        for calls_a_second in [2.0, 40.0] {
            quota.calls_a_second = calls_a_second;
            quota.take(&pace, 100).await;
            let (throttled, time) = quota.take(&pace, 200).await;
            let used = 200.0 / calls_a_second / time.as_secs_f64();
            assert!(used > 0.9, "{calls_a_second}/s: {used} of it used");
            assert!(throttled < 40, "{calls_a_second}/s: {throttled} throttled");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_without_calls_is_not_taken_for_a_small_quota() {
        for calls_a_second in [5.0, 50.0] {
            let pace = Pace::default();
            let mut quota = Quota::new(calls_a_second, 5.0);
            quota.take(&pace, 60).await;
            for _ in 0..5 {
                tokio::time::advance(Duration::from_secs(30)).await;
                quota.take(&pace, 1).await;
            }
            let (_, time) = quota.take(&pace, 65).await;
            let used = 60.0 / calls_a_second / time.as_secs_f64();
            assert!(used > 0.7, "{calls_a_second}/s: {used} of it used");
        }
    }

    /// Makes calls to a service that throttles all of them for a while and then has this quota,
    /// until this many were let through. Returns the seconds since the end of the outage.
    async fn after_outage(pace: &Pace, outage: Duration, quota: &mut Quota, calls: u32) -> f64 {
        let start = Instant::now();
        while start.elapsed() < outage {
            let sent = pace.wait().await;
            pace.learn(sent, true);
        }
        let end = start + outage;
        quota.take(pace, calls).await;
        (Instant::now() - end).as_secs_f64()
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_outage_the_quota_is_used_as_before() {
        let pace = Pace::default();
        let mut quota = Quota::new(20.0, 1.0);
        quota.take(&pace, 100).await;
        let outage = Duration::from_secs(30);
        let seconds = after_outage(&pace, outage, &mut quota, 200).await;
        assert!(seconds < 10.0 * 1.25, "{seconds} s");
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_at_the_beginning_holds_back_little_after_its_end() {
        let outage = Duration::from_secs(30);
        let mut quota = Quota::new(20.0, 1.0);
        let seconds = after_outage(&Pace::default(), outage, &mut quota, 300).await;
        assert!(seconds < 15.0 * 1.25, "{seconds} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_throttled_calls_without_a_quota_cost_a_few_seconds() {
        let pace = Pace::default();
        let start = Instant::now();
        for _ in 0..16 {
            let sent = pace.wait().await;
            pace.learn(sent, true);
        }
        let (throttled, _) = Quota::new(0.0, 1e6).take(&pace, 8).await;
        let seconds = start.elapsed().as_secs_f64();
        assert!(throttled == 0 && seconds < 5.0, "{seconds} s");
    }
}
