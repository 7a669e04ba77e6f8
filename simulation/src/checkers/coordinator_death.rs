//! S7 where nothing goes wrong but that processes die: an operation that any live node holds is
//! not assigned, but to a worker that has it: who answers with what it has. So the death of a
//! coordinator alone loses no finished operation. A coordinator that is deposed and not told yet may
//! assign what was sent to its successor already.
//!
//! Relies on the order in which things happen in the whole cluster, which a simulation knows, and on
//! what each process really holds after a step.

use std::collections::{BTreeMap, BTreeSet};

use protocol::event::{Action, Event};
use protocol::id::{Epoch, NodeId};
use protocol::message::Message;
use protocol::plan::{OperationId, Shape};

use super::promises::assigned;
use super::{Checker, is_done};
use crate::fact::{Fact, Life, Step};

/// What every live process holds, of the factorials that only one job asks for.
#[derive(Debug)]
pub struct CoordinatorDeath {
    shape: Shape,
    watched: BTreeSet<u32>,
    held: BTreeMap<Life, Vec<OperationId>>,
    /// The highest epoch that every live process knows.
    highest: BTreeMap<Life, Epoch>,
    /// What every live process has sent to others, from its checkpoint or as its own product.
    sent: BTreeMap<Life, BTreeSet<OperationId>>,
}

impl CoordinatorDeath {
    /// For a run in which processes die, and nothing else goes wrong. Watches the factorials that a
    /// single job asks for: others may rightly be computed again when they are asked for again.
    pub fn new(watched: BTreeSet<u32>, shape: Shape) -> CoordinatorDeath {
        CoordinatorDeath {
            shape,
            watched,
            held: BTreeMap::new(),
            highest: BTreeMap::new(),
            sent: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        self.highest.insert(step.life, step.after.highest);
        let is_deposed = self
            .highest
            .values()
            .any(|&epoch| epoch > step.after.highest);
        for (op, worker) in assigned(step).filter(|_| !is_deposed) {
            self.assigned(step.life, op, worker)?;
        }
        for action in step.actions {
            if let Action::Send {
                message: Message::Products { products },
                ..
            } = action
            {
                let sent = self.sent.entry(step.life).or_default();
                sent.extend(products.iter().map(|product| product.operation));
            }
        }
        if changes_checkpoint(step.event) {
            let held = (step.held)().into_iter();
            let watched = held.filter(|id| self.watched.contains(&id.n));
            self.held.insert(step.life, watched.collect());
        }
        Ok(())
    }

    fn assigned(&self, life: Life, op: OperationId, worker: NodeId) -> Result<(), String> {
        let has_it = |(other, sent): (&Life, &BTreeSet<OperationId>)| {
            other.node == worker && sent.contains(&op)
        };
        if self.sent.iter().any(has_it) {
            return Ok(());
        }
        for (holder, held) in &self.held {
            if is_done(self.shape, held, op) {
                return Err(format!(
                    "{life} assigns {op:?} to node {worker} although {holder}, which lives, holds {held:?}, \
                     which show it done, and no fault but deaths was injected"
                ));
            }
        }
        Ok(())
    }
}

impl Checker for CoordinatorDeath {
    fn property(&self) -> &'static str {
        "S7"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Step(step) => self.step(step),
            Fact::Died(life) => {
                self.held.remove(life);
                self.highest.remove(life);
                self.sent.remove(life);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn changes_checkpoint(event: &Event) -> bool {
    match event {
        Event::Received { message, .. } => {
            matches!(
                message,
                Message::Checkpoint { .. } | Message::Products { .. }
            )
        }
        Event::FileDone { .. } => true,
        _ => false,
    }
}
