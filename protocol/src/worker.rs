//! The work of a worker: a queue of assigned operations, the arithmetic, and finished products
//! that are kept until the checkpoint stream shows them done.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::checkpoint::batches;
use crate::checkpoint::products::Products;
use crate::core::Core;
use crate::plan::{Operands, OperationId, Shape};
use crate::words::event::{Action, Task};
use crate::words::id::{Epoch, NodeId};
use crate::words::message::{Inventory, Message, Product, Update};
use crate::words::timer::Timer;
use crate::words::trace::Trace;

/// Operations that may be with the arithmetic at once, so that it never waits for the node.
const COMPUTING_LIMIT: usize = 256;

/// What a node does as a worker. It outlives changes of coordinator: work that was begun for one
/// goes on for the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Worker {
    /// Assigned, in order, and not yet with the arithmetic.
    queue: VecDeque<OperationId>,
    /// With the arithmetic, in order.
    computing: VecDeque<OperationId>,
    /// Finished, and waiting for `delay`.
    delayed: Option<Product>,
    /// Sent, and not yet seen in the checkpoint stream.
    kept: Products<Bytes>,
}

impl Worker {
    /// A worker that has nothing to do, for plans of this shape.
    pub(crate) fn new(shape: Shape) -> Worker {
        Worker {
            queue: VecDeque::new(),
            computing: VecDeque::new(),
            delayed: None,
            kept: Products::new(shape),
        }
    }

    /// Takes operations into the queue; answers those that are done with their products.
    pub(crate) fn assign(&mut self, core: &mut Core, epoch: Epoch, operations: &[OperationId]) {
        let mut missing = Vec::new();
        let mut known = Vec::new();
        for &id in operations {
            if !core.is_valid(id) {
                core.warn(format!(
                    "ignored an assignment that is part of no plan: {id:?}"
                ));
            } else if self.knows(core, id) {
                known.extend(self.known(core, id));
            } else if self.is_queued(id) {
                // Assigned again after a link was cut; the first assignment stands.
            } else if task(core, id).is_none() {
                missing.push(id);
            } else {
                self.queue.push_back(id);
            }
        }
        if !missing.is_empty() {
            core.send(
                epoch.node,
                Message::Missing {
                    epoch,
                    operations: missing,
                },
            );
        }
        send_products(core, epoch.node, known.into_iter());
        self.feed(core);
    }

    /// Takes results from the arithmetic.
    pub(crate) fn computed(&mut self, core: &mut Core, products: Vec<Product>) {
        let mut finished = Vec::with_capacity(products.len());
        for product in products {
            // One that is not in the list was cancelled, or asked for twice.
            let position = self
                .computing
                .iter()
                .position(|&id| id == product.operation);
            if position.is_none_or(|position| self.computing.remove(position).is_none()) {
                continue;
            }
            core.trace_operations(product.operation, |op| Trace::Completed { op });
            if !core.checkpoint.covers(product.operation) {
                finished.push(product);
            }
        }
        if core.config.delay.is_zero() || finished.is_empty() {
            self.deliver(core, finished);
        } else if let Some(product) = finished.pop() {
            self.delayed = Some(product);
            let due = core.after(core.config.delay);
            core.timers.arm(Timer::Deliver, due);
        }
        self.feed(core);
    }

    /// The finished operation has waited for `delay`.
    pub(crate) fn delay_over(&mut self, core: &mut Core) {
        let product = self.delayed.take();
        // Perhaps another was faster.
        let wanted = product.filter(|product| !core.checkpoint.covers(product.operation));
        self.deliver(core, wanted.into_iter().collect());
        self.feed(core);
    }

    /// The checkpoint shows these as done: what was kept of them is kept there now.
    pub(crate) fn checkpointed(&mut self, core: &mut Core, update: &Update) {
        for &n in &update.forgotten {
            self.forget(n);
        }
        for id in update.finished() {
            self.kept.remove_covered_by(id);
        }
        self.feed(core);
    }

    /// The product of a finished operation that this worker sent, and has kept until the checkpoint
    /// shows it done.
    pub(crate) fn kept(&self, id: OperationId) -> Option<&Bytes> {
        self.kept.get(id)
    }

    /// What this worker has beside its copy of the checkpoint.
    pub(crate) fn inventory(&self, core: &Core) -> Inventory {
        let queued = self.computing.iter().chain(&self.queue).copied();
        let delayed = self.delayed.iter().map(|product| product.operation);
        Inventory {
            held: core.checkpoint.products.ids().collect(),
            kept: self.kept.ids().collect(),
            queued: delayed
                .chain(queued)
                .filter(|&id| !core.checkpoint.covers(id))
                .collect(),
            attempts: core
                .checkpoint
                .attempts
                .iter()
                .map(|(&id, &count)| (id, count))
                .collect(),
        }
    }

    /// Products for a coordinator that asked for them, from the checkpoint or kept.
    pub(crate) fn pulled(&self, core: &mut Core, to: NodeId, operations: &[OperationId]) {
        let found: Vec<Product> = operations
            .iter()
            .filter(|&&id| core.is_valid(id))
            .flat_map(|&id| self.known(core, id))
            .collect();
        send_products(core, to, found.into_iter());
    }

    /// This node becomes coordinator: it drops all operations of its own, since a coordinator
    /// computes nothing, and hands over what it has finished.
    pub(crate) fn retire(&mut self, core: &mut Core) {
        core.timers.disarm(Timer::Deliver);
        if !self.computing.is_empty() {
            core.outbox.push(Action::CancelCompute);
        }
        let finished = std::mem::replace(self, Worker::new(core.config.shape));
        for (id, value) in finished.kept.iter() {
            core.checkpoint.insert(id, value.clone());
        }
        if let Some(product) = finished.delayed {
            core.checkpoint.insert(product.operation, product.value);
        }
    }

    /// Sends what is finished. Where another was faster that is nothing, and the coordinator still
    /// learns that this worker goes on.
    fn deliver(&mut self, core: &mut Core, products: Vec<Product>) {
        for product in &products {
            self.kept.insert(product.operation, product.value.clone());
        }
        let coordinator = core.highest.node;
        if coordinator == core.id {
            return;
        }
        if products.is_empty() {
            core.send(coordinator, Message::Products { products });
        } else {
            send_products(core, coordinator, products.into_iter());
        }
    }

    /// Gives the arithmetic what it can take. Under a `delay` that is one at a time, since the
    /// operations of a worker pass through its processing time one by one.
    fn feed(&mut self, core: &mut Core) {
        let limit = if core.config.delay.is_zero() {
            COMPUTING_LIMIT
        } else {
            1
        };
        while self.computing.len() < limit && self.delayed.is_none() {
            let Some(operation) = self.queue.pop_front() else {
                return;
            };
            // Done elsewhere, or forgotten, since it was assigned.
            if core.checkpoint.covers(operation) {
                continue;
            }
            let Some(task) = task(core, operation) else {
                continue;
            };
            core.trace_operations(operation, |op| Trace::Computing { op });
            self.computing.push_back(operation);
            core.outbox.push(Action::Compute { operation, task });
        }
    }

    fn knows(&self, core: &Core, id: OperationId) -> bool {
        core.checkpoint.covers(id) || self.kept.covers(id)
    }

    /// The product that shows an operation done, if this node has one.
    fn known(&self, core: &Core, id: OperationId) -> Option<Product> {
        let evidence = core.checkpoint.products.evidence(id);
        let (operation, value) = evidence.or_else(|| self.kept.evidence(id))?;
        let value = value.clone();
        Some(Product { operation, value })
    }

    fn is_queued(&self, id: OperationId) -> bool {
        self.computing.contains(&id)
            || self.queue.contains(&id)
            || self
                .delayed
                .as_ref()
                .is_some_and(|product| product.operation == id)
    }

    fn forget(&mut self, n: u32) {
        self.kept.forget(n);
        self.queue.retain(|id| id.n != n);
        self.computing.retain(|id| id.n != n);
        if self
            .delayed
            .as_ref()
            .is_some_and(|product| product.operation.n == n)
        {
            self.delayed = None;
        }
    }
}

/// What the arithmetic is to do for an operation; nothing if the checkpoint lacks an operand.
fn task(core: &Core, id: OperationId) -> Option<Task> {
    let value = |id: OperationId| core.checkpoint.products.get(id).cloned();
    let values = |ids: Vec<OperationId>| ids.into_iter().map(value).collect::<Option<Vec<Bytes>>>();
    Some(match core.plan(id.n).operands(id) {
        Operands::Numbers(numbers) => Task::Numbers(numbers),
        Operands::Primes { bit, leaves } => Task::Primes {
            n: id.n,
            bit,
            leaves,
        },
        Operands::Products(ids) => Task::Products(values(ids)?),
        Operands::Block { below, groups } => Task::Block {
            below: value(below)?,
            groups,
        },
        Operands::Step(ids) => Task::Step(values(ids)?),
        Operands::Part { step, index } => Task::Part {
            step: values(step)?,
            index,
        },
        Operands::Parts(ids) => Task::Join(values(ids)?),
    })
}

fn send_products(core: &mut Core, to: NodeId, products: impl Iterator<Item = Product>) {
    for products in batches(products) {
        core.send(to, Message::Products { products });
    }
}
