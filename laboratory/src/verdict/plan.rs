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
use super::work::Work;
use crate::log::{Event, Op};

const NAME: &str = "S5";

/// The trees of factorials.
#[derive(Clone, Debug, Default)]
pub(super) struct Plans {
    trees: BTreeMap<u64, Tree>,
    found: Vec<Violation>,
}

/// The tree of n!.
#[derive(Clone, Debug)]
struct Tree {
    /// How many operations its levels have, leaves first.
    widths: Vec<u64>,
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
        }
    }

    pub(super) fn check(&self, work: &Work, missing: &Missing) -> Vec<Violation> {
        // Whether single operations are told of at all.
        let mut trees = self.trees.keys();
        let is_traced = trees.any(|&n| work.first_completed(n).next().is_some());
        let incomplete = self.trees.iter().filter(|_| is_traced);
        let charges = incomplete.filter_map(|(&n, tree)| tree.incomplete(n, work));
        let mut violations = self.found.clone();
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
        Tree { widths, done: None }
    }

    fn contains(&self, op: &Op) -> bool {
        let level = usize::try_from(op.level).unwrap_or(usize::MAX);
        self.widths
            .get(level)
            .is_some_and(|&width| op.index < width)
    }

    /// Names of the tree that no worker completed though the product was there.
    fn incomplete(&self, n: u64, work: &Work) -> Option<Charge> {
        let done = self.done.as_ref()?;
        let mut count = 0;
        let mut first = None;
        for (level, &width) in (0..).zip(&self.widths) {
            let all = work.completed.level(n, "multiply", level);
            let in_time = all.filter(|&(index, at)| index < width && at > 0 && at <= done.at());
            let (mut there, mut next) = (0, 0);
            for (index, _) in in_time {
                there += 1;
                next += u64::from(index == next);
            }
            count += width - there;
            if next < width {
                first = first.or(Some((level, next)));
            }
        }
        let (level, index) = first?;
        let message = format!("the product of {n}! is done, and nobody completed {level}.{index}");
        let violation = Violation::new(NAME, message, &[done]);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Some(Charge::new(violation, Lack::anywhere().times(count)))
    }
}
