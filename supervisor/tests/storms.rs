//! Faults one after the other while jobs run: what a verdict is for.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, eventually, kill_node};
use crate::trial::draws::Draws;
use crate::trial::{Trial, now_ns};
use laboratory::log::Event;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// For the jobs to end after the storm.
const LONG: Duration = Duration::from_secs(60);

fn send(pid: Pid, signal: Signal) {
    // It may have ended meanwhile.
    let _ = kill(pid, signal);
}

fn drop_jobs(trial: &Trial) {
    for (name, text) in [
        ("small", "10!\n0!\n1!\n"),
        ("middle", "1000!\n"),
        ("long", "6000!\n"),
        ("bad", "abc\n"),
    ] {
        trial.drop_job(name, text);
    }
    eventually(PATIENCE, "the long job is accepted", || {
        let accepted = trial.events_named("job_accepted");
        accepted
            .iter()
            .any(|event| event["job"] == "long")
            .then_some(())
    });
}

/// Four seconds of kills and stops, at most two nodes at a time.
fn storm(trial: &Trial, seed: u64) {
    let mut draws = Draws(seed);
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        let nodes = trial.nodes();
        if nodes.is_empty() {
            continue;
        }
        let any = |draws: &mut Draws| {
            let index = draws.below(nodes.len() as u64);
            nodes[usize::try_from(index).unwrap()].1
        };
        let coordinator = trial.find_node("coordinator-");
        let victim = match draws.below(2) {
            0 => coordinator.unwrap_or_else(|| any(&mut draws)),
            _ => any(&mut draws),
        };
        match draws.below(3) {
            0 => kill_node(victim),
            1 => {
                kill_node(victim);
                kill_node(any(&mut draws));
            }
            _ => {
                send(victim, Signal::SIGSTOP);
                // Shorter than a suspicion, or longer.
                let pause = 20 + draws.below(800);
                std::thread::sleep(Duration::from_millis(pause));
                send(victim, Signal::SIGCONT);
            }
        }
        std::thread::sleep(Duration::from_millis(draws.below(500)));
    }
}

fn survives(seed: u64, args: &[&str]) {
    let trial = Trial::start(&[args, &["--delay", "3ms"]].concat());
    drop_jobs(&trial);
    storm(&trial, seed);
    trial.settle(LONG);
    assert!(trial.reigns().len() > 1, "it was no storm");
    trial.conclude();
}

#[test]
fn a_storm_of_kills_and_stops() {
    survives(1, &[]);
}

#[test]
fn a_storm_without_hints() {
    survives(2, &["--hints", "off"]);
}

#[test]
fn a_storm_among_textbook_bullies() {
    survives(3, &["--nodes", "4", "--preemption", "immediate"]);
}

#[test]
fn a_storm_that_leaves_few() {
    survives(4, &["--nodes", "3"]);
}

#[test]
#[ignore = "takes minutes"]
fn storms_of_many_seeds() {
    let kinds: [&[&str]; 4] = [
        &[],
        &["--hints", "off"],
        &["--nodes", "4", "--preemption", "immediate"],
        &["--nodes", "3", "--suspect-after", "200ms"],
    ];
    for seed in 100..120 {
        for kind in kinds {
            println!("seed {seed}, {kind:?}");
            survives(seed, kind);
        }
    }
}

#[test]
fn the_two_highest_die_at_once_and_the_third_wins() {
    let trial = Trial::start(&["--delay", "2ms"]);
    drop_jobs(&trial);
    let held_back = [4, 5].map(|id| trial.home.hold_back(id));
    let killed_at = now_ns();
    for name in ["worker-4", "coordinator-5"] {
        kill_node(trial.node_named(name));
    }
    trial.await_acting_after(3, killed_at);
    trial.await_results("long", LONG);
    trial.assert_reigns(&[5, 3]);
    drop(held_back);
    trial.await_return(5);
    trial.conclude();
}

#[test]
fn a_stopped_coordinator_is_replaced_and_obeys_when_it_continues() {
    for hints in ["on", "off"] {
        let trial = Trial::start(&["--delay", "2ms", "--hints", hints]);
        drop_jobs(&trial);
        let first = trial.await_agreement();
        let stopped_at = now_ns();
        send(first, Signal::SIGSTOP);
        trial.await_acting_after(4, stopped_at);
        send(first, Signal::SIGCONT);
        trial.settle(LONG);
        let log = trial.log();
        let is_first = |event: &&Event| event.process() == first;
        let stepped_down = log.named("stepped_down").find(is_first);
        assert!(stepped_down.is_some(), "hints {hints}");
        assert_eq!(log.named("node_exited").count(), 0);
        trial.conclude();
    }
}

#[test]
fn a_short_stop_that_nobody_is_told_of_is_no_death() {
    // Long enough for the pauses that a busy machine adds.
    let trial = Trial::start(&["--hints", "off", "--suspect-after", "10s"]);
    let coordinator = trial.await_agreement();
    let elections = trial.events_named("election_started").len();
    send(coordinator, Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(300));
    send(coordinator, Signal::SIGCONT);
    trial.drop_job("ten", "10!\n");
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    assert_eq!(trial.events_named("election_started").len(), elections);
    trial.conclude();
}

#[test]
fn a_stopped_worker_loses_its_work_and_its_late_products_do_no_harm() {
    let trial = Trial::start(&["--nodes", "4", "--delay", "5ms"]);
    drop_jobs(&trial);
    let worker = trial.node_named("worker-1");
    eventually(PATIENCE, "it works", || {
        let completed = trial.events_named("completed");
        completed
            .iter()
            .any(|event| event["node"] == 1)
            .then_some(())
    });
    send(worker, Signal::SIGSTOP);
    let causes = eventually(PATIENCE, "its work goes to others", || {
        let reassigned = trial.events_named("operation_reassigned");
        (!reassigned.is_empty()).then_some(reassigned)
    });
    let causes: BTreeSet<&str> = causes.iter().filter_map(|c| c["why"].as_str()).collect();
    assert_eq!(causes, BTreeSet::from(["worker_stopped"]));
    send(worker, Signal::SIGCONT);
    trial.await_results("long", LONG);
    trial.conclude();
}
