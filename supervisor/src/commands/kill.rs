//! `bullpen kill`: the experiment by hand.

use std::fmt::Write as _;

use supervisor::control::{Answer, Request};
use supervisor::run_dir;

use crate::commands::cli::KillArgs;
use crate::commands::client::{self, ControlError};
use crate::commands::failure::{Failure, NO};
use crate::commands::results;

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
