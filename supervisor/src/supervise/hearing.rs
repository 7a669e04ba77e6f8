//! What the nodes report.

use protocol::status::RoleName;

use super::Supervisor;
use crate::slot::Slot;

impl Supervisor<'_> {
    pub(super) fn read_reports(&mut self) {
        for index in 0..self.slots.len() {
            self.read_reports_of(index);
        }
    }

    /// True if there may be more.
    pub(super) fn read_reports_of(&mut self, index: usize) -> bool {
        let Some(life) = &mut self.slots[index].life else {
            return false;
        };
        let more = life.read_reports();
        self.viable |= life.bound;
        for spec in std::mem::take(&mut life.fired) {
            self.launch.fault_fired(spec);
        }
        let mut ignored = None;
        let mut charged = 0;
        if let Some(status) = &mut life.status {
            ignored = status.ignored.take();
            charged = status.deaths_charged;
            self.highest = self.highest.max(status.highest);
            if status.role == RoleName::Coordinator && status.highest > self.announced {
                self.announced = status.highest;
                // What was told to its predecessor may have come after its own first look.
                self.watch.hint_due = true;
                let (node, term) = (status.highest.node, status.highest.term);
                tracing::info!("node {node} is coordinator in epoch {term}.{node}");
            }
        }
        if let Some(ignored) = ignored {
            self.note_ignored(ignored);
        }
        self.note_charged(charged);
        self.note_trouble(index);
        self.note_lost(index);
        more
    }

    /// The jobs that may have caused these deaths are marked.
    pub(super) fn note_charged(&mut self, charged: u64) {
        if charged > self.casualties.deaths.charged {
            self.casualties.deaths.charged = charged;
            self.owe_deaths();
        }
    }

    /// Tells what keeps a node from its peers, once, and when that is over.
    pub(super) fn note_trouble(&mut self, index: usize) {
        let Slot { id, life, told, .. } = &mut self.slots[index];
        let Some(life) = life else { return };
        if let Some(trouble) = life.trouble.take() {
            life.repeats = told.as_ref() == Some(&trouble);
            if !life.repeats {
                tracing::error!("node {id}: {trouble}");
                *told = Some(trouble);
            }
        } else if life.bound && !life.unreachable && told.take().is_some() {
            tracing::info!("node {id} can be reached by its peers now");
        }
    }
}
