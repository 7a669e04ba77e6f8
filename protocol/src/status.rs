//! What a node reports about itself.

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, NodeId};

/// What a node does, in the words of `bullpen status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoleName {
    /// Follows a coordinator and computes.
    Worker,
    /// Holds an election, or collects after it has won one.
    Candidate,
    /// Has not caught up with a coordinator's checkpoint.
    Recovering,
    /// Coordinates.
    Coordinator,
}

/// A node's view, for the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Status {
    /// What the node does.
    pub role: RoleName,
    /// The highest epoch that it has seen or promised.
    pub highest: Epoch,
    /// The coordinator that it follows or is.
    pub coordinator: Option<NodeId>,
    /// Bytes of the products in its copy of the checkpoint.
    pub held_bytes: u64,
    /// The open jobs; empty but at the coordinator.
    pub jobs: Vec<JobStatus>,
}

/// An open job's progress.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobStatus {
    /// The job's name.
    pub name: String,
    /// Where it stands.
    pub state: JobState,
    /// Finished operations.
    pub done: u64,
    /// All operations; 0 while the job has not been read.
    pub total: u64,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Claimed; its operations are being computed.
    Running,
    /// Computed or rejected; its text is being published.
    Publishing,
}
