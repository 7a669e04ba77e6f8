//! S7, in part: a recomputation has a cause that another event proves. So no link tells of the death of a
//! life that lives: its operations would be computed again, and its job might fail for it.

use std::collections::BTreeSet;

use protocol::event::Event;

use super::Checker;
use crate::fact::{Fact, Life};

/// The lives that are not over.
#[derive(Debug, Default)]
pub struct FalseDeaths {
    alive: BTreeSet<Life>,
}

impl Checker for FalseDeaths {
    fn property(&self) -> &'static str {
        "S7"
    }

    fn see(&mut self, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::Born(life) => {
                self.alive.insert(*life);
            }
            Fact::Died(life) => {
                self.alive.remove(life);
            }
            Fact::Step(step) => {
                if let Event::LinkDown { peer, incarnation } = *step.event {
                    let told = Life {
                        node: peer,
                        incarnation,
                    };
                    if self.alive.contains(&told) {
                        let by = step.life;
                        return Err(format!("{by} is told that {told} is dead, and it lives"));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
