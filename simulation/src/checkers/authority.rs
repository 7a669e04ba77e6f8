//! S3: a node that knows a higher epoch starts no assignment, checkpoint or file call of its own.
//!
//! Relies on the order of the actions in one step of one process, and on what the file thread knew when
//! it decided on a call.

use protocol::event::Action;
use protocol::id::Epoch;
use protocol::trace::Trace;

use super::Checker;
use crate::fact::{Fact, Life, Step};

/// Looks at each message that claims authority, and at each file call. A step wins one election at
/// most, so what it does before that and after it is told apart.
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
    let won = |action: &&Action| is_trace(action, |trace| matches!(trace, Trace::ElectionWon));
    let wins = step.actions.iter().filter(won).count();
    if wins > 1 {
        return Err(format!("{} wins {wins} elections at once", step.life));
    }
    // What it does before it wins is in the name of what it knew before.
    let mut known = if wins == 0 {
        step.after.highest
    } else {
        step.before.highest
    };
    let mut stepped_down = false;
    for action in step.actions {
        if won(&action) {
            known = step.after.highest;
            stepped_down = false;
        } else if is_trace(action, |trace| matches!(trace, Trace::SteppedDown { .. })) {
            stepped_down = true;
        } else {
            check_action(step.life, action, known, stepped_down)?;
        }
    }
    Ok(())
}

fn check_action(
    life: Life,
    action: &Action,
    known: Epoch,
    stepped_down: bool,
) -> Result<(), String> {
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
    if epoch != known {
        return Err(format!(
            "{life} starts {what} in epoch {epoch} although it knows {known}"
        ));
    }
    if stepped_down {
        return Err(format!(
            "{life} starts {what} in epoch {epoch} after it has stepped down"
        ));
    }
    Ok(())
}

fn is_trace(action: &Action, is: impl Fn(&Trace) -> bool) -> bool {
    matches!(action, Action::Trace { trace, .. } if is(trace))
}

/// Whether an epoch is that of a life.
pub(super) fn owns(life: Life, epoch: Epoch) -> bool {
    epoch.node == life.node && epoch.incarnation == life.incarnation
}
