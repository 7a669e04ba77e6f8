//! A descriptor that the supervisor passes to a process it starts, under a number on its command line.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

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
