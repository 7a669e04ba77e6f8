//! What the supervisor tells of the present.

use prometheus::{Gauge, GaugeVec, Opts, Registry};
use protocol::status::JobState;
use strum::VariantArray;
use supervisor::control::{ClusterStatus, NodeState, Role};

use super::registered;

/// The present state.
#[derive(Debug)]
pub(super) struct Gauges {
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

impl Gauges {
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Gauges> {
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
                "1 for the role of the node's process, else 0; of those that believe to coordinate, all but the one \
                 with the highest epoch are stale.",
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

    /// Shows a state; none where no cluster answers.
    pub(super) fn show(&self, status: Option<&ClusterStatus>) {
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
            for &role in Role::VARIANTS {
                let has = node.pid.is_some() && node.role == role;
                let gauge = self
                    .node_role
                    .with_label_values(&[id.as_str(), role.word()]);
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
