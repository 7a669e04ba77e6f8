//! Which situations a run has covered: a run without a takeover in mid-job proves nothing about takeovers.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::job_files::lines;
use crate::log::{Event, Life};
use crate::verdict::Run;

/// How often each situation came up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// A coordinator began to act with finished operations of an open job before it.
    pub takeovers_in_mid_job: usize,
    /// A stale coordinator's message was rejected.
    pub stale_refused: usize,
    /// A coordinator that was stopped and replaced continued.
    pub stale_woken: usize,
    /// A coordinator received a product that it had.
    pub duplicate_products: usize,
    /// A coordinator that acted stopped under its promise to another.
    pub hand_overs: usize,
    /// A process that was started while there were finished operations of an open job caught up.
    pub snapshots: usize,
}

impl Reached {
    /// The situations of a traced run, up to its end.
    pub fn of(run: &Run) -> Reached {
        let mut course = Course::default();
        let until_the_end = |event: &&Event| event.at() <= run.end_ns;
        for event in run.log.events.iter().filter(until_the_end) {
            course.take(run, event);
        }
        course.reached
    }

    /// As rows of a table; situations that were not reached are marked.
    pub fn rows(&self) -> Vec<(String, String)> {
        let rows = self.counts().into_iter().map(|(name, count)| {
            let count = match count {
                0 => "not reached".to_owned(),
                count => count.to_string(),
            };
            (format!("reached: {name}"), count)
        });
        rows.collect()
    }

    fn counts(&self) -> [(&'static str, usize); 6] {
        [
            ("takeovers in mid-job", self.takeovers_in_mid_job),
            ("refused stale coordinators", self.stale_refused),
            ("stale coordinators that woke", self.stale_woken),
            ("duplicate products", self.duplicate_products),
            ("hand-overs", self.hand_overs),
            ("snapshots in mid-job", self.snapshots),
        ]
    }
}

#[derive(Default)]
struct Course<'a> {
    reached: Reached,
    /// The jobs that were taken and have not ended, and the factorials that they need.
    open: BTreeMap<&'a str, Vec<u64>>,
    /// The factorials of which some operation is done.
    begun: BTreeSet<u64>,
    alive: BTreeSet<Life>,
    acting: BTreeSet<Life>,
    /// Coordinators that were stopped, and whether another has acted since.
    stopped: BTreeMap<Life, bool>,
    caught_up: BTreeSet<Life>,
}

impl<'a> Course<'a> {
    fn is_in_mid_job(&self) -> bool {
        let mut needed = self.open.values().flatten();
        needed.any(|n| self.begun.contains(n))
    }

    fn take(&mut self, run: &Run, event: &'a Event) {
        let life = event.life();
        match event.name() {
            "job_accepted" => {
                let job = event.text("job");
                self.open.insert(job, lines(&run.jobs, job));
            }
            "job_done" | "job_rejected" | "job_deleted" => self.end(event.text("job")),
            "checkpointed" => self.begun.extend(event.op().map(|op| op.n)),
            "acting" => {
                let others = self.stopped.iter_mut().filter(|(other, _)| **other != life);
                others.for_each(|(_, replaced)| *replaced = true);
                self.acting.insert(life);
                self.reached.takeovers_in_mid_job += usize::from(self.is_in_mid_job());
            }
            "following" if self.caught_up.insert(life) => {
                self.reached.snapshots += usize::from(self.is_in_mid_job());
            }
            "stepped_down" => {
                let promised = event.text("why") == "promised";
                let acted = self.acting.remove(&life);
                self.reached.hand_overs += usize::from(promised && acted);
            }
            "node_stopped" if self.acting.contains(&life) => {
                self.stopped.entry(life).or_insert(false);
            }
            "node_continued" => {
                let replaced = self.stopped.remove(&life).unwrap_or(false);
                self.reached.stale_woken += usize::from(replaced);
            }
            "node_spawned" => {
                self.alive.insert(life);
            }
            "node_exited" => {
                self.alive.remove(&life);
                if self.alive.is_empty() {
                    // Finished operations are lost with their last holder.
                    self.begun.clear();
                }
                self.acting.remove(&life);
                self.stopped.remove(&life);
            }
            "stale_refused" => self.reached.stale_refused += 1,
            "operation_recomputed" => self.reached.duplicate_products += 1,
            _ => {}
        }
    }

    fn end(&mut self, job: &str) {
        let needed = self.open.remove(job).unwrap_or_default();
        let still = |n: &u64| self.open.values().flatten().any(|other| other == n);
        let over: Vec<u64> = needed.into_iter().filter(|n| !still(n)).collect();
        self.begun.retain(|n| !over.contains(n));
    }
}
