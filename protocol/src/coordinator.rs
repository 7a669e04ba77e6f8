//! The coordinator: assigns operations, takes products, streams the checkpoint to every peer.
//!
//! It multiplies nothing, ever. What it does in one step goes out together: first the checkpoint,
//! then the assignments that rely on it.

mod admission;
mod orders;
mod pool;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use self::pool::Pool;
use self::work::Work;
use crate::checkpoint::batches;
use crate::checkpoint::products::Insertion;
use crate::core::Core;
use crate::core::peer::Link;
use crate::desk::Desk;
use crate::plan::OperationId;
use crate::words::id::{Epoch, NodeId};
use crate::words::message::{Inventory, Message, Product, Update};
use crate::words::timer::Timer;
use crate::words::trace::{ReassignCause, Trace};

/// A coordinatorship; all that it knows beside the checkpoint is found again by the next one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Coordinator {
    pub(crate) epoch: Epoch,
    pub(crate) pool: Pool,
    pub(crate) work: Work,
    pub(crate) desk: Desk,
    /// What this step adds to the checkpoint stream.
    update: Update,
    /// Large products that this step adds to it, and from whom they came.
    large: Vec<(NodeId, Product)>,
    /// Peers that were asked to join and have not answered.
    pub(crate) asked: BTreeSet<NodeId>,
}

impl Coordinator {
    pub(crate) fn new(epoch: Epoch) -> Coordinator {
        Coordinator {
            epoch,
            pool: Pool::default(),
            work: Work::default(),
            desk: Desk::default(),
            update: Update::default(),
            large: Vec::new(),
            asked: BTreeSet::new(),
        }
    }

    /// Begins to act: admits those that promised, and looks for jobs.
    pub(crate) fn start(&mut self, core: &mut Core, promised: &BTreeMap<NodeId, Inventory>) {
        let snapshot = core.checkpoint.snapshot();
        for (&peer, inventory) in promised {
            self.admit(core, peer, &snapshot, inventory);
        }
        self.beat(core);
        self.at_desk(core, Desk::open);
    }

    /// Finished operations arrive, from the worker that computed them or from a peer that held
    /// them.
    pub(crate) fn products(&mut self, core: &mut Core, from: NodeId, products: Vec<Product>) {
        self.pool.answered(from);
        for product in products {
            let id = product.operation;
            if core.is_valid(id) {
                self.product(core, from, product);
            } else {
                core.warn(format!(
                    "ignored a product of node {from} that is part of no plan: {id:?}"
                ));
            }
        }
    }

    /// A worker lacks what is finished: it is sent it. Or it lacks operands: it is sent them, and the
    /// operations again.
    pub(crate) fn missing(&mut self, core: &mut Core, peer: NodeId, operations: &[OperationId]) {
        let epoch = self.epoch;
        self.pool.answered(peer);
        for &id in operations {
            if !core.is_valid(id) {
                continue;
            }
            if core.checkpoint.covers(id) {
                let finished = core.checkpoint.products.evidence(id).into_iter();
                let finished = finished.map(|(operation, value)| Product {
                    operation,
                    value: value.clone(),
                });
                let finished: Vec<Product> = finished.collect();
                stream(core, epoch, &[peer], finished);
                continue;
            }
            if !self.pool.outstanding(peer).contains(&id) {
                continue;
            }
            let operands = core.plan(id.n).operands(id);
            let operands = operands.products();
            if !operands
                .iter()
                .all(|&operand| core.checkpoint.products.get(operand).is_some())
            {
                self.pool.release(id);
                self.work.put_back(id, &core.checkpoint.products);
                continue;
            }
            let held = operands.iter().filter_map(|&operation| {
                let value = core.checkpoint.products.get(operation)?.clone();
                Some(Product { operation, value })
            });
            let held: Vec<Product> = held.collect();
            stream(core, epoch, &[peer], held);
            core.send(
                peer,
                Message::Assign {
                    epoch,
                    operations: vec![id],
                },
            );
        }
    }

    /// The end of a step: hands out work, and sends what this step has to say.
    pub(crate) fn finish_turn(&mut self, core: &mut Core) {
        self.at_desk(core, Desk::charge);
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
            stream(core, epoch, &admitted, update.products);
        }
        self.stream_large(core);
        for (peer, operations) in assignments {
            core.send(peer, Message::Assign { epoch, operations });
        }
        for (worker, deadline) in self.pool.rescheduled() {
            let timer = Timer::Deadline(worker);
            match deadline {
                Some(due) => core.timers.arm(timer, due),
                None => drop(core.timers.disarm(timer)),
            }
        }
    }

    /// Large products go to all but those they came from, who are only told that they are finished.
    fn stream_large(&mut self, core: &mut Core) {
        let epoch = self.epoch;
        for (from, product) in std::mem::take(&mut self.large) {
            let mut others = self.pool.admitted();
            others.retain(|&peer| peer != from);
            let kept = vec![product.operation];
            stream(core, epoch, &others, vec![product]);
            if self.pool.is_admitted(from) {
                let update = Update {
                    kept,
                    ..Update::default()
                };
                core.send(from, Message::Checkpoint { epoch, update });
            }
        }
    }

    /// One of the coordinator's timers is due.
    pub(crate) fn timeout(&mut self, core: &mut Core, timer: Timer) {
        match timer {
            Timer::Heartbeat => self.beat(core),
            Timer::Deadline(worker) => {
                let operations = self.pool.take_overdue(worker);
                self.reassign(core, operations, ReassignCause::Deadline);
            }
            _ => self.at_desk(core, |desk, context| desk.timeout(context, timer)),
        }
    }

    fn product(&mut self, core: &mut Core, from: NodeId, product: Product) {
        let id = product.operation;
        let plan = core.plan(id.n);
        self.pool.release_covered_by(&plan, id);
        // Late, and nobody asks for it any more.
        if !self.desk.wants(id.n) {
            return;
        }
        match core.checkpoint.insert(id, product.value.clone()) {
            Insertion::New => {
                core.trace_operations(id, |op| Trace::Checkpointed { op });
                if product.value.len() < core.config.no_echo_bytes {
                    self.update.products.push(product);
                } else {
                    self.large.push((from, product));
                }
                self.work.finished(id, &core.checkpoint.products);
                if id == plan.last() {
                    let (n, plan) = (id.n, plan.method());
                    core.trace(Trace::ProductDone { n, plan });
                    self.at_desk(core, |desk, context| desk.factorial_done(context, n));
                }
            }
            Insertion::Same | Insertion::Covered => {
                if let Some(why) = self.work.take_reassigned(id) {
                    core.trace_block(id, |op| Trace::OperationRecomputed { op, why });
                }
            }
            Insertion::Differs => core.values_differ(id),
        }
    }

    pub(crate) fn reassign(
        &mut self,
        core: &mut Core,
        operations: Vec<OperationId>,
        why: ReassignCause,
    ) {
        for op in operations {
            if core.checkpoint.covers(op) || !self.work.is_open(op.n) {
                continue;
            }
            self.work.note_reassigned(op, why);
            self.work.put_back(op, &core.checkpoint.products);
            core.trace_block(op, |op| Trace::OperationReassigned { op, why });
        }
    }

    /// A worker died computing this operation; after too many, the jobs that need it fail.
    pub(crate) fn count_attempt(&mut self, core: &mut Core, id: OperationId) {
        let count = core
            .checkpoint
            .attempts
            .get(&id)
            .map_or(1, |count| count.saturating_add(1));
        core.checkpoint.merge_attempts(&[(id, count)]);
        self.update.attempts.push((id, count));
        if count >= core.config.attempts {
            self.at_desk(core, |desk, context| {
                desk.operation_is_deadly(context, id, count)
            });
        }
    }

    /// Hands out operations while a worker has room; returns them by worker.
    fn dispatch(&mut self, core: &mut Core) -> BTreeMap<NodeId, Vec<OperationId>> {
        let mut assignments: BTreeMap<NodeId, Vec<OperationId>> = BTreeMap::new();
        // First what died of the work is on the disk.
        if core.deaths.are_due() {
            return assignments;
        }
        while let Some(worker) = self.pool.least_busy(core) {
            let Some(id) = self.work.next() else {
                break;
            };
            if core.checkpoint.covers(id) || self.pool.has(id) {
                continue;
            }
            self.pool.assign(core, worker, id);
            core.trace_operations(id, |op| Trace::Assigned { op, worker });
            assignments.entry(worker).or_default().push(id);
        }
        assignments
    }
}

/// Sends finished operations, in portions, as part of the checkpoint stream.
pub(crate) fn stream(core: &mut Core, epoch: Epoch, to: &[NodeId], products: Vec<Product>) {
    for products in batches(products.into_iter()) {
        let update = Update {
            products,
            ..Update::default()
        };
        core.send_all(to.to_vec(), Message::Checkpoint { epoch, update });
    }
}
