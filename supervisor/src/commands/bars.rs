//! A place for the bars of `indicatif` that takes no longer than any other message.

use std::io::{self, IsTerminal};
use std::mem;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{ProgressDrawTarget, TermLike};

use crate::commands::stderr;

/// How often a second a bar is drawn at the most.
const RATE: u8 = 20;
/// The width of a terminal that does not tell it.
const WIDTH: u16 = 80;

/// Where bars are drawn: on standard error while that is a terminal, and nowhere otherwise.
pub(crate) fn target() -> ProgressDrawTarget {
    if io::stderr().is_terminal() {
        ProgressDrawTarget::term_like_with_hz(Box::<Terminal>::default(), RATE)
    } else {
        ProgressDrawTarget::hidden()
    }
}

/// The terminal of standard error. What is drawn goes out in one piece, or not at all if it finds no room.
#[derive(Debug, Default)]
struct Terminal {
    frame: Mutex<String>,
}

impl Terminal {
    fn frame(&self) -> MutexGuard<'_, String> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, text: &str) -> io::Result<()> {
        self.frame().push_str(text);
        Ok(())
    }

    fn move_cursor(&self, places: usize, direction: char) -> io::Result<()> {
        if places > 0 {
            self.add(&format!("\x1b[{places}{direction}"))?;
        }
        Ok(())
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        // SAFETY: `winsize` is a plain C struct for which all zeroes is a valid value.
        let mut size: libc::winsize = unsafe { mem::zeroed() };
        let stderr = io::stderr().as_raw_fd();
        // SAFETY: `size` is valid for writes for the whole call, and what this request fills in.
        let told = unsafe { libc::ioctl(stderr, libc::TIOCGWINSZ, &raw mut size) } == 0;
        if told && size.ws_col > 0 {
            size.ws_col
        } else {
            WIDTH
        }
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.move_cursor(lines, 'A')
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.move_cursor(lines, 'B')
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.move_cursor(columns, 'C')
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.move_cursor(columns, 'D')
    }

    fn write_line(&self, line: &str) -> io::Result<()> {
        self.add(line)?;
        self.add("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r\x1b[2K")
    }

    fn flush(&self) -> io::Result<()> {
        stderr::draw(&mem::take(&mut *self.frame()));
        Ok(())
    }
}
