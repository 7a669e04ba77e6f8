//! Faults that reach the jobs directory: an operation that kills whoever computes it, a claim whose
//! owner sleeps while everybody else dies, and faults by chance.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod harness;
mod verdict;

use std::fmt::Write;
use std::fs;
use std::time::Duration;

use harness::{PATIENCE, eventually, kill_node};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use verdict::{Event, Trial, assert_sound};

/// For a job that takes a few seconds by itself, with many faults.
const LONG: Duration = Duration::from_secs(120);
/// How long an injected stall lasts, in nanoseconds.
const STALL_NS: u64 = 300_000_000;

fn await_event(trial: &Trial, what: &str, matches: impl Fn(&Event) -> bool) -> Event {
    eventually(PATIENCE, what, || {
        trial.log().events.into_iter().find(&matches)
    })
}

fn pid(event: &Event) -> Pid {
    Pid::from_raw(i32::try_from(event.pid()).unwrap())
}

fn count(trial: &Trial, name: &str) -> usize {
    trial.log().named(name).count()
}

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
    // A worker that dies between its assignment and its arithmetic counts, too.
    let deaths = count(&trial, "fault_injected");
    assert!((1..=attempts).contains(&deaths), "{deaths} deaths");
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
    await_event(&trial, "the long job is under way", |event| {
        event.name() == "checkpointed"
    });
    trial.drop_job("ten", "10!\n");
    let sleeper = pid(&await_event(&trial, "the coordinator sleeps", |event| {
        event.name() == "fault_injected"
    }));
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
    kill(sleeper, Signal::SIGCONT).unwrap();
    await_event(&trial, "it continues", |event| {
        event.name() == "node_continued" && pid(event) == sleeper
    });
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
    assert_eq!(count(&trial, "node_exited"), 5);
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

/// Thirty factorials under 60, the same in every run with a seed.
fn small_factorials(seed: u64) -> String {
    let mut state = seed;
    let mut lines = String::new();
    for _ in 0..30 {
        // Knuth's MMIX constants; the high bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        writeln!(lines, "{}!", (state >> 33) % 60).unwrap();
    }
    lines
}

/// Crashes and stalls by chance until the jobs have ended.
fn survives_chance(seed: &str) {
    let trial = Trial::start(&[
        "--crash-probability",
        "0.01",
        "--stall-probability",
        "0.002",
        "--stall",
        "300ms",
        "--seed",
        seed,
    ]);
    trial.drop_job("small", &small_factorials(seed.parse().unwrap()));
    trial.drop_job("long", "3000!\n");
    trial.await_results("small", LONG);
    trial.await_results("long", LONG);
    let (faults, reigns) = (count(&trial, "fault_injected"), count(&trial, "acting"));
    println!("seed {seed}: {faults} faults, {reigns} reigns");
    assert!(faults > 5, "{faults}");
    conclude_with_stalls(trial);
}

/// As `Trial::conclude`, where a stall counts as the fault that it is: a product that its worker
/// holds while it answers nothing is passed over and computed again, without a death or a stop.
fn conclude_with_stalls(mut trial: Trial) {
    trial.settle(LONG);
    let mut run = trial.run();
    trial.signal(Signal::SIGTERM);
    let status = trial.cluster.await_exit(PATIENCE);
    assert_eq!(status.code(), Some(0));
    run.log = trial.log();
    let stalled = |first: &Event, second: &Event| {
        run.log.named("fault_injected").any(|fault| {
            let since = first.at().saturating_sub(STALL_NS);
            fault.text("do") == "stall"
                && fault.life() == first.life()
                && (since..=second.at()).contains(&fault.at())
        })
    };
    let mut violations = run.judge();
    violations.retain(|violation| match violation.events.as_slice() {
        [first, second] if violation.invariant == "S7" => !stalled(first, second),
        _ => true,
    });
    assert_sound(&violations);
}

#[test]
fn faults_by_chance_with_seed_1() {
    survives_chance("1");
}

#[test]
fn faults_by_chance_with_seed_2() {
    survives_chance("2");
}
