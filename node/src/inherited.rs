//! What a process finds that the supervisor has started: a descriptor, under a number on its command line,
//! and the signals as Rust sets them up.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::sys::signal::{SigHandler, Signal, signal};

/// The last of the standard streams, which are never passed so.
const STDERR: RawFd = 2;

/// Takes the descriptor, in a process that has opened nothing yet: what is open is inherited then. To be
/// called once. Nothing, if the number is that of no open descriptor, or of a standard stream.
pub fn take(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: takes a number, of which it tells whether it is open, and changes nothing.
    if fd <= STDERR || unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1 {
        return None;
    }
    // SAFETY: the number is that of an open descriptor, which nothing else in this process owns: it has
    // not opened anything, and takes it once.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lets every signal that ends a process end this one at once. Before `main` Rust installs handlers of two
/// of them, to tell a stack that overflows, and those swallow the first that somebody sends. To be called
/// before all else. SIGPIPE stays ignored: whoever reads a node may leave.
pub fn die_of_signals() {
    for fault in [Signal::SIGSEGV, Signal::SIGBUS] {
        // Refused for no signal of these two.
        // SAFETY: no handler is installed that could run in the middle of anything.
        let _ = unsafe { signal(fault, SigHandler::SigDfl) };
    }
}
