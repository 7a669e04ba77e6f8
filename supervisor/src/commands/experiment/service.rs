//! The cluster of an experiment: `bullpen up`, a child of this process.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use supervisor::held::what_holds;
use supervisor::launch;
use supervisor::reap::{self, Change, Ending};
use supervisor::supervise::DEATH;

use super::ExperimentError;
use super::course::waits::LOOK_EVERY;

/// How long a cluster may take to be suspended.
const STOPS_WITHIN: Duration = Duration::from_secs(5);
/// What `up` and its nodes say on standard error.
const MESSAGES: &str = "messages.txt";

/// A running `bullpen up`, on directories of its own. Killed when dropped, and its nodes with it.
#[derive(Debug)]
pub(super) struct Service {
    pid: Pid,
    ended: Option<Ending>,
    stopped: bool,
    jobs: PathBuf,
    run_dir: PathBuf,
    messages: PathBuf,
}

impl Service {
    /// Starts a cluster with the jobs directory in `folder`, and with further options of `up`.
    ///
    /// # Errors
    ///
    /// What the calls up to the start say.
    pub(super) fn start(
        folder: &Path,
        run_dir: &Path,
        seed: u64,
        options: Vec<OsString>,
    ) -> Result<Service, ExperimentError> {
        let jobs = folder.join("jobs");
        let messages = folder.join(MESSAGES);
        let failed = |error| ExperimentError::System {
            what: "start the cluster",
            error,
        };
        // Whoever runs this file: its name may have been taken by another meanwhile.
        let mut up = Command::new(launch::SELF);
        up.arg0("bullpen")
            // Nothing of its log may go: the verdict is computed from all of it.
            .args(["up", "--trace-operations", "--log-size=0"])
            .arg("--jobs")
            .arg(&jobs)
            .arg("--run-dir")
            .arg(run_dir)
            .arg(format!("--seed={seed}"))
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&messages).map_err(failed)?)
            // A Ctrl-C is this process's to act on.
            .process_group(0);
        let parent = nix::unistd::getpid();
        // SAFETY: makes async-signal-safe calls only, and allocates nothing.
        unsafe { up.pre_exec(move || die_with(parent)) };
        let child = up.spawn().map_err(failed)?;
        Ok(Service {
            // Process IDs fit: the kernel's limit is 2^22.
            pid: Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX)),
            ended: None,
            stopped: false,
            jobs,
            run_dir: run_dir.to_owned(),
            messages,
        })
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) fn jobs(&self) -> &Path {
        &self.jobs
    }

    pub(super) fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// How it ended, if it has. Reaps it, and orphans that were handed to this process, which may
    /// be process 1.
    ///
    /// # Errors
    ///
    /// What `waitpid(2)` says.
    pub(super) fn ended(&mut self) -> io::Result<Option<Ending>> {
        while let Some((pid, change)) = reap::next()? {
            if pid == self.pid {
                match change {
                    Change::Ended(ending) => self.ended = Some(ending),
                    Change::Stopped => self.stopped = true,
                    Change::Continued => self.stopped = false,
                }
            }
        }
        Ok(self.ended)
    }

    /// Suspends it, nodes and all, unless somebody else has; tells whether it is to be continued. It takes
    /// a turn of its loop, and longer only where it does not answer.
    ///
    /// # Errors
    ///
    /// What `waitpid(2)` says.
    pub(super) fn suspend(&mut self) -> io::Result<bool> {
        if self.ended()?.is_some() || self.stopped {
            return Ok(false);
        }
        self.signal(Signal::SIGTSTP);
        let until = Instant::now() + STOPS_WITHIN;
        while self.ended()?.is_none() && !self.stopped && Instant::now() < until {
            thread::sleep(LOOK_EVERY);
        }
        Ok(true)
    }

    /// The last thing that it said about itself.
    pub(super) fn last_words(&self) -> String {
        let messages = fs::read(&self.messages).unwrap_or_default();
        let messages = String::from_utf8_lossy(&messages);
        let last = messages.lines().rev().find(|line| !line.trim().is_empty());
        let last = last.unwrap_or("it said nothing");
        last.strip_prefix("bullpen: ").unwrap_or(last).to_owned()
    }

    /// Kills it, and waits until it is gone, as long as that takes where nothing holds it. What is left,
    /// in one sentence.
    pub(super) fn kill(&mut self) -> Option<String> {
        self.signal(Signal::SIGKILL);
        let leave_at = Instant::now() + DEATH;
        while matches!(self.ended(), Ok(None)) {
            if Instant::now() >= leave_at {
                let holds = what_holds(self.pid);
                return Some(format!(
                    "the supervisor (pid {}{holds}) would not end though killed, and was left",
                    self.pid
                ));
            }
            thread::sleep(LOOK_EVERY);
        }
        None
    }

    pub(super) fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            // It is not reaped, so the pid is its own.
            let _ = kill(self.pid, signal);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Makes a child die with its parent.
fn die_with(parent: Pid) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // A parent that died before the call sends no signal any more.
    if nix::unistd::getppid() == parent {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::ESRCH))
    }
}
