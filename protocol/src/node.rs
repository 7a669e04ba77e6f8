//! A node: the state machine that the process and the simulation drive.

mod candidate;
mod damping;
mod election;
mod hang;
mod links;
mod office;
mod preemption;
mod receive;
mod takeover;

use std::collections::BTreeMap;

use bytes::Bytes;

use self::candidate::Candidate;
use self::damping::Damping;
use self::takeover::Takeover;
use crate::checkpoint::Checkpoint;
use crate::coordinator::Coordinator;
use crate::core::Core;
use crate::core::peer::Peer;
use crate::desk::Desk;
use crate::desk::trouble::Troubles;
use crate::plan::OperationId;
use crate::words::config::{Config, Preemption};
use crate::words::deaths::Deaths;
use crate::words::event::{Action, Event};
use crate::words::id::{Epoch, Incarnation, NodeId, Term};
use crate::words::status::{Ignored, RoleName, Status};
use crate::words::time::{Time, Untimed};
use crate::words::timer::{Timer, Timers};
use crate::words::trace::{ElectionCause, Trace};
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
    pub(crate) damping: Damping,
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
                deaths: Deaths::default(),
                late_calls: BTreeMap::new(),
                troubles: Troubles::default(),
                slow_since: None,
                deposed: 0,
                woke: Untimed::default(),
                role_name: RoleName::Recovering,
                outbox: Vec::new(),
                // What cannot be understood was refused when the settings were checked.
                accept: config.accepted().unwrap_or_default(),
                config,
            },
            role: Role::Leaderless {
                cause: ElectionCause::Start,
            },
            worker: Worker::new(shape),
            damping: Damping::default(),
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
                    coordinator.at_desk(&mut self.core, |desk, context| {
                        desk.file_done(context, tag, reply)
                    });
                } else {
                    self.core.late_file_done(epoch, &tag, &reply);
                }
            }
            Event::Deaths(deaths) => self.core.deaths.merge(deaths),
            Event::InboxChanged => {
                if let Role::Coordinator(coordinator) = &mut self.role {
                    coordinator.at_desk(&mut self.core, Desk::inbox_changed);
                }
            }
            Event::FilesSlow { lasts } => self.files_slow(lasts),
            Event::FilesAnswer => self.files_answer(),
            Event::WasStopped => self.was_stopped(),
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

    /// Whether a file call of this node has not come any further for too long.
    pub fn files_hang(&self) -> bool {
        self.core.hangs()
    }

    /// Number of the other nodes of the cluster.
    pub fn peer_count(&self) -> u8 {
        self.core.config.nodes - 1
    }

    /// Number of jobs that this node, as coordinator, has open.
    pub fn open_jobs(&self) -> usize {
        match &self.role {
            Role::Coordinator(coordinator) => coordinator.desk.len(),
            _ => 0,
        }
    }

    /// The peers that this node, as coordinator, gives operations when it has some and they have room.
    pub fn workers(&self) -> Vec<NodeId> {
        match &self.role {
            Role::Coordinator(coordinator) => coordinator.pool.workers(&self.core),
            _ => Vec::new(),
        }
    }

    /// What this node does, for a report; the jobs are listed at the coordinator only.
    pub fn status(&self) -> Status {
        Status {
            role: self.role(),
            highest: self.core.highest,
            coordinator: self.coordinator(),
            held_bytes: self.held_bytes(),
            slow_file_ms: self.core.slow_file_ms(),
            jobs: match &self.role {
                Role::Coordinator(coordinator) => coordinator.desk.status(&self.core.checkpoint),
                _ => Vec::new(),
            },
            ignored: self.ignored().cloned(),
            deaths_charged: self.deaths_charged(),
        }
    }

    /// For how many deaths the jobs that may have caused them are marked, as far as this node knows.
    pub fn deaths_charged(&self) -> u64 {
        self.core.deaths.charged
    }

    /// The files in the inbox that are no jobs, as this node, if it coordinates, has last seen them.
    pub fn ignored(&self) -> Option<&Ignored> {
        match &self.role {
            Role::Coordinator(coordinator) => coordinator.desk.ignored(),
            _ => None,
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
        self.damping.start(self.core.now());
        self.core.trace(Trace::Started);
        if let Role::Leaderless { .. } = self.role {
            let fresh = self.core.highest == Epoch::NONE;
            let textbook = self.core.config.preemption == Preemption::Immediate;
            if (fresh && self.core.higher_peers().is_empty())
                || (!fresh && textbook && !self.is_damped())
            {
                self.start_election(ElectionCause::Start);
            } else {
                self.lose_coordinator(ElectionCause::NoCoordinator, self.core.config.suspect_after);
            }
        }
        self.preempt();
    }

    fn timeout(&mut self, timer: Timer) {
        let due = self.core.timers.due(timer);
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
                    takeover.timeout(&mut self.core, peer, due.unwrap_or_default());
                    self.act_if_collected();
                }
            }
            Timer::CoordinatorSilence => self.fell_silent(self.core.highest.node),
            Timer::PeerSilence(peer) => self.fell_silent(peer),
            Timer::Deliver => self.worker.delay_over(&mut self.core),
            Timer::Preempt => self.claim(),
            Timer::Heartbeat
            | Timer::Deadline(_)
            | Timer::Rescan
            | Timer::Debounce
            | Timer::RetryFiles => {
                if let Role::Coordinator(coordinator) = &mut self.role {
                    coordinator.timeout(&mut self.core, timer);
                }
                if timer == Timer::Heartbeat {
                    self.give_way();
                }
            }
        }
    }
}
