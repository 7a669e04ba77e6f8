//! The processes that keep the memory of nodes, so that a node with much of it is dead as soon as one
//! with little.

use crate::harness::{
    Cluster, PATIENCE, children, eventually, is_alive, kill_node, open_files, process_name,
};
use laboratory::processes::usage;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The keeper of a node, once it has its name.
fn keeper_of(node: Pid) -> Pid {
    eventually(PATIENCE, "the node has a keeper", || {
        let mut keepers = children(node).into_iter();
        keepers.find(|&pid| process_name(pid).is_some_and(|name| name.starts_with("keeper-")))
    })
}

#[test]
fn a_node_is_dead_before_its_memory_is_freed() {
    let cluster = Cluster::start(&[]);
    let worker = cluster.node_named("worker-3");
    let keeper = keeper_of(worker);
    // It frees nothing while it is stopped.
    kill(keeper, Signal::SIGSTOP).unwrap();
    kill_node(worker);
    eventually(
        PATIENCE,
        "the node is dead, and another in its place",
        || {
            let next = cluster.find_node("worker-3");
            next.filter(|&next| next != worker && !children(cluster.pid()).contains(&worker))
        },
    );
    let known = |event: &serde_json::Value| event["node"] == 4 && event["peer"] == 3;
    eventually(PATIENCE, "a peer knows it", || {
        cluster.events_named("peer_down").into_iter().find(known)
    });
    assert!(is_alive(keeper));
    let memory = usage(keeper).unwrap().resident_bytes;
    assert!(memory > 1_000_000, "it has what the node had");
    kill(keeper, Signal::SIGCONT).unwrap();
    eventually(PATIENCE, "the keeper ends", || {
        (!is_alive(keeper)).then_some(())
    });
}

#[test]
fn a_keeper_has_nothing_open_but_its_pipe() {
    let cluster = Cluster::start(&[]);
    for (name, node) in cluster.nodes() {
        let keeper = keeper_of(node);
        let files = open_files(keeper);
        let [(_, file)] = &files[..] else {
            panic!("the keeper of {name}: {files:?}");
        };
        assert!(file.to_str().unwrap().starts_with("pipe:"), "{file:?}");
    }
}

#[test]
fn a_node_does_without_its_keeper() {
    let cluster = Cluster::start(&[]);
    for (_, node) in cluster.nodes() {
        kill_node(keeper_of(node));
        eventually(PATIENCE, "nothing is left of its keeper", || {
            children(node).is_empty().then_some(())
        });
    }
    cluster.drop_job("ten", "10!\n");
    assert_eq!(cluster.await_results("ten", PATIENCE), "10!=3628800\n");
    assert!(cluster.events_named("node_exited").is_empty());
}

#[test]
fn keepers_end_with_a_cluster() {
    let mut cluster = Cluster::start(&[]);
    let nodes = cluster.nodes();
    let keepers: Vec<Pid> = nodes.iter().map(|&(_, node)| keeper_of(node)).collect();
    kill(keepers[0], Signal::SIGSTOP).unwrap();
    cluster.signal(Signal::SIGTERM);
    assert!(cluster.await_exit(PATIENCE).success());
    assert!(keepers.iter().all(|&pid| !is_alive(pid)), "none is left");
}
