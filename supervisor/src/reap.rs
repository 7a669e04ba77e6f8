//! Changes of child processes, one `waitpid(2)` each.

use std::fmt;
use std::io;

use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

/// What became of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is gone and has been reaped.
    Ended(Ending),
    /// A signal stopped it.
    Stopped,
    /// It runs again after a stop.
    Continued,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Ending {
    /// Whether it is the process's own doing. Who is ended by SIGKILL, SIGTERM or the like was ended by
    /// somebody.
    pub(crate) fn is_crash(self) -> bool {
        match self {
            Ending::Code(code) => code != 0,
            Ending::Signal(signal) => matches!(
                signal,
                libc::SIGILL
                    | libc::SIGTRAP
                    | libc::SIGABRT
                    | libc::SIGBUS
                    | libc::SIGFPE
                    | libc::SIGSEGV
                    | libc::SIGSYS
                    | libc::SIGXCPU
                    | libc::SIGXFSZ
            ),
        }
    }
}

/// The next change of any child, orphans that were handed to this process included; `None` when
/// there is nothing more to tell. Never waits.
///
/// # Errors
///
/// What `waitpid(2)` says, save that there are no children: then there is nothing to tell.
pub fn next() -> io::Result<Option<(Pid, Change)>> {
    waitpid(-1, libc::WNOHANG | libc::WUNTRACED | libc::WCONTINUED)
}

/// Takes back what is told of a child that was continued, if anything is: whoever continued it knows.
pub(crate) fn forget_continuation(child: Pid) {
    let flags = WaitPidFlag::WCONTINUED | WaitPidFlag::WNOHANG;
    // It may have ended, which is told later.
    let _ = waitid(Id::Pid(child), flags);
}

// Not nix's waitpid: it fails on a death by a real-time signal, and the dead child's pid is lost.
fn waitpid(which: libc::pid_t, options: libc::c_int) -> io::Result<Option<(Pid, Change)>> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is valid for writes for the whole call.
        let pid = unsafe { libc::waitpid(which, &raw mut status, options) };
        match pid {
            0 => return Ok(None),
            -1 => {
                let error = io::Error::last_os_error();
                match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::ECHILD) => return Ok(None),
                    _ => return Err(error),
                }
            }
            pid => return Ok(Some((Pid::from_raw(pid), change(status)))),
        }
    }
}

fn change(status: libc::c_int) -> Change {
    if libc::WIFSTOPPED(status) {
        Change::Stopped
    } else if libc::WIFCONTINUED(status) {
        Change::Continued
    } else if libc::WIFSIGNALED(status) {
        Change::Ended(Ending::Signal(libc::WTERMSIG(status)))
    } else {
        Change::Ended(Ending::Code(libc::WEXITSTATUS(status)))
    }
}

impl Ending {
    /// The exit code, of a process that ended by itself.
    pub(crate) fn code(self) -> Option<i32> {
        match self {
            Ending::Code(code) => Some(code),
            Ending::Signal(_) => None,
        }
    }

    /// The name of the signal that ended the process, such as `SIGKILL`.
    pub(crate) fn signal(self) -> Option<String> {
        match self {
            Ending::Code(_) => None,
            Ending::Signal(number) => Some(
                signal_hook::low_level::signal_name(number)
                    .map_or_else(|| format!("SIG{number}"), str::to_owned),
            ),
        }
    }
}

/// As the end of a sentence: `was killed by SIGKILL`.
impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ending::Code(code) => write!(f, "ended with exit code {code}"),
            Ending::Signal(_) => {
                write!(f, "was killed by {}", self.signal().unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_by_a_signal_without_a_name_is_told_by_its_number() {
        assert_eq!(
            Ending::Signal(libc::SIGKILL).to_string(),
            "was killed by SIGKILL"
        );
        assert_eq!(Ending::Signal(40).to_string(), "was killed by SIG40");
        assert_eq!(Ending::Code(3).to_string(), "ended with exit code 3");
    }
}
