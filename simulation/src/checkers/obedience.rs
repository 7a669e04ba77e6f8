//! S2: nobody obeys an epoch below the highest that it has seen or promised.
//!
//! Relies on the order of one process's own steps, and of the actions in each. What a step tells of a
//! higher epoch counts for all that comes of it: a node follows the highest that it knows, and no other.

use std::collections::BTreeMap;

use protocol::event::{Action, Event};
use protocol::id::Epoch;
use protocol::message::Message;
use protocol::trace::Trace;

use super::Checker;
use crate::fact::{Fact, Life, Step};

/// The highest epoch that each process is known to have promised, told or been told.
#[derive(Debug, Default)]
pub struct Obedience {
    highest: BTreeMap<Life, Epoch>,
}

impl Checker for Obedience {
    fn property(&self) -> &'static str {
        "S2"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Step(step) => self.step(step),
            Fact::Died(life) => {
                self.highest.remove(life);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Obedience {
    fn step(&mut self, step: &Step<'_>) -> Result<(), String> {
        let life = step.life;
        let highest = self.highest.entry(life).or_insert(Epoch::NONE);
        if step.after.highest < *highest {
            return Err(format!(
                "{life} went back from epoch {highest} to {}",
                step.after.highest
            ));
        }
        *highest = step.after.highest;
        if let Event::Received { from, message, .. } = step.event
            && let Some(epoch) = message.authority()
            && epoch < step.before.highest
        {
            refused(step, message, epoch).map_err(|what| {
                format!(
                    "{life}, which knows {}, {what} when it got {} of node {from} in epoch {epoch}",
                    step.before.highest,
                    message.name()
                )
            })?;
        }
        follows_the_highest(step)
    }
}

/// Whether what it says as a follower is in the name of the highest epoch that it knows.
fn follows_the_highest(step: &Step<'_>) -> Result<(), String> {
    let wins = |action: &Action| {
        matches!(
            action,
            Action::Trace {
                trace: Trace::ElectionWon,
                ..
            }
        )
    };
    // Before it wins one of its own, it knows what it knew, and what it has just been told.
    let mut known = if step.actions.iter().any(wins) {
        step.before.highest.max(told(step.event))
    } else {
        step.after.highest
    };
    for action in step.actions {
        if wins(action) {
            known = step.after.highest;
        }
        if let Action::Send { message, .. } = action
            && let Some(epoch) = obeyed(message)
            && epoch != known
        {
            return Err(format!(
                "{} sends {} in epoch {epoch} although it knows {known}",
                step.life,
                message.name()
            ));
        }
    }
    Ok(())
}

/// The epoch that an event tells of.
fn told(event: &Event) -> Epoch {
    match event {
        Event::LinkUp { highest, .. } => *highest,
        Event::Received { message, .. } => match *message {
            Message::Election { highest, .. }
            | Message::Answer { highest, .. }
            | Message::Stale { highest } => highest,
            Message::Following { epoch } => epoch,
            _ => message.authority().unwrap_or(Epoch::NONE),
        },
        _ => Epoch::NONE,
    }
}

/// The epoch to which a message of a follower says that it obeys.
fn obeyed(message: &Message) -> Option<Epoch> {
    match *message {
        Message::Promise { epoch, .. }
        | Message::Pulse { epoch, .. }
        | Message::Following { epoch }
        | Message::Missing { epoch, .. } => Some(epoch),
        _ => None,
    }
}

/// Whether a stale message had no effect beside its refusal.
fn refused(step: &Step<'_>, message: &Message, epoch: Epoch) -> Result<(), String> {
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
        return Ok(());
    }
    if step.unchanged == Some(false) {
        return Err("changed its state".to_owned());
    }
    for action in step.actions {
        match action {
            Action::Trace {
                trace: Trace::StaleRefused { .. },
                ..
            } => {}
            Action::Send {
                message: Message::Stale { highest },
                ..
            } if *highest > epoch => {}
            other => return Err(format!("did something else than refuse: {other:?}")),
        }
    }
    // A message of a life that is over is dropped without a word.
    let _ = message;
    Ok(())
}
