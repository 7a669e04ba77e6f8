//! From a claimed or found file to the factorials that are computed, or the reasons why not.

use std::collections::BTreeSet;
use std::time::Duration;

use super::job;
use super::jobs::Stage;
use super::still::{Seen, Still};
use crate::coordinator::Coordinator;
use crate::core::Core;
use crate::words::file::{FileReply, Folder};
use crate::words::time::Untimed;
use crate::words::trace::{ReassignCause, Trace, WaitCause};

/// So long somebody may keep a job's file from being read: longer than the system lets a lease stand
/// in the way of who wants to open a file.
const KEPT_AT_MOST: Duration = Duration::from_secs(60);

impl Coordinator {
    /// A dropped file was claimed under this name, after this was seen of it.
    pub(crate) fn claimed(
        &mut self,
        core: &mut Core,
        name: String,
        rejected: Option<String>,
        still: Option<Still>,
    ) {
        let key = self.jobs.add(name, Folder::Running, Stage::Reading);
        if let Some(job) = self.jobs.open.get_mut(&key) {
            job.still = still;
        }
        match rejected {
            Some(reason) => self.reject(core, key, vec![reason]),
            None => self.issue(core, key),
        }
    }

    /// A job waits for something, and tells so once.
    pub(crate) fn wait(&mut self, core: &mut Core, key: u64, why: WaitCause) {
        if let Some(job) = self.jobs.open.get_mut(&key) {
            job.waits = Some(why);
            if job.told.replace(why) != Some(why) {
                let job = job.name.clone();
                core.trace(Trace::JobWaits { job, why });
            }
        }
        self.take_in(core);
    }

    /// A job's call is made again later; it keeps no other job waiting.
    pub(crate) fn stall(&mut self, core: &mut Core, key: u64, why: WaitCause) {
        if let Some(job) = self.jobs.open.get_mut(&key) {
            job.stalled = true;
        }
        self.retry_files(core);
        self.wait(core, key, why);
    }

    /// A job's file cannot be read yet. That may last for ever, and the other jobs do not wait for it.
    pub(crate) fn leave_unread(&mut self, core: &mut Core, key: u64) {
        self.jobs.recovery.unread.remove(&key);
        self.settle(core);
    }

    /// Somebody may still be writing a job's file, or keeps it from being read.
    fn wait_for_writer(&mut self, core: &mut Core, key: u64) {
        self.stall(core, key, WaitCause::Writer);
        self.leave_unread(core, key);
    }

    /// A job's file was looked at, and read if it was complete.
    pub(crate) fn read(&mut self, core: &mut Core, key: u64, reply: FileReply) {
        let now = core.now();
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        match reply {
            FileReply::Absent => {
                // Its commit by an earlier coordinator came late, perhaps after `done/` was listed.
                if job.home == Folder::Running {
                    self.miss(core, key);
                }
                self.drop_job(core, key);
            }
            FileReply::Content(content) => {
                job.still = None;
                match core.parse_job(&content) {
                    Ok(factorials) => self.accept(core, key, factorials),
                    Err(reasons) => self.reject(core, key, reasons),
                }
            }
            FileReply::Unsettled { content, stamp } => {
                if Still::sees(&mut job.still, Seen::Stamp(stamp), now) {
                    return self.read(core, key, FileReply::Content(content));
                }
                match core.parse_job(&content) {
                    // Others may have computed much of it: it is only not committed yet.
                    Ok(factorials) if job.is_found => self.accept(core, key, factorials),
                    _ => return self.wait_for_writer(core, key),
                }
            }
            FileReply::Denied(error) => {
                if !Still::sees(&mut job.still, Seen::Denied, now) {
                    return self.wait_for_writer(core, key);
                }
                let reason = format!("it cannot be read: {error}");
                self.reject(core, key, vec![reason]);
            }
            FileReply::NotAFile(kind) => self.reject_unread(core, key, kind),
            FileReply::Probed(_) => return self.wait_for_writer(core, key),
            FileReply::Kept => {
                // Whoever drops files could else stop all intake.
                let since = job.kept_since.get_or_insert(Untimed(now)).0;
                if now.since(since) < KEPT_AT_MOST {
                    return self.wait_for_writer(core, key);
                }
                let kind = "a file that somebody keeps from being read by a lease";
                self.reject_unread(core, key, kind);
            }
            _ => {}
        }
        // A text that an earlier coordinator left may prove to be no answer; and what somebody holds of
        // a job that waits for room is still to be taken in.
        if self
            .jobs
            .get(key)
            .is_none_or(|job| !matches!(job.stage, Stage::Checking | Stage::Room))
        {
            self.jobs.recovery.unread.remove(&key);
        }
        self.settle(core);
    }

    fn reject_unread(&mut self, core: &mut Core, key: u64, kind: &str) {
        let reason = format!("it is {kind}: only regular files are read");
        self.reject(core, key, vec![reason]);
    }

    /// Has a job computed when there is room for its results; where an earlier coordinator left a
    /// text for it, that is looked at first.
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
        let before = std::mem::replace(&mut job.factorials, factorials.clone());
        let unneeded = before
            .into_iter()
            .filter(|n| !distinct.contains(n))
            .collect();
        for &n in &distinct {
            self.jobs.needs.entry(n).or_default().insert(key);
        }
        self.release(core, key, unneeded);
        self.free_memory(core, key);
        let bytes = job::text_bytes(&factorials);
        if bytes > core.config.small_text {
            if let Some(job) = self.jobs.open.get_mut(&key) {
                job.stage = Stage::Room;
                job.text_bytes = bytes;
            }
            self.issue(core, key);
        } else {
            self.compute_in_turn(core, key);
        }
    }

    /// Opens the factorials of a job whose turn it is.
    pub(super) fn compute(&mut self, core: &mut Core, key: u64) {
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        job.waits = None;
        let name = job.name.clone();
        let distinct: BTreeSet<u32> = job.factorials.iter().copied().collect();
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
            .filter(|&n| !core.checkpoint.products.has_factorial(n));
        let missing: BTreeSet<u32> = missing.collect();
        if let Some(job) = self.jobs.open.get_mut(&key) {
            if job.home == Folder::Running {
                let asks = job::digest(&job.factorials);
                core.trace(Trace::JobAccepted { job: name, asks });
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
        self.sweep_text(core, key);
        if let Some(job) = self.jobs.open.get_mut(&key) {
            core.trace(Trace::JobRejected {
                job: job.name.clone(),
            });
            job.reasons = reasons;
            job.still = None;
            job.stage = Stage::Writing;
            self.issue(core, key);
        }
    }
}
