//! What a mesh tells its owner.

use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::Message;

/// What happened on the links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeshEvent {
    /// The link on which this node sends to that life stands, and carries nothing yet. The same
    /// incarnation again means that the link was cut and made again: what it carried may be lost.
    LinkUp {
        /// The peer.
        peer: NodeId,
        /// Its life.
        incarnation: Incarnation,
        /// The highest epoch that it has seen.
        highest: Epoch,
    },
    /// That life is over.
    LinkDown {
        /// The peer.
        peer: NodeId,
        /// The life that ended.
        incarnation: Incarnation,
    },
    /// A message. Comes between the LinkUp and the LinkDown of the life that sent it.
    Received {
        /// Who sent it.
        from: NodeId,
        /// The life that sent it.
        incarnation: Incarnation,
        /// What it says.
        message: Message,
    },
    /// Bytes of an unfinished message arrived; at most one a read.
    Alive {
        /// Who sends it.
        from: NodeId,
        /// The life that sends it.
        incarnation: Incarnation,
    },
}

/// Where events go: the caller's vector, and how long it may get.
pub(super) struct Batch<'a> {
    pub(super) into: &'a mut Vec<MeshEvent>,
    pub(super) end: usize,
}

impl Batch<'_> {
    pub(super) fn has_room(&self) -> bool {
        self.into.len() < self.end
    }
}
