//! S2: nobody obeys an epoch below the highest that it has seen.
//!
//! Events tell the term, so that is what is judged: what a node follows, or works for, is of no lower
//! term than any that it knew before. Each event of its own tells the highest that it knows, also
//! after a promise, of which none tells.

use std::collections::BTreeMap;

use super::Violation;
use crate::log::{Event, Life, Log};

const NAME: &str = "S2";

pub(super) fn check(log: &Log) -> Vec<Violation> {
    let mut highest: BTreeMap<Life, &Event> = BTreeMap::new();
    let mut violations = Vec::new();
    for event in log.events.iter().filter(|event| !event.is_of_supervisor()) {
        let Some(term) = event.told_term() else {
            continue;
        };
        // Whatever the clock says, a process writes its lines in the order in which things happen.
        let seen = highest.get(&event.life()).copied();
        let seen = seen.filter(|seen| seen.line < event.line);
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
        if seen.is_none_or(|seen| seen.term() <= term) {
            highest.insert(event.life(), event);
        }
    }
    violations
}
