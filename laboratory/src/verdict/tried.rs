//! What was tried in a run, according to its log.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Run;
use crate::log::Event;

/// Counted from the events of a run, up to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tried {
    /// How long it was, from its first event to its end, in milliseconds.
    pub ms: u64,
    /// Processes that were ended by SIGKILL.
    pub kills: usize,
    /// Those that ended otherwise: by another signal, or by themselves.
    pub other_ends: usize,
    /// Processes that were stopped by a signal.
    pub stops: usize,
    /// Faults that nodes injected into themselves.
    pub injected: usize,
    /// Coordinatorships after the first.
    pub takeovers: usize,
    /// Processes after the first of each node.
    pub restarts: usize,
    /// Jobs that were taken, done, and refused or given up.
    pub accepted: usize,
    /// Jobs whose text has its name.
    pub done: usize,
    /// Files that were not jobs, and jobs that could not be done.
    pub rejected: usize,
}

impl Tried {
    /// What was tried in a run.
    pub fn by(run: &Run) -> Tried {
        let events = |name: &'static str| {
            let end = run.end_ns;
            let all = run.log.named(name);
            all.filter(move |event| event.at() <= end)
        };
        let count = |name| events(name).count();
        let jobs = |name| {
            events(name)
                .map(|event| event.text("job"))
                .collect::<BTreeSet<_>>()
        };
        let is_kill = |event: &&Event| event.text("signal") == "SIGKILL";
        let kills = events("node_exited").filter(is_kill).count();
        let mut seen = BTreeSet::new();
        let begun = run.log.events.first().map_or(run.end_ns, Event::at);
        Tried {
            ms: run.end_ns.saturating_sub(begun) / 1_000_000,
            kills,
            other_ends: count("node_exited") - kills,
            stops: count("node_stopped"),
            injected: count("fault_injected"),
            takeovers: count("acting").saturating_sub(1),
            restarts: events("node_spawned")
                .filter(|event| !seen.insert(event.node()))
                .count(),
            accepted: jobs("job_accepted").len(),
            done: jobs("job_done").len(),
            rejected: jobs("job_rejected").len(),
        }
    }
}
