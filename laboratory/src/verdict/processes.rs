//! S11: one live process per ID. That none outlives its supervisor and none stays a zombie is
//! seen from outside, see `trial`.

use std::collections::BTreeMap;

use super::Violation;
use crate::log::{Event, Log};

const NAME: &str = "S11";

pub(super) fn check(log: &Log) -> Vec<Violation> {
    let mut alive: BTreeMap<u64, &Event> = BTreeMap::new();
    let mut violations = Vec::new();
    for event in &log.events {
        match event.name() {
            "node_spawned" => {
                let before = alive.insert(event.node(), event);
                // The line that told of its end may be the torn one.
                if let Some(before) = before.filter(|_| log.is_whole()) {
                    violations.push(Violation::new(
                        NAME,
                        format!("node {} was started while it lived", event.node()),
                        &[before, event],
                    ));
                }
            }
            "node_exited" => {
                let ended = alive.remove(&event.node());
                let known = ended.is_some_and(|spawned| spawned.life() == event.life());
                if !known && log.is_whole() {
                    violations.push(Violation::new(
                        NAME,
                        format!("node {} ended and did not live", event.node()),
                        &[event],
                    ));
                }
            }
            _ => {}
        }
    }
    violations
}
