//! The events that are drawn one by one.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::clock::Clock;
use super::lives::Lives;
use crate::log::{Event, Log};
use crate::words::words;

/// The kinds of events, the most important first: if two would overlap, the first is
/// drawn, and if there are too many events, the last are left out.
pub(super) const KINDS: [&str; 26] = [
    "values_differ",
    "node_exited",
    "node_stopped",
    "node_continued",
    "acting",
    "fault_injected",
    "election_won",
    "stale_refused",
    "stepped_down",
    "gap",
    "job_rejected",
    "job_deleted",
    "job_done",
    "result_published",
    "job_accepted",
    "operation_recomputed",
    "operation_reassigned",
    "product_done",
    "election_started",
    "node_spawned",
    "started",
    EXITED,
    "other",
    "following",
    "peer_down",
    "peer_up",
];
/// A `node_exited` that no signal caused: the end of a run, mostly.
const EXITED: &str = "node_exited by itself";
/// Maximum number of marks: with more, the page would load slowly.
const LIMIT: usize = 100_000;

/// Marks, in the order of time, as columns of one length.
#[derive(Debug, Default, Serialize)]
pub(super) struct Marks {
    pub(super) kinds: Vec<&'static str>,
    /// Microseconds since the mark before.
    pub(super) after: Vec<u64>,
    pub(super) life: Vec<u64>,
    pub(super) kind: Vec<usize>,
    /// -1 where the event names none.
    pub(super) term: Vec<i64>,
    /// Which of `details`.
    pub(super) detail: Vec<usize>,
    /// The events' own fields and their descriptions, each once.
    pub(super) details: Vec<Value>,
    pub(super) words: Vec<String>,
}

impl Marks {
    /// The marks of a log, and a sentence for each kind that is incomplete.
    pub(super) fn of(log: &Log, clock: Clock, lives: &Lives) -> (Marks, Vec<String>) {
        let (steps, left_out) = thinning(log);
        let mut marks = Marks {
            kinds: KINDS.to_vec(),
            ..Marks::default()
        };
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        let mut seen = [0_usize; KINDS.len()];
        let mut last = 0;
        for event in log.events.iter().filter(|event| !event.is_traced()) {
            let kind = kind(event);
            seen[kind] += 1;
            if steps[kind].is_none_or(|step| seen[kind] % step != 0) {
                continue;
            }
            let at = clock.us(event.at());
            marks.after.push(at - last);
            last = at;
            marks.life.push(lives.index(event.life()));
            marks.kind.push(kind);
            marks
                .term
                .push(event.told_term().map_or(-1, u64::cast_signed));
            let (own, said) = (own_fields(event), words(event));
            let next = marks.details.len();
            let detail = *known.entry(format!("{said}{own}")).or_insert(next);
            if detail == next {
                marks.details.push(own);
                marks.words.push(said);
            }
            marks.detail.push(detail);
        }
        (marks, left_out)
    }
}

fn kind(event: &Event) -> usize {
    let place = |name: &str| KINDS.iter().position(|&kind| kind == name);
    let has_code = event.name() == "node_exited" && event.fields["code"].is_u64();
    place(if has_code { EXITED } else { event.name() })
        .or_else(|| place("other"))
        .unwrap_or(0)
}

fn own_fields(event: &Event) -> Value {
    let mut own = event.own();
    if KINDS[kind(event)] == "other" {
        own.insert("event".to_owned(), event.name().into());
    }
    Value::Object(own)
}

/// The interval at which marks of a kind are kept (none: it is left out), so that their total stays within the
/// limit; and the sentence about it.
fn thinning(log: &Log) -> ([Option<usize>; KINDS.len()], Vec<String>) {
    let mut counts = [0_usize; KINDS.len()];
    for event in log.events.iter().filter(|event| !event.is_traced()) {
        counts[kind(event)] += 1;
    }
    let mut room = LIMIT;
    let mut left_out = Vec::new();
    let steps = std::array::from_fn(|kind| {
        let count = counts[kind];
        let step = match room {
            _ if count <= room => Some(1),
            0 => None,
            _ => Some(count.div_ceil(room)),
        };
        let kept = step.map_or(0, |step| count / step);
        room -= kept;
        if kept < count {
            let name = KINDS[kind];
            left_out.push(format!("{kept} of {count} events {name} are shown"));
        }
        step
    });
    (steps, left_out)
}
