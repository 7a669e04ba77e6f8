//! The files of the event log: which are kept, and how the log becomes one of them.
//!
//! `events.jsonl.1` is the newest of those that are not written any more, of this run or an earlier one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use node::event_log::{EventLog, Header};
use serde::Serialize;

/// How long the event log may become, and what is kept of the older ones.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// The log is rotated when it is that long, in bytes; never if 0.
    pub size: u64,
    /// How many rotated files are kept, one at least.
    pub files: u32,
}

/// The line that begins a file in which a run goes on. Those who read the log know by it that the file
/// before is of the same run.
#[derive(Serialize)]
#[serde(tag = "event", rename = "log_continued")]
struct Continued {
    /// Which file of its run; the first, which has no such line, is 0.
    part: u64,
}

impl Rotation {
    /// What a run does that keeps all of its log in one file.
    pub const NEVER: Rotation = Rotation {
        size: 0,
        files: KEPT,
    };

    /// Makes a log that an earlier run has left the newest of the rotated files.
    ///
    /// # Errors
    ///
    /// A file cannot be renamed or removed.
    pub(crate) fn move_aside(&self, log: &Path) -> io::Result<()> {
        absent(fs::remove_file(next(log)))?;
        // Of a run that kept more.
        let mut beyond = self.files + 1;
        while fs::remove_file(rotated(log, beyond)).is_ok() {
            beyond += 1;
        }
        if is_there(log)? {
            self.make_room(log)?;
            fs::rename(log, rotated(log, 1))?;
        }
        Ok(())
    }

    /// Gives the name of the log to a new file, and makes the present one the newest of the rotated. At no
    /// moment is there no log; what fails leaves the present one. Gives the new file.
    ///
    /// # Errors
    ///
    /// A file cannot be made, linked, renamed or removed, or has no room for its first line.
    pub(crate) fn rotate(&self, log: &Path, part: u64, header: &Header) -> io::Result<EventLog> {
        let next = next(log);
        absent(fs::remove_file(&next))?;
        let mut begun = EventLog::create(&next)?;
        let newest = rotated(log, 1);
        begun
            .try_write(header, &Continued { part })
            .and_then(|()| self.make_room(log))
            .and_then(|()| fs::hard_link(log, &newest))
            .and_then(|()| fs::rename(&next, log).inspect_err(|_| drop(fs::remove_file(&newest))))
            .inspect_err(|_| drop(fs::remove_file(&next)))?;
        Ok(begun)
    }

    /// Frees the name of the newest rotated file. The others move on, up to the first name that is free;
    /// the oldest is removed if there is none.
    fn make_room(&self, log: &Path) -> io::Result<()> {
        let mut free = 1;
        while free < self.files && is_there(&rotated(log, free))? {
            free += 1;
        }
        absent(fs::remove_file(rotated(log, free)))?;
        for age in (1..free).rev() {
            fs::rename(rotated(log, age), rotated(log, age + 1))?;
        }
        Ok(())
    }
}

/// How many rotated files are kept unless somebody asks for another number.
pub const KEPT: u32 = 4;

/// The log after it has been rotated so often.
fn rotated(log: &Path, age: u32) -> PathBuf {
    log.with_added_extension(age.to_string())
}

/// The next log, before it has its name.
fn next(log: &Path) -> PathBuf {
    log.with_added_extension("new")
}

fn is_there(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// What is not there need not be removed.
fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use laboratory::log::Log;
    use node::event_log::FILE_NAME;
    use protocol::id::{Incarnation, NodeId, Term};
    use protocol::trace::Trace;

    use super::*;

    const HEADER: Header = Header {
        node: NodeId(3),
        incarnation: Incarnation(7),
        pid: 41,
        term: Term(2),
        role: None,
    };

    fn gaps(log: &Log) -> Vec<u64> {
        log.named("gap").map(|gap| gap.number("ms")).collect()
    }

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn so_many_files_are_kept_and_no_more_and_they_are_read_as_one_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let rotation = Rotation { size: 1, files: 3 };
        let mut log = EventLog::open(folder.path()).unwrap();
        for part in 1..=6 {
            log.write(&HEADER, &Trace::Gap { ms: part - 1 });
            log.go_on_in(rotation.rotate(&path, part, &HEADER).unwrap());
            let read = Log::read(&path);
            assert_eq!(gaps(&read), Vec::from_iter(part.saturating_sub(3)..part));
            assert_eq!(read.is_whole(), part <= 3, "part {part}");
        }
        let expected = ["", ".1", ".2", ".3"].map(|end| format!("{FILE_NAME}{end}"));
        assert_eq!(names(folder.path()), expected);

        // The next run keeps fewer, and its log is its own.
        let fewer = Rotation { size: 1, files: 1 };
        fewer.move_aside(&path).unwrap();
        assert_eq!(names(folder.path()), [format!("{FILE_NAME}.1")]);
        EventLog::open(folder.path())
            .unwrap()
            .write(&HEADER, &Trace::Gap { ms: 9 });
        assert_eq!(gaps(&Log::read(&path)), [9]);
        assert!(Log::read(&path).is_whole());
    }

    #[test]
    fn what_fails_leaves_the_log_and_costs_no_older_file_however_often_it_fails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        let rotation = Rotation { size: 1, files: 3 };
        let mut log = EventLog::open(folder.path()).unwrap();
        log.write(&HEADER, &Trace::Gap { ms: 0 });
        log.go_on_in(rotation.rotate(&path, 1, &HEADER).unwrap());
        log.write(&HEADER, &Trace::Gap { ms: 1 });
        // Where the second rotated file would go.
        let in_the_way = rotated(&path, 2);
        fs::create_dir(&in_the_way).unwrap();
        fs::create_dir(rotated(&path, 3)).unwrap();
        for _ in 0..5 {
            rotation.rotate(&path, 2, &HEADER).unwrap_err();
            log.write(&HEADER, &Trace::Gap { ms: 2 });
        }
        assert_eq!(gaps(&Log::read(&path)), [0, 1, 2, 2, 2, 2, 2]);
        assert!(!next(&path).exists());
        fs::remove_dir(&in_the_way).unwrap();
        rotation.rotate(&path, 2, &HEADER).unwrap();
        assert_eq!(gaps(&Log::read(&path)), [0, 1, 2, 2, 2, 2, 2]);
    }
}
