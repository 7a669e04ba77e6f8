//! L1: when faults stop, one coordinator, believed by all, the highest live ID.
//!
//! It relies on the order of the lines of each incarnation, of which the last counts, and on that of the
//! supervisor's lines. A process that the supervisor reported dead believes nothing, even if its line comes later.
//! A missing line may have been the last one of a node, or of the supervisor about it, if it is missing
//! after the existing one.

use std::collections::{BTreeMap, BTreeSet};

use super::charges::{Lack, Missing, place};
use super::{Run, Violation};
use crate::log::{Event, Life};

const NAME: &str = "L1";

pub(super) fn check(run: &Run) -> Vec<Violation> {
    let mut beliefs = Beliefs::default();
    let before_the_end = |event: &&Event| event.at() <= run.end_ns;
    for event in run.log.events.iter().filter(before_the_end) {
        beliefs.take(event);
    }
    // A node without any line left is unknown.
    if beliefs.of.is_empty() && !run.log.is_whole() {
        return Vec::new();
    }
    let missing = Missing::of(&run.log);
    Vec::from_iter(beliefs.dissent_beside(&missing, run.highest_coordinates, 0))
}

/// The last statement of each live node about the coordinator.
#[derive(Clone, Debug, Default)]
pub struct Beliefs {
    of: BTreeMap<u64, Belief>,
    stopped: BTreeSet<u64>,
    ended: BTreeSet<Life>,
    /// Position of the supervisor's last line about each.
    told: BTreeMap<u64, (usize, u64)>,
    /// Nodes whose last lines may be missing.
    unknown: BTreeSet<u64>,
}

#[derive(Clone, Debug)]
struct Belief {
    coordinator: Option<u64>,
    event: Event,
}

impl Beliefs {
    /// Reads the next event.
    pub fn take(&mut self, event: &Event) {
        if event.is_of_supervisor() {
            self.told.insert(event.node(), place(event));
        }
        let coordinator = match event.name() {
            "node_exited" => {
                let is_its = |belief: &Belief| belief.event.incarnation() <= event.incarnation();
                if self.of.get(&event.node()).is_some_and(is_its) {
                    self.of.remove(&event.node());
                }
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
        // A node's line may precede that of its start, and the last line of a dead process
        // may follow that of its exit.
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

    /// The coordinator that the highest of them believes in.
    pub fn coordinator(&self) -> Option<u64> {
        let highest = self.running().last()?;
        self.of[&highest].coordinator
    }

    /// Why they do not agree on one running coordinator that, if required, has the
    /// highest ID of them.
    pub fn dissent(&self, highest_coordinates: bool) -> Option<Violation> {
        let wrong =
            |message: String, events: &[&Event]| Some(Violation::new(NAME, message, events));
        let known = |node: &u64| !self.unknown.contains(node);
        let running = || self.running().filter(known).map(|node| &self.of[&node]);
        let Some(first) = running().last() else {
            let message = "no node lives".to_owned();
            return wrong(message, &[]).filter(|_| self.unknown.is_empty());
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
        let lives = self.unknown.contains(&coordinator);
        if !lives && !self.running().any(|node| node == coordinator) {
            let message = format!("all follow node {coordinator}, which does not live");
            return wrong(message, &[&first.event]);
        }
        if highest_coordinates && coordinator < highest {
            let message = format!("node {coordinator} coordinates while node {highest} lives");
            return wrong(message, &[&first.event]);
        }
        None
    }

    /// [`Beliefs::dissent`], if there is some whatever the missing lines were: each may have been the last
    /// about one node, from `least` on.
    fn dissent_beside(
        &self,
        missing: &Missing,
        highest_coordinates: bool,
        least: u64,
    ) -> Option<Violation> {
        let found = self.dissent(highest_coordinates)?;
        let believed = self.of.values().filter_map(|belief| belief.coordinator);
        let nodes: BTreeSet<u64> = self.of.keys().copied().chain(believed).collect();
        for &node in nodes.range(least..) {
            let mut left = missing.clone();
            if left.excuses(&Lack::after(node, self.last_word(node))) {
                let mut beside = self.clone();
                beside.unknown.insert(node);
                // Nodes in order: which of them was excused first does not matter.
                beside.dissent_beside(&left, highest_coordinates, node + 1)?;
            }
        }
        Some(found)
    }

    /// The line after which another line of a node, or of the supervisor about it, would come.
    fn last_word(&self, node: u64) -> (usize, u64) {
        let told = self.told.get(&node).copied();
        let said = self.of.get(&node).map(|belief| match belief.event.name() {
            // Its line may precede that of its start.
            "node_spawned" => (1, 0),
            _ => place(&belief.event),
        });
        told.into_iter().chain(said).min().unwrap_or_default()
    }
}
