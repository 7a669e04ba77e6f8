//! `bullpen compute`: a private cluster for one job.

mod progress;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::config::Config;
use protocol::trace::WaitCause;
use supervisor::jobs_dir::JobsDir;
use supervisor::launch::Launch;
use supervisor::owner;
use supervisor::rotation::Rotation;
use supervisor::run_dir::RunDir;
use supervisor::signals::Signals;
use supervisor::start;
use supervisor::supervise::{Supervisor, Turn};
use tempfile::TempDir;

use crate::commands::cli::ComputeArgs;
use crate::commands::cli::cluster::how_to_repeat;
use crate::commands::compute::progress::JobBar;
use crate::commands::failure::{Failure, Fatal, INTERRUPTED, NO};
use crate::commands::memory;
use crate::commands::operands;
use crate::commands::private_folder::{self, FolderError};
use crate::commands::results::{self, JobOutcome, ResultsError};
use crate::commands::stderr;

/// The name of the only job.
const JOB: &str = "compute";
/// How often the results are looked for when no report prompts it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why nothing was computed. Displays as one sentence.
#[derive(Debug, thiserror::Error)]
enum ComputeError {
    /// The results find no room on their way here.
    #[error(
        "there is no room for the results in {}: free some, or name a folder on another file system with TMPDIR",
        folder.display()
    )]
    NoRoom {
        /// Where they were to be written.
        folder: PathBuf,
    },
    /// A signal ended it.
    #[error("interrupted; the cluster was stopped and nothing was printed")]
    Interrupted,
}

impl Fatal for ComputeError {
    fn exit_code(&self) -> u8 {
        match self {
            ComputeError::NoRoom { .. } => NO,
            ComputeError::Interrupted => INTERRUPTED,
        }
    }
}

/// Computes factorials and prints a line each. By the time it prints, the cluster is gone and its
/// files too, so a slow reader or an interrupt finds nothing left to clean up.
///
/// # Errors
///
/// Why it cannot start, why the job failed, or that a signal ended it.
pub(crate) fn run(args: &ComputeArgs, mut signals: Signals) -> Result<(), Failure> {
    signals.handle_stops()?;
    let config = Config {
        // The folder is removed in the end: to sync it would be waiting for nothing.
        durable: false,
        ..args.cluster.config(false)?
    };
    let numbers = operands::parse(&args.operands, config.max_n)?;
    memory::check(&numbers, config.nodes)?;
    start::check(config.nodes)?;
    owner::give_up_capabilities()?;
    start::provide_processes(config.nodes)?;
    let folder = private_folder::make()?;
    let faults = args.cluster.faults();
    if let Some(faults) = &faults {
        stderr::say(&how_to_repeat(faults));
    }
    let (outcome, ended) = {
        let jobs = JobsDir::open(&folder.path().join("jobs"))?;
        let run_dir = RunDir::open(&run_dir_path(args, &folder), Rotation::NEVER)?;
        hand_in(jobs.path(), &numbers)
            .map_err(|error| FolderError::within(folder.path(), error))?;
        let launch = Launch {
            config,
            run_dir: run_dir.path().to_owned(),
            jobs: jobs.path().to_owned(),
            // The job is there before the first look, and no other comes.
            watch: None,
            log_format: args.cluster.log_format,
            faults,
        };
        let hints = args.cluster.hints();
        let mut supervisor =
            Supervisor::new(launch, run_dir, hints, Rotation::NEVER, &mut signals)?;
        let outcome = await_outcome(&mut supervisor, jobs.path());
        (outcome, supervisor.end())
    };
    private_folder::remove(folder);
    let interrupted = signals.exit_at_once(INTERRUPTED) || matches!(outcome, Ok(None));
    if interrupted {
        ended?;
        return Err(ComputeError::Interrupted.into());
    }
    if let Some(outcome) = outcome? {
        outcome.print()?;
    }
    Ok(ended?)
}

fn run_dir_path(args: &ComputeArgs, folder: &TempDir) -> PathBuf {
    args.run_dir
        .clone()
        .unwrap_or_else(|| folder.path().join("run"))
}

/// Puts the job into the jobs directory, under its name only when it is whole.
fn hand_in(jobs: &Path, numbers: &[u32]) -> io::Result<()> {
    let part = jobs.join(".job.tmp");
    fs::write(&part, operands::job_text(numbers))?;
    fs::rename(&part, jobs.join(JOB).with_extension("job"))
}

/// How the job ended; none if somebody asked to stop before.
fn await_outcome(supervisor: &mut Supervisor, jobs: &Path) -> Result<Option<JobOutcome>, Failure> {
    let progress = JobBar::new();
    loop {
        let turn = supervisor.turn(Some(Instant::now() + LOOK_EVERY))?;
        if turn == Turn::Ended || supervisor.is_interrupted() {
            return Ok(None);
        }
        if let Some(outcome) = look(jobs)? {
            return Ok(Some(outcome));
        }
        let job = supervisor.jobs().iter().find(|job| job.name == JOB);
        if job.is_some_and(|job| job.waits == Some(WaitCause::Space)) {
            let folder = jobs.to_owned();
            return Err(ComputeError::NoRoom { folder }.into());
        }
        progress.show(job);
    }
}

/// The outcome, once its text has its final name: then it is whole.
fn look(jobs: &Path) -> Result<Option<JobOutcome>, ResultsError> {
    let done = jobs.join("done").join(JOB).with_extension("txt");
    if let Some(file) = results::open_if_there(&done)? {
        return Ok(Some(JobOutcome::Done(file)));
    }
    let failed = jobs.join("failed").join(JOB).with_extension("txt");
    match results::open_if_there(&failed)? {
        Some(file) => Ok(Some(JobOutcome::Failed(results::reasons(&failed, file)?))),
        None => Ok(None),
    }
}
