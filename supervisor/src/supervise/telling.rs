//! What the nodes are told: it is state, so the latest is told, and again where it may not have been heard.

use std::time::Instant;

use ipc::control::Hint;

use super::Supervisor;
use crate::slot::{Life, Slot};

impl Supervisor<'_> {
    pub(super) fn owe_hints(&mut self) {
        if self.hints {
            self.owe(Life::owe_hints);
        }
    }

    pub(super) fn owe_deaths(&mut self) {
        self.owe(Life::owe_deaths);
    }

    pub(super) fn owe(&mut self, what: impl FnMut(&mut Life)) {
        let lives = self.slots.iter_mut();
        lives.filter_map(|slot| slot.life.as_mut()).for_each(what);
    }

    /// Tells the coordinator that something may have been dropped. Without one, or while its link takes
    /// nothing, it is owed.
    pub(super) fn pass_on_drop(&mut self) {
        if self.watch.hint_due
            && !self.is_stopping()
            && let Some(life) = self.coordinator().and_then(|slot| slot.life.as_ref())
        {
            self.watch.hint_due = !life.tell_inbox_changed();
        }
    }

    /// Sends every node the hints and the start signal that it is owed.
    pub(super) fn tell(&mut self) {
        if self.is_stopping() {
            return;
        }
        let all_bound = || {
            let bound = |slot: &Slot| slot.life.as_ref().is_some_and(|life| life.bound);
            self.slots.iter().all(bound)
        };
        self.started = self.started || all_bound() || Instant::now() >= self.start_by;
        let states: Vec<Hint> = self.slots.iter().filter_map(Slot::hint).collect();
        for slot in &mut self.slots {
            if let Some(life) = &mut slot.life {
                let others = |hint: &&Hint| hint.node != slot.id;
                life.tell(self.started, self.casualties.deaths, || {
                    states.iter().filter(others).copied().collect()
                });
            }
        }
    }
}
