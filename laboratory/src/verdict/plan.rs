//! S5: an operation has at most four operands; the leaves partition 1..n.
//!
//! Events name operations and not their operands. The names are those of a tree in which each
//! operation has at most four below it; and where a product was done, each name of that tree has been
//! completed by some worker, so the leaves cover 1..n, and no name is outside of it.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::log::{Event, Log, Op};

const NAME: &str = "S5";

pub(super) fn check(log: &Log) -> Vec<Violation> {
    let mut completed: BTreeMap<u64, BTreeSet<(u64, u64)>> = BTreeMap::new();
    let mut judged = BTreeSet::new();
    let mut violations = Vec::new();
    for event in &log.events {
        let multiplied = event.op().filter(|op| &*op.kind == "multiply");
        if let Some(op) = multiplied.filter(|op| !is_in_tree(op)) {
            let message = format!(
                "{}! has no operation {}.{}: its tree has {:?} on its levels",
                op.n,
                op.level,
                op.index,
                widths(op.n)
            );
            violations.push(Violation::new(NAME, message, &[event]));
        }
        match (event.name(), multiplied) {
            ("completed", Some(op)) => {
                let names = completed.entry(op.n).or_default();
                names.insert((op.level, op.index));
            }
            ("product_done", _) if log.is_whole() && tells_operations(log) => {
                let n = event.number("n");
                if judged.insert(n) {
                    violations.extend(incomplete(n, completed.get(&n), event));
                }
            }
            _ => {}
        }
    }
    violations
}

/// Whether single operations are told of at all.
fn tells_operations(log: &Log) -> bool {
    log.named("completed").next().is_some()
}

/// How many operations the levels of n! have, leaves first.
fn widths(n: u64) -> Vec<u64> {
    let leaves = n.div_ceil(4).max(1);
    let above = |&width: &u64| (width > 1).then(|| width.div_ceil(4));
    std::iter::successors(Some(leaves), above).collect()
}

fn is_in_tree(op: &Op) -> bool {
    let level = usize::try_from(op.level).unwrap_or(usize::MAX);
    widths(op.n)
        .get(level)
        .is_some_and(|&width| op.index < width)
}

/// A name of the tree that no worker completed before the product was there.
fn incomplete(n: u64, completed: Option<&BTreeSet<(u64, u64)>>, done: &Event) -> Option<Violation> {
    let none = BTreeSet::new();
    let completed = completed.unwrap_or(&none);
    let names = widths(n).into_iter().zip(0..).flat_map(|(width, level)| {
        let name = move |index| (level, index);
        (0..width).map(name)
    });
    let missing = names.into_iter().find(|name| !completed.contains(name))?;
    let (level, index) = missing;
    let message = format!("the product of {n}! is done, and nobody completed {level}.{index}");
    Some(Violation::new(NAME, message, &[done]))
}
