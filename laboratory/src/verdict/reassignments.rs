//! S7: what a coordinator gives as the cause of taking an operation from a worker has happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::fates::Fates;
use super::{Run, Violation};
use crate::log::{Event, Life, Op};

const NAME: &str = "S7";

pub(super) fn check(run: &Run, fates: &Fates) -> Vec<Violation> {
    if !run.log.torn.is_empty() {
        return Vec::new();
    }
    let mut records = Records::default();
    let mut violations = Vec::new();
    for event in &run.log.events {
        let is_proved = match event.name() {
            "operation_reassigned" => records.is_called_for(fates, event),
            "operation_recomputed" => records.was_reassigned(event),
            _ => true,
        };
        if !is_proved {
            let message = format!(
                "{} for a cause that no event proves: {}",
                event.name(),
                event.text("why")
            );
            violations.push(Violation::new(NAME, message, &[event]));
        }
        records.take(event);
    }
    violations
}

/// What the log has told so far.
#[derive(Debug, Default)]
struct Records<'a> {
    /// The last peer that each life lost.
    lost: BTreeMap<Life, &'a Event>,
    /// By whom, and in which terms, an operation was handed out.
    known: BTreeMap<&'a Op, BTreeSet<(u64, Life)>>,
    reassigned: BTreeSet<(Life, &'a Op, &'a str)>,
}

impl<'a> Records<'a> {
    fn take(&mut self, event: &'a Event) {
        let life = event.life();
        if event.name() == "peer_down" {
            self.lost.insert(life, event);
        }
        let Some(op) = event.op() else {
            return;
        };
        match event.name() {
            "assigned" => {
                let by = (event.term(), life);
                self.known.entry(op).or_default().insert(by);
            }
            "operation_reassigned" => {
                self.reassigned.insert((life, op, event.text("why")));
            }
            _ => {}
        }
    }

    fn is_called_for(&self, fates: &Fates, taken: &Event) -> bool {
        let lost = |is_so: &dyn Fn(Life, &Event) -> bool| {
            self.lost.get(&taken.life()).is_some_and(|lost| {
                let peer = (lost.number("peer"), lost.number("peer_incarnation"));
                is_so(peer, lost)
            })
        };
        let Some(op) = taken.op() else {
            return false;
        };
        let known = self.known.get(op);
        match taken.text("why") {
            "worker_died" => lost(&|peer, lost| fates.died_by(peer, lost.at())),
            "worker_stopped" => lost(&|peer, lost| fates.stopped_by(peer, lost.at())),
            "worker_silent" => lost(&|_, lost| lost.text("by") == "silence"),
            "deadline" => known.is_some(),
            // It was handed out in an earlier coordinatorship, or what it is made of was.
            "takeover" => {
                let now = (taken.term(), taken.life());
                let earlier = |by: &BTreeSet<(u64, Life)>| by.iter().any(|&by| by != now);
                match op.level {
                    0 if *op.kind == *"multiply" => known.is_some_and(earlier),
                    _ => self.of_factorial(op.n).any(earlier),
                }
            }
            _ => false,
        }
    }

    /// By whom the operations of a factorial were handed out.
    fn of_factorial(&self, n: u64) -> impl Iterator<Item = &BTreeSet<(u64, Life)>> {
        let first = |n| Op {
            n,
            kind: Arc::from(""),
            level: 0,
            index: 0,
        };
        let operations = self
            .known
            .range::<Op, _>(first(n)..first(n.saturating_add(1)));
        operations.map(|(_, by)| by)
    }

    fn was_reassigned(&self, again: &'a Event) -> bool {
        let op = again.op();
        op.is_some_and(|op| {
            self.reassigned
                .contains(&(again.life(), op, again.text("why")))
        })
    }
}
