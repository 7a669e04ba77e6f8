//! S8: merging loses no finished operation that a node holds which answered Collect, and lived to
//! deliver.

use std::collections::BTreeMap;

use protocol::event::{Action, ChildState, Event};
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::{Inventory, Message};
use protocol::plan::OperationId;
use protocol::timer::Timer;
use protocol::trace::Trace;

use super::{Checker, is_done};
use crate::fact::{Fact, Life, Step};

/// What each winner was told while it collects.
#[derive(Debug, Default)]
pub struct Merge {
    collecting: BTreeMap<Life, Collecting>,
}

#[derive(Debug)]
struct Collecting {
    epoch: Epoch,
    /// What each peer that is still there said that it has.
    told: BTreeMap<NodeId, Told>,
}

/// What a peer said that it has, in which of its lives.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) incarnation: Incarnation,
    pub(super) operations: Vec<OperationId>,
}

impl Checker for Merge {
    fn property(&self) -> &'static str {
        "S8"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Step(step) => {
                self.collect(step);
                self.merged(step)
            }
            Fact::Died(life) => {
                self.collecting.remove(life);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Told {
    pub(super) fn new(incarnation: Incarnation, inventory: &Inventory) -> Told {
        let has = inventory.held.iter().chain(&inventory.kept);
        Told {
            incarnation,
            operations: has.copied().collect(),
        }
    }
}

impl Merge {
    fn collect(&mut self, step: &Step<'_>) {
        let won = |action: &Action| {
            matches!(
                action,
                Action::Trace {
                    trace: Trace::ElectionWon,
                    ..
                }
            )
        };
        if let Some(collecting) = self.collecting.get_mut(&step.life) {
            match step.event {
                Event::Received {
                    from,
                    incarnation,
                    message: Message::Promise { epoch, inventory },
                } if *epoch == collecting.epoch => {
                    collecting
                        .told
                        .insert(*from, Told::new(*incarnation, inventory));
                }
                event => {
                    let life = |peer| collecting.told.get(&peer).map(|told| told.incarnation);
                    if let Some(peer) = given_up(event, life) {
                        collecting.told.remove(&peer);
                    }
                }
            }
        }
        if step.actions.iter().any(won) {
            let collecting = Collecting {
                epoch: step.after.highest,
                told: BTreeMap::new(),
            };
            self.collecting.insert(step.life, collecting);
        }
    }

    fn merged(&mut self, step: &Step<'_>) -> Result<(), String> {
        let Some(collecting) = self.collecting.get(&step.life) else {
            return Ok(());
        };
        if step.after.highest != collecting.epoch {
            self.collecting.remove(&step.life);
            return Ok(());
        }
        if step.after.acting != Some(collecting.epoch) {
            return Ok(());
        }
        let held = (step.held)();
        for (peer, told) in &collecting.told {
            for &id in &told.operations {
                if !is_done(&held, id) {
                    return Err(format!(
                        "{} acts in epoch {} without {id:?}, which node {peer} told it to have",
                        step.life, collecting.epoch
                    ));
                }
            }
        }
        self.collecting.remove(&step.life);
        Ok(())
    }
}

/// The peer that need not deliver any more, if that is what happened: it ended, a newer life of it
/// appeared, it was stopped, cut off or too slow.
pub(super) fn given_up(
    event: &Event,
    life: impl Fn(NodeId) -> Option<Incarnation>,
) -> Option<NodeId> {
    match event {
        Event::Hint {
            peer, incarnation, ..
        } if life(*peer).is_some_and(|told| told < *incarnation) => Some(*peer),
        Event::LinkDown { peer, .. }
        | Event::LinkUp { peer, .. }
        | Event::Hint {
            peer,
            state: ChildState::Gone | ChildState::Stopped,
            ..
        }
        | Event::Timeout(Timer::Collect(peer) | Timer::PeerSilence(peer)) => Some(*peer),
        _ => None,
    }
}
