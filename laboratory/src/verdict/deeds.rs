//! What the log says about each operation that was not discarded, each incarnation and each coordinatorship,
//! collected in one pass.
//!
//! All lists are in timestamp order. For one incarnation that is the order of its lines, on which the laws rely;
//! for different ones it proves nothing, see [`crate::log::order`].

use std::collections::{BTreeMap, BTreeSet};

use super::ordinary::WORKED;
use crate::log::{Event, Life, Log, Op};

/// A coordinatorship: its term and its owner.
pub(super) type Epoch = (u64, Life);

#[derive(Debug, Default)]
pub(super) struct Deeds<'a> {
    pub(super) operations: BTreeMap<&'a Op, Deed<'a>>,
    /// The lines of each incarnation about itself, without traces of operations.
    pub(super) words: BTreeMap<Life, Vec<&'a Event>>,
    /// The operation traces of each incarnation.
    work: BTreeMap<Life, Vec<&'a Event>>,
    /// When each incarnation wrote its last line.
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

/// How a coordinatorship began. Either may have been in a torn line.
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

    /// When an incarnation last wrote a line.
    pub(super) fn last_word(&self, life: Life) -> Option<u64> {
        self.last.get(&life).copied()
    }

    /// When an incarnation last logged work before one of its own events: no step that wins an election logs any.
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
    /// The known bound of its beginning: its coordinator did nothing as such before it.
    pub(super) fn start(&self) -> Option<&'a Event> {
        self.acting.or(self.won)
    }
}

/// The epoch in which a coordinator acted, according to its event.
pub(super) fn epoch(event: &Event) -> Epoch {
    (event.term(), event.life())
}
