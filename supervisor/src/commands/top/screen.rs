//! The page on a terminal.

use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protocol::printable::printable;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{self, EnterAlternateScreen};
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use supervisor::signals::Signals;

use super::draw::draw;
use super::view::{Order, View};
use super::watch::Observer;
use crate::commands::results;

/// How long a terminal may take to learn its size.
const SIZE_PATIENCE: Duration = Duration::from_secs(1);
/// The largest page, beyond any that people have.
const MOST_COLUMNS: u16 = 1_000;
const MOST_ROWS: u16 = 500;
/// How long a key or news may wait for each other.
const TURN: Duration = Duration::from_millis(100);

/// Whether the terminal says how large it is. That of a container learns it a moment after its first
/// process has begun; a serial line never does.
pub(super) fn has_size() -> bool {
    let end = Instant::now() + SIZE_PATIENCE;
    loop {
        if terminal::size().is_ok_and(|(columns, rows)| columns > 0 && rows > 0) {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        thread::sleep(TURN);
    }
}

/// Shows the page until a key or a signal ends it; leaves the terminal as it was.
///
/// # Errors
///
/// What the terminal says.
pub(super) fn run(run_dir: &Path, mut signals: Signals) -> io::Result<()> {
    leave_with_the_terminal()?;
    let watch = Observer::start(run_dir)?;
    let mut view = View::new(printable(&run_dir.to_string_lossy()).into_owned());
    let _restore = Restore;
    // It restores the terminal on a panic, too.
    let unsized_page = TerminalOptions {
        viewport: Viewport::Fixed(Rect::ZERO),
    };
    ratatui::try_init_with_options(unsized_page.clone())?;
    let mut stdout = BufWriter::new(results::stdout()?);
    execute!(stdout, EnterAlternateScreen)?;
    let mut terminal = Terminal::with_options(CrosstermBackend::new(stdout), unsized_page)?;
    let shown = show(&mut terminal, &mut view, &watch, &mut signals);
    if is_gone() {
        // A page that was being drawn has failed, or SIGHUP has come, before the other thread saw the
        // end. Leaves as that one does: dropped, the terminal would panic, since nobody takes its
        // complaint.
        std::process::exit(0);
    }
    shown
}

/// Ends this process when its terminal is gone: on such a one crossterm reads without end, and looks
/// at nothing else.
fn leave_with_the_terminal() -> io::Result<()> {
    thread::Builder::new()
        .name("hang-up".to_owned())
        .spawn(|| {
            while await_hang_up(PollTimeout::NONE) == Err(Errno::EINTR) {}
            std::process::exit(0);
        })?;
    Ok(())
}

/// Whether the terminal has been hung up: it cannot be used any more, and nobody sees it.
fn is_gone() -> bool {
    await_hang_up(PollTimeout::ZERO) == Ok(1)
}

/// Waits for the end of the terminal; tells how many terminals have ended.
fn await_hang_up(patience: PollTimeout) -> nix::Result<i32> {
    let stdout = io::stdout();
    // Of no events asked for, a hang-up is told all the same.
    let mut terminal = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    poll(&mut terminal, patience)
}

fn show<W: Write>(
    terminal: &mut Terminal<CrosstermBackend<W>>,
    view: &mut View,
    watch: &Observer,
    signals: &mut Signals,
) -> io::Result<()> {
    while signals.drain() == 0 {
        for news in watch.news.try_iter() {
            view.hear(news);
        }
        view.pass(Instant::now());
        let page = page(terminal::size()?);
        if terminal.get_frame().area() != page {
            terminal.resize(page)?;
        }
        terminal.draw(|frame| draw(frame, view))?;
        let mut patience = TURN;
        while event::poll(patience)? {
            if let Event::Key(key) = event::read()?
                && key.kind == KeyEventKind::Press
            {
                match view.press(key) {
                    Order::None => {}
                    Order::Signal(target, signal) => watch.signal(target, signal),
                    Order::Quit => return Ok(()),
                }
            }
            // Whatever else is there already is shown at once with it.
            patience = Duration::ZERO;
        }
    }
    Ok(())
}

/// The part of a terminal that is drawn on: what some say of their size would fill the memory.
fn page((columns, rows): (u16, u16)) -> Rect {
    Rect::new(0, 0, columns.min(MOST_COLUMNS), rows.min(MOST_ROWS))
}

/// Leaves the page, however the function ends.
struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        // A terminal that is gone needs none.
        let _ = ratatui::try_restore();
    }
}
