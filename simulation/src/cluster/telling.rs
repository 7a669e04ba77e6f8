//! What the supervisor tells the nodes: hints, and the start signal.

use ipc::control::ToNode;
use protocol::id::NodeId;
use protocol::time::Time;

use super::{Cluster, Happening};
use crate::chance::Span;
use crate::fact::Life;

/// From the news that the cluster stops until SIGTERM has ended a node.
const SHUT_DOWN: Span = Span::us(20, 200_000);

impl Cluster {
    /// The nodes are owed the latest state of all.
    pub(super) fn owe_hints(&mut self) {
        if self.supervisor.hints {
            self.supervisor.telling = true;
        }
        self.owe_telling();
    }

    /// Hints do not get through until a moment.
    pub(crate) fn lose_hints(&mut self, until: Time) {
        self.supervisor.hints_lost_until = self.supervisor.hints_lost_until.max(until);
    }

    /// Hints get through again, if they do: the nodes are told of the latest state.
    pub(crate) fn hints_pass(&mut self) {
        self.owe_telling();
    }

    pub(super) fn owe_telling(&mut self) {
        let at = self.now + self.chance.duration(self.surroundings.supervision);
        self.agenda.enter(at, Happening::Tell);
    }

    pub(super) fn tell(&mut self) {
        let started = self.supervisor.may_start(self.now);
        let hints_pass = self.now >= self.supervisor.hints_lost_until;
        self.reached.lost_hints += u64::from(self.supervisor.telling && !hints_pass);
        let telling = hints_pass && std::mem::take(&mut self.supervisor.telling);
        for index in 0..self.processes.len() {
            let slot = self.supervisor.slots[index];
            let id = slot.id;
            if self.life_of(id) != Some(slot.incarnation) {
                continue;
            }
            let deaths = self.supervisor.deaths;
            if slot.told_deaths != deaths {
                self.supervisor.slot(id).told_deaths = deaths;
                self.say(id, ToNode::Deaths(deaths));
            }
            if telling {
                let hints = self.supervisor.hints_for(id);
                self.say(id, ToNode::Hints(hints));
            }
            if slot.start_due && started && slot.bound {
                self.supervisor.slot(id).start_due = false;
                self.say(id, ToNode::Start);
            }
        }
        self.pass_on_drop();
    }

    /// The coordinator hears that something may have been dropped; without one, it is owed.
    pub(super) fn pass_on_drop(&mut self) {
        if !self.supervisor.hint_due || self.supervisor.stopping {
            return;
        }
        if let Some(id) = self.supervisor.coordinator() {
            self.supervisor.hint_due = false;
            self.say(id, ToNode::InboxChanged);
        }
    }

    /// The supervisor was asked to end: it tells every node, and nothing is started any more. What
    /// ends a node comes on another way, later or first. Returns when it does so.
    pub(crate) fn stop_all(&mut self) -> Time {
        self.supervisor.stopping = true;
        let now = self.now.max(self.event_log.supervisor_waits);
        self.event_log.asked_to_end = now;
        for id in (0..self.config.nodes).map(NodeId) {
            self.say(id, ToNode::Stopping);
            if let Some(incarnation) = self.life_of(id) {
                let life = Life {
                    node: id,
                    incarnation,
                };
                let at = now + self.chance.duration(SHUT_DOWN);
                self.agenda.enter(at, Happening::Terminate(life));
            }
        }
        self.record
            .note(self.now, None, || "the cluster stops".to_owned());
        self.rouse_all();
        now
    }

    pub(super) fn say(&mut self, id: NodeId, message: ToNode) {
        let now = self.now.max(self.event_log.supervisor_waits);
        let at = now + self.chance.duration(self.surroundings.supervision);
        if let Some(process) = self.process(id) {
            let last = process.control.back().map_or(at, |&(last, _)| last);
            let at = at.max(last);
            process.control.push_back((at, message));
            self.owe_turn(id, at);
        }
    }
}
