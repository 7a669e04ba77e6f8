//! The jobs of a run: when each was accepted, adopted, published and done.

use std::collections::BTreeMap;

use serde::Serialize;

use super::clock::Clock;
use crate::log::Log;

/// One job. Times in microseconds of the run; none if the log does not tell.
#[derive(Debug, Default, Serialize)]
pub(super) struct Job {
    pub(super) name: String,
    /// When a coordinator took it: the first claimed it, the others took over.
    pub(super) accepted: Vec<u64>,
    pub(super) published: Option<u64>,
    pub(super) done: Option<u64>,
    pub(super) rejected: Option<u64>,
}

/// All jobs, in the order in which they came.
pub(super) fn jobs(log: &Log, clock: Clock) -> Vec<Job> {
    let mut found: Vec<Job> = Vec::new();
    let mut positions: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &log.events {
        let Some(name) = event.fields["job"].as_str() else {
            continue;
        };
        let position = *positions.entry(name).or_insert_with(|| {
            found.push(Job {
                name: name.to_owned(),
                ..Job::default()
            });
            found.len() - 1
        });
        let (job, at) = (&mut found[position], clock.us(event.at()));
        match event.name() {
            "job_accepted" => job.accepted.push(at),
            "job_rejected" => job.rejected = job.rejected.or(Some(at)),
            "result_published" => job.published = job.published.or(Some(at)),
            "job_done" => job.done = job.done.or(Some(at)),
            _ => {}
        }
    }
    found
}
