//! Faults by chance, from one seed: crashes and stalls of any node at any of the named points, and
//! kills of any node from outside at any moment.

use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use crate::harness::{Home, PATIENCE, eventually, kill_node};
use crate::trial::Trial;
use crate::trial::draws::Draws;

/// `lines` factorials under `below`, the same in every run with a seed.
fn random_factorials(seed: u64, lines: usize, below: u64) -> String {
    let mut draws = Draws(seed);
    let mut text = String::new();
    for _ in 0..lines {
        writeln!(text, "{}!", draws.below(below)).unwrap();
    }
    text
}

/// Kills any node at any moment while jobs run by a plan, again and again. The log tells how far the
/// work has come, and so it makes the moments: a factorial writes some 500 kB into it.
fn survives_kills(seed: u64, rounds: u64, plan: &str) {
    let mut draws = Draws(seed);
    let trial = Trial::start(&["--plan", plan]);
    let first = if plan == "tree" { 2_000 } else { 16_000 };
    let events = trial.home.run_dir().join("events.jsonl");
    let written = || fs::metadata(&events).map_or(0, |file| file.len());
    for round in 0..rounds {
        let moment = written() + draws.below(400_000);
        trial.drop_job(&format!("load-{round}"), &format!("{}!\n", first + round));
        eventually(PATIENCE, "the work goes on", || {
            (written() >= moment).then_some(())
        });
        let mut nodes = trial.nodes();
        nodes.sort();
        let victim = draws.below(nodes.len() as u64);
        kill_node(nodes[usize::try_from(victim).unwrap()].1);
    }
    for round in 0..rounds {
        trial.await_long(&format!("load-{round}"));
    }
    println!("seed {seed}: {} reigns", trial.count("acting"));
    trial.conclude();
}

/// Crashes and stalls with these probabilities until the jobs have ended.
fn survives([crash, stall]: [&str; 2], seed: u64, jobs: &[(&str, String)]) {
    let args = [
        "--crash-probability",
        crash,
        "--stall-probability",
        stall,
        "--stall",
        "300ms",
        "--seed",
        &seed.to_string(),
    ];
    // Not that all agree: a fault may come at any moment from here on.
    let trial = Trial::begin(Home::new(), &args);
    trial.await_coordinator();
    for (name, text) in jobs {
        trial.drop_job(name, text);
    }
    for (name, _) in jobs {
        trial.await_long(name);
    }
    let (faults, reigns) = (trial.count("fault_injected"), trial.count("acting"));
    println!("seed {seed}: {faults} faults, {reigns} reigns");
    assert!(faults > 5, "{faults}");
    trial.conclude();
}

/// One crash in a hundred passes, and a stall in five hundred.
fn survives_one_percent(seed: u64) {
    let jobs = [
        ("small", random_factorials(seed, 30, 60)),
        ("long", "3000!\n".to_owned()),
    ];
    survives(["0.01", "0.002"], seed, &jobs);
}

/// Five crashes and a stall in a hundred passes.
fn survives_five_percent(seed: u64) {
    let jobs = [("small", random_factorials(seed, 30, 60))];
    survives(["0.05", "0.01"], seed, &jobs);
}

#[test]
fn faults_at_one_percent_with_seed_1() {
    survives_one_percent(1);
}

#[test]
fn faults_at_one_percent_with_seed_2() {
    survives_one_percent(2);
}

#[test]
fn faults_at_five_percent() {
    survives_five_percent(1);
}

#[test]
#[ignore = "takes minutes"]
fn faults_at_one_percent_with_twenty_seeds() {
    for seed in 100..120 {
        survives_one_percent(seed);
    }
}

#[test]
#[ignore = "takes a minute"]
fn faults_at_one_percent_and_two_hundred_factorials() {
    let jobs = [("many", random_factorials(1, 200, 100))];
    survives(["0.01", "0.002"], 1, &jobs);
}

#[test]
fn kills_at_any_moment() {
    survives_kills(1, 20, "tree");
}

#[test]
fn kills_at_any_moment_of_prime_powers() {
    survives_kills(1, 20, "powers");
}

#[test]
#[ignore = "takes minutes"]
fn two_hundred_kills_at_any_moment() {
    for seed in 2..10 {
        survives_kills(seed, 25, ["tree", "powers"][seed as usize % 2]);
    }
}

#[test]
#[ignore = "takes an hour"]
fn an_hour_of_faults_at_five_percent() {
    let end = Instant::now() + Duration::from_secs(60 * 60);
    let mut seeds = 100..;
    while Instant::now() < end {
        survives_five_percent(seeds.next().unwrap());
    }
}
