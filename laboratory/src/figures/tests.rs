use serde_json::{Value, json};

use super::*;
use crate::log::Log;

/// Of the events of a run that is asked to end at 90 ms, each with when, of whom, and what.
fn figures(events: &[(u64, u64, &str, Value)]) -> Figures {
    let lines = events.iter().map(|(ms, node, name, fields)| {
        let mut line = json!({
            "mono_ns": ms * 1_000_000, "node": node, "incarnation": node + 1, "event": name,
        });
        for (field, value) in fields.as_object().expect("fields") {
            line[field] = value.clone();
        }
        format!("{line}\n")
    });
    let run = Run {
        log: Log::parse(lines.collect::<String>().as_bytes()),
        end_ns: 90_000_000,
        ..Run::default()
    };
    let failovers = Failover::all(&run.log);
    Figures::of(&run, &failovers)
}

fn operation(index: u32) -> Value {
    json!({"op": {"n": 40, "kind": "multiply", "level": 0, "index": index}})
}

fn taken(index: u32, why: &str) -> Value {
    let mut fields = operation(index);
    fields["why"] = why.into();
    fields
}

fn counts(of: &[(&str, usize)]) -> BTreeMap<String, usize> {
    of.iter().map(|&(what, n)| (what.to_owned(), n)).collect()
}

#[test]
fn what_a_run_comes_to() {
    let none = || json!({});
    let figures = figures(&[
        (0, 1, "node_spawned", none()),
        (0, 2, "node_spawned", none()),
        (1, 2, "election_started", none()),
        (2, 2, "election_won", none()),
        (3, 2, "acting", none()),
        (10, 0, "completed", operation(0)),
        (11, 1, "completed", operation(1)),
        (20, 2, "operation_reassigned", taken(0, "worker_died")),
        (21, 1, "completed", operation(0)),
        (22, 0, "completed", operation(1)),
        (23, 2, "operation_recomputed", taken(1, "deadline")),
        (30, 2, "node_exited", json!({"signal": "SIGKILL"})),
        (31, 1, "election_started", none()),
        (32, 1, "election_won", none()),
        (34, 1, "acting", none()),
        (35, 2, "node_spawned", none()),
        (40, 1, "stale_refused", json!({"what": "assign", "from": 2})),
        (41, 0, "stale_refused", json!({"what": "assign", "from": 2})),
        (
            42,
            0,
            "stale_refused",
            json!({"what": "heartbeat", "from": 2}),
        ),
    ]);
    assert_eq!(figures.restarts, 1);
    assert_eq!(figures.elections, Elections { started: 2, won: 2 });
    assert_eq!(figures.operations, 4);
    // The second had been taken from nobody.
    let again = counts(&[("overlap", 1), ("worker_died", 1)]);
    assert_eq!(figures.computed_again, again);
    assert_eq!(figures.reassigned, counts(&[("worker_died", 1)]));
    assert_eq!(figures.duplicates, 1);
    let refused = counts(&[("assign", 2), ("heartbeat", 1)]);
    assert_eq!(figures.stale_refused, refused);
    let spread = &figures.failovers["SIGKILL"];
    assert_eq!((spread.count, spread.max), (1, 4.0));
}

#[test]
fn what_the_end_itself_causes_does_not_count() {
    let late = [
        (1, 2, "acting", json!({})),
        (50, 0, "completed", operation(0)),
        (91, 1, "node_spawned", json!({})),
        (92, 1, "node_spawned", json!({})),
        (93, 1, "election_started", json!({})),
        (94, 2, "operation_reassigned", taken(0, "worker_died")),
        (95, 1, "stale_refused", json!({"what": "assign", "from": 2})),
        (96, 1, "completed", operation(0)),
    ];
    assert_eq!(figures(&late), figures(&late[..2]));
}
