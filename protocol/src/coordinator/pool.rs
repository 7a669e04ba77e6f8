//! The workers of a coordinator, and what each has been assigned.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::Core;
use crate::plan::{OperationId, Plan};
use crate::words::id::NodeId;
use crate::words::time::{Time, Untimed};

/// Most leaves below the operations that a worker has at once, unless it has a single operation:
/// long operations are not queued behind each other while another worker is idle.
const WINDOW_LEAVES: u64 = 4096;

/// The peers that have joined a coordinator, and what each has been assigned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Pool {
    slots: BTreeMap<NodeId, Slot>,
    /// Who has an operation.
    holders: BTreeMap<OperationId, NodeId>,
    next_order: u64,
    /// Workers whose first deadline may have changed in this step.
    rescheduled: BTreeSet<NodeId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Slot {
    /// Gets the checkpoint stream; has the snapshot, or is sent it.
    admitted: bool,
    /// Let an operation's deadline pass, and has not shown since that it goes on: gets no more.
    overdue: bool,
    outstanding: BTreeMap<OperationId, Assignment>,
    /// Leaves below the outstanding operations.
    leaves: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Assignment {
    order: u64,
    deadline: Untimed,
    /// How long it takes, roughly: the leaves below it.
    leaves: u64,
}

impl Pool {
    /// Whether a peer gets the checkpoint stream.
    pub(crate) fn is_admitted(&self, peer: NodeId) -> bool {
        self.slots.get(&peer).is_some_and(|slot| slot.admitted)
    }

    /// The peers that get the checkpoint stream.
    pub(crate) fn admitted(&self) -> Vec<NodeId> {
        let admitted = self.slots.iter().filter(|(_, slot)| slot.admitted);
        admitted.map(|(&peer, _)| peer).collect()
    }

    /// A peer gets the checkpoint stream from now on. Who has told that it has nothing to do is late with
    /// nothing, whatever was lost with its link.
    pub(crate) fn admit(&mut self, peer: NodeId, is_idle: bool) {
        let slot = self.slots.entry(peer).or_default();
        slot.admitted = true;
        slot.overdue &= !is_idle;
    }

    /// A peer's link was cut: what it was sent may be lost. It keeps its operations until it tells
    /// what it has.
    pub(crate) fn suspend(&mut self, peer: NodeId) {
        if let Some(slot) = self.slots.get_mut(&peer) {
            slot.admitted = false;
        }
    }

    /// A peer is gone; returns what it had, in the order of assignment.
    pub(crate) fn remove(&mut self, peer: NodeId) -> Vec<OperationId> {
        let operations = self.outstanding(peer);
        for id in &operations {
            self.holders.remove(id);
        }
        self.slots.remove(&peer);
        self.rescheduled.insert(peer);
        operations
    }

    /// What a worker has, in the order of assignment.
    pub(crate) fn outstanding(&self, peer: NodeId) -> Vec<OperationId> {
        let Some(slot) = self.slots.get(&peer) else {
            return Vec::new();
        };
        let mut operations: Vec<(u64, OperationId)> = slot
            .outstanding
            .iter()
            .map(|(&id, assignment)| (assignment.order, id))
            .collect();
        operations.sort_unstable();
        operations.into_iter().map(|(_, id)| id).collect()
    }

    /// Whether anybody has an operation.
    pub(crate) fn has(&self, id: OperationId) -> bool {
        self.holders.contains_key(&id)
    }

    /// Who has an operation.
    pub(crate) fn holders(&self) -> &BTreeMap<OperationId, NodeId> {
        &self.holders
    }

    /// The operations of one factorial that somebody has.
    pub(crate) fn assigned_of(&self, n: u32) -> BTreeSet<OperationId> {
        self.holders
            .keys()
            .copied()
            .filter(|id| id.n == n)
            .collect()
    }

    /// The worker that should get the next operation: the one with the least to do, of those that
    /// have room.
    pub(crate) fn least_busy(&self, core: &Core) -> Option<NodeId> {
        let (window, leaves) = if core.config.delay.is_zero() {
            (core.config.window, WINDOW_LEAVES)
        } else {
            // Beside a delay a round trip is nothing, and a queue would keep work from the idle.
            (1, 0)
        };
        self.employable(core)
            .filter(|(_, slot)| {
                slot.outstanding.len() < window
                    && (slot.outstanding.is_empty() || slot.leaves < leaves)
            })
            .min_by_key(|(_, slot)| (slot.leaves, slot.outstanding.len()))
            .map(|(peer, _)| peer)
    }

    /// The workers that get operations when there are some and they have room.
    pub(crate) fn workers(&self, core: &Core) -> Vec<NodeId> {
        self.employable(core).map(|(peer, _)| peer).collect()
    }

    fn employable(&self, core: &Core) -> impl Iterator<Item = (NodeId, &Slot)> {
        let slots = self.slots.iter().map(|(&peer, slot)| (peer, slot));
        slots.filter(|&(peer, slot)| slot.admitted && !slot.overdue && core.is_live(peer))
    }

    /// Notes that a worker has an operation.
    pub(crate) fn assign(&mut self, core: &Core, peer: NodeId, id: OperationId) {
        let slot = self.slots.entry(peer).or_default();
        let ahead = u32::try_from(slot.outstanding.len()).unwrap_or(u32::MAX);
        let allowed = core.config.operation_deadline
            + core.config.delay.saturating_mul(ahead.saturating_add(1));
        let deadline = Untimed(core.after(allowed));
        let leaves = core.plan(id.n).span(id).len() as u64;
        let assignment = Assignment {
            order: self.next_order,
            deadline,
            leaves,
        };
        if slot.outstanding.insert(id, assignment).is_none() {
            slot.leaves += leaves;
        }
        self.next_order += 1;
        self.holders.insert(id, peer);
        self.rescheduled.insert(peer);
    }

    /// An operation is done, or no longer needed; whoever has it need not be waited for.
    pub(crate) fn release(&mut self, id: OperationId) {
        if let Some(peer) = self.holders.remove(&id)
            && let Some(slot) = self.slots.get_mut(&peer)
            && let Some(assignment) = slot.outstanding.remove(&id)
        {
            slot.leaves = slot.leaves.saturating_sub(assignment.leaves);
            self.rescheduled.insert(peer);
        }
    }

    /// An operation is done, and with it all that lies below it: who has any of that drops it
    /// without a word.
    pub(crate) fn release_covered_by(&mut self, plan: &Plan, id: OperationId) {
        let covered: Vec<OperationId> = plan
            .below(id)
            .into_iter()
            .flat_map(|range| self.holders.range(range).map(|(&held, _)| held))
            .collect();
        self.release(id);
        for held in covered {
            self.release(held);
        }
    }

    /// A worker delivered something, or said what it lacks: it goes on.
    pub(crate) fn answered(&mut self, peer: NodeId) {
        if let Some(slot) = self.slots.get_mut(&peer) {
            slot.overdue = false;
        }
    }

    /// Takes all operations from a worker that let a deadline pass.
    pub(crate) fn take_overdue(&mut self, peer: NodeId) -> Vec<OperationId> {
        let operations = self.outstanding(peer);
        for &id in &operations {
            self.release(id);
        }
        if let Some(slot) = self.slots.get_mut(&peer) {
            slot.overdue = true;
        }
        operations
    }

    /// The first deadlines that may have changed in this step; none of a worker that has nothing to do.
    pub(crate) fn rescheduled(&mut self) -> Vec<(NodeId, Option<Time>)> {
        let first = |peer| {
            let assignments = self.slots.get(&peer)?.outstanding.values();
            assignments.map(|assignment| assignment.deadline.0).min()
        };
        let peers = std::mem::take(&mut self.rescheduled).into_iter();
        peers.map(|peer| (peer, first(peer))).collect()
    }
}
