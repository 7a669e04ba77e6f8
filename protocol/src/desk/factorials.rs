//! The factorials that jobs need: who waits for which, and which of them no job needs any longer.

use super::Desk;
use super::context::{Context, Order};
use super::jobs::Stage;
use crate::words::operation::OperationId;
use crate::words::trace::Trace;

impl Desk {
    /// The digits of n! are there.
    pub(crate) fn factorial_done(&mut self, context: &mut Context<'_>, n: u32) {
        let waiting = self.jobs.needs.get(&n).cloned().unwrap_or_default();
        for key in waiting {
            if let Some(job) = self.jobs.open.get_mut(&key) {
                job.missing.remove(&n);
            }
            self.proceed_if_computed(context, key);
        }
    }

    /// Workers died one after the other computing an operation, so many that the jobs that need it fail.
    pub(crate) fn operation_is_deadly(
        &mut self,
        context: &mut Context<'_>,
        id: OperationId,
        count: u32,
    ) {
        self.factorial_failed(context, id.n, &deadly(id, count));
    }

    /// After a takeover: a job may need an operation that has killed too many workers already.
    pub(super) fn fail_if_deadly(&mut self, context: &mut Context<'_>, key: u64) {
        let Some(job) = self.jobs.get(key) else {
            return;
        };
        let limit = context.config.attempts;
        let mut attempts = context.checkpoint.attempts.iter();
        let found = attempts.find(|(id, count)| **count >= limit && job.factorials.contains(&id.n));
        if let Some((&id, &count)) = found {
            self.operation_is_deadly(context, id, count);
        }
    }

    /// No worker survives an operation of n!: the jobs that need it fail. The count of its victims
    /// is kept until they have failed, so that the next coordinator does not begin anew.
    fn factorial_failed(&mut self, context: &mut Context<'_>, n: u32, reason: &str) {
        context.orders.push(Order::Stop(n));
        let waiting = self.jobs.needs.get(&n).cloned().unwrap_or_default();
        for key in waiting {
            if let Some(job) = self.jobs.open.get_mut(&key)
                && job.stage == Stage::Computing
            {
                context.trace(Trace::JobRejected {
                    job: job.name.clone(),
                });
                job.reasons = vec![reason.to_owned()];
                job.stage = Stage::Writing;
                self.issue(context, key);
            }
        }
    }

    /// A job is over, or another coordinator's: forgets it and what only it needed.
    pub(super) fn drop_job(&mut self, context: &mut Context<'_>, key: u64) {
        self.recovery.unread.remove(&key);
        self.release_all(context, key);
        self.jobs.open.remove(&key);
        self.take_in(context);
    }

    pub(super) fn proceed_if_computed(&mut self, context: &mut Context<'_>, key: u64) {
        if let Some(job) = self.jobs.open.get_mut(&key)
            && job.stage == Stage::Computing
            && job.missing.is_empty()
        {
            job.stage = Stage::Writing;
            self.issue(context, key);
        }
    }

    /// A job needs none of its factorials any longer.
    pub(super) fn release_all(&mut self, context: &mut Context<'_>, key: u64) {
        if let Some(job) = self.jobs.open.get_mut(&key) {
            let factorials = std::mem::take(&mut job.factorials);
            self.release(context, key, factorials);
            self.free_memory(context, key);
        }
    }

    /// A job needs these factorials no longer; those that no other needs are dropped everywhere,
    /// once it is known what is needed.
    pub(super) fn release(&mut self, context: &mut Context<'_>, key: u64, factorials: Vec<u32>) {
        for n in factorials {
            if let Some(keys) = self.jobs.needs.get_mut(&n) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.jobs.needs.remove(&n);
                    self.recovery.unneeded.insert(n);
                }
            }
        }
        self.forget_unneeded(context);
    }

    /// Whether what is held of a factorial, or done for it, is of use: an open job needs it, be it one
    /// that waits, or one may turn up that does.
    pub(crate) fn wants(&self, n: u32) -> bool {
        !self.recovery.is_settled() || self.jobs.need(n) || self.recovery.doubtful.contains(&n)
    }

    /// Forgets what no job needs, unless one may turn up that does.
    pub(super) fn forget_unneeded(&mut self, context: &mut Context<'_>) {
        if self.recovery.is_open() {
            return;
        }
        let mut unneeded = std::mem::take(&mut self.recovery.unneeded);
        if self.jobs.has_unread() {
            unneeded.retain(|n| !self.recovery.doubtful.contains(n));
        } else {
            unneeded.append(&mut self.recovery.doubtful);
        }
        for n in unneeded {
            if !self.jobs.need(n) {
                context.orders.push(Order::Forget(n));
            }
        }
    }
}

/// Why a job fails whose operation no worker survives.
fn deadly(id: OperationId, count: u32) -> String {
    format!(
        "{n}!: {count} workers died one after the other while they computed one operation \
         ({kind:?} level {level} index {index}), see --attempts",
        n = id.n,
        kind = id.kind,
        level = id.level,
        index = id.index,
    )
}
