//! What winners are told under a promise, and by whom: the ground on which the merge and all later
//! assignments are judged.
//!
//! A worker's word is not all that counts. What it has finished and sent, and has not seen in the
//! stream, it has to keep; that is known here from what it did, and is held against it.

use std::collections::BTreeMap;

use protocol::event::{Action, ChildState, Event};
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::{Inventory, Message};
use protocol::plan::{OperationId, Shape};
use protocol::timer::Timer;
use protocol::trace::Trace;

use super::dead_lives::HeardOf;
use super::is_done;
use crate::fact::{Fact, Life, Step};

/// What each owner of an epoch was told by the peers that are still with it.
#[derive(Debug)]
pub(super) struct Promises {
    shape: Shape,
    owners: BTreeMap<Life, Owner>,
    heard: HeardOf,
    kept: Kept,
    /// What the promising process kept when it promised.
    sent: BTreeMap<(Life, Epoch), Vec<OperationId>>,
}

/// Who has won an election.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) epoch: Epoch,
    /// What each peer has that is still there; the winner itself is among them.
    pub(super) told: BTreeMap<NodeId, Told>,
}

/// What a node has, in which of its lives.
#[derive(Debug)]
pub(super) struct Told {
    incarnation: Incarnation,
    pub(super) operations: Vec<OperationId>,
}

/// What each process has finished and sent, and has not seen in the stream.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<Life, Vec<OperationId>>);

impl Promises {
    /// For plans of this shape.
    pub(super) fn new(shape: Shape) -> Promises {
        Promises {
            shape,
            owners: BTreeMap::new(),
            heard: HeardOf::default(),
            kept: Kept::default(),
            sent: BTreeMap::new(),
        }
    }

    /// What shapes the plans.
    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Takes note of what happened; a checker calls it before it judges.
    pub(super) fn see(&mut self, fact: &Fact<'_>) {
        self.heard.see(fact);
        match fact {
            Fact::Step(step) => {
                self.kept.step(self.shape, step);
                self.promise(step);
                self.collect(step);
            }
            Fact::Died(life) => {
                self.owners.remove(life);
                self.kept.0.remove(life);
            }
            _ => {}
        }
    }

    /// What a life was told that has won an election and still owns its epoch.
    pub(super) fn owner(&self, life: Life) -> Option<&Owner> {
        self.owners.get(&life)
    }

    /// A node beside `worker` of which what it told the owner of an epoch to have shows `id` done.
    pub(super) fn holder<'a>(
        &self,
        owner: &'a Owner,
        id: OperationId,
        worker: NodeId,
    ) -> Option<(NodeId, &'a Told)> {
        let mut others = owner.told.iter().filter(|&(&peer, _)| peer != worker);
        let holder = others.find(|(_, told)| is_done(self.shape, &told.operations, id))?;
        Some((*holder.0, holder.1))
    }

    /// What a life has to keep.
    pub(super) fn kept(&self, life: Life) -> &[OperationId] {
        self.kept.of(life)
    }

    fn promise(&mut self, step: &Step<'_>) {
        for action in step.actions {
            if let Action::Send {
                message: Message::Promise { epoch, .. },
                ..
            } = action
            {
                // The first counts: what was finished between two promises to one epoch follows
                // the first as a product.
                let kept = || self.kept.of(step.life).to_vec();
                self.sent.entry((step.life, *epoch)).or_insert_with(kept);
            }
        }
    }

    fn collect(&mut self, step: &Step<'_>) {
        let life = step.life;
        if let Some(owner) = self.owners.get_mut(&life) {
            match step.event {
                Event::Received {
                    from,
                    incarnation,
                    message: Message::Promise { epoch, inventory },
                } if *epoch == owner.epoch && step.before.acting.is_none() => {
                    let peer = Life {
                        node: *from,
                        incarnation: *incarnation,
                    };
                    // What a life said is void once its end is known.
                    if self.heard.successor(life, peer).is_none() {
                        let kept = self.sent.get(&(peer, *epoch));
                        let kept = kept.map(Vec::as_slice).unwrap_or_default();
                        let told = Told::new(*incarnation, inventory, kept);
                        owner.told.insert(*from, told);
                    }
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
                    let kept = self.kept.of(life);
                    let own = Told::new(life.incarnation, &Inventory::default(), kept);
                    let owner = Owner {
                        epoch: step.after.highest,
                        told: BTreeMap::from([(life.node, own)]),
                    };
                    self.owners.insert(life, owner);
                }
                // Whatever of it anybody has is worth nothing from now on.
                Action::Send {
                    message: Message::Checkpoint { update, .. },
                    ..
                } => {
                    let owner = self.owners.get_mut(&life);
                    for told in owner.into_iter().flat_map(|owner| owner.told.values_mut()) {
                        told.operations
                            .retain(|id| !update.forgotten.contains(&id.n));
                    }
                }
                _ => {}
            }
        }
    }

    /// A winner has merged all that it was told: what it kept as a worker is in its checkpoint.
    pub(super) fn merged(&mut self, life: Life) {
        self.kept.0.remove(&life);
        if let Some(owner) = self.owners.get_mut(&life) {
            owner.told.remove(&life.node);
        }
    }
}

impl Told {
    fn new(incarnation: Incarnation, inventory: &Inventory, kept: &[OperationId]) -> Told {
        let said = inventory.held.iter().chain(&inventory.kept);
        Told {
            incarnation,
            operations: said.chain(kept).copied().collect(),
        }
    }
}

impl Kept {
    fn of(&self, life: Life) -> &[OperationId] {
        self.0.get(&life).map(Vec::as_slice).unwrap_or_default()
    }

    fn step(&mut self, shape: Shape, step: &Step<'_>) {
        match step.event {
            Event::Received {
                message: Message::Checkpoint { update, .. },
                ..
            } => {
                if let Some(kept) = self.0.get_mut(&step.life) {
                    let shown: Vec<OperationId> = update.finished().collect();
                    kept.retain(|id| {
                        !update.forgotten.contains(&id.n) && !is_done(shape, &shown, *id)
                    });
                }
            }
            Event::Computed { .. } | Event::Timeout(Timer::Deliver) => {
                for action in step.actions {
                    if let Action::Send {
                        message: Message::Products { products },
                        ..
                    } = action
                    {
                        let kept = self.0.entry(step.life).or_default();
                        kept.extend(products.iter().map(|product| product.operation));
                    }
                }
            }
            _ => {}
        }
    }
}

/// The operations that a step assigns, and to whom.
pub(super) fn assigned<'a>(
    step: &'a Step<'_>,
) -> impl Iterator<Item = (OperationId, NodeId)> + use<'a> {
    step.actions.iter().filter_map(|action| match action {
        Action::Trace {
            trace: Trace::Assigned { op, worker },
            ..
        } => Some((*op, *worker)),
        _ => None,
    })
}

/// The peer that need not deliver any more, if that is what happened: it ended, a newer life of it
/// appeared, it was stopped, cut off or too slow.
fn given_up(event: &Event, life: impl Fn(NodeId) -> Option<Incarnation>) -> Option<NodeId> {
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
