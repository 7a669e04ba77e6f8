//! Terminals of a test's own, which it reads or not.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;

/// A terminal, and what was shown on it.
pub(crate) struct Terminal {
    reader: File,
    pub(crate) programs: OwnedFd,
    shown: String,
}

impl Terminal {
    pub(crate) fn new() -> Terminal {
        let pty = openpty(None, None).unwrap();
        for end in [&pty.master, &pty.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        Terminal {
            reader: pty.master.into(),
            programs: pty.slave,
            shown: String::new(),
        }
    }

    /// One that nobody reads, without any room left.
    pub(crate) fn full() -> Terminal {
        let terminal = Terminal::new();
        let mut writer = terminal.writer();
        for size in [1_024, 1] {
            let junk = vec![b'.'; size];
            loop {
                match writer.write(&junk) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        terminal
    }

    /// One that nobody reads, with hardly any room left: poll(2) says that there is some.
    pub(crate) fn nearly_full() -> Terminal {
        let mut terminal = Terminal::full();
        // The system frees its buffers one by one.
        while !terminal.has_room() {
            terminal.reader.read_exact(&mut [0]).unwrap();
        }
        terminal
    }

    /// Whether poll(2) finds room for the programs' writes.
    pub(crate) fn has_room(&self) -> bool {
        let mut room = [PollFd::new(self.programs.as_fd(), PollFlags::POLLOUT)];
        poll(&mut room, PollTimeout::ZERO).unwrap() > 0
    }

    /// The programs' end, as a standard stream.
    pub(crate) fn stream(&self) -> Stdio {
        Stdio::from(self.programs.try_clone().unwrap())
    }

    /// Tells the programs its size.
    pub(crate) fn set_size(&self, rows: u16, columns: u16) {
        set_size(&self.programs, rows, columns);
    }

    /// What was written to it so far.
    pub(crate) fn shown(&mut self) -> &str {
        loop {
            let mut ready = [PollFd::new(self.reader.as_fd(), PollFlags::POLLIN)];
            poll(&mut ready, PollTimeout::ZERO).unwrap();
            if !ready[0].any().unwrap() {
                return &self.shown;
            }
            let mut buffer = [0; 4096];
            let count = self.reader.read(&mut buffer).unwrap();
            self.shown += &String::from_utf8_lossy(&buffer[..count]);
        }
    }

    /// Makes the command the first process of a session with this terminal, as a log-in does.
    pub(crate) fn lead_session(&self, command: &mut Command) {
        let terminal = self.programs.as_raw_fd();
        // SAFETY: the closure makes system calls alone, and allocates nothing.
        unsafe {
            command.pre_exec(move || {
                nix::unistd::setsid()?;
                if libc::ioctl(terminal, libc::TIOCSCTTY, 0) == -1 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
    }

    /// A way to write to it that does not wait.
    fn writer(&self) -> File {
        OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(self.path())
            .unwrap()
    }

    /// Where it is, such as `/dev/pts/3`.
    pub(crate) fn path(&self) -> PathBuf {
        fs::read_link(format!("/proc/self/fd/{}", self.programs.as_raw_fd())).unwrap()
    }
}

/// Tells the programs on a terminal its size.
pub(crate) fn set_size(terminal: &OwnedFd, rows: u16, columns: u16) {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: `size` is valid for reads for the whole call, and what this request takes.
    let told = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    assert_eq!(told, 0);
}
