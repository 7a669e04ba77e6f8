//! S8: merging loses no finished operation that a node has which answered Collect, and lived to
//! deliver: neither what it holds, nor what it has finished and the stream has not shown yet.
//!
//! Relies on the order of the winner's own steps, and on what the message of a promise carries; what its
//! sender kept is known from that one's own steps. Who is asked at all is the matter of `collect.rs`.

use protocol::plan::Shape;

use super::promises::Promises;
use super::{Checker, is_done};
use crate::fact::{Fact, Step};

/// What each winner was told while it collects.
#[derive(Debug)]
pub struct Merge {
    promises: Promises,
}

impl Merge {
    /// For plans of this shape.
    pub fn new(shape: Shape) -> Merge {
        let promises = Promises::new(shape);
        Merge { promises }
    }
}

impl Checker for Merge {
    fn property(&self) -> &'static str {
        "S8"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        self.promises.see(fact);
        match fact {
            Fact::Step(step) => self.merged(step),
            _ => Ok(()),
        }
    }
}

impl Merge {
    fn merged(&mut self, step: &Step<'_>) -> Result<(), String> {
        if step.before.acting == step.after.acting {
            return Ok(());
        }
        let Some(owner) = self.promises.owner(step.life) else {
            return Ok(());
        };
        if step.after.acting != Some(owner.epoch) {
            return Ok(());
        }
        let held = (step.held)();
        for (peer, told) in &owner.told {
            let lost = |id: &&_| !is_done(self.promises.shape(), &held, **id);
            if let Some(id) = told.operations.iter().find(lost) {
                return Err(format!(
                    "{} acts in epoch {} without {id:?}, which node {peer} has",
                    step.life, owner.epoch
                ));
            }
        }
        self.promises.merged(step.life);
        Ok(())
    }
}
