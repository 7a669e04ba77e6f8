//! From a claimed or found file to the factorials that are computed, or the reasons why not.

use std::collections::BTreeSet;

use super::Stage;
use crate::coordinator::Coordinator;
use crate::core::Core;
use crate::file::{FileReply, Folder, Probe};
use crate::trace::{ReassignCause, Trace};

impl Coordinator {
    /// A dropped file was claimed under this name.
    pub(crate) fn claimed(&mut self, core: &mut Core, name: String, rejected: Option<String>) {
        let key = self.jobs.add(name, Folder::Running, Stage::Reading);
        match rejected {
            Some(reason) => self.reject(core, key, vec![reason]),
            None => self.issue(core, key),
        }
    }

    /// A job's file was looked at. Where only a quiet time could tell whether it is complete, it has
    /// had that before it was claimed, and the work does not wait for another.
    pub(crate) fn probed_found(&mut self, core: &mut Core, key: u64, reply: &FileReply) {
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        if *reply != FileReply::Probed(Probe::Busy) {
            job.stage = Stage::Reading;
            self.issue(core, key);
            return;
        }
        job.stalled = true;
        self.retry_files(core);
        self.leave_unread(core, key);
    }

    /// A job's file cannot be read yet. That may last for ever, and the other jobs do not wait for it.
    pub(crate) fn leave_unread(&mut self, core: &mut Core, key: u64) {
        self.jobs.recovery.unread.remove(&key);
        self.settle(core);
    }

    /// A job's file was read.
    pub(crate) fn read(&mut self, core: &mut Core, key: u64, reply: FileReply) {
        let failed = self
            .jobs
            .get(key)
            .is_some_and(|job| job.home == Folder::Failed);
        match reply {
            FileReply::Absent => {
                // Its commit by an earlier coordinator came late, perhaps after `done/` was listed.
                let running = self
                    .jobs
                    .get(key)
                    .is_some_and(|job| job.home == Folder::Running);
                if running {
                    self.recover_jobs(core);
                }
                self.drop_job(core, key);
            }
            _ if failed => self.finish_failed(core, key, &reply),
            FileReply::Content(content) => match core.parse_job(&content) {
                Ok(factorials) => self.accept(core, key, factorials),
                Err(reasons) => self.reject(core, key, reasons),
            },
            FileReply::NotAFile(kind) => {
                self.reject(
                    core,
                    key,
                    vec![format!("it is {kind}: only regular files are read")],
                );
            }
            FileReply::Denied(error) => {
                self.reject(core, key, vec![format!("it cannot be read: {error}")])
            }
            _ => {}
        }
        // A text that an earlier coordinator left may prove to be no answer.
        if self
            .jobs
            .get(key)
            .is_none_or(|job| job.stage != Stage::Checking)
        {
            self.jobs.recovery.unread.remove(&key);
        }
        self.settle(core);
    }

    /// Opens a job's factorials, or, where an earlier coordinator left a text for them, has that
    /// looked at first.
    pub(crate) fn accept(&mut self, core: &mut Core, key: u64, factorials: Vec<u32>) {
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        if job.stage == Stage::Reading && job.text.is_some() {
            job.factorials = factorials;
            job.stage = Stage::Checking;
            self.issue(core, key);
            return;
        }
        let distinct: BTreeSet<u32> = factorials.iter().copied().collect();
        let before = std::mem::replace(&mut job.factorials, factorials);
        let name = job.name.clone();
        let unneeded = before
            .into_iter()
            .filter(|n| !distinct.contains(n))
            .collect();
        self.release(core, key, unneeded);
        for &n in &distinct {
            self.jobs.needs.entry(n).or_default().insert(key);
            let reached = self
                .work
                .open(n, &core.checkpoint.products, &self.pool.assigned_of(n));
            for op in reached {
                self.work.note_reassigned(op, ReassignCause::Takeover);
                let why = ReassignCause::Takeover;
                core.trace_block(op, |op| Trace::OperationReassigned { op, why });
            }
        }
        let missing = distinct
            .into_iter()
            .filter(|&n| !core.checkpoint.products.has_digits(n));
        let missing: BTreeSet<u32> = missing.collect();
        if let Some(job) = self.jobs.open.get_mut(&key) {
            if job.home == Folder::Running {
                core.trace(Trace::JobAccepted { job: name });
            }
            job.stage = Stage::Computing;
            job.missing = missing;
        }
        self.fail_if_deadly(core, key);
        self.proceed_if_computed(core, key);
    }

    /// A job cannot be done: its text gives the reasons.
    pub(crate) fn reject(&mut self, core: &mut Core, key: u64, reasons: Vec<String>) {
        self.release_all(core, key);
        if let Some(job) = self.jobs.open.get_mut(&key) {
            core.trace(Trace::JobRejected {
                job: job.name.clone(),
            });
            job.reasons = reasons;
            job.stage = Stage::Writing;
            self.issue(core, key);
        }
    }
}
