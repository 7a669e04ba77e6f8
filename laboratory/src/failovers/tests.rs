use serde_json::json;

use super::*;

/// A log of `(ms, node, incarnation, event, fields)`.
fn log(events: &[(u64, u64, u64, &str, serde_json::Value)]) -> Log {
    let lines = events.iter().map(|(ms, node, incarnation, name, fields)| {
        let mut line = json!({
            "mono_ns": ms * 1_000_000, "node": node, "incarnation": incarnation, "event": name,
        });
        for (field, value) in fields.as_object().unwrap() {
            line[field] = value.clone();
        }
        format!("{line}\n")
    });
    Log::parse(lines.collect::<String>().as_bytes())
}

fn lost(ms: u64, by: &str) -> (u64, u64, u64, &'static str, serde_json::Value) {
    let fields = json!({"peer": 5, "peer_incarnation": 6, "by": by});
    (ms, 4, 5, "peer_down", fields)
}

#[test]
fn a_death_counts_from_what_tells_of_it_first() {
    let failovers = Failover::all(&log(&[
        (0, 5, 6, "acting", json!({})),
        (100, 5, 6, "node_exited", json!({"signal": "SIGKILL"})),
        lost(101, "link"),
        (107, 4, 5, "acting", json!({})),
    ]));
    assert_eq!(
        failovers,
        [Failover {
            cause: Cause::Killed("SIGKILL".to_owned()),
            injected: false,
            node: 5,
            incarnation: 6,
            at_ns: 100_000_000,
            successor: 4,
            ms: 7.0,
        }]
    );

    let reaped_late = Failover::all(&log(&[
        (0, 5, 6, "acting", json!({})),
        lost(100, "link"),
        (103, 4, 5, "acting", json!({})),
        (104, 5, 6, "node_exited", json!({"signal": "SIGSEGV"})),
    ]));
    assert_eq!(reaped_late[0].ms, 3.0);
    assert_eq!(reaped_late[0].cause.to_string(), "SIGSEGV");
}

#[test]
fn what_is_signalled_on_demand_counts_from_the_signal() {
    let failovers = Failover::all(&log(&[
        (0, 5, 6, "acting", json!({})),
        (90, 5, 6, "node_signalled", json!({"signal": "SIGCONT"})),
        (97, 5, 6, "node_signalled", json!({"signal": "SIGSTOP"})),
        (99, 5, 6, "node_stopped", json!({})),
        lost(100, "hint"),
        (104, 4, 5, "acting", json!({})),
        (110, 4, 5, "node_signalled", json!({"signal": "SIGKILL"})),
        (112, 4, 5, "node_exited", json!({"signal": "SIGKILL"})),
        (120, 3, 4, "acting", json!({})),
    ]));
    let times: Vec<(String, f64)> = failovers
        .iter()
        .map(|failover| (failover.cause.to_string(), failover.ms))
        .collect();
    assert_eq!(
        times,
        [("SIGSTOP".to_owned(), 7.0), ("SIGKILL".to_owned(), 10.0)]
    );
}

#[test]
fn a_stop_counts_if_somebody_noticed_it() {
    let hand_over = (300, 5, 6, "stepped_down", json!({"why": "promised"}));
    let unnoticed = Failover::all(&log(&[
        (0, 5, 6, "acting", json!({})),
        (100, 5, 6, "node_stopped", json!({})),
        (101, 5, 6, "node_continued", json!({})),
        hand_over.clone(),
        (301, 4, 5, "acting", json!({})),
    ]));
    assert_eq!(unnoticed, []);

    let noticed = Failover::all(&log(&[
        (0, 5, 6, "acting", json!({})),
        (100, 5, 6, "node_stopped", json!({})),
        lost(102, "hint"),
        (104, 4, 5, "acting", json!({})),
        (200, 5, 6, "node_continued", json!({})),
        hand_over,
    ]));
    assert_eq!(noticed[0].ms, 4.0);
    assert_eq!(noticed[0].cause, Cause::Stopped);
}

#[test]
fn an_injected_fault_is_the_cause_of_the_death_that_follows() {
    let fault = json!({"at": "mid-checkpoint", "do": "kill"});
    let failovers = Failover::all(&log(&[
        (0, 5, 6, "acting", json!({})),
        (
            50,
            5,
            6,
            "fault_injected",
            json!({"at": "before-commit", "do": "stall"}),
        ),
        (100, 5, 6, "fault_injected", fault),
        (102, 5, 6, "node_exited", json!({"signal": "SIGKILL"})),
        (110, 4, 5, "acting", json!({})),
    ]));
    assert_eq!(failovers.len(), 1);
    assert!(failovers[0].injected);
    assert_eq!(failovers[0].ms, 10.0);
}

#[test]
fn a_hand_over_is_no_failover() {
    let failovers = Failover::all(&log(&[
        (0, 4, 5, "acting", json!({})),
        (10, 4, 5, "stepped_down", json!({"why": "promised"})),
        (11, 4, 5, "node_exited", json!({"signal": "SIGKILL"})),
        (12, 5, 6, "acting", json!({})),
        (20, 5, 6, "acting", json!({})),
    ]));
    assert_eq!(failovers, []);
}

#[test]
fn a_stop_that_came_to_nothing_is_none() {
    let follows = || json!({"coordinator": 5});
    let hand_over = [
        (9_000, 5, 6, "stepped_down", json!({"why": "promised"})),
        (9_001, 4, 5, "acting", json!({})),
    ];
    let killed = [
        (9_000, 5, 6, "node_exited", json!({"signal": "SIGKILL"})),
        (9_004, 4, 5, "acting", json!({})),
    ];
    let after = |again: &[(u64, u64, u64, &'static str, serde_json::Value)],
                 end: &[(u64, u64, u64, &'static str, serde_json::Value)]| {
        let begin = [
            (0, 5, 6, "acting", json!({})),
            (100, 5, 6, "node_stopped", json!({})),
            lost(101, "hint"),
            (101, 4, 5, "election_started", json!({})),
        ];
        let failovers = Failover::all(&log(&[&begin[..], again, end].concat()));
        let all = failovers.into_iter();
        all.map(|one| (one.cause.to_string(), one.ms))
            .collect::<Vec<_>>()
    };
    let continued = (110, 5, 6, "node_continued", json!({}));
    let again = [continued.clone(), (115, 4, 5, "following", follows())];
    assert_eq!(after(&again, &hand_over), []);
    assert_eq!(after(&again, &killed), [("SIGKILL".to_owned(), 4.0)]);

    // It is stopped still, or somebody else misses it: whoever follows has not heard of it.
    let since_the_stop = [("SIGSTOP".to_owned(), 8_904.0)];
    let late = [(105, 4, 5, "following", follows())];
    assert_eq!(after(&late, &killed), since_the_stop);
    let other = (105, 3, 4, "election_started", json!({}));
    let contested = [other, continued, (115, 4, 5, "following", follows())];
    assert_eq!(after(&contested, &killed), since_the_stop);
}

#[test]
fn a_stop_that_ended_before_anybody_took_over_is_counted_and_no_failover() {
    let log = log(&[
        (0, 5, 6, "acting", json!({})),
        // Nobody noticed these two.
        (100, 5, 6, "node_stopped", json!({})),
        (120, 5, 6, "node_continued", json!({})),
        (200, 5, 6, "fault_injected", json!({"do": "stall"})),
        // A worker, which nobody has to replace.
        (250, 3, 4, "node_stopped", json!({})),
        (300, 5, 6, "node_signalled", json!({"signal": "SIGSTOP"})),
        (301, 5, 6, "node_stopped", json!({})),
        lost(302, "hint"),
        (307, 4, 5, "acting", json!({})),
        // Stale, and nobody's coordinator.
        (400, 5, 6, "node_continued", json!({})),
        (410, 5, 6, "node_stopped", json!({})),
        (500, 4, 5, "node_stopped", json!({})),
        (520, 4, 5, "node_continued", json!({})),
        (900, 4, 5, "node_stopped", json!({})),
    ]);
    let failovers = Failover::all(&log);
    assert_eq!(failovers.len(), 1);
    let counted = unreplaced(&log, &failovers, 800_000_000);
    let expected = [("SIGSTOP", 2), ("stall", 1)];
    assert_eq!(
        counted,
        expected.map(|(cause, n)| (cause.to_owned(), n)).into()
    );
}
