//! `bullpen completions`: what a shell needs to complete commands and options.

use clap::CommandFactory;

use crate::commands::cli::{Cli, CompletionsArgs};
use crate::commands::failure::Failure;
use crate::commands::results;

/// Prints the completions for a shell.
///
/// # Errors
///
/// Standard output takes nothing.
pub(crate) fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "bullpen", &mut script);
    Ok(results::hand_over(&String::from_utf8_lossy(&script))?)
}
