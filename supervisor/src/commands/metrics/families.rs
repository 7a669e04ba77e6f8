//! The metrics, each with its meaning and its unit.

mod counters;
mod gauges;

use std::collections::{BTreeMap, BTreeSet};

use laboratory::log::Event;
use prometheus::core::Collector;
use prometheus::{IntCounterVec, Registry, TextEncoder};
use supervisor::control::ClusterStatus;

use self::counters::Counters;
use self::gauges::Gauges;
use super::takeover::Takeovers;

/// All metrics of one run. Counters come from its event log, gauges from its present state.
#[derive(Debug)]
pub(super) struct Families {
    registry: Registry,
    counters: Counters,
    gauges: Gauges,
    takeovers: Takeovers,
    /// Why the last process of a node ended.
    ends: BTreeMap<u64, String>,
    /// Jobs that were rejected and whose text has not got its name yet.
    rejected: BTreeSet<String>,
}

impl Families {
    /// Nothing counted yet.
    pub(super) fn new() -> prometheus::Result<Families> {
        let registry = Registry::new();
        Ok(Families {
            counters: Counters::register(&registry)?,
            gauges: Gauges::register(&registry)?,
            registry,
            takeovers: Takeovers::default(),
            ends: BTreeMap::new(),
            rejected: BTreeSet::new(),
        })
    }

    /// Counts an event.
    pub(super) fn count(&mut self, event: &Event) {
        if let Some(takeover) = self.takeovers.follow(event) {
            let histogram = &self.counters.takeover_seconds;
            histogram
                .with_label_values(&[takeover.after.word()])
                .observe(takeover.took.as_secs_f64());
        }
        let counters = &self.counters;
        let by = |family: &IntCounterVec, field: &str| {
            family.with_label_values(&[event.text(field)]).inc();
        };
        match event.name() {
            "election_started" => by(&counters.elections, "why"),
            "election_won" => counters.elections_won.inc(),
            "stepped_down" => by(&counters.step_downs, "why"),
            "node_exited" => {
                self.ends.insert(event.node(), end(event));
            }
            "node_spawned" => {
                if let Some(reason) = self.ends.remove(&event.node()) {
                    let node = event.node().to_string();
                    counters.restarts.with_label_values(&[&node, &reason]).inc();
                }
            }
            "stale_refused" => by(&counters.stale_refused, "what"),
            "operation_reassigned" => by(&counters.operations_reassigned, "why"),
            "operation_recomputed" => by(&counters.operations_recomputed, "why"),
            stage @ ("assigned" | "computing" | "completed" | "checkpointed") => {
                counters.operations_traced.with_label_values(&[stage]).inc();
            }
            "fault_injected" => {
                let labels = [event.text("at"), event.text("do")];
                counters.faults_injected.with_label_values(&labels).inc();
            }
            // It was rejected by one that did not come to its end, and is computed after all.
            "job_accepted" => {
                self.rejected.remove(event.text("job"));
            }
            "job_rejected" => {
                self.rejected.insert(event.text("job").to_owned());
            }
            "job_done" => {
                let outcome = self.outcome(event.text("job"));
                self.counters.jobs_ended.with_label_values(&[outcome]).inc();
            }
            _ => {}
        }
    }

    /// Shows the present state; none where no cluster answers.
    pub(super) fn show(&mut self, status: Option<&ClusterStatus>) {
        self.gauges.show(status);
    }

    /// The text that Prometheus reads.
    pub(super) fn encode(&self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// How a job ended whose text has got its name. The commit may have given it a suffix.
    fn outcome(&mut self, job: &str) -> &'static str {
        let is_suffix = |end: &str| end.bytes().all(|byte| byte.is_ascii_digit());
        let without = job.rsplit_once('.').filter(|(_, end)| is_suffix(end));
        let failed = self.rejected.remove(job)
            || without.is_some_and(|(name, _)| self.rejected.remove(name));
        if failed { "failed" } else { "done" }
    }
}

/// Why a process ended, as a label: `SIGKILL`, `exit_3`.
fn end(event: &Event) -> String {
    match event.fields["code"].as_i64() {
        Some(code) => format!("exit_{code}"),
        None => event.text("signal").to_owned(),
    }
}

/// A family that belongs to the registry from now on.
fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    family: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

#[cfg(test)]
mod tests {
    use laboratory::log::Log;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_that_is_accepted_after_all_is_done_and_not_failed() {
        let mut families = Families::new().unwrap();
        let told = [
            ("job_rejected", "ten"),
            ("job_accepted", "ten"),
            ("job_done", "ten"),
            ("job_rejected", "bad"),
            ("job_done", "bad.2"),
        ];
        for (event, job) in told {
            let line =
                json!({"mono_ns": 1, "node": 5, "incarnation": 6, "event": event, "job": job});
            let log = Log::parse(format!("{line}\n").as_bytes());
            families.count(&log.events[0]);
        }
        let ended = |outcome| {
            families
                .counters
                .jobs_ended
                .with_label_values(&[outcome])
                .get()
        };
        assert_eq!((ended("done"), ended("failed")), (1, 1));
    }
}
