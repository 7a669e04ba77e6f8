//! How often a node has lost its office lately, and how long it waits before it claims it again.
//!
//! A node that cannot keep its office, since it is starved or crashes in a loop, would take it again and
//! again, and each time nobody coordinates for a while. So it waits longer each time. With no coordinator
//! at all it may win any election: that costs nobody anything.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::words::id::NodeId;
use crate::words::supervision::FORGOTTEN_AFTER;
use crate::words::time::{Time, Untimed};

/// How long a node waits, by how often it has lost its office. Once is none: on a busy machine a live
/// coordinator is missed now and then.
const WAITS: [Duration; 5] = [
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_secs(2),
    Duration::from_secs(8),
    Duration::from_secs(30),
];

/// How often this node has lost its office lately for no cause that is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Damping {
    losses: Losses,
    /// The highest epoch is its own.
    in_office: bool,
    /// The loss that news may still explain: to whom, and how it stood before.
    doubtful: Option<(NodeId, Losses)>,
    /// A signal has stopped this process since it took office.
    was_stopped: bool,
    /// Peers that it was cut off from since it took office: they could not hear it.
    cut_off: BTreeSet<NodeId>,
    /// It was told that this node waits.
    pub(super) told: bool,
}

/// Losses, each soon after the one before, no more than make a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Losses {
    count: u8,
    last: Untimed,
}

impl Damping {
    /// Of a process that is started after so many that crashed, one soon after the other.
    pub(crate) fn after_crashes(crashes: u32) -> Damping {
        let most = (WAITS.len() - 1) as u8;
        let count = u8::try_from(crashes).unwrap_or(most).min(most);
        let mut damping = Damping::default();
        damping.losses.count = count;
        damping
    }

    /// The process is told to begin.
    pub(crate) fn start(&mut self, now: Time) {
        self.losses.last = Untimed(now);
    }

    /// This node takes office.
    pub(super) fn begin(&mut self) {
        *self = Damping {
            losses: self.losses,
            in_office: true,
            told: self.told,
            ..Damping::default()
        };
    }

    /// This node is out of office, and knows who is in.
    pub(super) fn end(&mut self, to: NodeId, is_lower: bool, now: Time) {
        if std::mem::take(&mut self.in_office) && is_lower {
            self.lost(to, now);
        }
        self.was_stopped = false;
        self.cut_off.clear();
    }

    /// This node has lost its office to a lower one.
    fn lost(&mut self, to: NodeId, now: Time) {
        if self.was_stopped || self.cut_off.contains(&to) {
            return;
        }
        let before = self.losses;
        let is_first = now.since(before.last.0) >= FORGOTTEN_AFTER;
        let earlier = if is_first { 0 } else { before.count };
        self.losses = Losses {
            count: (earlier + 1).min(WAITS.len() as u8 - 1),
            last: Untimed(now),
        };
        self.doubtful = Some((to, before));
        self.told = false;
    }

    /// A signal has stopped this process, which explains what it has just lost or is about to lose.
    pub(crate) fn was_stopped(&mut self) {
        self.was_stopped = self.in_office;
        if let Some((_, before)) = self.doubtful.take() {
            self.losses = before;
        }
    }

    /// This node and a peer did not hear each other: so it is no wonder that the peer has missed it.
    pub(crate) fn was_cut_off(&mut self, peer: NodeId) {
        if self.in_office {
            self.cut_off.insert(peer);
        }
        if let Some((_, before)) = self.doubtful.take_if(|(to, _)| *to == peer) {
            self.losses = before;
        }
    }

    /// When this node may claim the office again.
    pub(super) fn due(&self) -> Time {
        self.losses.last.0 + WAITS[usize::from(self.losses.count)]
    }
}
