//! Takeover: a winner collects what its peers hold, under their promise to its epoch, and merges it. Then
//! it announces its victory and acts.

use std::collections::{BTreeMap, BTreeSet};

use crate::checkpoint::products::Insertion;
use crate::core::peer::{Link, Peer};
use crate::core::{COLLECT_PATIENCE, Core};
use crate::plan::OperationId;
use crate::words::id::{Epoch, NodeId, Term};
use crate::words::message::{Inventory, Message, Product};
use crate::words::time::Time;
use crate::words::timer::Timer;

/// A winner that collects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Takeover {
    pub(crate) epoch: Epoch,
    /// Peers whose promise is awaited.
    awaited: BTreeSet<NodeId>,
    /// What those hold that promised.
    pub(super) promised: BTreeMap<NodeId, Inventory>,
    /// Values that were asked for, and of whom.
    pulled: BTreeMap<OperationId, NodeId>,
    /// It stood still once, and has begun anew to wait.
    stood_still: bool,
}

impl Takeover {
    pub(crate) fn new(epoch: Epoch) -> Takeover {
        Takeover {
            epoch,
            awaited: BTreeSet::new(),
            promised: BTreeMap::new(),
            pulled: BTreeMap::new(),
            stood_still: false,
        }
    }

    /// A peer has delivered nothing for too long. If this node stood still all the while, its question
    /// may not be on its way yet, or the answer may wait to be read: then it waits once more.
    pub(crate) fn timeout(&mut self, core: &mut Core, peer: NodeId, due: Time) {
        let late = core.wakes_now() && core.now() > due;
        if late && !std::mem::replace(&mut self.stood_still, true) {
            self.be_patient(core, peer);
            core.restart_silence_clocks();
        } else {
            self.pass_over(core, peer);
        }
    }

    /// Asks every peer that is not known to be down, also one whose link does not stand yet. In a
    /// cluster that starts such a one holds nothing, and is admitted later. A node that woke just
    /// now knows of lives that may be over long since, and their successors may hold all there is:
    /// it waits for those too, and takes no cluster for one that starts.
    pub(crate) fn start(&mut self, core: &mut Core) {
        let first = self.epoch.term == Term::default().next() && !core.woke_just_now();
        let may_hold = |peer: &&Peer| {
            let linked = peer.link == Link::Up || !first || peer.incarnation < core.incarnation;
            let succeeded = peer.link == Link::Down && core.woke_just_now();
            !peer.stopped && !peer.silent && linked && (peer.link != Link::Down || succeeded)
        };
        let peers = core.peers.values().filter(may_hold);
        self.awaited = peers.map(|peer| peer.id).collect();
        for peer in self.awaited.clone() {
            self.be_patient(core, peer);
            if core.peers[&peer].link == Link::Up {
                core.send(peer, Message::Collect { epoch: self.epoch });
            }
        }
    }

    /// A link stands, perhaps again: ask, or ask again for what the old link may have lost.
    pub(crate) fn link_up(&mut self, core: &mut Core, peer: NodeId) {
        let wanted: Vec<OperationId> = self.pulled_of(peer);
        if !wanted.is_empty() {
            self.pull(core, peer, wanted);
        } else if !self.promised.contains_key(&peer) {
            self.awaited.insert(peer);
            self.be_patient(core, peer);
            core.send(peer, Message::Collect { epoch: self.epoch });
        }
    }

    /// A peer that was stopped or silent, and so was not asked, is there after all: ask it, or wait
    /// for its link.
    pub(crate) fn returned(&mut self, core: &mut Core, peer: NodeId) {
        if core.peers[&peer].link == Link::Up {
            self.link_up(core, peer);
        } else {
            self.awaited.insert(peer);
            self.be_patient(core, peer);
        }
    }

    /// A peer promised: take note of what it has, and ask for the values that nobody gave yet. The
    /// inventory is valid and in order.
    pub(crate) fn promised(&mut self, core: &mut Core, from: NodeId, inventory: Inventory) {
        // News of its death came first. A stop is no death, and may be over.
        if core
            .peers
            .get(&from)
            .is_none_or(|peer| peer.link == Link::Down)
        {
            return;
        }
        core.checkpoint.merge_attempts(&inventory.attempts);
        // It promises again: what it was asked for may be lost with its link.
        self.pulled.retain(|_, of| *of != from);
        let snapshot = core.checkpoint.snapshot();
        let mut wanted = snapshot.others(&inventory.held);
        wanted.extend(snapshot.others(&inventory.kept));
        wanted.retain(|&id| !core.checkpoint.covers(id) && !self.pulled.contains_key(&id));
        self.awaited.remove(&from);
        self.promised.insert(from, inventory);
        self.pull(core, from, wanted);
    }

    /// Products that were pulled, or that a worker finished meanwhile.
    pub(crate) fn products(&mut self, core: &mut Core, from: NodeId, products: Vec<Product>) {
        let mut unasked = false;
        for product in products {
            let id = product.operation;
            if !core.is_valid(id) {
                continue;
            }
            if core.checkpoint.insert(id, product.value) == Insertion::Differs {
                core.values_differ(id);
            }
            unasked |= self.pulled.remove(&id).is_none();
        }
        if unasked {
            // It may cover what was asked for.
            self.pulled.retain(|&id, _| !core.checkpoint.covers(id));
        }
        if !self.pulled_of(from).is_empty() {
            self.be_patient(core, from);
        } else if !self.awaited.contains(&from) {
            core.timers.disarm(Timer::Collect(from));
        }
    }

    /// A peer is gone: go on without it, unless its next life is there, or may be.
    pub(crate) fn lost(&mut self, core: &mut Core, peer: NodeId) {
        self.pass_over(core, peer);
        let state = &core.peers[&peer];
        if state.is_live() || (core.woke_just_now() && !state.stopped && !state.silent) {
            self.awaited.insert(peer);
            self.be_patient(core, peer);
        }
    }

    /// A peer delivers nothing, or is gone: go on without it. What it was asked for is asked of
    /// another that has it.
    pub(crate) fn pass_over(&mut self, core: &mut Core, peer: NodeId) {
        core.timers.disarm(Timer::Collect(peer));
        self.awaited.remove(&peer);
        self.promised.remove(&peer);
        for id in self.pulled_of(peer) {
            self.pulled.remove(&id);
            let mut others = self.promised.iter();
            let other = others.find(|(_, has)| has.held.contains(&id) || has.kept.contains(&id));
            if let Some((&other, _)) = other {
                self.pull(core, other, vec![id]);
            }
        }
    }

    pub(crate) fn sign_of_life(&self, core: &mut Core, from: NodeId) {
        if core.timers.is_armed(Timer::Collect(from)) {
            self.be_patient(core, from);
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.awaited.is_empty() && self.pulled.is_empty()
    }

    fn pull(&mut self, core: &mut Core, from: NodeId, operations: Vec<OperationId>) {
        if operations.is_empty() {
            core.timers.disarm(Timer::Collect(from));
            return;
        }
        self.pulled.extend(operations.iter().map(|&id| (id, from)));
        self.be_patient(core, from);
        core.send(
            from,
            Message::Pull {
                epoch: self.epoch,
                operations,
            },
        );
    }

    fn pulled_of(&self, peer: NodeId) -> Vec<OperationId> {
        let of_peer = self.pulled.iter().filter(|&(_, &from)| from == peer);
        of_peer.map(|(&id, _)| id).collect()
    }

    fn be_patient(&self, core: &mut Core, peer: NodeId) {
        let due = core.after(COLLECT_PATIENCE);
        core.timers.arm(Timer::Collect(peer), due);
    }
}

impl Inventory {
    /// Drops names that are part of no plan of this cluster, and puts those of finished operations
    /// in order.
    pub(crate) fn tidy(&mut self, core: &Core) {
        self.held.retain(|&id| core.is_valid(id));
        self.kept.retain(|&id| core.is_valid(id));
        self.queued.retain(|&id| core.is_valid(id));
        self.attempts.retain(|&(id, _)| core.is_valid(id));
        self.held.sort_unstable();
        self.kept.sort_unstable();
    }
}
