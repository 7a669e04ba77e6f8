//! The end of a cluster: asked for, after a grace forced, and in any case complete.

use std::fs;
use std::time::{Duration, Instant};

use nix::poll::{PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{DEATH, Phase, SuperviseError, Supervisor, Turn};
use crate::held;

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// The longest pause between two looks whether the last one is gone, in milliseconds.
const LONGEST_PAUSE: u8 = 8;

impl Supervisor<'_> {
    /// Whether it stops, or has to.
    pub(super) fn is_stopping(&self) -> bool {
        self.phase != Phase::Running
    }

    /// Whether somebody asked it to stop.
    pub fn is_interrupted(&self) -> bool {
        self.is_stopping() && self.failure.is_none()
    }

    /// Asks the nodes to end, and asked again, kills them.
    pub(super) fn stop(&mut self) {
        if self.phase != Phase::Running {
            return self.kill();
        }
        tracing::info!("stopping");
        self.record.write_stopping();
        self.phase = Phase::Stopping {
            kill_at: Instant::now() + GRACE,
        };
        for life in self.slots.iter_mut().filter_map(|slot| slot.life.as_mut()) {
            life.tell_stopping();
        }
        for life in self.lives() {
            life.signal(Signal::SIGTERM);
            // A stopped process does not see the SIGTERM before it continues.
            life.signal(Signal::SIGCONT);
        }
        self.watch.kill();
    }

    /// Stops for want of something that it cannot do without.
    pub(super) fn fail(&mut self, failure: SuperviseError) {
        self.failure = Some(failure);
        self.stop();
    }

    /// Whether it was asked to stop, and nothing is left that is waited for.
    pub(super) fn has_ended(&self) -> bool {
        let all_gone = self.lives().next().is_none() && self.watch.is_over();
        self.is_stopping() && (all_gone || self.leaves())
    }

    /// Whether what was killed has had its time.
    fn leaves(&self) -> bool {
        matches!(self.phase, Phase::Killed { leave_at } if leave_at <= Instant::now())
    }

    /// What an end comes to.
    ///
    /// # Errors
    ///
    /// Something is left, or it has not stopped because it was asked to.
    pub(super) fn conclude(&mut self) -> Result<Turn, SuperviseError> {
        let nodes = self.slots.iter().filter_map(|slot| {
            let pid = slot.life.as_ref()?.pid;
            Some((format!("node {}", slot.id), pid))
        });
        let watch = self.watch.pid();
        let watch = watch.map(|pid| ("what watches the jobs directory".to_owned(), pid));
        let left: Vec<String> = nodes
            .chain(watch)
            .map(|(name, pid)| format!("{name} (pid {pid}{})", held::what_holds(pid)))
            .collect();
        if !left.is_empty() {
            return Err(SuperviseError::Left { left });
        }
        self.failure.take().map_or(Ok(Turn::Ended), Err)
    }

    /// Ends the cluster at once.
    ///
    /// # Errors
    ///
    /// A process would not end, and was left.
    pub fn end(mut self) -> Result<(), SuperviseError> {
        if !self.is_stopping() {
            self.record.write_stopping();
        }
        self.kill();
        self.await_end();
        self.conclude().map(|_| ())
    }

    /// Waits until the processes that were killed are gone or have had their time.
    fn await_end(&mut self) {
        let mut pause = 1;
        while self.reap().is_ok() && !self.has_ended() {
            // A death interrupts it, and any signal is left for others to hear. A death just before it
            // does not, so it is short at first.
            let _ = poll(&mut [], PollTimeout::from(pause));
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Kills those that are left when the grace is over.
    pub(super) fn end_grace(&mut self) {
        if let Phase::Stopping { kill_at } = self.phase
            && Instant::now() >= kill_at
        {
            let left = self.lives().count();
            tracing::warn!("{left} nodes have not ended within {GRACE:?}; killing them");
            self.kill();
        }
    }

    /// Kills the nodes; nothing of theirs is needed any more.
    pub(super) fn kill(&mut self) {
        if !matches!(self.phase, Phase::Killed { .. }) {
            let leave_at = Instant::now() + DEATH;
            self.phase = Phase::Killed { leave_at };
        }
        self.watch.kill();
        for life in self.lives() {
            life.signal(Signal::SIGKILL);
        }
    }

    /// Ends the keepers of dead nodes, which were handed to this process: also one that was stopped.
    fn end_keepers(&mut self) {
        let leave_at = Instant::now() + DEATH;
        while self.reap().is_ok() && Instant::now() < leave_at {
            let keepers = adopted_keepers();
            if keepers.is_empty() {
                return;
            }
            for keeper in keepers {
                // It may have ended meanwhile, and then it is there until it is reaped.
                let _ = kill(keeper, Signal::SIGKILL);
            }
            let _ = poll(&mut [], PollTimeout::from(1_u8));
        }
    }
}

impl Drop for Supervisor<'_> {
    fn drop(&mut self) {
        self.kill();
        self.await_end();
        self.end_keepers();
    }
}

/// The children of this process that are keepers. There may be others: of whatever became this process.
fn adopted_keepers() -> Vec<Pid> {
    // Where the system does not tell, keepers end by themselves.
    let children = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    let pids = children
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok());
    let is_keeper = |pid: &i32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name.starts_with("keeper-"))
    };
    pids.filter(is_keeper).map(Pid::from_raw).collect()
}
