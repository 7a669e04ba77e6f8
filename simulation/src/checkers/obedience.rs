//! S2: nobody obeys an epoch below the highest that it has seen or promised.

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
        for action in step.actions {
            if let Action::Send { message, .. } = action
                && let Some(epoch) = obeyed(message)
                && epoch < step.before.highest
            {
                return Err(format!(
                    "{life} sends {} in epoch {epoch} although it knows {}",
                    message.name(),
                    step.before.highest
                ));
            }
        }
        Ok(())
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
