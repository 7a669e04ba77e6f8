//! Who may still have something of a factorial. What nobody has, because all have forgotten it, must be
//! computed anew.
//!
//! Relies on the order of each process's own steps, and on what its messages carry. A message that is
//! lost counts as being on its way until its receiver ends.

use std::collections::{BTreeMap, BTreeSet};

use protocol::event::{Action, Event};
use protocol::id::{Incarnation, NodeId};
use protocol::message::{Message, Update};
use protocol::trace::Trace;

use super::dead_lives::HeardOf;
use crate::fact::{Fact, Life, Step};

/// What each process may have, and what is on its way.
#[derive(Debug, Default)]
pub(super) struct Material {
    held: BTreeMap<Life, BTreeSet<u32>>,
    /// By sender and receiver: how many messages carry something of n!.
    on_its_way: BTreeMap<(Life, NodeId), BTreeMap<u32, usize>>,
    heard: HeardOf,
}

impl Material {
    /// Takes note of what happened; returns the factorials of which somebody has lost all that it had.
    pub(super) fn see(&mut self, fact: &Fact<'_>) -> BTreeSet<u32> {
        self.heard.see(fact);
        match fact {
            Fact::Step(step) => {
                self.gain(step);
                self.lose(step)
            }
            Fact::Died(life) => {
                self.on_its_way.retain(|(_, to), _| *to != life.node);
                self.held.remove(life).unwrap_or_default()
            }
            _ => BTreeSet::new(),
        }
    }

    /// Whether somebody may have something of n!.
    pub(super) fn is_left(&self, n: u32) -> bool {
        let on_its_way = |carried: &BTreeMap<u32, usize>| carried.get(&n).is_some_and(|&c| c > 0);
        self.held.values().any(|held| held.contains(&n)) || self.on_its_way.values().any(on_its_way)
    }

    fn gain(&mut self, step: &Step<'_>) {
        let held = self.held.entry(step.life).or_default();
        if let Event::Received {
            from,
            incarnation,
            message,
        } = step.event
        {
            let sender = Life {
                node: *from,
                incarnation: *incarnation,
            };
            let carried = carried(message);
            let sent = self.on_its_way.get_mut(&(sender, step.life.node));
            for count in sent.into_iter().flat_map(|sent| {
                let carried = &carried;
                sent.iter_mut().filter(move |(n, _)| carried.contains(n))
            }) {
                *count.1 = count.1.saturating_sub(1);
            }
            held.extend(carried);
        }
        for action in step.actions {
            match action {
                Action::Compute { operation, .. } => {
                    held.insert(operation.n);
                }
                Action::Send { to, message } => {
                    let carried = carried(message);
                    for &to in to.iter().filter(|_| !carried.is_empty()) {
                        let sent = self.on_its_way.entry((step.life, to)).or_default();
                        for &n in &carried {
                            *sent.entry(n).or_default() += 1;
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn lose(&mut self, step: &Step<'_>) -> BTreeSet<u32> {
        let mut forgotten = BTreeSet::new();
        if let Event::Received {
            from,
            incarnation,
            message,
        } = step.event
            && self.is_heeded(step, *from, *incarnation, message)
        {
            forgotten.extend(forgets(message));
        }
        for action in step.actions {
            if let Action::Send { message, .. } = action {
                forgotten.extend(forgets(message));
            }
        }
        if forgotten.is_empty() {
            return forgotten;
        }
        let still: BTreeSet<u32> = (step.held)().into_iter().map(|id| id.n).collect();
        forgotten.retain(|n| !still.contains(n));
        if let Some(held) = self.held.get_mut(&step.life) {
            held.retain(|n| !forgotten.contains(n));
        }
        forgotten
    }

    /// Whether the process does what the stream says.
    fn is_heeded(
        &self,
        step: &Step<'_>,
        node: NodeId,
        incarnation: Incarnation,
        message: &Message,
    ) -> bool {
        let wins = |action: &Action| {
            matches!(
                action,
                Action::Trace {
                    trace: Trace::ElectionWon,
                    ..
                }
            )
        };
        message.authority() == Some(step.after.highest)
            && self.heard.newest(step.life, node) == Some(incarnation)
            && !step.actions.iter().any(wins)
    }
}

/// The factorials of which a message carries something.
fn carried(message: &Message) -> BTreeSet<u32> {
    match message {
        Message::Products { products } => products.iter().map(|it| it.operation.n).collect(),
        Message::Checkpoint { update, .. } => update.finished().map(|id| id.n).collect(),
        _ => BTreeSet::new(),
    }
}

/// The factorials of which all is to be dropped.
fn forgets(message: &Message) -> &[u32] {
    match message {
        Message::Checkpoint {
            update: Update { forgotten, .. },
            ..
        } => forgotten,
        _ => &[],
    }
}
