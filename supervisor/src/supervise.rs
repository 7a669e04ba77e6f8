//! The supervisor: one loop over signals, deaths, restarts, hints and reports.
//!
//! ```text
//!   signals ─▶ reap ─▶ read reports ─▶ restart what is due ─▶ tell the nodes ─▶ answer ─▶ sleep ─┐
//!      ▲                                                                                         │
//!      └─────────── a signal, a report, a command, or the next deadline ─────────────────────────┘
//! ```
//!
//! Every step brings the nodes to what the state says and may be repeated at will; none waits.

mod answer;
mod casualties;
mod error;
mod record;
mod shutdown;
mod suspend;
mod upkeep;
mod watch;
pub(crate) mod watchdog;

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ipc::control::Hint;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use node::event_log::Header;
use protocol::event::ChildState;
use protocol::id::{Epoch, Incarnation, NodeId};

use crate::control::server::Server;
use protocol::status::{Ignored, RoleName};

use crate::events::ProcessEvent;
use crate::launch::Launch;
use crate::reap::{self, Change, Ending};
use crate::rotation::Rotation;
use crate::run_dir::RunDir;
use crate::signals::Signals;
use crate::slot::{Life, Slot};
use crate::supervise::casualties::Casualties;
use crate::supervise::record::Record;
use crate::supervise::shutdown::Phase;
use crate::supervise::upkeep::Upkeep;
use crate::supervise::watch::Watch;

pub(crate) use crate::supervise::error::{LEFT, SuperviseError};
pub(crate) use crate::supervise::shutdown::DEATH;

/// The cluster starts without the nodes that have not bound their sockets by then.
const START_AFTER: Duration = Duration::from_secs(1);
/// A cluster whose every node ended that often, before any could be reached, cannot start.
const START_ATTEMPTS: u32 = 3;

/// Supervises one process per static ID. Dropping it kills and reaps those that are left.
#[derive(Debug)]
pub(crate) struct Supervisor<'a> {
    launch: Launch,
    run_dir: RunDir,
    signals: &'a mut Signals,
    record: Record,
    control: Server,
    slots: Vec<Slot>,
    watch: Watch,
    upkeep: Upkeep,
    phase: Phase,
    /// Why it stops, if nobody has asked it to.
    failure: Option<SuperviseError>,
    /// Whether the nodes are told what became of the others.
    hints: bool,
    /// The latest spawn's incarnation.
    incarnation: Incarnation,
    /// The highest epoch that any node has reported.
    highest: Epoch,
    /// Nodes that died by what they were doing.
    casualties: Casualties,
    /// The files in the inbox that are no jobs, as the latest coordinator to look has reported them.
    ignored: Ignored,
    /// The latest coordinatorship that was told of on standard error.
    announced: Epoch,
    /// When the start signal is given at the latest.
    start_by: Instant,
    /// The start signal was given: a node that binds its socket gets it too.
    started: bool,
    /// Some node has bound its socket, so the cluster can start.
    viable: bool,
}

/// Whether a supervisor has anything left to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It has.
    Running,
    /// It was asked to stop, and no node is left.
    Ended,
}

impl<'a> Supervisor<'a> {
    /// Prepares a cluster; its nodes are started by the first turn.
    ///
    /// # Errors
    ///
    /// The event log or the control socket cannot be made, or orphans cannot be adopted.
    pub(crate) fn new(
        launch: Launch,
        run_dir: RunDir,
        hints: bool,
        rotation: Rotation,
        signals: &'a mut Signals,
    ) -> Result<Supervisor<'a>, SuperviseError> {
        adopt_orphans()?;
        let record = Record::open(&launch.run_dir, rotation);
        let record = record.map_err(|error| SuperviseError::EventLog {
            run_dir: launch.run_dir.clone(),
            error,
        })?;
        let control = Server::bind(&launch.run_dir).map_err(|error| SuperviseError::Control {
            run_dir: launch.run_dir.clone(),
            error,
        })?;
        let now = Instant::now();
        let ids = 0..launch.config.nodes;
        Ok(Supervisor {
            slots: ids.map(|id| Slot::new(NodeId(id), now)).collect(),
            watch: Watch::new(launch.watch, now),
            upkeep: Upkeep::new(now),
            launch,
            run_dir,
            signals,
            record,
            control,
            phase: Phase::Running,
            failure: None,
            hints,
            incarnation: Incarnation::default(),
            highest: Epoch::NONE,
            casualties: Casualties::new(),
            ignored: Ignored::default(),
            announced: Epoch::NONE,
            start_by: now + START_AFTER,
            started: false,
            viable: false,
        })
    }

    /// One turn of the loop. Sleeps at its end until something happens, at most until `wake`.
    ///
    /// # Errors
    ///
    /// The cluster cannot start or go on, a process would not end, or a system call failed that cannot
    /// fail in a sound system.
    pub(crate) fn turn(&mut self, wake: Option<Instant>) -> Result<Turn, SuperviseError> {
        for _ in 0..self.signals.drain() {
            self.stop();
        }
        self.suspend_if_asked()?;
        self.watch.read_reports();
        self.pass_on_drop();
        self.reap()?;
        self.read_reports();
        if self.has_ended() {
            self.record.tell_lost(true);
            return self.conclude();
        }
        self.keep_record();
        self.end_grace();
        self.kill_silent();
        self.look_after_run_dir();
        // Before a restart, so that no peer learns of a death later than it must.
        self.tell();
        self.pass_on_drop();
        self.count_casualties();
        self.restart_due()?;
        self.serve_control();
        self.sleep(wake)?;
        Ok(Turn::Running)
    }

    /// Takes in all changes of children; strangers are orphans, which only have to be reaped.
    fn reap(&mut self) -> Result<(), SuperviseError> {
        let failed = |error| SuperviseError::System {
            call: "waitpid",
            error,
        };
        while let Some((pid, change)) = reap::next().map_err(failed)? {
            let is_it = |slot: &Slot| slot.life.as_ref().is_some_and(|life| life.pid == pid);
            if let Some(index) = self.slots.iter().position(is_it) {
                match change {
                    Change::Ended(ending) => self.ended(index, pid, ending)?,
                    Change::Stopped => self.changed(index, pid, ChildState::Stopped),
                    Change::Continued => self.changed(index, pid, ChildState::Running),
                }
            } else if self.watch.pid() == Some(pid) {
                self.watch_changed(change);
            }
        }
        Ok(())
    }

    fn changed(&mut self, index: usize, pid: Pid, state: ChildState) {
        let id = self.slots[index].id;
        if state == ChildState::Stopped {
            tracing::info!("node {id} (pid {pid}) was stopped");
        } else {
            tracing::info!("node {id} (pid {pid}) continues");
        }
        self.note_state(index, pid, state);
    }

    fn note_state(&mut self, index: usize, pid: Pid, state: ChildState) {
        let event = match state {
            ChildState::Stopped => ProcessEvent::Stopped,
            _ => ProcessEvent::Continued,
        };
        self.slots[index].state = state;
        if state == ChildState::Stopped
            && self.hints
            && let Some(life) = &mut self.slots[index].life
        {
            life.owe_stop();
        }
        self.record(index, pid, &event);
        self.owe_hints();
    }

    fn ended(&mut self, index: usize, pid: Pid, ending: Ending) -> Result<(), SuperviseError> {
        // Its last reports count: its term may be the highest.
        while self.read_reports_of(index) {}
        self.record(index, pid, &ending.into());
        let life = self.slots[index].life.as_mut();
        let repeats = life.as_ref().is_some_and(|life| life.repeats);
        let aborts = life.as_ref().is_some_and(|life| life.aborts);
        let not_executed = life.and_then(|life| life.not_executed.take());
        self.casualties.ended(ending, aborts);
        let wait = self.slots[index].end(Some(ending), Instant::now());
        if self.is_stopping() {
            return Ok(());
        }
        let id = self.slots[index].id;
        if let Some(error) = not_executed {
            return self.not_started(id, error, wait);
        }
        let hopeless = |slot: &Slot| slot.deaths >= START_ATTEMPTS;
        if !self.viable && self.slots.iter().all(hopeless) {
            return Err(SuperviseError::NeverReady { id, ending });
        }
        if !repeats {
            tracing::warn!(
                "node {id} (pid {pid}) {ending}; it is started again {}",
                when(wait)
            );
        }
        self.owe_hints();
        Ok(())
    }

    fn restart_due(&mut self) -> Result<(), SuperviseError> {
        if self.is_stopping() {
            return Ok(());
        }
        for index in 0..self.slots.len() {
            if self.slots[index]
                .due
                .is_some_and(|due| due <= Instant::now())
            {
                self.spawn(index)?;
            }
        }
        self.watch.start_if_due(&self.launch);
        Ok(())
    }

    /// A node's process could not be made, or not become a node: the cluster cannot start, if no node has yet.
    fn not_started(
        &mut self,
        id: NodeId,
        error: io::Error,
        wait: Duration,
    ) -> Result<(), SuperviseError> {
        if !self.viable {
            return Err(SuperviseError::Spawn { id, error });
        }
        tracing::warn!(
            "cannot start node {id}: {error}; trying again {}",
            when(wait)
        );
        self.owe_hints();
        Ok(())
    }

    /// Starts a node. A failure counts as a death, save of the first life: then the cluster
    /// cannot start.
    fn spawn(&mut self, index: usize) -> Result<(), SuperviseError> {
        let id = self.slots[index].id;
        let incarnation = Incarnation(self.incarnation.0 + 1);
        let crashes = self.slots[index].crashes();
        let term = self.highest.term;
        match self.launch.spawn(id, incarnation, term, crashes) {
            Ok(spawned) => {
                let pid = spawned.pid;
                self.incarnation = incarnation;
                self.slots[index].begin(incarnation, spawned, Instant::now());
                self.record(index, pid, &ProcessEvent::Spawned);
                self.owe_hints();
            }
            Err(error) if self.slots[index].incarnation == Incarnation::default() => {
                return Err(SuperviseError::Spawn { id, error });
            }
            Err(error) => {
                let wait = self.slots[index].end(None, Instant::now());
                self.not_started(id, error, wait)?;
            }
        }
        Ok(())
    }

    fn read_reports(&mut self) {
        for index in 0..self.slots.len() {
            self.read_reports_of(index);
        }
    }

    /// True if there may be more.
    fn read_reports_of(&mut self, index: usize) -> bool {
        let Some(life) = &mut self.slots[index].life else {
            return false;
        };
        let more = life.read_reports();
        self.viable |= life.bound;
        for spec in std::mem::take(&mut life.fired) {
            self.launch.fault_fired(spec);
        }
        let mut ignored = None;
        let mut charged = 0;
        if let Some(status) = &mut life.status {
            ignored = status.ignored.take();
            charged = status.deaths_charged;
            self.highest = self.highest.max(status.highest);
            if status.role == RoleName::Coordinator && status.highest > self.announced {
                self.announced = status.highest;
                // What was told to its predecessor may have come after its own first look.
                self.watch.owe_hint();
                let (node, term) = (status.highest.node, status.highest.term);
                tracing::info!("node {node} is coordinator in epoch {term}.{node}");
            }
        }
        if let Some(ignored) = ignored {
            self.note_ignored(ignored);
        }
        self.note_charged(charged);
        self.note_trouble(index);
        self.note_lost(index);
        more
    }

    /// Tells what keeps a node from its peers, once, and when that is over.
    fn note_trouble(&mut self, index: usize) {
        let Slot { id, life, told, .. } = &mut self.slots[index];
        let Some(life) = life else { return };
        if let Some(trouble) = life.trouble.take() {
            life.repeats = told.as_ref() == Some(&trouble);
            if !life.repeats {
                tracing::error!("node {id}: {trouble}");
                *told = Some(trouble);
            }
        } else if life.bound && !life.unreachable && told.take().is_some() {
            tracing::info!("node {id} can be reached by its peers now");
        }
    }

    fn owe_hints(&mut self) {
        if self.hints {
            self.owe(Life::owe_hints);
        }
    }

    fn owe(&mut self, what: impl FnMut(&mut Life)) {
        let lives = self.slots.iter_mut();
        lives.filter_map(|slot| slot.life.as_mut()).for_each(what);
    }

    /// Sends every node the hints and the start signal that it is owed.
    fn tell(&mut self) {
        if self.is_stopping() {
            return;
        }
        let all_bound = || {
            let bound = |slot: &Slot| slot.life.as_ref().is_some_and(|life| life.bound);
            self.slots.iter().all(bound)
        };
        self.started = self.started || all_bound() || Instant::now() >= self.start_by;
        let states: Vec<Hint> = self.slots.iter().filter_map(Slot::hint).collect();
        for slot in &mut self.slots {
            if let Some(life) = &mut slot.life {
                let others = |hint: &&Hint| hint.node != slot.id;
                life.tell(self.started, self.casualties.deaths, || {
                    states.iter().filter(others).copied().collect()
                });
            }
        }
    }

    fn sleep(&self, wake: Option<Instant>) -> Result<(), SuperviseError> {
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.lives().filter_map(|life| life.poll_fd(self.started)));
        fds.extend(self.watch.poll_fd());
        fds.extend(self.control.poll_fds());
        let timeout = match self.deadlines().chain(wake).min() {
            None => PollTimeout::NONE,
            Some(deadline) => {
                // Whole milliseconds, rounded up: rounded down, it would spin through the last.
                let left = deadline.saturating_duration_since(Instant::now());
                PollTimeout::try_from(left.as_micros().div_ceil(1_000)).unwrap_or(PollTimeout::MAX)
            }
        };
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(SuperviseError::System {
                call: "poll",
                error: error.into(),
            }),
        }
    }

    fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let (restarts, other) = match self.phase {
            Phase::Running => (&self.slots[..], (!self.started).then_some(self.start_by)),
            Phase::Stopping { kill_at } => (&[][..], Some(kill_at)),
            Phase::Killed { leave_at } => (&[][..], Some(leave_at)),
        };
        let upkeep = (!self.is_stopping()).then(|| self.upkeep.look_at());
        let looks = self.lives().map(|life| life.watchdog.next_look());
        restarts
            .iter()
            .filter_map(|slot| slot.due)
            .chain(other)
            .chain(looks.filter(|_| !self.is_stopping()))
            .chain(upkeep)
            .chain(self.control.deadline())
            .chain(self.watch.deadline(self.is_stopping()))
    }

    fn lives(&self) -> impl Iterator<Item = &Life> {
        self.slots.iter().filter_map(|slot| slot.life.as_ref())
    }

    fn record(&mut self, index: usize, pid: Pid, event: &ProcessEvent) {
        let header = self.header(index, pid);
        self.record.write(&header, event);
    }

    fn header(&self, index: usize, pid: Pid) -> Header {
        let slot = &self.slots[index];
        Header {
            node: slot.id,
            incarnation: slot.incarnation,
            pid: pid.as_raw(),
            term: self.highest.term,
            role: None,
        }
    }
}

/// As PID 1 the kernel hands every orphan to this process anyhow.
fn adopt_orphans() -> Result<(), SuperviseError> {
    if nix::unistd::getpid() == Pid::from_raw(1) {
        return Ok(());
    }
    nix::sys::prctl::set_child_subreaper(true).map_err(|error| SuperviseError::System {
        call: "prctl",
        error: error.into(),
    })
}

fn when(wait: Duration) -> String {
    if wait.is_zero() {
        "at once".to_owned()
    } else {
        format!("in {} ms", wait.as_millis())
    }
}
