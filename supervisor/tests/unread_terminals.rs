//! A terminal that nobody reads, as behind a stalled connection or a Ctrl-S, and what else standard error
//! can be: it holds up nothing.

use std::fs::{self, Permissions};
use std::io::{PipeReader, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::harness::terminal::Terminal;
use crate::harness::{
    Cluster, Home, PATIENCE, bullpen, copy_of_the_binary, eventually, kill_node, stderr,
};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

/// Deaths that are told of: more than find room.
const DEATHS: usize = 40;
/// The grace, and time for a busy machine.
const END_WITHIN: Duration = Duration::from_secs(7);
/// A user without rights.
const NOBODY: u32 = 65_534;

/// Kills nodes until there is much to tell; all are started again, and SIGTERM ends the cluster.
fn assert_unhindered(mut cluster: Cluster) {
    eventually(PATIENCE, "six nodes", || {
        (cluster.nodes().len() == 6).then_some(())
    });
    let mut killed = Vec::new();
    eventually(Duration::from_secs(60), "all that die come back", || {
        for (_, pid) in cluster.nodes() {
            if !killed.contains(&pid) {
                kill_node(pid);
                killed.push(pid);
            }
        }
        (killed.len() >= DEATHS).then_some(())
    });
    eventually(PATIENCE, "the last ones come back", || {
        (cluster.nodes().len() == 6).then_some(())
    });
    cluster.signal(Signal::SIGTERM);
    let ended = cluster.await_exit(END_WITHIN);
    assert_eq!(ended.code(), Some(0));
}

#[test]
fn a_terminal_that_nobody_reads_holds_up_no_service() {
    let terminal = Terminal::nearly_full();
    let home = Home::new();
    let mut up = home.up();
    assert_unhindered(home.launch_telling(&mut up, terminal.stream()));
}

#[test]
fn a_terminal_that_may_not_be_opened_again_holds_up_no_service() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root has a terminal that another user may not open");
        return;
    }
    let terminal = Terminal::nearly_full();
    fs::set_permissions(terminal.path(), Permissions::from_mode(0o600)).unwrap();
    let home = Home::new();
    copy_of_the_binary(home.path());
    std::os::unix::fs::chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    let mut up = Command::new(home.path().join("bullpen"));
    up.env_clear().uid(NOBODY).gid(NOBODY).stdin(Stdio::null());
    up.args(home.up().get_args());
    assert_unhindered(home.launch_telling(&mut up, terminal.stream()));
}

#[test]
fn a_pipe_and_a_socket_that_nobody_reads_hold_up_no_service() {
    let (_reader, writer) = pipe().unwrap();
    let home = Home::new();
    let mut up = home.up();
    assert_unhindered(home.launch_telling(&mut up, nearly_full(writer.into())));

    let (_reader, writer) = UnixStream::pair().unwrap();
    let home = Home::new();
    let mut up = home.up();
    assert_unhindered(home.launch_telling(&mut up, nearly_full(writer.into())));
}

/// Fills it but for a little.
fn nearly_full(writer: OwnedFd) -> OwnedFd {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(&writer, FcntlArg::F_GETFL).unwrap());
    fcntl(&writer, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).unwrap();
    let mut file = fs::File::from(writer);
    let mut count = 0;
    while let Ok(written) = file.write(&[b'.'; 512]) {
        count += written;
    }
    assert!(count > 0);
    fcntl(&file, FcntlArg::F_SETFL(flags)).unwrap();
    file.into()
}

/// Waits for a command whose standard output nobody else reads.
fn await_end(mut child: Child, deadline: Duration) -> (ExitStatus, String) {
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    let end = Instant::now() + deadline;
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        if Instant::now() >= end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("it has not ended within {deadline:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    (ended, reader.join().unwrap())
}

#[test]
fn a_terminal_that_nobody_reads_holds_up_no_bar() {
    // Every report moves the bar.
    let commands: [(&[&str], &str); 2] = [
        (
            &["compute", "500!", "10!", "--delay=4ms"],
            "\n10!=3628800\n",
        ),
        (
            &["experiment", "--rounds=3", "--n=2000", "--seed=1"],
            "rounds",
        ),
    ];
    for (args, expected) in commands {
        let terminal = Terminal::nearly_full();
        let mut command = bullpen();
        command.args(args);
        command.stdout(Stdio::piped()).stderr(terminal.stream());
        let (ended, text) = await_end(command.spawn().unwrap(), Duration::from_secs(60));
        assert_eq!(ended.code(), Some(0), "{args:?}: {text}");
        assert!(text.contains(expected), "{args:?}: {text}");
    }
}

#[test]
fn a_terminal_that_nobody_reads_holds_up_no_last_words_for_long() {
    let home = Home::new();
    let commands: [&[&str]; 4] = [
        &["status"],
        &["up", "--jobs", "/proc"],
        &["compute", "10!", "--max-n=5"],
        &["submit", "--jobs", "/proc/none", "10!"],
    ];
    for args in commands {
        let mut full = Terminal::full();
        let mut command = bullpen();
        command.args(args).env("BULLPEN_RUN_DIR", home.run_dir());
        command.stdout(Stdio::piped()).stderr(full.stream());
        let (ended, _) = await_end(command.spawn().unwrap(), PATIENCE);
        assert!(matches!(ended.code(), Some(2 | 3)), "{args:?}: {ended}");
        full.shown();
    }
}

#[test]
fn a_bar_is_drawn_where_somebody_looks() {
    let mut terminal = Terminal::new();
    let mut command = bullpen();
    command.args(["compute", "3000!", "--delay=3ms"]);
    command.stdout(Stdio::piped()).stderr(terminal.stream());
    let mut child = command.spawn().unwrap();
    eventually(PATIENCE, "a bar", || {
        terminal.shown().contains(" % of ").then_some(())
    });
    eventually(PATIENCE, "it ends", || {
        terminal.shown();
        child.try_wait().unwrap()
    });
    let shown = terminal.shown();
    assert!(shown.ends_with("\r\x1b[2K"), "it is wiped off: {shown:?}");
    let mut results = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut results).unwrap();
    assert!(results.starts_with("3000!="));
}

/// What a pipe gives that is read at last.
fn rest_of(mut reader: PipeReader) -> String {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn the_description_that_others_share_stays_as_it_was() {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let (reader, writer) = pipe().unwrap();
    let terminal = Terminal::new();
    let ends: [OwnedFd; 2] = [writer.into(), terminal.programs.try_clone().unwrap()];
    for end in ends {
        let mut command = bullpen();
        command.args(["compute", "10!"]).stdout(Stdio::null());
        command.stderr(end.try_clone().unwrap());
        let before = fcntl(&end, FcntlArg::F_GETFL).unwrap();
        let mut child = command.spawn().unwrap();
        eventually(PATIENCE, "it ends", || {
            let now = OFlag::from_bits_retain(fcntl(&end, FcntlArg::F_GETFL).unwrap());
            assert!(!now.contains(OFlag::O_NONBLOCK));
            child.try_wait().unwrap()
        });
        assert_eq!(fcntl(&end, FcntlArg::F_GETFL).unwrap(), before);
    }
    assert_eq!(rest_of(reader), "");
}

#[test]
fn a_file_is_written_on_and_not_from_its_beginning() {
    let home = Home::new();
    let path = home.path().join("messages");
    fs::write(&path, "before\n").unwrap();
    let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let mut command = bullpen();
    command.args(["compute", "10!", "--max-n=5"]).stderr(file);
    assert_eq!(command.status().unwrap().code(), Some(2));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("before\nbullpen: "), "{text}");
    let output = bullpen().args(["compute", "10!", "--max-n=5"]).output();
    assert_eq!(text, format!("before\n{}", stderr(&output.unwrap())));
}
