//! Who coordinates, on real processes: starts, deaths, returns, ends.

use std::time::{Duration, Instant};

use crate::harness::{Home, PATIENCE, eventually, is_alive, kill_node};
use crate::trial::Trial;
use laboratory::log::Event;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// For a job that takes a few seconds by itself.
const LONG: Duration = Duration::from_secs(60);
/// A process that is killed while it waits for a slow disk dies when the disk has answered.
const DEATH: Duration = Duration::from_secs(5);
/// The career of node 1 where node 2 comes last and takes over.
const DEPOSED: [&str; 4] = ["election_won", "acting", "stepped_down", "following 2"];

#[test]
fn all_nodes_start_together_and_the_highest_wins_the_one_election() {
    let trial = Trial::start(&[]);
    trial.drop_job("ten", "10!\n");
    trial.settle(PATIENCE);
    let log = trial.log();
    let winners: Vec<u64> = log.named("election_won").map(Event::node).collect();
    assert_eq!(winners.last(), Some(&5));
    let said = ["acting", "following"].map(|name| log.named(name).count());
    let what = format!("{winners:?} won, {said:?} acted and followed");
    trial.assert_unless_held_up(winners == [5] && said == [1, 5], what);
    trial.conclude();
}

/// Starts three nodes of which the highest comes up when a job is already under way.
fn highest_comes_last(policy: &str) -> Trial {
    let home = Home::new();
    let held_back = home.hold_back(2);
    let args = ["--nodes", "3", "--delay", "2ms", "--preemption", policy];
    let mut trial = Trial::begin(home, &args);
    trial.highest_coordinates = policy != "never";
    trial.await_acting(1);
    trial.drop_job("long", "4000!\n");
    trial.await_job("job_accepted", "long");
    drop(held_back);
    trial
}

/// What one node said about elections and whom it follows, in order.
fn career(trial: &Trial, node: u64) -> Vec<String> {
    let log = trial.log();
    let own = log.events.iter().filter(|event| event.node() == node);
    own.filter_map(|event| match event.name() {
        "following" => Some(format!("following {}", event.number("coordinator"))),
        name @ ("election_won" | "acting" | "stepped_down") => Some(name.to_owned()),
        _ => None,
    })
    .collect()
}

/// A node has said this about elections and whom it follows, and no more: but for what it says on
/// a busy machine.
fn assert_career(trial: &Trial, node: u64, expected: &[&str]) {
    let career = career(trial, node);
    let what = format!("node {node}: {career:?}, not {expected:?}");
    let expected = expected.iter().map(|&step| step.to_owned());
    trial.assert_unless_held_up(career == expected.collect::<Vec<_>>(), what);
}

/// The highest took over while the job was under way.
fn assert_in_mid_job(trial: &Trial) {
    let log = trial.log();
    let acting = log.named("acting").find(|event| event.node() == 2);
    let done = log.named("job_done").next().unwrap();
    assert!(acting.unwrap().at() < done.at());
}

#[test]
fn the_highest_comes_last_and_joins_before_it_takes_over() {
    let trial = highest_comes_last("graceful");
    trial.settle(LONG);
    assert_career(&trial, 2, &["following 1", "election_won", "acting"]);
    assert_career(&trial, 1, &DEPOSED);
    assert_in_mid_job(&trial);
    trial.conclude();
}

#[test]
fn the_highest_comes_last_and_takes_over_at_once() {
    let trial = highest_comes_last("immediate");
    trial.settle(LONG);
    // The supervisor's start signal and the first heartbeat of a peer are in a race.
    let heard_first = career(&trial, 2)
        .first()
        .is_some_and(|step| step == "following 1");
    let expected = ["following 1", "election_won", "acting"];
    assert_career(&trial, 2, &expected[usize::from(!heard_first)..]);
    assert_career(&trial, 1, &DEPOSED);
    assert_in_mid_job(&trial);
    trial.conclude();
}

#[test]
fn the_highest_comes_last_and_stays_a_worker() {
    let trial = highest_comes_last("never");
    trial.settle(LONG);
    assert_career(&trial, 2, &["following 1"]);
    assert_career(&trial, 1, &["election_won", "acting"]);
    // It works, too.
    let log = trial.log();
    assert!(log.named("completed").any(|event| event.node() == 2));
    trial.conclude();
}

#[test]
fn the_last_node_waits_computes_nothing_and_goes_on_when_one_returns() {
    let trial = Trial::start(&["--nodes", "3", "--delay", "5ms"]);
    trial.drop_job("long", "2000!\n");
    trial.await_event("the job is under way", |event| {
        event.name() == "checkpointed"
    });
    let held_back = [trial.home.hold_back(1), trial.home.hold_back(2)];
    for name in ["worker-1", "coordinator-2"] {
        kill_node(trial.node_named(name));
    }
    trial.await_acting(0);
    trial.drop_job("none", "0!\n");
    trial.await_job("job_accepted", "none");
    let (completed, computing) = (trial.count("completed"), trial.count("computing"));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(trial.count("completed"), completed);
    assert_eq!(trial.count("computing"), computing);
    assert_eq!(trial.count("job_done"), 0);
    drop(held_back);
    assert_eq!(trial.await_results("none", PATIENCE), "0!=1\n");
    trial.await_results("long", LONG);
    trial.conclude();
}

#[test]
fn all_nodes_die_at_once_and_take_their_jobs_from_the_directory() {
    let trial = Trial::start(&["--nodes", "4", "--delay", "2ms"]);
    trial.drop_job("ten", "10!\n");
    trial.await_results("ten", PATIENCE);
    for (name, text) in [("long", "3000!\n"), ("more", "1000!\n10!\n0!\n")] {
        trial.drop_job(name, text);
        trial.await_job("job_accepted", name);
    }
    trial.await_event("the jobs are under way", |event| {
        event.name() == "checkpointed" && event.op().is_some_and(|op| op.n >= 1_000)
    });
    let nodes = trial.nodes();
    assert_eq!(nodes.len(), 4);
    for (_, pid) in &nodes {
        kill_node(*pid);
    }
    trial.await_results("long", LONG);
    trial.await_results("more", LONG);
    assert_eq!(trial.count("node_exited"), 4);
    let published = trial.events_named("result_published");
    assert_eq!(published.len(), 3, "{published:?}");
    trial.conclude();
}

#[test]
fn without_a_worker_the_coordinator_computes_not_even_the_empty_product() {
    let trial = Trial::start(&["--nodes", "2"]);
    let held_back = trial.home.hold_back(0);
    kill_node(trial.node_named("worker-0"));
    waits_for_a_worker(&trial);
    drop(held_back);
    assert_eq!(trial.await_results("none", PATIENCE), "0!=1\n");
    trial.conclude();
}

#[test]
fn with_a_stopped_worker_the_coordinator_computes_nothing_either() {
    let trial = Trial::start(&["--nodes", "2"]);
    let worker = trial.node_named("worker-0");
    kill(worker, Signal::SIGSTOP).unwrap();
    trial.await_event("the worker stops", |event| event.name() == "node_stopped");
    waits_for_a_worker(&trial);
    kill(worker, Signal::SIGCONT).unwrap();
    assert_eq!(trial.await_results("none", PATIENCE), "0!=1\n");
    assert_eq!(trial.count("node_exited"), 0);
    trial.conclude();
}

/// Asks for `0!` and sees that for a second nobody computes it.
fn waits_for_a_worker(trial: &Trial) {
    trial.drop_job("none", "0!\n");
    trial.await_job("job_accepted", "none");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(trial.count("computing"), 0);
    assert!(!trial.home.jobs().join("done/none.job").exists());
}

#[test]
fn a_killed_supervisor_leaves_no_node_and_the_next_one_finishes_its_jobs() {
    // It would take this one seven seconds; the next one knows no delay.
    let trial = Trial::start(&["--nodes", "4", "--delay", "20ms"]);
    trial.drop_job("long", "3000!\n");
    trial.await_event("the job is under way", |event| {
        event.name() == "checkpointed"
    });
    let nodes: Vec<Pid> = trial.nodes().into_iter().map(|(_, pid)| pid).collect();
    assert_eq!(nodes.len(), 4);
    let mut cluster = trial.cluster;
    cluster.signal(Signal::SIGKILL);
    cluster.await_exit(PATIENCE);
    eventually(DEATH, "the nodes end", || {
        let left = nodes.iter().any(|&pid| is_alive(pid));
        (!left).then_some(())
    });
    assert!(cluster.home.jobs().join("running/long.job").exists());
    assert_eq!(cluster.events_named("result_published").len(), 0);
    // Its sockets are left.
    assert!(cluster.home.run_dir().join("node-3.sock").exists());

    cluster.start_again(&["--nodes", "4", "--trace-operations"]);
    let trial = Trial::of(cluster);
    trial.await_results("long", LONG);
    trial.conclude();
}

#[test]
fn a_killed_supervisor_takes_stopped_nodes_with_it() {
    let trial = Trial::start(&["--nodes", "3"]);
    kill(trial.node_named("worker-0"), Signal::SIGSTOP).unwrap();
    trial.await_event("the worker stops", |event| event.name() == "node_stopped");
    trial.settle(PATIENCE);
    trial.conclude_with(Signal::SIGKILL);
}

#[test]
fn a_stopped_node_does_not_hold_up_the_end() {
    for stopped in ["worker-1", "coordinator-2"] {
        let trial = Trial::start(&["--nodes", "3"]);
        trial.drop_job("ten", "10!\n");
        trial.await_results("ten", PATIENCE);
        kill(trial.node_named(stopped), Signal::SIGSTOP).unwrap();
        trial.await_event("it stops", |event| event.name() == "node_stopped");
        trial.settle(PATIENCE);
        let asked = Instant::now();
        trial.conclude_with(Signal::SIGTERM);
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(6), "{stopped}: {took:?}");
    }
}

#[test]
fn all_nodes_stopped_do_not_hold_up_the_end() {
    let mut trial = Trial::start(&["--nodes", "3"]);
    let nodes = trial.nodes();
    for (_, pid) in &nodes {
        kill(*pid, Signal::SIGSTOP).unwrap();
    }
    eventually(PATIENCE, "all are stopped", || {
        (trial.count("node_stopped") == 3).then_some(())
    });
    trial.signal(Signal::SIGTERM);
    let status = trial.cluster.await_exit(Duration::from_secs(6));
    assert_eq!(status.code(), Some(0));
    assert!(!nodes.into_iter().any(|(_, pid)| is_alive(pid)));
}
