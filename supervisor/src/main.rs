//! The binary `bullpen`: a supervisor and its commands.
//!
//! ```text
//!   main ── cli ──┬── up ───────┐
//!                 ├── compute ──┴── supervise: one loop of signals, deaths, restarts, hints
//!                 └── node          (the other role of this executable; see the crate `node`)
//! ```
//!
//! The supervisor starts one process per node by executing itself, restarts what dies and tells
//! every node what became of the others. It routes no data and elects nobody.

mod cli;
mod compute;
mod events;
mod failure;
mod jobs_dir;
mod launch;
mod operands;
mod progress;
mod reap;
mod restart;
mod run_dir;
mod signals;
mod slot;
mod stderr;
mod supervise;
mod up;

use std::ffi::OsStr;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tracing::level_filters::LevelFilter;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::stderr::Stderr;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).as_deref() != Some(OsStr::new(cli::NODE)) {
        name_process();
    }
    match Cli::parse().command {
        Command::Up(args) => {
            log_to_stderr(LevelFilter::INFO);
            report(up::run(&args))
        }
        Command::Compute(args) => {
            log_to_stderr(LevelFilter::WARN);
            report(compute::run(&args))
        }
        Command::Node(args) => {
            // Where results are not logged, a person waits for them and wants no chatter.
            log_to_stderr(if args.config.log_results {
                LevelFilter::INFO
            } else {
                LevelFilter::WARN
            });
            node::run(*args)
        }
    }
}

/// The one place where a failure reaches the user.
fn report(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Not `eprintln!`, which panics when standard error is closed.
            let _ = writeln!(std::io::stderr(), "bullpen: {failure}");
            failure.exit_code()
        }
    }
}

/// Makes `ps` and `pkill` know this process as `bullpen`, whatever the file is called. A node
/// names itself after its role.
fn name_process() {
    // Without /proc the kernel's own choice stays; nothing depends on it.
    let _ = std::fs::write("/proc/self/comm", "bullpen");
}

/// Messages of `level` and above go to standard error, a line each.
fn log_to_stderr(level: LevelFilter) {
    tracing_subscriber::fmt()
        .compact()
        .with_writer(|| Stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_max_level(level)
        .init();
}
