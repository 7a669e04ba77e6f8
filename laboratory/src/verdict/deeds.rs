//! What the log tells of each operation that it has not let go, each life and each coordinatorship, found
//! in one pass.
//!
//! All lists are in the order of the clock. Of one life that is the order of its lines, which is what is
//! relied on; of different lives it is none, see [`crate::log::order`].

use std::collections::{BTreeMap, BTreeSet};

use super::ordinary::WORKED;
use crate::log::{Event, Life, Log, Op};

/// A coordinatorship: its term, and whose it is.
pub(super) type Epoch = (u64, Life);

#[derive(Debug, Default)]
pub(super) struct Deeds<'a> {
    pub(super) operations: BTreeMap<&'a Op, Deed<'a>>,
    /// What each life says of itself, the traces of operations aside.
    pub(super) words: BTreeMap<Life, Vec<&'a Event>>,
    /// The traces of operations of each life.
    work: BTreeMap<Life, Vec<&'a Event>>,
    /// When each life says its last word.
    last: BTreeMap<Life, u64>,
    pub(super) dead: BTreeSet<Life>,
    pub(super) reigns: BTreeMap<Epoch, Reign<'a>>,
}

/// What was done with an operation.
#[derive(Debug, Default)]
pub(super) struct Deed<'a> {
    pub(super) assigned: Vec<&'a Event>,
    pub(super) computing: Vec<&'a Event>,
    pub(super) completed: Vec<&'a Event>,
    pub(super) checkpointed: Vec<&'a Event>,
    pub(super) reassigned: Vec<&'a Event>,
}

/// How a coordinatorship began. A torn line may have told of either.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reign<'a> {
    pub(super) won: Option<&'a Event>,
    pub(super) acting: Option<&'a Event>,
}

impl<'a> Deeds<'a> {
    pub(super) fn of(log: &'a Log) -> Deeds<'a> {
        let mut deeds = Deeds {
            dead: log.named("node_exited").map(Event::life).collect(),
            ..Deeds::default()
        };
        let own = log.events.iter().filter(|event| !event.is_of_supervisor());
        for event in own {
            deeds.last.insert(event.life(), event.at());
            match event.op() {
                Some(op) => {
                    deeds.operations.entry(op).or_default().take(event);
                    if event.is_traced() {
                        deeds.work.entry(event.life()).or_default().push(event);
                    }
                }
                None if event.name() == WORKED => {
                    deeds.work.entry(event.life()).or_default().push(event);
                }
                None => deeds.words.entry(event.life()).or_default().push(event),
            }
            let reign = match event.name() {
                "election_won" | "acting" => deeds.reigns.entry(epoch(event)).or_default(),
                _ => continue,
            };
            match event.name() {
                "acting" => reign.acting = reign.acting.or(Some(event)),
                _ => reign.won = reign.won.or(Some(event)),
            }
        }
        deeds
    }

    /// When a life last said anything.
    pub(super) fn last_word(&self, life: Life) -> Option<u64> {
        self.last.get(&life).copied()
    }

    /// When a life last told of work before an event of its own: no step that wins an election tells of any.
    pub(super) fn last_work(&self, life: Life, before: &Event) -> u64 {
        let work = self.work.get(&life).map_or(&[][..], Vec::as_slice);
        let count = work.partition_point(|work| work.line < before.line);
        count.checked_sub(1).map_or(0, |last| work[last].at())
    }
}

impl<'a> Deed<'a> {
    fn take(&mut self, event: &'a Event) {
        match event.name() {
            "assigned" => self.assigned.push(event),
            "computing" => self.computing.push(event),
            "completed" => self.completed.push(event),
            "checkpointed" => self.checkpointed.push(event),
            "operation_reassigned" => self.reassigned.push(event),
            _ => {}
        }
    }
}

impl<'a> Reign<'a> {
    /// What is known of its beginning: nothing that its coordinator did as such was before it.
    pub(super) fn start(&self) -> Option<&'a Event> {
        self.acting.or(self.won)
    }
}

/// In the name of which epoch a coordinator's event tells of what it did.
pub(super) fn epoch(event: &Event) -> Epoch {
    (event.term(), event.life())
}
