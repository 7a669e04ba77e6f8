//! The end of a cluster: asked for, after a grace forced, and in any case complete.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{SuperviseError, Supervisor, Turn};
use crate::reap;

/// Time between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// How far the end of the cluster has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nobody has asked for it.
    Running,
    /// The nodes were asked to end.
    Stopping {
        /// When those that are left are killed.
        kill_at: Instant,
    },
    /// The nodes were killed.
    Killed,
}

impl Supervisor<'_> {
    /// Whether it stops, or has to.
    pub(super) fn is_stopping(&self) -> bool {
        self.phase != Phase::Running
    }

    /// Whether somebody asked it to stop.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.is_stopping() && self.failure.is_none()
    }

    /// Asks the nodes to end, and asked again, kills them.
    pub(super) fn stop(&mut self) {
        if self.phase != Phase::Running {
            return self.kill();
        }
        tracing::info!("stopping");
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

    /// What an end comes to.
    ///
    /// # Errors
    ///
    /// It has not stopped because it was asked to.
    pub(super) fn conclude(&mut self) -> Result<Turn, SuperviseError> {
        self.failure.take().map_or(Ok(Turn::Ended), Err)
    }

    /// Whether it was asked to stop, and nothing is left that is waited for.
    pub(super) fn has_ended(&self) -> bool {
        self.is_stopping() && self.lives().next().is_none() && self.watch.is_over()
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
        self.phase = Phase::Killed;
        self.watch.kill();
        for life in self.lives() {
            life.signal(Signal::SIGKILL);
        }
    }
}

impl Drop for Supervisor<'_> {
    fn drop(&mut self) {
        self.kill();
        for life in self.lives() {
            if let Err(error) = reap::wait_for(life.pid) {
                tracing::warn!("cannot wait for process {}: {error}", life.pid);
            }
        }
    }
}
