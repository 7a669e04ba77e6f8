//! What the supervisor answers to commands, from what it knows already.

use std::collections::BTreeMap;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::event::ChildState;
use protocol::id::Term;
use protocol::status::{Ignored, JobStatus, RoleName};

use super::Supervisor;
use crate::control::{
    Answer, ClusterStatus, NodeState, NodeStatus, Request, Role, Signalled, Target,
};
use crate::events::ProcessEvent;
use crate::jobs_dir::or_match;
use crate::slot::{Life, Slot};

impl Supervisor<'_> {
    /// The open jobs, as the latest coordinator has reported them; none while there is none.
    pub fn jobs(&self) -> &[JobStatus] {
        let life = self.coordinator().and_then(|slot| slot.life.as_ref());
        let status = life.and_then(|life| life.status.as_ref());
        status.map_or(&[], |status| &status.jobs)
    }

    /// The node that coordinates, as far as the reports tell, and runs.
    pub(super) fn coordinator(&self) -> Option<&Slot> {
        let coordinator = self.with_role(Role::Coordinator);
        coordinator.filter(|slot| slot.state == ChildState::Running)
    }

    /// The first node that has a role, running or not.
    fn with_role(&self, role: Role) -> Option<&Slot> {
        self.slots.iter().find(|slot| self.role(slot) == role)
    }

    /// What a node does. One that coordinates as it believes may be stopped, or the last to hear that another
    /// was elected: the epochs tell.
    fn role(&self, slot: &Slot) -> Role {
        let status = slot.life.as_ref().and_then(|life| life.status.as_ref());
        match status.map(|status| (status.role, status.highest)) {
            Some((RoleName::Worker, _)) => Role::Worker,
            Some((RoleName::Candidate, _)) => Role::Candidate,
            Some((RoleName::Recovering, _)) | None => Role::Recovering,
            Some((RoleName::Coordinator, epoch)) if epoch == self.highest => Role::Coordinator,
            Some((RoleName::Coordinator, _)) => Role::Stale,
        }
    }

    /// Answers what has been asked on the control socket. Never waits.
    pub(super) fn serve_control(&mut self) {
        for (client, request) in self.control.receive() {
            let answer = match request {
                Request::Status => Answer::Status(self.status()),
                Request::Signal { targets, signal } => self.signal(&targets, &signal),
            };
            self.control.answer(client, &answer);
        }
    }

    fn status(&self) -> ClusterStatus {
        let lost = self.record.lost();
        let why = || std::io::Error::from_raw_os_error(lost.errno).to_string();
        ClusterStatus {
            term: self.highest.term,
            coordinator: self.coordinator().map(|slot| slot.id),
            watch: self.watch.mode(),
            nodes: self
                .slots
                .iter()
                .map(|slot| self.node_status(slot))
                .collect(),
            jobs: self.jobs().to_vec(),
            ignored: self.ignored.names.clone(),
            ignored_more: self.ignored.more,
            lost_events: lost.events,
            lost_why: (lost.events > 0).then(why),
        }
    }

    /// Tells of each file in the inbox that is no job, once while it is there.
    pub(super) fn note_ignored(&mut self, ignored: Ignored) {
        let names = ignored.names.iter();
        let fresh = names.filter(|name| self.ignored.names.binary_search(name).is_err());
        for name in fresh {
            tracing::info!(
                "{name} is no job: its name does not end in .job{}",
                or_match(&self.launch.config.accept)
            );
        }
        if ignored.more > 0 && self.ignored.more == 0 {
            tracing::info!(
                "{} more files in the jobs directory are no jobs",
                ignored.more
            );
        }
        self.ignored = ignored;
    }

    /// Sends a signal to all targets, or to none if one of them is not there. The processes are
    /// children of this one, so a pid cannot have become somebody else's.
    fn signal(&mut self, targets: &[Target], name: &str) -> Answer {
        let Ok(signal) = name.parse::<Signal>() else {
            return Answer::Refused(format!("there is no signal {name:?}"));
        };
        let mut lives: BTreeMap<usize, (Pid, Role)> = BTreeMap::new();
        for target in targets {
            match self.resolve(*target) {
                Ok(found) => {
                    let found = found.into_iter();
                    let role = |index: usize| self.role(&self.slots[index]);
                    lives.extend(found.map(|(index, life)| (index, (life.pid, role(index)))));
                }
                Err(sentence) => return Answer::Nothing(sentence),
            }
        }
        let mut reached = Vec::new();
        for (index, (pid, role)) in lives {
            let id = self.slots[index].id;
            // Before it, since what it does is on record after it.
            let signalled = ProcessEvent::Signalled {
                signal: signal.as_str(),
            };
            self.record(index, pid, &signalled);
            if let Err(error) = kill(pid, signal) {
                return Answer::Nothing(format!(
                    "cannot send {signal} to node {id} (pid {pid}): {error}"
                ));
            }
            if let Some(life) = &mut self.slots[index].life {
                life.signalled = true;
                if signal == Signal::SIGSTOP {
                    life.owe_stop();
                }
            }
            tracing::info!("{signal} sent to node {id} (pid {pid}) on demand");
            reached.push(Signalled {
                id,
                pid: pid.as_raw(),
                role,
            });
        }
        Answer::Signalled(reached)
    }

    /// The processes that a target names, or why there are none, in one sentence.
    fn resolve(&self, target: Target) -> Result<Vec<(usize, &Life)>, String> {
        let found: Vec<(usize, &Life)> = match target {
            Target::Coordinator => self
                .with_role(Role::Coordinator)
                .and_then(alive)
                .into_iter()
                .collect(),
            Target::Worker => self
                .slots
                .iter()
                .find(|slot| slot.has_role(RoleName::Worker))
                .and_then(alive)
                .into_iter()
                .collect(),
            Target::Node(id) => self
                .slots
                .iter()
                .filter(|slot| slot.id == id)
                .filter_map(alive)
                .collect(),
            Target::All => self.slots.iter().filter_map(alive).collect(),
        };
        if !found.is_empty() {
            return Ok(found);
        }
        let last = self.launch.config.nodes - 1;
        Err(match target {
            Target::Coordinator if self.with_role(Role::Stale).is_some() => {
                "there is no coordinator now but a stale one, which is none since another node has won an \
                 election; name it by its ID, which `bullpen status` shows, or try again when one is elected"
                    .to_owned()
            }
            Target::Coordinator => {
                "there is no coordinator now; try again when one is elected, as `bullpen status` shows"
                    .to_owned()
            }
            Target::Worker => {
                "no worker runs now; try again when one is back, as `bullpen status` shows".to_owned()
            }
            Target::Node(id) if id.0 > last => {
                format!("there is no node {id}; the nodes of this cluster are 0 to {last}")
            }
            Target::Node(id) => {
                format!("node {id} has no process now; try again when it is started again")
            }
            Target::All => "no node has a process now; try again when one is started".to_owned(),
        })
    }

    fn node_status(&self, slot: &Slot) -> NodeStatus {
        let life = slot.life.as_ref();
        let status = life.and_then(|life| life.status.as_ref());
        let uptime = life.map(|life| Instant::now().saturating_duration_since(life.born));
        NodeStatus {
            id: slot.id,
            pid: life.map(|life| life.pid.as_raw()),
            incarnation: slot.incarnation,
            role: self.role(slot),
            state: match slot.state {
                ChildState::Running => NodeState::Running,
                ChildState::Stopped => NodeState::Stopped,
                ChildState::Gone => NodeState::Waiting,
            },
            restarts: slot.births.saturating_sub(1),
            uptime_ms: uptime.map_or(0, |uptime| {
                u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX)
            }),
            term: status.map_or(Term(0), |status| status.highest.term),
            held_bytes: status.map_or(0, |status| status.held_bytes),
            peak_held_bytes: life.map_or(0, |life| life.peak_held_bytes),
            slow_file_ms: status.map_or(0, |status| status.slow_file_ms),
            unreachable: life.is_some_and(|life| life.unreachable),
        }
    }
}

/// Where the node of a process stands among the slots.
fn alive(slot: &Slot) -> Option<(usize, &Life)> {
    Some((usize::from(slot.id.0), slot.life.as_ref()?))
}
