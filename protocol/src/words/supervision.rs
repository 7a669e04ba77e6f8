//! What a supervisor goes by: when the cluster starts, when a node that died is started again, and which crashes
//! count. Here, since the shipped supervisor and that of the simulation act on the same rules, and what a node does
//! after crashes is tuned to them.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::words::time::Time;

/// The cluster starts without the nodes that have not bound their sockets by then.
pub const START_AFTER: Duration = Duration::from_secs(1);

/// The delay before the second restart in a row.
const FIRST_DELAY: Duration = Duration::from_millis(10);
/// The longest delay, before jitter.
const LONGEST_DELAY: Duration = Duration::from_secs(1);
/// A life of at least this long makes the next death a first one again.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
/// What jitter makes of a delay, in percent.
const JITTER: RangeInclusive<u32> = 75..=125;
/// After so long without a crash, or without the loss of an office, the next is a first one again.
pub(crate) const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);

/// The restart policy of one node: at once after the first death, then 10 ms doubling to 1 s,
/// with jitter; forgotten after 5 s of life. It never gives up.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    /// Deaths in a row, none of which ended a settled life.
    deaths: u32,
}

impl Backoff {
    /// Counts a death after `uptime` and says how long to wait before the restart.
    ///
    /// `draw` gives a random number of a range. It keeps nodes that died together from
    /// restarting together for ever.
    pub fn after_death(
        &mut self,
        uptime: Duration,
        draw: impl FnOnce(RangeInclusive<u32>) -> u32,
    ) -> Duration {
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
        delay * draw(JITTER) / 100
    }
}

/// Crashes of one node in office, each soon after the one before. The node cannot count them itself; it
/// is told their number at its start, and takes the longer to claim the office again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Crashes {
    count: u32,
    last: Time,
}

impl Crashes {
    /// One more.
    pub fn add(&mut self, now: Time) {
        self.count = self.count(now).saturating_add(1);
        self.last = now;
    }

    /// How many there are.
    pub fn count(&self, now: Time) -> u32 {
        if now.since(self.last) < FORGOTTEN_AFTER {
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
        let start = Time(0);
        let mut crashes = Crashes::default();
        assert_eq!(crashes.count(start), 0);
        for index in 1..=5 {
            crashes.add(start + FORGOTTEN_AFTER / 2 * index);
            assert_eq!(crashes.count(start + FORGOTTEN_AFTER / 2 * index), index);
        }
        let quiet = start + FORGOTTEN_AFTER / 2 * 5 + FORGOTTEN_AFTER;
        assert_eq!(crashes.count(quiet), 0);
        crashes.add(quiet);
        assert_eq!(crashes.count(quiet), 1);
    }

    const SHORT: Duration = Duration::from_millis(3);

    fn no_jitter(_: RangeInclusive<u32>) -> u32 {
        100
    }

    fn delays_ms(count: usize) -> Vec<u128> {
        let mut backoff = Backoff::default();
        (0..count)
            .map(|_| backoff.after_death(SHORT, no_jitter).as_millis())
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
        assert_eq!(backoff.after_death(SHORT, no_jitter), LONGEST_DELAY);
        assert_eq!(backoff.after_death(SHORT, no_jitter), LONGEST_DELAY);
    }

    #[test]
    fn five_seconds_of_life_make_the_next_death_a_first_one() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.after_death(SHORT, no_jitter);
        }
        let almost = SETTLED_AFTER - Duration::from_millis(1);
        assert!(backoff.after_death(almost, no_jitter) > Duration::ZERO);
        assert_eq!(
            backoff.after_death(SETTLED_AFTER, no_jitter),
            Duration::ZERO
        );
        assert_eq!(backoff.after_death(SHORT, no_jitter), FIRST_DELAY);
    }

    #[test]
    fn jitter_moves_a_delay_by_a_quarter_at_most() {
        for (draw, expected_us) in [
            (RangeInclusive::start as fn(&_) -> &_, 7_500),
            (RangeInclusive::end, 12_500),
        ] {
            let mut backoff = Backoff { deaths: 1 };
            assert_eq!(
                backoff
                    .after_death(SHORT, |range| *draw(&range))
                    .as_micros(),
                expected_us
            );
        }
    }
}
