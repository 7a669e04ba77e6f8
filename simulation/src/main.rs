//! The command of the simulation.

use std::process::ExitCode;

use clap::Parser;
use simulation::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().execute()
}
