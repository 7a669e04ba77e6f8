//! What a command prints on standard output: the texts of finished jobs, and its own.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use protocol::printable::printable_lines;

use crate::commands::failure::{Fatal, NO};

/// Bytes of results that are made printable at a time.
const PORTION: usize = 64 << 10;

/// Why results do not reach the person. Displays as one sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResultsError {
    /// They are there and cannot be read.
    #[error("cannot read the results in {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There are none.
    #[error("the cluster gave the job up:\n{reasons}")]
    Rejected {
        /// The reasons, a line each.
        reasons: String,
    },
    /// Standard output takes no more, and not because its reader has left.
    #[error("cannot write to standard output: {0}")]
    Print(io::Error),
}

impl Fatal for ResultsError {
    fn exit_code(&self) -> u8 {
        NO
    }
}

/// How a job ended.
#[derive(Debug)]
pub(crate) enum JobOutcome {
    /// The file of the results, which may have lost its name meanwhile.
    Done(File),
    /// The reasons, a line each.
    Failed(String),
}

impl JobOutcome {
    /// Copies the results to standard output, to a terminal what is printable of them: only digits are
    /// expected. A reader that has left has seen enough.
    ///
    /// # Errors
    ///
    /// There are none, or they cannot be written.
    pub(crate) fn print(self) -> Result<(), ResultsError> {
        match self {
            JobOutcome::Done(results) => print(results),
            JobOutcome::Failed(reasons) => Err(ResultsError::Rejected { reasons }),
        }
    }
}

/// What stands where the text of a job is to stand.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing yet.
    Nothing,
    /// A file.
    Text(File),
    /// Something that no cluster puts there, in words.
    Other(&'static str),
}

/// Opens the text of a job, in a folder where others may have put anything: no link is followed, and
/// no FIFO is waited for.
///
/// # Errors
///
/// It is there and cannot be opened.
pub(crate) fn open_text(folder: impl AsFd, name: &OsStr) -> io::Result<Found> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = match openat(folder, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::ENOENT) => return Ok(Found::Nothing),
        Err(Errno::ELOOP) => return Ok(Found::Other("a symbolic link")),
        Err(Errno::ENXIO) => return Ok(Found::Other("a socket")),
        Err(error) => return Err(error.into()),
    };
    let kind = file.metadata()?.file_type();
    Ok(if kind.is_file() {
        Found::Text(file)
    } else if kind.is_fifo() {
        Found::Other("a FIFO")
    } else if kind.is_dir() {
        Found::Other("a directory")
    } else {
        Found::Other("a device")
    })
}

/// Opens the text of a job; none while no file has its name.
///
/// # Errors
///
/// It is there and cannot be opened.
pub(crate) fn open_if_there(path: &Path) -> Result<Option<File>, ResultsError> {
    match open_text(AT_FDCWD, path.as_os_str()) {
        Ok(Found::Text(file)) => Ok(Some(file)),
        Ok(Found::Nothing | Found::Other(_)) => Ok(None),
        Err(error) => Err(unreadable(path, error)),
    }
}

/// Most bytes of reasons that are read: many times what a hundred of them take.
const MAX_REASONS: u64 = 1 << 20;

/// The reasons for which a job failed.
///
/// # Errors
///
/// The file cannot be read.
pub(crate) fn reasons(path: &Path, file: File) -> Result<String, ResultsError> {
    let mut reasons = String::new();
    match file.take(MAX_REASONS).read_to_string(&mut reasons) {
        Ok(_) => Ok(reasons.trim_end().to_owned()),
        Err(error) => Err(unreadable(path, error)),
    }
}

fn print(mut results: File) -> Result<(), ResultsError> {
    let is_shown = io::stdout().is_terminal();
    forgive(stdout().and_then(|mut stdout| copy(&mut results, &mut stdout, is_shown)))
}

fn copy(results: &mut File, to: &mut impl Write, is_shown: bool) -> io::Result<()> {
    let mut portion = vec![0; PORTION];
    loop {
        let length = results.read(&mut portion)?;
        let read = &portion[..length];
        if length == 0 {
            return Ok(());
        } else if is_shown {
            let text = String::from_utf8_lossy(read);
            to.write_all(printable_lines(&text).as_bytes())?;
        } else {
            to.write_all(read)?;
        }
    }
}

/// Writes lines to standard output, with words of others in them made printable. A reader that has
/// left has seen enough.
///
/// # Errors
///
/// They cannot be written.
pub(crate) fn say(lines: &str) -> Result<(), ResultsError> {
    hand_over(&printable_lines(lines))
}

/// Writes a text that a program is to read to standard output, as it is. A reader that has left has
/// seen enough.
///
/// # Errors
///
/// It cannot be written.
pub(crate) fn hand_over(text: &str) -> Result<(), ResultsError> {
    forgive(stdout().and_then(|mut stdout| stdout.write_all(text.as_bytes())))
}

/// Standard output without a buffer, which waits for its reader in any case: whoever started this process
/// may have made it one that says instead that it is full.
#[derive(Debug)]
pub(crate) struct Stdout(File);

/// Opens it.
///
/// # Errors
///
/// No descriptor is left.
pub(crate) fn stdout() -> io::Result<Stdout> {
    let stdout = io::stdout().as_fd().try_clone_to_owned()?;
    Ok(Stdout(File::from(stdout)))
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let mut room = [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)];
                    match poll(&mut room, PollTimeout::NONE) {
                        Ok(_) | Err(Errno::EINTR) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                written => return written,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn unreadable(path: &Path, error: io::Error) -> ResultsError {
    ResultsError::Read {
        path: path.to_owned(),
        error,
    }
}

fn forgive(written: io::Result<()>) -> Result<(), ResultsError> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(ResultsError::Print(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Seek;

    use super::*;

    #[test]
    fn results_on_a_terminal_are_shown_and_not_obeyed() {
        let mut results = tempfile::tempfile().unwrap();
        results.write_all(b"1!=1\n\x1b[2J\n2!=2\n").unwrap();
        results.rewind().unwrap();
        let mut shown = Vec::new();
        copy(&mut results, &mut shown, true).unwrap();
        assert_eq!(shown, b"1!=1\n\\u{1b}[2J\n2!=2\n");
    }
}
