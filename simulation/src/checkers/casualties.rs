//! The deaths for which a job may fail.
//!
//! Those that jobs caused are the supervisor's to count, and no node can know of more. A worker that
//! dies of an operation has been assigned something of its factorial, perhaps after its end, of which the
//! coordinator had not heard; or the coordinator was told of its end by its link, rightly or not.

use std::collections::{BTreeMap, BTreeSet};

use protocol::event::{Action, Event};
use protocol::id::NodeId;
use protocol::trace::Trace;

use crate::fact::{Fact, Life, Step};
use crate::job::Job;

/// How many of each there were.
#[derive(Debug, Default)]
pub(super) struct Casualties {
    /// The supervisor counts so many that jobs caused.
    caused: u64,
    /// By n: who was ever assigned something of n!.
    assigned: BTreeMap<u32, BTreeSet<NodeId>>,
    /// How often each node ended, or was said to.
    ends: BTreeMap<NodeId, u64>,
    alive: BTreeSet<Life>,
}

impl Casualties {
    pub(super) fn see(&mut self, fact: &Fact<'_>) {
        match fact {
            Fact::Born(life) => {
                self.alive.insert(*life);
            }
            Fact::Died(life) => {
                self.alive.remove(life);
                self.lost(life.node);
            }
            Fact::CausedDeath => self.caused += 1,
            Fact::Step(step) => self.step(step),
            _ => {}
        }
    }

    /// Whether a text tells why this job failed, and of no more deaths than there were.
    pub(super) fn explain(&self, text: &[u8], job: &[u8]) -> bool {
        let numbers = Job::numbers(job).unwrap_or_default();
        let explains = |line: &str| {
            self.of_memory(line) || self.of_an_operation(line, &numbers).unwrap_or_default()
        };
        std::str::from_utf8(text).is_ok_and(|text| !text.is_empty() && text.lines().all(explains))
    }

    fn of_memory(&self, line: &str) -> bool {
        let count = line.split_once(" nodes died for want of memory");
        let count = count.and_then(|(count, _)| count.parse::<u64>().ok());
        count.is_some_and(|count| (1..=self.caused).contains(&count))
    }

    fn of_an_operation(&self, line: &str, numbers: &[u32]) -> Option<bool> {
        let (n, rest) = line.split_once("!: ")?;
        let (count, _) = rest.split_once(" workers died one after the other")?;
        let (n, count) = (n.parse().ok()?, count.parse::<u64>().ok()?);
        let assigned = self.assigned.get(&n).into_iter().flatten();
        let died: u64 = assigned.filter_map(|node| self.ends.get(node)).sum();
        Some(numbers.contains(&n) && (1..=died).contains(&count))
    }

    fn step(&mut self, step: &Step<'_>) {
        for action in step.actions {
            if let Action::Trace {
                trace: Trace::Assigned { op, worker },
                ..
            } = action
            {
                self.assigned.entry(op.n).or_default().insert(*worker);
            }
        }
        if let Event::LinkDown { peer, incarnation } = *step.event
            && step.before.acting.is_some()
            && self.alive.contains(&Life {
                node: peer,
                incarnation,
            })
        {
            self.lost(peer);
        }
    }

    fn lost(&mut self, node: NodeId) {
        *self.ends.entry(node).or_default() += 1;
    }
}
