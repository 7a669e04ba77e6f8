//! The Bully election over incarnations.
//!
//! After H. Garcia-Molina, "Elections in a Distributed Computing System", IEEE Transactions on
//! Computers C-31 (1982), with these differences: processes are known by their incarnations and
//! coordinatorships by epochs, so a message of the past is told from one of the present; a winner
//! collects the promises of its peers before it acts; nodes known to be down are not waited for.

use std::collections::BTreeSet;
use std::time::Duration;

use super::takeover::{COLLECT_PATIENCE, Takeover};
use super::{Node, Role};
use crate::core::Core;
use crate::core::peer::Link;
use crate::words::id::{Epoch, NodeId};
use crate::words::message::Message;
use crate::words::status::RoleName;
use crate::words::timer::Timer;
use crate::words::trace::{DownBy, ElectionCause, StepDownCause, Trace};

/// While a better node answers and claims nothing, a claim is repeated after twice the time each, up to
/// this.
const LONGEST_PATIENCE: Duration = Duration::from_secs(10);
const MOST_DOUBLINGS: u8 = 10;

/// A node that holds an election.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Candidate {
    /// Nodes that may be better coordinators and were asked, or will be once their link stands.
    awaited: BTreeSet<NodeId>,
    /// Those that answered that they are; one of them should win.
    answered: BTreeSet<NodeId>,
    /// The coordinator lives, and is obeyed until the election is won: it is held only because
    /// this node has the higher ID.
    preempting: bool,
    /// How often in a row a better node answered and none became coordinator.
    claims: u8,
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

    /// Fixes an epoch and begins to collect.
    fn win(&mut self) {
        let epoch = Epoch {
            term: self.core.highest.term.next(),
            node: self.core.id,
            incarnation: self.core.incarnation,
        };
        self.set_highest(epoch);
        let core = &mut self.core;
        core.trace(Trace::ElectionWon);
        self.worker.retire(core);
        self.become_role(Role::Winner(Takeover::new(epoch)), RoleName::Candidate);
        if let Role::Winner(takeover) = &mut self.role {
            takeover.start(&mut self.core);
        }
        self.act_if_collected();
    }

    /// The owner of a higher or the same epoch asks for a promise.
    pub(crate) fn collected(&mut self, epoch: Epoch) {
        self.yield_to(epoch, StepDownCause::Promised);
        self.promise();
    }

    /// Follows the owner of an epoch at least as high as any seen; a node that has not promised to
    /// it yet does so now, which makes the owner admit it. Tells whether it follows: having
    /// promised it may have held an election, and won.
    pub(crate) fn follow(&mut self, epoch: Epoch) -> bool {
        if self.yield_to(epoch, StepDownCause::Promised) {
            self.promise();
        }
        !self.has_won()
    }

    /// This node has caught up with the coordinator's checkpoint.
    pub(crate) fn victory(&mut self, epoch: Epoch) {
        self.follow(epoch);
        if let Role::Follower { synced } = &mut self.role
            && !std::mem::replace(synced, true)
        {
            self.core.role_name = RoleName::Worker;
            self.core.deposed = 0;
            self.core.trace(Trace::Following {
                coordinator: epoch.node,
            });
            self.await_coordinator();
        }
        self.preempt();
    }

    /// Answers the owner of the highest epoch with all that this node has.
    pub(crate) fn promise(&mut self) {
        let epoch = self.core.highest;
        let inventory = self.worker.inventory(&self.core);
        self.core
            .send(epoch.node, Message::Promise { epoch, inventory });
        self.preempt();
    }

    /// Told of an epoch: if it is higher than any seen, what this node does in the name of a lower
    /// one ends, and it follows the owner, or, if that is dead, elects after a back-off. An epoch of
    /// a node that does not exist is nobody's.
    pub(crate) fn learn(&mut self, highest: Epoch) {
        if highest <= self.core.highest || !self.core.is_member(highest.node) {
            return;
        }
        if highest.node != self.core.id && self.core.owner_lives(highest) {
            self.yield_to(highest, StepDownCause::Stale);
            self.promise();
            return;
        }
        self.set_highest(highest);
        match &mut self.role {
            // Its own epoch will be higher still. The coordinator that it obeyed meanwhile is over.
            Role::Candidate(candidate) => candidate.preempting = false,
            Role::Leaderless { .. } => {}
            Role::Winner(_) | Role::Coordinator(_) | Role::Follower { .. } => {
                self.step_down(StepDownCause::Stale);
                // The highest first, so that the others need only answer it. Two that a third hears, but not
                // each other, must not depose each other all the time.
                let above = u32::from(self.core.config.nodes - 1 - self.core.id.0);
                let longer = 1_u32 << self.core.deposed;
                let most = self.core.config.suspect_after;
                let back_off = (self.core.config.heartbeat * longer).min(most)
                    + self.core.config.heartbeat * above;
                self.core.deposed = (self.core.deposed + 1).min(MOST_DOUBLINGS);
                self.lose_coordinator(ElectionCause::NoCoordinator, back_off);
            }
        }
    }

    /// Becomes a follower of the epoch's owner; tells whether it was none before.
    fn yield_to(&mut self, epoch: Epoch, why: StepDownCause) -> bool {
        if epoch == self.core.highest {
            match &self.role {
                Role::Follower { .. } => {
                    self.await_coordinator();
                    return false;
                }
                Role::Candidate(candidate) if candidate.obeys() => return false,
                _ => {}
            }
        }
        self.set_highest(epoch);
        self.step_down(why);
        self.become_role(Role::Follower { synced: false }, RoleName::Recovering);
        self.await_coordinator();
        true
    }

    /// The silence of the coordinator that this node follows begins now. One that still collects says
    /// nothing to those that have promised while it is patient with another.
    pub(crate) fn await_coordinator(&mut self) {
        let Role::Follower { synced } = self.role else {
            return;
        };
        let mut silence = self.core.config.suspect_after;
        if !synced {
            silence = silence.max(COLLECT_PATIENCE * 2);
        }
        let due = self.core.after(silence);
        self.core.timers.arm(Timer::CoordinatorSilence, due);
    }

    /// Ends a coordinatorship, or the attempt at one.
    pub(crate) fn step_down(&mut self, why: StepDownCause) {
        if matches!(self.role, Role::Coordinator(_) | Role::Winner(_)) {
            self.core.trace(Trace::SteppedDown { why });
        }
    }

    /// Waits for a coordinator to make itself known; holds an election if none does.
    pub(crate) fn lose_coordinator(&mut self, cause: ElectionCause, wait: Duration) {
        let due = self.core.after(wait);
        self.become_role(Role::Leaderless { cause }, RoleName::Recovering);
        self.core.timers.arm(Timer::Elect, due);
    }

    /// A node that finds a gap in its own time cannot tell who was silent: all silence begins
    /// anew. A coordinator that may have been replaced meanwhile takes over afresh before it acts;
    /// not at once, but after the mail that waits, which may tell of its successor. Tells whether
    /// there was a gap.
    pub(crate) fn notice_gap(&mut self) -> bool {
        let Some((due, _)) = self.core.timers.next() else {
            return false;
        };
        let gap = self.core.now().since(due);
        if gap < self.core.config.heartbeat * 2 {
            return false;
        }
        let ms = u64::try_from(gap.as_millis()).unwrap_or(u64::MAX);
        self.core.trace(Trace::Gap { ms });
        self.core.restart_silence_clocks();
        let replaceable = gap + self.core.config.heartbeat >= self.core.config.suspect_after;
        if replaceable && matches!(self.role, Role::Coordinator(_) | Role::Winner(_)) {
            self.step_down(StepDownCause::Gap);
            self.lose_coordinator(ElectionCause::Gap, Duration::ZERO);
        }
        true
    }

    /// Changes the role. The timers of the last one end with it; those of the worker go on.
    pub(crate) fn become_role(&mut self, role: Role, name: RoleName) {
        self.core.timers.retain(|timer| timer == Timer::Deliver);
        if let Role::Coordinator(coordinator) = &self.role {
            let epoch = coordinator.epoch;
            let calls = coordinator.jobs.ending();
            self.core
                .late_calls
                .extend(calls.map(|(key, trace)| ((epoch, key), trace)));
        }
        self.role = role;
        self.core.role_name = name;
    }
}
