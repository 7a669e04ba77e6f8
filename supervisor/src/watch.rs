//! The process that watches the jobs directory: started again when it dies, and heard, never waited for.
//! What it says are hints; the coordinator's own look from time to time is the truth.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ipc::control::{Received, WatchMode, WatchReport, WatchedEnd};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protocol::supervision::Backoff;

use crate::launch::{Launch, when};
use crate::reap::{Change, Ending};

/// Most reports that are taken in a row.
const REPORTS_A_TURN: usize = 64;
/// It may be at a call to a mount that does not answer, and does not die before: then it is left.
const DEATH: Duration = Duration::from_secs(1);

/// Who watches the jobs directory, and what of it the coordinator is to be told.
#[derive(Debug)]
pub(crate) struct Watch {
    how: Option<WatchMode>,
    process: Option<Process>,
    /// When it is to be started; none while it lives, and if nobody is to watch.
    due: Option<Instant>,
    backoff: Backoff,
    /// Something may have been dropped, and no coordinator has been told.
    pub(crate) hint_due: bool,
    /// Why it does not go by events, as it was told on standard error.
    told: Option<String>,
    /// Killed, and no longer waited for after that.
    leave_at: Option<Instant>,
}

#[derive(Debug)]
struct Process {
    pid: Pid,
    link: Option<WatchedEnd>,
    born: Instant,
    stopped: bool,
    mode: WatchMode,
}

impl Watch {
    /// What is started by the first turn.
    pub(crate) fn new(how: Option<WatchMode>, now: Instant) -> Watch {
        Watch {
            how,
            process: None,
            due: how.map(|_| now),
            backoff: Backoff::default(),
            hint_due: false,
            told: None,
            leave_at: None,
        }
    }

    /// Its process, while it lives.
    pub(crate) fn pid(&self) -> Option<Pid> {
        self.process.as_ref().map(|process| process.pid)
    }

    /// Its process, while it lives and is not stopped.
    pub(crate) fn running(&self) -> Option<Pid> {
        let runs = self.process.as_ref().filter(|process| !process.stopped);
        runs.map(|process| process.pid)
    }

    /// How a dropped file is noticed now.
    pub(crate) fn mode(&self) -> WatchMode {
        let runs = self.process.as_ref().filter(|process| !process.stopped);
        runs.map_or(WatchMode::Poll, |process| process.mode)
    }

    /// Starts it, if it is time. A failure counts as a death.
    pub(crate) fn start_if_due(&mut self, launch: &Launch) {
        let now = Instant::now();
        let (Some(how), true) = (self.how, self.due.is_some_and(|due| due <= now)) else {
            return;
        };
        match launch.spawn_watch(how) {
            Ok((pid, link)) => {
                self.due = None;
                self.process = Some(Process {
                    pid,
                    link: Some(link),
                    born: now,
                    stopped: false,
                    mode: WatchMode::Poll,
                });
            }
            Err(error) => {
                let wait = self.end(now);
                let when = when(wait);
                tracing::warn!(
                    "cannot start what watches the jobs directory: {error}; trying again {when}"
                );
            }
        }
    }

    /// Takes in what it has said.
    pub(crate) fn read_reports(&mut self) {
        for _ in 0..REPORTS_A_TURN {
            let Some(process) = &mut self.process else {
                return;
            };
            let Some(link) = &process.link else { return };
            match link.receive() {
                Ok(Received::Message(WatchReport { mode, why })) => {
                    process.mode = mode;
                    self.hint_due = true;
                    self.tell_why(mode, why);
                }
                Ok(Received::Empty) => return,
                // It ends without its link, and is started again.
                Ok(Received::Closed) | Err(_) => process.link = None,
            }
        }
    }

    /// Why it does not go by events: once, and when that is over.
    fn tell_why(&mut self, mode: WatchMode, why: Option<String>) {
        match &why {
            Some(why) if self.told.as_ref() != Some(why) => tracing::warn!("{why}"),
            None if mode == WatchMode::Notify && self.told.is_some() => {
                tracing::info!("the system tells of files dropped into the jobs directory again");
            }
            _ => return,
        }
        self.told = why;
    }

    /// What to wait for.
    pub(crate) fn poll_fd(&self) -> Option<PollFd<'_>> {
        let link = self.process.as_ref()?.link.as_ref()?;
        Some(PollFd::new(link.as_fd(), PollFlags::POLLIN))
    }

    /// When there is something to do.
    pub(crate) fn deadline(&self, stopping: bool) -> Option<Instant> {
        let now = Instant::now();
        if stopping {
            self.leave_at.filter(|&at| at > now)
        } else {
            self.due
        }
    }

    /// Ends it: nothing of it is needed any more.
    pub(crate) fn kill(&mut self) {
        if let Some(pid) = self.pid() {
            // It is not reaped, so the pid is its own.
            let _ = kill(pid, Signal::SIGKILL);
            self.leave_at.get_or_insert(Instant::now() + DEATH);
        }
    }

    /// Whether it is gone, or was given the time to be.
    pub(crate) fn is_over(&self) -> bool {
        self.process.is_none() || self.leave_at.is_some_and(|at| at <= Instant::now())
    }

    fn end(&mut self, now: Instant) -> Duration {
        let process = self.process.take();
        let uptime = process.map_or(Duration::ZERO, |process| now - process.born);
        let wait = self.backoff.after_death(uptime, rand::random_range);
        self.due = Some(now + wait);
        wait
    }

    /// Takes in what became of its process.
    pub(crate) fn changed(&mut self, change: Change, stopping: bool) {
        match (change, &mut self.process) {
            (Change::Ended(ending), _) => self.ended(ending, stopping),
            (Change::Stopped, Some(process)) => process.stopped = true,
            (Change::Continued, Some(process)) => process.stopped = false,
            (_, None) => {}
        }
    }

    fn ended(&mut self, ending: Ending, stopping: bool) {
        self.read_reports();
        let wait = self.end(Instant::now());
        if !stopping {
            let when = when(wait);
            tracing::warn!("what watches the jobs directory {ending}; it is started again {when}");
        }
    }
}
