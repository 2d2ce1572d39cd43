//! When to poll models that are changing.
//!
//! All of them are polled together, in rounds: about a second after something has changed, then at
//! growing intervals of up to half a minute, less often if a round takes many calls, and once more
//! shortly before the deadline.

use std::time::Duration;

use tokio::time::Instant;

/// The pause before the first round after a change.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two rounds.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long before the deadline the last round is.
const LAST_ROUND: Duration = Duration::from_secs(5);
/// The pause for each call of the round before, if that is longer and no more than the longest: so
/// polling uses two fifths of the smallest default quota, 5 calls a second, for up to 60 calls a
/// round, which are 600 models.
const PAUSE_PER_CALL: Duration = Duration::from_millis(500);

/// The timing of the rounds.
#[derive(Debug)]
pub(super) struct Cadence {
    next: Instant,
    pause: Duration,
    /// The calls of the last round.
    calls: u32,
}

impl Cadence {
    /// The timing before anything has changed.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            next: now + LONGEST_PAUSE,
            pause: FIRST_PAUSE,
            calls: 0,
        }
    }

    /// When the next round is due.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Notes a call of this round.
    pub(super) fn note_call(&mut self) {
        self.calls += 1;
    }

    /// Notes that something has changed, so that more may soon.
    pub(super) fn note_change(&mut self, now: Instant) {
        self.pause = FIRST_PAUSE;
        let soon = now
            + FIRST_PAUSE
                .max(PAUSE_PER_CALL * self.calls)
                .min(LONGEST_PAUSE);
        // A round that came due while no model was waiting did not take place.
        self.next = match self.next < now {
            true => soon,
            false => self.next.min(soon),
        };
    }

    /// Begins a round, and works out when the next is due.
    pub(super) fn begin_round(&mut self, now: Instant, deadline: Instant) {
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let pause = self.pause.max(PAUSE_PER_CALL * self.calls);
        let next = now + pause.min(LONGEST_PAUSE);
        // A model that the last round finds running can still be stopped.
        let last = deadline.checked_sub(LAST_ROUND).filter(|last| *last > now);
        self.next = last.map_or(next, |last| next.min(last));
        self.calls = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(900);

    /// The seconds from a change to each round after it, if each round takes this many calls.
    fn rounds(calls: u32, count: usize) -> Vec<u64> {
        let start = Instant::now();
        let mut cadence = Cadence::new(start);
        cadence.note_change(start);
        let rounds = (0..count).map(|_| {
            let now = cadence.next();
            cadence.begin_round(now, start + DEADLINE);
            (0..calls).for_each(|_| cadence.note_call());
            (now - start).as_secs()
        });
        rounds.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_pauses_after_a_change_grow_to_half_a_minute() {
        assert_eq!(rounds(1, 7), [1, 3, 7, 15, 31, 61, 91]);
    }

    #[tokio::test(start_paused = true)]
    async fn rounds_of_many_calls_are_less_frequent() {
        assert_eq!(rounds(50, 4), [1, 3, 28, 53]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_brings_the_next_round_soon() {
        let start = Instant::now();
        let mut cadence = Cadence::new(start);
        assert_eq!(cadence.next(), start + LONGEST_PAUSE);
        for _ in 0..5 {
            cadence.begin_round(start, start + DEADLINE);
        }
        cadence.note_change(start);
        assert_eq!(cadence.next(), start + FIRST_PAUSE);
        cadence.begin_round(start, start + DEADLINE);
        assert_eq!(cadence.next(), start + 2 * FIRST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_round_that_no_model_waited_for_is_not_made_up_for() {
        let start = Instant::now();
        let mut cadence = Cadence::new(start);
        let later = start + 2 * LONGEST_PAUSE;
        cadence.note_change(later);
        assert_eq!(cadence.next(), later + FIRST_PAUSE);
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_round_is_five_seconds_before_the_deadline() {
        let start = Instant::now();
        let mut cadence = Cadence::new(start);
        let deadline = start + Duration::from_secs(6);
        for _ in 0..5 {
            cadence.begin_round(start, deadline);
        }
        assert_eq!(cadence.next(), deadline - LAST_ROUND);
        cadence.begin_round(deadline - LAST_ROUND, deadline);
        assert!(cadence.next() > deadline);
    }
}
