//! Deaths of nodes that a job caused, since the memory was used up or a process aborted.

use serde::{Deserialize, Serialize};

/// How many nodes of this run died by what they were doing, and for how many of them the jobs that were
/// computed have been marked. Only the supervisor outlives all nodes, so it keeps both. What a person
/// kills does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Deaths {
    /// Such deaths in this run.
    pub caused: u64,
    /// Those of them that are on the disk as the marks of jobs.
    pub charged: u64,
}

impl Deaths {
    /// Takes in what somebody else knows.
    pub fn merge(&mut self, other: Deaths) {
        self.caused = self.caused.max(other.caused);
        self.charged = self.charged.max(other.charged);
    }

    /// Whether jobs must be marked before any work is given out.
    pub(crate) fn are_due(self) -> bool {
        self.caused > self.charged
    }
}
