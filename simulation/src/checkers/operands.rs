//! S5: an operation has at most four operands; the leaves partition 1..n. And since the arithmetic
//! here is sound, two values for one operation are the protocol's fault.
//!
//! Relies on the order in which things happen in the whole cluster, which a simulation knows. What goes
//! into an operation is taken from what the arithmetic is asked for, and never from the plan. Of a block
//! a worker traces each operation; where it traces none, only the block as a whole can be judged.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use protocol::event::{Action, Task};
use protocol::id::Epoch;
use protocol::message::Message;
use protocol::packed;
use protocol::plan::OperationId;
use protocol::trace::Trace;

use super::Checker;
use super::material::Material;
use crate::fact::{Fact, Step};

/// The numbers that went into the leaves of each factorial.
#[derive(Debug, Default)]
pub struct Operands {
    /// By n, then by number: the leaf that has it, since all had forgotten n! last.
    leaves: BTreeMap<u32, BTreeMap<u32, OperationId>>,
    /// What went into each block of leaves.
    numbers: BTreeMap<OperationId, Vec<RangeInclusive<u32>>>,
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
                    trace: Trace::ProductDone { n },
                    ..
                } => self.product_done(*n, step.after.highest)?,
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
            Task::Block { groups, .. } => groups.len(),
            Task::Products(_) | Task::Decimal { .. } | Task::Convert { .. } => 1,
        };
        if traced > 0 && operations != traced {
            return Err(format!(
                "{id:?} is a block of {traced} and computes {operations} operations"
            ));
        }
        match task {
            Task::Numbers(leaves) => self.block_of_leaves(id, leaves),
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
            Task::Products(values) if values.len() > 4 || values.is_empty() => {
                Err(format!("{id:?} multiplies {} products", values.len()))
            }
            Task::Convert { operands, .. } if operands.len() > 4 => {
                Err(format!("{id:?} has {} operands", operands.len()))
            }
            Task::Convert { .. } | Task::Products(_) | Task::Decimal { .. } => Ok(()),
        }
    }

    fn block_of_leaves(
        &mut self,
        id: OperationId,
        leaves: &[RangeInclusive<u32>],
    ) -> Result<(), String> {
        if let Some(many) = leaves.iter().find(|leaf| (*leaf).clone().count() > 4) {
            return Err(format!("{id:?} multiplies the numbers {many:?}"));
        }
        let before = self.numbers.entry(id).or_insert_with(|| leaves.to_vec());
        if before != leaves {
            return Err(format!(
                "{id:?} multiplies the numbers {leaves:?}, and {before:?} before"
            ));
        }
        let mut seen = BTreeSet::new();
        let leaves = leaves.iter().cloned().flatten();
        for number in leaves {
            self.number(id, number)?;
            if !seen.insert(number) {
                return Err(format!("{number} is in two leaves of {id:?}"));
            }
        }
        // 0! has a leaf without a number.
        self.leaves.entry(id.n).or_default();
        Ok(())
    }

    fn number(&mut self, id: OperationId, number: u32) -> Result<(), String> {
        let leaves = self.leaves.entry(id.n).or_default();
        if number == 0 || number > id.n {
            return Err(format!("{id:?} multiplies {number}"));
        }
        if *leaves.entry(number).or_insert(id) != id {
            return Err(format!(
                "{number} is in {:?} and in {id:?}",
                leaves[&number]
            ));
        }
        Ok(())
    }

    fn product_done(&mut self, n: u32, epoch: Epoch) -> Result<(), String> {
        let found = self.leaves.get(&n).map(BTreeMap::len);
        if found != Some(n as usize) {
            let found = found.unwrap_or_default();
            return Err(format!(
                "{n}! is done, and {found} numbers went into its leaves"
            ));
        }
        if !self.done.entry(epoch).or_default().insert(n) {
            return Err(format!("{n}! is done twice in epoch {epoch}"));
        }
        Ok(())
    }
}
