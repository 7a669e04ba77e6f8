//! Standard error for a process that must never wait for its reader, nor die with it.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{dup2_stderr, write};
use protocol::printable::printable_json;
use supervisor::owner::open_to_write;

/// How long the last words of a process wait for room.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A terminal takes nothing while another process writes to it.
const MOMENT: Duration = Duration::from_millis(1);
/// A pipe that has room has that of a page, and so it has though 16 nodes and their supervisor find that
/// out at the same time.
const SHARE_OF_A_PAGE: usize = 4_096 / 17;

/// Standard error that drops what cannot be written at once: a supervisor that waits for the
/// reader of a full pipe restarts nothing, and a node that waits misses heartbeats. It never fails,
/// because the log would answer a failure with a message to the same place, and that one panics.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stderr;

impl Write for Stderr {
    /// Takes whole lines.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        Channel::get().write(lines, Duration::ZERO);
        Ok(lines.len())
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

/// Says a sentence that a person is to see, for which a second is well spent.
pub(crate) fn say(sentence: &str) {
    hand_over(&format!("bullpen: {sentence}\n"));
}

/// As [`say`], of lines that are complete.
pub(crate) fn hand_over(lines: &str) {
    Channel::get().write(lines.as_bytes(), LAST_WORDS);
}

/// Says a sentence while there is something that cannot wait.
pub(crate) fn mention(sentence: &str) {
    Channel::get().write(format!("bullpen: {sentence}\n").as_bytes(), Duration::ZERO);
}

/// Draws on the terminal, in the line where the cursor is.
pub(crate) fn draw(frame: &str) {
    Channel::get().write_here(frame.as_bytes(), Duration::ZERO);
}

/// Opens standard error anew, for writing alone and so that no write waits, where the system lets this
/// process: what it was given it shares with others, and they want it to stay as it is. To be called at the start,
/// before a change of user.
pub(crate) fn own() {
    Channel::get();
}

/// The way to a reader, who may not read.
#[derive(Debug)]
struct Channel {
    fd: BorrowedFd<'static>,
    how: How,
    state: Mutex<State>,
}

/// How to write without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// No write waits: to a description of our own, or to a file.
    Directly,
    /// With a flag for each write.
    ToSocket,
    /// So many bytes a time, after poll(2) has found room: it says that there is some, not how much.
    InPieces(usize),
}

#[derive(Debug, Default)]
struct State {
    /// The end of a line is lacking.
    torn: bool,
    /// The last write found no room.
    full: bool,
}

impl Channel {
    fn get() -> &'static Channel {
        static CHANNEL: OnceLock<Channel> = OnceLock::new();
        CHANNEL.get_or_init(|| {
            // SAFETY: standard error stays open for as long as the process lives: it is replaced, and
            // never closed.
            let fd = unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) };
            Channel::on(fd, take(fd))
        })
    }

    fn on(fd: BorrowedFd<'static>, how: How) -> Channel {
        Channel {
            fd,
            how,
            state: Mutex::default(),
        }
    }

    /// Writes whole lines, or drops what finds no room in time. After a torn line they begin on a fresh one.
    fn write(&self, lines: &[u8], patience: Duration) {
        let torn = self.lock().torn;
        if torn {
            self.write_here(&[b"\n", lines].concat(), patience);
        } else {
            self.write_here(lines, patience);
        }
    }

    fn write_here(&self, text: &[u8], patience: Duration) {
        let mut state = self.lock();
        let moment = if state.full { Duration::ZERO } else { MOMENT };
        let until = Instant::now() + patience.max(moment);
        let mut rest = text;
        while !rest.is_empty() {
            match self.write_some(rest) {
                Ok(written) => rest = &rest[written..],
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if self.await_room(until) => {}
                // Nobody is left to be told.
                Err(_) => break,
            }
        }
        state.full = !rest.is_empty();
        if !state.full {
            state.torn = false;
        } else if let Some(last) = text[..text.len() - rest.len()].last() {
            state.torn = *last != b'\n';
        }
    }

    /// Writes what there is room for.
    fn write_some(&self, text: &[u8]) -> nix::Result<usize> {
        match self.how {
            How::Directly => write(self.fd, text),
            How::ToSocket => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                send(self.fd.as_raw_fd(), text, flags)
            }
            How::InPieces(_) if !self.has_room(PollTimeout::ZERO) => Err(Errno::EAGAIN),
            How::InPieces(most) => write(self.fd, &text[..text.len().min(most)]),
        }
    }

    /// False if it is too late.
    fn await_room(&self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        // Whole milliseconds, rounded up.
        let left = PollTimeout::try_from(left.as_micros().div_ceil(1_000));
        self.has_room(left.unwrap_or(PollTimeout::MAX)) && Instant::now() < until
    }

    fn has_room(&self, patience: PollTimeout) -> bool {
        let mut fds = [PollFd::new(self.fd, PollFlags::POLLOUT)];
        poll(&mut fds, patience).is_ok_and(|ready| ready > 0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes standard error a description of this process's own, and finds out how it is to be written to.
fn take(stderr: BorrowedFd<'static>) -> How {
    let kind = fstat(stderr).map_or(SFlag::empty(), |found| {
        SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT
    });
    // Opened anew, a file would be written from its beginning.
    if kind == SFlag::S_IFREG {
        return How::Directly;
    }
    if kind == SFlag::S_IFSOCK {
        return How::ToSocket;
    }
    let own = open_to_write(stderr, OFlag::O_NONBLOCK).and_then(|own| Ok(dup2_stderr(own)?));
    match own {
        Ok(()) => How::Directly,
        // As a node of another user's has it of the supervisor.
        Err(_) if is_nonblocking(stderr) => How::Directly,
        Err(_) if kind == SFlag::S_IFIFO => How::InPieces(SHARE_OF_A_PAGE),
        Err(_) => How::InPieces(1),
    }
}

fn is_nonblocking(fd: BorrowedFd<'_>) -> bool {
    let flags = fcntl(fd, FcntlArg::F_GETFL).unwrap_or(0);
    OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK)
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read, pipe};
    use std::os::fd::{AsFd, IntoRawFd};

    use super::*;

    /// A pipe to write to in some way, with room for so much.
    fn channel(how: How, room: usize) -> (PipeReader, Channel) {
        let (mut reader, mut writer) = pipe().unwrap();
        for end in [reader.as_fd(), writer.as_fd()] {
            fcntl(end, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        }
        while writer.write(&[b'.'; 4_096]).is_ok() {}
        reader.read_exact(&mut vec![0; room]).unwrap();
        // SAFETY: left open for as long as the tests run.
        let fd = unsafe { BorrowedFd::borrow_raw(writer.into_raw_fd()) };
        (reader, Channel::on(fd, how))
    }

    /// What is in a pipe.
    fn read(reader: &mut PipeReader) -> String {
        let mut bytes = Vec::new();
        let all = reader.read_to_end(&mut bytes);
        assert_eq!(all.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_that_finds_no_room_is_dropped_and_the_next_one_is_whole() {
        let (mut reader, channel) = channel(How::Directly, 0);
        channel.write(b"lost\n", Duration::ZERO);
        read(&mut reader);
        channel.write(b"seen\n", Duration::ZERO);
        assert_eq!(read(&mut reader), "seen\n");
    }

    #[test]
    fn after_a_torn_line_the_next_one_begins_afresh() {
        for how in [
            How::Directly,
            How::InPieces(SHARE_OF_A_PAGE),
            How::InPieces(1),
        ] {
            let (mut reader, channel) = channel(how, 4_096);
            let long = [&[b'x'; 5_000][..], b"\n"].concat();
            channel.write(&long, Duration::ZERO);
            channel.write(b"lost\n", Duration::ZERO);
            assert!(read(&mut reader).ends_with('x'), "{how:?}");
            channel.write(b"first\n", Duration::ZERO);
            channel.write(b"second\n", Duration::ZERO);
            assert_eq!(read(&mut reader), "\nfirst\nsecond\n", "{how:?}");
        }
    }

    #[test]
    fn last_words_wait_for_room_and_no_longer_than_they_may() {
        let (mut reader, channel) = channel(How::Directly, 0);
        let begin = Instant::now();
        channel.write(b"lost\n", Duration::from_millis(50));
        assert!(begin.elapsed() >= Duration::from_millis(50));
        let slow = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            // The words may come as soon as some of it was read.
            (read(&mut reader), reader)
        });
        channel.write(b"words\n", Duration::from_secs(20));
        let (first, mut reader) = slow.join().unwrap();
        assert!((first + &read(&mut reader)).ends_with(".words\n"));
    }
}
