//! What keeps the search small without leaving anything out.
//!
//! *Canonical form.* Two states from which the same can come are made one: what no longer matters
//! is dropped after every step, and lives are numbered by node.
//!
//! *Order.* Steps of different processes commute, as long as nobody dies or is born: a step takes
//! mail from its own links alone, and adds mail to the ends of others. So once nothing can go wrong
//! any more, some processes may have to wait until others have done what they can: see
//! [`ModelState::movers`].

use protocol::id::{Incarnation, NodeId, Term};
use protocol::node::Node;

use super::monitor::Monitor;
use super::state::{Direction, ModelState, Process, Running};
use super::transition::{NOW, event_of};
use crate::fact::Life;

impl ModelState {
    /// The number of a node's next life.
    ///
    /// The protocol compares lives of one node with each other. Those of different nodes it
    /// compares in one place, where a winner of the first term asks who was there before it; and
    /// that is over when all who live have seen a term, since whoever is born is told of it, and no
    /// term falls. From then on each node's lives are numbered on their own, so that it is the same
    /// who was born first. Until then they are numbered as they come.
    pub(super) fn next_life(&self, id: NodeId) -> Incarnation {
        let past_first_term = self.monitor.highest_term() > Term(0)
            && self.nodes().all(|(_, node)| node.highest().term > Term(0));
        let lives = self.processes.iter().map(|process| process.life);
        let highest = lives
            .filter(|life| life.node == id || !past_first_term)
            .map(|life| life.incarnation.0)
            .max();
        Incarnation(highest.unwrap_or_default() + 1)
    }

    /// Takes off its links what earlier lives of a node have sent to one that has just learnt of
    /// this life. From now on none of it has an effect, whenever it arrives: a node never goes back
    /// to an earlier life of a peer, and drops what comes from one. That it does so is looked at
    /// here, since all else relies on it.
    pub(super) fn void_mail(&mut self, to: NodeId, known: Life) {
        let is_void = |direction: &Direction| {
            direction.to == to
                && direction.from.node == known.node
                && direction.from.incarnation < known.incarnation
        };
        let void: Vec<Direction> = self.links.keys().filter(|d| is_void(d)).copied().collect();
        for direction in void {
            let mail = self.links.remove(&direction).unwrap_or_default();
            let Some(running) = &self.process(to).running else {
                continue;
            };
            let before = running.node.clone();
            let heeded = mail.iter().find(|&item| {
                let mut node = Node::clone(&before);
                let actions = node.step(NOW, event_of(direction.from, item.clone()));
                !actions.is_empty() || node != *before
            });
            if let Some(item) = heeded {
                let message = format!(
                    "node {to} heeds {item:?} of {}, although it knows of life {}",
                    direction.from, known.incarnation
                );
                self.monitor.change(|monitor| monitor.heeded(message));
            }
        }
    }

    /// Drops what decides nothing any more.
    pub(super) fn forget(&mut self) {
        // Only who is born is told of it.
        let all_live = self
            .processes
            .iter()
            .all(|process| process.running.is_some());
        if self.crashes == 0 && all_live && self.monitor.highest_term() > Term(0) {
            self.monitor.change(Monitor::forget_highest_term);
        }
        // Whose hint changes nothing now knows already what it says, and knows it until there is
        // something else to tell, of which everybody is told anew: that somebody runs is forgotten
        // only for the hint of a stop; and that somebody is gone was known from the end of its
        // link, after which nothing comes, since who knows it from a hint is not owed that hint any
        // more. A stop is forgotten when a link stands, so news of one stays news.
        let owed = std::mem::take(&mut self.hints);
        self.hints = owed
            .into_iter()
            .filter(|&(to, about)| self.is_news(to, about))
            .collect();
    }

    /// Whether a node may do anything, now or later, if it is told the state of another.
    fn is_news(&self, to: NodeId, about: NodeId) -> bool {
        let is_stopped = |running: &Running| running.paused;
        if self.process(about).running.as_ref().is_some_and(is_stopped) {
            return true;
        }
        self.process(to).running.as_ref().is_some_and(|running| {
            let mut node = Node::clone(&running.node);
            let actions = node.step(NOW, self.hint_of(about));
            !actions.is_empty() || node != *running.node
        })
    }

    /// Which processes are to move next, so that every order that makes a difference is still
    /// searched; the others can wait.
    ///
    /// These are a persistent set in the sense of P. Godefroid, "Partial-Order Methods for the
    /// Verification of Concurrent Systems" (1996). Whatever those that wait might do first, it
    /// commutes with each step that is possible now of those that move, and makes no further one
    /// possible: they can only add to links to them, and each such link has mail, so that what is
    /// next on it stays what it is. Who might write first on an empty link must not wait.
    ///
    /// It applies when nothing can go wrong any more. A death and a birth touch everybody: a birth
    /// takes up what each has seen, and opens links to each; timeouts, crashes and pauses share a
    /// budget; what the supervisor tells of a process changes with it.
    ///
    /// Nothing waits for ever, because no order of such steps goes on for ever: without timers every
    /// step uses up mail, work, a start or what the supervisor has to tell; what it sends begets
    /// more only as long as somebody wins an election, and the term of each win is higher. A test
    /// looks for circles.
    ///
    /// What must always hold is asked of each step of one process, given what that process has
    /// been through; and every process goes through the same here as in all orders. What must be
    /// reachable is asked of whole states, of which some are passed over: what is reached here is
    /// reached, what is not may yet be.
    pub(super) fn movers(&self) -> Vec<NodeId> {
        let all: Vec<NodeId> = self
            .processes
            .iter()
            .map(|process| process.life.node)
            .collect();
        if self.can_go_wrong() {
            return all;
        }
        let sets = all.iter().map(|&first| self.closure(first));
        let able = sets.filter(|set| set.iter().any(|&id| self.is_able(id)));
        able.min_by_key(Vec::len).unwrap_or(all)
    }

    fn can_go_wrong(&self) -> bool {
        let is_out = |process: &Process| {
            let running = process.running.as_ref();
            running.is_none_or(|running| running.paused && self.has_hints)
        };
        self.crashes > 0
            || self.pauses > 0
            || self.timeouts > 0
            || self.processes.iter().any(|process| is_out(process))
    }

    /// The smallest set of processes with this one that need not wait for any other.
    fn closure(&self, first: NodeId) -> Vec<NodeId> {
        let mut moving = vec![first];
        loop {
            let waiting = || {
                let all = self.processes.iter().map(|process| process.life);
                all.filter(|life| !moving.contains(&life.node))
            };
            // If none of those can do anything, none of them will write to anybody.
            if !waiting().any(|life| self.is_able(life.node)) {
                return moving;
            }
            let has_mail = |from, to| self.links.contains_key(&Direction { to, from });
            let writes_first = waiting().find(|&from| moving.iter().any(|&to| !has_mail(from, to)));
            match writes_first {
                Some(life) => moving.push(life.node),
                None => return moving,
            }
        }
    }

    /// Whether a process can do something now.
    fn is_able(&self, id: NodeId) -> bool {
        let Some(running) = &self.process(id).running else {
            return true;
        };
        running.paused
            || !running.started
            || !running.computing.is_empty()
            || self.links.keys().any(|direction| direction.to == id)
            || self.hints.iter().any(|&(to, _)| to == id)
    }
}
