//! `bullpen completions`: what a shell needs to complete commands and options.

use clap::{Command, CommandFactory};

use crate::cli::{Cli, CompletionsArgs};
use crate::failure::Failure;
use crate::results;

/// Prints the completions for a shell.
///
/// # Errors
///
/// Standard output takes nothing.
pub(crate) fn run(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut visible(), "bullpen", &mut script);
    Ok(results::hand_over(&String::from_utf8_lossy(&script))?)
}

/// The command line without what nobody is to type: the generators list hidden commands too.
fn visible() -> Command {
    let whole = Cli::command();
    let mut shown = Command::new("bullpen").version(env!("CARGO_PKG_VERSION"));
    if let Some(about) = whole.get_about() {
        shown = shown.about(about.clone());
    }
    let arguments = whole.get_arguments().cloned();
    let commands = whole
        .get_subcommands()
        .filter(|command| !command.is_hide_set());
    shown.args(arguments).subcommands(commands.cloned())
}
