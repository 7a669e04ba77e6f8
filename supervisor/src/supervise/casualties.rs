//! Deaths that jobs caused: a node was killed for want of memory, or aborted by itself. The nodes that know
//! what was being computed mark it; the supervisor, who outlives them, keeps count.

use protocol::deaths::Deaths;

use super::Supervisor;
use crate::memory::MemoryKills;
use crate::reap::Ending;
use crate::slot::Life;

/// What nodes died of.
#[derive(Debug)]
pub(super) struct Casualties {
    /// What the nodes are told.
    pub(super) deaths: Deaths,
    kills: MemoryKills,
    /// Nodes that a SIGKILL has ended; of whom it came is what the control group tells.
    killed: u64,
    aborted: u64,
}

impl Casualties {
    pub(super) fn new() -> Casualties {
        Casualties {
            deaths: Deaths::default(),
            kills: MemoryKills::watch(),
            killed: 0,
            aborted: 0,
        }
    }

    /// A node has ended; it may have said that it aborts.
    pub(super) fn ended(&mut self, ending: Ending, aborts: bool) {
        match ending {
            Ending::Signal(libc::SIGABRT) if aborts => self.aborted += 1,
            Ending::Signal(libc::SIGKILL) => self.killed += 1,
            _ => {}
        }
    }

    /// Those that have died since the last look by what they were doing.
    fn fresh(&mut self) -> u64 {
        let killed = std::mem::take(&mut self.killed);
        let aborted = std::mem::take(&mut self.aborted);
        // What else the group has lost is none of ours.
        let kills = if killed > 0 { self.kills.fresh() } else { 0 };
        aborted + kills.min(killed)
    }
}

impl Supervisor<'_> {
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

    /// The jobs that may have caused these deaths are marked.
    pub(super) fn note_charged(&mut self, charged: u64) {
        if charged > self.casualties.deaths.charged {
            self.casualties.deaths.charged = charged;
            self.owe_deaths();
        }
    }

    fn owe_deaths(&mut self) {
        self.owe(Life::owe_deaths);
    }
}
