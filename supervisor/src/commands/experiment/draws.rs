//! What chance decides about a round. A seed makes all of it repeatable.

use std::time::Duration;

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::commands::cli::experiment::SignalArg;

/// The draws of an experiment, round after round.
#[derive(Debug)]
pub(super) struct Draws {
    rng: StdRng,
    signal: SignalArg,
    every: Duration,
    suspect_after: Duration,
}

/// What was drawn for a round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Draw {
    /// From agreement to the fault.
    pub(super) pause: Duration,
    /// SIGKILL or SIGSTOP.
    pub(super) signal: Signal,
    /// Chooses one of several nodes.
    pick: u32,
    /// Whether a stop lasts until another acts, and the rest of its time comes after that.
    pub(super) until_replaced: bool,
    /// How long a stop lasts.
    pub(super) stop: Duration,
}

impl Draws {
    pub(super) fn new(
        seed: u64,
        signal: SignalArg,
        every: Duration,
        suspect_after: Duration,
    ) -> Draws {
        Draws {
            rng: StdRng::seed_from_u64(seed),
            signal,
            every,
            suspect_after,
        }
    }

    /// What the next round is to be. Draws as many numbers whatever they decide.
    pub(super) fn next(&mut self) -> Draw {
        let pause: f64 = self.rng.random_range(0.0..2.0);
        let is_kill: bool = self.rng.random();
        let pick = self.rng.random();
        let until_replaced = self.rng.random();
        // Too short for anybody to suspect anything, or long enough for all.
        let stop: f64 = self.rng.random_range(0.0..2.0);
        let signal = match (self.signal, is_kill) {
            (SignalArg::Kill, _) | (SignalArg::Mixed, true) => Signal::SIGKILL,
            (SignalArg::Stop, _) | (SignalArg::Mixed, false) => Signal::SIGSTOP,
        };
        Draw {
            pause: self.every.mul_f64(pause),
            signal,
            pick,
            until_replaced,
            stop: self.suspect_after.mul_f64(stop),
        }
    }
}

impl Draw {
    /// One of some; none of none.
    pub(super) fn one_of<T: Copy>(&self, some: &[T]) -> Option<T> {
        let index = usize::try_from(self.pick).ok()?.checked_rem(some.len())?;
        some.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(seed: u64, signal: SignalArg) -> Vec<Draw> {
        let (every, suspect_after) = (Duration::from_millis(250), Duration::from_millis(500));
        let mut draws = Draws::new(seed, signal, every, suspect_after);
        (0..50).map(|_| draws.next()).collect()
    }

    #[test]
    fn a_seed_repeats_its_draws_and_another_does_not() {
        assert_eq!(draws(7, SignalArg::Mixed), draws(7, SignalArg::Mixed));
        assert_ne!(draws(7, SignalArg::Mixed), draws(8, SignalArg::Mixed));
    }

    #[test]
    fn moments_and_victims_do_not_depend_on_the_signal() {
        let (kills, mixed) = (draws(7, SignalArg::Kill), draws(7, SignalArg::Mixed));
        for (kill, mixed) in kills.iter().zip(&mixed) {
            assert_eq!(kill.signal, Signal::SIGKILL);
            assert_eq!((kill.pause, kill.pick), (mixed.pause, mixed.pick));
        }
        let kinds = |signal| mixed.iter().any(|draw| draw.signal == signal);
        assert!(kinds(Signal::SIGKILL) && kinds(Signal::SIGSTOP));
    }

    #[test]
    fn one_of_some_is_one_of_them() {
        let draw = draws(7, SignalArg::Kill)[0];
        assert_eq!(draw.one_of::<u8>(&[]), None);
        assert_eq!(draw.one_of(&[3]), Some(3));
    }
}
