//! What the supervisor has on record: what becomes of the nodes, and what the event log lacks.

use nix::unistd::Pid;
use node::event_log::Header;

use super::Supervisor;
use crate::events::ProcessEvent;
use crate::slot::Life;

impl Supervisor<'_> {
    pub(super) fn record(&mut self, index: usize, pid: Pid, event: &ProcessEvent) {
        let header = self.header(index, pid);
        self.record.write(&header, event);
    }

    fn header(&self, index: usize, pid: Pid) -> Header {
        let slot = &self.slots[index];
        Header {
            node: slot.id,
            incarnation: slot.incarnation,
            pid: pid.as_raw(),
            term: self.highest.term,
            role: None,
        }
    }

    /// What has to be done about the log now. Nodes write to it without this process, and their reports
    /// bring a turn every two seconds at least.
    pub(super) fn keep_record(&mut self) {
        self.record.tell_lost(false);
        // Nodes that end could not be told.
        if self.is_stopping() {
            return;
        }
        // A line tells of a node, whatever else it tells.
        let mut slots = self.slots.iter().enumerate();
        let living = slots.find_map(|(index, slot)| Some((index, slot.life.as_ref()?.pid)));
        let (index, pid) = living.unwrap_or((0, Pid::from_raw(0)));
        let header = self.header(index, pid);
        if self.record.rotate_if_due(&header) {
            self.owe(Life::owe_reopening);
        }
    }

    /// Takes in what a node has reported of events that it could not write.
    pub(super) fn note_lost(&mut self, index: usize) {
        let Some(life) = &mut self.slots[index].life else {
            return;
        };
        let (pid, (events, errno)) = (life.pid, std::mem::take(&mut life.lost));
        if events > 0 {
            let header = self.header(index, pid);
            self.record.note_lost(&header, events, errno);
        }
    }
}
