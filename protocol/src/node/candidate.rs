//! A node that holds an election.

use std::collections::BTreeSet;

use crate::core::Core;
use crate::words::id::NodeId;
use crate::words::message::Message;

/// A node that holds an election.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Candidate {
    /// Nodes that may be better coordinators and were asked, or will be once their link stands.
    pub(super) awaited: BTreeSet<NodeId>,
    /// Those that answered that they are; one of them should win.
    pub(super) answered: BTreeSet<NodeId>,
    /// The coordinator lives, and is obeyed until the election is won: it is held only because
    /// this node has the higher ID.
    pub(super) preempting: bool,
    /// How often in a row a better node answered and none became coordinator.
    pub(super) claims: u8,
}

impl Candidate {
    /// A peer is down; `coordinator` tells whether it owned the highest epoch.
    pub(crate) fn lost(&mut self, peer: NodeId, coordinator: bool) {
        self.awaited.remove(&peer);
        self.answered.remove(&peer);
        self.preempting &= !coordinator;
    }

    pub(crate) fn link_up(&self, core: &mut Core, peer: NodeId) {
        if self.awaited.contains(&peer) {
            let (highest, hangs) = (core.highest, core.hangs());
            core.send(peer, Message::Election { highest, hangs });
        }
    }

    /// Whether the owner of the highest epoch is still obeyed.
    pub(crate) fn obeys(&self) -> bool {
        self.preempting
    }

    pub(crate) fn has_won(&self) -> bool {
        self.awaited.is_empty() && self.answered.is_empty()
    }
}
