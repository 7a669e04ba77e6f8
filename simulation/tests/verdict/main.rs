//! The verdict judges the event logs that simulated runs write: each is sound, however late its processes
//! write, until it is spoilt.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod left;
mod mutations;
mod spoilt;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::thread;

use laboratory::verdict::Violation;
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

/// A law, a part of what is told, and seed and interleaving of a log in which it is told.
type Alarm = (&'static str, &'static str, (u64, u64));

/// What the verdict holds against sound logs, wrongly, for now.
const FALSE_ALARMS: &[Alarm] = &[
    // The supervisor had no time for more than a second, and tells of the death only then.
    (
        "L3",
        "peer_down for a cause that no event proves: link",
        (2, 2),
    ),
    // Several short standstills one after the other: none is a gap, all together are silence.
    (
        "L3",
        "peer_down for a cause that no event proves: silence",
        (38, 1),
    ),
    // A coordinator that stands still is followed by another and comes back: two won elections, and a third
    // if two win at once, for one gap.
    ("L3", "elections were won after", (76, 0)),
    // A name that was numbered at the claim is numbered again at the commit: `dup.2.2`.
    ("S9", "has vanished", (71, 0)),
    // Likewise `job0.2`, where who died had reserved the name `job0`: it was accepted as `job0`.
    ("S9", "was taken and has ended in 0 places", (1128, 1)),
];

/// The mutations that the verdict does not notice, for now.
const NOT_YET: &[&str] = &[
    "a deposed coordinator publishes what it never accepted",
    "a job and its text are those of another",
    "a job has failed for what is not in it",
    "a sound job has failed",
    "a winner computes before it acts",
    "an operation is completed and was handed to nobody",
    "an operation is completed and was handed to others",
    "an operation is handed out after it was checkpointed",
    "an operation is overdue at once",
    "fifty elections for gaps that cannot all have been",
    "fifty elections that nobody calls for",
    "the dead compute",
    "the dead hold an election",
    "two epochs of one term are followed in turn",
];

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
    let mut violations = files.violations();
    violations.retain(|found| !FALSE_ALARMS.iter().any(|alarm| is_told(found, alarm)));
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

fn is_told(found: &Violation, &(law, part, _): &Alarm) -> bool {
    found.invariant == law && found.message.contains(part)
}

#[test]
fn what_is_excused_as_a_false_alarm_is_one_still() {
    for alarm in FALSE_ALARMS {
        let (seed, interleaving) = alarm.2;
        let files = Files::of(&run_logged(seed, interleaving, false));
        let is_one = files.violations().iter().any(|found| is_told(found, alarm));
        assert!(is_one, "{alarm:?} is none any more: take it off the list");
    }
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
    let known: BTreeSet<&str> = NOT_YET.iter().copied().collect();
    let told: Vec<&String> = unnoticed.values().collect();
    let unnoticed: BTreeSet<&str> = unnoticed.keys().copied().collect();
    assert_eq!(unnoticed, known, "unnoticed, and known to be: {told:#?}");
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
