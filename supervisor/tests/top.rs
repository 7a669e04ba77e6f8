//! `bullpen top`, on a terminal and without one. What a page looks like is tested beside its drawing.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::num::NonZeroU16;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::harness::{self, Cluster, Home, PATIENCE, command, eventually, stderr};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;

const ROWS: NonZeroU16 = NonZeroU16::new(24).unwrap();
const COLUMNS: NonZeroU16 = NonZeroU16::new(100).unwrap();

/// `bullpen top` on a terminal; killed when dropped.
struct Terminal {
    child: Child,
    terminal: File,
    /// Keeps the terminal open when the program has ended, so that its modes can be asked for.
    program_side: OwnedFd,
    /// What is on it.
    page: vt100::Parser,
}

impl Terminal {
    fn start(home: &Home) -> Terminal {
        Terminal::start_told(home, ROWS.get(), COLUMNS.get())
    }

    /// It has 24 lines of 100 letters, whatever it says.
    fn start_told(home: &Home, rows: u16, columns: u16) -> Terminal {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(&size, None).unwrap();
        // A copy in a child would keep the terminal alive.
        fcntl(&pty.master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut command = command(home, "top", &[]);
        command
            .env("TERM", "xterm")
            .stdin(end())
            .stdout(end())
            .stderr(end());
        Terminal {
            child: command.spawn().unwrap(),
            terminal: File::from(pty.master),
            program_side: pty.slave,
            page: vt100::Parser::new(ROWS, COLUMNS, 0),
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// The page as it is now.
    fn page(&mut self) -> &vt100::Screen {
        loop {
            let mut ready = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
            poll(&mut ready, PollTimeout::ZERO).unwrap();
            if !ready[0].any().unwrap() {
                return self.page.screen();
            }
            let mut buffer = [0; 4096];
            let count = self.terminal.read(&mut buffer).unwrap();
            self.page.process(&buffer[..count]);
        }
    }

    fn await_text(&mut self, text: &str) {
        eventually(PATIENCE, text, || {
            self.page().contents().contains(text).then_some(())
        });
    }

    fn press(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for its end, and sees to it that the terminal is as it was.
    fn assert_leaves(&mut self) {
        let ended = eventually(PATIENCE, "top ends", || {
            self.page();
            self.child.try_wait().unwrap()
        });
        assert_eq!(ended.code(), Some(0));
        assert!(!self.page().alternate_screen(), "it left its page");
        assert!(!self.page().hide_cursor());
        let modes = tcgetattr(&self.program_side).unwrap();
        assert!(
            modes
                .local_flags
                .contains(LocalFlags::ICANON | LocalFlags::ECHO)
        );
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_terminal_shows_the_words_of_others_and_does_not_obey_them() {
    let home = Home::new();
    fs::create_dir(home.run_dir()).unwrap();
    let node = r#"{"id":0,"pid":null,"incarnation":1,"role":"worker","state":"waiting","restarts":0,"uptime_ms":0}"#;
    let job = r#"{"name":"bo\u202ej","state":"running","done":1,"total":2}"#;
    let status = format!(r#"{{"term":7,"coordinator":null,"nodes":[{node}],"jobs":[{job}]}}"#);
    harness::fake::serve(&home.run_dir(), &format!(r#"{{"status":{status}}}"#));
    let event = r#"{"mono_ns":1,"node":0,"incarnation":1,"event":"job_accepted","job":"e\u200bt"}"#;
    fs::write(home.run_dir().join("events.jsonl"), format!("{event}\n")).unwrap();
    let mut terminal = Terminal::start(&home);
    terminal.await_text(r"bo\u{202e}j");
    terminal.await_text(r"accepted job e\u{200b}t");
    terminal.press("q");
    terminal.assert_leaves();
}

#[test]
fn on_a_terminal_a_key_kills_the_coordinator_and_another_leaves() {
    let cluster = Cluster::start(&[]);
    let mut top = Terminal::start(&cluster.home);
    top.await_text("node 5 coordinates");
    assert!(top.page().alternate_screen());
    top.press("K");
    top.await_text("SIGKILL sent to node 5");
    eventually(PATIENCE, "the coordinator was killed", || {
        let exited = cluster.events_named("node_exited");
        exited.iter().any(|event| event["node"] == 5).then_some(())
    });
    top.press("0s");
    top.await_text("stopped");
    top.press("C");
    eventually(PATIENCE, "node 0 goes on", || {
        let continued = cluster.events_named("node_continued");
        continued
            .iter()
            .any(|event| event["node"] == 0)
            .then_some(())
    });
    top.press("q");
    top.assert_leaves();
}

#[test]
fn it_ends_with_its_terminal() {
    let cluster = Cluster::start(&[]);
    let mut top = Terminal::start(&cluster.home);
    top.await_text("node 5 coordinates");
    top.terminal = File::open("/dev/null").unwrap();
    let ended = eventually(PATIENCE, "top ends", || top.child.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn on_a_terminal_without_a_size_it_prints_lines() {
    let cluster = Cluster::start(&[]);
    let mut top = Terminal::start_told(&cluster.home, 0, 0);
    top.await_text("Z term ");
    top.await_text(", node 5 coordinates, running 0 1 2 3 4 5");
    assert!(!top.page().alternate_screen());
}

#[test]
fn whatever_a_terminal_says_of_its_size_is_lived_with() {
    let cluster = Cluster::start(&["--nodes=3"]);
    let mut top = Terminal::start_told(&cluster.home, u16::MAX, u16::MAX);
    for (rows, columns) in [
        (u16::MAX, u16::MAX),
        (1, 1),
        (0, 0),
        (1, u16::MAX),
        (u16::MAX, 1),
        (0, 80),
        (24, 0),
        (2, 3),
    ] {
        harness::terminal::set_size(&top.program_side, rows, columns);
        let begin = Instant::now();
        eventually(PATIENCE, "some drawings", || {
            top.page();
            assert_eq!(top.child.try_wait().unwrap(), None, "{rows} x {columns}");
            (begin.elapsed() > Duration::from_millis(300)).then_some(())
        });
    }
    harness::terminal::set_size(&top.program_side, ROWS.get(), COLUMNS.get());
    top.await_text("node 2 coordinates");
    top.press("q");
    top.assert_leaves();
}

#[test]
fn without_a_cluster_it_waits_and_goes_on_when_one_comes() {
    let home = Home::new();
    let mut top = Terminal::start(&home);
    top.await_text("It is shown here when it comes");
    let mut cluster = home.start(&[]);
    top.await_text("node 5 coordinates");
    kill(cluster.pid(), Signal::SIGTERM).unwrap();
    cluster.await_exit(PATIENCE);
    top.await_text("it does not answer");
    cluster.start_again(&[]);
    top.await_text("node 5 coordinates");
    kill(top.pid(), Signal::SIGTERM).unwrap();
    top.assert_leaves();
}

#[test]
fn without_a_terminal_it_prints_a_line_for_each_change() {
    let cluster = Cluster::start(&[]);
    let mut command = command(&cluster.home, "top", &[]);
    let mut top = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(top.stdout.take().unwrap()).lines();
    let mut await_line = |text: &str| loop {
        let line = lines.next().expect("it goes on").unwrap();
        if line.contains(text) {
            return line;
        }
    };
    let line = await_line("node 5 coordinates");
    assert!(line.contains("Z term "), "{line}");
    assert!(
        line.contains(", node 5 coordinates, running 0 1 2 3 4 5"),
        "{line}"
    );
    let stopped = harness::invoke(&cluster.home, "kill", &["2", "--signal", "STOP"]);
    assert_eq!(stopped.status.code(), Some(0), "{}", stderr(&stopped));
    await_line("running 0 1 3 4 5, stopped 2");
    // The reader leaves, and nothing changes any more.
    drop(lines);
    let ended = eventually(PATIENCE, "top ends", || top.try_wait().unwrap());
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn without_a_terminal_it_waits_for_a_cluster_too() {
    let home = Home::new();
    let mut command = command(&home, "top", &[]);
    let mut top = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(top.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains("no bullpen runs"), "{line}");
    let cluster = home.start(&[]);
    while !lines
        .next()
        .unwrap()
        .unwrap()
        .contains("node 5 coordinates")
    {}
    let pid = Pid::from_raw(top.id().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    top.wait().unwrap();
    assert_eq!(lines.count(), 0, "it ends silently");
    drop(cluster);
}
