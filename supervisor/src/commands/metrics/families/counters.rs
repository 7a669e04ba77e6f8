//! What is counted from the event log.

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use protocol::trace::{ElectionCause, ReassignCause, StepDownCause};
use serde::Serialize;
use strum::VariantArray;

use super::registered;
use crate::commands::metrics::takeover::After;

/// Upper bounds in seconds: from a takeover by the closed link, 1 ms, to one after several time-outs.
const TAKEOVER_BUCKETS: [f64; 13] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

/// Those of one run.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) elections: IntCounterVec,
    pub(super) elections_won: IntCounter,
    pub(super) takeover_seconds: HistogramVec,
    pub(super) step_downs: IntCounterVec,
    pub(super) restarts: IntCounterVec,
    pub(super) stale_refused: IntCounterVec,
    pub(super) operations_reassigned: IntCounterVec,
    pub(super) operations_recomputed: IntCounterVec,
    pub(super) operations_traced: IntCounterVec,
    pub(super) faults_injected: IntCounterVec,
    pub(super) jobs_ended: IntCounterVec,
}

impl Counters {
    /// All at zero.
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Counters> {
        let vec = |name: &str, help: &str, labels: &[&str]| {
            let family = IntCounterVec::new(Opts::new(name, help), labels)?;
            registered(registry, family)
        };
        let one = |name: &str, help: &str| {
            let counter = IntCounter::new(name, help)?;
            registered(registry, counter)
        };
        let takeovers = HistogramOpts::new(
            "bullpen_takeover_seconds",
            "Time without an acting coordinator: from the first event that tells of its loss, or \
             else the first election, to the next one that acts. By what became of the last one.",
        );
        let takeovers = takeovers.buckets(TAKEOVER_BUCKETS.to_vec());
        let counters = Counters {
            elections: vec(
                "bullpen_elections_total",
                "Elections that nodes have started, by cause. Several may come of one loss.",
                &["cause"],
            )?,
            elections_won: one(
                "bullpen_elections_won_total",
                "Elections that were won: an epoch was fixed.",
            )?,
            takeover_seconds: registered(registry, HistogramVec::new(takeovers, &["after"])?)?,
            step_downs: vec(
                "bullpen_step_downs_total",
                "Coordinators and candidates that have given way, by cause.",
                &["cause"],
            )?,
            restarts: vec(
                "bullpen_restarts_total",
                "Processes that were started in place of one that ended, by how that one ended: its \
                 signal, or exit_ and its code.",
                &["node", "reason"],
            )?,
            stale_refused: vec(
                "bullpen_stale_refused_total",
                "Messages in the name of an epoch that is over, which were refused, by message.",
                &["message"],
            )?,
            operations_reassigned: vec(
                "bullpen_operations_reassigned_total",
                "Operations that were given to another worker, by cause.",
                &["cause"],
            )?,
            operations_recomputed: vec(
                "bullpen_operations_recomputed_total",
                "Operations that were computed twice, by cause.",
                &["cause"],
            )?,
            operations_traced: vec(
                "bullpen_operations_traced_total",
                "Operations that have passed a stage; only with --trace-operations.",
                &["stage"],
            )?,
            faults_injected: vec(
                "bullpen_faults_injected_total",
                "Faults that nodes have injected into themselves, by place and kind.",
                &["at", "do"],
            )?,
            jobs_ended: vec(
                "bullpen_jobs_ended_total",
                "Jobs whose text has got its name, by outcome: done or failed.",
                &["outcome"],
            )?,
        };
        counters.begin_at_zero();
        Ok(counters)
    }

    /// What is closed and small is shown before it happens first, so that a rate has a beginning.
    fn begin_at_zero(&self) {
        for cause in words(ElectionCause::VARIANTS) {
            self.elections.with_label_values(&[&cause]);
        }
        for cause in words(StepDownCause::VARIANTS) {
            self.step_downs.with_label_values(&[&cause]);
        }
        for cause in words(ReassignCause::VARIANTS) {
            self.operations_reassigned.with_label_values(&[&cause]);
            self.operations_recomputed.with_label_values(&[&cause]);
        }
        for outcome in ["done", "failed"] {
            self.jobs_ended.with_label_values(&[outcome]);
        }
        for after in After::VARIANTS {
            self.takeover_seconds.with_label_values(&[after.word()]);
        }
    }
}

/// Causes as the event log names them.
fn words(causes: &[impl Serialize]) -> impl Iterator<Item = String> {
    let word = |cause| {
        serde_json::to_value(cause)
            .ok()?
            .as_str()
            .map(str::to_owned)
    };
    causes.iter().filter_map(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_the_name_that_the_event_log_gives_it() {
        let elections: Vec<String> = words(ElectionCause::VARIANTS).collect();
        assert_eq!(elections.len(), ElectionCause::VARIANTS.len());
        assert!(elections.contains(&"coordinator_lost".to_owned()));
        assert_eq!(
            words(StepDownCause::VARIANTS).collect::<Vec<_>>(),
            ["promised", "stale", "gap", "isolated", "file_call_slow"]
        );
        assert_eq!(
            words(ReassignCause::VARIANTS).count(),
            ReassignCause::VARIANTS.len()
        );
    }
}
