//! A limit on the size of files (`ulimit -f`) is an error of the call that meets it, and ends no process.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use crate::harness::{self, Cluster, Home, PATIENCE, bullpen, eventually, run, stderr, stdout};
use nix::sys::signal::Signal;

/// More than a small text, and less than a large one, an event log or messages may come to.
const LIMIT: u64 = 64 << 10;

fn limited(command: &mut Command, limit: u64) -> &mut Command {
    let set = move || {
        let limit = libc::rlimit {
            rlim_cur: limit,
            rlim_max: limit,
        };
        // SAFETY: `limit` is valid for reads for the whole call.
        match unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure makes a system call alone, and allocates nothing.
    unsafe { command.pre_exec(set) }
}

fn start(limit: u64) -> Cluster {
    let home = Home::new();
    let mut up = home.up();
    up.arg("--trace-operations");
    let cluster = home.launch(limited(&mut up, limit));
    cluster.node_named("coordinator-");
    cluster
}

#[test]
fn a_text_that_is_too_large_fails_its_job_alone_and_leaves_nothing() {
    let mut cluster = start(LIMIT);
    let nodes = cluster.nodes();
    let jobs = cluster.home.jobs();
    // Its events alone are more than the log may hold.
    cluster.drop_job("large", "30000!\n");
    let reasons = eventually(PATIENCE, "it fails", || {
        fs::read_to_string(jobs.join("failed/large.txt")).ok()
    });
    assert!(reasons.contains("File too large"), "{reasons}");
    let log = cluster.home.run_dir().join("events.jsonl");
    eventually(PATIENCE, "the log is full", || {
        cluster.drop_job("more", "2000!\n");
        (fs::metadata(&log).unwrap().len() >= LIMIT).then_some(())
    });
    cluster.drop_job("ten", "10!\n");
    assert_eq!(cluster.await_results("ten", PATIENCE), "10!=3628800\n");
    eventually(PATIENCE, "nothing is left", || {
        fs::read_dir(jobs.join("running"))
            .unwrap()
            .next()
            .is_none()
            .then_some(())
    });
    assert_eq!(cluster.nodes(), nodes, "none has died");
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.await_exit(Duration::from_secs(8)).code(), Some(0));
}

#[test]
fn messages_and_events_that_find_no_room_stop_nothing() {
    // What is said at the start is longer.
    let mut cluster = start(64);
    assert_eq!(
        fs::metadata(cluster.home.path().join("stderr"))
            .unwrap()
            .len(),
        64
    );
    let coordinator = cluster.node_named("coordinator-");
    harness::kill_node(coordinator);
    eventually(PATIENCE, "it is replaced and comes back", || {
        let next = cluster
            .find_node("coordinator-")
            .filter(|pid| *pid != coordinator);
        next.filter(|_| cluster.nodes().len() == 6)
    });
    cluster.drop_job("ten", "10!\n");
    assert_eq!(cluster.await_results("ten", PATIENCE), "10!=3628800\n");
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.await_exit(Duration::from_secs(8)).code(), Some(0));
}

#[test]
fn compute_tells_that_its_results_are_too_large() {
    let home = Home::new();
    let compute = |limit| {
        let mut command = bullpen();
        command
            .args(["compute", "30000!"])
            .env("TMPDIR", home.path());
        run(limited(&mut command, limit))
    };
    let output = compute(LIMIT);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("File too large"),
        "{}",
        stderr(&output)
    );
    assert_eq!(stdout(&output), "");
    assert!(fs::read_dir(home.path()).unwrap().next().is_none());
    assert_eq!(compute(1 << 20).status.code(), Some(0));
}
