//! When a node that died is started again.

use std::time::{Duration, Instant};

/// The delay before the second restart in a row.
const FIRST_DELAY: Duration = Duration::from_millis(10);
/// The longest delay, before jitter.
const LONGEST_DELAY: Duration = Duration::from_secs(1);
/// A life of at least this long makes the next death a first one again.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
/// The share of a delay by which jitter lengthens or shortens it.
const JITTER: f64 = 0.25;

/// The restart policy of one node: at once after the first death, then 10 ms doubling to 1 s,
/// with jitter; forgotten after 5 s of life. It never gives up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    /// Deaths in a row, none of which ended a settled life.
    deaths: u32,
}

impl Backoff {
    /// Counts a death after `uptime` and says how long to wait before the restart.
    ///
    /// `chance` is a random number from 0 up to 1. It keeps nodes that died together from
    /// restarting together for ever.
    pub(crate) fn after_death(&mut self, uptime: Duration, chance: f64) -> Duration {
        if uptime >= SETTLED_AFTER {
            self.deaths = 0;
        }
        let earlier = self.deaths;
        self.deaths = self.deaths.saturating_add(1);
        let Some(doublings) = earlier.checked_sub(1) else {
            return Duration::ZERO;
        };
        // 2^7 times 10 ms is over the longest delay already.
        let delay = (FIRST_DELAY * 2_u32.pow(doublings.min(7))).min(LONGEST_DELAY);
        delay.mul_f64(1.0 + JITTER * (2.0 * chance - 1.0))
    }
}

/// When, as the end of a sentence.
pub(crate) fn when(wait: Duration) -> String {
    if wait.is_zero() {
        "at once".to_owned()
    } else {
        format!("in {} ms", wait.as_millis())
    }
}

/// After so long without a crash, the next is a first one again. The protocol has lost offices forgotten
/// after the same time.
const CRASHES_FORGOTTEN: Duration = Duration::from_secs(120);

/// Crashes of one node in office, each soon after the one before. The node cannot count them itself; it
/// is told their number at its start, and takes the longer to claim the office again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Crashes {
    count: u32,
    last: Option<Instant>,
}

impl Crashes {
    /// One more.
    pub(crate) fn add(&mut self, now: Instant) {
        self.count = self.count(now).saturating_add(1);
        self.last = Some(now);
    }

    /// How many there are.
    pub(crate) fn count(&self, now: Instant) -> u32 {
        let recent = |last: Instant| now.saturating_duration_since(last) < CRASHES_FORGOTTEN;
        if self.last.is_some_and(recent) {
            self.count
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crashes_count_while_each_comes_soon_after_the_one_before() {
        let start = Instant::now();
        let mut crashes = Crashes::default();
        assert_eq!(crashes.count(start), 0);
        for index in 1..=5 {
            crashes.add(start + CRASHES_FORGOTTEN / 2 * index);
            assert_eq!(crashes.count(start + CRASHES_FORGOTTEN / 2 * index), index);
        }
        let quiet = start + CRASHES_FORGOTTEN / 2 * 5 + CRASHES_FORGOTTEN;
        assert_eq!(crashes.count(quiet), 0);
        crashes.add(quiet);
        assert_eq!(crashes.count(quiet), 1);
    }

    const SHORT: Duration = Duration::from_millis(3);
    const NO_JITTER: f64 = 0.5;

    fn delays_ms(count: usize) -> Vec<u128> {
        let mut backoff = Backoff::default();
        (0..count)
            .map(|_| backoff.after_death(SHORT, NO_JITTER).as_millis())
            .collect()
    }

    #[test]
    fn the_first_restart_is_at_once_and_the_delay_doubles_to_a_second() {
        assert_eq!(
            delays_ms(11),
            [0, 10, 20, 40, 80, 160, 320, 640, 1000, 1000, 1000]
        );
    }

    #[test]
    fn it_never_gives_up() {
        let mut backoff = Backoff { deaths: u32::MAX };
        assert_eq!(backoff.after_death(SHORT, NO_JITTER), LONGEST_DELAY);
        assert_eq!(backoff.after_death(SHORT, NO_JITTER), LONGEST_DELAY);
    }

    #[test]
    fn five_seconds_of_life_make_the_next_death_a_first_one() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.after_death(SHORT, NO_JITTER);
        }
        let almost = SETTLED_AFTER - Duration::from_millis(1);
        assert!(backoff.after_death(almost, NO_JITTER) > Duration::ZERO);
        assert_eq!(
            backoff.after_death(SETTLED_AFTER, NO_JITTER),
            Duration::ZERO
        );
        assert_eq!(backoff.after_death(SHORT, NO_JITTER), FIRST_DELAY);
    }

    #[test]
    fn jitter_moves_a_delay_by_a_quarter_at_most() {
        for (chance, expected_us) in [(0.0, 7_500), (0.5, 10_000), (1.0, 12_500)] {
            let mut backoff = Backoff { deaths: 1 };
            assert_eq!(backoff.after_death(SHORT, chance).as_micros(), expected_us);
        }
    }
}
