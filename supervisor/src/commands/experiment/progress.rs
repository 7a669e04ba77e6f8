//! How far an experiment is, for a person who waits.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::commands::bars;
use crate::commands::stderr;

const TEMPLATE: &str = "{bar:40} round {pos} of {len}, {elapsed}, {msg}";
/// How often a line comes where there is no terminal to draw on.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often a bar shows that time passes.
const DRAW_EVERY: Duration = Duration::from_millis(100);

/// A bar on standard error while that is a terminal, and otherwise a line now and then. The bar is
/// gone when this is dropped. No thread ticks.
#[derive(Debug)]
pub(super) struct RoundsBar {
    bar: ProgressBar,
    is_terminal: bool,
    rounds: u32,
    next: Instant,
}

impl RoundsBar {
    pub(super) fn new(rounds: u32) -> RoundsBar {
        let bar = ProgressBar::with_draw_target(Some(rounds.into()), bars::target());
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        let is_terminal = std::io::stderr().is_terminal();
        let wait = if is_terminal {
            Duration::ZERO
        } else {
            LINE_EVERY
        };
        RoundsBar {
            bar,
            is_terminal,
            rounds,
            next: Instant::now() + wait,
        }
    }

    /// Shows how many rounds are over, if it is time for that.
    pub(super) fn show(&mut self, rounds: usize, what: impl FnOnce() -> String) {
        if Instant::now() < self.next {
            return;
        }
        if self.is_terminal {
            self.next = Instant::now() + DRAW_EVERY;
            self.bar.set_position(rounds as u64);
            self.bar.set_message(what());
        } else {
            self.next = Instant::now() + LINE_EVERY;
            stderr::mention(&format!("round {rounds} of {}, {}", self.rounds, what()));
        }
    }

    /// Says what comes after the rounds.
    pub(super) fn say(&mut self, what: &'static str) {
        if self.is_terminal {
            self.bar.set_message(what);
        } else {
            stderr::mention(what);
        }
    }
}

impl Drop for RoundsBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
