//! The distribution of measured times.

use std::fmt;

use serde::Serialize;

/// The order statistics of some times, in milliseconds. Displays as a part of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many there are.
    pub count: usize,
    /// The least.
    pub min: f64,
    /// The one in the middle.
    pub p50: f64,
    /// The least one that 99 of 100 do not exceed.
    pub p99: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Those of some times; nothing of none.
    pub fn of(mut times: Vec<f64>) -> Option<Spread> {
        times.sort_by(f64::total_cmp);
        // The nearest rank: the least time that this many of 100 do not exceed.
        let rank = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100);
            times.get(rank.saturating_sub(1)).copied()
        };
        Some(Spread {
            count: times.len(),
            min: *times.first()?,
            p50: rank(50)?,
            p99: rank(99)?,
            max: *times.last()?,
        })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread {
            count,
            min,
            p50,
            p99,
            max,
        } = self;
        write!(
            f,
            "min {min:.1} ms, p50 {p50:.1}, p99 {p99:.1}, max {max:.1} ({count} times)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_times_that_were_measured() {
        assert_eq!(Spread::of(Vec::new()), None);
        let one = Spread::of(vec![2.5]).unwrap();
        assert_eq!((one.min, one.p50, one.p99, one.max), (2.5, 2.5, 2.5, 2.5));
        let hundred = Spread::of((1..=100).rev().map(f64::from).collect()).unwrap();
        assert_eq!((hundred.min, hundred.p50), (1.0, 50.0));
        assert_eq!((hundred.p99, hundred.max), (99.0, 100.0));
        let many = Spread::of((1..=101).map(f64::from).collect()).unwrap();
        assert_eq!((many.p50, many.p99), (51.0, 100.0));
    }
}
