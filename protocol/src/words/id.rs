//! Who a process is: static ID, incarnation, and the epoch of a coordinatorship.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Static ID of a node: 0..N-1, kept for life, survives restarts.
///
/// The highest live one wins elections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u8);

/// The supervisor's global spawn counter, given to each process it starts.
///
/// Never repeats in a run, so it tells two lives of one static ID apart. Counts from 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

/// Election counter: a winner takes 1 + the highest term it has seen. 0 is before any election.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The term of a winner that has seen this one.
    pub fn next(self) -> Term {
        Term(self.0.saturating_add(1))
    }
}

/// One coordinatorship: ordered lexicographically, unique by construction.
///
/// Unique, because an incarnation belongs to one process and a process takes a higher term for
/// each of its coordinatorships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Election counter.
    pub term: Term,
    /// The coordinator's static ID.
    pub node: NodeId,
    /// The coordinator's life.
    pub incarnation: Incarnation,
}

impl Epoch {
    /// The epoch before any election; no process owns it.
    pub const NONE: Epoch = Epoch {
        term: Term(0),
        node: NodeId(0),
        incarnation: Incarnation(0),
    };
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// `term.node.incarnation`, the form in which epochs appear in file names and logs.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.term, self.node, self.incarnation)
    }
}
