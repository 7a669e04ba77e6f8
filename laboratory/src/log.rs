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

/// All nodes of a supervisor that was killed are dead within this, but those that wait for a disk, which say
/// nothing more.
const DYING_NS: u64 = 2_000_000_000;

/// The events of a run, in the order of the clock that all processes share.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// What happened, sorted by time.
    pub events: Vec<Event>,
    /// The lines that are no event: a process or the disk ended within them.
    pub torn: Vec<Torn>,
    /// How many events are said to be missing, since they could not be written.
    pub lost: u64,
    /// A file of the run is missing: its first ones are removed where the log is rotated often.
    pub is_cut: bool,
    /// What it tells of the run as a whole.
    pub about: About,
    /// What is left of the lines that `events` lacks, since no law asks for them.
    pub(crate) let_go: Option<LetGo>,
    /// How many lines there were.
    lines: usize,
    /// Where in `events` those of a name are.
    by_name: BTreeMap<Arc<str>, Vec<usize>>,
}

impl Log {
    /// Reads the log of the latest run, with its rotated files; an empty one if there is none. A line
    /// that cannot be read is the last of its file.
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

    /// Reads the text of a log. What is no whole event is counted and left out; a line may hold
    /// the beginning of one event and all of the next, which counts.
    pub fn parse(text: &[u8]) -> Log {
        let mut read = Text::default();
        let mut events = Vec::new();
        // Memory is always read.
        let _ = read.read(text, |event| events.push(event));
        read.end(false).with_events(events)
    }

    /// The events of a name, in order.
    pub fn named(&self, name: &str) -> impl DoubleEndedIterator<Item = &Event> {
        let known = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        known.iter().map(|&index| &self.events[index])
    }

    /// How many events it tells of, with those that it has let go.
    pub(crate) fn count(&self) -> usize {
        let let_go = self.let_go.as_ref().map_or(0, LetGo::count);
        self.events.len() + let_go
    }

    /// The events in the order in which they stand in the files.
    pub(crate) fn in_order_of_lines(&self) -> Vec<&Event> {
        let mut events: Vec<&Event> = self.events.iter().collect();
        events.sort_unstable_by_key(|event| event.line);
        events
    }

    /// Whether no event is known to be missing: only then does the lack of one show anything.
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

    /// When the supervisor died of a run that nobody asked to end: with it its nodes died, and those that were
    /// last saw the links of the first end, which nobody told. At the latest, its last event.
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

    /// The log of a run whose supervisor was killed: nobody has told the ends of its nodes, which came with
    /// that. Each is told then as of that moment, or of its last word if that is later.
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

    /// Whether an event may be missing between two: of one life, no torn line of another counts.
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
    /// Reads what follows, and gives how many bytes there were.
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

    /// All but the events.
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

/// Opens a log file for reading, without following a link in its place, and without waiting for a
/// writer of a FIFO: nothing but a regular file is a log.
///
/// # Errors
///
/// It is no regular file, or the system does not open it.
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

/// `CLOCK_MONOTONIC`, in nanoseconds, as in the log; 0 where there is no such clock.
pub fn now_ns() -> u64 {
    let number = |value| u64::try_from(value).unwrap_or_default();
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |now| {
        number(now.tv_sec()) * 1_000_000_000 + number(now.tv_nsec())
    })
}
