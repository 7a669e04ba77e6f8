//! The commands of `bullpen`, a file each, and what several of them use.
//!
//! ```text
//!   main ── cli ──┬── up ───────┐
//!                 ├── compute ──┴── supervise (the library): one loop of signals, deaths, restarts, hints
//!                 │                     ▲ control socket
//!                 ├── status, kill ─────┤
//!                 ├── top, metrics ─────┘  (and the event log)
//!                 ├── experiment    (starts an `up`, breaks it by `kill`, and judges what it did)
//!                 ├── timeline      (reads the event log, whether or not the cluster runs)
//!                 ├── verdict       (reads it too, and the jobs directory, and judges the run)
//!                 ├── submit        (drops a file; the jobs directory is all it needs)
//!                 ├── completions   (for shells)
//!                 ├── man           (the manual page)
//!                 ├── node          (what the supervisor starts; see the crate `node`)
//!                 └── watch         (the same: what notices changes of the jobs directory)
//! ```

mod bars;
pub(crate) mod cli;
mod client;
pub(crate) mod completions;
pub(crate) mod compute;
pub(crate) mod experiment;
pub(crate) mod failure;
pub(crate) mod kill;
pub(crate) mod man;
mod memory;
pub(crate) mod metrics;
mod operands;
mod private_folder;
pub(crate) mod results;
pub(crate) mod status;
pub(crate) mod stderr;
pub(crate) mod submit;
pub(crate) mod timeline;
pub(crate) mod top;
pub(crate) mod up;
pub(crate) mod verdict;
mod visit;
pub(crate) mod watch;
