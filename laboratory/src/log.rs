//! Reading an event log.

mod event;
pub mod order;
pub mod parts;
mod reader;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::time::{ClockId, clock_gettime};

pub use self::event::{Event, Fields, Life, Op};
use self::parts::Part;
use self::reader::Reader;
pub use self::reader::Torn;
pub use self::run::{About, Settings};
use crate::verdict::LetGo;

/// When a supervisor is killed, all its nodes are dead within this, except those that wait for a disk, which log
/// nothing more.
const DYING_NS: u64 = 2_000_000_000;

/// The events of a run, in the order of the clock that all processes share.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// What happened, sorted by time.
    pub events: Vec<Event>,
    /// The torn lines: the process died, or the disk was full, before their end.
    pub torn: Vec<Torn>,
    /// The number of events reported as lost, since they could not be written.
    pub lost: u64,
    /// A file of the run is missing: rotation removes the first ones.
    pub is_cut: bool,
    /// What it says about the run as a whole.
    pub about: About,
    /// The summary of discarded lines, which are not in `events`, since no law needs them.
    pub(crate) let_go: Option<LetGo>,
    /// How many lines there were.
    lines: usize,
    /// The positions in `events` of each name.
    by_name: BTreeMap<Arc<str>, Vec<usize>>,
}

impl Log {
    /// Reads the log of the latest run, with its rotated files; an empty one if there is none. Reading a file
    /// stops at a line that cannot be read.
    pub fn read(path: &Path) -> Log {
        let mut text = Text::default();
        let mut events = Vec::new();
        let parts = parts::of_run(path).unwrap_or_default();
        for part in &parts {
            let _ = text.read(BufReader::new(&part.file), |event| events.push(event));
        }
        let log = text.end(!parts::are_all(&parts));
        log.with_events(events)
    }

    /// Reads the files of a run, oldest first.
    ///
    /// # Errors
    ///
    /// One of them cannot be read.
    pub fn read_parts(parts: &[Part]) -> io::Result<Log> {
        let mut text = Text::default();
        let mut events = Vec::new();
        for part in parts {
            text.read(BufReader::new(&part.file), |event| events.push(event))?;
        }
        let log = text.end(!parts::are_all(parts));
        Ok(log.with_events(events))
    }

    /// Reads the text of a log. Torn lines are counted and left out; a line may contain the beginning of
    /// one event and all of the next, which is read.
    pub fn parse(text: &[u8]) -> Log {
        let mut read = Text::default();
        let mut events = Vec::new();
        // Reading memory cannot fail.
        let _ = read.read(text, |event| events.push(event));
        read.end(false).with_events(events)
    }

    /// The events of a name, in order.
    pub fn named(&self, name: &str) -> impl DoubleEndedIterator<Item = &Event> {
        let known = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        known.iter().map(|&index| &self.events[index])
    }

    /// The number of its events, including discarded ones.
    pub(crate) fn count(&self) -> usize {
        let let_go = self.let_go.as_ref().map_or(0, LetGo::count);
        self.events.len() + let_go
    }

    /// The events in file order.
    pub(crate) fn in_order_of_lines(&self) -> Vec<&Event> {
        let mut events: Vec<&Event> = self.events.iter().collect();
        events.sort_unstable_by_key(|event| event.line);
        events
    }

    /// Whether no event is known to be missing: only then does the absence of one prove anything.
    pub fn is_whole(&self) -> bool {
        self.torn.is_empty() && self.lost == 0 && !self.is_cut
    }

    /// The log as if no line of it were missing.
    pub(crate) fn taken_for_whole(mut self) -> Log {
        let mut told = std::mem::take(&mut self.events);
        told.retain(|event| event.name() != "events_lost");
        self.torn.clear();
        self.is_cut = false;
        self.with_events(told)
    }

    /// When the supervisor died, in a run that nobody asked to end: its nodes died with it, and the last of them
    /// saw the links of the first close, although no death was logged. At the latest, its last event.
    pub fn supervisor_died_at(&self) -> u64 {
        let last = self.events.last().map_or(0, Event::at);
        let exits = self.named("node_exited").map(Event::life);
        let told: BTreeSet<Life> = exits.collect();
        let lost = self.named("peer_down").filter(|lost| {
            let peer = (lost.number("peer"), lost.number("peer_incarnation"));
            lost.text("by") == "link" && !told.contains(&peer)
        });
        let mut lost = lost.filter(|lost| lost.at() + DYING_NS >= last);
        lost.next().map_or(last, |lost| lost.at().saturating_sub(1))
    }

    /// The log of a run whose supervisor was killed, completed by the exits of its nodes, which nobody
    /// logged. Each gets the time of the supervisor's death, or of its own last line if that is later.
    #[must_use]
    pub fn with_untold_exits(mut self, died_at: u64) -> Log {
        let mut lives: BTreeMap<Life, (usize, u64)> = BTreeMap::new();
        for (index, event) in self.events.iter().enumerate() {
            let is_over = lives
                .get(&event.life())
                .is_some_and(|&(_, at)| at == u64::MAX);
            let at = if is_over || event.name() == "node_exited" {
                u64::MAX
            } else {
                event.at().max(died_at)
            };
            lives.insert(event.life(), (index, at));
        }
        for (index, at) in lives.into_values().filter(|&(_, at)| at < u64::MAX) {
            self.lines += 1;
            let exit = self.events[index].exit_of(self.lines, at);
            if let Some(let_go) = &mut self.let_go {
                let_go.take(&exit);
            }
            self.events.push(exit);
        }
        self.sort();
        self
    }

    /// The same with these events.
    pub(crate) fn with_events(self, events: Vec<Event>) -> Log {
        let mut log = Log { events, ..self };
        log.sort();
        let counts = log.named("events_lost").map(|lost| lost.number("count"));
        log.lost = counts.fold(0, u64::saturating_add);
        log
    }

    fn sort(&mut self) {
        self.events.sort_by_key(|event| (event.at(), event.line));
        self.by_name.clear();
        for (index, event) in self.events.iter().enumerate() {
            let known = self.by_name.entry(event.shared_name()).or_default();
            known.push(index);
        }
    }

    /// Whether an event may be missing between two: for a given incarnation, torn lines of others do not count.
    pub fn may_lack_between(&self, first: &Event, second: &Event) -> bool {
        let lines = first.line.min(second.line)..=first.line.max(second.line);
        let may_tell_of =
            |torn: &Torn| first.life() != second.life() || torn.may_be_of(first.life());
        let mut torn = self.torn.iter();
        torn.any(|torn| lines.contains(&torn.line) && may_tell_of(torn))
            || self.lost > 0
            || self.is_cut
    }
}

/// The lines of a log, file by file.
#[derive(Debug, Default)]
pub(crate) struct Text {
    reader: Reader,
    about: About,
}

impl Text {
    /// Reads the following lines, and returns the number of bytes.
    pub(crate) fn read(
        &mut self,
        mut text: impl BufRead,
        mut take: impl FnMut(Event),
    ) -> io::Result<u64> {
        let mut line = Vec::new();
        let mut bytes = 0;
        loop {
            line.clear();
            let length = text.read_until(b'\n', &mut line)?;
            if length == 0 {
                return Ok(bytes);
            }
            bytes += length as u64;
            let event = self.reader.take(line.strip_suffix(b"\n").unwrap_or(&line));
            match event {
                Some(event) if run::is_of_run(event.name()) => self.about.take(&event),
                Some(event) if event.name() != parts::CONTINUED => take(event),
                _ => {}
            }
        }
    }

    /// Everything except the events.
    pub(crate) fn end(self, is_cut: bool) -> Log {
        Log {
            lines: self.reader.lines,
            torn: self.reader.torn,
            about: self.about,
            is_cut,
            ..Log::default()
        }
    }
}

/// Opens a log file for reading, without following a link or blocking on a FIFO: only a regular file is a log.
///
/// # Errors
///
/// It is not a regular file, or the system does not open it.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(path);
    let no_file = || io::Error::other("it is no regular file");
    match opened {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => Err(no_file()),
        Err(error) if is_no_file(&error) => Err(no_file()),
        Err(error) => Err(error),
    }
}

/// A link, or a socket.
fn is_no_file(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(errno, Some(Errno::ELOOP | Errno::ENXIO))
}

/// `CLOCK_MONOTONIC`, in nanoseconds, as in the log; 0 if there is no such clock.
pub fn now_ns() -> u64 {
    let number = |value| u64::try_from(value).unwrap_or_default();
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| {
        number(now.tv_sec()) * 1_000_000_000 + number(now.tv_nsec())
    })
}
