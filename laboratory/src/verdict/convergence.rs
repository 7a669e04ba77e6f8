//! L1: when faults stop, one coordinator, believed by all, the highest live ID.

use std::collections::{BTreeMap, BTreeSet};

use super::{Run, Violation};
use crate::log::{Event, Life};

const NAME: &str = "L1";

pub(super) fn check(run: &Run) -> Vec<Violation> {
    // The torn line may be the last word of any of them.
    if !run.log.is_whole() {
        return Vec::new();
    }
    let mut beliefs = Beliefs::default();
    let before_the_end = |event: &&Event| event.at() <= run.end_ns;
    for event in run.log.events.iter().filter(before_the_end) {
        beliefs.take(event);
    }
    Vec::from_iter(beliefs.dissent(run.highest_coordinates))
}

/// What each node that lives has said last about who coordinates.
#[derive(Clone, Debug, Default)]
pub struct Beliefs {
    of: BTreeMap<u64, Belief>,
    stopped: BTreeSet<u64>,
    ended: BTreeSet<Life>,
}

#[derive(Clone, Debug)]
struct Belief {
    coordinator: Option<u64>,
    event: Event,
}

impl Beliefs {
    /// Takes in what happened next.
    pub fn take(&mut self, event: &Event) {
        let coordinator = match event.name() {
            "node_exited" => {
                self.of.remove(&event.node());
                self.stopped.remove(&event.node());
                self.ended.insert(event.life());
                return;
            }
            "node_stopped" => {
                self.stopped.insert(event.node());
                return;
            }
            "node_continued" => {
                self.stopped.remove(&event.node());
                return;
            }
            "node_spawned" | "election_started" | "stepped_down" => None,
            "acting" => Some(event.node()),
            "following" => Some(event.number("coordinator")),
            _ => return,
        };
        // A node may be quicker than the line that tells of its start; and what a dead process
        // wrote last may stand behind its exit.
        let is_start = event.name() == "node_spawned";
        let is_over = match self.of.get(&event.node()) {
            Some(belief) if is_start => belief.event.incarnation() >= event.incarnation(),
            Some(belief) => belief.event.incarnation() > event.incarnation(),
            None => self.ended.contains(&event.life()),
        };
        if !is_over {
            let event = event.clone();
            self.of.insert(event.node(), Belief { coordinator, event });
        }
    }

    /// The nodes that live and run: a stopped process can neither lead nor believe.
    pub fn running(&self) -> impl Iterator<Item = u64> + '_ {
        let all = self.of.keys().copied();
        all.filter(|node| !self.stopped.contains(node))
    }

    /// Whom the highest of them believes in.
    pub fn coordinator(&self) -> Option<u64> {
        let highest = self.running().last()?;
        self.of[&highest].coordinator
    }

    /// Why they do not agree on one coordinator that runs, and, where that is asked for, has the
    /// highest ID of them.
    pub fn dissent(&self, highest_coordinates: bool) -> Option<Violation> {
        let wrong =
            |message: String, events: &[&Event]| Some(Violation::new(NAME, message, events));
        let running = || self.running().map(|node| &self.of[&node]);
        let Some(first) = running().last() else {
            return wrong("no node lives".to_owned(), &[]);
        };
        if let Some(belief) = running().find(|belief| belief.coordinator.is_none()) {
            let message = format!("node {} follows nobody at the end", belief.event.node());
            return wrong(message, &[&belief.event]);
        }
        let other = running().find(|belief| belief.coordinator != first.coordinator);
        if let Some(belief) = other {
            let message = "two nodes believe in two coordinators at the end".to_owned();
            return wrong(message, &[&first.event, &belief.event]);
        }
        let (coordinator, highest) = (first.coordinator.unwrap_or(u64::MAX), first.event.node());
        if !self.running().any(|node| node == coordinator) {
            let message = format!("all follow node {coordinator}, which does not live");
            return wrong(message, &[&first.event]);
        }
        if highest_coordinates && coordinator != highest {
            let message = format!("node {coordinator} coordinates while node {highest} lives");
            return wrong(message, &[&first.event]);
        }
        None
    }
}
