//! Faults that reach the jobs directory: an operation that kills whoever computes it, a claim whose
//! owner sleeps while everybody else dies, a coordinator that is stopped at any moment.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use crate::harness::{PATIENCE, eventually, kill_node};
use crate::trial::Trial;
use crate::trial::dropping::value;
use crate::trial::now_ns;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// For a job that takes a few seconds by itself, with many faults.
const LONG: Duration = Duration::from_secs(120);

/// One operation kills its workers; its job fails and says so, another is done.
fn kills_its_workers(attempts: usize, args: &[&str]) {
    let fault = "node=any,at=before-compute,n=13,level=1,index=0,do=kill";
    let trial = Trial::start(&[args, &["--fault", fault]].concat());
    trial.drop_job("unlucky", "12!\n13!\n");
    trial.drop_job("twenty", "20!\n");
    let text = trial.home.jobs().join("failed/unlucky.txt");
    let reasons = eventually(LONG, "the job fails", || fs::read_to_string(&text).ok());
    assert!(reasons.contains("13!"), "{reasons}");
    assert!(reasons.contains("--attempts"), "{reasons}");
    assert_eq!(
        trial.await_results("twenty", LONG),
        "20!=2432902008176640000\n"
    );
    assert!(trial.home.jobs().join("failed/unlucky.job").exists());
    assert_eq!(trial.count("fault_injected"), attempts);
    // The last of them may not have been reaped yet.
    eventually(PATIENCE, "their ends are on record", || {
        (trial.count("node_exited") == attempts).then_some(())
    });
    // The cluster lives, and does the rest of that job if it is asked.
    trial.drop_job("twelve", "12!\n");
    assert_eq!(trial.await_results("twelve", LONG), "12!=479001600\n");
    trial.conclude();
}

#[test]
fn an_operation_that_kills_four_workers_fails_its_job_alone() {
    kills_its_workers(4, &["--attempts", "4"]);
}

#[test]
fn an_operation_that_kills_ten_workers_fails_its_job_alone() {
    kills_its_workers(10, &[]);
}

/// The coordinator sleeps around the commit of a short job, with a long one under way; all others
/// die and come back, and go on.
fn all_but_a_sleeper_die(at: &str, hints: &str) {
    let fault = format!("node=5,at={at},do=stop");
    let trial = Trial::start(&["--hints", hints, "--delay", "2ms", "--fault", &fault]);
    trial.drop_job("long", "1500!\n");
    trial.await_event("the long job is under way", |event| {
        event.name() == "checkpointed"
    });
    trial.drop_job("ten", "10!\n");
    let sleeper = trial.await_fault();
    let others = trial.nodes().into_iter().map(|(_, pid)| pid);
    let others: Vec<Pid> = others.filter(|&pid| pid != sleeper).collect();
    assert_eq!(others.len(), 5);
    for &pid in &others {
        kill_node(pid);
    }
    assert_eq!(trial.await_results("ten", LONG), "10!=3628800\n");
    trial.await_results("long", LONG);
    // Claims of the others are under way when it wakes.
    for name in ["ten", "ten", "late"] {
        trial.drop_job(name, "7!\n8!\n");
    }
    trial.wake(sleeper);
    trial.drop_job("later", "9!\n");
    assert_eq!(trial.await_results("late", LONG), "7!=5040\n8!=40320\n");
    assert_eq!(trial.await_results("ten.2", LONG), "7!=5040\n8!=40320\n");
    assert_eq!(trial.await_results("later", LONG), "9!=362880\n");
    trial.settle(LONG);
    assert_eq!(
        fs::read_dir(trial.home.jobs().join("running"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(trial.count("node_exited"), 5);
    trial.conclude();
}

#[test]
fn all_but_a_coordinator_before_its_commit_die_and_come_back() {
    all_but_a_sleeper_die("before-commit", "on");
}

#[test]
fn all_but_a_coordinator_after_its_commit_die_and_come_back_untold() {
    all_but_a_sleeper_die("after-commit", "off");
}

/// How far the coordinator has come with the one job that was dropped.
fn phase(trial: &Trial, ended: usize) -> &'static str {
    let running = trial.in_folder("running");
    let has = |ending: &str| running.iter().any(|name| name.ends_with(ending));
    if trial.home.jobs().join("ten.job").exists() {
        "dropped"
    } else if has(".part") {
        "being written"
    } else if has(".job") && has(".done.txt") {
        "written"
    } else if has(".job") {
        "claimed"
    } else if has(".done.txt") {
        "committed"
    } else if trial.in_folder("done").len() > ended {
        "done"
    } else {
        "between two looks"
    }
}

#[test]
fn a_coordinator_that_is_stopped_at_any_moment_orphans_nothing_when_it_wakes() {
    const ROUNDS: u32 = 20;
    const STEP: Duration = Duration::from_micros(400);
    let trial = Trial::start(&["--hints", "off"]);
    let mut dropped = Vec::new();
    let mut phases: BTreeMap<&str, u32> = BTreeMap::new();
    for round in 0..ROUNDS {
        let sleeper = trial.await_coordinator();
        let ended = 2 * dropped.len();
        // Always the same name, so that each claim has to choose a suffix.
        let mut drop_next = || {
            let n = dropped.len() as u64;
            trial.drop_job("ten", &format!("{n}!\n"));
            dropped.push(value(n));
        };
        drop_next();
        let moment = Instant::now() + STEP * round;
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        let stopped_at = now_ns();
        kill(sleeper, Signal::SIGSTOP).unwrap();
        *phases.entry(phase(&trial, ended)).or_default() += 1;
        trial.await_event("another acts", |event| {
            event.name() == "acting" && event.at() > stopped_at && event.process() != sleeper
        });
        eventually(PATIENCE, "the inbox is empty", || {
            (!trial.home.jobs().join("ten.job").exists()).then_some(())
        });
        drop_next();
        if round % 2 == 0 {
            // While the other one goes through the same steps.
            trial.wake(sleeper);
        }
        eventually(PATIENCE, "all jobs are done", || {
            (trial.in_folder("done").len() == 2 * dropped.len()).then_some(())
        });
        if round % 2 == 1 {
            trial.wake(sleeper);
        }
        eventually(PATIENCE, "the highest leads again", || {
            (trial.reigns().last() == Some(&5)).then_some(())
        });
    }
    println!("stopped when the job was: {phases:?}");
    let texts = trial.in_folder("done").into_iter();
    let mut texts: Vec<String> = texts
        .filter(|name| name.ends_with(".txt"))
        .map(|name| fs::read_to_string(trial.home.jobs().join("done").join(name)).unwrap())
        .collect();
    texts.sort();
    dropped.sort();
    assert_eq!(texts, dropped);
    assert_eq!(trial.count("node_exited"), 0);
    trial.conclude();
}
