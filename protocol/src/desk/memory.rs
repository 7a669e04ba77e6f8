//! How much memory the results of open jobs take, as digits, and the jobs that wait for some.
//!
//! A job keeps its results until the last is there and its text is written, at every node. So jobs
//! are computed side by side only as far as the limit of one job goes for all of them together. Small
//! jobs have a share of their own, so none of them waits for a large one. A job that may have killed nodes is
//! computed alone, when its turn comes: so it harms no other, and what dies then dies of it.

mod turns;

use std::collections::{BTreeSet, VecDeque};

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
