//! The arguments of `verdict`.

use std::path::PathBuf;

use clap::Args;

/// The arguments of `verdict`.
#[derive(Debug, Args)]
pub(crate) struct VerdictArgs {
    /// Run directory of the cluster [default: as for up]
    #[arg(long, value_name = "DIR", env = "BULLPEN_RUN_DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    // Not from the environment: the run may have been one on another directory, and its log knows.
    /// Its jobs directory, if that was moved [default: the one that the event log names]
    #[arg(long, value_name = "DIR")]
    pub(crate) jobs: Option<PathBuf>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// What follows the options in the help.
pub(crate) const HELP: &str = "Examples:\n  \
    bullpen up --trace-operations          in another terminal: kill, stop and submit as you like; then\n  \
    bullpen verdict                        what was tried, each law, and whether it held\n  \
    bullpen verdict --json | jq .violations\n\n\
    It reads what a run leaves, its event log and its jobs directory, and asks nobody to believe it:\n\
    results are computed again here, and job files are read by rules of its own. The run may go on, or\n\
    have ended in any way. Jobs of earlier runs are left out, and so is what was collected or deleted.\n\
    What an operation's events would show is judged where the cluster was started with\n\
    --trace-operations, and is named as not told elsewhere.\n\
    Exit code 0 if all that can be told is sound, 1 if a law is broken, 4 if nothing of weight can be\n\
    told: there is no log, too much of it is torn or missing, or nothing has happened yet.";
