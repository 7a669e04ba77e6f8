//! Whether a process that runs still answers.

use std::time::{Duration, Instant};

/// A node that has reported nothing for that long, while it ran, does not answer. Nodes report
/// every 2 s at least.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
/// How often to look. Of a longer gap in the supervisor's own time no more than this counts:
/// whatever stopped the supervisor may have stopped the nodes as well.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Counts the time in which a process ran and was not heard.
#[derive(Clone, Debug)]
pub(crate) struct Watchdog {
    silent: Duration,
    looked: Instant,
}

impl Watchdog {
    /// Begins to count.
    pub(crate) fn new(now: Instant) -> Watchdog {
        Watchdog {
            silent: Duration::ZERO,
            looked: now,
        }
    }

    /// Notes a sign of life.
    pub(crate) fn heard(&mut self) {
        self.silent = Duration::ZERO;
    }

    /// Counts the time since the last look, if the process `runs`. True if it has not answered for
    /// [`LIMIT`]; then the count begins anew.
    pub(crate) fn look(&mut self, now: Instant, runs: bool) -> bool {
        let elapsed = now.saturating_duration_since(self.looked);
        self.looked = now;
        if runs {
            self.silent += elapsed.min(LOOK_EVERY);
        }
        let bites = self.silent >= LIMIT;
        if bites {
            self.silent = Duration::ZERO;
        }
        bites
    }

    /// When to look again at the latest.
    pub(crate) fn next_look(&self) -> Instant {
        self.looked + LOOK_EVERY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Looks once a second; returns the second of the first bite.
    fn bite(seconds: u32, runs: impl Fn(u32) -> bool, heard: impl Fn(u32) -> bool) -> Option<u32> {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(start);
        (1..=seconds).find(|&second| {
            if heard(second) {
                watchdog.heard();
            }
            watchdog.look(start + SECOND * second, runs(second))
        })
    }

    #[test]
    fn ten_silent_seconds_are_too_many() {
        assert_eq!(bite(60, |_| true, |_| false), Some(10));
        assert_eq!(bite(60, |_| true, |second| second == 5), Some(14));
        assert_eq!(bite(60, |_| true, |second| second % 2 == 0), None);
    }

    #[test]
    fn time_spent_stopped_does_not_count() {
        assert_eq!(bite(60, |_| false, |_| false), None);
        let stopped = |second| !(4..34).contains(&second);
        assert_eq!(bite(60, stopped, |_| false), Some(40));
    }

    #[test]
    fn a_gap_in_the_supervisors_own_time_counts_as_one_look() {
        let start = Instant::now();
        let mut watchdog = Watchdog::new(start);
        assert!(!watchdog.look(start + SECOND * 3_600, true));
        assert_eq!(watchdog.silent, LOOK_EVERY);
    }
}
