//! The arguments of `top`.

use std::path::PathBuf;

use clap::Args;

/// The arguments of `top`.
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Run directory of the cluster [default: as for up]
    #[arg(long, value_name = "DIR", env = "BULLPEN_RUN_DIR")]
    pub(crate) run_dir: Option<PathBuf>,
}

/// The text after the options in the help.
pub(crate) const HELP: &str = "Examples:\n  \
    bullpen top                    then: K kills the coordinator, q quits\n  \
    bullpen top | tee watched.txt  one line for each change\n\n\
    Keys: up, down or a digit select a node; k kills it, s stops it, c continues it;\n\
    K kills and S stops the coordinator, C continues all; ? explains the columns.\n\
    It waits if no cluster is running, and continues when one starts.";
