//! `bullpen submit`: drops a job file the safe way, and may wait for its end.

pub(crate) mod drop_file;
pub(crate) mod folder;
mod follow;
mod search;
mod warnings;

use std::io;
use std::path::{Path, PathBuf};

use protocol::config::MAX_MAX_N;
use supervisor::signals::Signals;

use crate::commands::cli::SubmitArgs;
use crate::commands::failure::{CANNOT, Failure, Fatal, INTERRUPTED, NO, USAGE};
use crate::commands::operands;
use crate::commands::results;
use crate::commands::stderr;
use crate::commands::submit::folder::JobsFolder;

/// Why a job is not handed in, or its end is not known. Displays as one sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SubmitError {
    /// The name cannot be a job's.
    #[error("--name {name:?} cannot be the name of a job: {reason}; choose another")]
    Name {
        /// The refused name.
        name: String,
        /// Why.
        reason: &'static str,
    },
    /// The directory does not take the file.
    #[error(
        "cannot put a job into {}: {error}; name the jobs directory of a running bullpen with --jobs",
        jobs.display()
    )]
    Drop {
        /// The jobs directory.
        jobs: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Every name with a number is in use.
    #[error("{} has jobs of the name {name:?} up to the number {tried}; choose another with --name", jobs.display())]
    NoFreeName {
        /// The jobs directory.
        jobs: PathBuf,
        /// The name without a number.
        name: String,
        /// The last number that was tried.
        tried: u32,
    },
    /// The job's file cannot be followed any more.
    #[error("lost sight of job {name:?}: {error}; its end will be seen in {}", jobs.display())]
    Lost {
        /// The name that it was given.
        name: String,
        /// The jobs directory.
        jobs: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Somebody removed the job.
    #[error("somebody removed the file of job {name:?} before the job was done; submit it again")]
    Removed {
        /// The name that it was given.
        name: String,
    },
    /// Something has the name of its text that no cluster puts there.
    #[error("{} is {what} and not the text of the job, which ended; remove it, and submit the job again", path.display())]
    InTheWay {
        /// Where the text was to stand.
        path: PathBuf,
        /// What stands there.
        what: &'static str,
    },
    /// A signal ended the waiting.
    #[error(
        "interrupted; job {name:?} stays submitted, and its results will be in {}",
        results.display()
    )]
    Interrupted {
        /// The name that it has now.
        name: String,
        /// Where its results will be.
        results: PathBuf,
    },
}

impl SubmitError {
    pub(crate) fn drop(jobs: &Path, error: io::Error) -> SubmitError {
        SubmitError::Drop {
            jobs: jobs.to_owned(),
            error,
        }
    }
}

impl Fatal for SubmitError {
    fn exit_code(&self) -> u8 {
        match self {
            SubmitError::Name { .. } => USAGE,
            SubmitError::Removed { .. } => NO,
            SubmitError::Drop { .. }
            | SubmitError::NoFreeName { .. }
            | SubmitError::InTheWay { .. }
            | SubmitError::Lost { .. } => CANNOT,
            SubmitError::Interrupted { .. } => INTERRUPTED,
        }
    }
}

/// Hands in a job and prints its name. With `--wait` the name goes to standard error, and when
/// the job has ended its results go to standard output.
///
/// # Errors
///
/// Why it is not handed in, why the job failed, or that a signal ended the waiting.
pub(crate) fn run(args: &SubmitArgs, signals: Option<Signals>) -> Result<(), Failure> {
    // How much is allowed there only the cluster knows.
    let numbers = operands::parse(&args.operands, MAX_MAX_N)?;
    let name = match &args.name {
        Some(name) => drop_file::check_name(name)?,
        None => default_name(&numbers),
    };
    let jobs =
        JobsFolder::open(&args.jobs).map_err(|error| SubmitError::drop(&args.jobs, error))?;
    // The job then belongs to whom its results will belong.
    jobs.act_as_owner();
    let dropped = drop_file::drop_file(&jobs, &name, &operands::job_text(&numbers))?;
    let Some(mut signals) = signals else {
        return Ok(results::say(&format!("{}\n", dropped.name))?);
    };
    stderr::say(&format!("submitted as {:?}", dropped.name));
    let outcome = follow::follow(&jobs, &dropped, &mut signals)?;
    signals.exit_at_once(INTERRUPTED);
    Ok(outcome.print()?)
}

/// A name that says what the job is: `10`, `10-20-30`, `10-20-and-8-more`.
fn default_name(numbers: &[u32]) -> String {
    const SPELLED_OUT: usize = 3;
    let spelled = |numbers: &[u32]| {
        let words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        words.join("-")
    };
    if numbers.len() <= SPELLED_OUT {
        return spelled(numbers);
    }
    let (first, rest) = numbers.split_at(SPELLED_OUT - 1);
    format!("{}-and-{}-more", spelled(first), rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_name_says_what_the_job_is_and_is_short() {
        assert_eq!(default_name(&[10]), "10");
        assert_eq!(default_name(&[10, 20, 30]), "10-20-30");
        assert_eq!(default_name(&[10, 20, 30, 40]), "10-20-and-2-more");
        assert!(default_name(&[MAX_MAX_N; 1_000]).len() < 40);
    }
}
