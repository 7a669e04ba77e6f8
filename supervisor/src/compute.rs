//! `bullpen compute`: a private cluster for one job.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::cli::ComputeArgs;
use crate::failure::Failure;
use crate::jobs_dir::JobsDir;
use crate::launch::Launch;
use crate::operands;
use crate::progress::Progress;
use crate::run_dir::RunDir;
use crate::signals::Signals;
use crate::supervise::{Supervisor, Turn};

/// The name of the only job.
const JOB: &str = "compute";
/// How often the results are looked for when no report prompts it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why `compute` cannot hand in its job or hand out its results. Displays as one sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComputeError {
    /// The private folder, or the job in it, cannot be made.
    #[error(
        "cannot make a private folder in {}: {error}; name another place for it in TMPDIR",
        std::env::temp_dir().display()
    )]
    Folder {
        /// What the system says.
        error: io::Error,
    },
    /// The results are there and cannot be read.
    #[error("cannot read the results in {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Standard output takes no more, and not because its reader has left.
    #[error("cannot write the results to standard output: {0}")]
    Print(io::Error),
}

/// Computes factorials and prints a line each. By the time it prints, the cluster is gone and its
/// files too, so a slow reader or an interrupt finds nothing left to clean up.
///
/// # Errors
///
/// Why it cannot start, why the job failed, or that a signal ended it.
pub(crate) fn run(args: &ComputeArgs) -> Result<(), Failure> {
    let config = args.cluster.config(false)?;
    let numbers = operands::parse(&args.operands, config.max_n)?;
    let mut signals = Signals::install().map_err(Failure::Signals)?;
    let folder = tempfile::Builder::new()
        .prefix("bullpen-")
        .tempdir()
        .map_err(|error| ComputeError::Folder { error })?;
    let outcome = {
        let jobs = JobsDir::open(&folder.path().join("jobs"))?;
        let run_dir = RunDir::open(&run_dir_path(args, &folder))?;
        hand_in(jobs.path(), &numbers).map_err(|error| ComputeError::Folder { error })?;
        let launch = Launch {
            config,
            run_dir: run_dir.path().to_owned(),
            jobs: jobs.path().to_owned(),
        };
        let mut supervisor = Supervisor::new(launch, args.cluster.hints(), &mut signals)?;
        await_outcome(&mut supervisor, jobs.path())?
    };
    remove(folder);
    if signals.exit_at_once() {
        return Err(Failure::Interrupted);
    }
    match outcome {
        Outcome::Done(results) => print(results).map_err(Failure::from),
        Outcome::Failed(reasons) => Err(Failure::Rejected { reasons }),
    }
}

/// How the job ended.
enum Outcome {
    /// The file of the results, which may have lost its name meanwhile.
    Done(File),
    /// The reasons, a line each.
    Failed(String),
}

fn run_dir_path(args: &ComputeArgs, folder: &TempDir) -> PathBuf {
    args.run_dir
        .clone()
        .unwrap_or_else(|| folder.path().join("run"))
}

/// Puts the job into the jobs directory, under its name only when it is whole.
fn hand_in(jobs: &Path, numbers: &[u32]) -> io::Result<()> {
    let mut text = String::new();
    for n in numbers {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{n}!");
    }
    let part = jobs.join(".job.tmp");
    fs::write(&part, text)?;
    fs::rename(&part, jobs.join(JOB).with_extension("job"))
}

fn await_outcome(supervisor: &mut Supervisor, jobs: &Path) -> Result<Outcome, Failure> {
    let progress = Progress::new();
    loop {
        let turn = supervisor.turn(Some(Instant::now() + LOOK_EVERY))?;
        if turn == Turn::Ended || supervisor.is_stopping() {
            return Err(Failure::Interrupted);
        }
        if let Some(outcome) = look(jobs)? {
            return Ok(outcome);
        }
        progress.show(supervisor.jobs().iter().find(|job| job.name == JOB));
    }
}

/// The outcome, once its text has its final name: then it is whole.
fn look(jobs: &Path) -> Result<Option<Outcome>, ComputeError> {
    let done = jobs.join("done").join(JOB).with_extension("txt");
    if let Some(results) = open_if_there(&done)? {
        return Ok(Some(Outcome::Done(results)));
    }
    let failed = jobs.join("failed").join(JOB).with_extension("txt");
    let Some(mut file) = open_if_there(&failed)? else {
        return Ok(None);
    };
    let mut reasons = String::new();
    match file.read_to_string(&mut reasons) {
        Ok(_) => Ok(Some(Outcome::Failed(reasons.trim_end().to_owned()))),
        Err(error) => Err(ComputeError::Read {
            path: failed,
            error,
        }),
    }
}

fn open_if_there(path: &Path) -> Result<Option<File>, ComputeError> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ComputeError::Read {
            path: path.to_owned(),
            error,
        }),
    }
}

fn remove(folder: TempDir) {
    let path = folder.path().to_owned();
    if let Err(error) = folder.close() {
        tracing::warn!("cannot remove {}: {error}", path.display());
    }
}

/// Copies the results to standard output. A reader that has left has seen enough.
fn print(mut results: File) -> Result<(), ComputeError> {
    let copied = io::stdout()
        .as_fd()
        .try_clone_to_owned()
        // The descriptor itself: standard output's own buffer is made for lines.
        .and_then(|stdout| io::copy(&mut results, &mut File::from(stdout)));
    match copied {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(ComputeError::Print(error)),
        _ => Ok(()),
    }
}
