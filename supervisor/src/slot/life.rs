//! A process of a node: what it has reported, and what is to be told to it.

use std::io;
use std::os::fd::AsFd;
use std::time::Instant;

use ipc::control::{ControlError, Hint, Received, Sent, SupervisorEnd, ToNode, ToSupervisor};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::deaths::Deaths;
use protocol::status::{RoleName, Status};

use crate::bound::Bound;
use crate::launch::Spawned;
use crate::reap::Ending;
use crate::watchdog::Watchdog;

/// Most reports taken from one node in a row, so that none keeps the loop from the others.
const REPORTS_A_TURN: usize = 64;

/// A process of a node.
#[derive(Debug)]
pub(crate) struct Life {
    /// Its process ID; it is ours until it is reaped, so it can be signalled safely.
    pub(crate) pid: Pid,
    /// It has reported that it can be reached by its peers.
    pub(crate) bound: bool,
    /// Its socket, as it was first seen since then.
    pub(crate) socket: Option<Bound>,
    /// Its socket was not there at the last look, and has not been bound since.
    pub(crate) unreachable: bool,
    /// Why it cannot start or be reached, as it has reported, and nobody has noted yet.
    pub(crate) trouble: Option<String>,
    /// It has no trouble but what was told of an earlier life.
    pub(crate) repeats: bool,
    /// Its latest report.
    pub(crate) status: Option<Status>,
    /// The most bytes of products that it has reported to have held.
    pub(crate) peak_held_bytes: u64,
    /// Injected faults, by specification, that it has reported and nobody has noted yet.
    pub(crate) fired: Vec<usize>,
    /// It has said that it aborts.
    pub(crate) aborts: bool,
    /// Why it never became a node.
    pub(crate) not_executed: Option<io::Error>,
    /// Events that it has reported not to have written and nobody has noted yet, and the reason.
    pub(crate) lost: (u64, i32),
    /// How many it has reported in all.
    reported_lost: u64,
    /// When it was started.
    pub(crate) born: Instant,
    /// It was sent a signal on demand: what becomes of it is no wonder.
    pub(crate) signalled: bool,
    /// It did not answer, and is killed for that.
    pub(crate) hung: bool,
    /// Whether it still answers.
    pub(crate) watchdog: Watchdog,
    /// None when it has closed its end.
    link: Option<SupervisorEnd>,
    start_due: bool,
    hints_due: bool,
    deaths_due: bool,
    reopening_due: bool,
    binding_due: bool,
    /// It is to be told that a signal stopped it.
    stop_due: bool,
}

impl Life {
    /// A process that has just been started.
    pub(crate) fn new(spawned: Spawned, now: Instant) -> Life {
        Life {
            pid: spawned.pid,
            bound: false,
            socket: None,
            unreachable: false,
            trouble: None,
            repeats: false,
            status: None,
            peak_held_bytes: 0,
            fired: Vec::new(),
            aborts: false,
            not_executed: None,
            lost: (0, 0),
            reported_lost: 0,
            born: now,
            signalled: false,
            hung: false,
            watchdog: Watchdog::new(now),
            link: Some(spawned.link),
            start_due: true,
            hints_due: false,
            deaths_due: true,
            reopening_due: false,
            binding_due: false,
            stop_due: false,
        }
    }

    /// Sends a signal. The process may be dead and not reaped, which is no error.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Err(error) = kill(self.pid, signal) {
            tracing::warn!("cannot send {signal} to process {}: {error}", self.pid);
        }
    }

    /// What it has reported to do; recovering before its first report.
    pub(crate) fn role(&self) -> RoleName {
        let status = self.status.as_ref();
        status.map_or(RoleName::Recovering, |status| status.role)
    }

    /// Takes in what the node has reported. True if there may be more.
    pub(crate) fn read_reports(&mut self) -> bool {
        for _ in 0..REPORTS_A_TURN {
            let Some(link) = &self.link else {
                return false;
            };
            match link.receive() {
                Ok(Received::Message(message)) => {
                    self.watchdog.heard();
                    match message {
                        ToSupervisor::Bound => {
                            self.bound = true;
                            self.unreachable = false;
                            self.socket = None;
                            self.trouble = None;
                        }
                        ToSupervisor::Trouble(sentence) => self.trouble = Some(sentence),
                        ToSupervisor::Status {
                            status,
                            peak_held_bytes,
                        } => {
                            self.status = Some(status);
                            self.peak_held_bytes = peak_held_bytes;
                        }
                        // Its arrival ends the sleep, and that is all that it is for.
                        ToSupervisor::JobEnded => {}
                        ToSupervisor::FaultFired(spec) => self.fired.push(spec),
                        ToSupervisor::Aborting => self.aborts = true,
                        ToSupervisor::EventsLost { count, errno } => {
                            self.lost.0 += count.saturating_sub(self.reported_lost);
                            self.lost.1 = errno;
                            self.reported_lost = count;
                        }
                    }
                }
                Ok(Received::Empty) => return false,
                Ok(Received::Closed) => self.link = None,
                Err(ControlError::NotExecuted(error)) => self.not_executed = Some(error),
                Err(error) => {
                    // The node ends when its link closes, and is started again.
                    tracing::warn!("the control link of process {} failed: {error}", self.pid);
                    self.link = None;
                }
            }
        }
        true
    }

    /// Whether it has lost an office, or the election for it, by an end that nobody asked for.
    pub(super) fn crashed(&self, ending: Ending) -> bool {
        let in_office = matches!(self.role(), RoleName::Candidate | RoleName::Coordinator);
        in_office && (self.hung || (!self.signalled && ending.is_crash()))
    }

    /// Makes it hear that a signal stopped it.
    pub(crate) fn owe_stop(&mut self) {
        self.stop_due = true;
    }

    /// Makes it hear the latest hints.
    pub(crate) fn owe_hints(&mut self) {
        self.hints_due = true;
    }

    /// Makes it hear of the deaths that jobs caused.
    pub(crate) fn owe_deaths(&mut self) {
        self.deaths_due = true;
    }

    /// Makes it open the event log again.
    pub(crate) fn owe_reopening(&mut self) {
        self.reopening_due = true;
    }

    /// Makes it bind its socket again.
    pub(crate) fn owe_binding(&mut self) {
        self.binding_due = true;
    }

    /// Sends what is due, as far as the link takes it now: what concerns the run directory, the deaths, the
    /// hints, made by `hints`, and once the cluster has `started`, the start signal. A node binds its socket
    /// before it reads any.
    pub(crate) fn tell(
        &mut self,
        started: bool,
        deaths: Deaths,
        hints: impl FnOnce() -> Vec<Hint>,
    ) {
        // First, since it may be what others have missed this node for.
        if self.stop_due {
            self.stop_due = !self.send(&ToNode::WasStopped);
        }
        if self.reopening_due {
            self.reopening_due = !self.send(&ToNode::ReopenLog);
        }
        if self.binding_due {
            self.binding_due = !self.send(&ToNode::BindAgain);
        }
        if self.deaths_due {
            self.deaths_due = !self.send(&ToNode::Deaths(deaths));
        }
        if self.hints_due {
            self.hints_due = !self.send(&ToNode::Hints(hints()));
        }
        if self.start_due && started && !self.hints_due && !self.deaths_due {
            self.start_due = !self.send(&ToNode::Start);
        }
    }

    /// Says that the cluster stops. Lost if the link is full: the signal that follows says it too.
    pub(crate) fn tell_stopping(&self) {
        self.send(&ToNode::Stopping);
    }

    /// Says that something may have been dropped. False if the link takes nothing now.
    pub(crate) fn tell_inbox_changed(&self) -> bool {
        self.send(&ToNode::InboxChanged)
    }

    /// What to wait for: reports, and room for what is due.
    pub(crate) fn poll_fd(&self, started: bool) -> Option<PollFd<'_>> {
        let link = self.link.as_ref()?;
        let mut events = PollFlags::POLLIN;
        let is_due = self.stop_due
            || self.reopening_due
            || self.binding_due
            || self.hints_due
            || self.deaths_due;
        if is_due || (self.start_due && started) {
            events |= PollFlags::POLLOUT;
        }
        Some(PollFd::new(link.as_fd(), events))
    }

    /// True if the message went out; also when it never can, so that nobody waits for it.
    fn send(&self, message: &ToNode) -> bool {
        let Some(link) = &self.link else {
            return true;
        };
        match link.send(message) {
            Ok(Sent::Done) => true,
            Ok(Sent::WouldBlock) => false,
            // It ends or has ended. The link stays: its last reports may not have been read.
            Err(_) => true,
        }
    }
}
