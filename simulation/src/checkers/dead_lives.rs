//! S2: what a life said is void once its end is known: a newer life of the node was heard of.

use std::collections::BTreeMap;

use protocol::event::{Action, Event};
use protocol::id::{Incarnation, NodeId};
use protocol::trace::Trace;

use super::Checker;
use crate::fact::{Fact, Life, Step};

/// By process and peer: the newest life that the process has heard of.
#[derive(Debug, Default)]
pub struct DeadLives {
    newest: BTreeMap<Life, BTreeMap<NodeId, Incarnation>>,
}

impl Checker for DeadLives {
    fn property(&self) -> &'static str {
        "S2"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Step(step) => self.step(step),
            Fact::Died(life) => {
                self.newest.remove(life);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl DeadLives {
    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        match *step.event {
            Event::LinkUp {
                peer, incarnation, ..
            }
            | Event::Hint {
                peer, incarnation, ..
            } => {
                let known = self.newest.entry(step.life).or_default();
                let newest = known.entry(peer).or_default();
                *newest = incarnation.max(*newest);
                Ok(())
            }
            Event::Received {
                from,
                incarnation,
                ref message,
            } => {
                let known = self.newest.get(&step.life);
                let newest = known.and_then(|known| known.get(&from));
                match newest {
                    Some(newest) if incarnation < *newest && has_effect(step) => Err(format!(
                        "{} obeys {} of node {from} in life {incarnation}, although it has heard of life {newest}",
                        step.life,
                        message.name()
                    )),
                    _ => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }
}

/// Whether anything came of the step. A gap in the node's own time has effects whatever it is told.
fn has_effect(step: &Step<'_>) -> bool {
    let gap = |action: &Action| {
        matches!(
            action,
            Action::Trace {
                trace: Trace::Gap { .. },
                ..
            }
        )
    };
    if step.actions.iter().any(gap) {
        return false;
    }
    !step.actions.is_empty() || step.unchanged == Some(false)
}
