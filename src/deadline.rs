//! When a run has to end, so that its report is out before Lambda ends the invocation.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The time allowed for one line of the report, with the share of a processor that comes with the
/// smallest memory: most of it goes into the line in the log.
const TIME_PER_LINE: Duration = Duration::from_millis(1);
/// The time allowed for everything else after a run.
const TIME_PER_RUN: Duration = Duration::from_secs(1);
/// The divisor for the largest part of an invocation that is reserved for the report.
const LARGEST_SHARE: u32 = 5;

/// The instant by which every call must have its result.
///
/// It moves earlier with everything that may still need a line in the report: entries, scopes and
/// the models that patterns find.
#[derive(Debug)]
pub(crate) struct Deadline {
    /// When Lambda ends the invocation.
    end: Instant,
    /// The time that was available when the run began.
    time: Duration,
    lines: AtomicU32,
    at: watch::Sender<Instant>,
}

impl Deadline {
    /// The deadline of a run that begins now, in an invocation that ends at `end`.
    pub(crate) fn new(end: Instant) -> Self {
        let time = end.saturating_duration_since(Instant::now());
        Self {
            end,
            time,
            lines: AtomicU32::new(0),
            at: watch::Sender::new(end - time_to_report(time, 0)),
        }
    }

    /// Reserves time for this many more lines.
    pub(crate) fn expect_lines(&self, lines: usize) {
        let lines = u32::try_from(lines).unwrap_or(u32::MAX);
        let before = self.lines.load(Ordering::Relaxed);
        let all = before.saturating_add(lines);
        self.lines.store(all, Ordering::Relaxed);
        self.at.send_if_modified(|at| {
            let earlier = self.end - time_to_report(self.time, all);
            std::mem::replace(at, earlier) != earlier
        });
    }

    /// The deadline as it stands now.
    pub(crate) fn at(&self) -> Instant {
        *self.at.borrow()
    }

    /// The time until then.
    pub(crate) fn left(&self) -> Duration {
        self.at().saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub(crate) fn has_passed(&self) -> bool {
        self.left().is_zero()
    }

    /// Waits until it has passed.
    pub(crate) async fn passed(&self) {
        let mut at = self.at.subscribe();
        loop {
            let deadline = *at.borrow_and_update();
            tokio::select! {
                () = sleep_until(deadline) => return,
                Ok(()) = at.changed() => {}
            }
        }
    }
}

/// The part of an invocation that is reserved for the report.
fn time_to_report(time: Duration, lines: u32) -> Duration {
    (TIME_PER_RUN + TIME_PER_LINE * lines).min(time / LARGEST_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_gets_a_second_a_millisecond_per_line_and_at_most_a_fifth_of_the_time() {
        let time = Duration::from_secs;
        assert_eq!(time_to_report(time(60), 0), time(1));
        assert_eq!(time_to_report(time(900), 10_000), time(11));
        assert_eq!(time_to_report(time(20), 10_000), time(4));
        assert_eq!(time_to_report(time(2), 1), Duration::from_millis(400));
        assert_eq!(time_to_report(time(0), 1), time(0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_for_the_deadline_ends_earlier_when_the_deadline_moves_earlier() {
        let end = Instant::now() + Duration::from_secs(60);
        let deadline = Deadline::new(end);
        let more_lines = async {
            tokio::task::yield_now().await;
            deadline.expect_lines(2_000);
        };
        tokio::join!(deadline.passed(), more_lines);
        assert_eq!(Instant::now(), end - Duration::from_secs(3));
        assert!(deadline.has_passed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_invocation_at_its_end_has_no_time_left() {
        let deadline = Deadline::new(Instant::now());
        deadline.passed().await;
        assert!(deadline.has_passed());
    }
}
