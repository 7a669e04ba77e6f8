//! The texts of finished jobs, on their way to a person.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

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

/// Copies results to standard output. A reader that has left has seen enough.
///
/// # Errors
///
/// They cannot be written.
pub(crate) fn print(mut results: File) -> Result<(), ResultsError> {
    let copied = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        // The descriptor itself: standard output's own buffer is made for lines.
        .and_then(|stdout| io::copy(&mut results, &mut File::from(stdout)).map(|_| ()));
    forgive(copied)
}

/// Writes text to standard output. A reader that has left has seen enough.
///
/// # Errors
///
/// It cannot be written.
pub(crate) fn say(text: &str) -> Result<(), ResultsError> {
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
