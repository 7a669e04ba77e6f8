//! A node: the state machine that the process and the simulation drive.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::checkpoint::Checkpoint;
use crate::config::{Config, Preemption};
use crate::coordinator::Coordinator;
use crate::core::Core;
use crate::election::Candidate;
use crate::event::{Action, Event};
use crate::id::{Epoch, Incarnation, NodeId, Term};
use crate::message::{Message, Update};
use crate::peer::Peer;
use crate::plan::OperationId;
use crate::products::Insertion;
use crate::status::{RoleName, Status};
use crate::takeover::Takeover;
use crate::time::{Time, Untimed};
use crate::timer::{Timer, Timers};
use crate::trace::{ElectionCause, Trace};
use crate::worker::Worker;

/// One node of a cluster, in one life of its process.
///
/// Built from a [`Config`], whose `delay` simulates processing time, it runs as worker or as
/// coordinator, and changes between them by election alone. All that happens to it comes in
/// through [`Node::step`], and all that it wants done comes out of there. It compares and hashes
/// without the times in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    pub(crate) core: Core,
    pub(crate) role: Role,
    pub(crate) worker: Worker,
}

/// What a node does at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    /// Knows of no coordinator and holds no election; [`Timer::Elect`] is armed, but before the
    /// start.
    Leaderless {
        /// The cause of the election that comes.
        cause: ElectionCause,
    },
    /// Holds an election.
    Candidate(Candidate),
    /// Has won an election and collects.
    Winner(Takeover),
    /// Coordinates.
    Coordinator(Box<Coordinator>),
    /// Has promised to, or follows, the owner of the highest epoch.
    Follower {
        /// Has caught up with the coordinator's checkpoint.
        synced: bool,
    },
}

impl Node {
    /// A node that has just been started.
    ///
    /// `term` is the highest that the cluster is known to have reached, 0 in a cluster that starts.
    pub fn new(config: Config, id: NodeId, incarnation: Incarnation, term: Term) -> Node {
        let shape = config.shape;
        let peers = (0..config.nodes).map(NodeId).filter(|&peer| peer != id);
        Node {
            core: Core {
                id,
                incarnation,
                highest: Epoch {
                    term,
                    ..Epoch::NONE
                },
                peers: peers.map(|peer| (peer, Peer::new(peer))).collect(),
                checkpoint: Checkpoint::new(config.shape),
                timers: Timers::default(),
                started: false,
                stopping: false,
                now: Untimed::default(),
                late_commits: BTreeMap::new(),
                woke: Untimed::default(),
                role_name: RoleName::Recovering,
                outbox: Vec::new(),
                config,
            },
            role: Role::Leaderless {
                cause: ElectionCause::Start,
            },
            worker: Worker::new(shape),
        }
    }

    /// Handles one event; returns what is to be done, in this order.
    ///
    /// `now` must not run backwards. A timer is handed in when it is due, after all messages
    /// that had arrived by then: a node that was stopped finds its mail before its timers.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Action> {
        let now = now.max(self.core.now());
        let last = self.core.now();
        if last != Time::default() && now.since(last) >= self.core.config.heartbeat * 2 {
            self.core.woke = Untimed(now);
        }
        self.core.now = Untimed(now);
        let gap = self.notice_gap();
        match event {
            Event::Start => self.start(),
            Event::Stopping => self.core.stopping = true,
            Event::LinkUp {
                peer,
                incarnation,
                highest,
            } => self.link_up(peer, incarnation, highest),
            Event::LinkDown { peer, incarnation } => self.link_down(peer, incarnation),
            Event::Hint {
                peer,
                incarnation,
                state,
            } => self.hint(peer, incarnation, state),
            Event::Received {
                from,
                incarnation,
                message,
            } => self.receive(from, incarnation, message),
            Event::Alive { from, incarnation } => {
                if self.knows(from, incarnation) {
                    if self.sign_of_life(from) {
                        self.returned(from);
                    }
                    if let Role::Winner(takeover) = &self.role {
                        takeover.sign_of_life(&mut self.core, from);
                    }
                }
            }
            Event::Computed { products } => self.worker.computed(&mut self.core, products),
            Event::FileDone { epoch, tag, reply } => {
                if let Role::Coordinator(coordinator) = &mut self.role
                    && coordinator.epoch == epoch
                {
                    coordinator.file_done(&mut self.core, tag, reply);
                } else {
                    self.core.late_file_done(epoch, &tag, &reply);
                }
            }
            Event::InboxChanged => {
                if let Role::Coordinator(coordinator) = &mut self.role {
                    coordinator.inbox_changed(&mut self.core);
                }
            }
            Event::Timeout(timer) if gap && timer.measures_silence() => {}
            Event::Timeout(timer) => self.timeout(timer),
        }
        self.conclude_election();
        if let Role::Coordinator(coordinator) = &mut self.role {
            coordinator.finish_turn(&mut self.core);
        }
        std::mem::take(&mut self.core.outbox)
    }

    /// The timer that is due first, and when.
    pub fn next_timeout(&self) -> Option<(Time, Timer)> {
        self.core.timers.next()
    }

    /// All armed timers, for a driver that fires them in any order.
    pub fn armed_timers(&self) -> impl Iterator<Item = Timer> + '_ {
        self.core.timers.armed()
    }

    /// The highest epoch that this node has seen or promised; file calls of lower ones are void.
    pub fn highest(&self) -> Epoch {
        self.core.highest
    }

    /// The epoch in which this node acts as coordinator, if it does.
    pub fn acting(&self) -> Option<Epoch> {
        match &self.role {
            Role::Coordinator(coordinator) => Some(coordinator.epoch),
            _ => None,
        }
    }

    /// What this node does.
    pub fn role(&self) -> RoleName {
        self.core.role_name
    }

    /// The coordinator that this node follows or is.
    pub fn coordinator(&self) -> Option<NodeId> {
        match &self.role {
            Role::Coordinator(_) => Some(self.core.id),
            Role::Follower { .. } => Some(self.core.highest.node),
            Role::Leaderless { .. } | Role::Candidate(_) | Role::Winner(_) => None,
        }
    }

    /// Number of the other nodes of the cluster.
    pub fn peer_count(&self) -> u8 {
        self.core.config.nodes - 1
    }

    /// Number of jobs that this node, as coordinator, has open.
    pub fn open_jobs(&self) -> usize {
        match &self.role {
            Role::Coordinator(coordinator) => coordinator.jobs.len(),
            _ => 0,
        }
    }

    /// What this node does, for a report; the jobs are listed at the coordinator only.
    pub fn status(&self) -> Status {
        Status {
            role: self.role(),
            highest: self.core.highest,
            coordinator: self.coordinator(),
            held_bytes: self.held_bytes(),
            jobs: match &self.role {
                Role::Coordinator(coordinator) => coordinator.job_status(&self.core),
                _ => Vec::new(),
            },
        }
    }

    /// The products that this node holds in its copy of the checkpoint.
    pub fn held(&self) -> impl Iterator<Item = (OperationId, &Bytes)> + '_ {
        self.core.checkpoint.products.iter()
    }

    /// Bytes of the products that this node holds in its copy of the checkpoint.
    pub fn held_bytes(&self) -> u64 {
        self.core.checkpoint.products.weight()
    }

    fn start(&mut self) {
        self.core.started = true;
        self.core.trace(Trace::Started);
        if let Role::Leaderless { .. } = self.role {
            let fresh = self.core.highest == Epoch::NONE;
            let textbook = self.core.config.preemption == Preemption::Immediate;
            if (fresh && self.core.higher_peers().is_empty()) || (!fresh && textbook) {
                self.start_election(ElectionCause::Start);
            } else {
                self.lose_coordinator(ElectionCause::NoCoordinator, self.core.config.suspect_after);
            }
        }
        self.preempt();
    }

    fn receive(&mut self, from: NodeId, incarnation: Incarnation, message: Message) {
        // What a dead life of a node said is void, however late it arrives.
        if !self.knows(from, incarnation) {
            return;
        }
        if let Some(epoch) = message.authority() {
            if epoch < self.core.highest {
                self.refuse_stale(from, message.name());
                return;
            }
            if epoch.node != from || epoch.incarnation != incarnation {
                let name = message.name();
                self.core.warn(format!(
                    "ignored {name} of node {from}: its epoch {epoch} belongs to another"
                ));
                return;
            }
        }
        let returns = self.sign_of_life(from);
        self.hear(from, message);
        // Only now, since the message may have ended the attempt to collect.
        if returns {
            self.returned(from);
        }
    }

    /// Does what a message asks for that is of the present.
    fn hear(&mut self, from: NodeId, message: Message) {
        let follows = match message {
            Message::Heartbeat { epoch }
            | Message::Pull { epoch, .. }
            | Message::Assign { epoch, .. }
            | Message::Checkpoint { epoch, .. } => self.follow(epoch),
            _ => true,
        };
        if !follows {
            return;
        }
        match message {
            Message::Collect { epoch } => self.collected(epoch),
            Message::Victory { epoch } => self.victory(epoch),
            Message::Heartbeat { epoch } => {
                self.core.send(from, Message::Pulse { epoch });
            }
            Message::Pull { operations, .. } => {
                self.worker.pulled(&mut self.core, from, &operations);
            }
            Message::Assign { epoch, operations } => {
                self.worker.assign(&mut self.core, epoch, &operations);
            }
            Message::Checkpoint { update, .. } => {
                self.apply(update);
            }
            Message::Election { highest } => self.election(from, highest),
            Message::Answer { highest } => self.answer(from, highest),
            Message::Following { epoch } => self.answer(from, epoch),
            Message::Stale { highest } => self.learn(highest),
            Message::Pulse { .. } => {}
            Message::Promise {
                epoch,
                mut inventory,
            } => {
                inventory.tidy(&self.core);
                match &mut self.role {
                    Role::Winner(takeover) if takeover.epoch == epoch => {
                        takeover.promised(&mut self.core, from, inventory);
                        self.act_if_collected();
                    }
                    Role::Coordinator(coordinator) if coordinator.epoch == epoch => {
                        let snapshot = self.core.checkpoint.snapshot();
                        coordinator.admit(&mut self.core, from, &snapshot, &inventory);
                    }
                    _ => {}
                }
            }
            Message::Products { products } => match &mut self.role {
                Role::Winner(takeover) => {
                    takeover.products(&mut self.core, from, products);
                    self.act_if_collected();
                }
                Role::Coordinator(coordinator) => {
                    coordinator.products(&mut self.core, from, products)
                }
                // The worker keeps them, and offers them to whom it promises next.
                _ => {}
            },
            Message::Missing { epoch, operations } => {
                if let Role::Coordinator(coordinator) = &mut self.role
                    && coordinator.epoch == epoch
                {
                    coordinator.missing(&mut self.core, from, &operations);
                }
            }
        }
    }

    /// The fence: what claims authority in the name of an epoch that is over changes nothing.
    fn refuse_stale(&mut self, from: NodeId, what: &'static str) {
        self.core.trace(Trace::StaleRefused { what, from });
        let highest = self.core.highest;
        self.core.send(from, Message::Stale { highest });
    }

    fn apply(&mut self, mut update: Update) {
        let core = &mut self.core;
        for &n in &update.forgotten {
            core.checkpoint.forget(n);
        }
        update.attempts.retain(|&(id, _)| core.is_valid(id));
        update
            .products
            .retain(|product| core.is_valid(product.operation));
        core.checkpoint.merge_attempts(&update.attempts);
        for product in &update.products {
            let found = core
                .checkpoint
                .insert(product.operation, product.value.clone());
            if found == Insertion::Differs {
                core.values_differ(product.operation);
            }
        }
        self.take_over_kept(&mut update);
        self.worker.checkpointed(&mut self.core, &update);
    }

    /// What this node computed itself goes into its copy of the checkpoint without being sent back.
    fn take_over_kept(&mut self, update: &mut Update) {
        let core = &mut self.core;
        let mut missing = Vec::new();
        update.kept.retain(|&id| {
            if !core.is_valid(id) {
                return false;
            }
            if !core.checkpoint.covers(id) {
                match self.worker.kept(id) {
                    Some(value) => core.checkpoint.insert(id, value.clone()),
                    None => {
                        missing.push(id);
                        return false;
                    }
                };
            }
            true
        });
        // It was forgotten here after it had been sent there, and somebody wants it again.
        if !missing.is_empty() {
            let coordinator = core.highest;
            core.send(
                coordinator.node,
                Message::Missing {
                    epoch: coordinator,
                    operations: missing,
                },
            );
        }
    }

    fn timeout(&mut self, timer: Timer) {
        if !self.core.timers.disarm(timer) {
            return;
        }
        match timer {
            Timer::Elect => {
                if let Role::Leaderless { cause } = self.role {
                    self.start_election(cause);
                }
            }
            Timer::Answers => self.answers_due(),
            Timer::Victory => self.start_over(),
            Timer::Collect(peer) => {
                if let Role::Winner(takeover) = &mut self.role {
                    takeover.pass_over(&mut self.core, peer);
                    self.act_if_collected();
                }
            }
            Timer::CoordinatorSilence => self.fell_silent(self.core.highest.node),
            Timer::PeerSilence(peer) => self.fell_silent(peer),
            Timer::Deliver => self.worker.delay_over(&mut self.core),
            Timer::Heartbeat | Timer::Rescan | Timer::Debounce | Timer::RetryFiles => {
                if let Role::Coordinator(coordinator) = &mut self.role {
                    coordinator.timeout(&mut self.core, timer);
                }
            }
        }
    }
}
