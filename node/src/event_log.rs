//! The event log of a cluster: `RUN_DIR/events.jsonl`, one JSON object per line.

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
/// Whole lines go out in one `write(2)` on a descriptor opened with `O_APPEND`, so the lines of different
/// processes never interleave. The log serves people and verdicts, not the work: a failed write is counted,
/// warned about once, and stops nothing.
///
/// If another file takes the name of the log, the log is opened again ([`EventLog::reopen`]), even if its own file
/// is removed before the request to reopen arrives.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    path: PathBuf,
    /// The lines of one write; kept to avoid allocating it again.
    buffer: Vec<u8>,
    lost: Lost,
    /// The last write ended within a line.
    torn: bool,
    /// The warning that the log cannot be opened again was logged.
    warned: bool,
}

/// What could not be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// How many events.
    pub events: u64,
    /// The error of the last failed write.
    pub errno: i32,
}

/// The fields before an event's own: which node it is about.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Header {
    /// The node.
    pub node: NodeId,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Its process ID.
    pub pid: i32,
    /// The highest term that the writer knows.
    pub term: Term,
    /// The node's role; none if the writer does not know it.
    pub role: Option<RoleName>,
}

/// The time of a write, by two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Wall clock time.
    pub ts: SystemTime,
    /// `CLOCK_MONOTONIC`, which all processes of a machine share, in nanoseconds.
    pub mono_ns: u64,
}

impl EventLog {
    /// Opens the event log of a run directory for appending, and creates it (mode 0600) if it is missing. A
    /// link in its place is not followed.
    ///
    /// # Errors
    ///
    /// The error of `open(2)`, or the name belongs to something that is not a file.
    pub fn open(run_dir: &Path) -> io::Result<EventLog> {
        let path = run_dir.join(FILE_NAME);
        Ok(EventLog::on(
            open(&path, OpenOptions::new().create(true))?,
            path,
        ))
    }

    /// Creates a file that may become the event log; the path must not exist.
    ///
    /// # Errors
    ///
    /// The error of `open(2)`.
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

    /// Whether the path leads to a different file than the open one, or to none.
    pub fn is_replaced(&self) -> bool {
        let id = |found: Metadata| (found.dev(), found.ino());
        let (held, found) = (self.file.metadata(), std::fs::symlink_metadata(&self.path));
        found.ok().map(id) != held.ok().map(id)
    }

    /// Restores the user's permissions on the file, if somebody has removed them. False if it now belongs to
    /// another user.
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

    /// Whether the name of the log belongs to something that this user cannot open: not a file, or another user's.
    pub fn is_obstructed(&self) -> bool {
        let found = std::fs::symlink_metadata(&self.path);
        found.is_ok_and(|found| !found.is_file() || found.uid() != geteuid().as_raw())
    }

    /// Continues in the file that now has the name of the log, and creates one if there is none. If that fails, it
    /// continues in the old file, with a warning. Returns whether it succeeded.
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

    /// Continues in the file of another log, which now has the name of this one.
    pub fn go_on_in(&mut self, other: EventLog) {
        self.file = other.file;
        self.torn = false;
    }

    /// The length of its file, in bytes.
    ///
    /// # Errors
    ///
    /// The error of `fstat(2)`.
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
        // The file was removed and no request to reopen has arrived: nobody would ever read the lines.
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
    /// The error of `write(2)`.
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
            // Otherwise the torn line would corrupt the next one too.
            self.buffer.push(b'\n');
        }
        add_lines(&mut self.buffer, at, header, events)
    }

    fn count_lost(&mut self, events: usize, error: &io::Error) {
        if self.lost.events == 0 {
            tracing::warn!(
                "cannot write to the event log {}: {error}; events will be missing from it; the work continues",
                self.path.display()
            );
        }
        self.lost.events += events as u64;
        // Serializing these lines cannot fail, so this is an error of the system.
        self.lost.errno = error.raw_os_error().unwrap_or(libc::EIO);
    }
}

/// Appends events that happened together to a text, one line each, in the format of the log.
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

/// Opens a log for appending; fails if it is not a regular file.
fn open(path: &Path, how: &mut OpenOptions) -> io::Result<File> {
    let file = how
        .append(true)
        .mode(0o600)
        // Follows no link, and does not block on a FIFO.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(format!(
            "{FILE_NAME} is not a regular file"
        )));
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
    /// A part of the lines was written.
    within_a_line: bool,
}

/// Writes lines with one system call. A short write is not continued, since another process may have written in
/// between: it ends the line, if there is room for that, and asks the system for the reason.
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

/// The error behind a short write.
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
