//! What surrounds the desk: what it may look at, and what it asks for.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use glob::Pattern;

use super::job;
use super::trouble::{Trouble, Troubles};
use crate::checkpoint::Checkpoint;
use crate::words::config::Config;
use crate::words::deaths::Deaths;
use crate::words::file::{FileCall, FileReply, FileTag};
use crate::words::id::{Epoch, NodeId};
use crate::words::operation::OperationId;
use crate::words::time::Time;
use crate::words::timer::{Timer, Timers};
use crate::words::trace::Trace;

/// What the desk sees of its node while it handles one event, and what it asks for.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    /// Patterns of names that are jobs beside those that end in `.job`.
    pub(crate) accept: &'a [Pattern],
    /// In whose name the files are handled.
    pub(crate) epoch: Epoch,
    pub(crate) now: Time,
    pub(crate) checkpoint: &'a Checkpoint,
    /// Who has an operation.
    pub(crate) assigned: &'a BTreeMap<OperationId, NodeId>,
    pub(crate) timers: &'a mut Timers,
    pub(crate) deaths: &'a mut Deaths,
    pub(crate) troubles: &'a mut Troubles,
    /// What the desk has asked for, in order.
    pub(crate) orders: Vec<Order>,
}

/// Something that the desk asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Compute n!.
    Open(u32),
    /// Compute nothing more of n!, and keep what there is.
    Stop(u32),
    /// Drop all that is held of n!: no job needs it.
    Forget(u32),
    /// Make a file call.
    Call(FileTag, FileCall),
    /// Write lines to standard output.
    Log(Vec<Bytes>),
    /// Write an event to the event log.
    Trace(Trace),
    /// Tell the person who runs the cluster.
    Warn(String),
}

impl Context<'_> {
    /// The moment `duration` from now.
    pub(super) fn after(&self, duration: Duration) -> Time {
        self.now + duration
    }

    /// Arms a timer, unless it is armed.
    pub(super) fn arm_if_idle(&mut self, timer: Timer, wait: Duration) {
        self.timers.arm_if_idle(timer, self.now + wait);
    }

    pub(super) fn call(&mut self, tag: FileTag, call: FileCall) {
        self.orders.push(Order::Call(tag, call));
    }

    pub(super) fn log(&mut self, lines: Vec<Bytes>) {
        self.orders.push(Order::Log(lines));
    }

    pub(super) fn trace(&mut self, trace: Trace) {
        self.orders.push(Order::Trace(trace));
    }

    pub(super) fn warn(&mut self, sentence: String) {
        self.orders.push(Order::Warn(sentence));
    }

    /// A call of this kind ended: tells if it is the first that fails, or the first that works again.
    pub(super) fn note(&mut self, trouble: Trouble, reply: &FileReply) {
        if let Some(sentence) = self.troubles.note(trouble, reply) {
            self.warn(sentence);
        }
    }

    /// Whether somebody has an operation of n!.
    pub(super) fn is_assigned(&self, n: u32) -> bool {
        self.assigned.keys().any(|id| id.n == n)
    }

    /// Reads a job file, within the limits of this cluster.
    ///
    /// # Errors
    ///
    /// What is wrong with it, a reason each.
    pub(super) fn parse_job(&self, content: &[u8]) -> Result<Vec<u32>, Vec<String>> {
        let factorials = job::parse(content, self.config.max_n)?;
        job::check_size(&factorials, self.config.max_digits)?;
        job::check_text(&factorials, self.config.max_text)?;
        Ok(factorials)
    }
}
