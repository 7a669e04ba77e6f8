//! S5: an operation has at most four operands; the leaves partition 1..n. And since the arithmetic
//! here is sound, two values for one operation are the protocol's fault.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use protocol::event::{Action, Task};
use protocol::plan::OperationId;
use protocol::trace::Trace;

use super::Checker;
use crate::fact::Fact;

/// The numbers that went into the leaves of each factorial.
#[derive(Debug, Default)]
pub struct Operands {
    /// By n, then by number: the leaf that has it.
    leaves: BTreeMap<u32, BTreeMap<u32, OperationId>>,
}

impl Checker for Operands {
    fn property(&self) -> &'static str {
        "S5"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Step(step) = fact else {
            return Ok(());
        };
        for action in step.actions {
            match action {
                Action::Compute { operation, task } => self.compute(*operation, task)?,
                Action::Trace {
                    trace: Trace::ProductDone { n },
                    ..
                } => self.product_done(*n)?,
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
}

impl Operands {
    fn compute(&mut self, id: OperationId, task: &Task) -> Result<(), String> {
        match task {
            Task::Numbers(leaves) => {
                for numbers in leaves {
                    if numbers.clone().count() > 4 {
                        return Err(format!("{id:?} multiplies the numbers {numbers:?}"));
                    }
                    self.leaf(id, numbers.clone())?;
                }
                Ok(())
            }
            Task::Block { groups, .. } if groups.iter().any(|group| !(1..=4).contains(group)) => {
                Err(format!("{id:?} multiplies {groups:?} products"))
            }
            Task::Products(values) if values.len() > 4 || values.is_empty() => {
                Err(format!("{id:?} multiplies {} products", values.len()))
            }
            Task::Convert { operands, .. } if operands.len() > 4 => {
                Err(format!("{id:?} has {} operands", operands.len()))
            }
            Task::Convert { .. }
            | Task::Products(_)
            | Task::Block { .. }
            | Task::Decimal { .. } => Ok(()),
        }
    }

    fn leaf(&mut self, id: OperationId, numbers: RangeInclusive<u32>) -> Result<(), String> {
        let leaves = self.leaves.entry(id.n).or_default();
        for number in numbers {
            if number == 0 || number > id.n {
                return Err(format!("{id:?} multiplies {number}"));
            }
            if *leaves.entry(number).or_insert(id) != id {
                return Err(format!(
                    "{number} is in {:?} and in {id:?}",
                    leaves[&number]
                ));
            }
        }
        Ok(())
    }

    fn product_done(&self, n: u32) -> Result<(), String> {
        let found = self.leaves.get(&n).map_or(0, BTreeMap::len);
        if found == n as usize {
            return Ok(());
        }
        Err(format!(
            "{n}! is done, and {found} numbers went into its leaves"
        ))
    }
}
