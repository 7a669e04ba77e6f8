//! How an experiment waits: it sees what happens meanwhile, and drops jobs.

use std::os::fd::AsFd;
use std::time::Duration;

use laboratory::log::Event;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use supervisor::reap::Ending;

use super::Course;
use super::missing::Missing;
use crate::commands::experiment::ExperimentError;
use crate::commands::failure::Failure;

/// How often it is looked whether something has come.
pub(in crate::commands::experiment) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Why a wait was not waited out.
pub(super) enum Stop {
    /// Somebody asked for the end.
    Interrupted,
    /// The cluster has ended, and nobody had asked it to.
    Gone(Ending),
    /// Something could not be written, so that nothing more can be told.
    Missing(Missing),
    /// The experiment cannot go on.
    Failed(Failure),
}

impl<T: Into<Failure>> From<T> for Stop {
    fn from(error: T) -> Stop {
        Stop::Failed(error.into())
    }
}

impl Course<'_> {
    /// Waits for an event since then; false if it does not come in time.
    pub(super) fn await_turn(
        &mut self,
        since: u64,
        limit: Duration,
        is_meant: impl Fn(&Event) -> bool,
    ) -> Result<bool, Stop> {
        self.await_that(limit, |course| {
            course.view.turn_since(since, &is_meant).is_some()
        })
    }

    /// Waits for something; false if it does not come in time.
    pub(super) fn await_that(
        &mut self,
        limit: Duration,
        has_come: impl Fn(&Course<'_>) -> bool,
    ) -> Result<bool, Stop> {
        let end = self.signals.now() + limit;
        loop {
            self.look()?;
            if has_come(self) {
                return Ok(true);
            }
            if self.signals.now() >= end {
                return Ok(false);
            }
            self.sleep(LOOK_EVERY);
        }
    }

    /// Lets time pass, in which everything goes on.
    pub(super) fn pass(&mut self, time: Duration) -> Result<(), Stop> {
        let end = self.signals.now() + time;
        loop {
            self.look()?;
            let left = end.saturating_duration_since(self.signals.now());
            if left.is_zero() {
                return Ok(());
            }
            self.sleep(left.min(LOOK_EVERY));
        }
    }

    /// Sees what has happened, and drops the jobs that are lacking.
    pub(super) fn look(&mut self) -> Result<(), Stop> {
        if self.is_interrupted()? {
            return Err(Stop::Interrupted);
        }
        let failed = |what| move |error| ExperimentError::System { what, error };
        let ended = self.cluster.ended();
        if let Some(ending) = ended.map_err(failed("wait for the cluster"))? {
            return Err(Stop::Gone(ending));
        }
        let now = self.signals.now();
        self.view
            .refresh(now)
            .map_err(failed("read the event log"))?;
        self.look_for_missing()?;
        if self.is_working {
            self.top_up()?;
        }
        let (dropped, done) = (self.work.dropped().len(), self.view.done);
        self.progress.show(self.ended.rounds, || {
            format!("{done} of {dropped} jobs done")
        });
        Ok(())
    }

    /// Whether somebody asked for the end. At a Ctrl-Z the cluster stops and then this process, until it is
    /// continued.
    pub(super) fn is_interrupted(&mut self) -> Result<bool, ExperimentError> {
        let interrupted = self.signals.drain() > 0;
        if self.signals.take_suspension() && !interrupted {
            let suspended = self.cluster.suspend().and_then(|is_ours| {
                self.signals.suspend()?;
                if is_ours {
                    self.cluster.signal(Signal::SIGCONT);
                }
                Ok(())
            });
            suspended.map_err(|error| ExperimentError::System {
                what: "suspend the cluster",
                error,
            })?;
        }
        Ok(interrupted)
    }

    /// Sleeps, at most until a signal comes.
    pub(super) fn sleep(&self, time: Duration) {
        let mut fds = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        // Whole milliseconds, rounded up.
        let timeout =
            PollTimeout::try_from(time.as_micros().div_ceil(1_000)).unwrap_or(PollTimeout::MAX);
        let polled = poll(&mut fds, timeout);
        debug_assert!(matches!(polled, Ok(_) | Err(Errno::EINTR)), "{polled:?}");
    }
}
