//! The arguments of `kill`, and how they are read.

use std::path::PathBuf;

use clap::Args;
use nix::sys::signal::Signal;
use protocol::id::NodeId;
use supervisor::control::Target;

/// The arguments of `kill`.
#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    /// coordinator, worker (the running one with the lowest ID), all, or the ID of a node
    #[arg(required = true, value_name = "TARGET", value_parser = parse_target)]
    pub(crate) targets: Vec<Target>,
    /// The signal: KILL, STOP, CONT, TERM or any other, with or without SIG
    #[arg(long, value_name = "SIGNAL", default_value = "KILL", value_parser = parse_signal)]
    pub(crate) signal: Signal,
    /// Run directory of the cluster [default: as for up]
    #[arg(long, value_name = "DIR", env = "BULLPEN_RUN_DIR")]
    pub(crate) run_dir: Option<PathBuf>,
}

/// Reads a target from the command line.
///
/// # Errors
///
/// The words that are understood.
fn parse_target(text: &str) -> Result<Target, String> {
    match text {
        "coordinator" => Ok(Target::Coordinator),
        "worker" => Ok(Target::Worker),
        "all" => Ok(Target::All),
        id => match id.parse() {
            Ok(id) => Ok(Target::Node(NodeId(id))),
            Err(_) => Err("expected coordinator, worker, all, or the ID of a node".to_owned()),
        },
    }
}

/// Reads a signal: its name with or without SIG, in any case, or its number.
///
/// # Errors
///
/// Some of the signals that there are.
fn parse_signal(text: &str) -> Result<Signal, String> {
    let known = match text.parse::<i32>() {
        Ok(number) => Signal::try_from(number),
        Err(_) => {
            let name = text.to_ascii_uppercase();
            let name = name.strip_prefix("SIG").unwrap_or(&name);
            format!("SIG{name}").parse()
        }
    };
    known.map_err(|_| "expected a signal such as KILL, STOP, CONT, TERM or INT".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_go_by_name_or_number() {
        for text in ["KILL", "SIGKILL", "kill", "SigKill", "9"] {
            assert_eq!(parse_signal(text), Ok(Signal::SIGKILL), "{text}");
        }
        assert_eq!(parse_signal("stop"), Ok(Signal::SIGSTOP));
        for text in ["", "SIG", "NONE", "0", "-9", "99", "KILL "] {
            parse_signal(text).unwrap_err();
        }
    }

    #[test]
    fn targets_are_words_or_ids() {
        assert_eq!(parse_target("coordinator"), Ok(Target::Coordinator));
        assert_eq!(parse_target("3"), Ok(Target::Node(NodeId(3))));
        for text in ["", "everyone", "-1", "256", "Coordinator"] {
            parse_target(text).unwrap_err();
        }
    }
}
