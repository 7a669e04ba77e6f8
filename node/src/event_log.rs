//! The event log of a cluster: `RUN_DIR/events.jsonl`, one JSON object a line.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::time::{ClockId, clock_gettime};
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
        let ts = SystemTime::now();
        let mono_ns = monotonic_ns()?;
        self.buffer.clear();
        if self.torn {
            // Otherwise the rest of the torn line would spoil the next one too.
            self.buffer.push(b'\n');
        }
        for event in events {
            let line = Line {
                ts,
                mono_ns,
                header,
                event,
            };
            serde_json::to_writer(&mut self.buffer, &line)?;
            self.buffer.push(b'\n');
        }
        Ok(())
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

/// Nanoseconds of `CLOCK_MONOTONIC`, which all processes of a machine share.
fn monotonic_ns() -> io::Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
    let nanos = u64::try_from(now.tv_nsec()).unwrap_or(0);
    Ok(seconds * 1_000_000_000 + nanos)
}

/// RFC 3339, UTC, with microseconds.
fn rfc3339<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_rfc3339_micros(*time))
}

#[cfg(test)]
mod tests {
    use protocol::trace::{ElectionCause, Trace};
    use serde_json::Value;

    use super::*;

    const HEADER: Header = Header {
        node: NodeId(3),
        incarnation: Incarnation(7),
        pid: 41,
        term: Term(2),
        role: Some(RoleName::Candidate),
    };

    fn lines(dir: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(dir.join(FILE_NAME)).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_line_holds_the_header_and_the_events_own_fields_flat() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = EventLog::open(dir.path()).unwrap();
        let why = ElectionCause::CoordinatorLost;
        log.write(&HEADER, &Trace::ElectionStarted { why });

        let line = &lines(dir.path())[0];
        assert_eq!(line["node"], 3);
        assert_eq!(line["incarnation"], 7);
        assert_eq!(line["pid"], 41);
        assert_eq!(line["term"], 2);
        assert_eq!(line["role"], "candidate");
        assert_eq!(line["event"], "election_started");
        assert_eq!(line["why"], "coordinator_lost");
        assert!(line["mono_ns"].as_u64().unwrap() > 0);
        let ts = line["ts"].as_str().unwrap();
        assert_eq!(ts.len(), "2026-01-02T03:04:05.000006Z".len(), "{ts}");
        humantime::parse_rfc3339(ts).unwrap();
    }

    #[test]
    fn logs_of_two_processes_append_to_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = EventLog::open(dir.path()).unwrap();
        let mut second = EventLog::open(dir.path()).unwrap();
        first.write_all_lines(&HEADER, &[Trace::Started, Trace::ElectionWon]);
        second.write(&HEADER, &Trace::Acting);
        first.write_all_lines::<Trace>(&HEADER, &[]);
        first.write(&HEADER, &Trace::Gap { ms: 12 });

        let events: Vec<Value> = lines(dir.path())
            .iter()
            .map(|line| line["event"].clone())
            .collect();
        assert_eq!(events, ["started", "election_won", "acting", "gap"]);
    }

    #[test]
    fn a_full_disk_is_counted_and_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let full = File::options().append(true).open("/dev/full").unwrap();
        let mut log = EventLog::on(full, dir.path().join(FILE_NAME));
        log.write(&HEADER, &Trace::Started);
        log.write_all_lines(&HEADER, &[Trace::ElectionWon, Trace::Acting]);
        let errno = libc::ENOSPC;
        assert_eq!(log.lost(), Lost { events: 3, errno });
    }

    #[test]
    fn another_file_that_has_the_name_is_written_to_when_that_is_told_or_ones_own_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let old = dir.path().join("old");
        let mut log = EventLog::open(dir.path()).unwrap();
        let mut deaf = EventLog::open(dir.path()).unwrap();
        log.write(&HEADER, &Trace::Started);
        std::fs::rename(&path, &old).unwrap();
        log.reopen();
        log.write(&HEADER, &Trace::ElectionWon);
        deaf.write(&HEADER, &Trace::Gap { ms: 1 });
        assert_eq!(std::fs::read_to_string(&old).unwrap().lines().count(), 2);
        assert_eq!(lines(dir.path()).len(), 1);

        std::fs::remove_file(&old).unwrap();
        deaf.write(&HEADER, &Trace::Gap { ms: 2 });
        let events = lines(dir.path());
        assert_eq!(events[0]["event"], "election_won");
        assert_eq!(events[1]["ms"], 2);

        // What cannot be opened again is gone on with.
        std::fs::rename(&path, &old).unwrap();
        std::fs::create_dir(&path).unwrap();
        log.reopen();
        log.write(&HEADER, &Trace::Acting);
        assert_eq!(std::fs::read_to_string(&old).unwrap().lines().count(), 3);
        assert_eq!(log.lost(), Lost::default());
    }

    #[test]
    fn what_is_no_file_is_no_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let elsewhere = dir.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        EventLog::open(dir.path()).unwrap_err();
        assert!(!elsewhere.exists());

        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        // With a reader, which it would otherwise wait for.
        let _reader = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .unwrap();
        EventLog::open(dir.path()).unwrap_err();
    }
}
