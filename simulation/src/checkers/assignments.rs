//! S2: a worker computes what the owner of an epoch has assigned to it, once for each time, and
//! nothing else.
//!
//! Relies on the order of one process's own steps, and on what each of its messages says of its sender.
//! Whatever a worker had before it won an office, it dropped then.

use std::collections::{BTreeMap, BTreeSet};

use protocol::event::{Action, Event};
use protocol::message::Message;
use protocol::plan::OperationId;
use protocol::trace::Trace;

use super::Checker;
use super::authority::owns;
use crate::fact::{Fact, Life, Step};

/// What each process was assigned and has not begun to compute.
#[derive(Debug, Default)]
pub struct Assignments {
    assigned: BTreeMap<Life, BTreeSet<OperationId>>,
}

impl Checker for Assignments {
    fn property(&self) -> &'static str {
        "S2"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Step(step) => self.step(step),
            Fact::Died(life) => {
                self.assigned.remove(life);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Assignments {
    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        if let Event::Received {
            from,
            incarnation,
            message: Message::Assign { epoch, operations },
        } = step.event
        {
            let sender = Life {
                node: *from,
                incarnation: *incarnation,
            };
            if owns(sender, *epoch) && *epoch >= step.before.highest {
                let assigned = self.assigned.entry(step.life).or_default();
                assigned.extend(operations);
            }
        }
        for action in step.actions {
            match action {
                Action::Trace {
                    trace: Trace::ElectionWon,
                    ..
                } => {
                    self.assigned.remove(&step.life);
                }
                Action::Compute { operation, .. } => {
                    let assigned = self.assigned.get_mut(&step.life);
                    if !assigned.is_some_and(|assigned| assigned.remove(operation)) {
                        return Err(format!(
                            "{} computes {operation:?}, which no owner of an epoch has assigned to it",
                            step.life
                        ));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
