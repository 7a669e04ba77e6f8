//! The second pass: keeps lines, and summarises the others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{LetGo, WORKED};
use crate::log::{Event, Life, Log, Op};
use crate::verdict::course::Course;
use crate::verdict::deeds::{Epoch, epoch};
use crate::verdict::work::Table;

/// The second pass.
#[derive(Debug)]
pub(crate) struct Gathering {
    pub(super) course: Course,
    pub(super) events: Vec<Event>,
    pub(super) unusual: BTreeSet<Op>,
    pub(super) repeated: Table<bool>,
    pub(super) over: BTreeMap<u64, u64>,
    /// The lines of rounds that have begun, and why they are kept.
    pub(super) open: BTreeMap<Op, (Vec<Event>, Use)>,
    /// Where each coordinatorship put operations that will be judged into the checkpoint.
    pub(super) judged: BTreeMap<Epoch, Vec<usize>>,
    /// Where it had assigned the operation kept as evidence for each incarnation.
    pub(super) served: BTreeMap<(Epoch, Life), usize>,
    pub(super) spans: BTreeMap<Life, Spans>,
    pub(super) let_go: usize,
}

/// Why a round is kept.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Use {
    #[default]
    Nothing,
    /// It shows what an incarnation has received.
    Evidence,
    /// It may be one of several repetitions.
    Judged,
}

/// The discarded lines of an incarnation, between the kept ones of it or about it.
#[derive(Debug, Default)]
pub(super) struct Spans {
    /// The timestamps and lines of the kept ones, in order.
    pub(super) ends: Vec<(u64, usize)>,
    /// The first and the last discarded one before each of these, and after the last.
    lines: BTreeMap<usize, (Event, Option<Event>)>,
}

impl Gathering {
    /// The next event of the file, again.
    pub(in crate::verdict) fn take(&mut self, event: Event) {
        let Some(op) = event.op().filter(|_| event.is_traced()) else {
            return;
        };
        if self.unusual.contains(op) {
            self.keep(event);
            return;
        }
        match event.name() {
            "assigned" => {
                let over = self.over.get(&op.n).copied().unwrap_or(0);
                let is_judged = event.at() < over && self.repeated.get(op);
                let good_for = if is_judged { Use::Judged } else { Use::Nothing };
                self.open.insert(op.clone(), (vec![event], good_for));
            }
            "checkpointed" => {
                let (mut lines, good_for) = self.open.remove(op).unwrap_or_default();
                lines.push(event);
                for event in lines {
                    match good_for {
                        Use::Nothing => self.let_go(event),
                        Use::Evidence => self.events.push(event),
                        Use::Judged => self.keep(event),
                    }
                }
            }
            name => {
                let begins = name == "computing";
                let (lines, good_for) = self.open.entry(op.clone()).or_default();
                if let (true, Some(assigned), Use::Nothing) = (begins, lines.first(), *good_for)
                    && is_evidence(&self.judged, &mut self.served, assigned, event.life())
                {
                    *good_for = Use::Evidence;
                }
                lines.push(event);
            }
        }
    }

    /// It will be judged.
    fn keep(&mut self, event: Event) {
        if event.name() == "checkpointed" {
            let judged = self.judged.entry(epoch(&event)).or_default();
            judged.push(event.line);
        }
        self.events.push(event);
    }

    fn let_go(&mut self, event: Event) {
        self.let_go += 1;
        let spans = self.spans.entry(event.life()).or_default();
        let place = (event.at(), event.line);
        let span = spans.ends.partition_point(|&end| end < place);
        let Some((first, last)) = spans.lines.get_mut(&span) else {
            spans.lines.insert(span, (event, None));
            return;
        };
        if place < (first.at(), first.line) {
            let first = std::mem::replace(first, event);
            last.get_or_insert(first);
        } else if last
            .as_ref()
            .is_none_or(|last| (last.at(), last.line) < place)
        {
            *last = Some(event);
        }
    }

    /// The log without the discarded lines.
    pub(in crate::verdict) fn end(mut self, rest: Log) -> Log {
        let name = Arc::from(WORKED);
        let spans = self.spans.into_values().flat_map(|spans| spans.lines);
        let lines = spans.flat_map(|(_, (first, last))| [Some(first), last]);
        for line in lines.flatten() {
            self.let_go -= 1;
            self.events.push(line.without_operation(&name));
        }
        let open = self.open.into_values();
        self.events.extend(open.flat_map(|(lines, _)| lines));
        let let_go = LetGo {
            course: self.course,
            count: self.let_go,
        };
        let mut log = rest.with_events(self.events);
        log.let_go = Some(let_go);
        log
    }
}

/// Whether an incarnation that computes the assignment of this line is the first to show that it has received
/// something that is judged.
fn is_evidence(
    judged: &BTreeMap<Epoch, Vec<usize>>,
    served: &mut BTreeMap<(Epoch, Life), usize>,
    assigned: &Event,
    life: Life,
) -> bool {
    let of = epoch(assigned);
    let Some(judged) = judged.get(&of) else {
        return false;
    };
    let before = judged.partition_point(|&line| line < assigned.line);
    let latest = before.checked_sub(1).map_or(0, |last| judged[last]);
    let served = served.entry((of, life)).or_default();
    let is_first = latest > *served;
    if is_first {
        *served = assigned.line;
    }
    is_first
}
