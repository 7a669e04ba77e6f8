//! S5 to S8: what is computed, by whom, and how often.

use serde_json::{Value, json};

use super::Mutation;
use crate::spoilt::{Spoilt, life};

pub(super) const ALL: &[Mutation] = &[
    ("an operation beyond the last of its level", &["S5"], |s| {
        spoil_op(s, |op| op["index"] = json!(9_999))
    }),
    ("an operation above the top of its tree", &["S5"], |s| {
        spoil_op(s, |op| op["level"] = json!(30))
    }),
    (
        "a product is done, and nobody computed one of its leaves",
        &["S5"],
        |s| {
            let done = *s.named("product_done").last()?;
            let n = s.number(done, "n");
            let is_leaf = |line: &Value| {
                let op = &line["op"];
                line["event"] == "completed"
                    && (&op["n"], &op["kind"], &op["level"])
                        == (&json!(n), &json!("multiply"), &json!(0))
            };
            let leaf = s.lines[s.next(0, is_leaf)?]["op"].clone();
            s.lines
                .retain(|line| line["event"] != "completed" || line["op"] != leaf);
            Some(())
        },
    ),
    (
        "a product is done of which nothing was computed",
        &["S5"],
        |s| {
            let done = *s.named("product_done").last()?;
            s.insert(
                done,
                1,
                &[json!({"event": "product_done", "n": 1_999, "plan": "tree"})],
            );
            Some(())
        },
    ),
    ("a coordinator computes", &["S6"], |s| {
        by_coordinator(s, "computing")
    }),
    ("a coordinator completes", &["S6"], |s| {
        by_coordinator(s, "completed")
    }),
    ("a winner computes before it acts", &["S6"], |s| {
        let acting = *s.named("acting").last()?;
        let by = s.life(acting);
        let won = s.places(|line| line["event"] == "election_won" && life(line) == by);
        let won = *won.last()?;
        (s.number(acting, "mono_ns") > s.number(won, "mono_ns") + 10).then_some(())?;
        let op = s.lines[*s.named("computing").first()?]["op"].clone();
        s.insert(won, 1, &[json!({"event": "computing", "op": op})]);
        Some(())
    }),
    ("a worker computes the same twice", &["S7"], |s| {
        let (completed, op) = quietly_completed(s)?;
        let again = ["computing", "completed"].map(|name| json!({"event": name, "op": op}));
        s.insert(completed, 1, &again);
        Some(())
    }),
    ("another computes what is in the checkpoint", &["S7"], |s| {
        let (_, op) = quietly_completed(s)?;
        let kept = s.next(0, |line| {
            line["event"] == "checkpointed" && line["op"] == op
        })?;
        let by = s.life(kept);
        let other = s.followers().into_iter().find(|&other| other != by)?;
        let again = ["computing", "completed"].map(|name| json!({"event": name, "op": op}));
        s.insert(kept, 1, &again);
        for at in [kept + 1, kept + 2] {
            s.give(at, other);
            s.lines[at]["role"] = json!("worker");
        }
        Some(())
    }),
    (
        "an operation is taken from the dead, and nobody died",
        &["S7"],
        |s| reassign(s, "worker_died"),
    ),
    (
        "an operation is taken from the stopped, and nobody was stopped",
        &["S7"],
        |s| reassign(s, "worker_stopped"),
    ),
    (
        "an operation is taken from the silent, and nobody was silent",
        &["S7"],
        |s| reassign(s, "worker_silent"),
    ),
    ("an operation is overdue at once", &["S7"], |s| {
        let deadline = s.run.operation_deadline?;
        (deadline.as_secs() >= 5).then_some(())?;
        reassign(s, "deadline")
    }),
    (
        "an operation is taken for a cause that there is not",
        &["S7"],
        |s| reassign(s, "boredom"),
    ),
    (
        "an operation is computed again that was never taken away",
        &["S7"],
        |s| {
            let (_, op) = quietly_completed(s)?;
            let kept = s.next(0, |line| {
                line["event"] == "checkpointed" && line["op"] == op
            })?;
            let event = json!({"event": "operation_recomputed", "op": op, "why": "worker_silent"});
            s.insert(kept, 1, &[event]);
            Some(())
        },
    ),
    (
        "an operation is in the checkpoint and was completed by nobody",
        &["S3", "S5", "S7"],
        |s| {
            let (_, op) = quietly_completed(s)?;
            s.lines
                .retain(|line| line["event"] != "completed" || line["op"] != op);
            Some(())
        },
    ),
    (
        "an operation is completed and was handed to nobody",
        &["S3", "S5", "S7"],
        |s| {
            let (_, op) = quietly_completed(s)?;
            s.lines
                .retain(|line| line["event"] != "assigned" || line["op"] != op);
            Some(())
        },
    ),
    (
        "an operation is completed and was handed to others",
        &["S3", "S5", "S7"],
        |s| {
            let (completed, op) = quietly_completed(s)?;
            let worker = s.number(completed, "node");
            for line in s.lines.iter_mut().filter(|line| line["op"] == op) {
                if line["event"] == "assigned" {
                    line["worker"] = json!((worker + 1) % 2);
                }
            }
            (worker > 1).then_some(())
        },
    ),
    (
        "an operation is handed out after it was checkpointed",
        &["S3", "S5", "S7"],
        |s| {
            let (_, op) = quietly_completed(s)?;
            let assigned = s.places(|line| line["event"] == "assigned" && line["op"] == op);
            let [assigned] = assigned[..] else {
                return None;
            };
            let kept = s.next(0, |line| {
                line["event"] == "checkpointed" && line["op"] == op
            })?;
            let mut line = s.lines.remove(assigned);
            line["mono_ns"] = json!(s.number(kept - 1, "mono_ns") + 1);
            s.lines.insert(kept, line);
            Some(())
        },
    ),
];

/// Something handed out has another name.
fn spoil_op(s: &mut Spoilt, spoil: fn(&mut Value)) -> Option<()> {
    let is_product = |line: &Value| line["event"] == "assigned" && line["op"]["kind"] == "multiply";
    let assigned = *s.places(is_product).last()?;
    spoil(&mut s.lines[assigned]["op"]);
    Some(())
}

fn by_coordinator(s: &mut Spoilt, name: &str) -> Option<()> {
    let assigned = *s.named("assigned").last()?;
    let op = s.lines[assigned]["op"].clone();
    s.insert(assigned, 1, &[json!({"event": name, "op": op})]);
    Some(())
}

/// Where an operation is completed that one coordinator handed out once, to somebody who lives quietly, and
/// that nobody took away; and which: no leaf, and nothing of a factorial that is over.
fn quietly_completed(s: &Spoilt) -> Option<(usize, Value)> {
    let quiet = s.quiet_lives();
    let mut completed = s.named("completed").into_iter();
    let found = completed.find(|&at| {
        let op = &s.lines[at]["op"];
        let told = |name: &str| {
            let places = s.places(|line| line["event"] == name && line["op"] == *op);
            places.first().filter(|_| places.len() == 1).copied()
        };
        let (Some(assigned), Some(kept)) = (told("assigned"), told("checkpointed")) else {
            return false;
        };
        told("completed").is_some()
            && op["kind"] == "multiply"
            && op["level"] == 1
            && quiet.contains(&s.life(at))
            && quiet.contains(&s.life(kept))
            && s.life(assigned) == s.life(kept)
            && s.named("operation_reassigned").is_empty()
            // Of a job that waits nobody may know yet what it needs.
            && s.named("job_waits").is_empty()
            // After the last operation of all the job may be over.
            && s.next(kept, |line| line["event"] == "completed" && line["op"]["n"] == op["n"])
                .is_some()
    });
    found.map(|at| (at, s.lines[at]["op"].clone()))
}

/// A coordinator takes an operation from a worker as soon as it has handed it out, and has lost nobody.
fn reassign(s: &mut Spoilt, why: &str) -> Option<()> {
    let quiet = s.quiet_lives();
    let mut assigned = s.named("assigned").into_iter();
    let assigned = assigned.find(|&at| {
        let by = s.life(at);
        let lost = s.places(|line| line["event"] == "peer_down" && life(line) == by);
        quiet.contains(&by) && lost.iter().all(|&lost| lost > at)
    })?;
    let op = s.lines[assigned]["op"].clone();
    s.insert(
        assigned,
        1,
        &[json!({"event": "operation_reassigned", "op": op, "why": why})],
    );
    Some(())
}
