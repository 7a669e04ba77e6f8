//! S2: what a life said is void once its end is known: a newer life of the node was heard of.

use std::collections::BTreeMap;

use protocol::event::{Action, Event};
use protocol::id::{Incarnation, NodeId};
use protocol::trace::Trace;

use super::Checker;
use crate::fact::{Fact, Life, Step};

/// What no process may obey.
#[derive(Debug, Default)]
pub struct DeadLives {
    heard: HeardOf,
}

/// By process and peer: the newest life that the process has heard of.
#[derive(Debug, Default)]
pub(super) struct HeardOf(BTreeMap<Life, BTreeMap<NodeId, Incarnation>>);

impl HeardOf {
    /// Takes note of what a process learns of its peers.
    pub(super) fn see(&mut self, fact: &Fact<'_>) {
        match fact {
            Fact::Step(step) => {
                if let Event::LinkUp {
                    peer, incarnation, ..
                }
                | Event::Hint {
                    peer, incarnation, ..
                } = *step.event
                {
                    let known = self.0.entry(step.life).or_default();
                    let newest = known.entry(peer).or_default();
                    *newest = incarnation.max(*newest);
                }
            }
            Fact::Died(life) => {
                self.0.remove(life);
            }
            _ => {}
        }
    }

    /// The newest life of a peer, if the process knows that the one of this incarnation is over.
    pub(super) fn successor(&self, life: Life, of: Life) -> Option<Incarnation> {
        let newest = *self.0.get(&life)?.get(&of.node)?;
        (newest > of.incarnation).then_some(newest)
    }
}

impl Checker for DeadLives {
    fn property(&self) -> &'static str {
        "S2"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        self.heard.see(fact);
        match fact {
            Fact::Step(step) => self.step(step),
            _ => Ok(()),
        }
    }
}

impl DeadLives {
    fn step(&self, step: &Step<'_>) -> Result<(), String> {
        let Event::Received {
            from,
            incarnation,
            ref message,
        } = *step.event
        else {
            return Ok(());
        };
        let peer = Life {
            node: from,
            incarnation,
        };
        match self.heard.successor(step.life, peer) {
            Some(newest) if has_effect(step) => Err(format!(
                "{} obeys {} of {peer}, although it has heard of life {newest}",
                step.life,
                message.name()
            )),
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
