//! What a node tells its supervisor, and when.

use std::time::{Duration, Instant};

use ipc::control::{Sent, ToSupervisor};
use protocol::id::{Epoch, NodeId};
use protocol::node::Node;
use protocol::status::{Ignored, RoleName};

use super::Driver;
use crate::event_log::Lost;

/// How often a coordinator reports the progress of its jobs.
const PROGRESS: Duration = Duration::from_millis(100);
/// How often a node reports at least. The supervisor kills one that it has not heard for 10 s.
const ALIVE: Duration = Duration::from_secs(2);
/// How soon a node reports that its copy of the checkpoint has grown or shrunk.
const HELD: Duration = Duration::from_millis(500);

/// What is told at once when it changes: role, highest epoch, coordinator, for how many deaths jobs are
/// marked, whether the file system answers, and what is ignored.
type View<I> = (RoleName, Epoch, Option<NodeId>, u64, bool, I);

/// What the supervisor was told last, and what it is still to be told.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(super) told: Option<View<Option<Ignored>>>,
    /// When the last report was sent, or could not be because the link was full.
    tried_at: Option<Instant>,
    /// The last report of progress still listed jobs.
    had_jobs: bool,
    /// Bytes of products in its copy of the checkpoint, and the most that there were, as last
    /// reported.
    told_held_bytes: (u64, u64),
    /// The most that there were after any event.
    pub(super) peak_held_bytes: u64,
    /// A job has ended since the last report.
    pub(super) job_ended: bool,
    /// How many lost events the supervisor knows of.
    told_lost: u64,
}

impl Report {
    /// When to report again though the view is the same: the progress of jobs, or their end, else
    /// what is held, or that the file system does not answer, else that this node lives.
    pub(super) fn due(&self, node: &Node) -> Option<Instant> {
        let interval = if self.had_jobs || node.open_jobs() > 0 {
            PROGRESS
        } else if node.files_hang()
            || self.told_held_bytes != (node.held_bytes(), self.peak_held_bytes)
        {
            HELD
        } else {
            ALIVE
        };
        self.tried_at.map(|tried_at| tried_at + interval)
    }
}

impl Driver {
    /// Tells what has changed, and now and then the same again.
    pub(super) fn tell_supervisor(&mut self) {
        if std::mem::take(&mut self.report.job_ended) {
            self.tell(&ToSupervisor::JobEnded);
        }
        self.tell_lost();
        let view = (
            self.node.role(),
            self.node.highest(),
            self.node.coordinator(),
            self.node.deaths_charged(),
            self.node.files_hang(),
            self.node.ignored(),
        );
        let due = self
            .report
            .due(&self.node)
            .is_some_and(|due| due <= Instant::now());
        let told = self.report.told.as_ref();
        let told = told.map(|(role, highest, coordinator, charged, hangs, ignored)| {
            (
                *role,
                *highest,
                *coordinator,
                *charged,
                *hangs,
                ignored.as_ref(),
            )
        });
        if told != Some(view) || due {
            let (role, highest, coordinator, charged, hangs, ignored) = view;
            let view = (role, highest, coordinator, charged, hangs, ignored.cloned());
            let status = self.node.status();
            let had_jobs = !status.jobs.is_empty();
            let held_bytes = status.held_bytes;
            let peak_held_bytes = self.report.peak_held_bytes;
            // Also when it fails: a report that stays due would keep the loop from sleeping.
            self.report.tried_at = Some(Instant::now());
            let report = ToSupervisor::Status {
                status,
                peak_held_bytes,
            };
            if self.tell(&report) {
                self.report.told = Some(view);
                self.report.had_jobs = had_jobs;
                self.report.told_held_bytes = (held_bytes, peak_held_bytes);
            }
        }
    }

    /// Tells how many events could not be written, before anything follows from them: this life may
    /// end at any moment, and then nobody would know that they are missing.
    pub(crate) fn tell_lost(&mut self) {
        let Lost {
            events: count,
            errno,
        } = self.log.lost();
        if count > self.report.told_lost && self.tell(&ToSupervisor::EventsLost { count, errno }) {
            self.report.told_lost = count;
        }
    }

    /// Sends what fits; the latest state is sent again later where it does not.
    pub(crate) fn tell(&self, message: &ToSupervisor) -> bool {
        match self.control.get_ref().send(message) {
            Ok(Sent::Done) => true,
            Ok(Sent::WouldBlock) => false,
            Err(error) => {
                tracing::debug!("cannot report to the supervisor: {error}");
                false
            }
        }
    }
}
