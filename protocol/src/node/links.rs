//! What a node learns of its peers, from their links, from the supervisor and from their silence.

use super::{Node, Role};
use crate::core::peer::Link;
use crate::words::event::ChildState;
use crate::words::id::{Epoch, Incarnation, NodeId};
use crate::words::timer::Timer;
use crate::words::trace::{DownBy, ElectionCause, ReassignCause, StepDownCause, Trace};

/// The loss of a peer, noted and still to be borne.
#[derive(Clone, Copy)]
struct Loss {
    peer: NodeId,
    /// What it means to the operations that it had.
    why: ReassignCause,
    /// The highest epoch when it was lost.
    highest: Epoch,
}

impl Node {
    pub(crate) fn link_up(&mut self, id: NodeId, incarnation: Incarnation, highest: Epoch) {
        let Some(peer) = self.core.peers.get(&id) else {
            return;
        };
        if incarnation < peer.incarnation {
            return;
        }
        let is_same = peer.incarnation == incarnation && peer.link != Link::Unknown;
        if is_same {
            self.damping.was_cut_off(id);
        }
        let relinked = is_same && peer.link == Link::Up;
        let loss = self.meet(id, incarnation, DownBy::Link);
        if let Some(peer) = self.core.peers.get_mut(&id) {
            peer.link = Link::Up;
            peer.silent = false;
            // It has just greeted: the news that it goes on is still on its way.
            peer.stopped = false;
        }
        if !relinked {
            self.core.trace(Trace::PeerUp {
                peer: id,
                peer_incarnation: incarnation,
            });
        }
        self.learn(highest);
        if let Some(loss) = loss {
            self.bear(loss);
        }
        match &mut self.role {
            Role::Candidate(candidate) => {
                candidate.link_up(&mut self.core, id);
                if candidate.obeys() && !candidate.has_won() && id == self.core.highest.node {
                    self.promise();
                }
            }
            Role::Winner(takeover) => takeover.link_up(&mut self.core, id),
            Role::Coordinator(coordinator) => coordinator.link_up(&mut self.core, id),
            // What was sent to it before may be lost: the answer to its Collect, or products.
            Role::Follower { .. } if id == self.core.highest.node => self.promise(),
            Role::Follower { .. } | Role::Leaderless { .. } => {}
        }
    }

    pub(crate) fn link_down(&mut self, id: NodeId, incarnation: Incarnation) {
        if !self.knows(id, incarnation) {
            return;
        }
        if let Some(peer) = self.core.peers.get_mut(&id)
            && peer.link != Link::Down
        {
            peer.link = Link::Down;
            self.peer_lost(id, DownBy::Link);
        }
    }

    pub(crate) fn hint(&mut self, id: NodeId, incarnation: Incarnation, state: ChildState) {
        if self
            .core
            .peers
            .get(&id)
            .is_none_or(|peer| incarnation < peer.incarnation)
        {
            return;
        }
        if let Some(loss) = self.meet(id, incarnation, DownBy::Hint) {
            self.bear(loss);
        }
        let Some(peer) = self.core.peers.get_mut(&id) else {
            return;
        };
        match state {
            ChildState::Running => {
                let continues = std::mem::replace(&mut peer.stopped, false);
                if continues
                    && peer.link != Link::Down
                    && let Role::Winner(takeover) = &mut self.role
                {
                    takeover.returned(&mut self.core, id);
                }
            }
            ChildState::Stopped if !peer.stopped => {
                peer.stopped = true;
                self.peer_lost(id, DownBy::Hint);
            }
            ChildState::Gone if peer.link != Link::Down => {
                peer.link = Link::Down;
                self.peer_lost(id, DownBy::Hint);
            }
            ChildState::Stopped | ChildState::Gone => {}
        }
    }

    /// A newer life of a peer is proof that the last one is over: what is known of the peer begins
    /// anew, and the loss of the last life is still to be borne.
    fn meet(&mut self, id: NodeId, incarnation: Incarnation, by: DownBy) -> Option<Loss> {
        let followed = self.followed_life(id);
        let peer = self.core.peers.get_mut(&id)?;
        if incarnation <= peer.incarnation {
            return None;
        }
        let follows_last = followed.is_some_and(|life| life < incarnation);
        let loss = if follows_last || peer.link == Link::Up {
            // Of the life that it follows it may know by its epoch alone.
            peer.incarnation = followed.unwrap_or_default().max(peer.incarnation);
            peer.link = Link::Down;
            Some(self.note_loss(id, by))
        } else {
            None
        };
        if let Some(peer) = self.core.peers.get_mut(&id) {
            peer.begin_life(incarnation);
        }
        loss
    }

    /// A peer died, was stopped or fell silent; its state says which.
    fn peer_lost(&mut self, id: NodeId, by: DownBy) {
        let loss = self.note_loss(id, by);
        self.bear(loss);
    }

    fn note_loss(&mut self, id: NodeId, by: DownBy) -> Loss {
        let peer = &self.core.peers[&id];
        let why = if peer.link == Link::Down {
            ReassignCause::WorkerDied
        } else if peer.stopped {
            ReassignCause::WorkerStopped
        } else {
            ReassignCause::WorkerSilent
        };
        let peer_incarnation = peer.incarnation;
        self.core.trace(Trace::PeerDown {
            peer: id,
            peer_incarnation,
            by,
        });
        Loss {
            peer: id,
            why,
            highest: self.core.highest,
        }
    }

    /// Does what a loss asks of each role.
    fn bear(&mut self, loss: Loss) {
        let id = loss.peer;
        // Told of a higher epoch since, it need not be missed.
        let coordinated = id == loss.highest.node && loss.highest == self.core.highest;
        match &mut self.role {
            Role::Candidate(candidate) => {
                candidate.lost(id, coordinated);
            }
            Role::Winner(takeover) => {
                takeover.lost(&mut self.core, id);
                self.act_if_collected();
            }
            Role::Coordinator(coordinator) => {
                coordinator.lost(&mut self.core, id, loss.why);
                if self.core.live_peers().is_empty() {
                    self.step_down(StepDownCause::Isolated);
                    self.start_election(ElectionCause::Isolated);
                }
            }
            Role::Follower { .. } if coordinated => {
                self.start_election(ElectionCause::CoordinatorLost);
            }
            // At the first start nobody has won yet, so nobody need be waited for.
            Role::Leaderless { .. }
                if self.core.highest == Epoch::NONE && self.core.higher_peers().is_empty() =>
            {
                self.start_election(ElectionCause::Start);
            }
            Role::Follower { .. } | Role::Leaderless { .. } => {}
        }
    }

    pub(crate) fn fell_silent(&mut self, id: NodeId) {
        let followed = self.followed_life(id);
        match self.core.peers.get_mut(&id) {
            Some(peer) if !peer.is_down() => {
                if let Some(life) = followed
                    && life > peer.incarnation
                {
                    peer.begin_life(life);
                }
                peer.silent = true;
                self.peer_lost(id, DownBy::Silence);
            }
            // The coordinator that this node promised to was down from the first.
            _ if matches!(self.role, Role::Follower { .. }) => {
                self.start_election(ElectionCause::NoCoordinator);
            }
            _ => {}
        }
    }

    /// Anything that a peer says ends its silence; tells whether it had been silent for too long.
    pub(crate) fn sign_of_life(&mut self, from: NodeId) -> bool {
        let Some(peer) = self.core.peers.get_mut(&from) else {
            return false;
        };
        let returns = std::mem::replace(&mut peer.silent, false);
        if returns {
            // Silent for so long and heard again, it runs: the news that a signal stopped it is old.
            peer.stopped = false;
            let peer_incarnation = peer.incarnation;
            self.core.trace(Trace::PeerUp {
                peer: from,
                peer_incarnation,
            });
        }
        let due = self.core.after(self.core.config.suspect_after);
        match &self.role {
            Role::Follower { .. } if from == self.core.highest.node => self.await_coordinator(),
            Role::Coordinator(_) => self.core.timers.arm(Timer::PeerSilence(from), due),
            _ => {}
        }
        returns
    }

    /// A peer is heard again that was silent for too long: who collects had not asked it.
    pub(crate) fn returned(&mut self, from: NodeId) {
        if let Role::Winner(takeover) = &mut self.role {
            takeover.returned(&mut self.core, from);
        }
    }

    /// The life of a peer that this node follows, if it does.
    fn followed_life(&self, id: NodeId) -> Option<Incarnation> {
        let obeys = match &self.role {
            Role::Follower { .. } => true,
            Role::Candidate(candidate) => candidate.obeys(),
            _ => false,
        };
        let highest = self.core.highest;
        (obeys && highest.node == id).then_some(highest.incarnation)
    }

    /// Whether this is the newest known life of a peer.
    pub(crate) fn knows(&self, id: NodeId, incarnation: Incarnation) -> bool {
        self.core
            .peers
            .get(&id)
            .is_some_and(|peer| peer.incarnation == incarnation)
    }
}
