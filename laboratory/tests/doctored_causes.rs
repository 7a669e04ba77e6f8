//! The verdict on causes, put to the test: whatever a node gives as a cause, and no event proves, is
//! found; and so is what happens more often than its causes do.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::both::Judged;
use crate::made::{END, Made, assert_sound, breaks, needs_proof, op};
use serde_json::json;

/// When things happen that have nothing to do with how the nodes started.
const T: u64 = END - 1_000;

/// Node 0 dies or stops, and is there again by the end.
fn falls(kind: &'static str) -> impl Fn(&mut Made) {
    move |made| {
        let (ends, returns) = match kind {
            "killed" => ("node_exited", "node_spawned"),
            _ => ("node_stopped", "node_continued"),
        };
        made.add(T - 5, 0, 1, json!({"event": ends}));
        let life = if kind == "killed" { 9 } else { 1 };
        made.add_of(T + 50, 0, life, 1, json!({"event": returns}));
        if kind == "killed" {
            let following = json!({"event": "following", "coordinator": 2});
            made.add_of(T + 60, 0, 9, 1, following);
            made.remove(|line| {
                line["event"] == "node_exited" && line["node"] == 0 && line["code"] == 0
            });
        }
    }
}

#[test]
fn l3_a_peer_that_was_lost_without_a_death_or_a_stop() {
    let lost = |by: &'static str| {
        move |made: &mut Made| {
            let lost = json!({"event": "peer_down", "peer": 0, "peer_incarnation": 1, "by": by});
            made.add(T, 1, 1, lost);
        }
    };
    needs_proof("L3", lost("link"), falls("killed"));
    needs_proof("L3", lost("hint"), falls("killed"));
    needs_proof("L3", lost("hint"), falls("stopped"));
    needs_proof("L3", lost("silence"), falls("stopped"));
    needs_proof("L3", lost("silence"), |made| {
        made.add(T - 10, 0, 1, json!({"event": "gap", "ms": 500}));
    });
    needs_proof("L3", lost("silence"), |made| {
        let stall = json!({"event": "fault_injected", "at": "before-send", "do": "stall"});
        made.add(T - 300, 0, 1, stall);
    });
    // A process that is stopped keeps its links.
    let mut made = Made::new();
    falls("stopped")(&mut made);
    lost("link")(&mut made);
    assert_eq!(made.broken(), BTreeSet::from(["L3"]));
    assert_sound(&{
        let mut made = Made::new();
        lost("guess")(&mut made);
        made.lines.pop();
        made.run().judged()
    });
    breaks("L3", lost("guess"));
}

/// Node 1 holds an election and goes on following.
fn elects(why: &'static str) -> impl Fn(&mut Made) {
    move |made| {
        made.add(T, 1, 1, json!({"event": "election_started", "why": why}));
        let following = json!({"event": "following", "coordinator": 2});
        made.add(T + 10, 1, 1, following);
    }
}

#[test]
fn l3_an_election_without_its_cause() {
    breaks("L3", elects("start"));
    breaks("L3", elects("boredom"));
    needs_proof("L3", elects("challenged"), |made| {
        made.add(
            T - 10,
            0,
            1,
            json!({"event": "election_started", "why": "no_coordinator"}),
        );
        made.add(
            T - 20,
            1,
            1,
            json!({"event": "stepped_down", "why": "stale"}),
        );
        made.add(
            T - 20,
            0,
            1,
            json!({"event": "stepped_down", "why": "stale"}),
        );
        let following = json!({"event": "following", "coordinator": 2});
        made.add(T + 10, 0, 1, following);
    });
    needs_proof("L3", elects("no_coordinator"), |made| {
        made.add(T - 10, 2, 1, json!({"event": "gap", "ms": 500}));
    });
    needs_proof("L3", elects("preemption"), |made| {
        made.add(T - 10, 0, 1, json!({"event": "election_won"}));
    });
    needs_proof("L3", elects("gap"), |made| {
        made.add(T - 10, 1, 1, json!({"event": "gap", "ms": 500}));
        made.add(T - 10, 1, 1, json!({"event": "stepped_down", "why": "gap"}));
    });
    needs_proof("L3", elects("handed_over"), |made| {
        made.add(
            T - 10,
            2,
            1,
            json!({"event": "file_call_slow", "ms": 3_000}),
        );
    });
    needs_proof("L3", elects("no_victory"), |made| {
        made.add(T - 10, 2, 1, json!({"event": "gap", "ms": 500}));
        made.add(
            T - 5,
            1,
            1,
            json!({"event": "election_started", "why": "no_coordinator"}),
        );
    });
    let lost = |peer: u64| json!({"event": "peer_down", "peer": peer, "peer_incarnation": peer + 1, "by": "hint"});
    for why in ["coordinator_lost", "isolated"] {
        // Only the loss of a coordinator is one.
        breaks("L3", |made| {
            falls("stopped")(made);
            made.add(T, 1, 1, lost(0));
            elects(why)(made);
        });
    }
    needs_proof("L3", elects("coordinator_lost"), |made| {
        made.add(T - 10, 2, 1, json!({"event": "node_stopped"}));
        made.add(T, 1, 1, lost(2));
        made.add(T + 50, 2, 1, json!({"event": "node_continued"}));
    });
    needs_proof("L3", elects("isolated"), |made| {
        falls("stopped")(made);
        made.add(T, 1, 1, lost(0));
        made.add(T, 1, 1, json!({"event": "stepped_down", "why": "isolated"}));
    });
}

#[test]
fn l3_more_elections_than_the_faults_call_for() {
    let storm = |count: u64| {
        move |made: &mut Made| {
            for term in 2..2 + count {
                made.add(T + term, 2, term, json!({"event": "election_won"}));
            }
        }
    };
    breaks("L3", storm(2));
    needs_proof("L3", storm(3), falls("stopped"));
    needs_proof("L3", storm(3), |made| {
        let stall = json!({"event": "fault_injected", "at": "before-send", "do": "stall"});
        made.add(T - 300, 0, 1, stall);
    });
    breaks("L3", |made| {
        made.add(T - 10, 2, 1, json!({"event": "gap", "ms": 500}));
        for _ in 0..19 {
            elects("no_coordinator")(made);
        }
    });
}

/// A coordinator that gives up its office for a gap, and takes it again, so often.
fn gives_up(times: u64, every: u64, ms: u64, gaps: u64) -> impl Fn(&mut Made) {
    move |made| {
        for round in 0..times {
            let (at, term) = (T + every * round, 1 + round);
            if round < gaps {
                made.add(at, 2, term, json!({"event": "gap", "ms": ms}));
            }
            made.add(at, 2, term, json!({"event": "stepped_down", "why": "gap"}));
            made.add(
                at,
                2,
                term,
                json!({"event": "election_started", "why": "gap"}),
            );
            made.add(at, 2, term + 1, json!({"event": "election_won"}));
            made.add(at, 2, term + 1, json!({"event": "acting"}));
        }
        for node in 0..2 {
            let following = json!({"event": "following", "coordinator": 2});
            made.add(T + every * times, node, times + 1, following);
        }
    }
}

#[test]
fn l3_gaps_for_which_there_was_no_time_and_elections_for_gaps_that_were_none() {
    assert_sound(&{
        let mut made = Made::new();
        gives_up(1, 10, 500, 1)(&mut made);
        made.run().judged()
    });
    // Two that last for half a second each have half a second between them.
    assert_sound(&{
        let mut made = Made::new();
        gives_up(2, 500, 500, 2)(&mut made);
        made.run().judged()
    });
    breaks("L3", gives_up(50, 10, 500, 50));
    breaks("L3", gives_up(2, 10, 5_000, 2));
    breaks("L3", gives_up(2, 500, 500, 1));
    // A gap of which nobody says how long it was proves nothing.
    breaks("L3", |made| made.add(T, 2, 1, json!({"event": "gap"})));
}

#[test]
fn l3_a_peer_whose_link_ended_and_that_acts_later() {
    let lost = |made: &mut Made| {
        falls("killed")(made);
        let lost = json!({"event": "peer_down", "peer": 0, "peer_incarnation": 1, "by": "link"});
        made.add(T - 20, 1, 1, lost);
    };
    needs_proof(
        "L3",
        |made| {
            lost(made);
            let lives = made.lines.iter().any(|line| line["event"] == "gap");
            if !lives {
                let refused = json!({"event": "stale_refused", "what": "assign", "from": 2});
                made.add(T - 10, 0, 1, refused);
            }
        },
        // Here it was silent from then on.
        |made| made.add(T - 300, 0, 1, json!({"event": "gap", "ms": 100})),
    );
}

#[test]
fn s7_an_operation_that_was_taken_without_a_cause() {
    let taken = |why: &'static str| {
        move |made: &mut Made| {
            let op = op(0);
            let taken = json!({"event": "operation_reassigned", "op": op, "why": why});
            made.add(T, 2, 1, taken);
        }
    };
    let lost = |by: &'static str| json!({"event": "peer_down", "peer": 0, "peer_incarnation": 1, "by": by});
    breaks("S7", taken("takeover"));
    breaks("S7", taken("whim"));
    needs_proof("S7", taken("worker_died"), |made| {
        falls("killed")(made);
        made.add(T, 2, 1, lost("link"));
    });
    needs_proof("S7", taken("worker_stopped"), |made| {
        falls("stopped")(made);
        made.add(T, 2, 1, lost("hint"));
    });
    needs_proof("S7", taken("worker_silent"), |made| {
        falls("stopped")(made);
        made.add(T, 2, 1, lost("silence"));
    });
    // A stop is no death.
    breaks("S7", |made| {
        falls("stopped")(made);
        made.add(T, 2, 1, lost("hint"));
        taken("worker_died")(made);
    });
    let again = |made: &mut Made| {
        let again = json!({"event": "operation_recomputed", "op": op(0), "why": "deadline"});
        made.add(T + 10, 2, 1, again);
    };
    needs_proof("S7", again, taken("deadline"));
}

#[test]
fn s7_a_deadline_that_has_not_passed() {
    let taken = |at: u64, n: u64| {
        let taken = json!({"event": "operation_reassigned", "op": op(n), "why": "deadline"});
        move |made: &mut Made| made.add(at, 2, 1, taken.clone())
    };
    let broken = |deadline: u64, spoil: &dyn Fn(&mut Made)| {
        let mut made = Made::new();
        spoil(&mut made);
        let mut run = made.run();
        run.operation_deadline = Some(Duration::from_secs(deadline));
        let found = run.judged();
        let found: Vec<&str> = found.iter().map(|found| found.invariant).collect();
        found.join(" ")
    };
    let assigned = |at: u64, n: u64| {
        let assigned = json!({"event": "assigned", "op": op(n), "worker": 0});
        move |made: &mut Made| made.add(at, 2, 1, assigned.clone())
    };
    // It was handed out at 300.
    assert_eq!(broken(60, &taken(T, 0)), "S7");
    assert_eq!(broken(5, &taken(T, 0)), "");
    // Again, and not so long ago; unless the coordinator slept for as long before it wrote that line.
    let again = |made: &mut Made| {
        assigned(T - 3_000, 0)(made);
        taken(T, 0)(made);
    };
    assert_eq!(broken(5, &again), "S7");
    for (ms, found) in [(1_200, ""), (500, "S7")] {
        let asleep = |made: &mut Made| {
            again(made);
            made.add(T - 2_990, 2, 1, json!({"event": "gap", "ms": ms}));
        };
        assert_eq!(broken(5, &asleep), found);
    }
    // It goes with another of its worker, which is overdue; but not in another moment.
    for (at, found) in [(T, ""), (T - 1, "S7")] {
        let together = |made: &mut Made| {
            again(made);
            taken(at, 1)(made);
        };
        assert_eq!(broken(5, &together), found);
    }
    // It was taken over when the coordinator began to act, at 50.
    let taken_over = |made: &mut Made| {
        let other = op(2);
        let assigned = json!({"event": "assigned", "op": other, "worker": 0});
        made.add_of(2, 1, 2, 0, json!({"event": "election_won"}));
        made.add_of(3, 1, 2, 0, json!({"event": "acting"}));
        made.add_of(4, 1, 2, 0, assigned);
        let end = json!({"event": "stepped_down", "why": "promised"});
        made.add_of(5, 1, 2, 0, end);
        let why = "deadline";
        let taken = json!({"event": "operation_reassigned", "op": other, "why": why});
        made.add(T, 2, 1, taken);
    };
    assert_eq!(broken(5, &taken_over), "");
    assert_eq!(broken(60, &taken_over), "S7");
}
