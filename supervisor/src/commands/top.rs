//! `bullpen top`: the cluster while it works.
//!
//! ```text
//!   watch (a thread)                          screen, or plain
//!   control socket ── status ──┐
//!   events.jsonl ──── tail ────┼─▶ Snapshot ──▶ view ──▶ draw
//!   /proc ─────────── load ────┘                  │
//!   control socket ◀──────────── signals ◀────────┘ keys
//! ```
//!
//! Asking may take seconds where the supervisor is stopped; keys and drawing do not wait for it.

mod draw;
mod events;
mod load;
mod plain;
mod screen;
mod view;
mod watch;

use std::ffi::OsStr;
use std::io::{self, IsTerminal};

use supervisor::run_dir;
use supervisor::signals::Signals;

use crate::commands::cli::TopArgs;
use crate::commands::failure::{CANNOT, Failure};
use crate::commands::visit;

/// Shows the cluster until the user leaves: on a terminal a page that is drawn again and again,
/// elsewhere, and on a terminal without a size, a line for each change.
///
/// # Errors
///
/// The run directory is not to be believed, the terminal cannot be used, or standard output takes nothing.
pub(crate) fn run(args: &TopArgs, mut signals: Signals) -> Result<(), Failure> {
    let run_dir = run_dir::chosen(args.run_dir.as_deref());
    visit::visit(&run_dir)?;
    let is_dumb = std::env::var_os("TERM").as_deref() == Some(OsStr::new("dumb"));
    if io::stdout().is_terminal() && !is_dumb && screen::has_size() {
        screen::run(&run_dir, signals).map_err(|error| {
            Failure::new(
                CANNOT,
                format!(
                    "cannot use the terminal: {error}; where there is none, try: bullpen top | cat"
                ),
            )
        })
    } else {
        signals.end_at_once(0);
        Ok(plain::run(&run_dir)?)
    }
}
