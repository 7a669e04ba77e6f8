//! What a node reports about itself.

use serde::{Deserialize, Serialize};

use super::id::{Epoch, NodeId};
use super::trace::WaitCause;

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
    /// For how long a file call of its has not come any further, in milliseconds; 0 where all is well.
    pub slow_file_ms: u64,
    /// The open jobs; empty but at the coordinator.
    pub jobs: Vec<JobStatus>,
    /// Files in the inbox that are no jobs; none but at a coordinator that has looked.
    pub ignored: Option<Ignored>,
    /// For how many of the [`Deaths`](super::deaths::Deaths) of this run jobs are marked.
    pub deaths_charged: u64,
}

/// Files in the inbox that are left alone, since their names are not those of jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ignored {
    /// Their names, as far as they are text: the first hundred in order.
    pub names: Vec<String>,
    /// How many more there are.
    pub more: u64,
}

impl Ignored {
    /// Most files that are named.
    const MOST: usize = 100;
    /// Most bytes of their names, so that a report stays small.
    const MOST_BYTES: usize = 32 << 10;

    /// What is told of files by their names, which are in order.
    pub(crate) fn of(files: &[Vec<u8>]) -> Ignored {
        let mut bytes = 0;
        let names = files.iter().take(Ignored::MOST);
        let names = names.map(|name| String::from_utf8_lossy(name).into_owned());
        let names = names.take_while(|name| {
            bytes += name.len();
            bytes <= Ignored::MOST_BYTES
        });
        let mut names: Vec<String> = names.collect();
        // What is no text may have another place now.
        names.sort_unstable();
        Ignored {
            more: (files.len() - names.len()) as u64,
            names,
        }
    }
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
    /// What it waits for, if not for its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<WaitCause>,
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
