//! What a node reports to its supervisor, and when.

use std::time::{Duration, Instant};

use ipc::control::{Sent, ToSupervisor};
use protocol::id::{Epoch, NodeId};
use protocol::node::Node;
use protocol::status::{Ignored, RoleName};

use super::Driver;
use crate::event_log::Lost;

/// How often a coordinator reports the progress of its jobs.
const PROGRESS: Duration = Duration::from_millis(100);
/// Longest interval between reports. The supervisor kills a node that has not reported for 10 s.
const ALIVE: Duration = Duration::from_secs(2);
/// How soon a node reports a change in the size of its copy of the checkpoint.
const HELD: Duration = Duration::from_millis(500);

/// State whose changes are reported at once: role, highest epoch, coordinator, number of deaths charged to jobs,
/// whether the file system hangs, and the ignored files.
type View<I> = (RoleName, Epoch, Option<NodeId>, u64, bool, I);

/// The last report to the supervisor, and what is still to be reported.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(super) sent: Option<View<Option<Ignored>>>,
    /// When the last report was sent, or failed because the link was full.
    tried_at: Option<Instant>,
    /// The last report of progress still listed jobs.
    had_jobs: bool,
    /// Bytes of products in its copy of the checkpoint, and their peak, as last reported.
    sent_held_bytes: (u64, u64),
    /// Their peak after any event.
    pub(super) peak_held_bytes: u64,
    /// A job has ended since the last report.
    pub(super) job_ended: bool,
    /// How many lost events have been reported.
    sent_lost: u64,
}

impl Report {
    /// When to report again even if the view is unchanged: soonest for the progress or end of jobs, later for the
    /// bytes held or a file system that hangs, at the latest to show that this node is alive.
    pub(super) fn due(&self, node: &Node) -> Option<Instant> {
        let interval = if self.had_jobs || node.open_jobs() > 0 {
            PROGRESS
        } else if node.files_hang()
            || self.sent_held_bytes != (node.held_bytes(), self.peak_held_bytes)
        {
            HELD
        } else {
            ALIVE
        };
        self.tried_at.map(|tried_at| tried_at + interval)
    }
}

impl Driver {
    /// Reports what has changed, and repeats the report when it is due.
    pub(super) fn report_status(&mut self) {
        if std::mem::take(&mut self.report.job_ended) {
            self.notify_supervisor(&ToSupervisor::JobEnded);
        }
        self.report_lost_events();
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
        let sent = self.report.sent.as_ref();
        let sent = sent.map(|(role, highest, coordinator, charged, hangs, ignored)| {
            (
                *role,
                *highest,
                *coordinator,
                *charged,
                *hangs,
                ignored.as_ref(),
            )
        });
        if sent != Some(view) || due {
            let (role, highest, coordinator, charged, hangs, ignored) = view;
            let view = (role, highest, coordinator, charged, hangs, ignored.cloned());
            let status = self.node.status();
            let had_jobs = !status.jobs.is_empty();
            let held_bytes = status.held_bytes;
            let peak_held_bytes = self.report.peak_held_bytes;
            // Even if it fails: a report that stays due would keep the loop from sleeping.
            self.report.tried_at = Some(Instant::now());
            let report = ToSupervisor::Status {
                status,
                peak_held_bytes,
            };
            if self.notify_supervisor(&report) {
                self.report.sent = Some(view);
                self.report.had_jobs = had_jobs;
                self.report.sent_held_bytes = (held_bytes, peak_held_bytes);
            }
        }
    }

    /// Reports how many events could not be written, before anything follows from them: this process may end
    /// at any moment, and then nobody would know that they are missing.
    pub(crate) fn report_lost_events(&mut self) {
        let Lost {
            events: count,
            errno,
        } = self.log.lost();
        if count > self.report.sent_lost
            && self.notify_supervisor(&ToSupervisor::EventsLost { count, errno })
        {
            self.report.sent_lost = count;
        }
    }

    /// Sends a message if the link has room; otherwise the latest state is sent later.
    pub(crate) fn notify_supervisor(&self, message: &ToSupervisor) -> bool {
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
