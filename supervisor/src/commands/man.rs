//! `bullpen man`: the manual page.

use std::io;

use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::Roff;

use crate::commands::cli::Cli;
use crate::commands::failure::Failure;
use crate::commands::results;

/// Prints the page, which has all commands.
///
/// # Errors
///
/// Standard output takes nothing.
pub(crate) fn run() -> Result<(), Failure> {
    let page = page(Cli::command()).expect("memory takes all that is written");
    Ok(results::hand_over(&page)?)
}

fn page(all: Command) -> io::Result<String> {
    // All is told of each option, and nothing of who asks.
    let whole = |arg: Arg| arg.hide_short_help(false).hide_env_values(true);
    let mut all = all
        .disable_help_subcommand(true)
        .mut_subcommands(|command| command.mut_args(whole));
    all.build();
    let man = Man::new(all.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_extra_section(&mut page)?;
    let commands = all.get_subcommands_mut();
    for command in commands.filter(|command| !command.is_hide_set()) {
        render_command(command, &mut page)?;
    }
    let page = String::from_utf8_lossy(&page);
    // Examples and what follows them keep their lines; the next heading ends that.
    Ok(page.replace(" EXTRA\nExamples:\n", " EXAMPLES\n.nf\n"))
}

/// A section with what a page of its own would have.
fn render_command(command: &mut Command, page: &mut Vec<u8>) -> io::Result<()> {
    let usage = command.render_usage().to_string();
    let title = usage.trim_start_matches("Usage: ");
    Roff::new().control("SH", [title]).to_writer(page)?;
    let man = Man::new(command.clone());
    let mut own = Vec::new();
    man.render_description_section(&mut own)?;
    man.render_options_section(&mut own)?;
    man.render_extra_section(&mut own)?;
    let own = String::from_utf8_lossy(&own);
    let own = own.replace("\n.SH DESCRIPTION", "");
    page.extend(own.replace("\n.SH ", "\n.SS ").bytes());
    Ok(())
}
