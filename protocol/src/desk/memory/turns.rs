//! Whose turn it is to be computed.

use std::collections::BTreeSet;

use super::{ALL, class};
use crate::desk::Desk;
use crate::desk::context::Context;
use crate::desk::jobs::{Job, Stage};
use crate::plan::most_digits;
use crate::words::trace::WaitCause;

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

impl Desk {
    /// Computes a job, or has it wait until there is memory for its results. One of which something
    /// is held, since it was being computed before a takeover, does not wait, unless it is to be alone.
    pub(in crate::desk) fn compute_in_turn(&mut self, context: &mut Context<'_>, key: u64) {
        if self.fail_if_fatal(context, key) {
            return;
        }
        let limit = context.config.max_digits;
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        let digits = job.asks_for();
        let class = class(digits, limit);
        let memory = &mut self.memory;
        let first = memory.queues[class].is_empty();
        let begun = || {
            let held = |&n: &u32| context.checkpoint.products.iter_of(n).next().is_some();
            let assigned = |&n: &u32| context.is_assigned(n);
            let mut factorials = job.factorials.iter();
            digits != ALL && factorials.any(|n| held(n) || assigned(n))
        };
        if (first && memory.fits(digits, limit)) || begun() {
            memory.taken[class] = memory.taken[class].saturating_add(digits);
            job.digits = digits;
            self.compute(context, key);
        } else {
            memory.queues[class].push_back(key);
            if digits == ALL {
                memory.lonely.insert(key);
            }
            job.stage = Stage::Queued;
            self.wait(context, key, WaitCause::Memory);
        }
    }

    /// A job's results are not kept any more: others may have their turn.
    pub(in crate::desk) fn free_memory(&mut self, context: &mut Context<'_>, key: u64) {
        let limit = context.config.max_digits;
        let memory = &mut self.memory;
        memory.lonely.remove(&key);
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        let digits = std::mem::take(&mut job.digits);
        let class = class(digits, limit);
        memory.taken[class] = memory.taken[class].saturating_sub(digits);
        for class in 0..memory.queues.len() {
            while self.compute_next(context, class) {}
        }
    }

    /// Computes the job whose turn it is, if there is memory for it; tells whether another may follow.
    fn compute_next(&mut self, context: &mut Context<'_>, class: usize) -> bool {
        let memory = &mut self.memory;
        let Some(&next) = memory.queues[class].front() else {
            return false;
        };
        let job = self.jobs.open.get_mut(&next);
        let Some(job) = job.filter(|job| job.stage == Stage::Queued) else {
            memory.queues[class].pop_front();
            return true;
        };
        let digits = job.asks_for();
        if !memory.fits(digits, context.config.max_digits) {
            return false;
        }
        memory.queues[class].pop_front();
        memory.lonely.remove(&next);
        memory.taken[class] = memory.taken[class].saturating_add(digits);
        job.digits = digits;
        self.compute(context, next);
        true
    }
}
