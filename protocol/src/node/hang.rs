//! A file system that does not answer. The coordinator alone makes file calls, so one whose calls hang
//! gives way to a peer: its own thread may be what hangs, or its mount.
//!
//! Where the disk hangs for all, so does the next one, and it must not pass the office on in turn. So all
//! say of themselves in Election, Answer and Pulse whether their files hang, and nobody gives way while
//! a peer hangs as well, nor soon after one has.

use std::time::Duration;

use super::{Node, Role};
use crate::core::Core;
use crate::words::id::NodeId;
use crate::words::message::Message;
use crate::words::time::Untimed;
use crate::words::trace::{ElectionCause, StepDownCause, Trace};

/// A hang so soon after somebody gave way is taken for the same one.
const SAME_HANG: Duration = Duration::from_secs(60);

impl Core {
    /// Whether a file call of this node has not come any further for too long.
    pub(crate) fn hangs(&self) -> bool {
        self.slow_since.is_some()
    }

    /// For how long it has not, in milliseconds; 0 where all is well.
    pub(crate) fn slow_file_ms(&self) -> u64 {
        let slow = self.slow_since.map(|since| self.now().since(since.0));
        slow.map_or(0, |slow| {
            u64::try_from(slow.as_millis()).unwrap_or(u64::MAX)
        })
    }

    /// Whether an election is rather for this node than for a peer: for the higher of them, unless the
    /// files of that one alone hang.
    pub(crate) fn outranks(&self, peer: NodeId) -> bool {
        let peer_hangs = self.peers.get(&peer).is_some_and(|peer| peer.hangs);
        (!self.hangs(), self.id) > (!peer_hangs, peer)
    }

    /// Whom an election is to ask: who may be the better coordinator. Of others' files this node knows
    /// nothing for certain, and if its own hang, anybody may be.
    pub(crate) fn better_peers(&self) -> Vec<NodeId> {
        let may_be = self.peers.values().filter(|peer| !peer.is_down());
        let may_be = may_be.filter(|peer| peer.id > self.id || self.hangs());
        may_be.map(|peer| peer.id).collect()
    }

    /// A peer says whether its files hang.
    pub(crate) fn note_files(&mut self, from: NodeId, hangs: bool) {
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.hangs = hangs;
        }
    }

    /// The coordinator gives way.
    pub(crate) fn note_way_given(&mut self, from: NodeId) {
        let now = self.now;
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.gave_way = Some(now);
        }
    }

    /// Whether another hangs or has just given way, so that it is the disk that hangs.
    fn hang_is_common(&self) -> bool {
        let recent = |at: Untimed| self.now().since(at.0) < SAME_HANG;
        let mut peers = self.peers.values().filter(|peer| !peer.is_down());
        peers.any(|peer| peer.hangs || peer.gave_way.is_some_and(recent))
    }
}

impl Node {
    /// A file call does not come any further.
    pub(crate) fn files_slow(&mut self, lasts: Duration) {
        let since = self.core.now() - lasts;
        self.core.slow_since = Some(Untimed(since));
        let ms = self.core.slow_file_ms();
        self.core.trace(Trace::FileCallSlow { ms });
        let (id, seconds) = (self.core.id, lasts.as_secs());
        self.core.warn(format!(
            "node {id}: the file system of the jobs directory has not answered for {seconds} s; is its disk, or \
             what it is mounted from, well?"
        ));
    }

    /// It has.
    pub(crate) fn files_answer(&mut self) {
        let seconds = self.core.slow_file_ms() / 1_000;
        if self.core.slow_since.take().is_some() {
            let id = self.core.id;
            self.core.warn(format!(
                "node {id}: the file system of the jobs directory answers again, after {seconds} s"
            ));
            self.preempt();
        }
    }

    /// A coordinator whose files hang gives way to the highest peer whose files may not.
    pub(crate) fn give_way(&mut self) {
        let Role::Coordinator(coordinator) = &self.role else {
            return;
        };
        let core = &mut self.core;
        if !core.hangs() || core.hang_is_common() {
            return;
        }
        let mut successors = core.live_peers();
        successors.retain(|&peer| coordinator.pool.is_admitted(peer));
        let Some(&successor) = successors.last() else {
            return;
        };
        let highest = core.highest;
        core.send(
            successor,
            Message::Election {
                highest,
                hangs: true,
            },
        );
        self.step_down(StepDownCause::FileCallSlow);
        let wait = self.core.config.suspect_after;
        self.lose_coordinator(ElectionCause::NoCoordinator, wait);
    }
}
