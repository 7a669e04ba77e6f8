//! The state of the search: processes, messages in flight between them, and how many faults may
//! still happen.
//!
//! Links are first-in first-out, one for each incarnation of a sender. A process that dies loses its memory
//! and its mail; its sent messages still arrive, followed by the end of the link. Messages of a dead incarnation may
//! arrive after its successor has linked, although the mesh prevents that: the protocol has a check of its
//! own for it. Hints of the supervisor come at any moment, and carry only the latest state.
//!
//! Pulses are left out: they show that their sender is alive, which no timer checks in this model.
//!
//! In mid-job the jobs directory holds one job, with a step whose primes have been multiplied: two workers
//! compute one part each, and then one of them joins the parts. The directory is read at once, and a call
//! that would change it never ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use clap::ValueEnum;
use protocol::config::Config;
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::Message;
use protocol::node::Node;
use protocol::plan::{Method, OperationId, Shape};

use super::Bounds;
use super::monitor::{Broken, Monitor};
use crate::fact::Life;

/// The plan of the job: prime powers, of which each step is done in two parts.
pub(super) const SHAPE: Shape = Shape {
    method: Method::Powers,
    least_blocks: u32::MAX,
    cut_from: 0,
};

/// The start of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Start {
    /// All processes have just been started, and nothing has happened to them.
    Cold,
    /// The highest node coordinates, all have joined, and there is nothing to do.
    Led,
    /// The same, and workers compute the parts of a step.
    MidJob,
}

/// A cluster at one moment, as far as it determines what can happen next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelState {
    pub(super) processes: Vec<Shared<Process>>,
    pub(super) links: BTreeMap<Direction, Shared<VecDeque<Item>>>,
    /// Owed hints: (node, peer) if the node does not know the peer's latest state.
    pub(super) hints: BTreeSet<(NodeId, NodeId)>,
    /// The supervisor sends hints about the state of processes.
    pub(super) has_hints: bool,
    /// There is a job in the directory.
    pub(super) has_job: bool,
    pub(super) crashes: u8,
    pub(super) pauses: u8,
    pub(super) timeouts: u8,
    pub(super) monitor: Shared<Monitor>,
}

/// One direction of a link: from this incarnation to that node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Direction {
    pub(super) to: NodeId,
    pub(super) from: Life,
}

/// What arrives on a link.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Item {
    /// The link is up; the sender's highest epoch was this.
    Up(Epoch),
    Message(Message),
    /// The sender is dead.
    Down,
}

/// A static ID and its current process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) life: Life,
    /// None while it is dead.
    pub(super) running: Option<Running>,
}

/// A process that is not dead.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Running {
    pub(super) node: Shared<Node>,
    pub(super) started: bool,
    pub(super) paused: bool,
    /// Peers to whose current incarnation it has a link.
    pub(super) linked: BTreeSet<NodeId>,
    /// The requests to the arithmetic, in order.
    pub(super) computing: VecDeque<OperationId>,
}

/// A large value that many states share. Its hash is computed once.
#[derive(Clone, Debug)]
pub(super) struct Shared<T>(Arc<(u64, T)>);

impl<T: Hash + Clone> Shared<T> {
    pub(super) fn new(value: T) -> Shared<T> {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        Shared(Arc::new((hasher.finish(), value)))
    }

    /// Changes the value for this state alone.
    pub(super) fn change<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut value = self.0.1.clone();
        let result = change(&mut value);
        *self = Shared::new(value);
        result
    }
}

impl<T: Hash + Clone + Default> Default for Shared<T> {
    fn default() -> Shared<T> {
        Shared::new(T::default())
    }
}

impl<T> std::ops::Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.1
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Shared<T>) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || *self.0 == *other.0
    }
}

impl<T: Eq> Eq for Shared<T> {}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.0);
    }
}

impl ModelState {
    /// The state in which a search begins.
    pub fn new(bounds: &Bounds) -> ModelState {
        let mut cluster = ModelState {
            processes: Vec::new(),
            links: BTreeMap::new(),
            hints: BTreeSet::new(),
            has_hints: bounds.hints,
            has_job: bounds.start == Start::MidJob,
            crashes: 0,
            pauses: 0,
            timeouts: 0,
            monitor: Shared::new(Monitor::default()),
        };
        for id in 0..bounds.nodes {
            let life = Life {
                node: NodeId(id),
                incarnation: Incarnation(0),
            };
            let unborn = Process {
                life,
                running: None,
            };
            cluster.processes.push(Shared::new(unborn));
        }
        for id in 0..bounds.nodes {
            cluster.give_birth(NodeId(id));
        }
        // Hints are useless before the first fault.
        cluster.hints.clear();
        if bounds.start != Start::Cold {
            cluster.run_smoothly();
            cluster.multiply_primes();
        }
        cluster.crashes = bounds.crashes;
        if bounds.hints {
            cluster.pauses = bounds.pauses;
        }
        cluster.timeouts = bounds.timeouts;
        cluster
    }

    pub(super) fn process(&self, id: NodeId) -> &Process {
        &self.processes[usize::from(id.0)]
    }

    pub(super) fn set_process(&mut self, id: NodeId, process: Process) {
        self.processes[usize::from(id.0)] = Shared::new(process);
    }

    /// Changes a process, unless it is dead.
    pub(super) fn change(&mut self, id: NodeId, change: impl FnOnce(&mut Running)) {
        self.processes[usize::from(id.0)].change(|process| {
            if let Some(running) = &mut process.running {
                change(running);
            }
        });
    }

    /// All nodes that are not dead.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (Life, &Node)> + '_ {
        self.processes
            .iter()
            .filter_map(|process| Some((process.life, &*process.running.as_ref()?.node)))
    }

    /// Starts a process, with the highest term that the supervisor knows, and dials.
    pub(super) fn give_birth(&mut self, id: NodeId) {
        let life = Life {
            node: id,
            incarnation: self.next_life(id),
        };
        let term = self.monitor.highest_term();
        let config = Config {
            nodes: self.processes.len() as u8,
            shape: SHAPE,
            ..Config::default()
        };
        let node = Node::new(config, id, life.incarnation, term);
        let highest = node.highest();
        let others: Vec<(Life, Epoch)> = self
            .nodes()
            .map(|(other, node)| (other, node.highest()))
            .collect();
        for (other, seen) in others {
            self.carry(life, other.node, Item::Up(highest));
            self.carry(other, id, Item::Up(seen));
        }
        let running = Running {
            node: Shared::new(node),
            started: false,
            paused: false,
            linked: BTreeSet::new(),
            computing: VecDeque::new(),
        };
        let running = Some(running);
        self.set_process(id, Process { life, running });
        self.owe_hints_of(id);
        if !self.has_hints {
            return;
        }
        for index in 0..self.processes.len() {
            let other = &self.processes[index];
            let needs_telling = other.running.as_ref().is_none_or(|other| other.paused);
            if needs_telling && other.life.node != id {
                self.hints.insert((id, other.life.node));
            }
        }
    }

    /// Owes everybody a hint about the latest state of a node.
    pub(super) fn owe_hints_of(&mut self, id: NodeId) {
        if !self.has_hints {
            return;
        }
        for process in &self.processes {
            if process.life.node != id && process.running.is_some() {
                self.hints.insert((process.life.node, id));
            }
        }
    }

    pub(super) fn carry(&mut self, from: Life, to: NodeId, item: Item) {
        let direction = Direction { to, from };
        let link = self.links.entry(direction).or_default();
        link.change(|items| items.push_back(item));
    }

    /// The broken law, if any.
    pub fn broken(&self) -> Option<&Broken> {
        self.monitor.broken()
    }

    /// The epochs in which nodes act at this moment.
    pub fn acting(&self) -> impl Iterator<Item = Epoch> + '_ {
        self.nodes().filter_map(|(_, node)| node.acting())
    }

    /// Whether one node acts and all others follow it.
    pub fn is_led(&self) -> bool {
        let mut acting = self.acting();
        let Some(leader) = acting.next() else {
            return false;
        };
        self.nodes()
            .all(|(_, node)| node.coordinator() == Some(leader.node) && node.highest() == leader)
    }

    /// Whether a node that has acted follows another.
    pub fn has_deposed(&self) -> bool {
        self.nodes().any(|(life, node)| {
            let deposed = self.monitor.has_acted(life) && node.acting().is_none();
            deposed && node.coordinator().is_some_and(|other| other != life.node)
        })
    }

    /// Whether somebody acts after a takeover, and holds a product.
    pub fn has_inherited(&self) -> bool {
        self.nodes().any(|(_, node)| {
            let takeover = node.acting().is_some_and(|epoch| epoch.term > Term(1));
            takeover && node.held().next().is_some()
        })
    }
}
