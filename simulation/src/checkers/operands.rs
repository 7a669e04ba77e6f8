//! S5: an operation has at most four operands, and what was multiplied gives n!: the leaves of the tree
//! partition 1..n; those of prime powers, each prime as often as its bit counts, are n! without its tens.
//! And since the arithmetic here is sound, two values for one operation are the protocol's fault.
//!
//! Relies on the order in which things happen in the whole cluster, which a simulation knows. What goes
//! into an operation is taken from what the arithmetic is asked for, and never from the plan. Of a block
//! a worker traces each operation; where it traces none, only the block as a whole can be judged. That each
//! product goes where it belongs, into a step or its parts, the result shows: see `results.rs`.

use std::collections::{BTreeMap, BTreeSet};

use protocol::event::{Action, Task};
use protocol::id::Epoch;
use protocol::message::Message;
use protocol::packed;
use protocol::plan::{Method, OperationId, PARTS};
use protocol::trace::Trace;

use super::Checker;
use super::material::Material;
use crate::arithmetic::{exponents, primes};
use crate::fact::{Fact, Step};

/// Most values of an operation.
const MOST: usize = 4;

/// A number that goes into a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Factor {
    number: u32,
    /// Of a prime, the bit of its exponent for which it stands.
    bit: Option<u8>,
}

/// What went into the leaves of each factorial.
#[derive(Debug, Default)]
pub struct Operands {
    /// By n, then by number: the leaf that has it, since all had forgotten n! last.
    leaves: BTreeMap<u32, BTreeMap<Factor, OperationId>>,
    /// What went into each block of leaves.
    factors: BTreeMap<OperationId, Vec<Vec<Factor>>>,
    /// By coordinatorship: the products that are done, and were not forgotten since.
    done: BTreeMap<Epoch, BTreeSet<u32>>,
    material: Material,
}

impl Checker for Operands {
    fn property(&self) -> &'static str {
        "S5"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        for n in self.material.see(fact) {
            if !self.material.is_left(n) {
                self.leaves.remove(&n);
            }
        }
        match fact {
            Fact::Step(step) => self.step(step),
            _ => Ok(()),
        }
    }
}

impl Operands {
    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        let mut traced = 0;
        for action in step.actions {
            match action {
                Action::Trace {
                    trace: Trace::Computing { .. },
                    ..
                } => traced += 1,
                Action::Compute { operation, task } => {
                    self.compute(*operation, task, std::mem::take(&mut traced))?;
                }
                Action::Trace {
                    trace: Trace::ProductDone { n, plan },
                    ..
                } => self.product_done(*n, *plan, step.after.highest)?,
                Action::Send {
                    message: Message::Checkpoint { epoch, update },
                    ..
                } => {
                    if let Some(done) = self.done.get_mut(epoch) {
                        done.retain(|n| !update.forgotten.contains(n));
                    }
                }
                Action::Trace {
                    trace: Trace::ValuesDiffer { op },
                    ..
                } => {
                    return Err(format!("{} has two values for {op:?}", step.life));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// An operation, or a block of so many, as was traced.
    fn compute(&mut self, id: OperationId, task: &Task, traced: usize) -> Result<(), String> {
        let operations = match task {
            Task::Numbers(leaves) => leaves.len(),
            Task::Primes { leaves, .. } => leaves.len(),
            Task::Block { groups, .. } => groups.len(),
            Task::Products(_) | Task::Step(_) | Task::Part { .. } | Task::Join(_) => 1,
        };
        if traced > 0 && operations != traced {
            return Err(format!(
                "{id:?} is a block of {traced} and computes {operations} operations"
            ));
        }
        match task {
            Task::Numbers(leaves) => {
                let factor = |number| Factor { number, bit: None };
                let leaves = leaves.iter().map(|leaf| leaf.clone().map(factor).collect());
                self.block_of_leaves(id, leaves.collect())
            }
            Task::Primes { n, .. } if *n != id.n => {
                Err(format!("{id:?} multiplies primes of {n}!"))
            }
            Task::Primes { n, bit, leaves } => {
                let factor = |&number: &u32| Factor {
                    number,
                    bit: Some(*bit),
                };
                let primes: Vec<Factor> = primes(*n, *bit).iter().map(factor).collect();
                let leaf = |leaf: u32| {
                    primes
                        .iter()
                        .copied()
                        .skip(MOST * leaf as usize)
                        .take(MOST)
                        .collect()
                };
                self.block_of_leaves(id, leaves.clone().map(leaf).collect())
            }
            Task::Block { groups, .. } if groups.iter().any(|group| !(1..=4).contains(group)) => {
                Err(format!("{id:?} multiplies {groups:?} products"))
            }
            Task::Block { below, groups } => {
                let found = packed::unpack(below).count();
                let wanted: usize = groups.iter().map(|&group| usize::from(group)).sum();
                if found == wanted {
                    return Ok(());
                }
                Err(format!("{id:?} multiplies {wanted} of {found} products"))
            }
            Task::Part { index, .. } if u32::from(*index) >= PARTS => {
                Err(format!("{id:?} is part {index} of {PARTS}"))
            }
            Task::Products(values) | Task::Join(values) => some_values(id, values.len()),
            // The first counts twice.
            Task::Step(values) | Task::Part { step: values, .. } => {
                some_values(id, values.len() + 1)
            }
        }
    }

    fn block_of_leaves(&mut self, id: OperationId, leaves: Vec<Vec<Factor>>) -> Result<(), String> {
        // Only 0! and 1! may have none.
        let least = usize::from(leaves.len() > 1 || id.n > 1);
        if let Some(leaf) = leaves
            .iter()
            .find(|leaf| !(least..=MOST).contains(&leaf.len()))
        {
            return Err(format!("{id:?} multiplies the numbers {leaf:?}"));
        }
        let mut seen = BTreeSet::new();
        for &factor in leaves.iter().flatten() {
            self.factor(id, factor)?;
            if !seen.insert(factor) {
                return Err(format!("{factor:?} is in two leaves of {id:?}"));
            }
        }
        // 0! has a leaf without a number.
        self.leaves.entry(id.n).or_default();
        match self.factors.insert(id, leaves) {
            Some(before) if before != self.factors[&id] => Err(format!(
                "{id:?} multiplies {:?}, and {before:?} before",
                self.factors[&id]
            )),
            _ => Ok(()),
        }
    }

    fn factor(&mut self, id: OperationId, factor: Factor) -> Result<(), String> {
        let leaves = self.leaves.entry(id.n).or_default();
        if factor.number == 0 || factor.number > id.n {
            return Err(format!("{id:?} multiplies {factor:?}"));
        }
        if *leaves.entry(factor).or_insert(id) != id {
            return Err(format!(
                "{factor:?} is in {:?} and in {id:?}",
                leaves[&factor]
            ));
        }
        Ok(())
    }

    fn product_done(&mut self, n: u32, plan: Method, epoch: Epoch) -> Result<(), String> {
        let leaves = self.leaves.get(&n);
        let gives_n = leaves.is_some_and(|leaves| match plan {
            Method::Powers => are_powers(n, leaves.keys()),
            _ => are_numbers(n, leaves.keys()),
        });
        if !gives_n {
            return Err(format!(
                "{n}! is done by {plan}, and what went into its leaves does not give it: {leaves:?}"
            ));
        }
        if !self.done.entry(epoch).or_default().insert(n) {
            return Err(format!("{n}! is done twice in epoch {epoch}"));
        }
        Ok(())
    }
}

fn some_values(id: OperationId, count: usize) -> Result<(), String> {
    match count {
        1..=MOST => Ok(()),
        _ => Err(format!("{id:?} is made of {count} values")),
    }
}

/// Whether these are all numbers up to n.
fn are_numbers<'a>(n: u32, factors: impl Iterator<Item = &'a Factor>) -> bool {
    factors
        .copied()
        .eq((1..=n).map(|number| Factor { number, bit: None }))
}

/// Whether these make n!, with its tens.
fn are_powers<'a>(n: u32, factors: impl Iterator<Item = &'a Factor>) -> bool {
    let wanted = exponents(n);
    let mut found = BTreeMap::new();
    if let Some(&tens) = wanted.get(&5) {
        found.extend([(2, tens), (5, tens)]);
    }
    for factor in factors {
        let Some(counts) = factor.bit.and_then(|bit| 1_u32.checked_shl(bit.into())) else {
            return false;
        };
        *found.entry(factor.number).or_insert(0) += counts;
    }
    found == wanted
}
