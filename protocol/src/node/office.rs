//! The office of the coordinator: how a node takes it, follows who has it, and leaves it.

use std::time::Duration;

use super::election::MOST_DOUBLINGS;
use super::takeover::Takeover;
use super::{Node, Role};
use crate::coordinator::Coordinator;
use crate::core::COLLECT_PATIENCE;
use crate::words::id::Epoch;
use crate::words::message::Message;
use crate::words::status::RoleName;
use crate::words::timer::Timer;
use crate::words::trace::{ElectionCause, StepDownCause, Trace};

impl Node {
    /// Fixes an epoch and begins to collect.
    pub(super) fn win(&mut self) {
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

    /// Once every peer has delivered or was passed over: announce the victory, and act. In a cluster that
    /// stops nobody takes an office any more.
    pub(crate) fn act_if_collected(&mut self) {
        let Role::Winner(takeover) = &mut self.role else {
            return;
        };
        if self.core.stopping || !takeover.is_complete() {
            return;
        }
        let (epoch, promised) = (takeover.epoch, std::mem::take(&mut takeover.promised));
        let coordinator = Box::new(Coordinator::new(epoch));
        self.become_role(Role::Coordinator(coordinator), RoleName::Coordinator);
        if let Role::Coordinator(coordinator) = &mut self.role {
            self.core.trace(Trace::Acting);
            coordinator.start(&mut self.core, &promised);
        }
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

    /// A higher epoch than any seen: this node takes office, loses it, or hears of who does.
    pub(crate) fn set_highest(&mut self, epoch: Epoch) {
        let core = &mut self.core;
        let last = std::mem::replace(&mut core.highest, epoch);
        if let Some(owner) = core.peers.get_mut(&epoch.node)
            && epoch != last
        {
            owner.gave_way = None;
        }
        if (epoch.node, epoch.incarnation) == (core.id, core.incarnation) {
            self.damping.begin();
        } else if epoch != last {
            let is_lower = epoch.node < core.id;
            self.damping.end(epoch.node, is_lower, core.now.0);
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
            let calls = coordinator.desk.ending();
            self.core
                .late_calls
                .extend(calls.map(|(key, trace)| ((epoch, key), trace)));
        }
        self.role = role;
        self.core.role_name = name;
    }
}
