//! The control socket: how `bullpen status`, `kill`, `top`, `metrics` and `experiment` talk to a running
//! supervisor.
//!
//! `RUN_DIR/control.sock` takes one request, a line of JSON, gives one answer, a line of JSON,
//! and closes. The supervisor answers from what the nodes have reported; it waits for nobody.

pub(crate) mod server;

use ipc::control::WatchMode;
use protocol::id::{Incarnation, NodeId, Term};
use protocol::status::JobStatus;
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

/// The socket's name in the run directory.
pub const SOCKET: &str = "control.sock";

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// The state of the cluster.
    Status,
    /// A signal for nodes. If one of the targets is not there, none gets it.
    Signal {
        /// Who is to get it; a node that is named twice gets it once.
        targets: Vec<Target>,
        /// The signal's name, such as `SIGKILL`.
        signal: String,
    },
}

/// The nodes that are to get a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The node that coordinates in the highest epoch, running or stopped.
    Coordinator,
    /// The worker with the lowest ID among those that run.
    Worker,
    /// The node with this ID, running or stopped.
    Node(NodeId),
    /// Every node that has a process.
    All,
}

/// What the supervisor answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Status`].
    Status(ClusterStatus),
    /// To [`Request::Signal`]: who got it, by ID.
    Signalled(Vec<Signalled>),
    /// The request makes sense and there is nothing to do it to. One sentence.
    Nothing(String),
    /// The request cannot be understood. One sentence.
    Refused(String),
}

/// A process that got a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signalled {
    /// Its node.
    pub id: NodeId,
    /// Its process ID.
    pub pid: i32,
    /// What it did, as far as was reported.
    pub role: Role,
}

/// What `bullpen status --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStatus {
    /// The highest term that any node has reported.
    pub term: Term,
    /// The node that coordinates and runs; none in the middle of an election.
    pub coordinator: Option<NodeId>,
    /// How a dropped file is noticed now.
    #[serde(default)]
    pub watch: WatchMode,
    /// All nodes, by ID.
    pub nodes: Vec<NodeStatus>,
    /// The open jobs, as the coordinator has reported them.
    pub jobs: Vec<JobStatus>,
    /// Names of files in the inbox that are no jobs, the first hundred of them.
    #[serde(default)]
    pub ignored: Vec<String>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ignored_more: u64,
    /// How many events could not be written to the event log in this run.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost_events: u64,
    /// What the system said to the last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost_why: Option<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A node, alive or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its static ID.
    pub id: NodeId,
    /// Its process; none while it waits for its restart.
    pub pid: Option<i32>,
    /// Its present life, else its last one.
    pub incarnation: Incarnation,
    /// What it does, as far as was reported; recovering before its first report.
    pub role: Role,
    /// What its process does.
    pub state: NodeState,
    /// How many processes were started for it after the first.
    pub restarts: u32,
    /// Age of its process in milliseconds, time spent stopped included; 0 without one.
    pub uptime_ms: u64,
    /// The term of the highest epoch that its process has reported; 0 before its first report.
    #[serde(default)]
    pub term: Term,
    /// Bytes of the products in its copy of the checkpoint, as last reported; 0 without a process.
    #[serde(default)]
    pub held_bytes: u64,
    /// The most that there were in the life of its process.
    #[serde(default)]
    pub peak_held_bytes: u64,
    /// Its process lives, and no peer can reach it: its socket is gone and not bound again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreachable: bool,
    /// For how long a file call of its process has not come any further, in milliseconds; 0 where all
    /// is well.
    #[serde(default)]
    pub slow_file_ms: u64,
}

/// What a node's process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Display)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum NodeState {
    /// It runs.
    Running,
    /// A signal has stopped it.
    Stopped,
    /// It is gone and waits for its restart.
    Waiting,
}

/// What a node does, in view of all.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, VariantArray, IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Follows a coordinator and computes.
    Worker,
    /// Holds an election, or collects after it has won one.
    Candidate,
    /// Has not caught up with a coordinator's checkpoint.
    Recovering,
    /// Coordinates in the highest epoch that anybody has reported.
    Coordinator,
    /// Coordinates in an earlier one, as it believes: it is stopped, or has not heard yet of the next.
    Stale,
}

impl Role {
    /// In the words of `bullpen status`.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

impl ClusterStatus {
    /// Who coordinates, or that there is `nobody`; with epochs while another believes that it does, too.
    pub fn who_coordinates(&self, nobody: &str) -> String {
        let of = |id| self.nodes.iter().find(|node| node.id == id);
        let stale = self.nodes.iter().filter(|node| node.role == Role::Stale);
        let stale =
            stale.map(|node| format!(", node {} is stale in epoch {}", node.id, node.epoch()));
        let stale: String = stale.collect();
        match (self.coordinator, self.coordinator.and_then(of)) {
            (Some(id), Some(node)) if !stale.is_empty() => {
                format!("node {id} coordinates in epoch {}{stale}", node.epoch())
            }
            (Some(id), _) => format!("node {id} coordinates{stale}"),
            (None, _) => format!("{nobody}{stale}"),
        }
    }
}

impl NodeStatus {
    /// The epoch of a coordinator, stale or not, as `TERM.NODE`.
    pub fn epoch(&self) -> String {
        format!("{}.{}", self.term, self.id)
    }

    /// Its role, which of a stale one has the epoch.
    pub fn role_words(&self) -> String {
        match self.role {
            Role::Stale => format!("stale {}", self.epoch()),
            role => role.word().to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::status::JobState;

    use super::*;

    #[test]
    fn the_status_is_the_json_that_others_rely_on() {
        let status = ClusterStatus {
            term: Term(3),
            coordinator: Some(NodeId(5)),
            watch: WatchMode::Notify,
            nodes: vec![NodeStatus {
                id: NodeId(5),
                pid: Some(41),
                incarnation: Incarnation(6),
                role: Role::Coordinator,
                state: NodeState::Running,
                restarts: 0,
                uptime_ms: 812,
                term: Term(3),
                held_bytes: 40,
                peak_held_bytes: 95,
                unreachable: false,
                slow_file_ms: 0,
            }],
            jobs: vec![JobStatus {
                name: "ten".to_owned(),
                state: JobState::Running,
                done: 2,
                total: 5,
                waits: None,
            }],
            ignored: vec!["notes.txt".to_owned()],
            ignored_more: 0,
            lost_events: 0,
            lost_why: None,
        };
        assert_eq!(
            serde_json::to_string(&status).unwrap(),
            r#"{"term":3,"coordinator":5,"watch":"notify","nodes":[{"id":5,"pid":41,"incarnation":6,"role":"coordinator","state":"running","restarts":0,"uptime_ms":812,"term":3,"held_bytes":40,"peak_held_bytes":95,"slow_file_ms":0}],"jobs":[{"name":"ten","state":"running","done":2,"total":5}],"ignored":["notes.txt"]}"#
        );
    }

    #[test]
    fn two_coordinators_of_one_term_are_told_apart_by_their_epochs() {
        let node = |id, role| NodeStatus {
            id: NodeId(id),
            pid: Some(41),
            incarnation: Incarnation(6),
            role,
            state: NodeState::Running,
            restarts: 0,
            uptime_ms: 812,
            term: Term(2),
            held_bytes: 0,
            peak_held_bytes: 0,
            unreachable: false,
            slow_file_ms: 0,
        };
        let mut status = ClusterStatus {
            term: Term(2),
            coordinator: Some(NodeId(5)),
            watch: WatchMode::Notify,
            nodes: vec![node(4, Role::Stale), node(5, Role::Coordinator)],
            jobs: Vec::new(),
            ignored: Vec::new(),
            ignored_more: 0,
            lost_events: 0,
            lost_why: None,
        };
        assert_eq!(
            status.who_coordinates("nobody"),
            "node 5 coordinates in epoch 2.5, node 4 is stale in epoch 2.4"
        );
        assert_eq!(status.nodes[0].role_words(), "stale 2.4");
        status.coordinator = None;
        status.nodes.truncate(1);
        assert_eq!(
            status.who_coordinates("nobody"),
            "nobody, node 4 is stale in epoch 2.4"
        );
    }

    #[test]
    fn a_request_is_read_back_as_it_was_written() {
        for request in [
            Request::Status,
            Request::Signal {
                targets: vec![Target::All, Target::Node(NodeId(3)), Target::Worker],
                signal: "SIGSTOP".to_owned(),
            },
        ] {
            let text = serde_json::to_string(&request).unwrap();
            assert_eq!(serde_json::from_str::<Request>(&text).unwrap(), request);
        }
    }
}
