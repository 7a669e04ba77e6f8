//! S1: no two processes own one epoch, and none owns the same twice.
//!
//! Relies on no order but that of a process's own steps: it wins an epoch before it acts in it.

use std::collections::BTreeMap;

use protocol::event::Action;
use protocol::id::Epoch;
use protocol::trace::Trace;

use super::Checker;
use crate::fact::{Fact, Life};

/// Who has won which epoch.
#[derive(Debug, Default)]
pub struct UniqueEpoch {
    owners: BTreeMap<Epoch, Life>,
}

impl Checker for UniqueEpoch {
    fn property(&self) -> &'static str {
        "S1"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        let Fact::Step(step) = fact else {
            return Ok(());
        };
        for action in step.actions {
            if let Action::Trace {
                term,
                trace: Trace::ElectionWon,
                ..
            } = action
            {
                let epoch = Epoch {
                    term: *term,
                    node: step.life.node,
                    incarnation: step.life.incarnation,
                };
                if let Some(owner) = self.owners.insert(epoch, step.life) {
                    return Err(format!(
                        "{} won epoch {epoch}, which {owner} had won before",
                        step.life
                    ));
                }
            }
        }
        match step.after.acting {
            Some(epoch) if !self.owners.contains_key(&epoch) => Err(format!(
                "{} acts in epoch {epoch}, which nobody has won",
                step.life
            )),
            Some(epoch) if self.owners[&epoch] != step.life => Err(format!(
                "{} acts in epoch {epoch}, which {} has won",
                step.life, self.owners[&epoch]
            )),
            _ => Ok(()),
        }
    }
}
