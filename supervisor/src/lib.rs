//! The supervisor of a cluster, process 1 of its container, and nothing else: no command is known here.
//!
//! ```text
//!   start, owner, jobs_dir, run_dir   what must be so before anything starts
//!        │
//!        ▼
//!   supervise ── one loop: signals ─▶ reap ─▶ reports ─▶ restarts ─▶ hints ─▶ answers ─▶ sleep
//!        │
//!        ├── slot       a static ID: its process, and what is to be told to it
//!        ├── launch     how a process is started: this executable again
//!        ├── watch      the process that watches the jobs directory
//!        ├── record     the event log
//!        └── control    what commands ask
//! ```
//!
//! It starts one process per node by executing itself, restarts what dies and tells every node what became of
//! the others. It routes no data and elects nobody.

mod bound;
mod casualties;
pub mod control;
pub mod control_groups;
mod events;
pub mod held;
pub mod jobs_dir;
pub mod launch;
pub mod owner;
pub mod reap;
mod record;
pub mod rotation;
pub mod run_dir;
pub mod signals;
mod slot;
pub mod start;
pub mod supervise;
mod watch;
mod watchdog;

#[cfg(test)]
mod tests;
