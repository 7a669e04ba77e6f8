//! Why an experiment gives no good news.

use std::io;
use std::path::{Path, PathBuf};

use supervisor::supervise::LEFT;

use crate::commands::failure::{CANNOT, CANNOT_TELL, Fatal, INTERRUPTED, NO, USAGE};

/// Why an experiment gives no good news. Displays as one sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExperimentError {
    /// The cluster would reject the jobs.
    #[error("--n {n} is larger than the largest N of this cluster, {max_n}; give --n at most that")]
    TooLarge {
        /// What was asked for.
        n: u32,
        /// What is possible.
        max_n: u32,
    },
    /// The cluster has ended before it was ready.
    #[error("the cluster cannot start: {0}")]
    Start(String),
    /// Something that only a broken system refuses.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// The report cannot be written.
    #[error(
        "cannot write the report to {}: {error}; name another folder with --report",
        path.display()
    )]
    Report {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// What could not be written might have shown something.
    #[error(
        "the experiment cannot tell whether the cluster was sound, since {what}, in {}; make room there, or name a \
         folder on another file system with {option}",
        folder.display()
    )]
    CannotTell {
        /// Where there was no room.
        folder: PathBuf,
        /// What names another one.
        option: &'static str,
        /// What could not be written, and why.
        what: String,
    },
    /// A signal ended it.
    #[error("interrupted after {rounds} of {asked} rounds; the cluster was stopped")]
    Interrupted {
        /// The rounds that were completed.
        rounds: usize,
        /// The rounds that were asked for.
        asked: u32,
    },
    /// Processes of it are left. One sentence.
    #[error("{0}")]
    Left(String),
    /// Something is wrong with the run.
    #[error(
        "the experiment found {}; the same faults are drawn again by: {again}",
        counted(*violations)
    )]
    Unsound {
        /// How many things.
        violations: usize,
        /// The command that draws the same faults.
        again: String,
    },
}

/// As in a sentence.
pub(super) fn counted(violations: usize) -> String {
    match violations {
        1 => "1 violation".to_owned(),
        violations => format!("{violations} violations"),
    }
}

impl ExperimentError {
    pub(crate) fn report(path: &Path, error: io::Error) -> ExperimentError {
        ExperimentError::Report {
            path: path.to_owned(),
            error,
        }
    }
}

impl Fatal for ExperimentError {
    fn exit_code(&self) -> u8 {
        match self {
            ExperimentError::Unsound { .. } => NO,
            ExperimentError::TooLarge { .. } => USAGE,
            ExperimentError::Start(_)
            | ExperimentError::System { .. }
            | ExperimentError::Report { .. } => CANNOT,
            ExperimentError::Left(_) => LEFT,
            ExperimentError::CannotTell { .. } => CANNOT_TELL,
            ExperimentError::Interrupted { .. } => INTERRUPTED,
        }
    }
}
