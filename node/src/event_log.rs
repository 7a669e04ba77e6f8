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
#[derive(Debug)]
pub struct EventLog {
    file: File,
    path: PathBuf,
    /// Holds the lines of one write; kept to spare its allocation.
    buffer: Vec<u8>,
    lost: u64,
    /// Somebody was told that events may be lost.
    warned: bool,
    /// The last write ended within a line.
    torn: bool,
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
        Ok(EventLog::on(open(&path)?, path))
    }

    /// Whether the path leads to another file than the one that is written to, or to none.
    pub fn is_replaced(&self) -> bool {
        let id = |found: Metadata| (found.dev(), found.ino());
        let (held, found) = (self.file.metadata(), std::fs::symlink_metadata(&self.path));
        found.ok().map(id) != held.ok().map(id)
    }

    /// Opens the path again, and makes the file if it is not there; keeps the one that it has if that
    /// fails. Tells whether it is done.
    pub fn reopen(&mut self) -> bool {
        match open(&self.path) {
            Ok(file) => {
                self.file = file;
                self.torn = false;
                true
            }
            Err(error) => {
                self.warn_once(&error);
                false
            }
        }
    }

    fn on(file: File, path: PathBuf) -> EventLog {
        EventLog {
            file,
            path,
            buffer: Vec::new(),
            lost: 0,
            warned: false,
            torn: false,
        }
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
        let result = self
            .encode(header, events)
            .and_then(|()| append(&self.file, &self.buffer));
        match result {
            Ok(()) => self.torn = false,
            Err(failed) => {
                self.torn |= failed.within_a_line;
                self.count_lost(events.len(), &failed.error);
            }
        }
    }

    /// How many events could not be written.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn encode<E: Serialize>(&mut self, header: &Header, events: &[E]) -> Result<(), Failed> {
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
            serde_json::to_writer(&mut self.buffer, &line).map_err(io::Error::from)?;
            self.buffer.push(b'\n');
        }
        Ok(())
    }

    fn count_lost(&mut self, events: usize, error: &io::Error) {
        self.warn_once(error);
        self.lost += events as u64;
    }

    fn warn_once(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!(
                "cannot write to the event log {}: {error}; it will lack events, the work goes on",
                self.path.display()
            );
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
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

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed {
            error,
            within_a_line: false,
        }
    }
}

/// Writes lines with one system call. A short write is not continued: another process may have
/// written by then.
fn append(mut file: &File, lines: &[u8]) -> Result<(), Failed> {
    loop {
        match file.write(lines) {
            Ok(written) if written == lines.len() => return Ok(()),
            Ok(written) => {
                return Err(Failed {
                    error: io::ErrorKind::WriteZero.into(),
                    within_a_line: written > 0,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
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
    fn a_file_that_was_taken_away_is_made_again_when_it_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let mut log = EventLog::open(dir.path()).unwrap();
        assert!(!log.is_replaced());
        std::fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        log.write(&HEADER, &Trace::Started);
        assert!(log.is_replaced());
        // What cannot be opened leaves what there is.
        std::fs::create_dir(&path).unwrap();
        assert!(!log.reopen());
        log.write(&HEADER, &Trace::ElectionWon);
        std::fs::remove_dir(&path).unwrap();
        assert!(log.reopen() && !log.is_replaced());
        log.write(&HEADER, &Trace::Acting);
        assert_eq!(log.lost(), 0);
        let events: Vec<Value> = lines(dir.path());
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["event"], "acting");
    }

    #[test]
    fn a_full_disk_is_counted_and_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let full = File::options().append(true).open("/dev/full").unwrap();
        let mut log = EventLog::on(full, dir.path().join(FILE_NAME));
        log.write(&HEADER, &Trace::Started);
        log.write_all_lines(&HEADER, &[Trace::ElectionWon, Trace::Acting]);
        assert_eq!(log.lost(), 3);
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
