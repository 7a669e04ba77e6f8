//! A highest node that cannot keep its office waits before it claims it again, and in the end has it.

use std::thread;
use std::time::{Duration, Instant};

use crate::harness::freezer::Freezer;
use crate::harness::{PATIENCE, eventually, kill_node};
use crate::trial::Trial;
use nix::sys::signal::{Signal, kill};

/// The longest wait, and a moment for a busy machine.
const LONGEST: Duration = Duration::from_secs(40);
/// Well over `--suspect-after`.
const SILENCE: Duration = Duration::from_millis(800);

/// What the node says of its waits, in milliseconds.
fn waits(trial: &Trial) -> Vec<u64> {
    let damped = trial.events_named("preemption_damped");
    let waits = damped.iter().map(|event| event["ms"].as_u64().unwrap());
    waits.collect()
}

/// Frozen, a node is silent, as one without processor time, and no signal explains it.
#[test]
fn a_node_that_falls_silent_again_and_again_waits_and_gets_its_office_back_once_it_is_well() {
    let Some(freezer) = Freezer::new("damping") else {
        return;
    };
    let trial = Trial::start(&["--nodes", "3"]);
    let highest = trial.node_named("coordinator-2");
    let begun = Instant::now();
    let mut terms = 0;
    while begun.elapsed() < Duration::from_secs(15) {
        freezer.freeze(&[highest]);
        thread::sleep(SILENCE);
        freezer.thaw();
        thread::sleep(Duration::from_millis(200));
        terms = trial.count("election_won");
    }
    let waits = waits(&trial);
    assert!(
        terms <= 10,
        "{terms} terms in 15 s, after waits of {waits:?} ms"
    );
    let longer = waits.is_sorted_by_key(|ms| ms / 1_000);
    assert!(
        waits.len() >= 2 && longer && waits.iter().all(|&ms| ms <= 30_000),
        "{waits:?}"
    );
    // A job does not wait for it.
    trial.drop_job("ten", "10!\n");
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    eventually(LONGEST, "the highest coordinates", || {
        trial
            .find_node("coordinator-2")
            .filter(|&pid| pid == highest)
    });
    trial.await_agreement();
}

#[test]
fn a_node_that_crashes_in_office_again_and_again_waits_too() {
    let trial = Trial::start(&["--nodes", "3"]);
    for crash in 1..=3 {
        // While it is dead all may agree on another.
        trial.await_agreement();
        kill(trial.node_named("coordinator-2"), Signal::SIGABRT).unwrap();
        eventually(PATIENCE, "its end is on record", || {
            (trial.count("node_exited") == crash).then_some(())
        });
    }
    eventually(PATIENCE, "it waits for the third time", || {
        let waits = waits(&trial);
        assert!(waits.iter().all(|&ms| ms <= 8_000), "{waits:?}");
        (waits.len() == 2).then_some(())
    });
    trial.node_named("coordinator-2");
    trial.conclude();
}

#[test]
fn kills_and_stops_by_hand_leave_preemption_as_immediate_as_ever() {
    let trial = Trial::start(&["--nodes", "3"]);
    for round in 0..6 {
        let highest = trial.await_agreement();
        if round % 2 == 0 {
            kill_node(highest);
        } else {
            kill(highest, Signal::SIGSTOP).unwrap();
            trial.node_named("coordinator-1");
            trial.wake(highest);
        }
        eventually(PATIENCE, "the highest is back", || {
            let back = trial.find_node("coordinator-2")?;
            (round % 2 == 1 || back != highest).then_some(())
        });
        trial.await_agreement();
    }
    assert_eq!(waits(&trial), [0; 0]);
    trial.conclude();
}
