//! Reading an event log.

mod event;
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
use self::reader::Reader;

/// The events of a run, in the order of the clock that all processes share.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// What happened, sorted by time.
    pub events: Vec<Event>,
    /// Positions of the lines that are no event: a process or the disk ended within them.
    pub torn: Vec<usize>,
    /// Where in `events` those of a name are.
    by_name: BTreeMap<Arc<str>, Vec<usize>>,
}

impl Log {
    /// Reads a log file; an empty one if there is none. A line that cannot be read is the last.
    pub fn read(path: &Path) -> Log {
        match open(path) {
            Ok(file) => Log::from(BufReader::new(file)),
            Err(_) => Log::default(),
        }
    }

    /// Reads the text of a log. What is no whole event is counted and left out; a line may hold
    /// the beginning of one event and all of the next, which counts.
    pub fn parse(text: &[u8]) -> Log {
        Log::from(text)
    }

    fn from(mut text: impl BufRead) -> Log {
        let mut reader = Reader::default();
        let mut events = Vec::new();
        let mut line = Vec::new();
        while text.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            events.extend(reader.take(line.strip_suffix(b"\n").unwrap_or(&line)));
            line.clear();
        }
        events.sort_by_key(|event: &Event| (event.at(), event.line));
        let mut by_name: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
        for (index, event) in events.iter().enumerate() {
            by_name.entry(event.shared_name()).or_default().push(index);
        }
        Log {
            events,
            torn: reader.torn,
            by_name,
        }
    }

    /// The events of a name, in order.
    pub fn named(&self, name: &str) -> impl DoubleEndedIterator<Item = &Event> {
        let known = self.by_name.get(name).map_or(&[][..], Vec::as_slice);
        known.iter().map(|&index| &self.events[index])
    }

    /// Whether a torn line stands between two events.
    pub fn is_torn_between(&self, first: &Event, second: &Event) -> bool {
        let lines = first.line.min(second.line)..=first.line.max(second.line);
        self.torn.iter().any(|line| lines.contains(line))
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
