//! Nearly all lines of a long log are the four of an operation: handed out, computed, completed and put into
//! the checkpoint. This module finds those that no law will need, so that a log of any length is judged in
//! little memory: they are discarded while reading, and the log without them gets the same verdict as the
//! whole one.
//!
//! ```text
//!   first look   every event ─▶ Course, which judges it, and keeps a few bytes of each operation
//!                            ─▶ Survey: which operations are unusual
//!   second look  their lines ─▶ kept, as are all lines that are not of an operation
//!                other lines ─▶ let go; some rounds are evidence, and kept
//! ```
//!
//! A *round* is one of each of the four lines: by one coordinatorship, which is known to own its epoch, and one
//! incarnation of the assigned node, each after the one before it, in the file and by the clock. An operation
//! is unusual if one of its lines belongs to no such round, or if there is any other line about
//! it. Then all its lines are kept. If an operation has only rounds
//!
//! - a single one needs nothing more: it was assigned, begun and completed by some node, and nothing was done
//!   twice;
//! - a later one is no repetition that S7 may judge if all operations of the factorial had been completed
//!   before it: every job that needed it may have had it, see `needs`. Nor may its own coordinator be judged,
//!   if it had the factorial since the round before, or was not yet coordinator then: see `recomputation`.
//!   Earlier ones are kept, if there are several.
//!
//! Rounds that are evidence are kept: if a node computes the first operation that its coordinator assigns
//! after it put a judged one into the checkpoint, see `holders`. So is the evidence that an incarnation was
//! alive, and when: of the lines discarded between two others of, or about, the same incarnation, the first
//! and the last one stay, under the name [`WORKED`] and without the operation.

mod gathering;

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;

use self::gathering::{Gathering, Spans};
use super::course::Course;
use super::deeds::{Epoch, epoch};
use super::work::Table;
use crate::log::order::Writer;
use crate::log::{Event, Life, Op};

/// The event that replaces discarded lines: a node was at work.
pub(super) const WORKED: &str = "worked";

/// The summary of discarded lines.
#[derive(Clone, Debug)]
pub(crate) struct LetGo {
    pub(super) course: Course,
    count: usize,
}

impl LetGo {
    /// Their number, without those that stay as [`WORKED`].
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Another event is kept.
    pub(crate) fn take(&mut self, event: &Event) {
        self.course.take(event);
    }
}

/// The first pass.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The first files are gone: they may have shown who owns an epoch, which is then not checked.
    is_cut: bool,
    course: Course,
    /// The events that are kept at once.
    events: Vec<Event>,
    unusual: BTreeSet<Op>,
    open: BTreeMap<Op, Round>,
    /// Where the last round of each ended.
    ended: Table<usize>,
    repeated: Table<bool>,
    factorials: BTreeMap<u64, Rounds>,
    owned: BTreeSet<Epoch>,
    /// The last timestamp and the highest term of each incarnation.
    lives: BTreeMap<Life, (u64, u64)>,
}

/// A round that has begun.
#[derive(Debug)]
struct Round {
    of: Epoch,
    worker: u64,
    /// Who computes it, and whether that is done.
    by: Option<(Life, bool)>,
    at: u64,
}

/// The rounds of a factorial.
#[derive(Debug)]
struct Rounds {
    /// The latest coordinatorship that began any, and where.
    of: Epoch,
    since: usize,
    /// The latest clock by which any ended.
    latest: u64,
    /// The earliest clock by which a later round of any operation began.
    again: u64,
}

impl Survey {
    pub(super) fn new(is_cut: bool) -> Survey {
        Survey {
            is_cut,
            ..Survey::default()
        }
    }

    /// The next event of the file.
    pub(super) fn take(&mut self, event: Event) {
        self.course.take(&event);
        let is_steady = self.is_steady(&event);
        if matches!(event.name(), "election_won" | "acting") {
            self.owned.insert(epoch(&event));
        }
        let Some(op) = event.op() else {
            self.events.push(event);
            return;
        };
        let is_usual = !self.unusual.contains(op) && event.is_traced() && is_steady;
        if !(is_usual && self.goes_on(op, &event)) {
            self.open.remove(op);
            self.unusual.insert(op.clone());
        }
        if !event.is_traced() {
            self.events.push(event);
        }
    }

    /// Whether neither the timestamp nor the term of an incarnation decreases.
    fn is_steady(&mut self, event: &Event) -> bool {
        let Writer::Node(life) = event.writer() else {
            return true;
        };
        let (at, term) = self.lives.entry(life).or_default();
        let told = event.told_term();
        let is_steady = *at <= event.at() && told.is_some_and(|told| *term <= told);
        *at = event.at().max(*at);
        *term = told.unwrap_or(0).max(*term);
        is_steady
    }

    /// Whether a line is the next one of a round.
    fn goes_on(&mut self, op: &Op, event: &Event) -> bool {
        if event.name() == "assigned" {
            return self.begins(op, event);
        }
        let Some(round) = self.open.get_mut(op) else {
            return false;
        };
        let is_later = round.at <= event.at() && round.of.0 <= event.term();
        match (event.name(), round.by) {
            ("computing", None) if is_later && event.node() == round.worker => {
                round.by = Some((event.life(), false));
                round.at = event.at();
                true
            }
            ("completed", Some((life, false))) if is_later && event.life() == life => {
                round.by = Some((life, true));
                round.at = event.at();
                true
            }
            ("checkpointed", Some((_, true))) if round.at < event.at() => {
                let is_its = round.of == epoch(event);
                self.open.remove(op);
                *self.ended.entry(op) = event.line;
                let rounds = self.factorials.entry(op.n).or_default();
                rounds.latest = rounds.latest.max(event.at());
                is_its
            }
            _ => false,
        }
    }

    fn begins(&mut self, op: &Op, event: &Event) -> bool {
        let of = epoch(event);
        let rounds = self.factorials.entry(op.n).or_default();
        if of < rounds.of || !(self.is_cut || self.owned.contains(&of)) {
            return false;
        }
        if of > rounds.of {
            (rounds.of, rounds.since) = (of, event.line);
        }
        let before = self.ended.get(op);
        if before > 0 {
            let done = self.course.work.last_done(event.life(), op.n);
            let is_over = before < rounds.since || done > Some(before);
            if !is_over || event.at() < rounds.latest {
                return false;
            }
            rounds.again = rounds.again.min(event.at());
            *self.repeated.entry(op) = true;
        }
        let round = Round {
            of,
            worker: event.number("worker"),
            by: None,
            at: event.at(),
        };
        self.open.insert(op.clone(), round).is_none()
    }

    /// Ends the first pass.
    pub(super) fn end(mut self) -> Gathering {
        self.unusual.extend(take(&mut self.open).into_keys());
        let completed = &self.course.work.completed;
        let never = self.unusual.iter().filter(|op| completed.get(op) == 0);
        let never: BTreeSet<u64> = never.map(|op| op.n).collect();
        // When all operations of a factorial had been completed, if some were repeated before.
        let over = self.factorials.iter().filter_map(|(&n, rounds)| {
            let last = self.course.work.first_completed(n).max()?;
            let over = if never.contains(&n) { u64::MAX } else { last };
            (rounds.again < over).then_some((n, over))
        });
        let over = over.collect();
        let mut spans: BTreeMap<Life, Spans> = BTreeMap::new();
        for event in &self.events {
            let spans = spans.entry(event.life()).or_default();
            spans.ends.push((event.at(), event.line));
        }
        for spans in spans.values_mut() {
            spans.ends.sort_unstable();
        }
        Gathering {
            course: self.course,
            events: self.events,
            unusual: self.unusual,
            repeated: self.repeated,
            over,
            open: BTreeMap::new(),
            judged: BTreeMap::new(),
            served: BTreeMap::new(),
            spans,
            let_go: 0,
        }
    }
}

impl Default for Rounds {
    fn default() -> Rounds {
        Rounds {
            of: (0, (0, 0)),
            since: 0,
            latest: 0,
            again: u64::MAX,
        }
    }
}
