//! S6: a coordinator computes nothing.
//!
//! Relies on the order of the actions of one process: it owns an epoch between the lines in which it says
//! that it has won and that it steps down.

use std::collections::BTreeSet;

use protocol::event::Action;
use protocol::trace::Trace;

use super::Checker;
use crate::fact::{Fact, Life};

/// The processes that own an epoch: from their election on until they step down.
#[derive(Debug, Default)]
pub struct CoordinatorIdle {
    owners: BTreeSet<Life>,
}

impl Checker for CoordinatorIdle {
    fn property(&self) -> &'static str {
        "S6"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Step(step) = fact else {
            return Ok(());
        };
        for action in step.actions {
            match action {
                Action::Trace {
                    trace: Trace::ElectionWon,
                    ..
                } => {
                    self.owners.insert(step.life);
                }
                Action::Trace {
                    trace: Trace::SteppedDown { .. },
                    ..
                } => {
                    self.owners.remove(&step.life);
                }
                Action::Compute { operation, .. } if self.owners.contains(&step.life) => {
                    return Err(format!(
                        "{} coordinates and computes {operation:?}",
                        step.life
                    ));
                }
                _ => {}
            }
        }
        if step.after.acting.is_some() && !self.owners.contains(&step.life) {
            return Err(format!("{} acts and has won no election", step.life));
        }
        Ok(())
    }
}
