//! Every signal, sent to nodes: those that end a process end it the first time, and the others do what they do.

use crate::harness::{Cluster, PATIENCE, children, eventually, is_alive, process_name};
use nix::unistd::Pid;
use serde_json::Value;

/// Linux knows signals 1 to 64.
const ALL: std::ops::RangeInclusive<libc::c_int> = 1..=64;
/// What stops a process. A node leads a session of its own, in which a terminal's three do nothing.
const STOPPING: [libc::c_int; 4] = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
/// What does nothing to a node: by default, but for a reader that left, a lease that is broken, and a limit
/// on the size of files, which is an error of a call.
const IGNORED: [libc::c_int; 7] = [
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGURG,
    libc::SIGWINCH,
    libc::SIGPIPE,
    libc::SIGIO,
    libc::SIGXFSZ,
];
/// The two that the C library keeps for itself; nobody can reset them, and `kill -l` has them not.
const OF_THE_C_LIBRARY: [libc::c_int; 2] = [32, 33];
/// As many as there are nodes; a signal goes to one after the other, so that none waits for its restart.
const NODES: u8 = 8;

fn send(pid: Pid, signal: libc::c_int) {
    // SAFETY: takes numbers only, and the process is a node of this test's.
    assert_eq!(unsafe { libc::kill(pid.as_raw(), signal) }, 0, "{signal}");
}

/// The latest life of a node that is ready.
fn await_ready(cluster: &Cluster, id: u8) -> Pid {
    eventually(PATIENCE, &format!("node {id} is ready"), || {
        let events = cluster.events();
        let last = |name: &str| {
            let is_it = |event: &&Value| event["event"] == name && event["node"] == id;
            events.iter().rev().find(is_it)
        };
        let (spawned, started) = (last("node_spawned")?, last("started")?);
        let pid = started["pid"].as_i64()?;
        (spawned["pid"] == pid).then(|| Pid::from_raw(pid.try_into().unwrap()))
    })
}

fn end_of(cluster: &Cluster, pid: Pid, what: &str) -> Value {
    eventually(PATIENCE, what, || {
        let ends = cluster.events_named("node_exited");
        ends.into_iter().find(|end| end["pid"] == pid.as_raw())
    })
}

#[test]
fn one_signal_that_ends_a_process_is_enough_for_a_node() {
    let cluster = Cluster::start(&["--nodes", &NODES.to_string()]);
    let others = [&STOPPING[..], &IGNORED, &OF_THE_C_LIBRARY].concat();
    let ending = ALL.filter(|signal| !others.contains(signal));
    for (signal, id) in ending.zip((0..NODES).cycle()) {
        let pid = await_ready(&cluster, id);
        send(pid, signal);
        let end = end_of(&cluster, pid, &format!("signal {signal} ends node {id}"));
        if signal == libc::SIGTERM {
            assert_eq!(end["code"], 0, "{end}");
        } else {
            assert!(end["signal"].is_string(), "signal {signal}: {end}");
        }
    }
    for id in 0..NODES {
        await_ready(&cluster, id);
    }
}

#[test]
fn a_signal_that_does_not_end_a_process_ends_no_node() {
    let cluster = Cluster::start(&["--nodes", "3"]);
    let pid = await_ready(&cluster, 0);
    for signal in IGNORED.into_iter().chain(STOPPING) {
        if signal != libc::SIGSTOP {
            send(pid, signal);
        }
    }
    // It has seen the others when it has seen this one.
    send(pid, libc::SIGSTOP);
    let seen = |name| {
        let events = cluster.events_named(name);
        events
            .into_iter()
            .find(|event| event["pid"] == pid.as_raw())
    };
    eventually(PATIENCE, "it stops", || seen("node_stopped"));
    send(pid, libc::SIGCONT);
    eventually(PATIENCE, "it continues", || seen("node_continued"));
    assert_eq!(await_ready(&cluster, 0), pid);
    assert_eq!(cluster.events_named("node_stopped").len(), 1);
    assert_eq!(cluster.events_named("node_exited").len(), 0);
}

#[test]
fn one_signal_is_enough_for_what_watches_the_jobs_directory() {
    let cluster = Cluster::start(&["--nodes", "2"]);
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        let watch = || {
            let mut processes = children(cluster.pid()).into_iter();
            processes.find(|&pid| process_name(pid).as_deref() == Some("bullpen-watch"))
        };
        let pid = eventually(PATIENCE, "it watches", watch);
        send(pid, signal);
        eventually(PATIENCE, &format!("signal {signal} ends it"), || {
            (!is_alive(pid)).then_some(())
        });
    }
}
