//! The metrics, each with its meaning and its unit.

use std::collections::{BTreeMap, BTreeSet};

use laboratory::log::Event;
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
    TextEncoder,
};
use protocol::status::{JobState, RoleName};

use super::takeover::{After, Takeovers};
use crate::control::{ClusterStatus, NodeState, role_word};

/// Upper bounds in seconds: from a takeover by the closed link, 1 ms, to one after several time-outs.
const TAKEOVER_BUCKETS: [f64; 13] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
];

const ROLES: [RoleName; 4] = [
    RoleName::Worker,
    RoleName::Candidate,
    RoleName::Recovering,
    RoleName::Coordinator,
];

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

#[derive(Debug)]
struct Counters {
    elections: IntCounterVec,
    elections_won: IntCounter,
    takeover_seconds: HistogramVec,
    step_downs: IntCounterVec,
    restarts: IntCounterVec,
    stale_refused: IntCounterVec,
    operations_reassigned: IntCounterVec,
    operations_recomputed: IntCounterVec,
    operations_traced: IntCounterVec,
    faults_injected: IntCounterVec,
    jobs_ended: IntCounterVec,
}

#[derive(Debug)]
struct Gauges {
    up: Gauge,
    term: Gauge,
    node_up: GaugeVec,
    node_role: GaugeVec,
    node_term: GaugeVec,
    node_uptime_seconds: GaugeVec,
    node_held_bytes: GaugeVec,
    node_peak_held_bytes: GaugeVec,
    jobs: GaugeVec,
    operations: GaugeVec,
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

impl Counters {
    fn register(registry: &Registry) -> prometheus::Result<Counters> {
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
        for cause in [
            "start",
            "coordinator_lost",
            "no_coordinator",
            "challenged",
            "no_victory",
            "preemption",
            "gap",
            "isolated",
        ] {
            self.elections.with_label_values(&[cause]);
        }
        for cause in ["promised", "stale", "gap", "isolated"] {
            self.step_downs.with_label_values(&[cause]);
        }
        for cause in [
            "worker_died",
            "worker_stopped",
            "worker_silent",
            "deadline",
            "takeover",
        ] {
            self.operations_reassigned.with_label_values(&[cause]);
            self.operations_recomputed.with_label_values(&[cause]);
        }
        for outcome in ["done", "failed"] {
            self.jobs_ended.with_label_values(&[outcome]);
        }
        for after in [
            After::Start,
            After::Exit,
            After::Stop,
            After::StepDown,
            After::Silence,
        ] {
            self.takeover_seconds.with_label_values(&[after.word()]);
        }
    }
}

impl Gauges {
    fn register(registry: &Registry) -> prometheus::Result<Gauges> {
        let vec = |name: &str, help: &str, labels: &[&str]| {
            let family = GaugeVec::new(Opts::new(name, help), labels)?;
            registered(registry, family)
        };
        let one = |name: &str, help: &str| registered(registry, Gauge::new(name, help)?);
        Ok(Gauges {
            up: one("bullpen_up", "1 if the supervisor answers, else 0.")?,
            term: one(
                "bullpen_term",
                "The highest term that any node has reported.",
            )?,
            node_up: vec(
                "bullpen_node_up",
                "1 while the node's process runs, 0 while it is stopped or waits for its restart.",
                &["node"],
            )?,
            node_role: vec(
                "bullpen_node_role",
                "1 for the role that the node's process has reported, else 0.",
                &["node", "role"],
            )?,
            node_term: vec(
                "bullpen_node_term",
                "The highest term that the node has reported.",
                &["node"],
            )?,
            node_uptime_seconds: vec(
                "bullpen_node_uptime_seconds",
                "Age of the node's process, time spent stopped included.",
                &["node"],
            )?,
            node_held_bytes: vec(
                "bullpen_node_held_bytes",
                "Bytes of the products in the node's copy of the checkpoint.",
                &["node"],
            )?,
            node_peak_held_bytes: vec(
                "bullpen_node_peak_held_bytes",
                "The most bytes of products that the node's copy of the checkpoint has held in the \
                 life of its process.",
                &["node"],
            )?,
            jobs: vec(
                "bullpen_jobs",
                "Open jobs, by state: running or publishing.",
                &["state"],
            )?,
            operations: vec(
                "bullpen_operations",
                "Operations of the open jobs, by state: done or open.",
                &["state"],
            )?,
        })
    }

    fn show(&self, status: Option<&ClusterStatus>) {
        self.up.set(f64::from(u8::from(status.is_some())));
        for family in [
            &self.node_up,
            &self.node_role,
            &self.node_term,
            &self.node_uptime_seconds,
            &self.node_held_bytes,
            &self.node_peak_held_bytes,
        ] {
            family.reset();
        }
        self.term
            .set(status.map_or(0.0, |status| as_f64(status.term.0)));
        self.show_nodes(status);
        self.show_jobs(status);
    }

    fn show_nodes(&self, status: Option<&ClusterStatus>) {
        for node in status.into_iter().flat_map(|status| &status.nodes) {
            let id = node.id.to_string();
            let set = |family: &GaugeVec, value: u64| {
                family.with_label_values(&[&id]).set(as_f64(value));
            };
            set(&self.node_up, u64::from(node.state == NodeState::Running));
            set(&self.node_term, node.term.0);
            set(&self.node_held_bytes, node.held_bytes);
            set(&self.node_peak_held_bytes, node.peak_held_bytes);
            let uptime = self.node_uptime_seconds.with_label_values(&[&id]);
            uptime.set(as_f64(node.uptime_ms) / 1_000.0);
            for role in ROLES {
                let has = node.pid.is_some() && node.role == role;
                let gauge = self
                    .node_role
                    .with_label_values(&[id.as_str(), role_word(role)]);
                gauge.set(f64::from(u8::from(has)));
            }
        }
    }

    fn show_jobs(&self, status: Option<&ClusterStatus>) {
        let jobs = status.map_or(&[][..], |status| &status.jobs);
        for (state, word) in [
            (JobState::Running, "running"),
            (JobState::Publishing, "publishing"),
        ] {
            let count = jobs.iter().filter(|job| job.state == state).count();
            self.jobs
                .with_label_values(&[word])
                .set(as_f64(count as u64));
        }
        let done: u64 = jobs.iter().map(|job| job.done).sum();
        let total: u64 = jobs.iter().map(|job| job.total).sum();
        let set = |state, value| {
            let gauge = self.operations.with_label_values(&[state]);
            gauge.set(as_f64(value));
        };
        set("done", done);
        set("open", total.saturating_sub(done));
    }
}

/// Exact up to 2^53, which is as much as Prometheus keeps.
#[expect(
    clippy::cast_precision_loss,
    reason = "the format knows no other numbers"
)]
fn as_f64(value: u64) -> f64 {
    value as f64
}

fn registered<C: Collector + Clone + 'static>(
    registry: &Registry,
    family: C,
) -> prometheus::Result<C> {
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}
