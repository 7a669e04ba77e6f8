//! The progress of a job, for a person who waits at a terminal.

use indicatif::{ProgressBar, ProgressStyle};
use protocol::status::JobStatus;

use crate::commands::bars;

const TEMPLATE: &str = "{bar:40} {percent:>3} % of {len} operations, {elapsed}";

/// A bar on standard error while that is a terminal, and nothing otherwise. Gone when dropped.
///
/// Drawn by the caller alone, at each report: no thread ticks, for the supervisor must have none
/// (a child's parent-death signal follows the thread that started it).
#[derive(Debug)]
pub(crate) struct JobBar {
    bar: ProgressBar,
}

impl JobBar {
    /// A bar that shows nothing yet.
    pub(crate) fn new() -> JobBar {
        let bar = ProgressBar::with_draw_target(None, bars::target());
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        JobBar { bar }
    }

    /// Shows where the job stands. A report that knows less than an earlier one, as a new
    /// coordinator's first, moves nothing.
    pub(crate) fn show(&self, job: Option<&JobStatus>) {
        if let Some(job) = job.filter(|job| job.total > 0) {
            self.bar.set_length(job.total);
            self.bar.set_position(job.done.max(self.bar.position()));
        }
    }
}

impl Drop for JobBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
