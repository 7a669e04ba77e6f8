//! The verdict on authority, put to the test: who may do what, in which epoch, and as long as it lives.

use crate::both::Judged;
use crate::made::{Made, assert_sound, breaks};
use serde_json::{Value, json};

#[test]
fn s1_two_processes_of_one_incarnation() {
    breaks("S1", |made| {
        made.add(700, 0, 1, json!({"event": "gap", "ms": 200}));
        let last = made.lines.last_mut().unwrap();
        last["pid"] = json!(999);
    });
}

#[test]
fn s1_an_epoch_won_twice() {
    breaks("S1", |made| {
        made.add(45, 2, 1, json!({"event": "election_won"}));
    });
}

#[test]
fn s1_acting_in_an_epoch_that_another_won() {
    breaks("S1", |made| {
        made.remove(|line| line["event"] == "election_won");
        made.add(40, 1, 1, json!({"event": "election_won"}));
    });
}

#[test]
fn s2_a_lower_term_is_obeyed() {
    for name in ["following", "computing"] {
        breaks("S2", |made| {
            // It has stepped down for a term that nobody won in the end, and works for the old one.
            let seen = json!({"event": "stepped_down", "why": "promised"});
            made.add(250, 0, 3, seen);
            // Another operation, so that none is handed out twice.
            let op = json!({"n": 2, "kind": "multiply", "level": 0, "index": 0});
            let assigned = json!({"event": "assigned", "op": op, "worker": 0});
            made.add(240, 2, 1, assigned);
            let obeyed = json!({"event": name, "coordinator": 2, "op": op});
            made.add(260, 0, 1, obeyed);
            let following = json!({"event": "following", "coordinator": 2});
            made.add(270, 0, 3, following);
        });
    }
}

#[test]
fn s2_a_lower_term_is_obeyed_after_a_promise_that_no_event_tells_of() {
    let knows = |at: u64, term: u64| {
        let refused = json!({"event": "stale_refused", "what": "assign", "from": 2});
        move |made: &mut Made| made.add(at, 1, term, refused.clone())
    };
    breaks("S2", |made| {
        knows(700, 2)(made);
        let following = json!({"event": "following", "coordinator": 2});
        made.add(710, 1, 1, following);
    });
    // What the supervisor knows when a node is stopped, the node need not.
    let mut made = Made::new();
    made.add(405, 1, 7, json!({"event": "node_stopped"}));
    made.add(406, 1, 7, json!({"event": "node_continued"}));
    assert_sound(&made.run().judged());
    // A clock that is wrong alone is no proof: the line was written later.
    let mut made = Made::new();
    knows(405, 2)(&mut made);
    assert_sound(&made.run().judged());
}

#[test]
fn s2_two_epochs_of_one_term_obeyed_in_turn() {
    let follows = |coordinators: &'static [u64]| {
        move |made: &mut Made| {
            for (at, coordinator) in (700..).zip(coordinators) {
                let following = json!({"event": "following", "coordinator": coordinator});
                made.add(at, 1, 2, following);
            }
        }
    };
    breaks("S2", follows(&[2, 0, 2]));
    breaks("S2", |made| {
        // It has won the term itself.
        made.add(700, 2, 2, json!({"event": "election_won"}));
        made.add(
            710,
            2,
            2,
            json!({"event": "stepped_down", "why": "promised"}),
        );
        made.add(720, 2, 2, json!({"event": "following", "coordinator": 1}));
        made.add(730, 2, 3, json!({"event": "election_won"}));
        made.add(740, 2, 3, json!({"event": "acting"}));
        // A third may win after it.
        made.add(695, 0, 1, json!({"event": "gap", "ms": 100}));
    });
    // The second epoch is the higher one.
    let mut made = Made::new();
    follows(&[0, 2])(&mut made);
    assert_sound(&made.run().judged());
}

#[test]
fn s6_a_coordinator_that_computes() {
    for event in ["computing", "completed"] {
        breaks("S6", |made| {
            // Another operation, so that none is computed twice.
            let op = json!({"n": 2, "kind": "multiply", "level": 0, "index": 0});
            let assigned = json!({"event": "assigned", "op": op, "worker": 2});
            made.add(340, 2, 1, assigned);
            made.add(345, 2, 1, json!({"event": "computing", "op": op}));
            if event == "completed" {
                made.add(350, 2, 1, json!({"event": event, "op": op}));
            }
        });
    }
    // As soon as it has won.
    let wins_and_computes = |made: &mut Made, node: u64| {
        let op = json!({"n": 2, "kind": "multiply", "level": 0, "index": 0});
        let assigned = json!({"event": "assigned", "op": op, "worker": node});
        made.add(340, 2, 1, assigned);
        made.add(700, node, 2, json!({"event": "election_won"}));
        made.add(705, node, 2, json!({"event": "computing", "op": op}));
    };
    breaks("S6", |made| {
        wins_and_computes(made, 2);
        made.add(710, 2, 2, json!({"event": "acting"}));
    });
    breaks("S6", |made| {
        wins_and_computes(made, 1);
        made.add(
            710,
            1,
            2,
            json!({"event": "stepped_down", "why": "promised"}),
        );
        made.add(720, 1, 3, json!({"event": "following", "coordinator": 2}));
    });
    // It may again once it has stepped down.
    let mut made = Made::new();
    made.add(700, 2, 1, json!({"event": "stepped_down", "why": "gap"}));
    made.operation(710, 2, "computing", 0);
    assert!(!made.broken().contains("S6"));
}

#[test]
fn s3_authority_without_a_coordinatorship_or_below_a_known_term() {
    let assigned = |node: u64, term: u64| {
        move |made: &mut Made| {
            // Another operation, so that none is handed out twice.
            let op = json!({"n": 2, "kind": "multiply", "level": 0, "index": 0});
            let event = json!({"event": "assigned", "op": op, "worker": 0});
            made.add(350, node, term, event);
        }
    };
    assert_sound(&{
        let mut made = Made::new();
        assigned(2, 1)(&mut made);
        made.run().judged()
    });
    breaks("S3", assigned(1, 1));
    breaks("S3", assigned(2, 2));
    for name in ["checkpointed", "product_done", "operation_reassigned"] {
        let mut made = Made::new();
        made.operation(350, 1, name, 0);
        assert!(made.broken().contains("S3"), "{name}");
    }
    for name in ["job_accepted", "result_published", "job_done"] {
        let mut made = Made::new();
        made.add(520, 1, 1, json!({"event": name, "job": "none"}));
        assert!(made.broken().contains("S3"), "{name}");
    }
    // What it does in the same moment in which it steps down is too late.
    breaks("S3", |made| {
        made.add(
            600,
            2,
            2,
            json!({"event": "stepped_down", "why": "promised"}),
        );
        assigned(2, 2)(made);
        made.lines.last_mut().unwrap()["mono_ns"] = json!(600_000_000);
        made.add(610, 2, 2, json!({"event": "following", "coordinator": 2}));
    });
}

/// The coordinator gives up its office at 505, and takes it again at 8,000; meanwhile it says that the
/// job is done.
fn deposed(ends: &'static [(u64, &'static str)], own: &[(u64, Value)]) -> Made {
    let mut made = Made::new();
    made.remove(|line| line["event"] == "job_done" && line["job"] == "none");
    if ends.len() > 1 {
        made.remove(|line| line["event"] == "result_published" && line["job"] == "none");
    }
    made.add(505, 2, 1, json!({"event": "gap", "ms": 100}));
    made.add(505, 2, 1, json!({"event": "stepped_down", "why": "gap"}));
    for (at, own) in own {
        made.add(*at, 2, 1, own.clone());
    }
    for &(at, event) in ends {
        made.job(at, event, "none");
    }
    made.add(
        8_000,
        2,
        1,
        json!({"event": "election_started", "why": "gap"}),
    );
    made.add(8_010, 2, 2, json!({"event": "election_won"}));
    made.add(8_020, 2, 2, json!({"event": "acting"}));
    for node in 0..2 {
        let following = json!({"event": "following", "coordinator": 2});
        made.add(8_030, node, 2, following);
    }
    made
}

#[test]
fn s3_a_deposed_coordinator_ends_one_call_and_begins_none() {
    let broken = |ends, own: &[(u64, Value)]| {
        let found = deposed(ends, own).broken();
        found.into_iter().collect::<Vec<_>>().join(" ")
    };
    // What was under way may take as long as a call may.
    assert_eq!(broken(&[(515, "job_done")], &[]), "");
    assert_eq!(broken(&[(3_500, "job_done")], &[]), "");
    assert_eq!(broken(&[(4_505, "job_done")], &[]), "S3");
    // It is told to be slow, or the process did not run.
    let told = |own: Value| broken(&[(4_505, "job_done")], &[(3_600, own)]);
    assert_eq!(told(json!({"event": "file_call_slow", "ms": 3_050})), "");
    assert_eq!(told(json!({"event": "node_continued"})), "");
    assert_eq!(told(json!({"event": "gap", "ms": 1_000})), "");
    assert_eq!(told(json!({"event": "gap", "ms": 100})), "S3");
    let refused = json!({"event": "stale_refused", "what": "assign", "from": 1});
    assert_eq!(told(refused), "S3");
    // The name is given after the commit: one of them was begun after the office was lost.
    let both = &[(510, "result_published"), (515, "job_done")];
    assert_eq!(broken(both, &[]), "S3");
}

#[test]
fn s11_two_lives_of_a_node_at_once() {
    breaks("S11", |made| {
        made.add_of(600, 0, 9, 1, json!({"event": "node_spawned"}));
        let following = json!({"event": "following", "coordinator": 2});
        made.add_of(610, 0, 9, 1, following);
        made.remove(|line| line["event"] == "node_exited" && line["node"] == 0);
    });
}

#[test]
fn s11_a_dead_life_that_acts() {
    let dies = |made: &mut Made| {
        made.remove(|line| line["event"] == "node_exited" && line["node"] == 0);
        made.add(
            600,
            0,
            1,
            json!({"event": "node_exited", "signal": "SIGKILL"}),
        );
        made.add_of(610, 0, 9, 1, json!({"event": "node_spawned"}));
        let following = json!({"event": "following", "coordinator": 2});
        made.add_of(620, 0, 9, 1, following);
        let op = json!({"n": 2, "kind": "multiply", "level": 0, "index": 0});
        let assigned = json!({"event": "assigned", "op": op, "worker": 0});
        made.add(590, 2, 1, assigned);
    };
    let refused = json!({"event": "stale_refused", "what": "assign", "from": 2});
    let computes =
        json!({"event": "computing", "op": {"n": 2, "kind": "multiply", "level": 0, "index": 0}});
    for acts in [&refused, &computes] {
        for at in [605, 700, 9_000] {
            breaks("S11", |made| {
                dies(made);
                made.add(at, 0, 1, acts.clone());
            });
        }
        // The line is late, and what it tells of is not.
        let mut made = Made::new();
        dies(&mut made);
        made.add(599, 0, 1, acts.clone());
        assert_sound(&made.run().judged());
    }
}
