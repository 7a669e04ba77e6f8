//! A node: the state machine that the process and the simulation drive.

use bytes::Bytes;

use crate::checkpoint::Checkpoint;
use crate::config::{Config, Preemption};
use crate::coordinator::Coordinator;
use crate::core::Core;
use crate::election::Candidate;
use crate::event::{Action, ChildState, Event};
use crate::id::{Epoch, Incarnation, NodeId, Term};
use crate::message::{Message, Update};
use crate::peer::{Link, Peer};
use crate::plan::OperationId;
use crate::products::Insertion;
use crate::status::{RoleName, Status};
use crate::takeover::Takeover;
use crate::time::{Time, Untimed};
use crate::timer::{Timer, Timers};
use crate::trace::{DownBy, ElectionCause, StepDownCause, Trace};
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
                checkpoint: Checkpoint::default(),
                timers: Timers::default(),
                elects: false,
                now: Untimed::default(),
                role_name: RoleName::Recovering,
                outbox: Vec::new(),
                config,
            },
            role: Role::Leaderless {
                cause: ElectionCause::Start,
            },
            worker: Worker::default(),
        }
    }

    /// Handles one event; returns what is to be done, in this order.
    ///
    /// `now` must not run backwards. A timer is handed in when it is due, after all messages
    /// that had arrived by then: a node that was stopped finds its mail before its timers.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Action> {
        self.core.now = Untimed(now.max(self.core.now()));
        let gap = self.notice_gap();
        match event {
            Event::Start => self.start(),
            Event::Stopping => self.core.elects = false,
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
                    self.sign_of_life(from);
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

    fn start(&mut self) {
        self.core.elects = true;
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

    fn link_up(&mut self, id: NodeId, incarnation: Incarnation, highest: Epoch) {
        let Some(peer) = self.core.peers.get(&id) else {
            return;
        };
        if incarnation < peer.incarnation {
            return;
        }
        let relinked = peer.link == Link::Up && peer.incarnation == incarnation;
        self.meet(id, incarnation, DownBy::Link);
        if let Some(peer) = self.core.peers.get_mut(&id) {
            peer.link = Link::Up;
            peer.silent = false;
        }
        if !relinked {
            self.core.trace(Trace::PeerUp {
                peer: id,
                peer_incarnation: incarnation,
            });
        }
        self.learn(highest);
        match &mut self.role {
            Role::Candidate(candidate) => {
                candidate.link_up(&mut self.core, id);
                if candidate.obeys() && id == self.core.highest.node {
                    self.promise();
                }
            }
            Role::Winner(takeover) => takeover.link_up(&mut self.core, id),
            Role::Coordinator(coordinator) => coordinator.link_up(&mut self.core, id),
            // What was sent to it before may be lost: the answer to its Collect, or products.
            Role::Follower { .. } if id == self.core.highest.node => self.promise(),
            Role::Follower { .. } | Role::Leaderless { .. } => {}
        }
    }

    fn link_down(&mut self, id: NodeId, incarnation: Incarnation) {
        if !self.knows(id, incarnation) {
            return;
        }
        if let Some(peer) = self.core.peers.get_mut(&id)
            && peer.link != Link::Down
        {
            peer.link = Link::Down;
            self.peer_lost(id, DownBy::Link);
        }
    }

    fn hint(&mut self, id: NodeId, incarnation: Incarnation, state: ChildState) {
        if self
            .core
            .peers
            .get(&id)
            .is_none_or(|peer| incarnation < peer.incarnation)
        {
            return;
        }
        self.meet(id, incarnation, DownBy::Hint);
        let Some(peer) = self.core.peers.get_mut(&id) else {
            return;
        };
        match state {
            ChildState::Running => peer.stopped = false,
            ChildState::Stopped if !peer.stopped => {
                peer.stopped = true;
                self.peer_lost(id, DownBy::Hint);
            }
            ChildState::Gone if peer.link != Link::Down => {
                peer.link = Link::Down;
                self.peer_lost(id, DownBy::Hint);
            }
            ChildState::Stopped | ChildState::Gone => {}
        }
    }

    /// A newer life of a peer is proof that the last one is over.
    fn meet(&mut self, id: NodeId, incarnation: Incarnation, by: DownBy) {
        let Some(peer) = self.core.peers.get_mut(&id) else {
            return;
        };
        if incarnation > peer.incarnation {
            if peer.link == Link::Up {
                peer.link = Link::Down;
                self.peer_lost(id, by);
            }
            if let Some(peer) = self.core.peers.get_mut(&id) {
                peer.begin_life(incarnation);
            }
        }
    }

    /// A peer died, was stopped or fell silent; its state says which.
    pub(crate) fn peer_lost(&mut self, id: NodeId, by: DownBy) {
        let peer_incarnation = self.core.peers[&id].incarnation;
        self.core.trace(Trace::PeerDown {
            peer: id,
            peer_incarnation,
            by,
        });
        match &mut self.role {
            Role::Candidate(candidate) => {
                candidate.lost(id, id == self.core.highest.node);
                self.evaluate_candidacy();
            }
            Role::Winner(takeover) => {
                takeover.pass_over(&mut self.core, id);
                self.act_if_collected();
            }
            Role::Coordinator(coordinator) => {
                coordinator.lost(&mut self.core, id);
                if self.core.live_peers().is_empty() {
                    self.step_down(StepDownCause::Isolated);
                    self.start_election(ElectionCause::Isolated);
                }
            }
            Role::Follower { .. } if id == self.core.highest.node => {
                self.start_election(ElectionCause::CoordinatorLost);
            }
            // At the first start nobody has won yet, so nobody need be waited for.
            Role::Leaderless { .. }
                if self.core.highest == Epoch::NONE && self.core.higher_peers().is_empty() =>
            {
                self.start_election(ElectionCause::Start);
            }
            Role::Follower { .. } | Role::Leaderless { .. } => {}
        }
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
        self.sign_of_life(from);
        match message {
            Message::Collect { epoch } => self.collected(epoch),
            Message::Victory { epoch } => self.victory(epoch),
            Message::Heartbeat { epoch } => {
                self.follow(epoch);
                self.core.send(from, Message::Pulse { epoch });
            }
            Message::Pull { epoch, operations } => {
                self.follow(epoch);
                self.worker.pulled(&mut self.core, from, &operations);
            }
            Message::Assign { epoch, operations } => {
                self.follow(epoch);
                self.worker.assign(&mut self.core, epoch, &operations);
            }
            Message::Checkpoint { epoch, update } => {
                self.follow(epoch);
                self.apply(update);
            }
            Message::Election { highest } => self.election(from, highest),
            Message::Answer { highest } => self.answer(from, highest),
            Message::Following { epoch } => self.answer(from, epoch),
            Message::Stale { highest } => self.learn(highest),
            Message::Pulse { .. } => {}
            Message::Promise { epoch, inventory } => match &mut self.role {
                Role::Winner(takeover) if takeover.epoch == epoch => {
                    takeover.promised(&mut self.core, from, inventory);
                    self.act_if_collected();
                }
                Role::Coordinator(coordinator) if coordinator.epoch == epoch => {
                    coordinator.admit(&mut self.core, from, &inventory);
                }
                _ => {}
            },
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
        self.worker.checkpointed(core, &update);
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

    fn fell_silent(&mut self, id: NodeId) {
        match self.core.peers.get_mut(&id) {
            Some(peer) if !peer.is_down() => {
                peer.silent = true;
                self.peer_lost(id, DownBy::Silence);
            }
            // The coordinator that this node promised to was down from the first.
            _ if matches!(self.role, Role::Follower { .. }) => {
                self.start_election(ElectionCause::NoCoordinator);
            }
            _ => {}
        }
    }

    /// Anything that a peer says ends its silence.
    fn sign_of_life(&mut self, from: NodeId) {
        let Some(peer) = self.core.peers.get_mut(&from) else {
            return;
        };
        if peer.silent {
            peer.silent = false;
            let peer_incarnation = peer.incarnation;
            self.core.trace(Trace::PeerUp {
                peer: from,
                peer_incarnation,
            });
        }
        let due = self.core.after(self.core.config.suspect_after);
        match &self.role {
            Role::Follower { .. } if from == self.core.highest.node => {
                self.core.timers.arm(Timer::CoordinatorSilence, due);
            }
            Role::Coordinator(_) => self.core.timers.arm(Timer::PeerSilence(from), due),
            _ => {}
        }
    }

    /// Whether this is the newest known life of a peer.
    fn knows(&self, id: NodeId, incarnation: Incarnation) -> bool {
        self.core
            .peers
            .get(&id)
            .is_some_and(|peer| peer.incarnation == incarnation)
    }
}
