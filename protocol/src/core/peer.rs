//! What a node knows of each peer.

use crate::words::id::{Incarnation, NodeId};
use crate::words::time::Untimed;

/// One peer, in its newest life that is known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) link: Link,
    /// The supervisor says that a signal stopped it.
    pub(crate) stopped: bool,
    /// It was silent for too long, and nothing was heard of it since.
    pub(crate) silent: bool,
    /// It has said that its file system does not answer.
    pub(crate) hangs: bool,
    /// When it handed the office over for that; none once it has taken office again.
    pub(crate) gave_way: Option<Untimed>,
}

/// The link on which this node sends to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Link {
    /// It has not stood yet in this life of the peer.
    Unknown,
    /// It stands.
    Up,
    /// It ended, and with it that life of the peer.
    Down,
}

impl Peer {
    pub(crate) fn new(id: NodeId) -> Peer {
        Peer {
            id,
            incarnation: Incarnation::default(),
            link: Link::Unknown,
            stopped: false,
            silent: false,
            hangs: false,
            gave_way: None,
        }
    }

    /// Known to be down: elections and takeovers pass it over. A peer never heard of is not.
    pub(crate) fn is_down(&self) -> bool {
        self.link == Link::Down || self.stopped || self.silent
    }

    /// It can be talked to.
    pub(crate) fn is_live(&self) -> bool {
        self.link == Link::Up && !self.stopped && !self.silent
    }

    /// A new life begins; what was known of the last one is void.
    pub(crate) fn begin_life(&mut self, incarnation: Incarnation) {
        *self = Peer {
            incarnation,
            ..Peer::new(self.id)
        };
    }
}
