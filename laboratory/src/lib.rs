//! The analysis of a run of a cluster from outside.
//!
//! ```text
//!   events.jsonl ─▶ log ──┬─▶ failovers ─────────────┐
//!   jobs/ ─▶ job_files ───┼─▶ verdict ─▶ violations ─┴─▶ report ─▶ page
//!   /proc ─▶ processes ───┘
//! ```
//!
//! Nothing here takes part in a run: it reads the files that the run leaves, or with `tail` the events as they are
//! written.

pub mod failovers;
pub mod figures;
pub mod job_files;
pub mod job_text;
pub mod log;
pub mod oracle;
pub mod page;
mod plan;
pub mod processes;
pub mod report;
pub mod tail;
pub mod verdict;
pub mod words;
