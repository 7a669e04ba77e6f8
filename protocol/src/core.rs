//! What every role of a node shares: identity, fence, peers, checkpoint, timers, outbox.

pub(crate) mod peer;

use std::collections::BTreeMap;
use std::time::Duration;

use glob::Pattern;

use self::peer::{Link, Peer};
use crate::checkpoint::Checkpoint;
use crate::desk::trouble::Troubles;
use crate::plan::{OperationId, Plan};
use crate::words::config::Config;
use crate::words::deaths::Deaths;
use crate::words::event::Action;
use crate::words::file::{FileReply, FileTag};
use crate::words::id::{Epoch, Incarnation, NodeId};
use crate::words::message::Message;
use crate::words::status::RoleName;
use crate::words::time::{Time, Untimed};
use crate::words::timer::{Timer, Timers};
use crate::words::trace::Trace;

/// A peer that is asked for what it holds and delivers nothing for this long is passed over.
pub(crate) const COLLECT_PATIENCE: Duration = Duration::from_millis(100);

/// The part of a node that survives its changes of role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Core {
    pub(crate) config: Config,
    /// Patterns of names that are jobs beside those that end in `.job`.
    pub(crate) accept: Vec<Pattern>,
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    /// The highest epoch seen or promised: nothing below it is obeyed.
    pub(crate) highest: Epoch,
    pub(crate) peers: BTreeMap<NodeId, Peer>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) timers: Timers,
    /// The cluster starts, or has started.
    pub(crate) started: bool,
    /// The cluster stops: no elections from now on, whatever else is said.
    pub(crate) stopping: bool,
    /// The time of the event that is being handled.
    pub(crate) now: Untimed,
    /// Deaths that jobs caused, as the supervisor tells.
    pub(crate) deaths: Deaths,
    /// What is to be traced of commits, and of texts that get their names, if calls succeed that were on
    /// their way when a coordinatorship of this node ended.
    pub(crate) late_calls: BTreeMap<(Epoch, u64), Trace>,
    /// What fails at every try, and was told.
    pub(crate) troubles: Troubles,
    /// Since when a file call of this node has not come any further, while it is told to be slow.
    pub(crate) slow_since: Option<Untimed>,
    /// How often it was told of an epoch whose owner it cannot hear, since it last followed anybody.
    pub(crate) deposed: u8,
    /// When this node last woke from a time in which nothing happened to it; the origin of time if
    /// it never did.
    pub(crate) woke: Untimed,
    /// The role, as traces name it.
    pub(crate) role_name: RoleName,
    /// What this step has asked for; empty between steps.
    pub(crate) outbox: Vec<Action>,
}

impl Core {
    /// Whether this node may hold an election.
    pub(crate) fn elects(&self) -> bool {
        self.started && !self.stopping
    }

    pub(crate) fn now(&self) -> Time {
        self.now.0
    }

    /// The moment `duration` from now.
    pub(crate) fn after(&self, duration: Duration) -> Time {
        self.now.0 + duration
    }

    pub(crate) fn send(&mut self, to: NodeId, message: Message) {
        self.send_all(vec![to], message);
    }

    pub(crate) fn send_all(&mut self, to: Vec<NodeId>, message: Message) {
        if !to.is_empty() {
            self.outbox.push(Action::Send { to, message });
        }
    }

    /// Whether this node may have slept until just now, so that others know more than it does: what
    /// they have to say is still on its way.
    pub(crate) fn woke_just_now(&self) -> bool {
        self.woke.0 != Time::default() && self.now().since(self.woke.0) < COLLECT_PATIENCE
    }

    /// Whether this is the first step after it stood still, or had nothing to do, for two heartbeats.
    pub(crate) fn wakes_now(&self) -> bool {
        self.woke.0 == self.now()
    }

    /// A file call ended that was made in a coordinatorship that is over: nobody else will tell of what
    /// it did.
    pub(crate) fn late_file_done(&mut self, epoch: Epoch, tag: &FileTag, reply: &FileReply) {
        if let FileTag::Job(key) = tag
            && let Some(trace) = self.late_calls.remove(&(epoch, *key))
            && *reply == FileReply::Ok
        {
            self.trace(trace);
        }
    }

    pub(crate) fn trace(&mut self, trace: Trace) {
        self.outbox.push(Action::Trace {
            role: self.role_name,
            term: self.highest.term,
            trace,
        });
    }

    /// Traces each operation of a block, if operations are traced.
    pub(crate) fn trace_operations(
        &mut self,
        block: OperationId,
        trace: impl Fn(OperationId) -> Trace,
    ) {
        if self.config.trace_operations {
            for operation in self.plan(block.n).operations(block) {
                self.trace(trace(operation));
            }
        }
    }

    /// Traces what happened to a block: its first operation stands for all of them, unless
    /// operations are traced.
    pub(crate) fn trace_block(&mut self, block: OperationId, trace: impl Fn(OperationId) -> Trace) {
        if self.config.trace_operations {
            self.trace_operations(block, trace);
        } else {
            self.trace(trace(block));
        }
    }

    pub(crate) fn warn(&mut self, sentence: String) {
        self.outbox.push(Action::Warn(sentence));
    }
    /// Whether the cluster has a node of this ID.
    pub(crate) fn is_member(&self, node: NodeId) -> bool {
        node == self.id || self.peers.contains_key(&node)
    }

    /// Whether a peer can be talked to.
    pub(crate) fn is_live(&self, peer: NodeId) -> bool {
        self.peers.get(&peer).is_some_and(Peer::is_live)
    }

    /// Peers that can be talked to.
    pub(crate) fn live_peers(&self) -> Vec<NodeId> {
        let live = self.peers.values().filter(|peer| peer.is_live());
        live.map(|peer| peer.id).collect()
    }

    /// Higher peers that are not known to be down.
    pub(crate) fn higher_peers(&self) -> Vec<NodeId> {
        self.peers
            .values()
            .filter(|peer| peer.id > self.id && !peer.is_down())
            .map(|peer| peer.id)
            .collect()
    }

    /// Whether the process that owns an epoch may still be there.
    pub(crate) fn owner_lives(&self, epoch: Epoch) -> bool {
        // The epoch of a term that a process was started with: nobody owns it.
        if epoch.incarnation == Incarnation::default() {
            return false;
        }
        if epoch.node == self.id {
            return epoch.incarnation == self.incarnation;
        }
        self.peers.get(&epoch.node).is_some_and(|owner| {
            !owner.is_down()
                && (owner.incarnation == epoch.incarnation
                    || (owner.link == Link::Unknown && owner.incarnation < epoch.incarnation))
        })
    }

    /// The plan of n!.
    pub(crate) fn plan(&self, n: u32) -> Plan {
        self.config.shape.plan(n)
    }

    /// Whether an operation that somebody named exists, within the limit of this cluster.
    pub(crate) fn is_valid(&self, operation: OperationId) -> bool {
        operation.n <= self.config.max_n && self.plan(operation.n).contains(operation)
    }

    /// Two values for one operation: somebody's arithmetic or memory is broken.
    pub(crate) fn values_differ(&mut self, op: OperationId) {
        self.trace(Trace::ValuesDiffer { op });
        self.warn(format!(
            "two different values were computed for one operation ({op:?}); the first is kept, but this \
             machine's arithmetic or memory cannot be trusted"
        ));
    }

    /// Every clock that measures somebody's silence begins anew; what else is overdue is due now.
    pub(crate) fn restart_silence_clocks(&mut self) {
        let now = self.now();
        let silence = self.after(self.config.suspect_after);
        let patience = self.after(COLLECT_PATIENCE);
        let armed: Vec<Timer> = self.timers.armed().collect();
        for timer in armed {
            let due = match timer {
                Timer::Collect(_) => patience,
                _ if timer.measures_silence() => silence,
                _ => self.timers.due(timer).map_or(now, |due| due.max(now)),
            };
            self.timers.arm(timer, due);
        }
    }
}
