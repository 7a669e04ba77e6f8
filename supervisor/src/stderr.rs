//! Standard error for a process that must never wait for its reader, nor die with it.

use std::io::{self, Write};
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::printable::printable_json;

/// Standard error that drops what cannot be written at once: a supervisor that waits for the
/// reader of a full pipe restarts nothing, and a node that waits misses heartbeats. It never fails, because the log would answer a failure
/// with a message to the same place, and that one panics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stderr = io::stderr();
        let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
        // A pipe is writable while it has room for 4 KiB; a line of ours is shorter.
        let ready = poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0);
        if ready {
            // Nobody is left to be told.
            let _ = stderr.lock().write_all(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// [`Stderr`] for lines of JSON, of which only what is printable is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonStderr;

impl Write for JsonStderr {
    /// Takes whole lines.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        Stderr.write_all(printable_json(&line).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
