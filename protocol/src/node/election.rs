//! The Bully election over incarnations.
//!
//! After H. Garcia-Molina, "Elections in a Distributed Computing System", IEEE Transactions on
//! Computers C-31 (1982), with these differences: processes are known by their incarnations and
//! coordinatorships by epochs, so a message of the past is told from one of the present; a winner
//! collects the promises of its peers before it acts; nodes known to be down are not waited for.

use std::collections::BTreeSet;
use std::time::Duration;

use super::candidate::Candidate;
use super::{Node, Role};
use crate::core::peer::Link;
use crate::words::id::{Epoch, NodeId};
use crate::words::message::Message;
use crate::words::status::RoleName;
use crate::words::timer::Timer;
use crate::words::trace::{DownBy, ElectionCause, Trace};

/// While a better node answers and claims nothing, a claim is repeated after twice the time each, up to
/// this.
const LONGEST_PATIENCE: Duration = Duration::from_secs(10);
pub(super) const MOST_DOUBLINGS: u8 = 10;

impl Node {
    /// Asks every node that may be a better coordinator and is not known to be down. If there is none it has won, which
    /// counts from the end of the step on.
    pub(crate) fn start_election(&mut self, why: ElectionCause) {
        if !self.core.elects() {
            self.become_role(Role::Leaderless { cause: why }, RoleName::Recovering);
            return;
        }
        let awaited: BTreeSet<NodeId> = self.core.better_peers().into_iter().collect();
        let candidate = Candidate {
            awaited,
            answered: BTreeSet::new(),
            preempting: why == ElectionCause::Preemption,
            claims: 0,
        };
        let due = self.core.after(self.core.config.suspect_after);
        self.become_role(Role::Candidate(candidate.clone()), RoleName::Candidate);
        self.core.trace(Trace::ElectionStarted { why });
        self.core.timers.arm(Timer::Answers, due);
        for &peer in &candidate.awaited {
            if self.core.peers[&peer].link == Link::Up {
                candidate.link_up(&mut self.core, peer);
            }
        }
    }

    /// The end of a step: a candidate with nobody left to wait for has won.
    ///
    /// Not before, since the rest of the same news may tell of a higher epoch or of another loss;
    /// so a step wins one epoch at most, and nothing is done in the name of one that it wins but
    /// after all else.
    pub(crate) fn conclude_election(&mut self) {
        if self.core.elects() && self.has_won() {
            self.win();
        }
    }

    /// Whether this node will have won at the end of the step.
    pub(crate) fn has_won(&self) -> bool {
        matches!(&self.role, Role::Candidate(candidate) if candidate.has_won())
    }

    /// A higher node answered and no victory came of it.
    pub(crate) fn start_over(&mut self) {
        let (why, claims) = match &self.role {
            Role::Candidate(candidate) if candidate.obeys() => {
                (ElectionCause::Preemption, candidate.claims)
            }
            Role::Candidate(candidate) => (ElectionCause::NoVictory, candidate.claims),
            _ => (ElectionCause::NoVictory, 0),
        };
        self.start_election(why);
        if let Role::Candidate(candidate) = &mut self.role {
            candidate.claims = claims.saturating_add(1);
        }
    }

    /// The higher nodes that have not answered by now count as down.
    pub(crate) fn answers_due(&mut self) {
        let Role::Candidate(candidate) = &mut self.role else {
            return;
        };
        let silent = std::mem::take(&mut candidate.awaited);
        for id in silent {
            let Some(peer) = self.core.peers.get_mut(&id) else {
                continue;
            };
            peer.silent = true;
            let peer_incarnation = peer.incarnation;
            self.core.trace(Trace::PeerDown {
                peer: id,
                peer_incarnation,
                by: DownBy::Silence,
            });
        }
    }

    /// A node holds an election, or the coordinator gives way.
    pub(crate) fn election(&mut self, from: NodeId, highest: Epoch, hangs: bool) {
        self.learn(highest);
        self.core.note_files(from, hangs);
        let mine = self.core.highest;
        if hangs && from == mine.node {
            self.core.note_way_given(from);
        }
        let (outranks, hung) = (self.core.outranks(from), self.core.hangs());
        let answer = Message::Answer {
            highest: mine,
            hangs: hung,
        };
        match &mut self.role {
            Role::Coordinator(coordinator) if outranks || hung => {
                coordinator.assert_victory(&mut self.core, from);
            }
            // It asks everybody, or does not know that this one hangs.
            _ if !outranks && hung => self.core.send(from, answer),
            _ if !outranks => {}
            Role::Coordinator(_) => {}
            // The one that it misses is there, and so is its coordinatorship.
            Role::Follower { .. } if from != mine.node && self.core.owner_lives(mine) => {
                self.core.send(from, Message::Following { epoch: mine });
            }
            Role::Candidate(_) | Role::Winner(_) => self.core.send(from, answer),
            Role::Follower { .. } | Role::Leaderless { .. } => {
                self.core.send(from, answer);
                self.start_election(if hangs {
                    ElectionCause::HandedOver
                } else {
                    ElectionCause::Challenged
                });
            }
        }
    }

    /// A better node is there, unless `gives_way`: it, or the coordinator that it follows, should be
    /// heard of.
    pub(crate) fn answer(&mut self, from: NodeId, highest: Epoch, gives_way: bool) {
        self.learn(highest);
        let patience = self.core.config.suspect_after;
        if let Role::Candidate(candidate) = &mut self.role
            && candidate.awaited.remove(&from)
            && !gives_way
        {
            candidate.answered.insert(from);
            // A better node that does not claim the office either has cause to wait, perhaps for long.
            let patience = patience * (1 << candidate.claims.min(MOST_DOUBLINGS));
            let due = self
                .core
                .after(patience.min(LONGEST_PATIENCE.max(self.core.config.suspect_after)));
            self.core.timers.arm_if_idle(Timer::Victory, due);
        }
    }
}
