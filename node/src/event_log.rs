//! The event log of a cluster: `RUN_DIR/events.jsonl`, one JSON object a line.

#[cfg(test)]
mod tests;

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::geteuid;
use protocol::id::{Incarnation, NodeId, Term};
use protocol::status::RoleName;
use serde::{Serialize, Serializer};

/// Name of the event log within the run directory.
pub const FILE_NAME: &str = "events.jsonl";

/// Appends events to the log that all processes of a cluster share.
///
/// Whole lines go out in one `write(2)` on a descriptor opened with `O_APPEND`, so the lines of
/// different processes never interleave. The log serves people and verdicts, not the work: a
/// write that fails is counted and warned about once, and stops nothing.
///
/// Another file may take the name of the log: then it is opened again ([`EventLog::reopen`]), also if
/// its own file was removed before it has heard of that.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    path: PathBuf,
    /// Holds the lines of one write; kept to spare its allocation.
    buffer: Vec<u8>,
    lost: Lost,
    /// The last write ended within a line.
    torn: bool,
    /// It was warned that the log cannot be opened again.
    warned: bool,
}

/// What could not be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// How many events.
    pub events: u64,
    /// What the system said to the last write that failed.
    pub errno: i32,
}

/// The fields that stand in front of an event's own: of whom it tells.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Header {
    /// The node.
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnation,
    /// Its process ID.
    pub pid: i32,
    /// The highest term that the writer knows.
    pub term: Term,
    /// What the node does; none where the writer does not know.
    pub role: Option<RoleName>,
}

/// When lines are written, by two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The wall's.
    pub ts: SystemTime,
    /// `CLOCK_MONOTONIC`, which all processes of a machine share, in nanoseconds.
    pub mono_ns: u64,
}

impl EventLog {
    /// Opens the event log of a run directory for appending, and makes it (mode 0600) if it is
    /// not there. A link in its place is not followed.
    ///
    /// # Errors
    ///
    /// Whatever `open(2)` says, or something else than a file has the name.
    pub fn open(run_dir: &Path) -> io::Result<EventLog> {
        let path = run_dir.join(FILE_NAME);
        Ok(EventLog::on(
            open(&path, OpenOptions::new().create(true))?,
            path,
        ))
    }

    /// Makes a file that may become the event log, where nothing is yet.
    ///
    /// # Errors
    ///
    /// Whatever `open(2)` says.
    pub fn create(path: &Path) -> io::Result<EventLog> {
        let file = open(path, OpenOptions::new().create_new(true))?;
        Ok(EventLog::on(file, path.to_owned()))
    }

    fn on(file: File, path: PathBuf) -> EventLog {
        EventLog {
            file,
            path,
            buffer: Vec::new(),
            lost: Lost::default(),
            torn: false,
            warned: false,
        }
    }

    /// Whether the path leads to another file than the one that is written to, or to none.
    pub fn is_replaced(&self) -> bool {
        let id = |found: Metadata| (found.dev(), found.ino());
        let (held, found) = (self.file.metadata(), std::fs::symlink_metadata(&self.path));
        found.ok().map(id) != held.ok().map(id)
    }

    /// Lets its user read and write its file again, if somebody has taken that away. False if it is another
    /// user's by now.
    pub fn restore_rights(&self) -> bool {
        let is_open = |found: &Metadata| found.mode() & 0o600 == 0o600;
        self.file.metadata().is_ok_and(|found| {
            let own = found.uid() == geteuid().as_raw();
            own && (is_open(&found)
                || self
                    .file
                    .set_permissions(Permissions::from_mode(0o600))
                    .is_ok())
        })
    }

    /// Whether what has the name of the log is none that this user could open: it is no file, or another
    /// user's.
    pub fn is_obstructed(&self) -> bool {
        let found = std::fs::symlink_metadata(&self.path);
        found.is_ok_and(|found| !found.is_file() || found.uid() != geteuid().as_raw())
    }

    /// Goes on in the file that has the name of the log now, and makes one if there is none. Where that
    /// cannot be, it goes on in the old one, with a warning. Tells whether it is done.
    pub fn reopen(&mut self) -> bool {
        match open(&self.path, OpenOptions::new().create(true)) {
            Ok(file) => {
                self.file = file;
                self.torn = false;
                self.warned = false;
            }
            Err(error) if !self.warned => {
                self.warned = true;
                tracing::warn!(
                    "cannot open the event log {} again: {error}; events go to the file that had its name before",
                    self.path.display()
                );
            }
            Err(_) => {}
        }
        !self.warned
    }

    /// Goes on in the file of another, which has got the name of this one.
    pub fn go_on_in(&mut self, other: EventLog) {
        self.file = other.file;
        self.torn = false;
    }

    /// How long its file is, in bytes.
    ///
    /// # Errors
    ///
    /// Whatever `fstat(2)` says.
    pub fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Appends one event. Its type serializes as an object with its name in the field `event`.
    pub fn write(&mut self, header: &Header, event: &impl Serialize) {
        self.write_all_lines(header, std::slice::from_ref(event));
    }

    /// Appends events that happened together: one line each, one time stamp, one write for all.
    pub fn write_all_lines<E: Serialize>(&mut self, header: &Header, events: &[E]) {
        if events.is_empty() {
            return;
        }
        // It was removed before this process heard of another: nobody would ever read the lines.
        if self.file.metadata().is_ok_and(|found| found.nlink() == 0) {
            self.reopen();
        }
        if let Err(error) = self.append(header, events) {
            self.count_lost(events.len(), &error);
        }
    }

    /// As [`EventLog::write`], but an event that cannot be written is not counted.
    ///
    /// # Errors
    ///
    /// Whatever `write(2)` says.
    pub fn try_write(&mut self, header: &Header, event: &impl Serialize) -> io::Result<()> {
        self.append(header, std::slice::from_ref(event))
    }

    fn append<E: Serialize>(&mut self, header: &Header, events: &[E]) -> io::Result<()> {
        self.encode(header, events)?;
        let written = append(&self.file, &self.buffer);
        self.torn = match &written {
            Ok(()) => false,
            Err(failed) => self.torn || failed.within_a_line,
        };
        written.map_err(|failed| failed.error)
    }

    /// What could not be written so far.
    pub fn lost(&self) -> Lost {
        self.lost
    }

    fn encode<E: Serialize>(&mut self, header: &Header, events: &[E]) -> io::Result<()> {
        let at = Moment::now()?;
        self.buffer.clear();
        if self.torn {
            // Otherwise the rest of the torn line would spoil the next one too.
            self.buffer.push(b'\n');
        }
        add_lines(&mut self.buffer, at, header, events)
    }

    fn count_lost(&mut self, events: usize, error: &io::Error) {
        if self.lost.events == 0 {
            tracing::warn!(
                "cannot write to the event log {}: {error}; it will lack events, the work goes on",
                self.path.display()
            );
        }
        self.lost.events += events as u64;
        // Of the lines that are made here nothing else can fail than the system.
        self.lost.errno = error.raw_os_error().unwrap_or(libc::EIO);
    }
}

/// Adds events that happened together to a text, a line each, as they stand in a log.
///
/// # Errors
///
/// An event that cannot be serialized.
pub fn add_lines<E: Serialize>(
    text: &mut Vec<u8>,
    at: Moment,
    header: &Header,
    events: &[E],
) -> io::Result<()> {
    let Moment { ts, mono_ns } = at;
    for event in events {
        let line = Line {
            ts,
            mono_ns,
            header,
            event,
        };
        serde_json::to_writer(&mut *text, &line)?;
        text.push(b'\n');
    }
    Ok(())
}

/// Opens a log for appending, and nothing but a file.
fn open(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    let file = how
        .append(true)
        .mode(0o600)
        // Neither led elsewhere by a link nor held up by a FIFO.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!("{FILE_NAME} is no regular file")));
    }
    Ok(file)
}

/// One line of the log.
#[derive(Serialize)]
struct Line<'a, E> {
    #[serde(serialize_with = "rfc3339")]
    ts: SystemTime,
    mono_ns: u64,
    #[serde(flatten)]
    header: &'a Header,
    #[serde(flatten)]
    event: &'a E,
}

/// A write that failed.
struct Failed {
    error: io::Error,
    /// Part of what was to be written stands in the file.
    within_a_line: bool,
}

/// Writes lines with one system call. A short write is not continued, since another process may have
/// written by then: its line is ended, if there is room for that, and the system asked for the reason.
fn append(mut file: &File, lines: &[u8]) -> Result<(), Failed> {
    let mut write = |bytes: &[u8]| loop {
        match file.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            written => return written,
        }
    };
    let failed = |error: io::Error, within_a_line| Failed {
        error,
        within_a_line,
    };
    match write(lines) {
        Ok(written) if written == lines.len() => Ok(()),
        Ok(0) => Err(failed(no_space(), false)),
        Ok(_) => match write(b"\n") {
            Ok(1) => Err(failed(no_space(), false)),
            Ok(_) => Err(failed(no_space(), true)),
            Err(error) => Err(failed(error, true)),
        },
        Err(error) => Err(failed(error, false)),
    }
}

/// What a write that was cut short would have said.
fn no_space() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSPC)
}

impl Moment {
    fn now() -> io::Result<Moment> {
        let ts = SystemTime::now();
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
        let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
        let nanos = u64::try_from(now.tv_nsec()).unwrap_or(0);
        let mono_ns = seconds * 1_000_000_000 + nanos;
        Ok(Moment { ts, mono_ns })
    }
}

/// RFC 3339, UTC, with microseconds.
fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_micros(*time))
}
