//! Follows an event log while it grows.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::log::parts::{self, Part};
use crate::log::{Event, Log};

/// Maximum number of bytes read at once: a traced log may be too large for memory.
const PORTION: usize = 1 << 20;

/// Reads the new lines of an event log, each time from where it left off.
///
/// An incomplete last line is kept for the next time: its writer may not have finished it. The run's
/// rotated files are read first. When the log is rotated, the next files follow, and lines still
/// added to the older ones are read as long as they exist. When another run begins, its files
/// are read from the start.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// Starts this many bytes before the end of the first files; none: at their beginning.
    last: Option<u64>,
    /// Oldest first.
    open: Vec<Open>,
}

/// A file that is followed.
#[derive(Debug)]
struct Open {
    part: Part,
    /// The beginning of a line.
    torn: Vec<u8>,
    /// Its name was gone when it was last read: nobody opens it again.
    is_removed: bool,
}

/// An item of a [`Tail`].
#[derive(Debug)]
pub enum Found {
    /// The log starts over: the following events belong to another run, or some events since the last
    /// time are gone, and the log is read from its current beginning.
    Anew,
    /// The next event.
    Event(Event),
}

impl Tail {
    /// Reads the whole log, and all new lines. The file need not exist yet.
    pub fn whole(path: &Path) -> Tail {
        Tail {
            path: path.to_owned(),
            last: None,
            open: Vec::new(),
        }
    }

    /// The same, but reads only the last `bytes` of the existing log.
    pub fn last(path: &Path, bytes: u64) -> Tail {
        Tail {
            last: Some(bytes),
            ..Tail::whole(path)
        }
    }

    /// Passes on the events added since the last time, in file order (in time order within
    /// about a megabyte of one file).
    ///
    /// # Errors
    ///
    /// The log cannot be opened or read, or is not a regular file; a missing log is not an error.
    pub fn read(&mut self, mut take: impl FnMut(Found)) -> io::Result<()> {
        let next = match self.open.last() {
            Some(newest) => parts::since(&newest.part, &self.path)?,
            None => Some(self.first_parts()?),
        };
        for open in &mut self.open {
            open.read(&mut take)?;
        }
        let next = match next {
            Some(next) => next,
            // Rotated away unread, or removed: the current files are read from the start.
            None => {
                self.begin_anew(&mut take);
                self.first_parts()?
            }
        };
        for part in next {
            if part.number == 0 && !self.open.is_empty() {
                self.begin_anew(&mut take);
            }
            let mut open = Open::new(part);
            let read = open.read(&mut take);
            self.open.push(open);
            read?;
        }
        let older = self.open.len().saturating_sub(1);
        let mut index = 0;
        self.open.retain(|open| {
            index += 1;
            index > older || !open.is_removed
        });
        Ok(())
    }

    fn begin_anew(&mut self, take: &mut impl FnMut(Found)) {
        self.open.clear();
        take(Found::Anew);
    }

    /// The existing files, each positioned at the start of its wanted last bytes.
    fn first_parts(&mut self) -> io::Result<Vec<Part>> {
        let mut parts = match parts::of_run(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            parts => parts?,
        };
        if let Some(mut last) = self.last.take() {
            for part in parts.iter_mut().rev() {
                let length = part.file.metadata()?.len();
                skip_to(&mut part.file, last)?;
                last = last.saturating_sub(length);
            }
        }
        Ok(parts)
    }

    /// Whether the log is a different file than the one last read, or the first one.
    ///
    /// # Errors
    ///
    /// The metadata of the path cannot be read; a missing file is not an error.
    pub fn has_successor(&self) -> io::Result<bool> {
        match self.open.last() {
            Some(newest) => Ok(!parts::is_named(&newest.part, &self.path)?),
            None => Ok(self.path.is_symlink() || self.path.try_exists()?),
        }
    }
}

impl Open {
    fn new(part: Part) -> Open {
        Open {
            part,
            torn: Vec::new(),
            is_removed: false,
        }
    }

    fn read(&mut self, take: &mut impl FnMut(Found)) -> io::Result<()> {
        self.is_removed = self.part.file.metadata()?.nlink() == 0;
        read_lines(&mut self.part.file, &mut self.torn, take)
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
mod tests;
