//! L4: a run that is asked to stop ends within the grace period.
//!
//! The supervisor logs both, the request before it acts on it and each end after it: the order of one
//! process's own lines.

use super::{Run, Violation};

/// The grace period, the time for killed processes to end, and a margin for a busy machine.
const END_WITHIN_NS: u64 = 8_000_000_000;

pub(super) fn check(run: &Run) -> Vec<Violation> {
    let Some(asked) = run.log.about.stopping_at else {
        return Vec::new();
    };
    let ends = run.log.named("node_exited");
    let late = ends.filter(|end| end.at() > asked.saturating_add(END_WITHIN_NS));
    late.map(|end| {
        let seconds = (end.at() - asked) / 1_000_000_000;
        let message = format!("node {} ended {seconds} s after the stop", end.node());
        Violation::new("L4", message, &[end])
    })
    .collect()
}
