//! S3: a node that knows a higher epoch starts no assignment, checkpoint or file call of its own.

use protocol::event::Action;
use protocol::id::Epoch;

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
            Fact::Step(step) => step
                .actions
                .iter()
                .try_for_each(|action| check(step, action)),
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

fn check(step: &Step<'_>, action: &Action) -> Result<(), String> {
    let (what, epoch) = match action {
        Action::Send { message, .. } => match message.authority() {
            Some(epoch) => (message.name(), epoch),
            None => return Ok(()),
        },
        Action::File { epoch, .. } => ("a file call", *epoch),
        _ => return Ok(()),
    };
    let life = step.life;
    if !owns(life, epoch) {
        return Err(format!(
            "{life} starts {what} in epoch {epoch}, which is another's"
        ));
    }
    if epoch < step.after.highest {
        let highest = step.after.highest;
        return Err(format!(
            "{life} starts {what} in epoch {epoch} although it knows {highest}"
        ));
    }
    Ok(())
}

fn owns(life: Life, epoch: Epoch) -> bool {
    epoch.node == life.node && epoch.incarnation == life.incarnation
}
