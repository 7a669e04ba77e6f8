//! S2: nobody obeys an epoch below the highest that it has seen.
//!
//! It relies only on the order in which one incarnation wrote its lines, and on that of epochs. Each of its
//! lines contains the highest term that the incarnation knows, also after a promise, which no line shows; and
//! `following`, or its own `election_won` and `acting`, show the owner of that term's epoch. No line of a follower
//! distinguishes two incarnations of one node that coordinated in one term.

use std::collections::BTreeMap;

use super::Violation;
use crate::log::order::Writer;
use crate::log::{Event, Life};

const NAME: &str = "S2";

/// What each incarnation has seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Obedience {
    highest: BTreeMap<Life, Seen>,
    found: Vec<Violation>,
}

/// The highest epoch that an incarnation knows, and the line that shows it.
#[derive(Clone, Debug)]
struct Seen {
    term: u64,
    owner: Option<u64>,
    event: Event,
}

impl Obedience {
    pub(super) fn take(&mut self, event: &Event) {
        let (Writer::Node(life), Some(term)) = (event.writer(), event.told_term()) else {
            return;
        };
        let owner = match event.name() {
            "following" => Some(event.number("coordinator")),
            "election_won" | "acting" => Some(event.node()),
            _ => None,
        };
        let Some(seen) = self.highest.get_mut(&life) else {
            let event = event.clone();
            self.highest.insert(life, Seen { term, owner, event });
            return;
        };
        // Whatever the clock says, a later line is about a later event.
        let obeys = matches!(event.name(), "following" | "computing");
        if obeys
            && seen.event.line < event.line
            && (term, owner.or(seen.owner)) < (seen.term, seen.owner)
        {
            let epoch = |term: u64, owner: Option<u64>| match owner {
                Some(owner) => format!("term {term} of node {owner}"),
                None => format!("term {term}"),
            };
            let message = format!(
                "node {} obeys {} though it has seen {}",
                event.node(),
                epoch(term, owner),
                epoch(seen.term, seen.owner)
            );
            self.found
                .push(Violation::new(NAME, message, &[&seen.event, event]));
        }
        // The owner of a higher term is not known yet.
        if term > seen.term || (term == seen.term && owner > seen.owner) {
            let event = event.clone();
            *seen = Seen { term, owner, event };
        }
    }

    pub(super) fn check(&self) -> Vec<Violation> {
        self.found.clone()
    }
}
