//! The supervisor, on real processes: what dies comes back, what stops is noted, nothing is left.

use std::fs;
use std::time::Duration;

use crate::harness::{Cluster, Home, PATIENCE, children, eventually, is_alive, kill_node};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

fn of(pid: Pid) -> impl Fn(&Value) -> bool {
    move |event| event["pid"] == pid.as_raw()
}

#[test]
fn a_killed_node_comes_back_with_a_new_incarnation() {
    let cluster = Cluster::start(&[]);
    let worker = cluster.node_named("worker-2");
    kill_node(worker);
    let successor = eventually(PATIENCE, "worker-2 is back", || {
        cluster.find_node("worker-2").filter(|pid| *pid != worker)
    });

    // It has its name before its start is on record.
    let spawned = eventually(PATIENCE, "its start is on record", || {
        let spawned = cluster.events_named("node_spawned");
        (spawned.len() > 6).then_some(spawned)
    });
    assert_eq!(spawned.len(), 7);
    for (index, event) in spawned.iter().enumerate() {
        assert_eq!(event["incarnation"], index + 1, "{event}");
    }
    assert!(of(successor)(&spawned[6]));
    assert_eq!(spawned[6]["node"], 2);
    let exited = cluster.events_named("node_exited");
    assert_eq!(exited.len(), 1);
    assert_eq!(exited[0]["signal"], "SIGKILL");
    assert_eq!(exited[0]["incarnation"], 3);
}

#[test]
fn a_node_that_keeps_dying_is_started_again_and_again_but_not_in_a_hurry() {
    const DEATHS: usize = 7;
    let cluster = Cluster::start(&[]);
    let mut last = None;
    for _ in 0..DEATHS {
        let worker = eventually(PATIENCE, "worker-1 is back", || {
            cluster
                .find_node("worker-1")
                .filter(|pid| Some(*pid) != last)
        });
        kill_node(worker);
        last = Some(worker);
    }
    let times = |name| -> Vec<u64> {
        let events = cluster.events_named(name);
        events
            .iter()
            .filter(|event| event["node"] == 1)
            .map(|event| event["mono_ns"].as_u64().unwrap())
            .collect()
    };
    let spawned = eventually(PATIENCE, "the last start is on record", || {
        Some(times("node_spawned")).filter(|spawned| spawned.len() >= DEATHS)
    });
    let waits: Vec<u64> = times("node_exited")
        .iter()
        .zip(&spawned[1..])
        .map(|(exited, spawned)| (spawned - exited) / 1_000_000)
        .collect();
    // By the clock of a busy machine it may be later.
    let said = cluster.stderr();
    let first = said.lines().find(|line| line.contains("node 1 (pid "));
    assert!(
        first.is_some_and(|line| line.ends_with("it is started again at once")),
        "{said}"
    );
    assert!(waits[0] < 1_000, "the first restart is at once: {waits:?}");
    // 160 ms before jitter.
    assert!(waits[5] >= 120, "the sixth waits: {waits:?}");
}

#[test]
fn stops_are_noted_and_are_no_deaths() {
    let cluster = Cluster::start(&[]);
    let worker = cluster.node_named("worker-0");
    for (signal, event) in [
        (Signal::SIGSTOP, "node_stopped"),
        (Signal::SIGCONT, "node_continued"),
    ] {
        kill(worker, signal).unwrap();
        eventually(PATIENCE, event, || {
            cluster
                .events_named(event)
                .iter()
                .find(|e| of(worker)(e))
                .cloned()
        });
    }
    assert!(is_alive(worker));
    assert_eq!(cluster.events_named("node_exited").len(), 0);
}

#[test]
fn a_dead_node_does_not_stay_a_zombie() {
    let cluster = Cluster::start(&[]);
    let worker = cluster.node_named("worker-3");
    kill_node(worker);
    // Killed while it waits for a slow disk, it dies when the disk has answered.
    eventually(Duration::from_secs(5), "it is reaped", || {
        (!children(cluster.pid()).contains(&worker)).then_some(())
    });
}

#[test]
fn a_second_signal_skips_the_grace() {
    let mut cluster = Cluster::start(&["--delay", "10s"]);
    cluster.drop_job("slow", "1000!\n");
    cluster.signal(Signal::SIGTERM);
    cluster.signal(Signal::SIGINT);
    let status = cluster.await_exit(Duration::from_secs(4));
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_event_log_of_an_earlier_run_is_moved_aside() {
    let home = Home::new();
    fs::create_dir(home.run_dir()).unwrap();
    fs::write(home.run_dir().join("events.jsonl"), "old\n").unwrap();
    let cluster = home.start(&[]);
    cluster.await_coordinator();
    assert!(cluster.events().iter().all(|event| event["ts"].is_string()));
    let old = fs::read_to_string(cluster.home.run_dir().join("events.jsonl.1")).unwrap();
    assert_eq!(old, "old\n");
}

#[test]
fn an_unread_standard_error_stops_nothing() {
    use std::process::Stdio;
    let home = Home::new();
    let mut supervisor = home
        .up()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its reader leaves before anything is said.
    drop(supervisor.stderr.take());
    let pid = Pid::from_raw(i32::try_from(supervisor.id()).unwrap());
    // And what watches the jobs directory.
    let nodes = eventually(PATIENCE, "six nodes run", || {
        Some(children(pid)).filter(|nodes| nodes.len() == 7)
    });
    kill_node(nodes[0]);
    eventually(PATIENCE, "the first node is replaced", || {
        let now = children(pid);
        (now.len() == 7 && !now.contains(&nodes[0])).then_some(())
    });
    kill(pid, Signal::SIGTERM).unwrap();
    let status = eventually(PATIENCE, "the supervisor ends", || {
        supervisor.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(0));
}
