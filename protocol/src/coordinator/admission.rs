//! How peers join a coordinator, are kept in touch with, and are lost.

use std::collections::BTreeSet;

use super::{Coordinator, stream};
use crate::checkpoint::Snapshot;
use crate::core::Core;
use crate::core::peer::Link;
use crate::plan::OperationId;
use crate::words::id::NodeId;
use crate::words::message::{Inventory, Message, Update};
use crate::words::timer::Timer;
use crate::words::trace::ReassignCause;

impl Coordinator {
    /// A peer's link stands, perhaps again: ask what it has, and send what it lacks.
    pub(crate) fn link_up(&mut self, core: &mut Core, peer: NodeId) {
        self.pool.suspend(peer);
        self.asked.remove(&peer);
        self.ask(core, peer);
    }

    /// A peer died, was stopped or fell silent: its operations go to others.
    pub(crate) fn lost(&mut self, core: &mut Core, peer: NodeId, why: ReassignCause) {
        core.timers.disarm(Timer::PeerSilence(peer));
        self.asked.remove(&peer);
        let operations = self.pool.remove(peer);
        if why == ReassignCause::WorkerDied
            && let Some(&first) = operations.first()
        {
            self.count_attempt(core, first);
        }
        self.reassign(core, operations, why);
    }

    /// A peer told under its promise what it has: it is sent what it lacks, and what it lacks no
    /// longer it gets from the stream. Its work goes on.
    ///
    /// The snapshot is of the present checkpoint; the inventory is valid and in order.
    pub(crate) fn admit(
        &mut self,
        core: &mut Core,
        peer: NodeId,
        snapshot: &Snapshot,
        inventory: &Inventory,
    ) {
        self.asked.remove(&peer);
        if !core.is_live(peer) {
            return;
        }
        core.checkpoint.merge_attempts(&inventory.attempts);
        self.pull_news(core, peer, snapshot, inventory);
        let epoch = self.epoch;
        stream(core, epoch, &[peer], snapshot.lacking(&inventory.held));
        if !core.checkpoint.attempts.is_empty() {
            let attempts = core.checkpoint.attempts.iter();
            let update = Update {
                attempts: attempts.map(|(&id, &count)| (id, count)).collect(),
                ..Update::default()
            };
            core.send(peer, Message::Checkpoint { epoch, update });
        }
        self.tell_unneeded(core, peer, inventory);
        core.send(peer, Message::Victory { epoch });
        self.pool.admit(peer, inventory.queued.is_empty());
        self.resume_work(core, peer, inventory);
        let due = core.after(core.config.suspect_after);
        core.timers.arm_if_idle(Timer::PeerSilence(peer), due);
    }

    /// An election is held although this coordinator acts.
    pub(crate) fn assert_victory(&mut self, core: &mut Core, peer: NodeId) {
        if self.pool.is_admitted(peer) {
            core.send(peer, Message::Victory { epoch: self.epoch });
        } else {
            self.ask(core, peer);
        }
    }

    /// Heartbeats to all, also to those that are silent: one that hears them can answer. Who can
    /// be talked to and has not joined is asked to.
    pub(crate) fn beat(&mut self, core: &mut Core) {
        let due = core.after(core.config.heartbeat);
        core.timers.arm(Timer::Heartbeat, due);
        let linked = core
            .peers
            .values()
            .filter(|peer| peer.link == Link::Up && !peer.stopped);
        let linked = linked.map(|peer| peer.id).collect();
        core.send_all(linked, Message::Heartbeat { epoch: self.epoch });
        for peer in core.live_peers() {
            if !self.pool.is_admitted(peer) {
                self.ask(core, peer);
            }
        }
    }

    /// Asks a peer to join, once: each answer costs what the peer lacks.
    fn ask(&mut self, core: &mut Core, peer: NodeId) {
        if self.asked.insert(peer) {
            core.send(peer, Message::Collect { epoch: self.epoch });
            let due = core.after(core.config.suspect_after);
            core.timers.arm_if_idle(Timer::PeerSilence(peer), due);
        }
    }

    /// Of what a peer holds or has queued, tells it which factorials no job needs; if that is not
    /// known yet, all are told once it is.
    fn tell_unneeded(&mut self, core: &mut Core, peer: NodeId, inventory: &Inventory) {
        let held = inventory.held.iter().chain(&inventory.kept);
        let named: BTreeSet<u32> = held.chain(&inventory.queued).map(|id| id.n).collect();
        if !self.desk.is_settled() {
            self.desk.may_be_unneeded(named);
            return;
        }
        let unneeded = named.into_iter().filter(|&n| !self.desk.wants(n));
        let forgotten: Vec<u32> = unneeded.collect();
        if !forgotten.is_empty() {
            let epoch = self.epoch;
            let update = Update {
                forgotten,
                ..Update::default()
            };
            core.send(peer, Message::Checkpoint { epoch, update });
        }
    }

    fn pull_news(&self, core: &mut Core, peer: NodeId, snapshot: &Snapshot, inventory: &Inventory) {
        let wanted = |id: OperationId| self.desk.wants(id.n);
        let mut operations = snapshot.others(&inventory.held);
        operations.extend(snapshot.others(&inventory.kept));
        operations.retain(|&id| wanted(id) && !core.checkpoint.covers(id));
        if !operations.is_empty() {
            core.send(
                peer,
                Message::Pull {
                    epoch: self.epoch,
                    operations,
                },
            );
        }
    }

    /// Takes over what a worker has queued or computes as assigned; what it should have and does
    /// not was lost with its link, and is sent again.
    fn resume_work(&mut self, core: &mut Core, peer: NodeId, inventory: &Inventory) {
        let has: BTreeSet<&OperationId> = inventory.queued.iter().chain(&inventory.kept).collect();
        let had = self.pool.outstanding(peer).into_iter();
        let lost = had.filter(|id| !has.contains(id));
        let operations: Vec<OperationId> = lost.collect();
        for &id in &inventory.queued {
            if self.desk.wants(id.n) && !core.checkpoint.covers(id) && !self.pool.has(id) {
                self.work.take(id);
                self.pool.assign(core, peer, id);
            }
        }
        if !operations.is_empty() {
            core.send(
                peer,
                Message::Assign {
                    epoch: self.epoch,
                    operations,
                },
            );
        }
    }
}
