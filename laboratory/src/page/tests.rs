use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::figures::Figures;
use crate::verdict::Run;

/// Ends the script and the tag that it stands in, turns the text around, and breaks a line.
const EVIL: &str = "</script><img src=x onerror=alert(1)>\"'&\u{202e}{{script}}\u{2028}";

/// A log of `(ms, node, incarnation, event, fields)`.
fn log(events: &[(u64, u64, u64, &str, Value)]) -> Log {
    let lines = events.iter().map(|(ms, node, incarnation, name, fields)| {
        let mut line = json!({
            "ts": "2026-01-02T03:04:05.000006Z", "mono_ns": 7_000_000_000 + ms * 1_000_000,
            "node": node, "incarnation": incarnation, "pid": 40 + incarnation, "term": 1,
            "event": name,
        });
        for (field, value) in fields.as_object().unwrap() {
            line[field] = value.clone();
        }
        format!("{line}\n")
    });
    Log::parse(lines.collect::<String>().as_bytes())
}

/// Node 5 coordinates, is killed after 100 ms and replaced by node 4 after 107; a job goes on.
fn run() -> Log {
    log(&[
        (0, 5, 6, "node_spawned", json!({})),
        (0, 4, 5, "node_spawned", json!({})),
        (10, 5, 6, "acting", json!({"role": "coordinator"})),
        (
            11,
            4,
            5,
            "following",
            json!({"role": "worker", "coordinator": 5}),
        ),
        (
            20,
            5,
            6,
            "job_accepted",
            json!({"role": "coordinator", "job": EVIL}),
        ),
        (30, 4, 5, "computing", operation(0)),
        (40, 4, 5, "completed", operation(0)),
        (100, 5, 6, "node_exited", json!({"signal": "SIGKILL"})),
        (
            101,
            4,
            5,
            "election_won",
            json!({"role": "candidate", "term": 2}),
        ),
        (
            107,
            4,
            5,
            "acting",
            json!({"role": "coordinator", "term": 2}),
        ),
        (
            120,
            4,
            5,
            "job_accepted",
            json!({"role": "coordinator", "job": EVIL}),
        ),
        (
            200,
            4,
            5,
            "job_done",
            json!({"role": "coordinator", "job": EVIL}),
        ),
    ])
}

fn operation(index: u64) -> Value {
    let op = json!({"n": 10, "kind": "multiply", "level": 0, "index": index});
    json!({"role": "worker", "op": op})
}

fn report(log: Log) -> Report {
    let failovers = Failover::all(&log);
    let run = Run {
        log,
        end_ns: u64::MAX,
        ..Run::default()
    };
    Report {
        title: EVIL.to_owned(),
        settings: vec![(EVIL.to_owned(), EVIL.to_owned())],
        figures: Figures::of(&run, &failovers),
        failovers,
        log: run.log,
        ..Report::default()
    }
}

/// The data that a page holds for its script.
fn data(page: &str) -> Value {
    let (_, after) = page
        .split_once("<script type=\"application/json\" id=\"data\">")
        .unwrap();
    let (data, _) = after.split_once("</script>").unwrap();
    serde_json::from_str(data).unwrap()
}

#[test]
fn what_the_log_holds_is_text_wherever_it_stands() {
    let mut evil = report(run());
    let shown_by: Vec<_> = evil.log.events.iter().take(1).collect();
    evil.verdict = Some(vec![Violation::new("S4", EVIL, &shown_by)]);
    let page = render(&evil);
    assert!(!page.contains("<img"), "markup from the log");
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script>").count(), 2);
    assert_eq!(data(&page)["jobs"][0]["name"], EVIL);
}

#[test]
fn nothing_but_its_own_script_may_run_and_nothing_is_fetched() {
    let page = render(&report(run()));
    let (_, script) = page.rsplit_once("<script>").unwrap();
    let (script, _) = script.split_once("</script>").unwrap();
    let (_, style) = page.split_once("<style>").unwrap();
    let (style, _) = style.split_once("</style>").unwrap();
    for (what, text) in [("script-src", script), ("style-src", style)] {
        let allowed = format!("{what} 'sha256-{}';", hash(text));
        assert!(page.contains(&allowed), "{allowed}");
    }
    // Only what is ours can be told from an address in the text of the log.
    let own = render(&Report::default());
    for fetched in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!own.contains(fetched), "{fetched}");
    }
}

#[test]
fn it_shows_who_coordinated_and_how_long_nobody_did() {
    let picture = data(&render(&report(run())));
    let lives = &picture["lives"];
    let nodes: Vec<&Value> = picture["reigns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reign| &lives[usize::try_from(reign[2].as_u64().unwrap()).unwrap()][0])
        .collect();
    assert_eq!(nodes, [5, 4]);
    let absences = picture["absences"].as_array().unwrap();
    assert_eq!(absences.len(), 2);
    assert_eq!(absences[0]["kind"], "start");
    let loss =
        json!({"from": 100_000, "to": 107_000, "kind": "failover", "cause": "node 5: SIGKILL"});
    assert_eq!(absences[1], loss);
    assert_eq!(picture["terms"], json!([[0, 1], [101_000, 2]]));
}

#[test]
fn a_lane_has_a_state_at_every_moment() {
    let picture = data(&render(&report(run())));
    let (coordinator, dead, recovering) = (
        lanes::State::Coordinator as u64,
        lanes::State::Dead as u64,
        lanes::State::Recovering as u64,
    );
    let spans = picture["spans"].as_array().unwrap();
    let of_five: Vec<&Value> = spans.iter().filter(|span| span[0] == 5).collect();
    assert_eq!(
        of_five,
        [
            &json!([5, 0, 10_000, recovering, 0]),
            &json!([5, 10_000, 100_000, coordinator, 0]),
            &json!([5, 100_000, 200_000, dead, 0]),
        ]
    );
}

#[test]
fn stops_are_seen_and_what_a_stopped_process_said_before_is_not_its_death() {
    let log = log(&[
        (
            0,
            3,
            4,
            "following",
            json!({"role": "worker", "coordinator": 5}),
        ),
        (10, 3, 4, "node_stopped", json!({})),
        (30, 3, 4, "node_continued", json!({})),
        (31, 3, 4, "gap", json!({"role": "worker", "ms": 20})),
        (
            40,
            3,
            4,
            "fault_injected",
            json!({"role": "worker", "do": "stall", "at": "before-send"}),
        ),
        (60, 3, 4, "gap", json!({"role": "worker", "ms": 20})),
        (70, 3, 9, "node_exited", json!({"signal": "SIGKILL"})),
    ]);
    let clock = Clock::of(&log);
    let states: Vec<u64> = lanes::spans(&log, &[], clock, &Lives::of(&log))
        .iter()
        .map(|span| span[3])
        .collect();
    use lanes::State::{Stalled, Stopped, Worker};
    assert_eq!(
        states,
        [Worker, Stopped, Worker, Stalled, Worker].map(|state| state as u64)
    );
}

#[test]
fn an_operation_is_told_from_its_assignment_to_the_checkpoint() {
    let mut assigned = operation(0);
    assigned["worker"] = 4.into();
    let log = log(&[
        (0, 5, 6, "assigned", assigned),
        (3, 4, 5, "computing", operation(0)),
        (5, 4, 5, "completed", operation(0)),
        (6, 5, 6, "checkpointed", operation(0)),
        (7, 4, 5, "computing", operation(1)),
        (8, 5, 6, "product_done", json!({"n": 10, "plan": "tree"})),
    ]);
    let picture = data(&render(&report(log)));
    let operations = &picture["operations"];
    assert_eq!(operations["after"], json!([3_000, 4_000]));
    assert_eq!(operations["waited"], json!([3_000, -1]));
    assert_eq!(operations["took"], json!([2_000, -1]));
    assert_eq!(operations["sent"], json!([1_000, -1]));
    assert_eq!(operations["factorials"], json!([[10, "multiply"]]));
    assert_eq!(
        operations["words"],
        json!(["10 × 9 × 8 × 7", "6 × 5 × 4 × 3"])
    );
}

#[test]
fn torn_lines_are_counted_on_the_page() {
    let mut text = b"{\"mono_ns\":1,\"no\n{\"mono".to_vec();
    let whole = r#"{"mono_ns":5,"node":1,"incarnation":2,"event":"started","role":"recovering"}"#;
    text.extend_from_slice(whole.as_bytes());
    let page = render(&report(Log::parse(&text)));
    assert!(page.contains("2 lines of the log are torn"), "{page}");
    assert_eq!(data(&page)["marks"]["kind"].as_array().unwrap().len(), 1);
}

#[test]
fn an_empty_log_is_a_page_too() {
    let picture = data(&render(&report(Log::default())));
    assert_eq!(picture["length"], 0);
    assert_eq!(picture["nodes"], json!([]));
}

#[test]
fn a_verdict_is_told_with_the_events_that_show_it() {
    let mut judged = report(run());
    assert!(!render(&judged).contains("id=\"verdict\""));
    judged.verdict = Some(Vec::new());
    assert!(render(&judged).contains("Sound: every invariant held."));
    let event = &judged.log.events[7];
    judged.verdict = Some(vec![Violation::new("S11", "two lived", &[event])]);
    let page = render(&judged);
    assert!(page.contains("✗ 1 violation"), "{page}");
    assert!(
        page.contains("<a href=\"#from=0.090000&amp;to=0.110000\">"),
        "{page}"
    );
}

#[test]
fn a_long_run_stays_a_small_page_and_says_what_it_leaves_out() {
    let event = |at: usize| match at % 4 {
        0 => ("assigned", 5, 6),
        1 => ("computing", 4, 5),
        2 => ("completed", 4, 5),
        _ => ("checkpointed", 5, 6),
    };
    let mut text = String::new();
    for at in 0..200_000_usize {
        let (name, node, incarnation) = event(at);
        text.push_str(&format!(
            "{{\"mono_ns\":{},\"node\":{node},\"incarnation\":{incarnation},\"event\":\"{name}\",\"worker\":4,\
             \"op\":{{\"n\":9,\"kind\":\"multiply\",\"level\":0,\"index\":{}}}}}\n",
            at * 1_000,
            at / 4
        ));
    }
    for at in 0..110_000 {
        text.push_str(&format!(
            "{{\"mono_ns\":{},\"node\":4,\"incarnation\":5,\"event\":\"peer_up\",\"peer\":5}}\n",
            at * 3_000
        ));
    }
    let page = render(&report(Log::parse(text.as_bytes())));
    assert!(page.len() < 4_000_000, "{}", page.len());
    assert!(page.contains("0 of 50000 operations are shown one by one"));
    assert!(page.contains("of 110000 events peer_up are shown"));
    let counts = data(&page)["operations"]["counts"]["rows"].clone();
    let counted = counts[1]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_u64);
    assert_eq!(counted.sum::<u64>(), 50_000);
}

#[test]
fn cards_and_tables_tell_the_same() {
    let refused = || json!({"what": "assign", "from": 5});
    let log = log(&[
        (0, 5, 6, "acting", json!({})),
        (10, 4, 5, "completed", operation(0)),
        (11, 4, 5, "completed", operation(0)),
        (20, 5, 6, "node_stopped", json!({})),
        (30, 5, 6, "node_continued", json!({})),
        (40, 4, 5, "stale_refused", refused()),
        // Of the shutdown.
        (91, 4, 5, "stale_refused", refused()),
        (92, 4, 5, "completed", operation(1)),
        (93, 4, 5, "node_exited", json!({"signal": "SIGKILL"})),
    ]);
    let run = Run {
        log,
        end_ns: 7_090_000_000,
        ..Run::default()
    };
    let figures = Figures::of(&run, &[]);
    let rows: BTreeMap<String, String> = figures.rows().into_iter().collect();
    let page = render(&Report {
        figures,
        log: run.log,
        ..Report::default()
    });
    for (card, value) in [
        ("faults", "1 (SIGSTOP 1)"),
        ("ended before a takeover", &rows["ended before a takeover"]),
        ("stale acts refused", "1"),
        ("operations computed", "2, of 1 different ones"),
    ] {
        let card = format!("<dt>{card}</dt><dd>{value}</dd>");
        assert!(page.contains(&card), "{card}");
    }
    assert_eq!(rows["stale acts refused"], "1 (assign 1)");
    assert_eq!(rows["operations computed"], "2");
}
