//! L1: when faults stop, one coordinator, believed by all, the highest live ID.

use std::collections::{BTreeMap, BTreeSet};

use super::{Run, Violation};
use crate::log::Event;

const NAME: &str = "L1";

/// What a live node has said last about who coordinates.
#[derive(Clone, Copy)]
struct Belief<'a> {
    coordinator: Option<u64>,
    event: &'a Event,
}

pub(super) fn check(run: &Run) -> Vec<Violation> {
    // The torn line may be the last word of any of them.
    if !run.log.torn.is_empty() {
        return Vec::new();
    }
    let beliefs = beliefs(run);
    let Some((&highest, _)) = beliefs.last_key_value() else {
        return vec![Violation::new(NAME, "no node lives", &[])];
    };
    let undecided = beliefs.values().find(|belief| belief.coordinator.is_none());
    if let Some(belief) = undecided {
        let message = format!("node {} follows nobody at the end", belief.event.node());
        return vec![Violation::new(NAME, message, &[belief.event])];
    }
    let first = beliefs[&highest];
    let dissent = beliefs
        .values()
        .find(|belief| belief.coordinator != first.coordinator);
    if let Some(belief) = dissent {
        let message = "two nodes believe in two coordinators at the end";
        return vec![Violation::new(NAME, message, &[first.event, belief.event])];
    }
    let coordinator = first.coordinator.unwrap_or(u64::MAX);
    if !beliefs.contains_key(&coordinator) {
        let message = format!("all follow node {coordinator}, which does not live");
        return vec![Violation::new(NAME, message, &[first.event])];
    }
    if run.highest_coordinates && coordinator != highest {
        let message = format!("node {coordinator} coordinates while node {highest} lives");
        return vec![Violation::new(NAME, message, &[first.event])];
    }
    Vec::new()
}

/// The belief of each node that lives and runs at the end, by its ID.
fn beliefs(run: &Run) -> BTreeMap<u64, Belief<'_>> {
    let mut beliefs: BTreeMap<u64, Belief<'_>> = BTreeMap::new();
    let mut stopped = BTreeSet::new();
    let mut ended = BTreeSet::new();
    let before_the_end = |event: &&Event| event.at() <= run.end_ns;
    for event in run.log.events.iter().filter(before_the_end) {
        let coordinator = match event.name() {
            "node_exited" => {
                beliefs.remove(&event.node());
                stopped.remove(&event.node());
                ended.insert(event.life());
                continue;
            }
            "node_stopped" => {
                stopped.insert(event.node());
                continue;
            }
            "node_continued" => {
                stopped.remove(&event.node());
                continue;
            }
            "node_spawned" | "election_started" | "stepped_down" => None,
            "acting" => Some(event.node()),
            "following" => Some(event.number("coordinator")),
            _ => continue,
        };
        // A node may be quicker than the line that tells of its start; and what a dead process
        // wrote last may stand behind its exit.
        let is_start = event.name() == "node_spawned";
        let is_over = match beliefs.get(&event.node()) {
            Some(belief) if is_start => belief.event.incarnation() >= event.incarnation(),
            Some(belief) => belief.event.incarnation() > event.incarnation(),
            None => ended.contains(&event.life()),
        };
        if !is_over {
            beliefs.insert(event.node(), Belief { coordinator, event });
        }
    }
    // A stopped process can neither lead nor believe.
    beliefs.retain(|node, _| !stopped.contains(node));
    beliefs
}
