//! Logs of real runs: sound, until they are doctored, and sound too where many events are missing, as the log
//! knows.

use std::collections::{BTreeMap, BTreeSet};

use crate::both::Judged;
use crate::harness::{PATIENCE, kill_node};
use crate::trial::draws::Draws;
use crate::trial::{self, Trial};
use laboratory::log::Log;
use laboratory::verdict::Run;
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

/// A run in which nodes were killed and stopped, and its lines.
fn eventful_run() -> (Trial, Run, Vec<Value>) {
    let trial = Trial::start(&["--nodes", "4", "--delay", "5ms"]);
    trial.drop_job("long", "700!\n");
    trial.drop_job("bad", "abc\n");
    trial.await_progress(700);
    kill_node(trial.node_named("coordinator-"));
    trial.await_event("it is dead", |event| event.name() == "node_exited");
    let stopped = trial.await_coordinator();
    kill(stopped, Signal::SIGSTOP).unwrap();
    trial.await_event("it is stopped", |event| event.name() == "node_stopped");
    kill_node(trial.node_named("worker-0"));
    trial.await_progress(700);
    trial.wake(stopped);
    trial.await_long("long");
    let run = trial.settle(PATIENCE);
    trial::assert_sound(&run.judged());
    let events = trial.events();
    (trial, run, events)
}

/// The invariants that are said to be broken, and how often.
fn judge(run: &Run, events: &[&Value], told: &str, is_cut: bool) -> BTreeMap<String, usize> {
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let mut run = run.clone();
    run.log = Log::parse(format!("{lines}{told}").as_bytes());
    run.log.is_cut = is_cut;
    let mut broken = BTreeMap::new();
    for found in run.judged() {
        *broken.entry(found.to_string()).or_default() += 1;
    }
    broken
}

/// What the supervisor writes of events that could not be written: how many of each node.
fn lost<'a>(gone: impl Iterator<Item = &'a Value>, events: &[Value]) -> String {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    for event in gone {
        *counts.entry(event["node"].as_u64().unwrap()).or_default() += 1;
    }
    let end = events.iter().map(|event| event["mono_ns"].as_u64());
    let line = |(node, count): (u64, usize)| {
        let of_it = |event: &&Value| event["node"] == node;
        // A line tells of a process, its own.
        let life = events.iter().rev().find(of_it).unwrap();
        let (incarnation, pid) = (&life["incarnation"], &life["pid"]);
        let line = json!({
            "mono_ns": end.clone().max().flatten(), "node": node, "incarnation": incarnation, "pid": pid,
            "event": "events_lost", "count": count,
        });
        format!("{line}\n")
    };
    counts.into_iter().map(line).collect()
}

#[test]
fn what_is_missing_anywhere_is_held_against_nobody_if_the_log_knows_it() {
    let (_trial, run, events) = eventful_run();
    let mut draws = Draws(7);
    let mut spoilt = 0;
    for round in 0..60 {
        let from = draws.below(events.len() as u64) as usize;
        let many = draws.below(events.len() as u64) as usize;
        let kept = |index: &usize, draws: &mut Draws| match round % 3 {
            // For a while, here and there, and all that came before.
            0 => !(from..from + many).contains(index),
            1 => draws.below(4) > 0,
            _ => *index >= from,
        };
        let (left, gone): (Vec<usize>, Vec<usize>) =
            (0..events.len()).partition(|index| kept(index, &mut draws));
        let left: Vec<&Value> = left.into_iter().map(|index| &events[index]).collect();
        let lost = lost(gone.iter().map(|&index| &events[index]), &events);
        let broken = judge(&run, &left, &lost, false);
        assert!(broken.is_empty(), "round {round}: {broken:#?}");
        if round % 3 == 2 {
            let broken = judge(&run, &left, "", true);
            assert!(broken.is_empty(), "round {round}: {broken:#?}");
        }
        spoilt += usize::from(!judge(&run, &left, "", false).is_empty());
    }
    // A log that does not know it tells of violations that were none.
    assert!(spoilt > 30, "{spoilt}");
}

#[test]
fn a_real_log_is_sound_until_it_is_doctored() {
    let trial = Trial::start(&["--nodes", "3", "--delay", "5ms"]);
    trial.drop_job("hundred", "100!\n10\n");
    trial.drop_job("bad", "abc\n");
    kill_node(trial.node_named("worker-0"));
    trial.settle(PATIENCE);
    let run = trial.run();
    trial::assert_sound(&run.judged());
    let events = trial.events();
    let doctored = |change: fn(&mut Value)| {
        let mut run = run.clone();
        let lines = events.iter().cloned().map(|mut event| {
            change(&mut event);
            format!("{event}\n")
        });
        run.log = Log::parse(lines.collect::<String>().as_bytes());
        let broken = run.judged().into_iter().map(|found| found.invariant);
        broken.collect::<BTreeSet<_>>()
    };
    let broken = doctored(|event| {
        if event["event"] == "checkpointed" {
            event["event"] = json!("computing");
        }
    });
    assert!(broken.contains("S6"), "{broken:?}");
    let broken = doctored(|event| {
        if event["event"] == "following" {
            event["coordinator"] = json!(0);
        }
    });
    assert!(broken.contains("L1"), "{broken:?}");
    let broken = doctored(|event| {
        if event["event"] == "node_exited" {
            event["event"] = json!("gap");
        }
    });
    // Nothing proves any more that those who lost it were right, either.
    assert!(
        broken.is_superset(&BTreeSet::from(["S11", "L3"])),
        "{broken:?}"
    );
    let broken = doctored(|event| {
        if event["event"] == "job_accepted" {
            event["job"] = json!("elsewhere");
        }
    });
    assert!(broken.contains("S9"), "{broken:?}");
    let broken = doctored(|event| {
        if event["event"] == "job_done" {
            event["event"] = json!("result_published");
        }
    });
    assert!(broken.contains("S4"), "{broken:?}");
    trial.conclude();
}
