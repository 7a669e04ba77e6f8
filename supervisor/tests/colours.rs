//! Colours: where a terminal has them, and never where the environment asks for none.

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use crate::harness::{Cluster, Home, PATIENCE, command, eventually};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};

/// A terminal on which a command runs, killed when dropped.
struct Shown {
    child: std::process::Child,
    terminal: File,
    text: Vec<u8>,
}

impl Shown {
    fn begin(command: &mut Command) -> Shown {
        let size = Winsize {
            ws_row: 24,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(&size, None).unwrap();
        fcntl(&pty.master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        let end = || Stdio::from(pty.slave.try_clone().unwrap());
        command.stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        // What this process does not keep of it.
        command.stdin(Stdio::null());
        command.stdout(Stdio::null());
        command.stderr(Stdio::null());
        Shown {
            child,
            terminal: pty.master.into(),
            text: Vec::new(),
        }
    }

    /// What is on it when it has been written to until `is_enough`, or the command has ended.
    fn until(&mut self, is_enough: impl Fn(&str) -> bool) -> String {
        eventually(PATIENCE, "the terminal shows it", || {
            let has_ended = self.child.try_wait().unwrap().is_some();
            self.read();
            let text = String::from_utf8_lossy(&self.text).into_owned();
            (has_ended || is_enough(&text)).then_some(text)
        })
    }

    fn read(&mut self) {
        loop {
            let mut ready = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
            poll(&mut ready, PollTimeout::ZERO).unwrap();
            if !ready[0].any().unwrap() {
                return;
            }
            let mut buffer = [0; 4096];
            match self.terminal.read(&mut buffer) {
                Ok(count) if count > 0 => self.text.extend(&buffer[..count]),
                // Nobody has it open any more.
                _ => return,
            }
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a sequence sets a colour, and not bold, underlined or reversed letters alone.
fn has_colour(text: &str) -> bool {
    text.split("\u{1b}[").skip(1).any(|rest| {
        let Some((codes, _)) = rest.split_once('m') else {
            return false;
        };
        let mut codes = codes.split(';').map(|code| code.parse().unwrap_or(0));
        codes.any(|code: u32| matches!(code, 30..=38 | 40..=48 | 90..=97 | 100..=107))
    })
}

/// What each command shows in an environment.
fn shown(home: &Home, name: &str, args: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = command(home, name, args);
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
        command.env_remove(variable);
    }
    command.env("TERM", "xterm");
    command.envs(environment.iter().copied());
    let is_enough = |text: &str| text.contains("EVENTS") || text.contains("coordinates");
    Shown::begin(&mut command).until(is_enough)
}

const PLAIN: [&[(&str, &str)]; 2] = [&[("NO_COLOR", "1")], &[("TERM", "dumb")]];
const COLOURED: [&[(&str, &str)]; 2] = [&[], &[("NO_COLOR", "")]];

#[test]
fn commands_have_no_colour_where_none_is_wanted() {
    let cluster = Cluster::start(&["--nodes", "2"]);
    let mut coloured = 0;
    for (name, args) in [
        ("status", &[][..]),
        ("timeline", &[]),
        ("top", &[]),
        ("up", &["--help"]),
        ("up", &["--delay=fast"]),
    ] {
        for environment in PLAIN {
            let text = shown(&cluster.home, name, args, environment);
            assert!(!text.is_empty());
            assert!(!has_colour(&text), "{name} {environment:?}: {text:?}");
        }
        for environment in COLOURED {
            coloured += usize::from(has_colour(&shown(&cluster.home, name, args, environment)));
        }
    }
    assert!(coloured > 0, "no command has colours at all");
}

/// The supervisor's messages, and those of a node, which is not given the whole environment.
#[test]
fn the_log_of_a_service_has_no_escape_where_none_is_wanted() {
    for (environments, expected) in [(PLAIN, false), (COLOURED, true)] {
        for environment in environments {
            let home = Home::new();
            let mut up = home.up();
            for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "CI"] {
                up.env_remove(variable);
            }
            up.args(["--nodes", "2"]).env("TERM", "xterm");
            up.envs(environment.iter().copied());
            let mut terminal = Shown::begin(&mut up);
            // Their texts cannot be written: the coordinator says so.
            let text = terminal.until(|text| text.contains("is coordinator"));
            assert!(text.contains("is coordinator"), "{text}");
            fs::write(home.path().join("part"), "nonsense\n").unwrap();
            fs::rename(home.path().join("part"), home.jobs().join("bad.job")).unwrap();
            let text = terminal.until(|text| text.contains("job bad failed"));
            let lines: Vec<&str> = text.lines().collect();
            let of = |part: &str| *lines.iter().find(|line| line.contains(part)).unwrap();
            for line in [of("is coordinator"), of("job bad failed")] {
                let has_escape = line.contains('\u{1b}');
                assert_eq!(has_escape, expected, "{environment:?}: {line:?}");
            }
        }
    }
}
