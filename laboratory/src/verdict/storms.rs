//! L3: how many elections there may be, and how soon after one another.
//!
//! Counts need no order. Judging one incarnation relies on the order of its own lines, and on its own timestamps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Violation;
use super::charges::{Charge, Lack};
use crate::log::order::Writer;
use crate::log::{Event, Life};

const NAME: &str = "L3";

/// Each fault lets one node win, and each node hold one election on average; so does the start,
/// and again the highest node if it comes last. Faults before the beginning of the log may have their
/// elections in it.
pub(super) fn check(events: &[&Event], is_cut: bool) -> Vec<Charge> {
    let count = |name: &str| events.iter().filter(|event| event.name() == name).count();
    let spawned = events.iter().filter(|event| event.name() == "node_spawned");
    let nodes = spawned.map(|event| event.node()).collect::<BTreeSet<u64>>();
    let starts = count("node_spawned") - if is_cut { 0 } else { nodes.len() };
    let unanswered: usize = events.iter().map(|event| fault(event)).sum();
    let faults = starts + unanswered;
    let limit = 2 + faults + if is_cut { 2 } else { 0 };
    let nodes = match is_cut {
        true => events.iter().map(|event| event.node()).collect(),
        false => nodes,
    };
    let nodes = nodes.len();
    let (won, started) = (count("election_won"), count("election_started"));
    let charge = |message: String, count: usize| {
        // Not before the log, since the limit already allows for earlier faults.
        let lack = Lack::anywhere().times(count).within_the_log();
        Charge::new(Violation::new(NAME, message, &[]), lack)
    };
    let mut charges = Vec::new();
    if won > limit {
        let message = format!("{won} elections were won after {faults} faults");
        charges.push(charge(message, won - limit));
    }
    if started > nodes * limit {
        let message = format!("{started} elections were held after {faults} faults");
        let beyond = started - nodes * limit;
        charges.push(charge(message, beyond.div_ceil(nodes.max(1))));
    }
    charges
}

/// The number of elections that an event allows, without starts.
fn fault(event: &Event) -> usize {
    match event.name() {
        "node_exited" | "node_stopped" | "node_continued" => 1,
        // It gives way, and comes back.
        "file_call_slow" => 2,
        // The same, and two may take its place at once.
        "gap" => 3,
        // No event shows its end.
        _ if event.is_stall() => 2,
        _ => 0,
    }
}

/// Impossible gaps: one ends before the next begins, and an incarnation was running when it wrote a line. So
/// since any line of its own, its gaps together are no longer than the time that has passed.
pub(super) fn gaps(events: &[&Event]) -> Vec<Violation> {
    // By incarnation, when the last gap ended at the earliest, and the timestamp of the last line.
    let mut lives: BTreeMap<Life, (u64, u64)> = BTreeMap::new();
    let mut violations = Vec::new();
    for event in events {
        let Writer::Node(life) = event.writer() else {
            continue;
        };
        let (ended, last) = lives.entry(life).or_default();
        if event.name() == "gap" {
            let length = event.number("ms").saturating_mul(1_000_000);
            let ends = ended.saturating_add(length);
            if ends > event.at() {
                let message = format!("node {} tells of a gap that it had no time for", life.0);
                violations.push(Violation::new(NAME, message, &[event]));
            }
            // It began its step after it had written its last line.
            *ended = ends.max(*last).min(event.at());
        }
        *last = event.at();
    }
    violations
}

/// Elections too soon after one another. A node that finds no coordinator, or receives no Victory, waits as
/// long as a peer may be silent before it starts over, unless it has meanwhile had a coordinator, an office,
/// or a promise to keep.
pub(super) fn hasty(events: &[&Event], suspect_after: Duration) -> Vec<Violation> {
    let wait = u64::try_from(suspect_after.as_nanos()).unwrap_or(u64::MAX);
    // By incarnation, when it began its last election at the earliest, if it waits; the timestamp of the last
    // line, and the term that it knew.
    let mut lives: BTreeMap<Life, (Option<u64>, u64, u64)> = BTreeMap::new();
    let mut violations = Vec::new();
    for event in events {
        let Writer::Node(life) = event.writer() else {
            continue;
        };
        let (began, last, term) = lives.entry(life).or_default();
        // It may have promised to a node, which it then missed at once.
        if *term != event.term() {
            (*began, *term) = (None, event.term());
        }
        let waits = matches!(event.text("why"), "no_coordinator" | "no_victory");
        match event.name() {
            "election_started" => {
                let earliest = began
                    .filter(|_| waits)
                    .map(|began| began.saturating_add(wait));
                if earliest.is_some_and(|earliest| earliest > event.at()) {
                    let message = format!("node {} holds elections and waits too little", life.0);
                    violations.push(Violation::new(NAME, message, &[event]));
                }
                // It began its step after it had written its last line.
                *began = Some(earliest.unwrap_or(0).max(*last).min(event.at()));
            }
            "following" | "stepped_down" | "election_won" | "acting" => *began = None,
            _ => {}
        }
        *last = event.at();
    }
    violations
}
