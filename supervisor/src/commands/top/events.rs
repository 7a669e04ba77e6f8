//! The last events, as a person likes to read them.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, SystemTime};

use laboratory::log::Event;
use laboratory::words::words;
use nix::time::{ClockId, clock_gettime};
use protocol::printable::printable;

/// More than any terminal has lines for.
const MOST: usize = 200;
/// Events of several nodes that say the same and are that close are one line.
const TOGETHER_NS: u64 = 1_000_000_000;

/// What happened, once or several times in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The first time, UTC.
    pub(super) at: SystemTime,
    /// To whom.
    pub(super) nodes: BTreeSet<u64>,
    /// What, as what follows a node's name.
    pub(super) words: String,
    /// How often.
    pub(super) times: u64,
    name: String,
    why: String,
    mono_ns: u64,
}

/// The last lines, oldest first.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: VecDeque<Line>,
}

impl Lines {
    /// Adds an event, unless it is one of those that come by the hundred and say little.
    pub(super) fn add(&mut self, event: &Event) {
        if matches!(
            event.name(),
            "assigned" | "computing" | "completed" | "checkpointed" | "peer_up" | "peer_down"
        ) {
            return;
        }
        let line = Line {
            at: wall_clock(event.at()),
            nodes: BTreeSet::from([event.node()]),
            words: printable(&words(event)).into_owned(),
            times: 1,
            name: event.name().to_owned(),
            why: event.text("why").to_owned(),
            mono_ns: event.at(),
        };
        if let Some(last) = self.lines.back_mut()
            && last.takes(&line)
        {
            last.nodes.extend(line.nodes);
            last.times += 1;
            return;
        }
        if self.lines.len() == MOST {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The lines, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter()
    }
}

impl Line {
    /// Whether another event belongs to this line: several nodes say the same, or one has the same
    /// done with one operation after the other.
    fn takes(&self, next: &Line) -> bool {
        if next.mono_ns.saturating_sub(self.mono_ns) > TOGETHER_NS || self.name != next.name {
            return false;
        }
        if self.name.starts_with("operation_") {
            return self.nodes == next.nodes && self.why == next.why;
        }
        self.words == next.words && self.nodes.is_disjoint(&next.nodes)
    }

    /// The nodes, as `0-3 5`.
    pub(super) fn who(&self) -> String {
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for &node in &self.nodes {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == node => *last = node,
                _ => ranges.push((node, node)),
            }
        }
        let texts = ranges.iter().map(|&(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first} {last}"),
            _ => format!("{first}-{last}"),
        });
        texts.collect::<Vec<_>>().join(" ")
    }

    /// What happened, and how often if an operation was only the first of several.
    pub(super) fn what(&self) -> String {
        if self.nodes.len() == 1 && self.times > 1 {
            format!("{}, and {} more", self.words, self.times - 1)
        } else {
            self.words.clone()
        }
    }
}

/// The time of day of an event, by the clock that all processes share.
fn wall_clock(mono_ns: u64) -> SystemTime {
    let now = SystemTime::now();
    let Ok(mono) = clock_gettime(ClockId::CLOCK_MONOTONIC) else {
        return now;
    };
    let age = Duration::from(mono).saturating_sub(Duration::from_nanos(mono_ns));
    now.checked_sub(age).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use laboratory::log::Log;

    use super::*;

    fn lines(events: &str) -> Vec<String> {
        let mut lines = Lines::default();
        for event in Log::parse(events.as_bytes()).events {
            lines.add(&event);
        }
        let text = |line: &Line| format!("{}: {}", line.who(), line.what());
        lines.iter().map(text).collect()
    }

    #[test]
    fn what_several_nodes_do_is_one_line_and_traced_operations_are_none() {
        let event = |ms: u64, node: u64, rest: &str| {
            let at = ms * 1_000_000;
            format!("{{\"mono_ns\":{at},\"node\":{node},\"incarnation\":1,{rest}}}\n")
        };
        let following = "\"event\":\"following\",\"coordinator\":4";
        let moved = "\"event\":\"operation_reassigned\",\"why\":\"worker_died\",\
            \"op\":{\"n\":9,\"kind\":\"multiply\",\"level\":0,\"index\":1}";
        let log = [
            event(1, 5, "\"event\":\"node_exited\",\"signal\":\"SIGKILL\""),
            event(2, 3, "\"event\":\"peer_down\",\"peer\":5,\"by\":\"link\""),
            event(3, 0, following),
            event(4, 1, following),
            event(5, 2, following),
            event(6, 4, moved),
            event(7, 4, moved),
            event(8, 4, moved),
            event(9, 4, "\"event\":\"assigned\""),
            event(10, 0, following),
            event(1_100, 1, following),
        ]
        .concat();
        assert_eq!(
            lines(&log),
            [
                "5: was killed by SIGKILL",
                "0-2: follows node 4",
                "4: gave multiplication 1 of level 0 of 9! to another worker: worker died, and 2 more",
                "0: follows node 4",
                "1: follows node 4",
            ]
        );
    }
}
