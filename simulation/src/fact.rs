//! What happened, as the checkers are told of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use protocol::event::{Action, Event};
use protocol::file::FilePath;
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::node::Node;
use protocol::plan::OperationId;
use protocol::time::Time;

use crate::directory::{Change, File};

/// One life of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Life {
    /// Its static ID.
    pub node: NodeId,
    /// Which of its lives.
    pub incarnation: Incarnation,
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} (life {})", self.node, self.incarnation)
    }
}

/// What a node believes at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The highest epoch that it has seen or promised.
    pub highest: Epoch,
    /// The epoch in which it acts as coordinator, if it does.
    pub acting: Option<Epoch>,
    /// The coordinator that it follows or is.
    pub coordinator: Option<NodeId>,
}

impl View {
    /// What a node believes now.
    pub fn of(node: &Node) -> View {
        View {
            highest: node.highest(),
            acting: node.acting(),
            coordinator: node.coordinator(),
        }
    }
}

/// One step of one node: what came in and what came out.
pub struct Step<'a> {
    /// When.
    pub at: Time,
    /// Its process has run without a break since then.
    pub runs_since: Time,
    /// Whose.
    pub life: Life,
    /// What happened to it.
    pub event: &'a Event,
    /// What it believed before.
    pub before: View,
    /// What it believes now.
    pub after: View,
    /// What it wants done, in order.
    pub actions: &'a [Action],
    /// Whether it is the same as before, time aside; told for refused messages only.
    pub unchanged: Option<bool>,
    /// The names of what it holds now.
    pub held: &'a dyn Fn() -> Vec<OperationId>,
}

/// How the cluster stands when a node begins to act as coordinator.
pub struct Takeover<'a> {
    /// When.
    pub at: Time,
    /// Who.
    pub life: Life,
    /// In which epoch.
    pub epoch: Epoch,
    /// The names of what it holds.
    pub held: &'a [OperationId],
    /// The other processes that run.
    pub others: &'a [Standing],
    /// The factorials that claimed jobs ask for.
    pub needed: &'a BTreeSet<u32>,
}

/// How a process stands.
pub struct Standing {
    /// Which.
    pub life: Life,
    /// The highest epoch that it has seen or promised.
    pub highest: Epoch,
    /// The names of what it holds.
    pub held: Vec<OperationId>,
}

/// Something that happened.
pub enum Fact<'a> {
    /// A node handled an event.
    Step(&'a Step<'a>),
    /// A node has begun to act as coordinator.
    Acts(&'a Takeover<'a>),
    /// A process was started.
    Born(Life),
    /// A process ended.
    Died(Life),
    /// The links of a node told it that one stands.
    LinkUp {
        /// Whose.
        life: Life,
        /// With whom.
        peer: NodeId,
        /// How many events of its turn it was told before.
        place: usize,
        /// How much was written to the link since its greeting.
        carried: usize,
    },
    /// The supervisor counts a death that a job caused: the memory was used up, or a process aborted.
    CausedDeath,
    /// A node made a file call, in the name of an epoch, after a look at the highest that it knew.
    Called {
        /// Whose call.
        life: Life,
        /// In whose name.
        epoch: Epoch,
        /// The highest epoch that the node knew when the call was decided on.
        highest: Epoch,
        /// The highest that it knows now; none if it is dead.
        known: Option<Epoch>,
    },
    /// A node read a file, and was told that it is complete.
    Read {
        /// Who.
        by: Life,
        /// Which.
        path: &'a FilePath,
        /// What it is.
        file: &'a File,
    },
    /// A person took a committed job's text away, and perhaps the job.
    Collected(&'a FilePath),
    /// The machine lost its power, and these files are what is left.
    PowerLost(&'a BTreeMap<FilePath, File>),
    /// The jobs directory changed.
    Changed {
        /// When.
        at: Time,
        /// By a node; else by a person.
        by: Option<Life>,
        /// How.
        change: &'a Change,
    },
}
