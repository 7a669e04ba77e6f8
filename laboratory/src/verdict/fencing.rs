//! S3: who knows a higher epoch than its own starts no assignment, checkpoint or file call. Each
//! event tells the highest term that its node knew, and what only an acting coordinator does must
//! carry the term in which it acts; but of the rename of a job file, or of a text, that it began as
//! coordinator it tells whenever that ends.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use crate::log::{Event, Life, Log};

const NAME: &str = "S3";

pub(super) fn check(log: &Log) -> Vec<Violation> {
    let mut reigns: BTreeMap<Life, &Event> = BTreeMap::new();
    let mut coordinators: BTreeSet<Life> = BTreeSet::new();
    let mut violations = Vec::new();
    for event in &log.events {
        match event.name() {
            "acting" => {
                reigns.insert(event.life(), event);
                coordinators.insert(event.life());
            }
            "result_published" | "job_done" if coordinators.contains(&event.life()) => {}
            "stepped_down" | "following" => {
                reigns.remove(&event.life());
            }
            name if is_authority(name) => match reigns.get(&event.life()) {
                Some(acting) if acting.term() == event.term() => {}
                // Nor those that told of another reign.
                Some(acting) if log.may_lack_between(acting, event) => {}
                Some(acting) => {
                    let message = format!("node {} knows a higher term and {name}", event.node());
                    violations.push(Violation::new(NAME, message, &[acting, event]));
                }
                // The torn line may be the one that told that it acts.
                None if !log.is_whole() => {}
                None => {
                    let message = format!("node {} does not coordinate and {name}", event.node());
                    violations.push(Violation::new(NAME, message, &[event]));
                }
            },
            _ => {}
        }
    }
    violations
}

/// Whether only a coordinator does what an event of this name tells of.
fn is_authority(name: &str) -> bool {
    matches!(
        name,
        "assigned"
            | "checkpointed"
            | "operation_reassigned"
            | "operation_recomputed"
            | "job_accepted"
            | "job_rejected"
            | "job_waits"
            | "job_deleted"
            | "result_published"
            | "job_done"
            | "product_done"
    )
}
