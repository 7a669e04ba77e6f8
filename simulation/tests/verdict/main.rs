//! The verdict judges the event logs that simulated runs write: each is sound, however late its processes
//! write, until it is spoilt.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../../../laboratory/tests/both/mod.rs"]
mod both;
mod left;
mod mutations;
mod spoilt;

use std::collections::BTreeMap;
use std::env;
use std::thread;

use simulation::run::run_logged;

use left::Files;
use mutations::Mutation;
use spoilt::Spoilt;

/// Logs of each seed: in the first nobody is kept from writing, in the others many are.
const INTERLEAVINGS: u64 = 3;
/// Logs of a normal run; `VERDICT_LOGS` and `VERDICT_FIRST` (the first seed) ask for others.
const LOGS: u64 = 150;
/// The seeds whose logs are spoilt, until each mutation has been tried often enough.
const SPOILT: std::ops::Range<u64> = 0..60;
/// In so many logs each mutation is tried.
const TRIED: usize = 2;
/// Longer logs are not spoilt: that would take long.
const SHORT: usize = 600;

#[test]
fn the_log_of_every_run_is_sound_in_every_interleaving() {
    let first = number("VERDICT_FIRST", 0);
    let logs: Vec<(u64, u64)> = (0..number("VERDICT_LOGS", LOGS))
        .map(|log| (first + log / INTERLEAVINGS, log % INTERLEAVINGS))
        .collect();
    let found: Vec<String> = thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let own: Vec<_> = logs.iter().copied().skip(half).step_by(2).collect();
            scope.spawn(move || own.into_iter().filter_map(judge).collect::<Vec<String>>())
        });
        let halves = halves.into_iter();
        halves.flat_map(|half| half.join().unwrap()).collect()
    });
    let told = found.join("\n");
    assert!(
        found.is_empty(),
        "{} of {}:\n{told}",
        found.len(),
        logs.len()
    );
}

/// What is held against a log, with all that it takes to look at it.
fn judge((seed, interleaving): (u64, u64)) -> Option<String> {
    let left = run_logged(seed, interleaving, false);
    let name = format!("seed {seed}, interleaving {interleaving}");
    if let Some(violation) = left.outcome.violation {
        return Some(format!("{name}: the run itself breaks {violation:?}"));
    }
    let files = Files::of(&left);
    let violations = files.violations();
    if violations.is_empty() {
        return None;
    }
    let told: Vec<String> = violations.iter().take(5).map(ToString::to_string).collect();
    let (log, count, told) = (files.keep(), violations.len(), told.join("\n"));
    Some(format!(
        "{name}: {count} violations in {}\n{told}",
        log.display()
    ))
}

#[test]
fn every_way_to_spoil_a_sound_log_is_noticed_and_named() {
    let mutations = mutations::all();
    let mut tried: BTreeMap<&str, usize> = BTreeMap::new();
    let mut unnoticed = BTreeMap::new();
    for seed in SPOILT {
        let is_open = |(name, _, _): &&Mutation| tried.get(name).is_none_or(|&times| times < TRIED);
        let open: Vec<&Mutation> = mutations.iter().filter(is_open).collect();
        if open.is_empty() {
            break;
        }
        let Some(sound) = sound_log(seed) else {
            continue;
        };
        for (name, laws, spoil) in open {
            let mut spoilt = Spoilt::copy(&sound);
            if spoil(&mut spoilt).is_none() {
                continue;
            }
            *tried.entry(name).or_default() += 1;
            let broken = spoilt.broken();
            if !broken.iter().any(|law| laws.contains(law)) {
                let told = format!("{name}: {laws:?}, in the log of seed {seed} {broken:?}");
                unnoticed.insert(*name, told);
            }
        }
    }
    for (name, _, _) in mutations {
        assert!(
            tried.contains_key(name),
            "no log has a place for this: {name}"
        );
    }
    let unnoticed: Vec<String> = unnoticed.into_values().collect();
    assert!(unnoticed.is_empty(), "unnoticed: {unnoticed:#?}");
}

/// What a seed leaves, if it is sound and short and runs to its end. Of every second one, processes write late.
fn sound_log(seed: u64) -> Option<Spoilt> {
    let left = run_logged(seed, seed % 2, false);
    if left.outcome.violation.is_some() || left.stops_early || left.writes.len() > SHORT {
        return None;
    }
    let files = Files::of(&left);
    files.violations().is_empty().then(|| Spoilt::of(files))
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let told = env::var(variable).ok();
    told.map_or(otherwise, |told| told.parse().unwrap())
}
