//! How much memory the results of open jobs take, as digits, and the jobs that wait for some.
//!
//! A job keeps its results until the last is there and its text is written, at every node. So jobs
//! are computed side by side only as far as the limit of one job goes for all of them together. Small
//! jobs have a share of their own, so none of them waits for a large one. A job that may have killed nodes is
//! computed alone, when its turn comes: so it harms no other, and what dies then dies of it.

use std::collections::{BTreeSet, VecDeque};

use super::jobs::{Job, Stage};
use crate::coordinator::Coordinator;
use crate::core::Core;
use crate::plan::most_digits;
use crate::words::trace::WaitCause;

/// A job is small up to this part of the limit, and all small ones together have another such share
/// at [`SMALL_SHARE`].
const SMALL_PART: u64 = 16;
const SMALL_SHARE: u64 = 4;

/// What a job counts for that is computed alone.
const ALL: u64 = u64::MAX;

/// The digits of the jobs that are being computed, and who waits; each for large and small jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Memory {
    taken: [u64; 2],
    queues: [VecDeque<u64>; 2],
    /// Of those who wait, the jobs that are computed alone.
    lonely: BTreeSet<u64>,
}

impl Memory {
    /// Whether so many digits more fit. A job that is alone always does: it was checked by itself.
    fn fits(&self, digits: u64, limit: u64) -> bool {
        if digits == ALL {
            return self.taken == [0, 0];
        }
        // Nobody passes one by whose turn it is.
        let next = self.queues[0].front();
        if self.taken[0] == ALL || next.is_some_and(|key| self.lonely.contains(key)) {
            return false;
        }
        let class = class(digits, limit);
        let share = [limit, limit / SMALL_SHARE][class];
        self.taken[class] == 0 || self.taken[class].saturating_add(digits) <= share
    }
}

/// 0 for a large job, 1 for a small one.
fn class(digits: u64, limit: u64) -> usize {
    usize::from(digits <= limit / SMALL_PART)
}

impl Job {
    /// The digits that its results count for.
    fn asks_for(&self) -> u64 {
        if self.charge.count > 0 {
            return ALL;
        }
        let distinct: BTreeSet<u32> = self.factorials.iter().copied().collect();
        distinct.into_iter().map(most_digits).sum()
    }
}

impl Coordinator {
    /// Computes a job, or has it wait until there is memory for its results. One of which something
    /// is held, since it was being computed before a takeover, does not wait, unless it is to be alone.
    pub(crate) fn compute_in_turn(&mut self, core: &mut Core, key: u64) {
        if self.fail_if_fatal(core, key) {
            return;
        }
        let limit = core.config.max_digits;
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        let digits = job.asks_for();
        let class = class(digits, limit);
        let memory = &mut self.jobs.memory;
        let first = memory.queues[class].is_empty();
        let begun = || {
            let held = |&n: &u32| core.checkpoint.products.iter_of(n).next().is_some();
            let assigned = |&n: &u32| !self.pool.assigned_of(n).is_empty();
            let mut factorials = job.factorials.iter();
            digits != ALL && factorials.any(|n| held(n) || assigned(n))
        };
        if (first && memory.fits(digits, limit)) || begun() {
            memory.taken[class] = memory.taken[class].saturating_add(digits);
            job.digits = digits;
            self.compute(core, key);
        } else {
            memory.queues[class].push_back(key);
            if digits == ALL {
                memory.lonely.insert(key);
            }
            job.stage = Stage::Queued;
            self.wait(core, key, WaitCause::Memory);
        }
    }

    /// A job's results are not kept any more: others may have their turn.
    pub(super) fn free_memory(&mut self, core: &mut Core, key: u64) {
        let limit = core.config.max_digits;
        let memory = &mut self.jobs.memory;
        memory.lonely.remove(&key);
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        let digits = std::mem::take(&mut job.digits);
        let class = class(digits, limit);
        memory.taken[class] = memory.taken[class].saturating_sub(digits);
        for class in 0..memory.queues.len() {
            while self.compute_next(core, class) {}
        }
    }

    /// Computes the job whose turn it is, if there is memory for it; tells whether another may follow.
    fn compute_next(&mut self, core: &mut Core, class: usize) -> bool {
        let memory = &mut self.jobs.memory;
        let Some(&next) = memory.queues[class].front() else {
            return false;
        };
        let job = self.jobs.open.get_mut(&next);
        let Some(job) = job.filter(|job| job.stage == Stage::Queued) else {
            memory.queues[class].pop_front();
            return true;
        };
        let digits = job.asks_for();
        if !memory.fits(digits, core.config.max_digits) {
            return false;
        }
        memory.queues[class].pop_front();
        memory.lonely.remove(&next);
        memory.taken[class] = memory.taken[class].saturating_add(digits);
        job.digits = digits;
        self.compute(core, next);
        true
    }
}
