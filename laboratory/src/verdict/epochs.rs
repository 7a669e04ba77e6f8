//! S1: no two processes own one epoch.
//!
//! That an epoch is claimed once needs no order. That a node has won an epoch before it acts in it relies
//! only on the order in which that incarnation wrote its lines.

use std::collections::BTreeMap;

use super::Violation;
use super::charges::{Charge, Lack, Missing, place};
use crate::log::order::Writer;
use crate::log::{Event, Life};

const NAME: &str = "S1";

/// (term, ID, incarnation).
type Epoch = (u64, u64, u64);

/// The claims so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Epochs {
    /// The first event of each incarnation.
    processes: BTreeMap<u64, Event>,
    won: BTreeMap<Epoch, Event>,
    acting: BTreeMap<Epoch, Event>,
    terms: BTreeMap<Life, Term>,
    found: Vec<Violation>,
    charges: Vec<Charge>,
}

/// What an incarnation knows about terms.
#[derive(Clone, Debug, Default)]
struct Term {
    known: u64,
    /// Its last line, and its last one in a lower term.
    last: (usize, u64),
    below: (usize, u64),
}

impl Epochs {
    pub(super) fn take(&mut self, event: &Event) {
        self.process(event);
        if matches!(event.writer(), Writer::Node(_)) {
            self.term(event);
        }
        let epoch = (event.term(), event.node(), event.incarnation());
        match event.name() {
            "election_won" => self.claim(epoch, event),
            "acting" => {
                if !self.won.contains_key(&epoch) {
                    let below = self
                        .terms
                        .get(&event.life())
                        .map_or((0, 0), |term| term.below);
                    let message = "acting in an epoch that was not won";
                    let violation = Violation::new(NAME, message, &[event]);
                    let lack = Lack::of(event.life(), below, event.line);
                    self.charges.push(Charge::new(violation, lack));
                }
                self.claim(epoch, event);
            }
            _ => {}
        }
    }

    pub(super) fn check(&self, missing: &Missing) -> Vec<Violation> {
        let mut violations = self.found.clone();
        violations.extend(missing.sustain(self.charges.clone()));
        violations
    }

    /// An incarnation is one process of one node.
    fn process(&mut self, event: &Event) {
        let Some(known) = self.processes.get(&event.incarnation()) else {
            self.processes.insert(event.incarnation(), event.clone());
            return;
        };
        if (known.node(), known.pid()) != (event.node(), event.pid()) {
            let message = format!("two processes have incarnation {}", event.incarnation());
            let violation = Violation::new(NAME, message, &[known, event]);
            self.found.push(violation);
            self.processes.insert(event.incarnation(), event.clone());
        }
    }

    fn term(&mut self, event: &Event) {
        let term = self.terms.entry(event.life()).or_default();
        if let Some(known) = event.told_term().filter(|&told| told > term.known) {
            term.known = known;
            term.below = term.last;
        }
        term.last = place(event);
    }

    /// An epoch is won once, and taken up once.
    fn claim(&mut self, epoch: Epoch, event: &Event) {
        let claimed = match event.name() {
            "acting" => &mut self.acting,
            _ => &mut self.won,
        };
        if let Some(known) = claimed.insert(epoch, event.clone()) {
            let name = event.name();
            let message = format!("{name} twice in the epoch {epoch:?} (term, ID, incarnation)");
            self.found
                .push(Violation::new(NAME, message, &[&known, event]));
        }
    }
}
