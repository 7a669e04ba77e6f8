//! The timers of a node, and when they are due.

use std::collections::BTreeMap;

use super::id::NodeId;
use super::time::{Time, Untimed};

/// What a node may be waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Without a coordinator: hold an election.
    Elect,
    /// Candidate: higher nodes that have not answered by now count as down.
    Answers,
    /// Candidate that was answered: start over if no victory has come.
    Victory,
    /// Winner: a peer that has delivered nothing since is passed over.
    Collect(NodeId),
    /// Follower of a lower node: it has waited long enough to claim the office again.
    Preempt,
    /// Coordinator: send heartbeats.
    Heartbeat,
    /// Coordinator: a peer is silent.
    PeerSilence(NodeId),
    /// Coordinator: a worker should have done the first of its operations.
    Deadline(NodeId),
    /// Follower: the coordinator is silent.
    CoordinatorSilence,
    /// Worker: a finished operation has waited for `delay`.
    Deliver,
    /// Coordinator: look at the jobs directory, whether or not anybody said that it changed.
    Rescan,
    /// Coordinator: the debounce after a scan is over.
    Debounce,
    /// Coordinator: try file calls again that failed.
    RetryFiles,
}

impl Timer {
    /// Whether the timer measures somebody's silence; it means nothing after a gap.
    pub fn measures_silence(self) -> bool {
        match self {
            Timer::Elect
            | Timer::Answers
            | Timer::Victory
            | Timer::Collect(_)
            | Timer::PeerSilence(_)
            | Timer::CoordinatorSilence => true,
            Timer::Preempt
            | Timer::Heartbeat
            | Timer::Deadline(_)
            | Timer::Deliver
            | Timer::Rescan
            | Timer::Debounce
            | Timer::RetryFiles => false,
        }
    }
}

/// The armed timers. Compares and hashes by which are armed, never by when they are due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Timers {
    armed: BTreeMap<Timer, Untimed>,
}

impl Timers {
    /// Arms a timer, or moves it.
    pub fn arm(&mut self, timer: Timer, due: Time) {
        self.armed.insert(timer, Untimed(due));
    }

    /// Arms a timer unless it is armed.
    pub fn arm_if_idle(&mut self, timer: Timer, due: Time) {
        self.armed.entry(timer).or_insert(Untimed(due));
    }

    /// Disarms a timer; tells whether it was armed.
    pub fn disarm(&mut self, timer: Timer) -> bool {
        self.armed.remove(&timer).is_some()
    }

    /// Disarms all timers for which `keep` says no.
    pub fn retain(&mut self, mut keep: impl FnMut(Timer) -> bool) {
        self.armed.retain(|&timer, _| keep(timer));
    }

    /// Whether a timer is armed.
    pub fn is_armed(&self, timer: Timer) -> bool {
        self.armed.contains_key(&timer)
    }

    /// When a timer is due, if it is armed.
    pub fn due(&self, timer: Timer) -> Option<Time> {
        self.armed.get(&timer).map(|due| due.0)
    }

    /// The armed timer that is due first.
    pub fn next(&self) -> Option<(Time, Timer)> {
        self.armed.iter().map(|(&timer, due)| (due.0, timer)).min()
    }

    /// All armed timers.
    pub fn armed(&self) -> impl Iterator<Item = Timer> + '_ {
        self.armed.keys().copied()
    }
}
