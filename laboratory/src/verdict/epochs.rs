//! S1: no two processes own one epoch.

use std::collections::BTreeMap;

use super::Violation;
use crate::log::{Event, Log};

const NAME: &str = "S1";

pub(super) fn check(log: &Log) -> Vec<Violation> {
    let mut violations = lives(log);
    violations.extend(claims(log, "election_won"));
    violations.extend(claims(log, "acting"));
    if log.is_whole() {
        violations.extend(acting_unelected(log));
    }
    violations
}

/// An incarnation is one process of one node.
fn lives(log: &Log) -> Vec<Violation> {
    let mut first: BTreeMap<u64, &Event> = BTreeMap::new();
    let mut violations = Vec::new();
    for event in &log.events {
        let known = *first.entry(event.incarnation()).or_insert(event);
        if (known.node(), known.pid()) != (event.node(), event.pid()) {
            violations.push(Violation::new(
                NAME,
                format!("two processes have incarnation {}", event.incarnation()),
                &[known, event],
            ));
            first.insert(event.incarnation(), event);
        }
    }
    violations
}

/// An epoch is won once, and taken up once.
fn claims(log: &Log, name: &str) -> Vec<Violation> {
    let mut first: BTreeMap<(u64, u64, u64), &Event> = BTreeMap::new();
    let mut violations = Vec::new();
    for event in log.named(name) {
        let epoch = (event.term(), event.node(), event.incarnation());
        if let Some(known) = first.insert(epoch, event) {
            violations.push(Violation::new(
                NAME,
                format!("{name} twice in the epoch {epoch:?} (term, ID, incarnation)"),
                &[known, event],
            ));
        }
    }
    violations
}

/// Who acts in an epoch has won it.
fn acting_unelected(log: &Log) -> Vec<Violation> {
    let won = |acting: &Event| {
        log.named("election_won").any(|won| {
            won.life() == acting.life() && won.term() == acting.term() && won.at() <= acting.at()
        })
    };
    log.named("acting")
        .filter(|acting| !won(acting))
        .map(|acting| Violation::new(NAME, "acting in an epoch that was not won", &[acting]))
        .collect()
}
