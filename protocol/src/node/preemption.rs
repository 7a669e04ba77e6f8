//! Preemption: who claims the office of a lower node.

use super::damping::Damping;
use super::{Node, Role};
use crate::words::config::Preemption;
use crate::words::time::Time;
use crate::words::timer::Timer;
use crate::words::trace::{ElectionCause, Trace};

impl Node {
    /// A node whose last lives have crashed, so many of them, one soon after the other.
    #[must_use]
    pub fn after_crashes(mut self, crashes: u32) -> Node {
        self.damping = Damping::after_crashes(crashes);
        self
    }

    /// Until when this node waits before it claims the office of a lower one again, if it does.
    pub fn damped_until(&self) -> Option<Time> {
        self.core.timers.due(Timer::Preempt)
    }

    /// Holds an election if the policy wants this node in the place of a lower coordinator, or waits
    /// if it has not kept that place lately.
    pub(crate) fn preempt(&mut self) {
        if !self.wants_office() {
            return;
        }
        let (now, due) = (self.core.now(), self.damping.due());
        if due <= now {
            self.start_election(ElectionCause::Preemption);
            return;
        }
        if !std::mem::replace(&mut self.damping.told, true) {
            let ms = u64::try_from(due.since(now).as_millis()).unwrap_or(u64::MAX);
            self.core.trace(Trace::PreemptionDamped { ms });
        }
        self.core.timers.arm(Timer::Preempt, due);
    }

    /// The supervisor says that a signal stopped this process: so it need not wait for what that cost it.
    pub(crate) fn was_stopped(&mut self) {
        self.damping.was_stopped();
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
        self.core.now() < self.damping.due()
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
