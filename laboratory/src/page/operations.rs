//! The traced operations: individually if there is room for them, otherwise as counts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::clock::Clock;
use super::lives::Lives;
use crate::failovers::Failover;
use crate::log::{Event, Life, Log, Op};
use crate::plan::Names;

/// Maximum number of individual operations: each takes some sixty bytes of the page.
const LIMIT: usize = 40_000;
/// Into how many slices of time the counts are split.
const SLICES: u64 = 3_000;
/// How much time around a failover is shown individually if not everything can be: the longest that
/// there is room for.
const MARGINS_NS: [u64; 3] = [100_000_000, 10_000_000, 1_000_000];

/// What was computed, as columns: an entry an operation, in the order in which they began. Where
/// there are too many, only those around failovers; and `counts` for the whole.
#[derive(Debug, Default, Serialize)]
pub(super) struct Operations {
    /// How many were finished by a worker, and put into the checkpoint.
    pub(super) completed: u64,
    pub(super) checkpointed: u64,
    /// Microseconds since the one before began.
    pub(super) after: Vec<u64>,
    /// Microseconds from its assignment to its begin, to its end, and from there to the
    /// checkpoint; -1 where the log does not tell.
    pub(super) waited: Vec<i64>,
    pub(super) took: Vec<i64>,
    pub(super) sent: Vec<i64>,
    /// The lives of the worker, and of the coordinators that assigned it and checkpointed it; -1 for
    /// none.
    pub(super) worker: Vec<u64>,
    pub(super) by: Vec<i64>,
    pub(super) into: Vec<i64>,
    /// Which of `factorials`, level and position.
    pub(super) factorial: Vec<usize>,
    pub(super) level: Vec<u64>,
    pub(super) index: Vec<u64>,
    /// What each does.
    pub(super) words: Vec<String>,
    /// n and the kind of operation, each pair once.
    pub(super) factorials: Vec<(u64, String)>,
    /// Finished operations by node (as the lanes) and slice, if not all are told one by one; and
    /// how much of the run around each failover is, in microseconds.
    pub(super) counts: Option<Counts>,
    pub(super) margin_us: Option<u64>,
}

/// How many operations each node finished in each slice of the run.
#[derive(Debug, Serialize)]
pub(super) struct Counts {
    /// The length of a slice, in microseconds.
    pub(super) slice_us: u64,
    /// A row a node, the highest ID first.
    pub(super) rows: Vec<Vec<u32>>,
}

/// One computation of an operation by one process.
#[derive(Debug)]
struct Course {
    op: Op,
    worker: Life,
    begun: u64,
    assigned: Option<(u64, Life)>,
    completed: Option<u64>,
    checkpointed: Option<(u64, Life)>,
}

impl Operations {
    /// The operations of a log, none if they were not traced; and what is to be said of those that
    /// are not told one by one.
    pub(super) fn of(
        log: &Log,
        clock: Clock,
        lives: &Lives,
        failovers: &[Failover],
    ) -> (Option<Operations>, Vec<String>) {
        let courses = courses(log);
        if courses.is_empty() {
            return (None, Vec::new());
        }
        let mut told = Operations {
            completed: log.named("completed").count() as u64,
            checkpointed: log.named("checkpointed").count() as u64,
            ..Operations::default()
        };
        let mut left_out = Vec::new();
        let all = courses.len();
        let mut kept = courses;
        if all > LIMIT {
            told.counts = Some(Counts::of(log, clock, lives));
            let margin = MARGINS_NS.into_iter().find(|&margin| {
                let near = kept
                    .iter()
                    .filter(|one| is_near(failovers, one.begun, margin));
                near.count() <= LIMIT
            });
            kept.retain(|one| margin.is_some_and(|margin| is_near(failovers, one.begun, margin)));
            told.margin_us = margin.map(|margin| margin / 1_000);
            left_out.push(format!(
                "{} of {all} operations are shown one by one, those around failovers; the others as counts",
                kept.len()
            ));
        }
        let mut factorials = BTreeMap::new();
        let mut names = Names::of(log);
        let mut last = 0;
        for course in &kept {
            told.words.push(names.words(&course.op));
            last = told.push(course, last, clock, lives, &mut factorials);
        }
        (Some(told), left_out)
    }

    fn push(
        &mut self,
        course: &Course,
        last: u64,
        clock: Clock,
        lives: &Lives,
        factorials: &mut BTreeMap<(u64, String), usize>,
    ) -> u64 {
        let begun = clock.us(course.begun);
        let distance = |from: Option<u64>, to: Option<u64>| match (from, to) {
            (Some(from), Some(to)) => to.saturating_sub(from).cast_signed(),
            _ => -1,
        };
        let us = |at: Option<u64>| at.map(|at| clock.us(at));
        let assigned = us(course.assigned.map(|(at, _)| at));
        let completed = us(course.completed);
        let checkpointed = us(course.checkpointed.map(|(at, _)| at));
        self.after.push(begun - last);
        self.waited.push(distance(assigned, Some(begun)));
        self.took.push(distance(Some(begun), completed));
        self.sent.push(distance(completed, checkpointed));
        self.worker.push(lives.index(course.worker));
        let life = |step: Option<(u64, Life)>| {
            step.map_or(-1, |(_, life)| lives.index(life).cast_signed())
        };
        self.by.push(life(course.assigned));
        self.into.push(life(course.checkpointed));

        let factorial = (course.op.n, course.op.kind.to_string());
        let next = self.factorials.len();
        let position = *factorials.entry(factorial.clone()).or_insert(next);
        if position == next {
            self.factorials.push(factorial);
        }
        self.factorial.push(position);
        self.level.push(course.op.level);
        self.index.push(course.op.index);
        begun
    }
}

/// Whether a moment lies in the time of a failover, or so little before or after it.
fn is_near(failovers: &[Failover], at: u64, margin: u64) -> bool {
    failovers.iter().any(|one| {
        let end = one.at_ns.saturating_add((one.ms * 1e6) as u64);
        (one.at_ns.saturating_sub(margin)..=end.saturating_add(margin)).contains(&at)
    })
}

/// Joins the four events of an operation, in the order of its begin.
fn courses(log: &Log) -> Vec<Course> {
    let mut courses: Vec<Course> = Vec::new();
    let mut assigned: BTreeMap<(Op, u64), (u64, Life)> = BTreeMap::new();
    let mut begun: BTreeMap<(Op, Life), usize> = BTreeMap::new();
    let mut completed: BTreeMap<Op, usize> = BTreeMap::new();
    for event in &log.events {
        let name = event.name();
        if !event.is_traced() {
            continue;
        }
        let Some(op) = event.op() else {
            continue;
        };
        match name {
            "assigned" => {
                assigned.insert(
                    (op.clone(), event.number("worker")),
                    (event.at(), event.life()),
                );
            }
            "computing" => {
                begun.insert((op.clone(), event.life()), courses.len());
                let order = assigned.remove(&(op.clone(), event.node()));
                courses.push(Course::begin(op.clone(), event, order));
            }
            "completed" => {
                if let Some(position) = begun.remove(&(op.clone(), event.life())) {
                    courses[position].completed = Some(event.at());
                    completed.insert(op.clone(), position);
                }
            }
            _ => {
                if let Some(position) = completed.remove(op) {
                    courses[position].checkpointed = Some((event.at(), event.life()));
                }
            }
        }
    }
    courses
}

impl Course {
    fn begin(op: Op, event: &Event, assigned: Option<(u64, Life)>) -> Course {
        Course {
            op,
            worker: event.life(),
            begun: event.at(),
            assigned,
            completed: None,
            checkpointed: None,
        }
    }
}

impl Counts {
    fn of(log: &Log, clock: Clock, lives: &Lives) -> Counts {
        let nodes = lives.nodes();
        let slice_us = clock.length_us() / SLICES + 1;
        let slices = usize::try_from(clock.length_us() / slice_us).unwrap_or(0) + 1;
        let mut rows = vec![vec![0; slices]; nodes.len()];
        for event in log.named("completed") {
            let slice = usize::try_from(clock.us(event.at()) / slice_us).unwrap_or(0);
            if let Some(lane) = nodes.iter().position(|&node| node == event.node()) {
                rows[lane][slice] += 1;
            }
        }
        Counts { slice_us, rows }
    }
}
