//! What a command prints on standard output: the texts of finished jobs, and its own.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use protocol::printable::printable_lines;

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
    /// Standard output takes no more, and not because its reader has left.
    #[error("cannot write to standard output: {0}")]
    Print(io::Error),
}

/// How a job ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The file of the results, which may have lost its name meanwhile.
    Done(File),
    /// The reasons, a line each.
    Failed(String),
}

/// Opens the text of a job; none while it has not got its name.
///
/// # Errors
///
/// It is there and cannot be opened.
pub(crate) fn open_if_there(path: &Path) -> Result<Option<File>, ResultsError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, error)),
    }
}

/// The reasons for which a job failed.
///
/// # Errors
///
/// The file cannot be read.
pub(crate) fn reasons(path: &Path, mut file: File) -> Result<String, ResultsError> {
    let mut reasons = String::new();
    match file.read_to_string(&mut reasons) {
        Ok(_) => Ok(reasons.trim_end().to_owned()),
        Err(error) => Err(unreadable(path, error)),
    }
}

/// Copies results to standard output, to a terminal what is printable of them: only digits are
/// expected. A reader that has left has seen enough.
///
/// # Errors
///
/// They cannot be written.
pub(crate) fn print(mut results: File) -> Result<(), ResultsError> {
    let copied = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        // The descriptor itself: standard output's own buffer is made for lines.
        .map(File::from)
        .and_then(|mut stdout| {
            if stdout.is_terminal() {
                show(&mut results, &mut stdout)
            } else {
                io::copy(&mut results, &mut stdout).map(|_| ())
            }
        });
    forgive(copied)
}

fn show(results: &mut File, terminal: &mut impl Write) -> io::Result<()> {
    let mut portion = vec![0; PORTION];
    loop {
        let length = results.read(&mut portion)?;
        if length == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&portion[..length]);
        terminal.write_all(printable_lines(&text).as_bytes())?;
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
    let mut stdout = io::stdout().lock();
    forgive(
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush()),
    )
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
