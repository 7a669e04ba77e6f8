//! An event log while it grows.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::log::{self, Event, Log};

/// Most bytes that are read in one go: a traced log is larger than what one would hold in memory.
const PORTION: usize = 1 << 20;

/// Reads what is added to an event log, each time from where it left off.
///
/// What stands after the last line end is kept for the next time: its writer may be in the middle of
/// it. When another file takes the place of the log, as at a restart of the supervisor, that one is
/// read from its beginning.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// Begins that many bytes before the end of the first file; none: at its beginning.
    last: Option<u64>,
    file: Option<File>,
    /// The beginning of a line.
    torn: Vec<u8>,
}

/// What a [`Tail`] comes across.
#[derive(Debug)]
pub enum Found {
    /// The log begins anew: what follows is of another run.
    Anew,
    /// The next event.
    Event(Event),
}

impl Tail {
    /// All of the log, and all that is added to it. The file need not be there yet.
    pub fn whole(path: &Path) -> Tail {
        Tail {
            path: path.to_owned(),
            last: None,
            file: None,
            torn: Vec::new(),
        }
    }

    /// The same, but of the log that is there now no more than its last `bytes`.
    pub fn last(path: &Path, bytes: u64) -> Tail {
        Tail {
            last: Some(bytes),
            ..Tail::whole(path)
        }
    }

    /// Hands over what was added since the last time, in the order of the file (of time within
    /// about a megabyte).
    ///
    /// # Errors
    ///
    /// The log cannot be opened or read, or is no regular file; that it is not there is no error.
    pub fn read(&mut self, mut take: impl FnMut(Found)) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            // Before it is looked whether another took its place: nothing is added afterwards.
            let replaced = is_replaced(file, &self.path)?;
            read_lines(file, &mut self.torn, &mut take)?;
            if !replaced {
                return Ok(());
            }
            self.file = None;
            self.torn.clear();
            self.last = None;
            take(Found::Anew);
        }
        let mut file = match log::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if let Some(last) = self.last.take() {
            skip_to(&mut file, last)?;
        }
        read_lines(&mut file, &mut self.torn, &mut take)?;
        self.file = Some(file);
        Ok(())
    }

    /// Whether another file stands where the one that was read last did, or the first one.
    ///
    /// # Errors
    ///
    /// The path cannot be looked at; that nothing is there is no error.
    pub fn has_successor(&self) -> io::Result<bool> {
        match &self.file {
            Some(file) => is_replaced(file, &self.path),
            None => Ok(self.path.is_symlink() || self.path.try_exists()?),
        }
    }
}

/// Whether the path names another file than the one that is open. A file that has vanished is not
/// replaced yet: its successor may come.
fn is_replaced(file: &File, path: &Path) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(now) => Ok((now.dev(), now.ino()) != (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Moves to the first line that begins within the last bytes.
fn skip_to(file: &mut File, last: u64) -> io::Result<()> {
    let length = file.metadata()?.len();
    // From the byte before: if it ends a line, nothing is skipped.
    let Some(start) = length.checked_sub(last.saturating_add(1)) else {
        return Ok(());
    };
    file.seek(SeekFrom::Start(start))?;
    let mut buffer = vec![0; PORTION];
    let mut position = start;
    loop {
        let count = file.read(&mut buffer)?;
        let end = buffer[..count].iter().position(|&byte| byte == b'\n');
        position += end.map_or(count, |end| end + 1) as u64;
        if end.is_some() || count == 0 {
            file.seek(SeekFrom::Start(position))?;
            return Ok(());
        }
    }
}

fn read_lines(file: &mut File, torn: &mut Vec<u8>, take: &mut impl FnMut(Found)) -> io::Result<()> {
    loop {
        let before = torn.len();
        file.take(PORTION as u64).read_to_end(torn)?;
        if torn.len() == before {
            return Ok(());
        }
        let Some(end) = torn.iter().rposition(|&byte| byte == b'\n') else {
            continue;
        };
        let rest = torn.split_off(end + 1);
        for event in Log::parse(torn).events {
            take(Found::Event(event));
        }
        *torn = rest;
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;

    fn line(name: &str) -> String {
        format!("{{\"mono_ns\":1,\"node\":0,\"incarnation\":1,\"event\":\"{name}\"}}\n")
    }

    fn append(path: &Path, text: &str) {
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn read(tail: &mut Tail) -> Vec<String> {
        let mut found = Vec::new();
        tail.read(|one| {
            found.push(match one {
                Found::Anew => "(anew)".to_owned(),
                Found::Event(event) => event.name().to_owned(),
            });
        })
        .unwrap();
        found
    }

    #[test]
    fn each_event_is_read_once_and_a_torn_one_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut tail = Tail::whole(&path);
        assert!(read(&mut tail).is_empty());
        append(&path, &line("first"));
        assert_eq!(read(&mut tail), ["first"]);
        let second = line("second");
        let (begin, end) = second.split_at(20);
        append(&path, begin);
        assert!(read(&mut tail).is_empty());
        append(&path, end);
        append(&path, &line("third"));
        assert_eq!(read(&mut tail), ["second", "third"]);
        assert!(read(&mut tail).is_empty());
    }

    #[test]
    fn a_log_that_was_moved_aside_is_read_to_its_end_and_its_successor_from_the_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        append(&path, &line("first"));
        let mut tail = Tail::last(&path, 1_000);
        assert!(tail.has_successor().unwrap());
        assert_eq!(read(&mut tail), ["first"]);
        append(&path, &line("last"));
        append(&path, "{\"torn");
        fs::rename(&path, folder.path().join("events.jsonl.1")).unwrap();
        assert_eq!(read(&mut tail), ["last"]);
        assert!(!tail.has_successor().unwrap());
        append(&path, &line("another"));
        assert!(tail.has_successor().unwrap());
        assert_eq!(read(&mut tail), ["(anew)", "another"]);
    }

    #[test]
    fn what_is_no_file_is_no_log_and_holds_up_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let elsewhere = folder.path().join("elsewhere");
        append(&elsewhere, &line("secret"));
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        let mut tail = Tail::whole(&path);
        tail.read(|found| panic!("{found:?}")).unwrap_err();

        fs::remove_file(&path).unwrap();
        append(&path, &line("first"));
        assert_eq!(read(&mut tail), ["first"]);
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let error = tail
            .read(|found| assert!(matches!(found, Found::Anew)))
            .unwrap_err();
        assert!(error.to_string().contains("no regular file"), "{error}");
    }

    #[test]
    fn the_last_bytes_begin_at_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        append(&path, &line("a").repeat(3));
        append(&path, &line("b"));
        let length = line("b").len() as u64;
        assert_eq!(read(&mut Tail::last(&path, length)), ["b"]);
        assert_eq!(read(&mut Tail::last(&path, length - 1)), [""; 0]);
        assert_eq!(read(&mut Tail::last(&path, length + 1)), ["b"]);
        assert_eq!(read(&mut Tail::last(&path, 1 << 20)), ["a", "a", "a", "b"]);
    }
}
