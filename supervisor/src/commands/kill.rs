//! `bullpen kill`: the experiment by hand.

use std::fmt::Write as _;

use nix::sys::signal::Signal;
use protocol::id::NodeId;

use crate::commands::cli::KillArgs;
use crate::commands::client::{self, ControlError};
use crate::commands::failure::{Failure, NO};
use crate::commands::results;
use supervisor::control::{Answer, Request, Target};
use supervisor::run_dir;

/// Lets the supervisor signal nodes, and prints which.
///
/// # Errors
///
/// No cluster answers, or there is nothing to signal.
pub(crate) fn run(args: &KillArgs) -> Result<(), Failure> {
    let run_dir = run_dir::chosen(args.run_dir.as_deref());
    let request = Request::Signal {
        targets: args.targets.clone(),
        signal: args.signal.as_str().to_owned(),
    };
    let signalled = match client::ask(&run_dir, &request)? {
        Answer::Signalled(signalled) => signalled,
        Answer::Nothing(sentence) => return Err(Failure::new(NO, sentence)),
        other => return Err(ControlError::unexpected(&other).into()),
    };
    let mut text = String::new();
    for one in signalled {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} sent to node {} (pid {}, {})",
            args.signal,
            one.id,
            one.pid,
            one.role.word()
        );
    }
    Ok(results::say(&text)?)
}

/// Reads a target from the command line.
///
/// # Errors
///
/// The words that are understood.
pub(crate) fn parse_target(text: &str) -> Result<Target, String> {
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
pub(crate) fn parse_signal(text: &str) -> Result<Signal, String> {
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
