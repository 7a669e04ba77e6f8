//! An event log while it grows.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::log::parts::{self, Part};
use crate::log::{Event, Log};

/// Most bytes that are read in one go: a traced log is larger than what one would hold in memory.
const PORTION: usize = 1 << 20;

/// Reads what is added to an event log, each time from where it left off.
///
/// What stands after the last line end is kept for the next time: its writer may be in the middle of
/// it. The files of the run that were rotated before are read first. When the log is rotated, its next
/// files follow, and what is still added to the older ones is read as long as they are there. When
/// another run begins, its files are read from their beginning.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// Begins that many bytes before the end of the first files; none: at their beginning.
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
    /// It had no name any more when it was read last: nobody opens it again.
    is_removed: bool,
}

/// What a [`Tail`] comes across.
#[derive(Debug)]
pub enum Found {
    /// The log begins anew: what follows is of another run, or there was so much since the last time
    /// that some of it is gone, and the log is read from where it begins now.
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
            open: Vec::new(),
        }
    }

    /// The same, but of the log that is there now no more than its last `bytes`.
    pub fn last(path: &Path, bytes: u64) -> Tail {
        Tail {
            last: Some(bytes),
            ..Tail::whole(path)
        }
    }

    /// Hands over what was added since the last time, in the order of the files (of time within
    /// about a megabyte of one).
    ///
    /// # Errors
    ///
    /// The log cannot be opened or read, or is no regular file; that it is not there is no error.
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
            // Rotated away unread, or taken away: what is there now is counted from its beginning.
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

    /// The files that are there, each at the first of its last bytes that are wanted.
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

    /// Whether another file stands where the one that was read last did, or the first one.
    ///
    /// # Errors
    ///
    /// The path cannot be looked at; that nothing is there is no error.
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
