//! The verdict on lost products, put to the test: an operation that is computed again, though its
//! product cannot have been lost, is found; and whatever may have lost it excuses.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod made;

use made::{END, Made, assert_sound, breaks, needs_proof, op};
use serde_json::json;

#[test]
fn s7_an_operation_computed_twice_without_a_cause() {
    let again = |made: &mut Made| made.operation(450, 1, "completed", "multiply");
    breaks("S7", again);

    let mut made = Made::new();
    again(&mut made);
    let op = op("multiply");
    let cause = json!({"event": "operation_reassigned", "op": op, "why": "deadline"});
    made.add(340, 2, 1, cause);
    assert_sound(&made.run().judge());

    let mut made = Made::new();
    again(&mut made);
    made.add(330, 0, 1, json!({"event": "node_stopped"}));
    made.add(340, 0, 1, json!({"event": "node_continued"}));
    assert_sound(&made.run().judge());

    // For a later job, since the first one's products are dropped with it.
    let mut made = Made::new();
    made.operation(600, 1, "completed", "multiply");
    assert_sound(&made.run().judge());
}

/// Node 0 computes a product that is kept, and dies; the coordinator dies, and the next one has the
/// product computed again.
struct Loss {
    /// When the coordinator dies; node 0 has died 100 ms before.
    at: u64,
    /// The next one: node 1, which was told of the product, or node 2, which comes again and collects
    /// it from node 1.
    next: u64,
    /// How long the next one collects.
    collecting: u64,
    /// How long after that node 1 follows it.
    joining: u64,
    /// Whether the conversion, which is all that is left, comes after that.
    is_unfinished: bool,
}

const LOSS: Loss = Loss {
    at: 4_000,
    next: 2,
    collecting: 5,
    joining: 2,
    is_unfinished: true,
};

impl Loss {
    fn tell(&self, made: &mut Made) {
        made.remove(|line| line["code"] == 0 && line["node"] != 1);
        made.remove(|line| line["job"] == "none" && line["event"] != "job_accepted");
        if self.is_unfinished {
            made.remove(|line| line["op"]["kind"] == "decimal");
        }
        let killed = json!({"event": "node_exited", "signal": "SIGKILL"});
        for (at, node, life, term) in [(self.at - 100, 0, 9, 1), (self.at, 2, 8, 2)] {
            made.add(at, node, 1, killed.clone());
            made.add_of(at + 1, node, life, 1, json!({"event": "node_spawned"}));
            made.add_of(at + 2, node, life, term, json!({"event": "started"}));
            let exited = json!({"event": "node_exited", "code": 0});
            made.add_of(END + 10, node, life, 2, exited);
        }
        self.take_over(made);
        self.compute_again(made);
    }

    fn life(&self) -> (u64, u64) {
        (self.next, if self.next == 2 { 8 } else { 2 })
    }

    fn take_over(&self, made: &mut Made) {
        let (node, life) = self.life();
        let acts = self.at + 100 + self.collecting;
        made.add_of(
            self.at + 100,
            node,
            life,
            2,
            json!({"event": "election_won"}),
        );
        made.add_of(acts, node, life, 2, json!({"event": "acting"}));
        for (other, life, joining) in [(0, 9, 2), (1, 2, self.joining), (2, 8, 2)] {
            let following = json!({"event": "following", "coordinator": node});
            if other != node {
                made.add_of(acts + joining, other, life, 2, following);
            }
        }
    }

    fn compute_again(&self, made: &mut Made) {
        let (node, life) = self.life();
        let kinds: &[&str] = if self.is_unfinished {
            &["multiply", "decimal"]
        } else {
            &["multiply"]
        };
        for (at, kind) in (self.at + 1_000..).step_by(100).zip(kinds) {
            let assigned = json!({"event": "assigned", "op": op(kind), "worker": 0});
            made.add_of(at, node, life, 2, assigned);
            let told = |event: &str| json!({"event": event, "op": op(kind)});
            made.add_of(at + 10, 0, 9, 2, told("computing"));
            made.add_of(at + 20, 0, 9, 2, told("completed"));
            made.add_of(at + 30, node, life, 2, told("checkpointed"));
        }
        for (at, event) in [(2_000, "result_published"), (2_010, "job_done")] {
            let told = json!({"event": event, "job": "none"});
            made.add_of(self.at + at, node, life, 2, told);
        }
    }
}

/// Breaks S7, and nothing else.
fn is_found(loss: &Loss) {
    let mut made = Made::new();
    loss.tell(&mut made);
    let mut run = made.run();
    // Node 1 acts at last while node 2 lives: that is for L1 to say.
    run.highest_coordinates = false;
    let found = run.judge();
    let names: Vec<&str> = found.iter().map(|found| found.invariant).collect();
    assert_eq!(names, ["S7"], "{found:#?}");
    // What shows it: the first product, that it was kept, that it was handed out again, the second.
    assert_eq!(found[0].events.len(), 4);
}

fn is_excused(loss: &Loss, spoil: impl FnOnce(&mut Made)) {
    let mut made = Made::new();
    loss.tell(&mut made);
    spoil(&mut made);
    assert_sound(&made.run().judge());
}

#[test]
fn s7_a_product_that_its_coordinator_must_have_had() {
    is_found(&LOSS);
    is_found(&Loss { next: 1, ..LOSS });
    // A coordinator that hands out again what it keeps itself.
    breaks("S7", |made| {
        made.remove(|line| line["code"] == 0 && line["node"] == 0);
        made.add(
            340,
            0,
            1,
            json!({"event": "node_exited", "signal": "SIGKILL"}),
        );
        let assigned = json!({"event": "assigned", "op": op("multiply"), "worker": 1});
        made.add(350, 2, 1, assigned);
        made.operation(370, 1, "completed", "multiply");
    });
}

#[test]
fn s7_a_product_that_may_be_lost() {
    // The coordinator died so soon that it may have told nobody.
    is_excused(&Loss { at: 1_000, ..LOSS }, |_| ());
    // It took so long that it may have passed over who had it, or that one so long to follow.
    let collecting = 120;
    is_excused(&Loss { collecting, ..LOSS }, |_| ());
    is_excused(
        &Loss {
            joining: 60,
            ..LOSS
        },
        |_| (),
    );
    // Nothing was left to do: a job may have ended, and all of it been forgotten.
    let is_unfinished = false;
    is_excused(
        &Loss {
            is_unfinished,
            ..LOSS
        },
        |_| (),
    );
    // Who had it was away.
    is_excused(&LOSS, |made| {
        made.add(3_000, 1, 1, json!({"event": "node_stopped"}));
        made.add(3_010, 1, 1, json!({"event": "node_continued"}));
    });
    // It had promised to another by then, and took nothing any more.
    is_excused(&LOSS, |made| {
        made.add(500, 1, 2, json!({"event": "election_won"}));
    });
}

#[test]
fn s7_a_takeover_alone_is_no_cause_to_compute_again() {
    let taken_over = |made: &mut Made| {
        made.operation(450, 1, "completed", "multiply");
        let taken =
            json!({"event": "operation_reassigned", "op": op("multiply"), "why": "takeover"});
        made.add(440, 2, 1, taken);
        let assigned = json!({"event": "assigned", "op": op("multiply"), "worker": 0});
        made.add_of(5, 1, 2, 0, json!({"event": "acting"}));
        made.add_of(6, 1, 2, 0, assigned);
        made.add_of(
            7,
            1,
            2,
            0,
            json!({"event": "stepped_down", "why": "promised"}),
        );
        made.add_of(4, 1, 2, 0, json!({"event": "election_won"}));
    };
    needs_proof("S7", taken_over, |made| {
        // Who had it was there, and could not be heard.
        made.remove(|line| line["event"] == "following" && line["node"] == 0);
        let following = json!({"event": "following", "coordinator": 2});
        made.add(200, 0, 1, following);
    });
    needs_proof("S7", taken_over, |made| {
        // Somebody was passed over, since it took so long to collect.
        made.remove(|line| matches!(line["event"].as_str(), Some("acting" | "following")));
        for (at, event) in [
            (160, "job_rejected"),
            (161, "result_published"),
            (162, "job_done"),
        ] {
            made.remove(|line| line["event"] == event && line["job"] == "bad");
            made.job(at, event, "bad");
        }
        made.add(150, 2, 1, json!({"event": "acting"}));
        for node in 0..2 {
            let following = json!({"event": "following", "coordinator": 2});
            made.add(155 + node, node, 1, following);
        }
    });
    needs_proof("S7", taken_over, |made| {
        made.add(330, 0, 1, json!({"event": "node_stopped"}));
        made.add(335, 0, 1, json!({"event": "node_continued"}));
    });
}
