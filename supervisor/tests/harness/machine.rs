//! What a busy machine does to a cluster, as far as its log tells.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::path::PathBuf;

use laboratory::log::{Event, Log, now_ns};

use super::{Cluster, PATIENCE, eventually};

/// Nodes that start so far apart may have elected another than the highest meanwhile: it takes
/// them half a second without a coordinator.
const APART_NS: u64 = 400_000_000;
/// A stop may be on record so long before the gap that it makes begins.
const STOP_NS: u64 = 1_000_000_000;

impl Cluster {
    /// The log so far, with what was kept of it.
    pub(crate) fn log(&self) -> Log {
        let log = self.home.run_dir().join("events.jsonl");
        match fs::read(self.kept_log()) {
            Ok(kept) => Log::parse(&[kept, fs::read(log).unwrap_or_default()].concat()),
            Err(_) => Log::read(&log),
        }
    }

    /// Keeps the log, and what is still written to it, though its name is about to be removed.
    pub(crate) fn keep_log(&self) {
        let log = self.home.run_dir().join("events.jsonl");
        fs::hard_link(log, self.kept_log()).unwrap();
    }

    fn kept_log(&self) -> PathBuf {
        self.home.path().join("kept.jsonl")
    }

    /// What must hold unless the machine kept a node from running: after that, nodes hold elections
    /// that no test asks for, and rightly so. The log has to show it, or the test fails with `what`.
    pub(crate) fn assert_unless_held_up(&self, holds: bool, what: impl Display) {
        if holds {
            return;
        }
        // Who did not run says so when it runs again.
        let (until, unexplained) = (
            now_ns(),
            format!("a gap or a late start that explains this: {what}"),
        );
        let hold_up = eventually(PATIENCE, &unexplained, || hold_up(&self.log(), until));
        println!("not held against it: {what}, in view of {hold_up}");
    }
}

/// The event of a node that did not run for a while before `until`, though nobody stopped it, or
/// that started long after the first.
fn hold_up(log: &Log, until: u64) -> Option<Event> {
    let mut gaps = log.named("gap");
    let gap = gaps.find(|gap| began(gap) <= until && !was_stopped(log, gap));
    gap.or_else(|| late_start(log)).cloned()
}

fn began(gap: &Event) -> u64 {
    let length = gap.number("ms").saturating_mul(1_000_000);
    gap.at().saturating_sub(length)
}

fn was_stopped(log: &Log, gap: &Event) -> bool {
    let around = began(gap).saturating_sub(STOP_NS)..=gap.at();
    let stops = log.named("node_stopped").chain(log.named("fault_injected"));
    let mut stops = stops.filter(|stop| stop.life() == gap.life());
    stops.any(|stop| around.contains(&stop.at()))
}

/// Of the first life of each node, since later ones may start at any time.
fn late_start(log: &Log) -> Option<&Event> {
    let mut nodes = BTreeSet::new();
    let spawned = log.named("node_spawned");
    let first_lives: BTreeSet<_> = spawned
        .filter(|event| nodes.insert(event.node()))
        .map(Event::life)
        .collect();
    let mut started = log
        .named("started")
        .filter(|event| first_lives.contains(&event.life()));
    let first = started.next()?;
    started.find(|event| event.at() - first.at() >= APART_NS)
}
