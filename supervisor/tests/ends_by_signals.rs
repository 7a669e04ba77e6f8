//! What would end a process by default ends it in good order, from its first moment on.

use std::fs;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::harness::terminal::Terminal;
use crate::harness::{self, Cluster, Home, PATIENCE, bullpen, children, eventually, is_alive};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, pthread_sigmask};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;

/// The grace, and time for a busy machine.
const END_WITHIN: Duration = Duration::from_secs(8);
/// What people and their terminals send to end a process.
const ASKING: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// A started command; killed when dropped.
struct Started(Child);

impl Started {
    fn new(command: &mut Command) -> Started {
        Started(command.spawn().unwrap())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().try_into().unwrap())
    }

    fn await_end(&mut self, what: &str) -> ExitStatus {
        eventually(END_WITHIN, what, || self.0.try_wait().unwrap())
    }
}

/// Whether a process has a handler for the signal.
fn catches(pid: Pid, signal: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    (caught.unwrap_or(0) >> (signal - 1)) & 1 == 1
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal that may have no name.
fn send(pid: Pid, signal: i32) {
    // SAFETY: takes numbers only.
    assert_eq!(unsafe { libc::kill(pid.as_raw(), signal) }, 0);
}

/// Those that end a process by default and that it may catch, but for those that tell of a fault.
fn ending() -> Vec<i32> {
    use libc::*;
    let named = [
        SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGSTKFLT, SIGXCPU, SIGVTALRM,
        SIGPROF, SIGIO, SIGPWR,
    ];
    named.into_iter().chain(SIGRTMIN()..=SIGRTMAX()).collect()
}

/// A `compute` that takes its time, with a folder for its private ones.
fn long_compute(folder: &Path) -> Command {
    let mut command = bullpen();
    command.args(["compute", "3000!", "--delay=50ms"]);
    command.env("TMPDIR", folder);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn await_nodes(parent: Pid) -> Vec<Pid> {
    eventually(PATIENCE, "six nodes", || {
        let nodes = children(parent);
        (nodes.len() >= 6).then_some(nodes)
    })
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn each_signal_that_would_end_a_command_leaves_nothing_of_it() {
    let home = Home::new();
    let all = ending();
    // Some at a time, so that the machine has time for each.
    for some in all.chunks(4) {
        let started: Vec<(i32, std::path::PathBuf, Started)> = some
            .iter()
            .map(|&signal| {
                let folder = home.path().join(format!("for-{signal}"));
                fs::create_dir(&folder).unwrap();
                let started = Started::new(&mut long_compute(&folder));
                (signal, folder, started)
            })
            .collect();
        for (signal, folder, mut command) in started {
            let nodes = await_nodes(command.pid());
            send(command.pid(), signal);
            let ended = command.await_end(&format!("it ends by {signal}"));
            assert_eq!(ended.code(), Some(130), "{signal}: {ended}");
            assert!(is_empty(&folder), "{signal} leaves something");
            assert!(nodes.into_iter().all(|pid| !is_alive(pid)), "{signal}");
        }
    }
}

#[test]
fn a_service_ends_in_good_order_by_any_of_them() {
    for signal in [
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGALRM,
        libc::SIGRTMAX(),
    ] {
        let mut cluster = Cluster::start(&["--nodes=3"]);
        send(cluster.pid(), signal);
        assert_eq!(cluster.await_exit(END_WITHIN).code(), Some(0), "{signal}");
    }
}

#[test]
fn an_experiment_leaves_nothing_either() {
    let home = Home::new();
    for signal in [Signal::SIGQUIT, Signal::SIGUSR2] {
        let mut command = bullpen();
        command.args(["experiment", "--rounds=1000", "--nodes=3"]);
        command.env("TMPDIR", home.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut started = Started::new(&mut command);
        let up = eventually(PATIENCE, "its cluster", || {
            children(started.pid()).first().copied()
        });
        eventually(PATIENCE, "its nodes", || {
            (children(up).len() >= 3).then_some(())
        });
        kill(started.pid(), signal).unwrap();
        let ended = started.await_end("the experiment ends");
        assert_eq!(ended.code(), Some(130), "{signal}: {ended}");
        assert!(is_empty(home.path()), "{signal} leaves something");
    }
}

#[test]
fn a_terminal_is_as_it_was_whatever_ends_top() {
    let home = Home::new();
    for signal in [
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGALRM,
        libc::SIGRTMIN(),
    ] {
        let mut terminal = Terminal::new();
        terminal.set_size(24, 80);
        let mut command = harness::command(&home, "top", &[]);
        command.env("TERM", "xterm").stdin(terminal.stream());
        command.stdout(terminal.stream()).stderr(terminal.stream());
        let mut top = Started::new(&mut command);
        let is_raw = |terminal: &Terminal| {
            let modes = tcgetattr(&terminal.programs).unwrap().local_flags;
            !modes.contains(LocalFlags::ICANON | LocalFlags::ECHO)
        };
        eventually(PATIENCE, "the page", || {
            (is_raw(&terminal) && terminal.shown().contains("quit")).then_some(())
        });
        send(top.pid(), signal);
        let ended = top.await_end("top ends");
        assert_eq!(ended.code(), Some(0), "{signal}: {ended}");
        assert!(!is_raw(&terminal), "{signal} leaves the terminal raw");
    }
}

#[test]
fn what_was_ignored_at_the_start_stays_ignored() {
    let home = Home::new();
    let ignored = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGUSR1];
    let mut command = long_compute(home.path());
    // SAFETY: the closure makes system calls alone, and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            for signal in ignored {
                libc::signal(signal, libc::SIG_IGN);
            }
            Ok(())
        });
    }
    let mut started = Started::new(&mut command);
    let nodes = await_nodes(started.pid());
    for signal in ignored {
        send(started.pid(), signal);
    }
    // One after the other: whatever it would do at one of them, it would have done it by then.
    kill(nodes[0], Signal::SIGKILL).unwrap();
    eventually(PATIENCE, "it goes on to start nodes", || {
        let now = children(started.pid());
        (now.len() >= 6 && !now.contains(&nodes[0])).then_some(())
    });
    assert!(started.0.try_wait().unwrap().is_none());
    kill(started.pid(), Signal::SIGTERM).unwrap();
    assert_eq!(started.await_end("it ends").code(), Some(130));
}

#[test]
fn handlers_are_there_before_anything_else_is_done() {
    // The arguments take long to read, and then they are refused.
    let many = vec!["--accept=x"; 50_000];
    let commands: [(&str, &[&str]); 3] = [
        ("up", &many),
        ("compute", &["1"; 50_000]),
        ("submit", &["1"; 50_000]),
    ];
    for (name, args) in commands {
        let mut command = bullpen();
        command
            .arg(name)
            .args(args)
            .args(["--wait", "--nodes=none"]);
        command.stderr(Stdio::null());
        let mut started = Started::new(&mut command);
        eventually(PATIENCE, "a handler", || {
            let ended = started.0.try_wait().unwrap();
            assert_eq!(ended, None, "{name} has read its arguments first");
            catches(started.pid(), libc::SIGTERM).then_some(())
        });
        assert_eq!(started.await_end("they are refused").code(), Some(2));
    }
}

/// Starts it with every signal blocked.
fn block_all(command: &mut Command) -> &mut Command {
    let block = || {
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)
            .map_err(io::Error::from)
    };
    // SAFETY: the closure makes a system call alone, and allocates nothing.
    unsafe { command.pre_exec(block) }
}

/// Every command that goes on until it is ended. The cluster is that of `home`, if there is one.
fn lasting(home: &Home) -> Vec<(&'static str, Command)> {
    let mut up = Home::new().up();
    up.arg("--nodes=3");
    let mut compute = bullpen();
    compute.args(["compute", "3000!", "--delay=50ms"]);
    let mut experiment = bullpen();
    experiment.args(["experiment", "--rounds=1000", "--nodes=3"]);
    let mut top = harness::command(home, "top", &[]);
    top.env("TERM", "dumb");
    let metrics = harness::command(home, "metrics", &["--listen=127.0.0.1:0"]);
    fs::create_dir_all(home.jobs()).unwrap();
    let submit = harness::command(home, "submit", &["10!", "--wait"]);
    vec![
        ("up", up),
        ("compute", compute),
        ("experiment", experiment),
        ("top", top),
        ("metrics", metrics),
        ("submit", submit),
    ]
}

#[test]
fn a_command_that_was_started_with_signals_blocked_can_be_ended() {
    let home = Home::new();
    for (name, mut command) in lasting(&home) {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut started = Started::new(block_all(&mut command));
        // It may come at any time: it waits as long as it is blocked.
        kill(started.pid(), Signal::SIGTERM).unwrap();
        let ended = started.await_end(&format!("{name} ends"));
        assert!(matches!(ended.code(), Some(0 | 130)), "{name}: {ended}");
    }
    // Those that end by themselves, too: here it waits for a pipe to be read.
    let (_reader, writer) = io::pipe().unwrap();
    harness::slow::fill(&writer);
    let mut completions = bullpen();
    completions.args(["completions", "bash"]).stdout(writer);
    let mut started = Started::new(block_all(&mut completions));
    kill(started.pid(), Signal::SIGTERM).unwrap();
    let ended = started.await_end("completions ends");
    assert_eq!(ended.signal(), Some(libc::SIGTERM), "{ended}");
}

/// Makes the command process 1 of a PID namespace; none where that is not allowed.
fn as_process_1(command: &Command) -> Option<Command> {
    let mut isolated = Command::new("unshare");
    isolated.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    let allowed = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "--mount-proc", "true"])
        .output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: no PID namespace can be had here");
        return None;
    }
    isolated.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => isolated.env(name, value),
            None => isolated.env_remove(name),
        };
    }
    harness::heed_signals(&mut isolated)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Some(isolated)
}

#[test]
fn as_process_1_each_command_ends_by_what_asks_it_to_and_by_nothing_else() {
    let home = Home::new();
    for (name, command) in lasting(&home) {
        let Some(mut command) = as_process_1(&command) else {
            return;
        };
        let mut outside = Started::new(&mut command);
        let pid = eventually(PATIENCE, "process 1", || {
            children(outside.pid()).first().copied()
        });
        eventually(PATIENCE, "its handlers", || {
            ASKING
                .iter()
                .all(|&signal| catches(pid, signal))
                .then_some(())
        });
        for signal in ending() {
            if !ASKING.contains(&signal) {
                assert!(!catches(pid, signal), "{name} acts on {signal}");
                send(pid, signal);
            }
        }
        kill(pid, Signal::SIGQUIT).unwrap();
        let ended = outside.await_end(&format!("{name} ends"));
        assert!(matches!(ended.code(), Some(0 | 130)), "{name}: {ended}");
    }
}
