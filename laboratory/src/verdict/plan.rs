//! S5: an operation has at most four operands; the leaves partition 1..n.
//!
//! Events name operations and not their operands. The names are those of a tree in which each
//! operation has at most four below it; and where a product was done, each name of that tree has been
//! completed by some worker, so the leaves cover 1..n, and no name is outside of it.
//!
//! Where the lines stand does not matter. A worker writes `completed` before it sends the product, which the
//! coordinator has when it writes `product_done`: so what was completed by a later clock was not in it.

use std::collections::BTreeMap;

use super::Violation;
use super::charges::{Charge, Lack, Missing};
use crate::log::{Event, Op};

const NAME: &str = "S5";

/// What was completed of each factorial.
#[derive(Debug, Default)]
pub(super) struct Plans {
    trees: BTreeMap<u64, Tree>,
    found: Vec<Violation>,
}

/// The tree of n!.
#[derive(Debug)]
struct Tree {
    /// How many operations its levels have, leaves first.
    widths: Vec<u64>,
    /// By level, a bit for each operation that was completed.
    completed: Vec<Vec<u64>>,
    /// The `product_done` with the earliest clock.
    done: Option<Event>,
}

impl Plans {
    pub(super) fn take(&mut self, event: &Event) {
        if event.name() == "product_done" {
            let n = event.number("n");
            let done = &mut self.trees.entry(n).or_insert_with(|| Tree::of(n)).done;
            if done.as_ref().is_none_or(|done| event.at() < done.at()) {
                *done = Some(event.clone());
            }
            return;
        }
        let Some(op) = event.op().filter(|op| &*op.kind == "multiply") else {
            return;
        };
        let tree = self.trees.entry(op.n).or_insert_with(|| Tree::of(op.n));
        if !tree.contains(op) {
            let message = format!(
                "{}! has no operation {}.{}: its tree has {:?} on its levels",
                op.n, op.level, op.index, tree.widths
            );
            self.found.push(Violation::new(NAME, message, &[event]));
        } else if event.name() == "completed" {
            tree.complete(op, event.at());
        }
    }

    pub(super) fn end(self, missing: &Missing) -> Vec<Violation> {
        // Whether single operations are told of at all.
        let mut trees = self.trees.values();
        let is_traced = trees.any(|tree| tree.completed.iter().any(|level| !level.is_empty()));
        let incomplete = self.trees.iter().filter(|_| is_traced);
        let charges = incomplete.filter_map(|(&n, tree)| tree.incomplete(n));
        let mut violations = self.found;
        violations.extend(missing.sustain(charges.collect()));
        violations
    }
}

impl Tree {
    fn of(n: u64) -> Tree {
        let leaves = n.div_ceil(4).max(1);
        let above = |&width: &u64| (width > 1).then(|| width.div_ceil(4));
        // No factorial is larger, so what names one has no operations.
        let leaves = u32::try_from(n).ok().map(|_| leaves);
        let widths: Vec<u64> = std::iter::successors(leaves, above).collect();
        Tree {
            completed: vec![Vec::new(); widths.len()],
            widths,
            done: None,
        }
    }

    fn contains(&self, op: &Op) -> bool {
        let level = usize::try_from(op.level).unwrap_or(usize::MAX);
        self.widths
            .get(level)
            .is_some_and(|&width| op.index < width)
    }

    /// Of one that it contains.
    fn complete(&mut self, op: &Op, at: u64) {
        let is_late = self.done.as_ref().is_some_and(|done| done.at() < at);
        let index = usize::try_from(op.index / 64).unwrap_or(usize::MAX);
        let level = usize::try_from(op.level).ok();
        let level = level.and_then(|level| self.completed.get_mut(level));
        if let Some(level) = level.filter(|_| !is_late) {
            if level.len() <= index {
                level.resize(index + 1, 0);
            }
            level[index] |= 1 << (op.index % 64);
        }
    }

    /// Names of the tree that no worker completed though the product was there.
    fn incomplete(&self, n: u64) -> Option<Charge> {
        let done = self.done.as_ref()?;
        let mut count = 0;
        let mut first = None;
        for (level, &width) in self.widths.iter().enumerate() {
            let bits = &self.completed[level];
            let ones = bits.iter().map(|bits| u64::from(bits.count_ones()));
            let missing = width - ones.sum::<u64>();
            count += missing;
            if missing > 0 && first.is_none() {
                let is_missing = |&index: &u64| {
                    let word = usize::try_from(index / 64).unwrap_or(usize::MAX);
                    bits.get(word)
                        .is_none_or(|word| word & 1 << (index % 64) == 0)
                };
                first = (0..width).find(is_missing).map(|index| (level, index));
            }
        }
        let (level, index) = first?;
        let message = format!("the product of {n}! is done, and nobody completed {level}.{index}");
        let violation = Violation::new(NAME, message, &[done]);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Some(Charge::new(violation, Lack::anywhere().times(count)))
    }
}
