//! S7, as far as a log can tell: an operation that is computed twice while a job needs it has a
//! cause. Either who computed it first is dead, and its product is lost: no other is left from whom
//! the coordinator must have had it, see `holders`. Or one of the two slept, and its product was late;
//! or a coordinator said that it took the operation from a worker, for a cause that `reassignments`
//! has proved.

use std::collections::{BTreeMap, BTreeSet};

use super::fates::Fates;
use super::holders::Holders;
use super::{Run, Violation};
use crate::job_files::accepted_lines;
use crate::log::{Event, Op};

const NAME: &str = "S7";

/// An operation that was computed twice, while a job needed it all the time.
#[derive(Clone, Copy, Debug)]
pub struct Repetition<'a> {
    /// The operation.
    pub op: &'a Op,
    /// Its `completed` before.
    pub first: &'a Event,
    /// Its `completed` again.
    pub second: &'a Event,
    /// When it was completed before the first time; 0 if it was not.
    since: u64,
    /// Who computed it first is dead, and all who held its product, for all that is known.
    is_lost: bool,
    /// What shows that the coordinator had its product, if who computed it first is dead.
    needless: Option<[&'a Event; 2]>,
}

pub(super) fn check(run: &Run, fates: &Fates) -> Vec<Violation> {
    if !run.log.is_whole() {
        return Vec::new();
    }
    let mut violations = Vec::new();
    for again in repetitions(run, fates) {
        let (first, second) = (again.first, again.second);
        let slept = |event: &Event| fates.slept(event.life(), first.at(), second.at());
        // That a takeover did not find it is no cause by itself: somebody lost it.
        let was_taken = again.causes(run).any(|why| why != "takeover");
        if !was_taken && !again.is_lost && !slept(first) && !slept(second) {
            let (why, shown) = match again.needless {
                Some([kept, assigned]) => (
                    "though its coordinator must have had its product",
                    vec![first, kept, assigned, second],
                ),
                None => ("without a cause", vec![first, second]),
            };
            let message = format!("{} was computed twice, {why}", again.op);
            violations.push(Violation::new(NAME, message, &shown));
        }
    }
    violations
}

pub(super) fn repetitions<'a>(run: &'a Run, fates: &Fates) -> Vec<Repetition<'a>> {
    let mut repetitions = repeated(run, fates);
    let orphans = repetitions.iter().filter(|again| again.is_lost);
    let orphans: BTreeSet<&Op> = orphans.map(|again| again.op).collect();
    let holders = Holders::of(run, fates, &orphans);
    for again in repetitions.iter_mut().filter(|again| again.is_lost) {
        again.needless = holders.needless(again.op, again.first, again.second);
        again.is_lost = again.needless.is_none();
    }
    repetitions
}

/// The product of each counts as lost if who computed it first is dead.
fn repeated<'a>(run: &'a Run, fates: &Fates) -> Vec<Repetition<'a>> {
    let needed = Needed::of(run);
    let mut completions: BTreeMap<&Op, Vec<&Event>> = BTreeMap::new();
    for event in run.log.named("completed") {
        if let Some(op) = event.op() {
            completions.entry(op).or_default().push(event);
        }
    }
    let mut repetitions = Vec::new();
    for (op, events) in completions {
        let mut since = 0;
        for pair in events.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            if needed.throughout(op.n, first.at(), second.at()) {
                repetitions.push(Repetition {
                    op,
                    first,
                    second,
                    since,
                    is_lost: fates.died_by(first.life(), second.at()),
                    needless: None,
                });
            }
            since = first.at();
        }
    }
    repetitions
}

impl<'a> Repetition<'a> {
    /// Why it was computed again: what the coordinator said when it handed it out again, if it did;
    /// else `lost`, with its worker and all who held its product, or `overlap`: two went on with it.
    pub fn why(&self, run: &'a Run) -> &'a str {
        let unsaid = if self.is_lost { "lost" } else { "overlap" };
        self.causes(run).last().unwrap_or(unsaid)
    }

    /// Why coordinators took it from a worker meanwhile, in order.
    pub fn causes(&self, run: &'a Run) -> impl Iterator<Item = &'a str> {
        let (op, times) = (self.op, self.since..=self.second.at());
        run.log
            .named("operation_reassigned")
            .filter(move |event| times.contains(&event.at()) && event.op() == Some(op))
            .map(|event| event.text("why"))
    }
}

/// The times in which no open job needed a factorial: its products are forgotten then, rightly.
#[derive(Debug, Default)]
struct Needed {
    /// Where files are collected, nobody may know any more who asked for a factorial.
    is_shared: bool,
    idle: BTreeMap<u64, Vec<(u64, u64)>>,
}

impl Needed {
    fn of(run: &Run) -> Needed {
        let mut open: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
        let mut needed = Needed {
            is_shared: run.is_shared,
            ..Needed::default()
        };
        for event in &run.log.events {
            let job = event.text("job");
            match event.name() {
                "job_accepted" => {
                    for n in accepted_lines(&run.jobs, event) {
                        open.entry(n).or_default().insert(job);
                        needed.begin(n, event.at());
                    }
                }
                "job_done" | "job_rejected" | "job_deleted" => {
                    for (n, jobs) in &mut open {
                        if jobs.remove(job) && jobs.is_empty() {
                            let times = needed.idle.entry(*n).or_default();
                            times.push((event.at(), u64::MAX));
                        }
                    }
                }
                _ => {}
            }
        }
        needed
    }

    fn begin(&mut self, n: u64, at: u64) {
        // Before its first job, too: one of which nobody knows any more what it asked for may have needed it.
        let times = self.idle.entry(n).or_insert_with(|| vec![(0, u64::MAX)]);
        if let Some(last) = times.last_mut() {
            last.1 = last.1.min(at);
        }
    }

    /// Whether some job needed n! at every moment of a time.
    fn throughout(&self, n: u64, from: u64, to: u64) -> bool {
        let Some(idle) = self.idle.get(&n) else {
            return !self.is_shared;
        };
        !idle
            .iter()
            .any(|&(since, until)| since <= to && from <= until)
    }
}
