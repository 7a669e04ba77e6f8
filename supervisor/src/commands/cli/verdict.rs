//! The arguments of `verdict`.

use std::path::PathBuf;

use clap::Args;

/// The arguments of `verdict`.
#[derive(Debug, Args)]
pub(crate) struct VerdictArgs {
    /// Run directory of the cluster [default: as for up]
    #[arg(long, value_name = "DIR", env = "BULLPEN_RUN_DIR")]
    pub(crate) run_dir: Option<PathBuf>,
    // Not from the environment: the run may have used another directory, which its log names.
    /// Jobs directory of the run, if it was moved [default: the one that the event log names]
    #[arg(long, value_name = "DIR")]
    pub(crate) jobs: Option<PathBuf>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// The text after the options in the help.
pub(crate) const HELP: &str = "Examples:\n  \
    bullpen up --trace-operations          in another terminal: kill, stop and submit as you like; then\n  \
    bullpen verdict                        what was tried, each law, and whether it held\n  \
    bullpen verdict --json | jq .violations\n\n\
    It reads the event log and the jobs directory of a run, and trusts neither: it checks results\n\
    against known properties of factorials, and parses job files with its own parser. The run may be in\n\
    progress, or have ended in any way. Jobs of earlier runs, and files that were collected or deleted,\n\
    are left out. Laws about single operations are judged only if the cluster was started with\n\
    --trace-operations, and listed as not told otherwise.\n\
    Exit code 0 if all that can be judged is sound, 1 if a law is broken, 4 if too little can be\n\
    judged: there is no log, too much of it is torn or missing, or nothing has happened yet.";
