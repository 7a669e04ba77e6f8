//! What goes into [`Node::step`](crate::node::Node::step) and what comes out of it.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::deaths::Deaths;
use super::file::{FileCall, FileReply, FileTag};
use super::id::{Epoch, Incarnation, NodeId, Term};
use super::message::{Message, Product};
use super::operation::OperationId;
use super::status::RoleName;
use super::timer::Timer;
use super::trace::Trace;

/// Something that happened to a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The supervisor says that the cluster starts; sent once in a life.
    Start,
    /// The supervisor says that the cluster stops: no elections from now on.
    Stopping,
    /// The link on which this node sends to `peer` stands. The same incarnation a second time
    /// means that the link was cut and made again: what it carried may be lost.
    LinkUp {
        /// The peer.
        peer: NodeId,
        /// Its life.
        incarnation: Incarnation,
        /// The highest epoch that it has seen.
        highest: Epoch,
    },
    /// The link to `peer` ended and could not be made again: that life of it is over.
    LinkDown {
        /// The peer.
        peer: NodeId,
        /// The life that ended.
        incarnation: Incarnation,
    },
    /// The supervisor tells the latest state of a node, perhaps again.
    Hint {
        /// The peer.
        peer: NodeId,
        /// The life the hint speaks of; for [`ChildState::Gone`] the last one.
        incarnation: Incarnation,
        /// What became of it.
        state: ChildState,
    },
    /// A message arrived.
    Received {
        /// Who sent it.
        from: NodeId,
        /// The life that sent it.
        incarnation: Incarnation,
        /// What it says.
        message: Message,
    },
    /// Part of a long message arrived: a sign of life.
    Alive {
        /// Who sends it.
        from: NodeId,
        /// The life that sends it.
        incarnation: Incarnation,
    },
    /// The arithmetic finished operations, in the order in which they were asked for.
    Computed {
        /// The operations and their values.
        products: Vec<Product>,
    },
    /// A file call ended, or was not made because its epoch was no longer the highest.
    FileDone {
        /// The epoch in whose name it was asked for.
        epoch: Epoch,
        /// What it was for.
        tag: FileTag,
        /// How it ended.
        reply: FileReply,
    },
    /// The supervisor tells how many nodes died by what they were doing, perhaps again.
    Deaths(Deaths),
    /// The jobs directory may have changed.
    InboxChanged,
    /// A file call of this node has not come any further for too long. Told once, until
    /// [`Event::FilesAnswer`].
    FilesSlow {
        /// For how long.
        lasts: Duration,
    },
    /// The file call that was told of has ended, or come further.
    FilesAnswer,
    /// The supervisor says that a signal stopped this process, and it goes on by now.
    WasStopped,
    /// A timer that this node has armed is due.
    Timeout(Timer),
}

/// The state of a node's process, as its parent sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildState {
    /// It runs.
    Running,
    /// A signal stopped it; it may continue.
    Stopped,
    /// It ended, and its successor has not been started.
    Gone,
}

/// Something that the driver is to do for a node, in order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send a message to each of `to`. Without a link to one of them it is lost for that one.
    Send {
        /// The receivers.
        to: Vec<NodeId>,
        /// The message.
        message: Message,
    },
    /// Compute an operation; the product comes back as [`Event::Computed`].
    Compute {
        /// Which operation.
        operation: OperationId,
        /// What to do.
        task: Task,
    },
    /// Forget operations that were to be computed and have not begun.
    CancelCompute,
    /// Make one file system call; its end comes back as [`Event::FileDone`].
    File {
        /// Make it only while this epoch is the highest that the node has seen.
        epoch: Epoch,
        /// What it is for; comes back with the reply.
        tag: FileTag,
        /// The call.
        call: FileCall,
    },
    /// Write lines to standard output, each with its newline.
    Log {
        /// The lines.
        lines: Vec<Bytes>,
    },
    /// Write an event to the event log.
    Trace {
        /// The node's role when it happened.
        role: RoleName,
        /// The highest term that the node had seen then.
        term: Term,
        /// What happened.
        trace: Trace,
    },
    /// Say something to the person who runs the cluster: one sentence for standard error.
    Warn(String),
}

/// The arithmetic of an operation, or of a block of them: then the values go into one
/// [`packed`](super::packed) product.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// For each operation, multiply up to four numbers; none at all gives 1.
    Numbers(Vec<RangeInclusive<u32>>),
    /// For each leaf, multiply up to four primes, of those up to n whose exponent in n!, tens left out, has
    /// a bit: leaf `i` has those from `4 i` on, the smallest first.
    Primes {
        /// Of n!.
        n: u32,
        /// Which bit.
        bit: u8,
        /// The leaves.
        leaves: Range<u32>,
    },
    /// Multiply up to four products.
    Products(Vec<Bytes>),
    /// For each operation, multiply the next few values of a block.
    Block {
        /// The packed values.
        below: Bytes,
        /// How many values, up to four, go into each operation.
        groups: Vec<u8>,
    },
    /// A step of the chain: F · (F · P), of F and, if there are any primes, P.
    Step(Vec<Bytes>),
    /// One of the [`PARTS`](super::operation::PARTS) of a step, which make it once they are put together.
    Part {
        /// What goes into the step.
        step: Vec<Bytes>,
        /// Which part.
        index: u8,
    },
    /// Put the parts of a step together.
    Join(Vec<Bytes>),
}
