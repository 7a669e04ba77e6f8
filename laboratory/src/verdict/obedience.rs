//! S2: nobody obeys an epoch below the highest that it has seen.
//!
//! Events tell the term, so that is what is judged: what a node follows, or works for, is of no lower
//! term than what it has won, followed or been deposed by before.

use std::collections::BTreeMap;

use super::Violation;
use crate::log::{Event, Life, Log};

const NAME: &str = "S2";

pub(super) fn check(log: &Log) -> Vec<Violation> {
    let mut highest: BTreeMap<Life, &Event> = BTreeMap::new();
    let mut violations = Vec::new();
    for event in &log.events {
        let Some(term) = event.told_term() else {
            continue;
        };
        let seen = highest.get(&event.life()).copied();
        if matches!(event.name(), "following" | "computing")
            && let Some(seen) = seen.filter(|seen| seen.term() > term)
        {
            let message = format!(
                "node {} obeys term {term} though it has seen term {}",
                event.node(),
                seen.term()
            );
            violations.push(Violation::new(NAME, message, &[seen, event]));
        }
        if matches!(event.name(), "following" | "election_won" | "stepped_down")
            && seen.is_none_or(|seen| seen.term() <= term)
        {
            highest.insert(event.life(), event);
        }
    }
    violations
}
