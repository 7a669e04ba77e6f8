//! What a process inherits from the supervisor: a descriptor, whose number is on its command line, and the signal
//! handlers that Rust installs.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::sys::signal::{SigHandler, Signal, signal};

/// The last of the standard streams, which are never passed this way.
const STDERR: RawFd = 2;

/// Takes the descriptor. Must be called once, and before the process opens anything, so that every open descriptor
/// is inherited. Returns nothing if the number is not an open descriptor, or is a standard stream.
pub fn take(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: takes a number, returns whether it is open, and changes nothing.
    if fd <= STDERR || unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
        return None;
    }
    // SAFETY: the descriptor is open, and nothing else in this process owns it, since the process has opened
    // nothing and takes it once.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets every fatal signal end this process at once. Before `main`, Rust installs handlers for two of them, to
/// detect stack overflows, and those swallow the first signal that somebody sends. Must be called first.
/// SIGPIPE stays ignored: the reader of a node's output may leave.
pub fn die_of_signals() {
    for fault in [Signal::SIGSEGV, Signal::SIGBUS] {
        // Never refused for these two signals.
        // SAFETY: no handler is installed that could run in the middle of anything.
        let _ = unsafe { signal(fault, SigHandler::SigDfl) };
    }
}
