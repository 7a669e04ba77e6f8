//! Pipes whose reader is slow.

use std::io::{PipeWriter, Write};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Whether a write to the pipe waits for room.
pub(crate) fn set_nonblocking(writer: &PipeWriter, on: bool) {
    let mut flags = OFlag::from_bits_retain(fcntl(writer, FcntlArg::F_GETFL).unwrap());
    flags.set(OFlag::O_NONBLOCK, on);
    fcntl(writer, FcntlArg::F_SETFL(flags)).unwrap();
}

/// Fills it, and says how much that took.
pub(crate) fn fill(mut writer: &PipeWriter) -> usize {
    let mut filled = 0;
    set_nonblocking(writer, true);
    for size in [1_024, 1] {
        while let Ok(count) = writer.write(&vec![b'.'; size]) {
            filled += count;
        }
    }
    set_nonblocking(writer, false);
    filled
}
