//! The event log in the hands of the supervisor: it writes, it alone rotates, and it has it on record
//! when events could not be written.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use node::event_log::{EventLog, FILE_NAME, Header, Lost};
use protocol::id::{Incarnation, NodeId, Term};

use crate::events::{EventsLost, ProcessEvent, RunEvent};
use crate::rotation::Rotation;

/// How long to wait after what failed.
const AGAIN: Duration = Duration::from_secs(1);

/// Of whom a line tells that tells of the run as a whole: of the supervisor, and no life that there is.
fn of_run() -> Header {
    Header {
        node: NodeId(0),
        incarnation: Incarnation::default(),
        pid: nix::unistd::getpid().as_raw(),
        term: Term::default(),
        role: None,
    }
}

/// The event log, and what is missing from it.
#[derive(Debug)]
pub(crate) struct Record {
    log: EventLog,
    path: PathBuf,
    rotation: Rotation,
    /// What each file begins with.
    begun: RunEvent,
    /// Which file of this run is written.
    part: u64,
    /// How long that file was before anything happened.
    head: u64,
    /// A rotation failed, which was told.
    told: bool,
    /// What failed is tried again then.
    again_at: Option<Instant>,
    /// Of all processes of this run.
    lost: Lost,
    /// What the log does not say of that yet, by node.
    owed: BTreeMap<NodeId, (Header, u64)>,
}

impl Record {
    /// Opens the log of a run that begins.
    ///
    /// # Errors
    ///
    /// As [`EventLog::open`].
    pub(crate) fn open(run_dir: &Path, rotation: Rotation, begun: RunEvent) -> io::Result<Record> {
        let mut record = Record {
            log: EventLog::open(run_dir)?,
            path: run_dir.join(FILE_NAME),
            rotation,
            begun,
            part: 0,
            head: 0,
            told: false,
            again_at: None,
            lost: Lost::default(),
            owed: BTreeMap::new(),
        };
        record.begin_file();
        Ok(record)
    }

    /// Writes what a file begins with. It is no event of the run, so nothing is lost where it finds no room.
    fn begin_file(&mut self) {
        let _ = self.log.try_write(&of_run(), &self.begun);
        self.head = self.log.length().unwrap_or(0);
    }

    /// Writes that the run is to end.
    pub(crate) fn write_stopping(&mut self) {
        let _ = self.log.try_write(&of_run(), &RunEvent::Stopping);
    }

    /// Writes what became of a node's process.
    pub(crate) fn write(&mut self, header: &Header, event: &ProcessEvent) {
        let before = self.log.lost().events;
        self.log.write(header, event);
        let Lost { events, errno } = self.log.lost();
        if events > before {
            self.note_lost(header, events - before, errno);
        }
    }

    /// A process could not write that many events.
    pub(crate) fn note_lost(&mut self, header: &Header, events: u64, errno: i32) {
        self.lost.events = self.lost.events.saturating_add(events);
        self.lost.errno = errno;
        let (owed_of, owed) = self.owed.entry(header.node).or_insert((*header, 0));
        (*owed_of, *owed) = (*header, owed.saturating_add(events));
    }

    /// How the log is rotated.
    pub(crate) fn rotation(&self) -> Rotation {
        self.rotation
    }

    /// Goes on in a new file where the log was taken away, or where nobody could open it; what stands in its
    /// place is moved aside. True if that was so, and could be done.
    pub(crate) fn take_back(&mut self) -> bool {
        if !self.log.is_replaced() && self.log.restore_rights() {
            return false;
        }
        if self.log.is_obstructed() {
            self.move_aside();
        }
        let taken_back = self.log.reopen();
        if taken_back {
            self.begin_file();
        }
        taken_back
    }

    /// Moves what has the name of the log to a name that nothing has. Where that cannot be, opening says why.
    fn move_aside(&self) {
        let names = (1..).map(|number| self.path.with_added_extension(format!("aside{number}")));
        let mut free = names.filter(|name| name.symlink_metadata().is_err());
        if let Some(free) = free.next() {
            let _ = fs::rename(&self.path, free);
        }
    }

    /// What is missing from the log.
    pub(crate) fn lost(&self) -> Lost {
        self.lost
    }

    /// Rotates the log if it is long enough; true if its name leads to another file now. Nothing is
    /// tried before its time.
    pub(crate) fn rotate_if_due(&mut self, header: &Header) -> bool {
        if self.rotation.size == 0 || self.is_waiting() {
            return false;
        }
        let rotated = match self.log.length() {
            Ok(length) if length.saturating_sub(self.head) < self.rotation.size => return false,
            Ok(_) => self.rotate(header),
            Err(error) => Err(error),
        };
        if let Err(error) = &rotated {
            self.again_at = Some(Instant::now() + AGAIN);
            if !self.told {
                tracing::warn!(
                    "cannot rotate the event log {}: {error}; it grows until that is mended",
                    self.path.display()
                );
            }
        }
        self.told = rotated.is_err();
        rotated.is_ok()
    }

    fn rotate(&mut self, header: &Header) -> io::Result<()> {
        let next = self.rotation.rotate(&self.path, self.part + 1, header)?;
        self.part += 1;
        self.log.go_on_in(next);
        self.begin_file();
        Ok(())
    }

    /// Writes how many events are missing, if that is not on record and there is room for it again.
    pub(crate) fn tell_lost(&mut self, at_once: bool) {
        if self.is_waiting() && !at_once {
            return;
        }
        while let Some((node, (header, count))) = self.owed.pop_first() {
            if self.log.try_write(&header, &EventsLost { count }).is_err() {
                self.owed.insert(node, (header, count));
                self.again_at = Some(Instant::now() + AGAIN);
                return;
            }
        }
    }

    fn is_waiting(&self) -> bool {
        self.again_at.is_some_and(|at| Instant::now() < at)
    }
}
