//! Ctrl-Z: the processes of the cluster stop with the supervisor, and go on with it.

use std::time::Instant;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use protocol::event::ChildState;

use super::{SuperviseError, Supervisor};
use crate::reap;

impl Supervisor<'_> {
    /// Stops all that runs and then this process, if somebody asked for it; once this process is continued,
    /// continues what it has stopped, and nothing that a user has. A cluster that ends is not held up.
    pub(super) fn suspend_if_asked(&mut self) -> Result<(), SuperviseError> {
        if !self.signals.take_suspension() || self.is_stopping() {
            return Ok(());
        }
        // From then on it is known what a user has stopped.
        self.reap()?;
        let running: Vec<usize> = (0..self.slots.len())
            .filter(|&index| self.slots[index].state == ChildState::Running)
            .collect();
        let watch = self.watch.running();
        self.pass_to(&running, watch, Signal::SIGSTOP, ChildState::Stopped);
        let suspended = self.signals.suspend();
        self.pass_to(&running, watch, Signal::SIGCONT, ChildState::Running);
        for slot in &mut self.slots {
            if let Some(life) = &mut slot.life {
                // Nobody could be heard meanwhile.
                life.watchdog.look(Instant::now(), false);
            }
        }
        suspended.map_err(|error| SuperviseError::System {
            call: "raise",
            error,
        })
    }

    /// Stops or continues nodes and what watches the jobs directory. None of them can have been reaped
    /// since it was found to run.
    fn pass_to(&mut self, nodes: &[usize], watch: Option<Pid>, signal: Signal, state: ChildState) {
        for &index in nodes {
            if let Some(life) = &self.slots[index].life {
                let pid = life.pid;
                life.signal(signal);
                self.note_state(index, pid, state);
                reap::forget_continuation(pid);
            }
        }
        if let Some(pid) = watch {
            // It is not reaped, so the pid is its own.
            let _ = nix::sys::signal::kill(pid, signal);
        }
    }
}
