//! S11: one live process per ID, and none that acts after its end. That none outlives its supervisor and none
//! stays a zombie is checked from outside, see `trial`.
//!
//! One writer, the supervisor, logs the starts and ends of processes, in order. It logs an end when
//! the process is dead with all its threads. So a line of that incarnation may come after it, but its timestamp,
//! which the process itself read, is earlier.

use std::collections::BTreeMap;

use super::Violation;
use super::charges::{Charge, Lack, Missing, place};
use crate::log::order::Writer;
use crate::log::{Event, Life};

const NAME: &str = "S11";

/// The processes so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Processes {
    alive: BTreeMap<u64, Event>,
    ended: BTreeMap<Life, Event>,
    /// Each incarnation's own line with the latest timestamp, and that timestamp.
    last: BTreeMap<Life, (usize, u64)>,
    charges: Vec<Charge>,
}

impl Processes {
    pub(super) fn take(&mut self, event: &Event) {
        if let Writer::Node(life) = event.writer() {
            let last = self.last.entry(life).or_default();
            if event.at() >= last.1 {
                *last = place(event);
            }
            return;
        }
        match event.name() {
            "node_spawned" => {
                if let Some(before) = self.alive.insert(event.node(), event.clone()) {
                    let message = format!("node {} was started while it lived", event.node());
                    let violation = Violation::new(NAME, message, &[&before, event]);
                    let lack = Lack::of(before.life(), place(&before), event.line);
                    self.charges.push(Charge::new(violation, lack));
                }
            }
            "node_exited" => {
                let spawned = self.alive.remove(&event.node());
                self.ended.insert(event.life(), event.clone());
                if spawned.is_none_or(|spawned| spawned.life() != event.life()) {
                    let message = format!("node {} ended and did not live", event.node());
                    let violation = Violation::new(NAME, message, &[event]);
                    let lack = Lack::of(event.life(), (0, 0), event.line);
                    self.charges.push(Charge::new(violation, lack));
                }
            }
            _ => {}
        }
    }

    pub(super) fn check(&self, missing: &Missing) -> Vec<Violation> {
        let mut violations = missing.sustain(self.charges.clone());
        for (life, exited) in &self.ended {
            let Some((line, _)) = self.last.get(life).filter(|last| last.1 > exited.at()) else {
                continue;
            };
            let message = format!("node {} acted in line {line}, after its end", life.0);
            violations.push(Violation::new(NAME, message, &[exited]));
        }
        violations
    }
}
