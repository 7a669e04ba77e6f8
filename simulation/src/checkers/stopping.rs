//! L4: a node that was told that the cluster stops holds no election from then on, and takes no office:
//! who has won one before does not begin to act.
//!
//! Relies on the order of one process's own steps.

use std::collections::BTreeSet;

use protocol::event::{Action, Event};
use protocol::trace::Trace;

use super::Checker;
use crate::fact::{Fact, Life};

/// The processes that were told.
#[derive(Debug, Default)]
pub struct Stopping {
    told: BTreeSet<Life>,
}

impl Checker for Stopping {
    fn property(&self) -> &'static str {
        "L4"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Step(step) = fact else {
            return Ok(());
        };
        if *step.event == Event::Stopping {
            self.told.insert(step.life);
        }
        let elects = |action: &Action| {
            matches!(
                action,
                Action::Trace {
                    trace: Trace::ElectionStarted { .. } | Trace::ElectionWon,
                    ..
                }
            )
        };
        if !self.told.contains(&step.life) {
            return Ok(());
        }
        if step.actions.iter().any(elects) {
            return Err(format!(
                "{} holds an election although the cluster stops",
                step.life
            ));
        }
        match step.after.acting {
            Some(epoch) if step.before.acting != Some(epoch) => Err(format!(
                "{} begins to act in epoch {epoch} although the cluster stops",
                step.life
            )),
            _ => Ok(()),
        }
    }
}
