//! Reading an event log.

mod event;
pub mod order;
pub mod parts;
mod reader;

use std::collections::BTreeMap;
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
    /// Where in `events` those of a name are.
    by_name: BTreeMap<Arc<str>, Vec<usize>>,
}

impl Log {
    /// Reads the log of the latest run, with its rotated files; an empty one if there is none. A line
    /// that cannot be read is the last of its file.
    pub fn read(path: &Path) -> Log {
        let mut text = Text::default();
        let parts = parts::of_run(path).unwrap_or_default();
        for part in &parts {
            let _ = text.take(BufReader::new(&part.file));
        }
        Log {
            is_cut: !parts::are_all(&parts),
            ..text.end()
        }
    }

    /// Reads the files of a run, oldest first.
    ///
    /// # Errors
    ///
    /// One of them cannot be read.
    pub fn read_parts(parts: &[Part]) -> io::Result<Log> {
        let mut text = Text::default();
        for part in parts {
            text.take(BufReader::new(&part.file))?;
        }
        Ok(Log {
            is_cut: !parts::are_all(parts),
            ..text.end()
        })
    }

    /// Reads the text of a log. What is no whole event is counted and left out; a line may hold
    /// the beginning of one event and all of the next, which counts.
    pub fn parse(text: &[u8]) -> Log {
        let mut read = Text::default();
        // Memory is always read.
        let _ = read.take(text);
        read.end()
    }

    /// The events of a name, in order.
    pub fn named(&self, name: &str) -> impl DoubleEndedIterator<Item = &Event> {
        let known = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        known.iter().map(|&index| &self.events[index])
    }

    /// Whether no event is known to be missing: only then does the lack of one show anything.
    pub fn is_whole(&self) -> bool {
        self.torn.is_empty() && self.lost == 0 && !self.is_cut
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
struct Text {
    reader: Reader,
    events: Vec<Event>,
}

impl Text {
    fn take(&mut self, mut text: impl BufRead) -> io::Result<()> {
        let mut line = Vec::new();
        while text.read_until(b'\n', &mut line)? > 0 {
            let event = self.reader.take(line.strip_suffix(b"\n").unwrap_or(&line));
            self.events
                .extend(event.filter(|event| event.name() != parts::CONTINUED));
            line.clear();
        }
        Ok(())
    }

    fn end(self) -> Log {
        let mut events = self.events;
        events.sort_by_key(|event| (event.at(), event.line));
        let mut by_name: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
        for (index, event) in events.iter().enumerate() {
            by_name.entry(event.shared_name()).or_default().push(index);
        }
        let mut log = Log {
            events,
            torn: self.reader.torn,
            by_name,
            ..Log::default()
        };
        let counts = log.named("events_lost").map(|lost| lost.number("count"));
        log.lost = counts.fold(0, u64::saturating_add);
        log
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
