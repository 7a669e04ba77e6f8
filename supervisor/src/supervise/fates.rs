//! What becomes of the nodes' processes: they end, stop, go on, and are started again.

use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use protocol::event::ChildState;
use protocol::id::{Incarnation, NodeId};

use super::error::START_ATTEMPTS;
use super::{SuperviseError, Supervisor};
use crate::events::ProcessEvent;
use crate::held::is_held;
use crate::launch::when;
use crate::reap::{self, Change, Ending};
use crate::slot::Slot;
use crate::watchdog::LIMIT;

impl Supervisor<'_> {
    /// Takes in all changes of children; strangers are orphans, which only have to be reaped.
    pub(super) fn reap(&mut self) -> Result<(), SuperviseError> {
        let failed = |error| SuperviseError::System {
            call: "waitpid",
            error,
        };
        while let Some((pid, change)) = reap::next().map_err(failed)? {
            let is_it = |slot: &Slot| slot.life.as_ref().is_some_and(|life| life.pid == pid);
            if let Some(index) = self.slots.iter().position(is_it) {
                match change {
                    Change::Ended(ending) => self.ended(index, pid, ending)?,
                    Change::Stopped => self.changed(index, pid, ChildState::Stopped),
                    Change::Continued => self.changed(index, pid, ChildState::Running),
                }
            } else if self.watch.pid() == Some(pid) {
                self.watch.changed(change, self.is_stopping());
            }
        }
        Ok(())
    }

    pub(super) fn changed(&mut self, index: usize, pid: Pid, state: ChildState) {
        let id = self.slots[index].id;
        if state == ChildState::Stopped {
            tracing::info!("node {id} (pid {pid}) was stopped");
        } else {
            tracing::info!("node {id} (pid {pid}) continues");
        }
        self.note_state(index, pid, state);
    }

    pub(super) fn note_state(&mut self, index: usize, pid: Pid, state: ChildState) {
        let event = match state {
            ChildState::Stopped => ProcessEvent::Stopped,
            _ => ProcessEvent::Continued,
        };
        self.slots[index].state = state;
        if state == ChildState::Stopped
            && let Some(life) = &mut self.slots[index].life
        {
            life.owe_stop();
        }
        self.record(index, pid, &event);
        self.owe_hints();
    }

    pub(super) fn ended(
        &mut self,
        index: usize,
        pid: Pid,
        ending: Ending,
    ) -> Result<(), SuperviseError> {
        // Its last reports count: its term may be the highest.
        while self.read_reports_of(index) {}
        self.record(index, pid, &ending.into());
        let life = self.slots[index].life.as_mut();
        let repeats = life.as_ref().is_some_and(|life| life.repeats);
        let aborts = life.as_ref().is_some_and(|life| life.aborts);
        let not_executed = life.and_then(|life| life.not_executed.take());
        self.casualties.ended(ending, aborts);
        let wait = self.slots[index].end(Some(ending), Instant::now());
        if self.is_stopping() {
            return Ok(());
        }
        let id = self.slots[index].id;
        if let Some(error) = not_executed {
            return self.not_started(id, error, wait);
        }
        let hopeless = |slot: &Slot| slot.deaths >= START_ATTEMPTS;
        if !self.viable && self.slots.iter().all(hopeless) {
            return Err(SuperviseError::NeverReady { id, ending });
        }
        if !repeats {
            tracing::warn!(
                "node {id} (pid {pid}) {ending}; it is started again {}",
                when(wait)
            );
        }
        self.owe_hints();
        Ok(())
    }

    /// Kills what runs and does not answer; its death brings the restart. What a user or a debugger
    /// has stopped is left alone.
    pub(super) fn kill_silent(&mut self) {
        if self.is_stopping() {
            return;
        }
        let now = Instant::now();
        for slot in &mut self.slots {
            let runs = slot.state == ChildState::Running;
            let Some(life) = &mut slot.life else { continue };
            if life.watchdog.look(now, runs) && !is_held(life.pid) {
                tracing::warn!(
                    "node {} (pid {}) runs and has not answered for {:?}: killing it",
                    slot.id,
                    life.pid,
                    LIMIT
                );
                life.hung = true;
                life.signal(Signal::SIGKILL);
            }
        }
    }

    /// Counts who died by what it did. After the peers were told of the deaths: that does not wait.
    pub(super) fn count_casualties(&mut self) {
        let fresh = self.casualties.fresh();
        if fresh > 0 && !self.is_stopping() {
            self.casualties.deaths.caused += fresh;
            tracing::warn!(
                "{fresh} of the nodes that ended did so for want of memory or by an abort of their own; what they computed \
                 is marked for it, and given up after --attempts of them"
            );
            self.owe_deaths();
        }
    }

    pub(super) fn restart_due(&mut self) -> Result<(), SuperviseError> {
        if self.is_stopping() {
            return Ok(());
        }
        for index in 0..self.slots.len() {
            if self.slots[index]
                .due
                .is_some_and(|due| due <= Instant::now())
            {
                self.spawn(index)?;
            }
        }
        self.watch.start_if_due(&self.launch);
        Ok(())
    }

    /// A node's process could not be made, or not become a node: the cluster cannot start, if no node has yet.
    pub(super) fn not_started(
        &mut self,
        id: NodeId,
        error: io::Error,
        wait: Duration,
    ) -> Result<(), SuperviseError> {
        if !self.viable {
            return Err(SuperviseError::Spawn { id, error });
        }
        tracing::warn!(
            "cannot start node {id}: {error}; trying again {}",
            when(wait)
        );
        self.owe_hints();
        Ok(())
    }

    /// Starts a node. A failure counts as a death, save of the first life: then the cluster
    /// cannot start.
    pub(super) fn spawn(&mut self, index: usize) -> Result<(), SuperviseError> {
        let id = self.slots[index].id;
        let incarnation = Incarnation(self.incarnation.0 + 1);
        let crashes = self.slots[index].crashes();
        let term = self.highest.term;
        match self.launch.spawn(id, incarnation, term, crashes) {
            Ok(spawned) => {
                let pid = spawned.pid;
                self.incarnation = incarnation;
                self.slots[index].begin(incarnation, spawned, Instant::now());
                self.record(index, pid, &ProcessEvent::Spawned);
                self.owe_hints();
            }
            Err(error) if self.slots[index].incarnation == Incarnation::default() => {
                return Err(SuperviseError::Spawn { id, error });
            }
            Err(error) => {
                let wait = self.slots[index].end(None, Instant::now());
                self.not_started(id, error, wait)?;
            }
        }
        Ok(())
    }
}
