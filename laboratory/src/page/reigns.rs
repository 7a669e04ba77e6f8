//! Who coordinated when, and why nobody did in between.

use serde::Serialize;

use super::clock::Clock;
use super::lives::Lives;
use crate::failovers::Failover;
use crate::log::{Event, Log};

/// The coordinatorships.
#[derive(Debug, Default, Serialize)]
pub(super) struct Reigns {
    /// From, to, life, term.
    pub(super) reigns: Vec<[u64; 4]>,
    /// Times without a coordinator.
    pub(super) absences: Vec<Absence>,
    /// From when on each term was known to somebody: time and term.
    pub(super) terms: Vec<[u64; 2]>,
}

/// A time without a coordinator.
#[derive(Debug, Serialize)]
pub(super) struct Absence {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) kind: Kind,
    /// What ended the coordinator, in words.
    pub(super) cause: String,
}

/// Why nobody coordinated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// The cluster started.
    Start,
    /// The coordinator was lost.
    Failover,
    /// The incumbent gave way to its successor.
    Handover,
    /// It ended, or stepped down, and nobody followed.
    Other,
}

impl Reigns {
    pub(super) fn of(log: &Log, failovers: &[Failover], clock: Clock, lives: &Lives) -> Reigns {
        let mut found = Reigns {
            terms: terms(log, clock),
            ..Reigns::default()
        };
        let acting: Vec<&Event> = log.named("acting").collect();
        if let Some(first) = acting.first() {
            found.absent(0, clock.us(first.at()), Kind::Start, "the cluster starts");
        }
        for (index, begun) in acting.iter().enumerate() {
            let next = acting.get(index + 1).map_or(clock.end_ns, |next| next.at());
            let is_in = |at: u64| (begun.at()..=next).contains(&at);
            let failover = failovers.iter().find(|failover| {
                failover.incarnation == begun.incarnation() && is_in(failover.at_ns)
            });
            let (end, kind, cause) = match failover {
                Some(failover) => (failover.at_ns, Kind::Failover, told(failover)),
                None => ended(log, begun, next, index + 1 < acting.len()),
            };
            let (from, to) = (clock.us(begun.at()), clock.us(end));
            found
                .reigns
                .push([from, to, lives.index(begun.life()), begun.term()]);
            found.absent(to, clock.us(next), kind, &cause);
        }
        found
    }

    fn absent(&mut self, from: u64, to: u64, kind: Kind, cause: &str) {
        if from < to {
            let cause = cause.to_owned();
            self.absences.push(Absence {
                from,
                to,
                kind,
                cause,
            });
        }
    }
}

/// A failover in words: `node 5 got SIGKILL`.
pub(super) fn told(failover: &Failover) -> String {
    let injected = if failover.injected { " (injected)" } else { "" };
    format!("node {}: {}{injected}", failover.node, failover.cause)
}

/// The end of a coordinatorship without a fault.
fn ended(log: &Log, begun: &Event, next: u64, has_successor: bool) -> (u64, Kind, String) {
    let from = log.events.partition_point(|event| event.at() < begun.at());
    let later = log.events[from..]
        .iter()
        .take_while(|event| event.at() <= next);
    let end = later
        .filter(|event| event.life() == begun.life())
        .find(|event| matches!(event.name(), "stepped_down" | "node_exited"));
    match end {
        Some(event) if event.name() == "stepped_down" => {
            let is_handover = has_successor && matches!(event.text("why"), "promised" | "stale");
            let kind = if is_handover {
                Kind::Handover
            } else {
                Kind::Other
            };
            let cause = format!("node {} stepped down: {}", event.node(), event.text("why"));
            (event.at(), kind, cause)
        }
        Some(event) => (
            event.at(),
            Kind::Other,
            format!("node {} ended", event.node()),
        ),
        None => (next, Kind::Other, String::new()),
    }
}

fn terms(log: &Log, clock: Clock) -> Vec<[u64; 2]> {
    let mut terms: Vec<[u64; 2]> = Vec::new();
    for event in &log.events {
        let Some(term) = event.told_term() else {
            continue;
        };
        if terms.last().is_none_or(|last| last[1] < term) {
            terms.push([clock.us(event.at()), term]);
        }
    }
    terms
}
