//! Preemption: who claims the office of a lower node, and who waits before it claims it again.
//!
//! A node that cannot keep its office, since it is starved or crashes in a loop, would take it again and
//! again, and each time nobody coordinates for a while. So it waits longer each time. With no coordinator
//! at all it may win any election: that costs nobody anything.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Node, Role};
use crate::words::config::Preemption;
use crate::words::id::{Epoch, NodeId};
use crate::words::time::{Time, Untimed};
use crate::words::timer::Timer;
use crate::words::trace::{ElectionCause, Trace};

/// How long a node waits, by how often it has lost its office. Once is none: on a busy machine a live
/// coordinator is missed now and then.
const WAITS: [Duration; 5] = [
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_secs(2),
    Duration::from_secs(8),
    Duration::from_secs(30),
];
/// A loss so long after the last is a first one again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);

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
    told: bool,
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
    fn begin(&mut self) {
        *self = Damping {
            losses: self.losses,
            in_office: true,
            told: self.told,
            ..Damping::default()
        };
    }

    /// This node is out of office, and knows who is in.
    fn end(&mut self, to: NodeId, is_lower: bool, now: Time) {
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
    fn due(&self) -> Time {
        self.losses.last.0 + WAITS[usize::from(self.losses.count)]
    }
}

impl Node {
    /// A node whose last lives have crashed, so many of them, one soon after the other.
    #[must_use]
    pub fn after_crashes(mut self, crashes: u32) -> Node {
        self.core.damping = Damping::after_crashes(crashes);
        self
    }

    /// Until when this node waits before it claims the office of a lower one again, if it does.
    pub fn damped_until(&self) -> Option<Time> {
        self.core.timers.due(Timer::Preempt)
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
            core.damping.begin();
        } else if epoch != last {
            let is_lower = epoch.node < core.id;
            core.damping.end(epoch.node, is_lower, core.now.0);
        }
    }

    /// Holds an election if the policy wants this node in the place of a lower coordinator, or waits
    /// if it has not kept that place lately.
    pub(crate) fn preempt(&mut self) {
        if !self.wants_office() {
            return;
        }
        let (now, due) = (self.core.now(), self.core.damping.due());
        if due <= now {
            self.start_election(ElectionCause::Preemption);
            return;
        }
        if !std::mem::replace(&mut self.core.damping.told, true) {
            let ms = u64::try_from(due.since(now).as_millis()).unwrap_or(u64::MAX);
            self.core.trace(Trace::PreemptionDamped { ms });
        }
        self.core.timers.arm(Timer::Preempt, due);
    }

    /// The supervisor says that a signal stopped this process: so it need not wait for what that cost it.
    pub(crate) fn was_stopped(&mut self) {
        self.core.damping.was_stopped();
        self.preempt();
    }

    /// It has waited long enough.
    pub(crate) fn claim(&mut self) {
        if self.wants_office() {
            self.start_election(ElectionCause::Preemption);
        }
    }

    /// Whether this process is to wait before it claims an office that it has not seen anybody hold.
    pub(crate) fn is_damped(&self) -> bool {
        self.core.now() < self.core.damping.due()
    }

    fn wants_office(&self) -> bool {
        let Role::Follower { synced } = self.role else {
            return false;
        };
        let wanted = match self.core.config.preemption {
            Preemption::Graceful => synced,
            Preemption::Immediate => true,
            Preemption::Never => false,
        };
        let core = &self.core;
        wanted && core.elects() && !core.hangs() && core.highest.node < core.id
    }
}
