//! The events that a node writes to the event log. Their names and fields are part of the
//! contract with everybody who reads the log.

use serde::{Deserialize, Serialize};
use strum::VariantArray;

use super::id::{Incarnation, NodeId};
use super::operation::OperationId;
use super::shape::Method;

/// One event, without the fields that the driver adds to each (time, node, term, role).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Trace {
    /// The process is ready to take part.
    Started,
    /// The link to a peer stands.
    PeerUp {
        /// The peer.
        peer: NodeId,
        /// Its life.
        peer_incarnation: Incarnation,
    },
    /// A peer is taken for dead, stopped or unreachable.
    PeerDown {
        /// The peer.
        peer: NodeId,
        /// Its life.
        peer_incarnation: Incarnation,
        /// What told so.
        by: DownBy,
    },
    /// An election was started here.
    ElectionStarted {
        /// Its cause.
        why: ElectionCause,
    },
    /// This node won an election and fixed its epoch.
    ElectionWon,
    /// Takeover is over; work may be assigned.
    Acting,
    /// This node stopped being coordinator, or trying to be.
    SteppedDown {
        /// The cause.
        why: StepDownCause,
    },
    /// This node follows a coordinator and has caught up with its checkpoint.
    Following {
        /// The coordinator.
        coordinator: NodeId,
    },
    /// A message in the name of an epoch that is over was refused.
    StaleRefused {
        /// The message's name.
        what: &'static str,
        /// Who sent it.
        from: NodeId,
    },
    /// This node finds that it, or the machine, stood still.
    Gap {
        /// For how long at least, in milliseconds.
        ms: u64,
    },
    /// A file call of this node lasts for too long; told once, until it has ended.
    FileCallSlow {
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// This node has lost its office too often lately to claim it again at once.
    PreemptionDamped {
        /// How long it waits, in milliseconds.
        ms: u64,
    },
    /// A dropped file was claimed and is a job.
    JobAccepted {
        /// The job's name.
        job: String,
        /// What it asks for: the [`digest`](crate::desk::job::digest) of its factorials.
        asks: String,
    },
    /// A dropped file was claimed and is no job, or its job cannot be done.
    JobRejected {
        /// The job's name.
        job: String,
    },
    /// A job waits for something that its cluster cannot do; told once for each cause.
    JobWaits {
        /// The job's name.
        job: String,
        /// What it waits for.
        why: WaitCause,
    },
    /// A job's file was taken away before its text had its name, by somebody who is no node.
    JobDeleted {
        /// The job's name.
        job: String,
    },
    /// A job's commit was won here.
    ResultPublished {
        /// The job's name.
        job: String,
    },
    /// A job's text has its final name.
    JobDone {
        /// The job's name.
        job: String,
        /// As in [`Trace::JobAccepted`]; none of a job that has failed.
        #[serde(skip_serializing_if = "Option::is_none")]
        asks: Option<String>,
    },
    /// All operations of a factorial are done.
    ProductDone {
        /// Of n!.
        n: u32,
        /// What was multiplied: `tree` or `powers`.
        plan: Method,
    },
    /// An operation that was assigned goes to another worker.
    OperationReassigned {
        /// The operation.
        op: OperationId,
        /// The cause.
        why: ReassignCause,
    },
    /// An operation was computed twice.
    OperationRecomputed {
        /// The operation.
        op: OperationId,
        /// The cause.
        why: ReassignCause,
    },
    /// Two different values for one operation: the arithmetic or the machine is broken.
    ValuesDiffer {
        /// The operation.
        op: OperationId,
    },
    /// Traced operations only: the coordinator assigned an operation.
    Assigned {
        /// The operation.
        op: OperationId,
        /// The worker.
        worker: NodeId,
    },
    /// Traced operations only: the worker hands an operation to its arithmetic.
    Computing {
        /// The operation.
        op: OperationId,
    },
    /// Traced operations only: the worker's arithmetic finished an operation.
    Completed {
        /// The operation.
        op: OperationId,
    },
    /// Traced operations only: the coordinator put an operation into the checkpoint stream.
    Checkpointed {
        /// The operation.
        op: OperationId,
    },
}

/// What told that a peer is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DownBy {
    /// Its link ended.
    Link,
    /// The supervisor saw its process end or stop.
    Hint,
    /// It was silent too long.
    Silence,
}

/// Why an election was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum ElectionCause {
    /// The cluster starts and no higher node is there; or, in the textbook's way of preemption, this
    /// process does.
    Start,
    /// The coordinator died, stopped or fell silent.
    CoordinatorLost,
    /// No coordinator was heard of for too long.
    NoCoordinator,
    /// A lower node holds an election.
    Challenged,
    /// A node whose file system does not answer gives way.
    HandedOver,
    /// A higher node answered and was not heard of again.
    NoVictory,
    /// This node has a higher ID than the coordinator.
    Preemption,
    /// The coordinator stood still for too long to know whether it still is one.
    Gap,
    /// The coordinator has lost the links to all peers.
    Isolated,
}

/// Why a node stepped down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum StepDownCause {
    /// It promised to a higher epoch.
    Promised,
    /// It was told of a higher epoch.
    Stale,
    /// It stood still for too long.
    Gap,
    /// It has lost the links to all peers.
    Isolated,
    /// Its file system does not answer, and that of another may.
    FileCallSlow,
}

/// What a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum WaitCause {
    /// Room for its text on the file system.
    Space,
    /// Memory that other jobs have.
    Memory,
    /// Somebody who keeps its file from being read.
    Writer,
    /// A folder that cannot be trusted or is gone.
    Folder,
    /// A file call that fails.
    FileCall,
}

/// Why an operation was assigned again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, VariantArray)]
#[serde(rename_all = "snake_case")]
pub enum ReassignCause {
    /// The worker died.
    WorkerDied,
    /// The worker was stopped.
    WorkerStopped,
    /// The worker fell silent.
    WorkerSilent,
    /// The operation took too long.
    Deadline,
    /// The coordinator changed, and nobody who answered had the operation.
    Takeover,
}
