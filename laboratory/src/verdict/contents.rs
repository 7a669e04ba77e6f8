//! S9: a finished job's file requests the same factorials as the job accepted under its name.
//!
//! Each `job_accepted` and `job_done` contains a digest of the factorials. A job may get a number when it is
//! committed, so only names under which a job was published or done are checked. A file that a writer
//! held open may have been accepted twice, with more in it the second time: one matching digest is enough.
//! So no order of events matters.

use std::collections::{BTreeMap, BTreeSet};

use super::{Run, Violation};
use crate::job_files::{content, pair};
use crate::job_text;

const NAME: &str = "S9";

pub(super) fn check(run: &Run) -> Vec<Violation> {
    let mut told: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for event in ["job_accepted", "job_done"]
        .iter()
        .flat_map(|name| run.log.named(name))
    {
        let asks = event.text("asks");
        if !asks.is_empty() {
            told.entry(event.text("job")).or_default().insert(asks);
        }
    }
    let ended = ["result_published", "job_done"]
        .iter()
        .flat_map(|name| run.log.named(name));
    let ended: BTreeSet<&str> = ended.map(|event| event.text("job")).collect();
    let mut violations = Vec::new();
    for name in run
        .ended("done")
        .iter()
        .filter(|name| ended.contains(name.as_str()))
    {
        let (Some(asks), Some(content)) = (
            told.get(name.as_str()),
            content(&pair(&run.jobs.join("done"), name).0),
        ) else {
            continue;
        };
        let now = job_text::read(&content, u64::MAX).map(|numbers| job_text::digest(&numbers));
        if now.is_ok_and(|now| !asks.contains(now.as_str())) {
            let message = format!("job {name} asks for something else than was accepted");
            let named = ["job_accepted", "job_done"]
                .iter()
                .flat_map(|event| run.log.named(event));
            let shown: Vec<_> = named.filter(|event| event.text("job") == name).collect();
            violations.push(Violation::new(NAME, message, &shown));
        }
    }
    violations
}
