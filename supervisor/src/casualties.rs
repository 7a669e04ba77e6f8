//! Deaths that jobs caused: a node was killed for want of memory, or aborted by itself. The nodes that know
//! what was being computed mark it; the supervisor, who outlives them, keeps count.

use protocol::deaths::Deaths;

use crate::control_groups::kills::MemoryKills;
use crate::reap::Ending;

/// What nodes died of.
#[derive(Debug)]
pub(crate) struct Casualties {
    /// What the nodes are told.
    pub(crate) deaths: Deaths,
    kills: MemoryKills,
    /// Nodes that a SIGKILL has ended; of whom it came is what the control group tells.
    killed: u64,
    aborted: u64,
}

impl Casualties {
    pub(crate) fn new() -> Casualties {
        Casualties {
            deaths: Deaths::default(),
            kills: MemoryKills::watch(),
            killed: 0,
            aborted: 0,
        }
    }

    /// A node has ended; it may have said that it aborts.
    pub(crate) fn ended(&mut self, ending: Ending, aborts: bool) {
        match ending {
            Ending::Signal(libc::SIGABRT) if aborts => self.aborted += 1,
            Ending::Signal(libc::SIGKILL) => self.killed += 1,
            _ => {}
        }
    }

    /// Those that have died since the last look by what they were doing.
    pub(crate) fn fresh(&mut self) -> u64 {
        let killed = std::mem::take(&mut self.killed);
        let aborted = std::mem::take(&mut self.aborted);
        // What else the group has lost is none of ours.
        let kills = if killed > 0 { self.kills.fresh() } else { 0 };
        aborted + kills.min(killed)
    }
}
