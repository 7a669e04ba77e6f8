//! S7: an operation that a node holds or covers which answered Collect, and lived to deliver, is
//! not computed again; nor is one that a node has finished itself and the stream has not shown.
//!
//! A peer that answers when the winner acts already was passed over, or not there: what it brings
//! counts as late, and may be computed twice.
//!
//! Relies on the order of the coordinator's own steps, and of the worker's for what that keeps.

use protocol::event::Action;
use protocol::id::NodeId;
use protocol::plan::{OperationId, Shape};

use super::promises::{Promises, assigned};
use super::{Checker, is_done};
use crate::fact::{Fact, Life, Step};

/// What each owner of an epoch was told by the peers that are still with it.
#[derive(Debug)]
pub struct Recomputation {
    promises: Promises,
}

impl Recomputation {
    /// For plans of this shape.
    pub fn new(shape: Shape) -> Recomputation {
        let promises = Promises::new(shape);
        Recomputation { promises }
    }
}

impl Checker for Recomputation {
    fn property(&self) -> &'static str {
        "S7"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        self.promises.see(fact);
        match fact {
            Fact::Step(step) => self.step(step),
            _ => Ok(()),
        }
    }
}

impl Recomputation {
    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        let life = step.life;
        for (op, worker) in assigned(step) {
            self.assigned(life, op, worker)?;
        }
        for action in step.actions {
            if let Action::Compute { operation, .. } = action
                && let kept = self.promises.kept(life)
                && is_done(self.promises.shape(), kept, *operation)
            {
                return Err(format!(
                    "{life} computes {operation:?} although it keeps {kept:?}, which show it done"
                ));
            }
        }
        if step.before.acting != step.after.acting && step.after.acting.is_some() {
            self.promises.merged(life);
        }
        Ok(())
    }

    fn assigned(&self, life: Life, op: OperationId, worker: NodeId) -> Result<(), String> {
        let Some(owner) = self.promises.owner(life) else {
            return Err(format!("{life} assigns {op:?} and owns no epoch"));
        };
        // Its holder answers with what it has, and computes nothing.
        match self.promises.holder(owner, op, worker) {
            Some((peer, told)) => Err(format!(
                "{life} assigns {op:?} to node {worker}, although node {peer} told it to have {:?}, \
                 which show it done",
                told.operations
            )),
            None => Ok(()),
        }
    }
}
