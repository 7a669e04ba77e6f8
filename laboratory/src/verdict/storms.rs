//! L3: how many elections there may be, and how soon after each other.
//!
//! Counts need no order. What is judged of one life relies on the order of its own lines, and on its own clock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Violation;
use super::charges::{Charge, Lack};
use crate::log::order::Writer;
use crate::log::{Event, Life};

const NAME: &str = "L3";

/// Each fault lets one node win, and each node hold one election on the average; so does the start,
/// and again the highest node if it comes last. What befell a cluster before its log begins may have its
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
        // Not before the log, since what befell it then has its place in the limit.
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

/// How much an event has befallen the cluster; starts aside.
fn fault(event: &Event) -> usize {
    match event.name() {
        "node_exited" | "node_stopped" | "node_continued" => 1,
        // It gives way, and comes back.
        "file_call_slow" => 2,
        // The same, and two may take its place at once.
        "gap" => 3,
        // No event tells of its end.
        _ if event.is_stall() => 2,
        _ => 0,
    }
}

/// Gaps that cannot have been: one ends before the next begins, and a life has run when it wrote a line. So
/// from any line of its own on, its gaps together are no longer than what has passed.
pub(super) fn gaps(events: &[&Event]) -> Vec<Violation> {
    // By life, when the last gap ended at the earliest, and the clock of the last line.
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

/// Elections that follow each other too soon. Who finds no coordinator, or hears of no victory, waits as long as
/// anybody may be silent before it begins again, unless it has had a coordinator meanwhile, an office, or a
/// promise to keep.
pub(super) fn hasty(events: &[&Event], suspect_after: Duration) -> Vec<Violation> {
    let wait = u64::try_from(suspect_after.as_nanos()).unwrap_or(u64::MAX);
    // By life, when it began its last election at the earliest, if it waits; the clock of the last line, and
    // the term that it knew.
    let mut lives: BTreeMap<Life, (Option<u64>, u64, u64)> = BTreeMap::new();
    let mut violations = Vec::new();
    for event in events {
        let Writer::Node(life) = event.writer() else {
            continue;
        };
        let (began, last, term) = lives.entry(life).or_default();
        // It may have promised to somebody, whom it then missed at once.
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
