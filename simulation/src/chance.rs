//! All chance of a run: one generator, one seed.

use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// The generator of a run. Its numbers are the same on every machine and in every build.
#[derive(Clone, Debug)]
pub struct Chance(Xoshiro256PlusPlus);

/// A span of durations, drawn so that each order of magnitude is as likely as any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Shortest, in microseconds; at least 1.
    pub from_us: u64,
    /// Longest, in microseconds.
    pub to_us: u64,
}

impl Span {
    /// From so many to so many microseconds.
    pub const fn us(from_us: u64, to_us: u64) -> Span {
        Span { from_us, to_us }
    }
}

impl Chance {
    /// The generator of a seed.
    pub fn new(seed: u64) -> Chance {
        Chance(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// A seed for something that shall not depend on how much was drawn here later.
    pub fn fork(&mut self) -> u64 {
        self.0.random()
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        if limit == 0 {
            0
        } else {
            self.0.random_range(0..limit)
        }
    }

    /// A number of a range, both ends included.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        self.0.random_range(from..=to)
    }

    /// True in so many cases of a hundred.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.0.random_ratio(percent.min(100), 100)
    }

    /// True in so many cases of a thousand.
    pub fn permille(&mut self, permille: u32) -> bool {
        self.0.random_ratio(permille.min(1000), 1000)
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A duration of a span.
    ///
    /// Whole powers of two are drawn evenly and then filled up: no floating point, whose last digit
    /// could differ between machines.
    pub fn duration(&mut self, span: Span) -> Duration {
        let low = span.from_us.max(1).ilog2();
        let high = span.to_us.max(1).ilog2();
        let power = self.0.random_range(low..=high);
        let drawn = (1_u64 << power) + (self.0.random::<u64>() & ((1 << power) - 1));
        let nanos = drawn.clamp(span.from_us, span.to_us) * 1_000;
        Duration::from_nanos(nanos + self.0.random_range(0..1_000))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_stay_in_their_span_and_cover_it() {
        let mut chance = Chance::new(1);
        let span = Span::us(3, 5_000);
        let drawn: Vec<u128> = (0..2_000)
            .map(|_| chance.duration(span).as_micros())
            .collect();
        assert!(drawn.iter().all(|&us| (3..=5_000).contains(&us)));
        assert!(drawn.iter().any(|&us| us < 10) && drawn.iter().any(|&us| us > 2_500));
    }
}
