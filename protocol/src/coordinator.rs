//! The coordinator: assigns operations, takes products, streams the checkpoint to every peer.
//!
//! It multiplies nothing, ever. What it does in one step goes out together: first the checkpoint,
//! then the assignments that rely on it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::checkpoint::batches;
use crate::core::Core;
use crate::event::Action;
use crate::file::{FileCall, FileReply, FileTag, Folder};
use crate::id::{Epoch, NodeId};
use crate::inbox::Inbox;
use crate::jobs::Jobs;
use crate::message::{Inventory, Message, Product, Update};
use crate::peer::Link;
use crate::plan::{Operands, OperationId, Plan};
use crate::pool::Pool;
use crate::products::Insertion;
use crate::timer::Timer;
use crate::trace::{ReassignCause, Trace};
use crate::work::Work;

/// File calls that failed are made again after this time.
const RETRY_FILES: Duration = Duration::from_millis(500);

/// A coordinatorship; all that it knows beside the checkpoint is found again by the next one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Coordinator {
    pub(crate) epoch: Epoch,
    pub(crate) pool: Pool,
    pub(crate) work: Work,
    pub(crate) jobs: Jobs,
    pub(crate) inbox: Inbox,
    /// What this step adds to the checkpoint stream.
    update: Update,
    /// Peers that were asked to join and have not answered.
    asked: BTreeSet<NodeId>,
    /// Folders whose listing failed.
    unlisted: BTreeSet<Folder>,
}

impl Coordinator {
    pub(crate) fn new(epoch: Epoch) -> Coordinator {
        Coordinator {
            epoch,
            pool: Pool::default(),
            work: Work::default(),
            jobs: Jobs::default(),
            inbox: Inbox::default(),
            update: Update::default(),
            asked: BTreeSet::new(),
            unlisted: BTreeSet::new(),
        }
    }

    /// Begins to act: admits those that promised, and looks for jobs.
    pub(crate) fn start(&mut self, core: &mut Core, promised: &BTreeMap<NodeId, Inventory>) {
        for (&peer, inventory) in promised {
            self.admit(core, peer, inventory);
        }
        self.beat(core);
        self.recover_jobs(core);
    }

    /// A peer's link stands, perhaps again: ask what it has, and send what it lacks.
    pub(crate) fn link_up(&mut self, core: &mut Core, peer: NodeId) {
        self.pool.suspend(peer);
        self.asked.remove(&peer);
        self.ask(core, peer);
    }

    /// A peer died, was stopped or fell silent: its operations go to others.
    pub(crate) fn lost(&mut self, core: &mut Core, peer: NodeId) {
        core.timers.disarm(Timer::PeerSilence(peer));
        self.asked.remove(&peer);
        let state = &core.peers[&peer];
        let why = if state.link == Link::Down {
            ReassignCause::WorkerDied
        } else if state.stopped {
            ReassignCause::WorkerStopped
        } else {
            ReassignCause::WorkerSilent
        };
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
    pub(crate) fn admit(&mut self, core: &mut Core, peer: NodeId, inventory: &Inventory) {
        self.asked.remove(&peer);
        if !core.is_live(peer) {
            return;
        }
        let mut inventory = inventory.clone();
        inventory.retain_valid(core);
        core.checkpoint.merge_attempts(&inventory.attempts);
        self.pull_lacking(core, peer, &inventory);
        let epoch = self.epoch;
        for update in core.checkpoint.lacking(&inventory) {
            core.send(peer, Message::Checkpoint { epoch, update });
        }
        if self.jobs.settled() {
            let named = inventory
                .held
                .iter()
                .chain(&inventory.kept)
                .chain(&inventory.queued);
            let mut forgotten: Vec<u32> = named
                .map(|id| id.n)
                .filter(|&n| !self.work.needs(n))
                .collect();
            forgotten.sort_unstable();
            forgotten.dedup();
            if !forgotten.is_empty() {
                let update = Update {
                    forgotten,
                    ..Update::default()
                };
                core.send(peer, Message::Checkpoint { epoch, update });
            }
        }
        core.send(peer, Message::Victory { epoch });
        self.pool.admit(peer);
        self.resume_work(core, peer, &inventory);
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

    /// Finished operations arrive, from the worker that computed them or from a peer that held
    /// them.
    pub(crate) fn products(&mut self, core: &mut Core, from: NodeId, products: Vec<Product>) {
        self.pool.delivered(from);
        for product in products {
            let id = product.operation;
            if core.is_valid(id) {
                self.product(core, product);
            } else {
                core.warn(format!(
                    "ignored a product of node {from} that is part of no plan: {id:?}"
                ));
            }
        }
    }

    /// A worker lacks operands: it is sent them, and the operations again.
    pub(crate) fn missing(&mut self, core: &mut Core, peer: NodeId, operations: &[OperationId]) {
        let epoch = self.epoch;
        for &id in operations {
            if core.checkpoint.covers(id) || !self.pool.outstanding(peer).contains(&id) {
                continue;
            }
            let Operands::Products(operands) = Plan::new(id.n).operands(id) else {
                continue;
            };
            if !operands
                .iter()
                .all(|&operand| core.checkpoint.products.get(operand).is_some())
            {
                self.pool.release(id);
                self.work.put_back(id, &core.checkpoint.products);
                continue;
            }
            let held = operands.into_iter().filter_map(|operation| {
                let value = core.checkpoint.products.get(operation)?.clone();
                Some(Product { operation, value })
            });
            for products in batches(held).collect::<Vec<_>>() {
                let update = Update {
                    products,
                    ..Update::default()
                };
                core.send(peer, Message::Checkpoint { epoch, update });
            }
            core.send(
                peer,
                Message::Assign {
                    epoch,
                    operations: vec![id],
                },
            );
        }
    }

    /// No job needs a factorial: it is dropped here and, through the stream, everywhere.
    pub(crate) fn forget(&mut self, core: &mut Core, n: u32) {
        self.work.close(n);
        for id in self.pool.assigned_of(n) {
            self.pool.release(id);
        }
        core.checkpoint.forget(n);
        self.update
            .products
            .retain(|product| product.operation.n != n);
        self.update.attempts.retain(|(id, _)| id.n != n);
        self.update.forgotten.push(n);
    }

    /// The end of a step: hands out work, and sends what this step has to say.
    pub(crate) fn finish_turn(&mut self, core: &mut Core) {
        let assignments = self.dispatch(core);
        let epoch = self.epoch;
        let update = std::mem::take(&mut self.update);
        if !update.is_empty() {
            let admitted = self.pool.admitted();
            let (forgotten, attempts) = (update.forgotten, update.attempts);
            if !forgotten.is_empty() {
                // Also to those that were silent or stopped: what they had been sent before is
                // still in their mail.
                let linked = core.peers.values().filter(|peer| peer.link == Link::Up);
                let linked = linked.map(|peer| peer.id).collect();
                let update = Update {
                    forgotten,
                    ..Update::default()
                };
                core.send_all(linked, Message::Checkpoint { epoch, update });
            }
            if !attempts.is_empty() {
                let update = Update {
                    attempts,
                    ..Update::default()
                };
                core.send_all(admitted.clone(), Message::Checkpoint { epoch, update });
            }
            for products in batches(update.products.into_iter()) {
                let update = Update {
                    products,
                    ..Update::default()
                };
                core.send_all(admitted.clone(), Message::Checkpoint { epoch, update });
            }
        }
        for (peer, operations) in assignments {
            core.send(peer, Message::Assign { epoch, operations });
        }
    }

    /// One of the coordinator's timers is due.
    pub(crate) fn timeout(&mut self, core: &mut Core, timer: Timer) {
        match timer {
            Timer::Heartbeat => {
                self.beat(core);
                for (_, operations) in self.pool.take_overdue(core.now()) {
                    self.reassign(core, operations, ReassignCause::Deadline);
                }
            }
            Timer::Rescan => {
                self.scan_inbox(core);
                self.scan_running(core);
            }
            Timer::Debounce => self.debounced(core),
            Timer::RetryFiles => {
                for folder in std::mem::take(&mut self.unlisted) {
                    self.call(core, FileTag::Folder(folder), FileCall::List(folder));
                }
                for key in self.jobs.stalled() {
                    self.issue(core, key);
                }
            }
            _ => {}
        }
    }

    /// A file call ended.
    pub(crate) fn file_done(&mut self, core: &mut Core, tag: FileTag, reply: FileReply) {
        match tag {
            FileTag::Folder(Folder::Inbox) => self.inbox_listed(core, reply),
            FileTag::Folder(folder) => self.folder_listed(core, folder, reply),
            FileTag::Dropped(name) => self.dropped_done(core, name, reply),
            FileTag::Job(key) => self.job_done(core, key, reply),
            FileTag::Sync => self.synced(core, &reply),
            FileTag::Sweep => {}
        }
    }

    /// Makes a file call in the name of this coordinatorship.
    pub(crate) fn call(&self, core: &mut Core, tag: FileTag, call: FileCall) {
        core.outbox.push(Action::File {
            epoch: self.epoch,
            tag,
            call,
        });
    }

    pub(crate) fn retry_files(&self, core: &mut Core) {
        let due = core.after(RETRY_FILES);
        core.timers.arm_if_idle(Timer::RetryFiles, due);
    }

    pub(crate) fn retry_folder(&mut self, core: &mut Core, folder: Folder) {
        self.unlisted.insert(folder);
        self.retry_files(core);
    }

    /// Heartbeats to all, also to those that are silent: one that hears them can answer. Who can
    /// be talked to and has not joined is asked to.
    fn beat(&mut self, core: &mut Core) {
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

    fn pull_lacking(&self, core: &mut Core, peer: NodeId, inventory: &Inventory) {
        let wanted = |id: OperationId| !self.jobs.settled() || self.work.needs(id.n);
        let offered = inventory.held.iter().chain(&inventory.kept);
        let operations: Vec<OperationId> = offered
            .filter(|&&id| wanted(id) && !core.checkpoint.covers(id))
            .copied()
            .collect();
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
        for &id in &inventory.queued {
            let needed = !self.jobs.settled() || self.work.needs(id.n);
            if needed && !core.checkpoint.covers(id) && !self.pool.has(id) {
                self.work.take(id);
                self.pool.assign(core, peer, id);
            }
        }
        let had = self.pool.outstanding(peer).into_iter();
        let lost = had.filter(|id| !inventory.queued.contains(id) && !inventory.kept.contains(id));
        let operations: Vec<OperationId> = lost.collect();
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

    fn product(&mut self, core: &mut Core, product: Product) {
        let id = product.operation;
        self.pool.release_covered_by(id);
        // Late, and nobody asks for it any more.
        if self.jobs.settled() && !self.work.needs(id.n) {
            return;
        }
        match core.checkpoint.insert(id, product.value.clone()) {
            Insertion::New => {
                core.trace_operation(Trace::Checkpointed { op: id });
                self.update.products.push(product);
                self.work.finished(id, &core.checkpoint.products);
                let plan = Plan::new(id.n);
                if id == plan.root() {
                    core.trace(Trace::ProductDone { n: id.n });
                } else if id == plan.decimal() {
                    self.factorial_done(core, id.n);
                }
            }
            Insertion::Same | Insertion::Covered => {
                if let Some(why) = self.work.take_reassigned(id) {
                    core.trace(Trace::OperationRecomputed { op: id, why });
                }
            }
            Insertion::Differs => core.values_differ(id),
        }
    }

    fn reassign(&mut self, core: &mut Core, operations: Vec<OperationId>, why: ReassignCause) {
        for op in operations {
            if core.checkpoint.covers(op) || !self.work.needs(op.n) {
                continue;
            }
            self.work.note_reassigned(op, why);
            self.work.put_back(op, &core.checkpoint.products);
            core.trace(Trace::OperationReassigned { op, why });
        }
    }

    /// A worker died computing this operation; after too many, the jobs that need it fail.
    fn count_attempt(&mut self, core: &mut Core, id: OperationId) {
        let count = core
            .checkpoint
            .attempts
            .get(&id)
            .map_or(1, |count| count.saturating_add(1));
        core.checkpoint.merge_attempts(&[(id, count)]);
        self.update.attempts.push((id, count));
        if count >= core.config.attempts {
            let reason = format!(
                "{n}!: {count} workers died one after the other while they computed one operation \
                 ({kind:?} level {level} index {index}), see --attempts",
                n = id.n,
                kind = id.kind,
                level = id.level,
                index = id.index,
            );
            self.factorial_failed(core, id.n, &reason);
        }
    }

    /// Hands out operations while a worker has room; returns them by worker.
    fn dispatch(&mut self, core: &mut Core) -> BTreeMap<NodeId, Vec<OperationId>> {
        let mut assignments: BTreeMap<NodeId, Vec<OperationId>> = BTreeMap::new();
        while let Some(worker) = self.pool.least_busy(core) {
            let Some(id) = self.work.next() else {
                break;
            };
            if core.checkpoint.covers(id) || self.pool.has(id) {
                continue;
            }
            self.pool.assign(core, worker, id);
            core.trace_operation(Trace::Assigned { op: id, worker });
            assignments.entry(worker).or_default().push(id);
        }
        assignments
    }
}
