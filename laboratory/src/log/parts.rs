//! The files of a log: the current one, and the rotated ones before it.
//!
//! ```text
//!   events.jsonl.2   events.jsonl.1   events.jsonl
//!   part 0           part 1           part 2          older ones may be gone, or of another run
//! ```
//!
//! Each file of a run except the first begins with a line that says which part it is. During a read, files
//! may move on to the next number, and a process that does not know it yet writes to an older one.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::open;

/// The event at the beginning of a file that continues a run. It says nothing about the run itself.
pub(super) const CONTINUED: &str = "log_continued";
/// How often to retry after files have moved.
const LOOKS: usize = 20;
/// While files move on, a name among them may be free, but never this many in a row.
const FREE_NAMES: usize = 3;
/// More than the line that begins a part.
const HEAD: usize = 1_024;

/// One file of a log.
#[derive(Debug)]
pub struct Part {
    /// The file, to be read.
    pub file: File,
    /// Which one of its run; 0 is the first.
    pub number: u64,
    id: Id,
}

/// Device and inode: no other file has them while this one is open.
type Id = (u64, u64);

impl Part {
    fn open(path: &Path) -> io::Result<Part> {
        let file = open(path)?;
        Ok(Part {
            number: number(&file)?,
            id: id(&file.metadata()?),
            file,
        })
    }
}

/// The existing files of the latest run, oldest first.
///
/// # Errors
///
/// There is no log, one of them is not a regular file, or the system does not open it.
pub fn of_run(log: &Path) -> io::Result<Vec<Part>> {
    let mut looks = LOOKS;
    loop {
        let mut parts = newest_first(log, |part| part.number == 0)?;
        if parts.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        // If the numbers rise again, another run begins there, whose last files are gone.
        let falling = parts.windows(2);
        let falling = falling.take_while(|pair| pair[1].number < pair[0].number);
        let ours = 1 + falling.count();
        parts.truncate(ours);
        looks -= 1;
        if looks == 0 || (is_gapless(&parts) && is_named(&parts[0], log)?) {
            parts.reverse();
            return Ok(parts);
        }
    }
}

/// The files that have followed a part since it was the log, oldest first; none if it is no longer among the
/// log's files.
///
/// # Errors
///
/// As [`of_run`]; that there is no log is no error.
pub(crate) fn since(last: &Part, log: &Path) -> io::Result<Option<Vec<Part>>> {
    for _ in 0..LOOKS {
        if is_named(last, log)? {
            return Ok(Some(Vec::new()));
        }
        let mut parts = newest_first(log, |part| part.id == last.id)?;
        // A file that is newer than the one before it has moved on by two names meanwhile.
        let mut steps = parts.windows(2);
        let in_order = steps.all(|pair| pair[0].number > pair[1].number || pair[0].number == 0);
        if in_order && parts.last().is_some_and(|part| part.id == last.id) {
            parts.pop();
            parts.reverse();
            return Ok(Some(parts));
        }
    }
    Ok(None)
}

/// Whether a part has the name of the log. If that name is gone, it still counts: a successor may come.
///
/// # Errors
///
/// The metadata of the name cannot be read.
pub(crate) fn is_named(part: &Part, log: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(log) {
        Ok(found) => Ok(id(&found) == part.id),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Whether none is missing, from the first on.
pub(crate) fn are_all(parts: &[Part]) -> bool {
    let numbers = parts.iter().map(|part| part.number);
    numbers.eq(0..parts.len() as u64)
}

/// The files of the log up to the `last` wanted one. A file that moves on meanwhile appears twice, but none
/// is missed, since they are opened in the order in which they move.
fn newest_first(log: &Path, is_last: impl Fn(&Part) -> bool) -> io::Result<Vec<Part>> {
    let mut parts: Vec<Part> = Vec::new();
    let (mut age, mut free) = (0, 0);
    while free < FREE_NAMES {
        match Part::open(&named(log, age)) {
            Ok(part) => {
                free = 0;
                let ends = is_last(&part);
                if parts.iter().all(|known| known.id != part.id) {
                    parts.push(part);
                }
                if ends {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => free += 1,
            Err(error) => return Err(error),
        }
        age += 1;
    }
    Ok(parts)
}

/// The log itself, or the file that has been rotated so often.
fn named(log: &Path, age: usize) -> PathBuf {
    match age {
        0 => log.to_owned(),
        age => log.with_added_extension(age.to_string()),
    }
}

fn is_gapless(newest_first: &[Part]) -> bool {
    let mut steps = newest_first.windows(2);
    steps.all(|pair| pair[0].number == pair[1].number + 1)
}

fn id(found: &Metadata) -> Id {
    (found.dev(), found.ino())
}

/// Which part of its run a file says it is. A file that does not say is the first part.
fn number(file: &File) -> io::Result<u64> {
    let mut head = [0; HEAD];
    let length = file.read_at(&mut head, 0)?;
    let line = head[..length].split(|&byte| byte == b'\n').next();
    let line: Option<Value> = line.and_then(|line| serde_json::from_slice(line).ok());
    let told = line.filter(|line| line["event"] == CONTINUED);
    Ok(told.map_or(0, |line| line["part"].as_u64().unwrap_or(0)))
}
