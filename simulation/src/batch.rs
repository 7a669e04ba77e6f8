//! Many seeds, one after the other.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::checkers::Violation;
use crate::reached::Reached;
use crate::run::run;

/// What a batch of seeds came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// Seeds that were run.
    pub seeds: u64,
    /// Seeds in which a coordinator took over in mid-job.
    pub with_takeover: u64,
    /// What all of them went through.
    pub reached: Reached,
    /// Faults that were injected.
    pub faults: u64,
    /// Events that nodes handled.
    pub steps: u64,
    /// Virtual time of all of them.
    pub lasted: Duration,
    /// The longest way from the last fault until all was well, and the seed.
    pub slowest: (Duration, u64),
    /// Seeds that found a violation, and which.
    pub violations: Vec<(u64, Violation)>,
    /// How long it took.
    pub took: Duration,
}

/// Runs so many seeds, from `first` on; stops after `most` violations.
pub fn batch(first: u64, seeds: u64, most: usize) -> Summary {
    let mut summary = Summary::default();
    let begun = Instant::now();
    let bar = ProgressBar::new(seeds);
    let template = "{bar:40} {pos} of {len} seeds, {per_sec}, {elapsed}  {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    for seed in first..first.saturating_add(seeds) {
        summary.add(seed);
        bar.inc(1);
        if summary.violations.len() >= most.max(1) {
            break;
        }
        if !summary.violations.is_empty() {
            bar.set_message(format!("{} violations", summary.violations.len()));
        }
    }
    bar.finish_and_clear();
    summary.took = begun.elapsed();
    summary
}

impl Summary {
    fn add(&mut self, seed: u64) {
        let outcome = run(seed, false);
        self.seeds += 1;
        self.with_takeover += u64::from(outcome.reached.takeovers_in_mid_job > 0);
        self.reached += outcome.reached;
        self.faults += outcome.faults as u64;
        self.steps += outcome.steps;
        self.lasted += outcome.lasted;
        self.slowest = self.slowest.max((outcome.healed_in, seed));
        if let Some(violation) = outcome.violation {
            self.violations.push((seed, violation));
        }
    }

    /// Seeds a second.
    pub fn pace(&self) -> f64 {
        self.seeds as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}
