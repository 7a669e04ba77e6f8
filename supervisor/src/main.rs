//! The binary `bullpen`: one executable, which is the supervisor, each node, what watches the jobs directory, and
//! every command.

mod commands;

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anstream::{AutoStream, ColorChoice};
use node::args::LogFormat;
use protocol::printable::{printable, printable_lines};
use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use supervisor::launch;
use supervisor::signals::{self, Signals};

use crate::commands::cli::environment::{self, Refusal, Variables};
use crate::commands::cli::{Command, Part};
use crate::commands::failure::Failure;
use crate::commands::stderr::{self, JsonStderr, Stderr};
use crate::commands::{
    completions, compute, experiment, kill, man, metrics, results, status, submit, timeline, top,
    up, verdict, watch,
};

fn main() -> ExitCode {
    let command = std::env::args_os().nth(1).unwrap_or_default();
    // Before all else: what comes earlier is lost where this is process 1.
    let begun = signals::begin(acts_on_signals(&command));
    if command != launch::NODE {
        name_process();
    }
    stderr::own();
    match (environment::parse(), begun) {
        (Ok((command, variables)), Ok(signals)) => run(command, &variables, signals),
        (Ok(_), Err(failure)) => report(&Variables::default(), Err(failure.into())),
        (Err(Refusal::Variable(error)), _) => report(&Variables::default(), Err(error.into())),
        (Err(Refusal::Usage(help)), _) => show(&help),
    }
}

/// Shows the help, or why the arguments are refused, in colour on a terminal; elsewhere it waits for a
/// slow reader as all output does.
fn show(help: &clap::Error) -> ExitCode {
    let is_refusal = help.use_stderr();
    if is_refusal && !io::stderr().is_terminal() {
        stderr::hand_over(&help.to_string());
    } else if !is_refusal && !io::stdout().is_terminal() {
        // A reader that has left has seen enough.
        let _ = results::hand_over(&help.to_string());
    } else {
        let _ = help.print();
    }
    ExitCode::from(if is_refusal { 2 } else { 0 })
}

/// Whether a command ends in good order when a signal asks it to; the others just end.
fn acts_on_signals(command: &OsStr) -> bool {
    match command.to_str() {
        Some("up" | "compute" | "experiment" | "top" | "metrics") => true,
        Some("submit") => std::env::args_os().any(|argument| argument == "--wait"),
        _ => false,
    }
}

fn run(command: Command, variables: &Variables, signals: Option<Signals>) -> ExitCode {
    // There they are already, unless the command is called by another name than those above.
    let signals = || match signals {
        Some(signals) => Ok(signals),
        None => Ok(Signals::install()?),
    };
    let report = |result| report(variables, result);
    match command {
        Command::Up(args) => {
            log_to_stderr(LevelFilter::INFO, args.cluster.log_format);
            report(signals().and_then(|signals| up::run(&args, signals)))
        }
        Command::Compute(args) => {
            log_to_stderr(LevelFilter::WARN, args.cluster.log_format);
            report(signals().and_then(|signals| compute::run(&args, signals)))
        }
        Command::Experiment(args) => {
            log_to_stderr(LevelFilter::WARN, args.cluster.log_format);
            report(signals().and_then(|signals| experiment::run(&args, signals)))
        }
        Command::Submit(args) => {
            let signals = args.wait.then(signals).transpose();
            report(signals.and_then(|signals| submit::run(&args, signals)))
        }
        Command::Status(args) => report(status::run(&args)),
        Command::Kill(args) => report(kill::run(&args)),
        Command::Timeline(args) => report(timeline::run(&args)),
        Command::Verdict(args) => report(verdict::run(&args)),
        Command::Top(args) => report(signals().and_then(|signals| top::run(&args, signals))),
        Command::Completions(args) => report(completions::run(&args)),
        Command::Man => report(man::run()),
        Command::Metrics(args) => {
            report(signals().and_then(|signals| metrics::run(&args, signals)))
        }
        Command::Part(Part::Watch(args)) => report(watch::run(&args)),
        Command::Part(Part::Node(args)) => {
            // Where results are not logged, a person waits for them and wants no chatter.
            let level = if args.config.log_results {
                LevelFilter::INFO
            } else {
                LevelFilter::WARN
            };
            log_to_stderr(level, args.log_format);
            node::run(*args)
        }
    }
}

/// The one place where a failure reaches the user.
fn report(variables: &Variables, result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            stderr::say(&printable_lines(&variables.name_in(&failure.to_string())));
            failure.exit_code()
        }
    }
}

/// Makes `ps` and `pkill` know this process as `bullpen`, whatever the file is called. A node
/// names itself after its role.
fn name_process() {
    // Nothing depends on it.
    let _ = nix::sys::prctl::set_name(c"bullpen");
}

/// Messages of `level` and above go to standard error, a line each; in colour where the help has it too.
fn log_to_stderr(level: LevelFilter, format: LogFormat) {
    let log = tracing_subscriber::fmt()
        .with_target(false)
        .with_max_level(level);
    match format {
        LogFormat::Text => log
            .with_writer(|| Stderr)
            .compact()
            .with_ansi(AutoStream::choice(&std::io::stderr()) != ColorChoice::Never)
            .fmt_fields(debug_fn(write_field).delimited(" "))
            .init(),
        LogFormat::Json => log
            .with_writer(|| JsonStderr)
            .json()
            .flatten_event(true)
            .init(),
    }
}

/// The message, or another field with its name, on the same line: words of others are in them.
fn write_field(to: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let value = format!("{value:?}");
    let value = printable(&value);
    match field.name() {
        "message" => write!(to, "{value}"),
        name => write!(to, "{name}={value}"),
    }
}
