//! Faults by chance: crashes and stalls of any node at any of the named points, from one seed.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod harness;
mod verdict;

use std::fmt::Write;
use std::time::{Duration, Instant};

use verdict::Trial;

/// `lines` factorials under `below`, the same in every run with a seed.
fn random_factorials(seed: u64, lines: usize, below: u64) -> String {
    let mut state = seed;
    let mut text = String::new();
    for _ in 0..lines {
        // Knuth's MMIX constants; the high bits are the good ones.
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        writeln!(text, "{}!", (state >> 33) % below).unwrap();
    }
    text
}

/// Crashes and stalls with these probabilities until the jobs have ended.
fn survives([crash, stall]: [&str; 2], seed: u64, jobs: &[(&str, String)]) {
    let trial = Trial::start(&[
        "--crash-probability",
        crash,
        "--stall-probability",
        stall,
        "--stall",
        "300ms",
        "--seed",
        &seed.to_string(),
    ]);
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
fn faults_at_one_percent_with_twenty_seeds_and_many_factorials() {
    for seed in 100..120 {
        let jobs = [
            ("many", random_factorials(seed, 200, 300)),
            ("long", "3000!\n".to_owned()),
        ];
        survives(["0.01", "0.002"], seed, &jobs);
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
