//! The run directory may be removed, moved, emptied or closed while the cluster works in it. The
//! supervisor looks now and then, and brings it back to what it should be: the directory and its lock, the
//! control socket, the event log, and the sockets of the nodes, who bind them again when they are told.
//!
//! All of it are calls on the file system of the run directory, as is each event that is written.

use std::time::{Duration, Instant};

use ipc::unix::socket_path;
use protocol::event::ChildState;

use super::{SuperviseError, Supervisor};
use crate::bound::Bound;
use crate::run_dir::{RunDir, is_missing};
use crate::slot::Life;

/// How often to look by the clock. Before a node is started it is looked at as well: it could not bind its
/// socket in a directory that is gone, nor reach those whose sockets are.
const LOOK_EVERY: Duration = Duration::from_secs(1);

impl Supervisor<'_> {
    /// Looks if it is time, and mends what is not as it should be. What cannot be is told once; without
    /// a run directory the cluster ends.
    pub(super) fn look_after_run_dir(&mut self) {
        let now = Instant::now();
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        let starts = self.slots.iter().any(|slot| is_due(slot.due));
        if self.is_stopping() || !starts && now < self.upkeep.look_at {
            return;
        }
        self.upkeep.look_at = now + LOOK_EVERY;
        let trouble = self.mend_run_dir().err();
        match &trouble {
            Some(trouble) if self.upkeep.told.as_ref() != Some(trouble) => {
                tracing::error!("{trouble}");
            }
            None if self.upkeep.told.is_some() => {
                tracing::info!("the run directory is as it should be again");
            }
            _ => {}
        }
        self.upkeep.told = trouble;
        self.look_after_sockets();
    }

    /// # Errors
    ///
    /// What cannot be mended, in one sentence.
    fn mend_run_dir(&mut self) -> Result<(), String> {
        let path = self.launch.run_dir.display().to_string();
        let look = self.run_dir.is_in_place();
        let is_in_place = look.map_err(|error| {
            format!(
                "cannot look at the run directory {path}: {error}; nodes that end cannot come back"
            )
        })?;
        if !is_in_place {
            return self.make_run_dir_again();
        }
        self.upkeep.lost_again = false;
        match self.run_dir.restore_rights() {
            Ok(false) => {}
            Ok(true) => tracing::warn!(
                "the rights of the run directory {path} were changed; it is for its user alone again (mode 0700)"
            ),
            Err(error) => {
                return Err(format!(
                    "the rights of the run directory {path} were changed and cannot be given back: {error}"
                ));
            }
        }
        if self.record.take_back() {
            tracing::warn!(
                "the event log in {path} was taken away; a new one goes on from here, and what was put in its place, if anything, stands beside it as events.jsonl.aside1 or the like"
            );
            self.owe(Life::owe_reopening);
        }
        if !self.control.is_in_place() {
            self.control.bind_again().map_err(|error| {
                format!("commands cannot reach this bullpen: cannot bind its socket in {path} again: {error}")
            })?;
            tracing::warn!("the control socket in {path} was taken away; it is bound again");
        }
        Ok(())
    }

    fn make_run_dir_again(&mut self) -> Result<(), String> {
        let path = self.launch.run_dir.clone();
        let failed = match RunDir::open(&path, self.record.rotation()) {
            Ok(made) => {
                tracing::warn!(
                    "the run directory {} was taken away; it is made again",
                    path.display()
                );
                self.run_dir = made;
                return self.mend_run_dir();
            }
            Err(error) => error,
        };
        let again = std::mem::replace(&mut self.upkeep.lost_again, true);
        if again || !failed.source_io().is_some_and(is_missing) {
            self.fail(SuperviseError::RunDirLost(failed));
        }
        Ok(())
    }

    /// Finds the nodes that their peers cannot reach, and owes them the word to bind their sockets again.
    fn look_after_sockets(&mut self) {
        let mut fresh = Vec::new();
        let mut any = false;
        for slot in &mut self.slots {
            let Some(life) = slot.life.as_mut().filter(|life| life.bound) else {
                continue;
            };
            let path = || socket_path(&self.launch.run_dir, slot.id);
            let socket = life.socket.get_or_insert_with(|| Bound::at(path()));
            let is_lost = !socket.is_in_place();
            any |= is_lost;
            if is_lost && !std::mem::replace(&mut life.unreachable, is_lost) {
                fresh.push(slot.id.to_string());
            }
            life.unreachable = is_lost;
            // One that is stopped hears what was said before it stopped when it goes on.
            if is_lost && slot.state == ChildState::Running {
                life.owe_binding();
            }
        }
        if !fresh.is_empty() {
            tracing::warn!(
                "the sockets of these nodes are not where they were bound, so that no peer can reach them: {}; \
                 they bind them again",
                fresh.join(", ")
            );
        } else if !any && self.upkeep.told_lost {
            tracing::info!("all nodes can be reached by their peers again");
        }
        self.upkeep.told_lost = any;
    }
}
