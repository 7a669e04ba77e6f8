//! The verdict on logs that lack lines, put to the test: what could have stood in them is excused, and
//! nothing else.

use std::collections::BTreeSet;

use crate::both::Judged;
use crate::made::{END, Made, assert_sound};
use laboratory::log::Log;
use laboratory::verdict::Run;
use serde_json::json;

/// When things happen that have nothing to do with how the nodes started.
const T: u64 = END - 1_000;

#[test]
fn a_torn_line_anywhere_spoils_no_verdict() {
    let made = Made::new();
    let text = made.text();
    let ends: Vec<usize> = (0..text.len()).filter(|&at| text[at] == b'\n').collect();
    for (index, &end) in ends.iter().enumerate() {
        let start = if index == 0 { 0 } else { ends[index - 1] + 1 };
        // A line that stops in its middle, with and without what follows on the same line.
        for gap in [b"\n".as_slice(), b"", b"\0\xff\n"] {
            let half = usize::midpoint(start, end);
            let torn = [&text[..half], gap, &text[end + 1..]].concat();
            let mut run = made.run();
            run.log = Log::parse(&torn);
            assert_eq!(run.log.torn.len(), 1, "line {}", index + 1);
            assert_eq!(run.log.events.len(), ends.len() - 1);
            assert_sound(&run.judged());
        }
    }
}

#[test]
fn what_an_event_proves_counts_in_a_torn_log_too() {
    let mut made = Made::new();
    made.job(505, "result_published", "none");
    made.operation(506, 2, "computing", 0);
    let mut run = made.run();
    run.log = Log::parse(&[b"{\"ts\":\"2026".as_slice(), &made.text()].concat());
    assert_eq!(run.log.torn.len(), 1);
    let broken: BTreeSet<&str> = run.judged().iter().map(|found| found.invariant).collect();
    assert_eq!(broken, BTreeSet::from(["S4", "S6"]));
}

/// Who led, gave way and led again in one life says so by three events, and all may be missing.
#[test]
fn another_reign_may_be_what_is_missing() {
    let mut made = Made::new();
    let op = json!({"n": 2, "kind": "multiply", "level": 0, "index": 0});
    let assigned = json!({"event": "assigned", "op": op, "worker": 0});
    made.add(700, 2, 2, assigned);
    assert!(made.broken().contains("S3"));
    // Those of another node are no excuse.
    made.add(600, 0, 1, json!({"event": "events_lost", "count": 3}));
    assert_eq!(made.broken(), BTreeSet::from(["S3"]));
    made.add(610, 2, 2, json!({"event": "events_lost", "count": 3}));
    assert_sound(&made.run().judged());
}

/// What is said to be broken, law by law.
fn laws(run: &Run) -> Vec<&'static str> {
    run.judged().iter().map(|found| found.invariant).collect()
}

#[test]
fn l3_one_missing_line_excuses_one_election() {
    let mut made = Made::new();
    for round in 0..50 {
        let started = json!({"event": "election_started", "why": "no_coordinator"});
        made.add(T + 2 * round, 1, 1, started);
        let following = json!({"event": "following", "coordinator": 2});
        made.add(T + 2 * round + 1, 1, 1, following);
    }
    let count = |text: Vec<u8>| {
        let run = Run {
            log: Log::parse(&text),
            ..made.run()
        };
        let unproved = run.judged().into_iter();
        let unproved = unproved.filter(|found| found.message.contains("no event proves"));
        unproved.count()
    };
    let text = made.text();
    assert_eq!(count(text.clone()), 50);
    let torn = b"{\"ts\":\"2026\n".as_slice();
    assert_eq!(count([torn, &text].concat()), 49);
    assert_eq!(count([&text, torn, torn].concat()), 48);
    let lost = br#"{"mono_ns":9999000000,"node":0,"incarnation":1,"pid":101,"event":"events_lost","count":7}"#;
    assert_eq!(count([lost, b"\n".as_slice(), &text].concat()), 43);
}

/// A torn line elsewhere, of another life, excuses nothing.
#[test]
fn a_torn_line_excuses_no_more_than_could_have_stood_in_it() {
    let torn = |made: &Made, line: usize, text: &str| {
        let mut lines: Vec<String> = made.lines.iter().map(|line| format!("{line}\n")).collect();
        lines.insert(line, format!("{text}\n"));
        let mut run = made.run();
        run.log = Log::parse(lines.concat().as_bytes());
        assert_eq!(run.log.torn.len(), 1);
        laws(&run).join(" ")
    };
    let of = |node: u64| {
        let life = node + 1;
        format!("{{\"ts\":\"x\",\"mono_ns\":1,\"node\":{node},\"incarnation\":{life},\"pid\":1")
    };
    // Node 2 computes while it coordinates, since line 9.
    let mut made = Made::new();
    made.operation(600, 2, "computing", 0);
    assert_eq!(torn(&made, 12, &of(0)), "S6");
    assert_eq!(torn(&made, 2, &of(2)), "S6");
    assert_eq!(torn(&made, 12, &of(2)), "");
    assert_eq!(torn(&made, 12, "{\"ts"), "");
    // A gap that is missing would be of the node itself.
    let mut made = Made::new();
    made.add(T, 1, 1, json!({"event": "election_started", "why": "gap"}));
    let following = json!({"event": "following", "coordinator": 2});
    made.add(T + 10, 1, 1, following);
    assert_eq!(torn(&made, 20, &of(0)), "L3");
    assert_eq!(torn(&made, 20, &of(1)), "");
    // Its last word, or that it was stopped, would stand after what is there.
    let mut made = Made::new();
    let starts = json!({"event": "election_started", "why": "no_coordinator"});
    made.add(600, 1, 1, starts);
    made.add(590, 2, 1, json!({"event": "gap", "ms": 5}));
    let last = made.lines.len();
    assert_eq!(torn(&made, last, &of(0)), "L1");
    assert_eq!(torn(&made, 0, &of(1)), "L1");
    assert_eq!(torn(&made, last, &of(1)), "");
    assert_eq!(torn(&made, last, "{"), "");
    // One line is no word of two.
    made.add(601, 0, 1, made.lines[last - 2].clone());
    assert_eq!(torn(&made, last, "{"), "L1");
}

#[test]
fn a_log_whose_first_files_are_gone_excuses_what_they_may_have_told() {
    let laws_from = |made: &Made, first: usize| {
        let lines = made.lines[first..].iter().map(|line| format!("{line}\n"));
        let mut run = made.run();
        run.log = Log::parse(lines.collect::<String>().as_bytes());
        run.log.is_cut = true;
        laws(&run).join(" ")
    };
    let made = Made::new();
    for first in 0..made.lines.len() - 3 {
        assert_eq!(laws_from(&made, first), "", "from line {first}");
    }
    let mut made = Made::new();
    made.operation(600, 2, "computing", 0);
    // With the line that tells that it acts, and without.
    assert_eq!(laws_from(&made, 8), "S6");
    assert_eq!(laws_from(&made, 9), "");
    let mut made = Made::new();
    for round in 0..300 {
        let started = json!({"event": "election_started", "why": "no_victory"});
        made.add(T + round, 1, 1, started);
    }
    let following = json!({"event": "following", "coordinator": 2});
    made.add(T + 300, 1, 1, following);
    assert!(laws_from(&made, 12).contains("L3"));
}

/// Two lines tell that an epoch was won, and that its owner acts; many assignments need them.
#[test]
fn lines_that_tell_of_an_epoch_account_for_all_that_was_assigned_in_it() {
    let mut made = Made::new();
    made.remove(|line| line["event"] == "election_won" || line["event"] == "acting");
    let found = |made: &Made| made.broken().contains("S7");
    assert!(found(&made));
    made.add(600, 2, 1, json!({"event": "events_lost", "count": 1}));
    assert!(!found(&made));
}
