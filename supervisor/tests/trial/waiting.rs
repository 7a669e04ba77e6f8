//! Waiting for events, and counting them.

use std::time::Duration;

use laboratory::log::Event;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Trial;
use crate::harness::{PATIENCE, eventually};

impl Trial {
    /// Waits for an event; the first one that matches.
    pub(crate) fn await_event(&self, what: &str, matches: impl Fn(&Event) -> bool) -> Event {
        eventually(PATIENCE, what, || {
            self.log().events.into_iter().find(&matches)
        })
    }

    /// Waits until a coordinatorship of this node has begun; the first one.
    pub(crate) fn await_acting(&self, node: u64) -> Event {
        self.await_event(&format!("node {node} acts"), |event| {
            event.is("acting", node)
        })
    }

    /// Waits until a coordinatorship of this node has begun after a moment; the first one.
    pub(crate) fn await_acting_after(&self, node: u64, moment: u64) -> Event {
        self.await_event(&format!("node {node} acts then"), |event| {
            event.is("acting", node) && event.at() > moment
        })
    }

    /// Waits until a job is said to be in some way: accepted, published, done.
    pub(crate) fn await_job(&self, name: &str, job: &str) -> Event {
        self.await_event(&format!("{name} {job}"), |event| {
            event.name() == name && event.text("job") == job
        })
    }

    /// Waits until some operation of n! with `n` at least this is in the checkpoint.
    pub(crate) fn await_progress(&self, least: u64) {
        self.await_event("the job is under way", |event| {
            event.name() == "checkpointed" && event.op().is_some_and(|op| op.n >= least)
        });
    }

    /// Waits until a fault was injected, and says into which process.
    pub(crate) fn await_fault(&self) -> Pid {
        self.await_event("a fault is injected", |event| {
            event.name() == "fault_injected"
        })
        .process()
    }

    /// Waits until this node is the last one that has begun to act: all may agree on a coordinator
    /// before one that was held back comes.
    pub(crate) fn await_return(&self, node: u64) {
        eventually(PATIENCE, &format!("node {node} acts again"), || {
            (self.reigns().last() == Some(&node)).then_some(())
        });
    }

    /// Continues a stopped process, and waits until that is on record.
    pub(crate) fn wake(&self, stopped: Pid) {
        let continues = || {
            let log = self.log();
            let continued = log.named("node_continued");
            continued.filter(|event| event.process() == stopped).count()
        };
        let before = continues();
        kill(stopped, Signal::SIGCONT).unwrap();
        eventually(PATIENCE, "it continues", || {
            (continues() > before).then_some(())
        });
    }

    /// How many events have this name.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.log().named(name).count()
    }

    /// Which nodes have acted, in order.
    pub(crate) fn reigns(&self) -> Vec<u64> {
        let log = self.log();
        log.named("acting").map(Event::node).collect()
    }

    /// These nodes have acted, in this order, and between them only whom a busy machine let act.
    pub(crate) fn assert_reigns(&self, expected: &[u64]) {
        let reigns = self.reigns();
        assert!(
            are_in_order(expected, &reigns),
            "{reigns:?} acted, not {expected:?}"
        );
        let what = format!("{reigns:?} acted, not just {expected:?}");
        self.assert_unless_held_up(reigns == expected, what);
    }

    /// How often a job was said to be published.
    pub(crate) fn publications(&self, job: &str) -> usize {
        let log = self.log();
        let of_job = |event: &&Event| event.text("job") == job;
        log.named("result_published").filter(of_job).count()
    }

    /// Waits for the results of a job that takes a while, with faults.
    pub(crate) fn await_long(&self, job: &str) -> String {
        self.await_results(job, Duration::from_secs(120))
    }
}

/// Whether all that is expected is there, in this order, perhaps with more between.
pub(crate) fn are_in_order<T: PartialEq>(expected: &[T], all: &[T]) -> bool {
    let mut rest = all.iter();
    expected.iter().all(|one| rest.any(|other| other == one))
}
