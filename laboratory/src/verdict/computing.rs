//! S6: a coordinator computes nothing.

use std::collections::BTreeMap;

use super::Violation;
use crate::log::{Event, Life, Log};

const NAME: &str = "S6";

pub(super) fn check(log: &Log) -> Vec<Violation> {
    let mut acting: BTreeMap<Life, &Event> = BTreeMap::new();
    let mut violations = Vec::new();
    for event in &log.events {
        match event.name() {
            "acting" => {
                acting.insert(event.life(), event);
            }
            "stepped_down" | "node_exited" => {
                acting.remove(&event.life());
            }
            "computing" | "completed" => {
                // The torn line may be the one that told that it stepped down.
                let since = acting.get(&event.life()).copied();
                if let Some(since) = since.filter(|since| !log.may_lack_between(since, event)) {
                    violations.push(Violation::new(
                        NAME,
                        format!("node {} computes while it coordinates", event.node()),
                        &[since, event],
                    ));
                }
            }
            _ => {}
        }
    }
    violations
}
