//! What the desk asks for, and what it may look at.

use super::Coordinator;
use crate::core::Core;
use crate::desk::Desk;
use crate::desk::context::{Context, Order};
use crate::words::event::Action;
use crate::words::trace::{ReassignCause, Trace};

impl Coordinator {
    /// Lets the desk do something, and then does what it has asked for.
    pub(crate) fn at_desk(
        &mut self,
        core: &mut Core,
        act: impl FnOnce(&mut Desk, &mut Context<'_>),
    ) {
        let mut context = Context {
            config: &core.config,
            accept: &core.accept,
            epoch: self.epoch,
            now: core.now(),
            checkpoint: &core.checkpoint,
            assigned: self.pool.holders(),
            timers: &mut core.timers,
            deaths: &mut core.deaths,
            troubles: &mut core.troubles,
            orders: Vec::new(),
        };
        act(&mut self.desk, &mut context);
        for order in context.orders {
            self.carry_out(core, order);
        }
    }

    fn carry_out(&mut self, core: &mut Core, order: Order) {
        match order {
            Order::Open(n) => self.open(core, n),
            Order::Stop(n) => self.stop(n),
            Order::Forget(n) => self.forget(core, n),
            Order::Call(tag, call) => core.outbox.push(Action::File {
                epoch: self.epoch,
                tag,
                call,
            }),
            Order::Log(lines) => core.outbox.push(Action::Log { lines }),
            Order::Trace(trace) => core.trace(trace),
            Order::Warn(sentence) => core.warn(sentence),
        }
    }

    /// A job needs n!.
    fn open(&mut self, core: &mut Core, n: u32) {
        let assigned = self.pool.assigned_of(n);
        let why = ReassignCause::Takeover;
        for op in self.work.open(n, &core.checkpoint.products, &assigned) {
            self.work.note_reassigned(op, why);
            core.trace_block(op, |op| Trace::OperationReassigned { op, why });
        }
    }

    /// Nothing of n! is computed any more.
    fn stop(&mut self, n: u32) {
        self.work.close(n);
        for id in self.pool.assigned_of(n) {
            self.pool.release(id);
        }
    }

    /// No job needs a factorial: it is dropped here and, through the stream, everywhere.
    fn forget(&mut self, core: &mut Core, n: u32) {
        self.stop(n);
        core.checkpoint.forget(n);
        self.update
            .products
            .retain(|product| product.operation.n != n);
        self.large.retain(|(_, product)| product.operation.n != n);
        self.update.attempts.retain(|(id, _)| id.n != n);
        self.update.forgotten.push(n);
    }
}
