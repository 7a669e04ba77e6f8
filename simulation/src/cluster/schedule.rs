//! When a process has its next turn.

use protocol::id::NodeId;
use protocol::time::Time;

use super::{Cluster, Happening};
use crate::checkers::Violation;
use crate::network::Socket;
use crate::process::{Interrupted, Process};
use crate::wire::{Readiness, Rouse};

impl Cluster {
    pub(super) fn wake(&mut self, id: NodeId, at: Time) -> Result<(), Violation> {
        let index = usize::from(id.0);
        let now = self.now;
        let Some(process) = self.processes[index].take_if(|process| process.wake_at == at) else {
            return Ok(());
        };
        let mut process = process;
        process.wake_at = Time(u64::MAX);
        if process.writes_until > now {
            process.wake_at = process.writes_until;
            self.agenda.enter(process.wake_at, Happening::Wake(id));
            self.processes[index] = Some(process);
            return Ok(());
        }
        if !process.runs(now) {
            self.processes[index] = Some(process);
            return Ok(());
        }
        let turn = self.turn(&mut process);
        let life = process.life;
        self.schedule(&mut process);
        self.processes[index] = Some(process);
        match turn? {
            Ok(()) => self.show_lane(id),
            Err(Interrupted::Killed) => self.kill(life.node)?,
            Err(Interrupted::Stopped) => self.stop(life.node),
            Err(Interrupted::Held) => {}
        }
        Ok(())
    }

    /// Plans the next turn of a process, by what it waits for.
    pub(super) fn schedule(&mut self, process: &mut Process) {
        let due = [
            process.node.next_timeout().map(|(due, _)| due),
            self.links_due(process).filter(|_| process.bound),
            process.control.front().map(|&(at, _)| at),
            process.computed.front().map(|&(at, _)| at),
            process.replies.front().map(|&(at, _)| at),
            process.files.slow_at(process.runs_since),
            process.is_midway().then_some(self.now),
        ];
        if let Some(due) = due.into_iter().flatten().min() {
            let at = due.max(self.now) + self.chance.duration(self.surroundings.scheduling);
            if at < process.wake_at {
                process.wake_at = at;
                self.agenda.enter(at, Happening::Wake(process.life.node));
            }
        }
    }

    /// When the links have something for it.
    fn links_due(&self, process: &Process) -> Option<Time> {
        let room = self.surroundings.socket_room;
        let sockets = process
            .awaited
            .next(process.life.node, self.now, &self.network, room);
        let deadline = process.mesh.next_deadline();
        sockets.into_iter().chain(deadline).min()
    }

    /// A process has something to do from then on, whatever its sockets say.
    pub(super) fn owe_turn(&mut self, node: NodeId, at: Time) {
        let what = Readiness::Else;
        self.roused.push(Rouse { node, at, what });
    }

    /// The end of a connection has something to read.
    pub(super) fn rouse_reader(&mut self, socket: Socket) {
        self.roused.push(Rouse {
            node: self.network.owner(socket),
            at: self.now,
            what: Readiness::Read(socket),
        });
    }

    /// Wakes a process no later than `at`.
    fn wake_by(&mut self, id: NodeId, at: Time) {
        let at = at.max(self.now);
        let Some(process) = &mut self.processes[usize::from(id.0)] else {
            return;
        };
        if process.runs(at) && process.bound && at < process.wake_at {
            let at = at + self.chance.duration(self.surroundings.scheduling);
            if at < process.wake_at {
                process.wake_at = at;
                self.agenda.enter(at, Happening::Wake(id));
            }
        }
    }

    pub(super) fn rouse_all(&mut self) {
        for Rouse { node, at, what } in std::mem::take(&mut self.roused) {
            let process = self.processes[usize::from(node.0)].as_ref();
            if process.is_some_and(|process| process.awaited.is_for(what)) {
                self.wake_by(node, at);
            }
        }
    }
}
