//! S3: a node that knows a higher epoch starts no assignment, checkpoint or file call of its own.

use protocol::event::Action;
use protocol::id::{Epoch, Term};
use protocol::trace::Trace;

use super::Checker;
use crate::fact::{Fact, Life, Step};

/// Looks at each message that claims authority, and at each file call.
#[derive(Debug, Default)]
pub struct Authority;

impl Checker for Authority {
    fn property(&self) -> &'static str {
        "S3"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Step(step) => check(step),
            Fact::Called {
                life,
                epoch,
                highest,
                ..
            } if epoch < highest => Err(format!(
                "{life} makes a file call in epoch {epoch} although it knew {highest}"
            )),
            Fact::Called { life, epoch, .. } if !owns(*life, *epoch) => Err(format!(
                "{life} makes a file call in epoch {epoch}, which is another's"
            )),
            _ => Ok(()),
        }
    }
}

fn check(step: &Step<'_>) -> Result<(), String> {
    let mut known = step.after.highest;
    for action in step.actions.iter().rev() {
        // A node that is alone may win, act, and have to win again in one step: what it did before
        // is held against what it knew before, one term less.
        if let Action::Trace {
            term,
            trace: Trace::ElectionWon,
            ..
        } = *action
        {
            known = Epoch {
                term: Term(term.0.saturating_sub(1)),
                ..Epoch::NONE
            };
        }
        check_action(step.life, action, known)?;
    }
    Ok(())
}

fn check_action(life: Life, action: &Action, known: Epoch) -> Result<(), String> {
    let (what, epoch) = match action {
        Action::Send { message, .. } => match message.authority() {
            Some(epoch) => (message.name(), epoch),
            None => return Ok(()),
        },
        Action::File { epoch, .. } => ("a file call", *epoch),
        _ => return Ok(()),
    };
    if !owns(life, epoch) {
        return Err(format!(
            "{life} starts {what} in epoch {epoch}, which is another's"
        ));
    }
    if epoch < known {
        return Err(format!(
            "{life} starts {what} in epoch {epoch} although it knows {known}"
        ));
    }
    Ok(())
}

fn owns(life: Life, epoch: Epoch) -> bool {
    epoch.node == life.node && epoch.incarnation == life.incarnation
}
