//! S2: what a life said is void once its end is known: a newer life of the node was heard of, or the
//! supervisor calls this one gone, or the link to it went down.
//!
//! Relies on the order of one process's own steps. What the supervisor calls gone is so for good. A link
//! may have told wrongly: one that stands again takes it back.

use std::collections::BTreeMap;

use protocol::event::{Action, ChildState, Event};
use protocol::id::{Incarnation, NodeId};
use protocol::trace::Trace;

use super::Checker;
use crate::fact::{Fact, Life, Step};

/// What no process may obey.
#[derive(Debug, Default)]
pub struct DeadLives {
    heard: HeardOf,
}

/// By process and peer: which lives the process has heard of.
#[derive(Debug, Default)]
pub(super) struct HeardOf(BTreeMap<Life, BTreeMap<NodeId, Lives>>);

#[derive(Debug, Default)]
struct Lives {
    newest: Incarnation,
    /// The supervisor calls this one gone, and those before it.
    gone: Option<Incarnation>,
    /// The link to this one went down, and does not stand again.
    down: Option<Incarnation>,
}

impl HeardOf {
    /// Takes note of what a process learns of its peers.
    pub(super) fn see(&mut self, fact: &Fact<'_>) {
        match fact {
            Fact::Step(step) => self.step(step),
            Fact::Died(life) => {
                self.0.remove(life);
            }
            _ => {}
        }
    }

    fn step(&mut self, step: &Step<'_>) {
        let (peer, incarnation) = match *step.event {
            Event::LinkUp {
                peer, incarnation, ..
            }
            | Event::LinkDown { peer, incarnation }
            | Event::Hint {
                peer, incarnation, ..
            } => (peer, incarnation),
            _ => return,
        };
        let lives = self.0.entry(step.life).or_default();
        let lives = lives.entry(peer).or_default();
        lives.newest = lives.newest.max(incarnation);
        match step.event {
            Event::LinkUp { .. } => lives.down = lives.down.filter(|&down| down != incarnation),
            Event::LinkDown { .. } => lives.down = Some(incarnation),
            Event::Hint {
                state: ChildState::Gone,
                ..
            } => lives.gone = lives.gone.max(Some(incarnation)),
            _ => {}
        }
    }

    /// The newest life of a peer.
    pub(super) fn newest(&self, life: Life, of: NodeId) -> Option<Incarnation> {
        Some(self.0.get(&life)?.get(&of)?.newest)
    }

    /// The newest life of a peer, if the process knows that the one of this incarnation is over.
    pub(super) fn successor(&self, life: Life, of: Life) -> Option<Incarnation> {
        let newest = self.newest(life, of.node)?;
        (newest > of.incarnation).then_some(newest)
    }

    /// From what the process knows that a life of a peer is over, if it does.
    fn end(&self, life: Life, of: Life) -> Option<String> {
        if let Some(newest) = self.successor(life, of) {
            return Some(format!("it has heard of life {newest}"));
        }
        let lives = self.0.get(&life)?.get(&of.node)?;
        if lives.gone >= Some(of.incarnation) {
            return Some("the supervisor called it gone".to_owned());
        }
        (lives.down == Some(of.incarnation)).then(|| "its link went down".to_owned())
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
        match self.heard.end(step.life, peer) {
            Some(end) if has_effect(step) => Err(format!(
                "{} obeys {} of {peer}, although {end}",
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
