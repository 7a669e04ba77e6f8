//! What can happen next.

use std::fmt;

use protocol::id::NodeId;
use protocol::timer::Timer;

use super::state::{Direction, ModelState};
use crate::fact::Life;

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// What is next on a link arrives.
    Arrive {
        /// Whose link.
        from: Life,
        /// At whom.
        to: NodeId,
    },
    /// The supervisor says that the cluster starts.
    Begin(NodeId),
    /// The supervisor tells the latest state of a node.
    Hint {
        /// Tells whom.
        to: NodeId,
        /// Of whom.
        about: NodeId,
    },
    /// The arithmetic finishes an operation.
    Compute(NodeId),
    /// A timer fires.
    Fire(NodeId, Timer),
    /// A process dies.
    Crash(NodeId),
    /// A dead process is replaced.
    Restart(NodeId),
    /// A process is stopped, and a first node is told.
    Pause {
        /// Which.
        id: NodeId,
        /// Who is told.
        told: NodeId,
    },
    /// A stopped process goes on, and a first node that knew is told. It also goes on by whatever
    /// else it does.
    Resume {
        /// Which.
        id: NodeId,
        /// Who is told.
        told: NodeId,
    },
}

impl Choice {
    /// Whose step it is.
    pub(super) fn mover(self) -> NodeId {
        match self {
            Choice::Arrive { to, .. } | Choice::Hint { to, .. } => to,
            Choice::Begin(id)
            | Choice::Compute(id)
            | Choice::Fire(id, _)
            | Choice::Crash(id)
            | Choice::Restart(id)
            | Choice::Pause { id, .. }
            | Choice::Resume { id, .. } => id,
        }
    }
}

impl ModelState {
    /// All that can happen next, but for what can wait.
    pub(super) fn choices(&self, choices: &mut Vec<Choice>) {
        self.all_choices(choices);
        let movers = self.movers();
        choices.retain(|choice| movers.contains(&choice.mover()));
    }

    /// All that can happen next.
    pub(super) fn all_choices(&self, choices: &mut Vec<Choice>) {
        self.smooth_choices(choices);
        for process in &self.processes {
            let id = process.life.node;
            let Some(running) = &process.running else {
                choices.push(Choice::Restart(id));
                continue;
            };
            if self.crashes > 0 {
                choices.push(Choice::Crash(id));
            }
            self.pause_choices(id, running.paused, choices);
            if !running.computing.is_empty() {
                choices.push(Choice::Compute(id));
            }
            if self.timeouts > 0 && running.started {
                let timers = running
                    .node
                    .armed_timers()
                    .filter(|&timer| !is_of_files(timer));
                choices.extend(timers.map(|timer| Choice::Fire(id, timer)));
            }
        }
    }

    /// A stop that nobody is told of is no more than a while in which a process is not chosen, and
    /// all orders have that anyway. Whatever happens after a stop and before the first node is told
    /// might as well have happened before the stop, since it is nothing that the process does; and
    /// likewise for its going on. So a stop is one step with the first news of it, its end is one
    /// step with the first news of that or with the next thing that the process does, and without
    /// hints there is none.
    fn pause_choices(&self, id: NodeId, paused: bool, choices: &mut Vec<Choice>) {
        if !paused && self.pauses == 0 {
            return;
        }
        for (Life { node: told, .. }, _) in self.nodes() {
            if told == id {
                continue;
            }
            if !paused {
                choices.push(Choice::Pause { id, told });
            } else if !self.hints.contains(&(told, id)) {
                choices.push(Choice::Resume { id, told });
            }
        }
    }

    /// What can happen while nothing goes wrong and nobody computes.
    pub(super) fn smooth_choices(&self, choices: &mut Vec<Choice>) {
        let links = self.links.keys();
        choices.extend(links.map(|&Direction { to, from }| Choice::Arrive { from, to }));
        let hints = self.hints.iter();
        choices.extend(hints.map(|&(to, about)| Choice::Hint { to, about }));
        for process in &self.processes {
            let begins = process.running.as_ref();
            if begins.is_some_and(|running| !running.started) {
                choices.push(Choice::Begin(process.life.node));
            }
        }
    }
}

/// Timers of the jobs directory, in which nothing happens.
fn is_of_files(timer: Timer) -> bool {
    matches!(timer, Timer::Rescan | Timer::Debounce | Timer::RetryFiles)
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Arrive { from, to } => write!(f, "node {to} gets what is next of {from}"),
            Choice::Begin(id) => write!(f, "node {id} is told to start"),
            Choice::Hint { to, about } => write!(f, "node {to} is told the state of node {about}"),
            Choice::Compute(id) => write!(f, "the arithmetic of node {id} finishes an operation"),
            Choice::Fire(id, timer) => write!(f, "node {id}: the timer {timer:?} fires"),
            Choice::Crash(id) => write!(f, "node {id} dies"),
            Choice::Restart(id) => write!(f, "node {id} is started again"),
            Choice::Pause { id, told } => {
                write!(f, "node {id} is stopped, and node {told} is told")
            }
            Choice::Resume { id, told } => write!(f, "node {id} goes on, and node {told} is told"),
        }
    }
}
