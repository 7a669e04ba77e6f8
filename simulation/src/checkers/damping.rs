//! L1, in part: nobody waits for longer than 30 s before it claims the office of a lower node, nor at all
//! as long as it has lost its own once.
//!
//! Relies on the order of each process's own steps, and on its end: a node is in office from the step on
//! in which the highest epoch that it knows is its own.

use std::collections::BTreeMap;

use protocol::event::Action;
use protocol::id::{Epoch, NodeId};
use protocol::trace::Trace;

use super::Checker;
use crate::fact::{Fact, Step};

/// Nobody waits for longer.
const MOST_MS: u64 = 30_000;

/// How often each node has lost its office: to a lower one, or by its death.
#[derive(Debug, Default)]
pub struct Damping {
    losses: BTreeMap<NodeId, u32>,
    in_office: BTreeMap<NodeId, Epoch>,
}

impl Checker for Damping {
    fn property(&self) -> &'static str {
        "L1"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Step(step) => self.step(step),
            Fact::Died(life) => {
                self.leaves(life.node);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Damping {
    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        let (life, highest) = (step.life, step.after.highest);
        // It may lose one and win the next in one step.
        if self.in_office.get(&life.node) != Some(&highest) {
            self.leaves(life.node);
        }
        if (highest.node, highest.incarnation) == (life.node, life.incarnation) {
            self.in_office.insert(life.node, highest);
        }
        let waits = step.actions.iter().find_map(|action| match action {
            Action::Trace {
                trace: Trace::PreemptionDamped { ms },
                ..
            } => Some(*ms),
            _ => None,
        });
        match waits {
            Some(ms) if ms > MOST_MS => Err(format!("{life} waits for {ms} ms")),
            Some(_) if self.losses.get(&life.node).is_none_or(|&losses| losses < 2) => Err(
                format!("{life} waits and has not lost its office more than once"),
            ),
            _ => Ok(()),
        }
    }

    fn leaves(&mut self, node: NodeId) {
        if self.in_office.remove(&node).is_some() {
            *self.losses.entry(node).or_default() += 1;
        }
    }
}
