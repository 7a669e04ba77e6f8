//! How what happens gets into the event log: before anything follows from it, and not always at once.

use protocol::time::Time;

use super::{Cluster, Happening};
use crate::event_log::{Fate, Hindrance};
use crate::fact::Life;
use crate::process::{Interrupted, Process};

impl Cluster {
    /// A process writes what its last step has told. It looks at the clock before each write, and may be
    /// kept from going on before and after that.
    pub(super) fn write_events(&mut self, process: &mut Process) -> Result<(), Interrupted> {
        while let Some(write) = process.unwritten.front_mut() {
            if !std::mem::replace(&mut write.has_waited, true) {
                self.may_wait(process)?;
            } else if write.clock.is_none() {
                write.clock = Some(self.now);
                write.has_waited = false;
            } else if let Some(write) = process.unwritten.pop_front() {
                self.event_log.add(process.life, self.now, write);
            }
        }
        Ok(())
    }

    fn may_wait(&mut self, process: &mut Process) -> Result<(), Interrupted> {
        if !self.event_log.delays() {
            return Ok(());
        }
        process.pass()?;
        let Some((hindrance, length)) = self.event_log.delay() else {
            return Ok(());
        };
        let until = self.now + length;
        let text = || format!("is kept from its event log for {length:?}: {hindrance:?}");
        self.record.note(self.now, Some(process.life.node), text);
        self.agenda.enter(until, Happening::GoesOn(process.life));
        match hindrance {
            Hindrance::SlowWrite => process.writes_until = until,
            Hindrance::Stall => process.stalled_until = process.stalled_until.max(until),
            Hindrance::Stop => return Err(Interrupted::Stopped),
        }
        Err(Interrupted::Held)
    }

    /// What kept a process from going on is over.
    pub(super) fn goes_on(&mut self, life: Life) {
        if self.is_life(life) {
            self.go_on(life.node);
            self.stall_over(life.node);
        }
    }

    /// The supervisor writes what became of a process.
    pub(super) fn tell_fate(&mut self, life: Life, fate: Fate) {
        let term = self.supervisor.term;
        self.event_log.tell(self.now, life, term, fate);
    }

    /// Processes write without delay from now on; tells how often they were kept from it.
    pub(crate) fn calm_log(&mut self) -> usize {
        for process in self.processes.iter_mut().flatten() {
            process.writes_until = Time(0);
        }
        self.event_log.calm()
    }
}

impl Happening {
    /// Whether it is the supervisor that does it.
    pub(super) fn is_of_supervisor(&self) -> bool {
        matches!(
            self,
            Happening::Reap(..)
                | Happening::Signalled(_)
                | Happening::Spawn(_)
                | Happening::Watchdog(_)
                | Happening::Tell
                | Happening::Report(..)
                | Happening::Dropped
        )
    }
}
