//! A reader that takes its time gets all, also of a pipe that does not wait for it.

use std::io::{Read, pipe};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Cluster, PATIENCE, bullpen, command, eventually, run, slow, stdout};
use laboratory::processes::state;
use nix::unistd::Pid;

/// Who is asleep at so many looks in a row waits for something that does not come.
const ASLEEP: u32 = 40;

/// Runs a command whose standard output is full, and does not wait, when it begins to print; gives what is
/// read of it in the end.
fn read_slowly(name: &str, command: &mut Command) -> String {
    let (mut reader, writer) = pipe().unwrap();
    let junk = slow::fill(&writer);
    slow::set_nonblocking(&writer, true);
    let mut child = command
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The last writer is the child.
    command.stdout(Stdio::null());
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    let mut looks = 0;
    eventually(PATIENCE, &format!("{name} waits for its reader"), || {
        assert_eq!(child.try_wait().unwrap(), None, "{name} has not waited");
        looks = if state(pid) == Some('S') {
            looks + 1
        } else {
            0
        };
        (looks == ASLEEP).then_some(())
    });
    let mut text = Vec::new();
    reader.read_to_end(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{name}");
    String::from_utf8(text.split_off(junk)).unwrap()
}

#[test]
fn every_command_waits_for_its_reader() {
    let cluster = Cluster::start(&["--trace-operations"]);
    let home = &cluster.home;
    cluster.drop_job("first", "300!\n");
    cluster.await_results("first", PATIENCE);
    let mut compute = bullpen();
    compute.args(["compute", "30000!"]);
    let expected = stdout(&run(&mut compute));
    // More than a pipe holds.
    assert!(expected.len() > 100_000);
    assert_eq!(read_slowly("compute", &mut compute), expected);
    let mut submit = command(home, "submit", &["30000!", "--wait"]);
    assert_eq!(read_slowly("submit --wait", &mut submit), expected);
    let mut submit = command(home, "submit", &["10!", "--name=other"]);
    assert_eq!(read_slowly("submit", &mut submit), "other\n");

    for args in [&["--help"][..], &["up", "--help"], &["--version"]] {
        let mut help = bullpen();
        help.args(args);
        let expected = stdout(&run(&mut help));
        assert_eq!(read_slowly("help", &mut help), expected);
    }
    let mut completions = bullpen();
    completions.args(["completions", "bash"]);
    let expected = stdout(&run(&mut completions));
    assert_eq!(read_slowly("completions", &mut completions), expected);
    for (name, args, begin, end) in [
        ("status", &[][..], "", "\n"),
        ("status", &["--json"], "{", "}\n"),
        ("kill", &["0", "--signal=CONT"], "SIGCONT", "\n"),
        ("timeline", &[], "", "\n"),
        ("metrics", &[], "# HELP", "\n"),
    ] {
        let text = read_slowly(name, &mut command(home, name, args));
        assert!(
            text.starts_with(begin) && text.ends_with(end),
            "{name}: {text}"
        );
        assert!(text.len() > 20, "{name}: {text}");
    }
    let mut experiment = bullpen();
    experiment.args(["experiment", "--rounds=1", "--nodes=3", "--json"]);
    let text = read_slowly("experiment", &mut experiment);
    serde_json::from_str::<serde_json::Value>(&text).unwrap();
}

#[test]
fn lines_of_top_wait_for_their_reader() {
    let cluster = Cluster::start(&["--nodes=3"]);
    let (mut reader, writer) = pipe().unwrap();
    let junk = slow::fill(&writer);
    slow::set_nonblocking(&writer, true);
    let mut top = command(&cluster.home, "top", &[])
        .stdout(writer)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // It looks five times a second.
    let begin = std::time::Instant::now();
    eventually(PATIENCE, "several looks", || {
        assert_eq!(top.try_wait().unwrap(), None, "it waits");
        (begin.elapsed() > Duration::from_secs(1)).then_some(())
    });
    reader.read_exact(&mut vec![0; junk]).unwrap();
    let mut line = [0; 30];
    reader.read_exact(&mut line).unwrap();
    let line = String::from_utf8_lossy(&line).into_owned();
    assert!(line.contains("Z term "), "{line}");
    drop(reader);
    eventually(PATIENCE, "top ends", || top.try_wait().unwrap());
}
