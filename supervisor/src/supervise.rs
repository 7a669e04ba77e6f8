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
mod error;
mod fates;
mod hearing;
mod recording;
mod shutdown;
mod suspend;
mod telling;
mod upkeep;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::status::Ignored;
use protocol::supervision::START_AFTER;

use crate::casualties::Casualties;
use crate::control::server::Server;
use crate::events::RunEvent;
use crate::launch::Launch;
use crate::record::Record;
use crate::rotation::Rotation;
use crate::run_dir::RunDir;
use crate::signals::Signals;
use crate::slot::{Life, Slot};
use crate::watch::Watch;

pub use crate::supervise::error::{LEFT, SuperviseError};

/// What is killed is gone within this, unless the system holds it: in a frozen group, or in a call to a
/// mount that does not answer. Then it is left.
pub const DEATH: Duration = Duration::from_secs(2);

/// Supervises one process per static ID. Dropping it kills and reaps those that are left.
#[derive(Debug)]
pub struct Supervisor<'a> {
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
pub enum Turn {
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
    pub fn new(
        launch: Launch,
        run_dir: RunDir,
        hints: bool,
        rotation: Rotation,
        signals: &'a mut Signals,
    ) -> Result<Supervisor<'a>, SuperviseError> {
        adopt_orphans()?;
        let begun = RunEvent::begun(&launch.config, &launch.jobs);
        let record = Record::open(&launch.run_dir, rotation, begun);
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
    pub fn turn(&mut self, wake: Option<Instant>) -> Result<Turn, SuperviseError> {
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
        // Before a restart, so that no peer learns of a death later than it must.
        self.tell();
        self.pass_on_drop();
        self.count_casualties();
        self.look_after_run_dir();
        self.restart_due()?;
        self.serve_control();
        self.sleep(wake)?;
        Ok(Turn::Running)
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
        let upkeep = (!self.is_stopping()).then_some(self.upkeep.look_at);
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
}

/// What the looks at the run directory remember.
#[derive(Debug)]
struct Upkeep {
    look_at: Instant,
    /// It was gone again when it was opened: somebody may be removing it. The second time is one too many.
    lost_again: bool,
    /// What cannot be mended, as it was told.
    told: Option<String>,
    /// It was told that nodes cannot be reached.
    told_lost: bool,
}

/// How far the end of the cluster has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nobody has asked for it.
    Running,
    /// The nodes were asked to end.
    Stopping {
        /// When those that are left are killed.
        kill_at: Instant,
    },
    /// The nodes were killed.
    Killed {
        /// When those that are left then are left for good.
        leave_at: Instant,
    },
}

impl Upkeep {
    fn new(now: Instant) -> Upkeep {
        Upkeep {
            look_at: now,
            lost_again: false,
            told: None,
            told_lost: false,
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
