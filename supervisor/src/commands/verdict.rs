//! `bullpen verdict`: whether a run was sound, told from what it leaves. In the words of `experiment`, which has
//! its run judged by the same laws.
//!
//! The jobs directory is read after the log, so it may be ahead of it, and of a cluster that works it is always
//! on its way. So the run counts as cut short unless nothing was open before the log was read and nothing after
//! the folder was; and what seems to be wrong with a running cluster is looked at anew, since it may have been a
//! line that was yet to be written.

mod told;

use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use glob::Pattern;
use laboratory::job_files;
use laboratory::log::{Log, now_ns};
use laboratory::verdict::{Comparison, Run, Verdict, Violation, read_parts};
use node::event_log::FILE_NAME;
use protocol::job::{is_ignored, is_job};
use supervisor::control::{Answer, Request};
use supervisor::run_dir;

use self::told::Told;
use crate::commands::cli::VerdictArgs;
use crate::commands::client::{self, ControlError};
use crate::commands::failure::{CANNOT_TELL, Failure, Fatal, NO};
use crate::commands::results;
use crate::commands::visit;

/// How often something that is wrong is looked at again, and after what time, while the cluster runs.
const LOOKS: u32 = 5;
const LOOK_AFTER: Duration = Duration::from_millis(250);
/// How long nodes may outlive a supervisor that was killed: one that waits for a slow disk dies when the
/// disk has answered.
const LAST_WITHIN: Duration = Duration::from_secs(5);

/// Why there is no good verdict. Displays as one sentence.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerdictError {
    /// There is no event log.
    #[error(
        "there is nothing to judge: no run has left {FILE_NAME} in the run directory {}; name the run directory of \
         the one you mean with --run-dir",
        run_dir.display()
    )]
    NoLog {
        /// The run directory.
        run_dir: PathBuf,
    },
    /// The event log is there and cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The event log.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Too little is known.
    #[error("nobody can tell whether the run was sound: {0}")]
    CannotTell(String),
    /// Something is wrong with the run.
    #[error("the run was not sound: {0}")]
    Unsound(String),
}

impl Fatal for VerdictError {
    fn exit_code(&self) -> u8 {
        match self {
            VerdictError::Unsound(_) => NO,
            _ => CANNOT_TELL,
        }
    }
}

/// Judges a run and prints what it comes to.
///
/// # Errors
///
/// It was not sound, or nobody can tell.
pub(crate) fn run(args: &VerdictArgs) -> Result<(), Failure> {
    let run_dir = run_dir::chosen(args.run_dir.as_deref());
    let told = judge(&run_dir, args.jobs.as_deref())?;
    results::say(&if args.json { told.json() } else { told.table() })?;
    if let Some(violations) = told.violations() {
        return Err(VerdictError::Unsound(violations).into());
    }
    match told.verdict.cannot_tell {
        Some(why) => Err(VerdictError::CannotTell(why).into()),
        None => Ok(()),
    }
}

/// Whether a cluster runs, and how its run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// Somebody asked it to stop.
    Stopped,
    /// Its supervisor was killed.
    Killed,
}

fn judge(run_dir: &Path, jobs: Option<&Path>) -> Result<Told, Failure> {
    let mut looks = LOOKS;
    loop {
        let told = look(run_dir, jobs)?;
        looks -= 1;
        if told.state != State::Running || told.verdict.violations.is_empty() || looks == 0 {
            return Ok(told);
        }
        thread::sleep(LOOK_AFTER);
    }
}

fn look(run_dir: &Path, jobs: Option<&Path>) -> Result<Told, Failure> {
    let end_ns = now_ns();
    let was_busy = is_running(run_dir);
    let log = read(run_dir)?;
    let settings = log.about.settings.clone().unwrap_or_default();
    let jobs = jobs.map_or(settings.jobs, Path::to_owned);
    let accept: Vec<Pattern> = settings
        .accept
        .iter()
        .filter_map(|pattern| Pattern::new(pattern).ok())
        .collect();
    let mut run = Run {
        left_in_inbox: not_for_us(&jobs, &accept),
        jobs,
        end_ns,
        highest_coordinates: settings.highest_coordinates,
        operation_deadline: settings.operation_deadline,
        is_shared: true,
        ..Run::default()
    };
    let was_idle = run.is_idle();
    let (state, log) = ended(was_busy.is_some(), log);
    run.end_ns = match state {
        State::Running => end_ns,
        State::Stopped => log.about.stopping_at.unwrap_or(end_ns),
        State::Killed => log.supervisor_died_at(),
    };
    run.log = match state {
        State::Killed => log.with_untold_exits(run.end_ns),
        _ => log,
    };
    let is_finished = was_idle
        && match state {
            State::Running => was_busy == Some(false),
            _ => run.open_jobs() == 0,
        };
    run.cut_short = !is_finished;
    let survivors = match state {
        State::Running => Vec::new(),
        _ => await_last(&run, run_dir),
    };
    let compared = run.compare();
    let mut verdict = Verdict::on(&run, &compared, survivors.clone());
    let is_still_finished = || run.is_idle() && is_running(run_dir) != Some(true);
    if !run.cut_short && !verdict.violations.is_empty() && !is_still_finished() {
        // Something was dropped meanwhile.
        run.cut_short = true;
        verdict = Verdict::on(&run, &compared, survivors);
    }
    Ok(told(run_dir, state, run, compared, verdict))
}

fn told(run_dir: &Path, state: State, run: Run, compared: Comparison, verdict: Verdict) -> Told {
    Told {
        run_dir: run_dir.to_owned(),
        jobs: run.jobs,
        state,
        torn: run.log.torn.len(),
        compared,
        verdict,
    }
}

/// How the run has ended, if no supervisor answers any more.
fn ended(runs: bool, log: Log) -> (State, Log) {
    let state = match log.about.stopping_at {
        _ if runs => State::Running,
        Some(_) => State::Stopped,
        None => State::Killed,
    };
    (state, log)
}

/// Whether the cluster has open jobs; none if there is no cluster. One that does not answer may have.
fn is_running(run_dir: &Path) -> Option<bool> {
    match client::ask(run_dir, &Request::Status) {
        Ok(Answer::Status(status)) => Some(!status.jobs.is_empty()),
        Err(ControlError::NoCluster { .. }) => None,
        _ => Some(true),
    }
}

fn read(run_dir: &Path) -> Result<Log, Failure> {
    let failed = |error| VerdictError::Read {
        path: run_dir.join(FILE_NAME),
        error,
    };
    let parts = match visit::visit(run_dir)? {
        Some(visited) => {
            // The jobs directory is the same user's, and parts of it are nobody else's to see.
            visited.act_as_owner();
            visited.open_log().map_err(failed)?
        }
        None => Vec::new(),
    };
    if parts.is_empty() {
        let run_dir = run_dir.to_owned();
        return Err(VerdictError::NoLog { run_dir }.into());
    }
    Ok(read_parts(&parts).map_err(failed)?)
}

/// The names in the inbox that no cluster takes.
fn not_for_us(jobs: &Path, accept: &[Pattern]) -> Vec<String> {
    let mut names = job_files::dropped(jobs);
    names.retain(|name| {
        let bytes = name.as_bytes();
        is_ignored(bytes) || !is_job(bytes, accept) || jobs.join(name).is_dir()
    });
    names
}

/// Waits until the last node is gone: of a supervisor that was killed they learn a moment later.
fn await_last(run: &Run, run_dir: &Path) -> Vec<Violation> {
    let limit = Instant::now() + LAST_WITHIN;
    loop {
        let survivors = run.judge_survivors(run_dir);
        if survivors.is_empty() || Instant::now() >= limit {
            return survivors;
        }
        thread::sleep(LOOK_AFTER / 10);
    }
}
