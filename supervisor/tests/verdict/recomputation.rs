//! S7, as far as a log can tell: an operation that is computed twice while a job needs it has a
//! cause on record. What its worker held may be lost with that worker; else somebody must have
//! said that the operation goes to another.

use std::collections::{BTreeMap, BTreeSet};

use super::job_files::factorials;
use super::{Event, Op, Run, Violation};

const NAME: &str = "S7";

pub(super) fn check(run: &Run) -> Vec<Violation> {
    if !run.log.torn.is_empty() {
        return Vec::new();
    }
    let needed = Needed::of(run);
    let mut completions: BTreeMap<Op, Vec<&Event>> = BTreeMap::new();
    for event in run.log.named("completed") {
        if let Some(op) = event.op() {
            completions.entry(op).or_default().push(event);
        }
    }
    let mut violations = Vec::new();
    for (op, events) in &completions {
        for pair in events.windows(2) {
            let (first, second) = (pair[0], pair[1]);
            if needed.throughout(op.n, first.at(), second.at())
                && !is_on_record(run, op, second.at())
                && !run.log.faulted(first.life(), first.at(), second.at())
            {
                let message = format!("{op:?} was computed twice, without a cause");
                violations.push(Violation::new(NAME, message, pair));
            }
        }
    }
    violations
}

fn is_on_record(run: &Run, op: &Op, until: u64) -> bool {
    let told = |event: &Event| {
        matches!(
            event.name(),
            "operation_reassigned" | "operation_recomputed"
        )
    };
    run.log
        .events
        .iter()
        .take_while(|event| event.at() <= until)
        .any(|event| told(event) && event.op().as_ref() == Some(op))
}

/// When no open job needed a factorial: its products are forgotten then, rightly.
#[derive(Debug, Default)]
struct Needed {
    idle: BTreeMap<u64, Vec<u64>>,
}

impl Needed {
    fn of(run: &Run) -> Needed {
        let mut open: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
        let mut needed = Needed::default();
        for event in &run.log.events {
            let job = event.text("job");
            match event.name() {
                "job_accepted" => {
                    for n in lines(run, job) {
                        open.entry(n).or_default().insert(job);
                    }
                }
                "job_done" | "job_rejected" => {
                    for (n, jobs) in &mut open {
                        if jobs.remove(job) && jobs.is_empty() {
                            needed.idle.entry(*n).or_default().push(event.at());
                        }
                    }
                }
                _ => {}
            }
        }
        needed
    }

    /// Whether some job needed n! at every moment of a time.
    fn throughout(&self, n: u64, from: u64, to: u64) -> bool {
        let idle = self.idle.get(&n).map_or(&[][..], Vec::as_slice);
        !idle.iter().any(|at| (from..=to).contains(at))
    }
}

fn lines(run: &Run, job: &str) -> Vec<u64> {
    let done = factorials(&run.jobs.join(format!("done/{job}.job")));
    if done.is_empty() {
        factorials(&run.jobs.join(format!("failed/{job}.job")))
    } else {
        done
    }
}
