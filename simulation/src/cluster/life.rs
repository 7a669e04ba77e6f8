//! What happens to processes: they start, die, are stopped and go on, stand still.

use std::time::Duration;

use ipc::control::ToNode;
use protocol::event::ChildState;
use protocol::id::NodeId;
use protocol::status::RoleName;
use protocol::time::Time;

use super::{Cluster, Happening};
use crate::checkers::Violation;
use crate::event_log::Fate;
use crate::fact::{Fact, Life};
use crate::process::{Held, Interrupt, Process};
use crate::record::Lane;

/// A node that runs and does not answer for so long is killed.
const HANGS_AFTER: Duration = Duration::from_secs(10);

impl Cluster {
    pub(super) fn spawn(&mut self, id: NodeId) -> Result<(), Violation> {
        if self.processes[usize::from(id.0)].is_some() || self.supervisor.stopping {
            return Ok(());
        }
        let term = self.supervisor.term;
        let incarnation = self.supervisor.begin(id);
        let crashes = self.supervisor.slot(id).crashes.count(self.now);
        let life = Life {
            node: id,
            incarnation,
        };
        self.processes[usize::from(id.0)] = Some(Process::new(
            &self.config,
            self.surroundings.sizes,
            life,
            term,
            crashes,
            self.now,
        ));
        let text = || format!("the supervisor starts {life}, term {term}");
        self.record.note(self.now, None, text);
        self.tell_fate(life, Fate::NodeSpawned);
        self.show_lane(id);
        let bound_at = self.now + self.chance.duration(self.surroundings.start_up);
        self.agenda.enter(bound_at, Happening::Bind(life));
        self.owe_hints();
        self.check(&Fact::Born(life))
    }

    pub(super) fn bind(&mut self, life: Life) {
        let now = self.now;
        if !self.is_life(life) {
            return;
        }
        if let Some(process) = self.process(life.node) {
            if !process.runs(now) {
                let again = process.stalled_until.max(now) + Duration::from_millis(1);
                self.agenda.enter(again, Happening::Bind(life));
                return;
            }
            process.bound = true;
            process.mesh.dial_all(now);
        }
        self.network.bind(life.node);
        self.supervisor.slot(life.node).bound = true;
        self.owe_turn(life.node, now);
        self.owe_telling();
    }

    /// SIGKILL. All that the process knew is lost; what it had sent is not.
    pub(crate) fn kill(&mut self, id: NodeId) -> Result<(), Violation> {
        let Some(mut process) = self.processes[usize::from(id.0)].take() else {
            return Ok(());
        };
        let life = process.life;
        self.make_last_call(&mut process)?;
        for socket in self.network.end_process(id, self.now) {
            self.rouse_reader(socket);
        }
        // Its last reports count.
        if let Some(report) = process.reported {
            self.supervisor.term = self.supervisor.term.max(report.highest.term);
        }
        self.show_lane(id);
        self.record.note(self.now, Some(id), || {
            format!("killed, life {}", life.incarnation)
        });
        let at = self.now + self.chance.duration(self.surroundings.supervision);
        let uptime = self.now.since(process.born);
        self.agenda.enter(at, Happening::Reap(life, uptime));
        self.rouse_all();
        self.directory.died(life);
        self.check(&Fact::Died(life))
    }

    /// A process dies of itself.
    pub(crate) fn crash(&mut self, id: NodeId) -> Result<(), Violation> {
        let process = self.processes[usize::from(id.0)].as_ref();
        let role = process.map(|process| process.node.role());
        if matches!(role, Some(RoleName::Candidate | RoleName::Coordinator)) {
            self.supervisor.slot(id).crashes.add(self.now);
        }
        if let Some(process) = process {
            self.event_log
                .ends_by(process.life, Fate::signal("SIGABRT"));
        }
        self.kill(id)
    }

    pub(super) fn terminate(&mut self, life: Life) -> Result<(), Violation> {
        if self.is_life(life) {
            self.event_log.ends_by(life, Fate::LEFT);
            return self.kill(life.node);
        }
        Ok(())
    }

    /// A node that runs and does not answer is killed; what a user stopped is not.
    pub(super) fn watchdog(&mut self, life: Life) -> Result<(), Violation> {
        let process = self.processes[usize::from(life.node.0)].as_ref();
        let hangs = process.is_some_and(|process| {
            process.life == life && !process.stopped && !process.runs(self.now)
        });
        if hangs && !self.supervisor.stopping {
            let text = || "the supervisor kills a node that does not answer".to_owned();
            self.record.note(self.now, Some(life.node), text);
            self.event_log.ends_by(life, Fate::signal("SIGKILL"));
            return self.crash(life.node);
        }
        Ok(())
    }

    pub(super) fn reap(&mut self, life: Life, uptime: Duration) -> Result<(), Violation> {
        if self.surroundings.memory_kills && !self.supervisor.stopping {
            self.supervisor.deaths.caused += 1;
            self.check(&Fact::CausedDeath)?;
        }
        self.tell_fate(life, self.event_log.end_of(life));
        let mut wait = self.supervisor.end(life.node, uptime, &mut self.chance);
        if self.surroundings.restarts_at_once {
            wait = Duration::ZERO;
        }
        self.agenda
            .enter(self.now + wait, Happening::Spawn(life.node));
        self.owe_hints();
        Ok(())
    }

    /// The process gets a signal after so many more of its actions, if it is not over before.
    pub(crate) fn interrupt(&mut self, id: NodeId, after: usize, kills: bool) {
        let now = self.now;
        if let Some(process) = self.process(id) {
            process.interrupt = Some(Interrupt { after, kills });
            self.record.note(now, Some(id), || {
                let what = if kills { "killed" } else { "stopped" };
                format!("will be {what} after {after} actions")
            });
        }
    }

    /// SIGSTOP.
    pub(crate) fn stop(&mut self, id: NodeId) {
        if let Some(mut process) = self.processes[usize::from(id.0)].take() {
            self.halt(&mut process);
            self.processes[usize::from(id.0)] = Some(process);
            self.show_lane(id);
        }
    }

    /// SIGSTOP to a process in the midst of something.
    pub(super) fn halt(&mut self, process: &mut Process) {
        if std::mem::replace(&mut process.stopped, true) {
            return;
        }
        let life = process.life;
        self.record.lane(life.node, Lane::Stopped);
        self.record
            .note(self.now, Some(life.node), || "stopped".to_owned());
        let at = self.now + self.chance.duration(self.surroundings.supervision);
        self.agenda.enter(at, Happening::Signalled(life));
    }

    /// SIGSTOP as soon as the process has decided on the next commit, before it makes it.
    pub(crate) fn stop_at_commit(&mut self, id: NodeId) {
        let now = self.now;
        if let Some(process) = self.process(id) {
            process.stops_at_commit = true;
            let text = || "will be stopped at its next commit".to_owned();
            self.record.note(now, Some(id), text);
        }
    }

    /// SIGCONT.
    pub(crate) fn go_on(&mut self, id: NodeId) {
        let Some(process) = self.process(id).filter(|process| process.stopped) else {
            return;
        };
        process.stopped = false;
        let life = process.life;
        self.show_lane(id);
        self.record
            .note(self.now, Some(id), || "goes on".to_owned());
        let at = self.now + self.chance.duration(self.surroundings.supervision);
        self.agenda.enter(at, Happening::Signalled(life));
        self.resume(id);
    }

    /// The process gets no processor time until a moment; nobody is told.
    pub(crate) fn stall(&mut self, id: NodeId, until: Time) {
        let now = self.now;
        if let Some(process) = self.process(id) {
            process.stalled_until = process.stalled_until.max(until);
            let life = process.life;
            if until.since(now) >= HANGS_AFTER {
                self.agenda
                    .enter(now + HANGS_AFTER, Happening::Watchdog(life));
            }
            let text = || format!("stands still until {} ms", until.0 / 1_000_000);
            self.record.note(self.now, Some(id), text);
        }
    }

    /// The stall of a process is over.
    pub(crate) fn stall_over(&mut self, id: NodeId) {
        let now = self.now;
        if self.process(id).is_some_and(|process| process.runs(now)) {
            self.record.note(now, Some(id), || "runs again".to_owned());
            self.resume(id);
        }
    }

    /// The supervisor looks what became of a child: the latest counts.
    pub(super) fn signalled(&mut self, life: Life) {
        let process = self.processes[usize::from(life.node.0)].as_ref();
        let stopped = process.is_some_and(|process| process.life == life && process.stopped);
        let slot = self.supervisor.slot(life.node);
        if slot.incarnation == life.incarnation && slot.state != ChildState::Gone {
            slot.state = if stopped {
                ChildState::Stopped
            } else {
                ChildState::Running
            };
            let fate = match stopped {
                true => Fate::NodeStopped,
                false => Fate::NodeContinued,
            };
            self.tell_fate(life, fate);
            if stopped {
                self.say(life.node, ToNode::WasStopped);
            }
            self.owe_hints();
        }
    }

    /// Its threads go on with what they were at, and its loop with what has arrived, in any order.
    fn resume(&mut self, id: NodeId) {
        let Some(mut process) = self.processes[usize::from(id.0)].take() else {
            return;
        };
        if process.runs(self.now) {
            for held in std::mem::take(&mut process.held_up) {
                let at = self.now + self.chance.duration(self.surroundings.scheduling);
                let happening = match held {
                    Held::Arithmetic => Happening::Arithmetic(process.life),
                    Held::File => Happening::File(process.life),
                };
                self.agenda.enter(at, happening);
            }
            process.runs_since = self.now;
            process.wake_at = Time(u64::MAX);
            if process.bound {
                self.schedule(&mut process);
            }
        }
        self.processes[usize::from(id.0)] = Some(process);
    }
}
