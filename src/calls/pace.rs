//! How fast one operation can be called in one account and region: learned from the service's
//! responses, never configured.
//!
//! Throttling widens the gap between two calls, and each call that is let through narrows it, so
//! that the gap settles where the quota is, notices when the quota has changed, and shares it with
//! others. The gap is bounded: however often a service throttles, the next call is never far off.
//! Until the first throttled call nothing is held back.

use std::time::Duration;

use tokio::time::Instant;

/// The gap after the first throttled call, when nothing is known about the quota yet.
const FIRST_GAP: Duration = Duration::from_millis(50);
/// By how much each throttled call widens the gap...
const WIDER: f64 = 1.5;
/// ... and each call that is let through narrows it.
const NARROWER: f64 = 0.95;
/// A gap that is smaller than this is none.
const SMALLEST_GAP: Duration = Duration::from_millis(1);
/// The part of the gap after a throttled call that chance takes away at most, so that calls are not
/// made in step with the quota, always the same one just when it lets one through.
const JITTER: f64 = 0.2;
/// How late a timer may be without making the calls after it later.
const TIMER: Duration = Duration::from_millis(2);

/// The pace of one operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    gap: Duration,
    widest: Duration,
    /// When the next call can be made.
    next: Option<Instant>,
    /// When a call was last throttled.
    throttled: Option<Instant>,
}

impl Pace {
    /// The pace before anything is known, whose gap never becomes wider than this.
    pub(crate) fn new(widest: Duration) -> Self {
        Self {
            gap: Duration::ZERO,
            widest,
            next: None,
            throttled: None,
        }
    }

    /// When the next call can be made, if that is later than `now`.
    pub(crate) fn later(&self, now: Instant) -> Option<Instant> {
        self.next.filter(|next| *next > now)
    }

    /// Notes that a call is made.
    pub(crate) fn sent(&mut self, now: Instant) {
        let on_time = self.next.filter(|next| *next + TIMER >= now);
        self.next = Some(on_time.unwrap_or(now) + self.gap);
    }

    /// Notes that a call was let through.
    pub(crate) fn let_through(&mut self) {
        let gap = self.gap.mul_f64(NARROWER);
        self.gap = if gap < SMALLEST_GAP {
            Duration::ZERO
        } else {
            gap
        };
    }

    /// Notes that a call was throttled that was made at `sent`, with a chance from 0 to 1. One that
    /// was sent before the last one was throttled tells nothing new.
    pub(crate) fn throttled(&mut self, sent: Instant, now: Instant, chance: f64) {
        if self.throttled.is_none_or(|throttled| sent > throttled) {
            let gap = self.gap.mul_f64(WIDER).max(FIRST_GAP);
            self.gap = gap.min(self.widest);
            self.throttled = Some(now);
            self.next = Some(now + self.gap.mul_f64(1.0 - JITTER * chance));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a service lets through.
    struct Service {
        /// Calls a second, by how many have been let through.
        quota: fn(usize) -> f64,
        bucket: f64,
        /// Throttles this many calls before anything else.
        burst: usize,
        /// Throttles all calls between these seconds.
        outage: (f64, f64),
    }

    impl Default for Service {
        fn default() -> Self {
            Self {
                quota: |_| 5.0,
                bucket: 5.0,
                burst: 0,
                outage: (0.0, 0.0),
            }
        }
    }

    /// How long it takes until the service has let `calls` through, eight of them in flight and
    /// each with a response after 20 ms; and the share of attempts that were throttled.
    fn simulate(calls: usize, service: &Service) -> (f64, f64) {
        const LATENCY: Duration = Duration::from_millis(20);
        let start = Instant::now();
        let (mut now, mut last) = (start, start);
        let mut pace = Pace::new(Duration::from_millis(500));
        let (mut waiting, mut done, mut attempts, mut throttled) = (calls, 0, 0, 0);
        let mut tokens = service.bucket;
        let mut chance = fastrand::Rng::with_seed(7);
        let mut in_flight = std::collections::VecDeque::new();
        while done < calls {
            while waiting > 0 && in_flight.len() < 8 && pace.later(now).is_none() {
                pace.sent(now);
                in_flight.push_back(now);
                (waiting, attempts) = (waiting - 1, attempts + 1);
            }
            let answer = in_flight.front().map(|sent| *sent + LATENCY);
            let turn = pace
                .later(now)
                .filter(|_| waiting > 0 && in_flight.len() < 8);
            now = answer.into_iter().chain(turn).min().unwrap();
            if answer != Some(now) {
                continue;
            }
            let sent = in_flight.pop_front().unwrap();
            let quota = (service.quota)(done);
            tokens = (tokens + (now - last).as_secs_f64() * quota).min(service.bucket);
            last = now;
            let second = (now - start).as_secs_f64();
            let is_out = (service.outage.0..service.outage.1).contains(&second);
            if throttled < service.burst || is_out || tokens < 1.0 {
                throttled += 1;
                waiting += 1;
                pace.throttled(sent, now, chance.f64());
            } else {
                tokens -= 1.0;
                done += 1;
                pace.let_through();
            }
        }
        let taken = (now - start).as_secs_f64();
        (taken, throttled as f64 / attempts as f64)
    }

    #[test]
    fn the_quota_is_used_and_few_calls_are_throttled() {
        fn grows(done: usize) -> f64 {
            if done < 100 { 5.0 } else { 20.0 }
        }
        fn shrinks(done: usize) -> f64 {
            if done < 100 { 20.0 } else { 5.0 }
        }
        let five = 19.0;
        for (calls, quota, bucket, ideal, most, share) in [
            (100, (|_| 5.0) as fn(usize) -> f64, 5.0, five, 1.06, 0.25),
            (40, |_| 2.0, 2.0, 19.0, 1.06, 0.35),
            (300, |_| 10.0, 10.0, 29.0, 1.06, 0.25),
            (400, |_| 20.0, 20.0, 19.0, 1.06, 0.25),
            (200, grows, 5.0, five + 5.0, 1.10, 0.25),
            (200, shrinks, 5.0, 4.0 + 20.0, 1.06, 0.25),
            (80, |_| 10.0, 1.0, 8.0, 1.5, 0.3),
            (40, |_| 5.0, 1.0, 8.0, 1.5, 0.3),
            (100, |_| 20.0, 1.0, 5.0, 1.5, 0.3),
        ] {
            let (taken, throttled) = simulate(
                calls,
                &Service {
                    quota,
                    bucket,
                    ..Default::default()
                },
            );
            assert!(
                taken <= ideal * most,
                "{calls} calls took {taken} s of {ideal}"
            );
            assert!(throttled <= share, "{calls} calls: {throttled} throttled");
        }
    }

    #[test]
    fn after_an_outage_the_quota_is_soon_used_again() {
        let outage = (10.0, 40.0);
        let service = Service {
            quota: |_| 10.0,
            bucket: 10.0,
            outage,
            ..Default::default()
        };
        let (taken, _) = simulate(300, &service);
        assert!(taken <= 59.0 * 1.25, "{taken}");
    }

    #[test]
    fn a_burst_of_throttling_without_a_quota_costs_a_few_seconds() {
        let service = Service {
            quota: |_| 1e9,
            bucket: 1e9,
            burst: 16,
            ..Default::default()
        };
        let (taken, _) = simulate(8, &service);
        assert!(taken <= 8.0, "{taken}");
    }

    #[test]
    fn until_a_call_is_throttled_nothing_is_held_back() {
        let now = Instant::now();
        let mut pace = Pace::new(Duration::from_millis(500));
        for _ in 0..1000 {
            assert_eq!(pace.later(now), None);
            pace.sent(now);
            pace.let_through();
        }
    }

    #[test]
    fn calls_that_are_throttled_together_widen_the_gap_once_and_never_beyond_its_bound() {
        let mut now = Instant::now();
        let mut pace = Pace::new(Duration::from_millis(500));
        for _ in 0..8 {
            pace.throttled(now, now + Duration::from_millis(1), 0.0);
        }
        assert_eq!(pace.gap, FIRST_GAP);
        for _ in 0..100 {
            now += Duration::from_secs(1);
            pace.throttled(now, now, 0.0);
        }
        assert_eq!(pace.later(now), Some(now + Duration::from_millis(500)));
    }

    #[test]
    fn a_timer_that_is_a_little_late_makes_no_later_call_late() {
        let now = Instant::now();
        let gap = FIRST_GAP;
        for (late, next) in [
            (Duration::ZERO, gap * 2),
            (TIMER, gap * 2),
            (TIMER * 2, gap * 2 + TIMER * 2),
        ] {
            let mut pace = Pace::new(Duration::from_millis(500));
            pace.throttled(now, now, 0.0);
            assert_eq!(pace.later(now), Some(now + gap));
            pace.sent(now + gap + late);
            assert_eq!(pace.later(now), Some(now + next), "{late:?}");
        }
    }

    #[test]
    fn a_call_that_was_sent_before_the_last_was_throttled_tells_nothing_new() {
        let now = Instant::now();
        let mut pace = Pace::new(Duration::from_millis(500));
        pace.throttled(now, now, 0.0);
        pace.throttled(now, now + FIRST_GAP, 0.0);
        assert_eq!(pace.gap, FIRST_GAP);
        pace.throttled(now + FIRST_GAP, now + FIRST_GAP, 0.0);
        assert_eq!(pace.gap, FIRST_GAP.mul_f64(WIDER));
    }

    #[test]
    fn a_gap_narrows_until_there_is_none() {
        let now = Instant::now();
        let mut pace = Pace::new(Duration::from_millis(500));
        pace.throttled(now, now, 0.0);
        let mut gaps = vec![];
        while pace.gap > Duration::ZERO && gaps.len() < 1000 {
            pace.let_through();
            gaps.push(pace.gap);
        }
        assert!(gaps.is_sorted_by(|gap, next| gap > next), "{gaps:?}");
        let smallest = gaps.iter().rev().nth(1);
        assert!(smallest.is_some_and(|&gap| gap >= SMALLEST_GAP && gap < SMALLEST_GAP * 2));
        assert_eq!(gaps.last(), Some(&Duration::ZERO));
    }
}
