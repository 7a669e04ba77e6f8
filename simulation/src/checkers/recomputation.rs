//! S7: an operation that a node holds or covers which answered Collect, and lived to deliver, is
//! not computed again.
//!
//! A peer that answers when the winner acts already was passed over, or not there: what it brings
//! counts as late, and may be computed twice.

use std::collections::BTreeMap;

use protocol::event::{Action, Event};
use protocol::id::{Epoch, NodeId};
use protocol::message::Message;
use protocol::plan::OperationId;
use protocol::trace::Trace;

use super::merge::{Told, given_up};
use super::{Checker, is_done};
use crate::fact::{Fact, Life, Step};

/// What each owner of an epoch was told by the peers that are still with it.
#[derive(Debug, Default)]
pub struct Recomputation {
    owners: BTreeMap<Life, Owner>,
}

#[derive(Debug)]
struct Owner {
    epoch: Epoch,
    told: BTreeMap<NodeId, Told>,
}

impl Checker for Recomputation {
    fn property(&self) -> &'static str {
        "S7"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Step(step) => self.step(step),
            Fact::Died(life) => {
                self.owners.remove(life);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Recomputation {
    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        if let Some(owner) = self.owners.get_mut(&step.life) {
            match step.event {
                Event::Received {
                    from,
                    incarnation,
                    message: Message::Promise { epoch, inventory },
                } if *epoch == owner.epoch && step.before.acting.is_none() => {
                    owner.told.insert(*from, Told::new(*incarnation, inventory));
                }
                event => {
                    let life = |peer| owner.told.get(&peer).map(|told| told.incarnation);
                    if let Some(peer) = given_up(event, life) {
                        owner.told.remove(&peer);
                    }
                }
            }
        }
        for action in step.actions {
            match action {
                Action::Trace {
                    trace: Trace::ElectionWon,
                    ..
                } => {
                    let owner = Owner {
                        epoch: step.after.highest,
                        told: BTreeMap::new(),
                    };
                    self.owners.insert(step.life, owner);
                }
                // Whatever of it anybody has is worth nothing from now on.
                Action::Send {
                    message: Message::Checkpoint { update, .. },
                    ..
                } => {
                    if let Some(owner) = self.owners.get_mut(&step.life) {
                        for told in owner.told.values_mut() {
                            told.operations
                                .retain(|id| !update.forgotten.contains(&id.n));
                        }
                    }
                }
                Action::Trace {
                    trace: Trace::Assigned { op, worker },
                    ..
                } => {
                    self.assigned(step.life, *op, *worker)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn assigned(&self, life: Life, op: OperationId, worker: NodeId) -> Result<(), String> {
        let Some(owner) = self.owners.get(&life) else {
            return Err(format!("{life} assigns {op:?} and owns no epoch"));
        };
        // Its holder answers with what it has, and computes nothing.
        for (peer, told) in owner.told.iter().filter(|&(&peer, _)| peer != worker) {
            if is_done(&told.operations, op) {
                return Err(format!(
                    "{life} assigns {op:?} to node {worker}, although node {peer} told it to have {:?}",
                    told.operations
                ));
            }
        }
        Ok(())
    }
}
