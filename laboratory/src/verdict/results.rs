//! S4: one published result per job, equal to n!.
//!
//! That a commit is won once needs no order, nor does the line that the job is done. Epochs show which coordinator
//! claimed a job last. A death or a stop of a coordinator at any later time excuses a missing line.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;

use super::{Comparison, Run, Violation};
use crate::job_files::{factorials, pair};
use crate::log::Event;
use crate::oracle::Oracle;

const NAME: &str = "S4";

pub(super) fn check(run: &Run, compared: &Comparison) -> Vec<Violation> {
    let wrong = compared.wrong.iter().map(|(name, why)| {
        let published = run.log.named("result_published");
        let events: Vec<&Event> = published
            .filter(|event| event.text("job") == name)
            .collect();
        let message = format!("the text of job {name} does not hold its factorials: {why}");
        Violation::new(NAME, message, &events)
    });
    wrong.chain(publications(run)).collect()
}

/// Compares the text of every finished job with known properties of its factorials.
pub(super) fn compare(run: &Run) -> Comparison {
    let done = run.jobs.join("done");
    let mut oracle = Oracle::default();
    let mut compared = Comparison::default();
    for name in run.ended("done") {
        let (job, text) = pair(&done, &name);
        let text = match fs::read(text) {
            // S9 reports it.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            text => text,
        };
        let numbers = factorials(&job);
        compared.jobs += 1;
        compared.values += numbers.len();
        let complaint = match text {
            Ok(text) => oracle.complaint(&numbers, &text),
            Err(error) => Some(format!("it cannot be read: {error}")),
        };
        compared.wrong.extend(complaint.map(|why| (name, why)));
    }
    compared
}

/// A commit is won once, and the job is done after it.
pub(super) fn publications(run: &Run) -> Vec<Violation> {
    let mut published: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in run.log.named("result_published") {
        published.entry(event.text("job")).or_default().push(event);
    }
    let jobs = |name| run.log.named(name).map(|event| (event.text("job"), event));
    let done: BTreeSet<&str> = jobs("job_done").map(|(name, _)| name).collect();
    // The latest coordinatorship that claimed it: those that ended before had not committed it.
    let mut taken: BTreeMap<&str, &Event> = BTreeMap::new();
    for (name, event) in jobs("job_accepted").chain(jobs("job_rejected")) {
        let latest = taken.entry(name).or_insert(event);
        if (latest.term(), latest.at()) < (event.term(), event.at()) {
            *latest = event;
        }
    }
    let mut violations = Vec::new();
    for (name, events) in &published {
        // Where people collect finished jobs, a name may be used again.
        let again = jobs("job_accepted").chain(jobs("job_rejected"));
        let reuses = again.filter(|(job, taken)| job == name && taken.at() > events[0].at());
        let reuses = if run.is_shared { reuses.count() } else { 0 };
        if events.len() > 1 + reuses {
            let message = format!("job {name} was published {} times", events.len());
            violations.push(Violation::new(NAME, message, events));
        }
        // Another may have logged that before the line of the commit was written.
        if !done.contains(name)
            && !run.is_deleted(name)
            && !run.cut_short
            && !is_excused(run, events[0].at(), &ENDS)
        {
            let message = format!("job {name} was published, but nobody logged that it is done");
            violations.push(Violation::new(NAME, message, events));
        }
    }
    for folder in ["done", "failed"] {
        for name in run.ended(folder) {
            // Unknown to this log, it was published in an earlier run.
            let Some(known) = taken.get(name.as_str()) else {
                continue;
            };
            let is_told = published.contains_key(name.as_str()) || run.cut_short;
            if !is_told && !is_excused(run, known.at(), &FAULTS) {
                let message = format!("job {name} is in {folder}, but nobody published it");
                violations.push(Violation::new(NAME, message, &[known]));
            }
        }
    }
    violations
}

/// A coordinator that dies, or is stopped, between a rename and its event leaves no event.
const FAULTS: [&str; 2] = ["node_exited", "node_stopped"];
/// One whose coordinatorship ends meanwhile still logs the rename in progress, and
/// makes no other.
const ENDS: [&str; 3] = ["node_exited", "node_stopped", "stepped_down"];

/// Whether a coordinator died or was stopped after a moment.
fn is_excused(run: &Run, since: u64, ends: &[&str]) -> bool {
    let reigned = |end: &Event| {
        run.log
            .named("acting")
            .any(|acting| acting.life() == end.life() && acting.at() <= end.at())
    };
    let mut ended = ends.iter().flat_map(|name| run.log.named(name));
    let is_meant = |event: &&Event| (since..=run.end_ns).contains(&event.at());
    !run.log.is_whole() || ended.any(|event| is_meant(&event) && reigned(event))
}
