//! From a claimed or found file to the factorials that are computed, or the reasons why not.

use std::collections::BTreeSet;
use std::time::Duration;

use super::context::{Context, Order};
use super::job;
use super::jobs::Stage;
use super::still::{Seen, Still};
use super::{Desk, RETRY_FILES};
use crate::words::file::{FileReply, Folder};
use crate::words::time::Untimed;
use crate::words::timer::Timer;
use crate::words::trace::{Trace, WaitCause};

/// So long somebody may keep a job's file from being read: longer than the system lets a lease stand
/// in the way of who wants to open a file.
const KEPT_AT_MOST: Duration = Duration::from_secs(60);

impl Desk {
    /// A dropped file was claimed under this name, after this was seen of it.
    pub(super) fn claimed(
        &mut self,
        context: &mut Context<'_>,
        name: String,
        rejected: Option<String>,
        still: Option<Still>,
    ) {
        let key = self.jobs.add(name, Folder::Running, Stage::Reading);
        if let Some(job) = self.jobs.open.get_mut(&key) {
            job.still = still;
        }
        match rejected {
            Some(reason) => self.reject(context, key, vec![reason]),
            None => self.issue(context, key),
        }
    }

    /// A job waits for something, and tells so once.
    pub(super) fn wait(&mut self, context: &mut Context<'_>, key: u64, why: WaitCause) {
        if let Some(job) = self.jobs.open.get_mut(&key) {
            job.waits = Some(why);
            if job.told.replace(why) != Some(why) {
                let job = job.name.clone();
                context.trace(Trace::JobWaits { job, why });
            }
        }
        self.take_in(context);
    }

    /// A job's call is made again later; it keeps no other job waiting.
    pub(super) fn stall(&mut self, context: &mut Context<'_>, key: u64, why: WaitCause) {
        if let Some(job) = self.jobs.open.get_mut(&key) {
            job.stalled = true;
        }
        context.arm_if_idle(Timer::RetryFiles, RETRY_FILES);
        self.wait(context, key, why);
    }

    /// A job's file cannot be read yet. That may last for ever, and the other jobs do not wait for it.
    pub(super) fn leave_unread(&mut self, context: &mut Context<'_>, key: u64) {
        self.recovery.unread.remove(&key);
        self.settle(context);
    }

    /// Somebody may still be writing a job's file, or keeps it from being read.
    fn wait_for_writer(&mut self, context: &mut Context<'_>, key: u64) {
        self.stall(context, key, WaitCause::Writer);
        self.leave_unread(context, key);
    }

    /// A job's file was looked at, and read if it was complete.
    pub(super) fn read(&mut self, context: &mut Context<'_>, key: u64, reply: FileReply) {
        let now = context.now;
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        match reply {
            FileReply::Absent => {
                // Its commit by an earlier coordinator came late, perhaps after `done/` was listed.
                if job.home == Folder::Running {
                    self.miss(context, key);
                }
                self.drop_job(context, key);
            }
            FileReply::Content(content) => {
                job.still = None;
                match context.parse_job(&content) {
                    Ok(factorials) => self.accept(context, key, factorials),
                    Err(reasons) => self.reject(context, key, reasons),
                }
            }
            FileReply::Unsettled { content, stamp } => {
                if Still::sees(&mut job.still, Seen::Stamp(stamp), now) {
                    return self.read(context, key, FileReply::Content(content));
                }
                match context.parse_job(&content) {
                    // Others may have computed much of it: it is only not committed yet.
                    Ok(factorials) if job.is_found => self.accept(context, key, factorials),
                    _ => return self.wait_for_writer(context, key),
                }
            }
            FileReply::Denied(error) => {
                if !Still::sees(&mut job.still, Seen::Denied, now) {
                    return self.wait_for_writer(context, key);
                }
                let reason = format!("it cannot be read: {error}");
                self.reject(context, key, vec![reason]);
            }
            FileReply::NotAFile(kind) => self.reject_unread(context, key, kind),
            FileReply::Probed(_) => return self.wait_for_writer(context, key),
            FileReply::Kept => {
                // Whoever drops files could else stop all intake.
                let since = job.kept_since.get_or_insert(Untimed(now)).0;
                if now.since(since) < KEPT_AT_MOST {
                    return self.wait_for_writer(context, key);
                }
                let kind = "a file that somebody keeps from being read by a lease";
                self.reject_unread(context, key, kind);
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
            self.recovery.unread.remove(&key);
        }
        self.settle(context);
    }

    fn reject_unread(&mut self, context: &mut Context<'_>, key: u64, kind: &str) {
        let reason = format!("it is {kind}: only regular files are read");
        self.reject(context, key, vec![reason]);
    }

    /// Has a job computed when there is room for its results; where an earlier coordinator left a
    /// text for it, that is looked at first.
    pub(super) fn accept(&mut self, context: &mut Context<'_>, key: u64, factorials: Vec<u32>) {
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        if job.stage == Stage::Reading && job.text.is_some() {
            job.factorials = factorials;
            job.stage = Stage::Checking;
            self.issue(context, key);
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
        self.release(context, key, unneeded);
        self.free_memory(context, key);
        let bytes = job::text_bytes(&factorials);
        if bytes > context.config.small_text {
            if let Some(job) = self.jobs.open.get_mut(&key) {
                job.stage = Stage::Room;
                job.text_bytes = bytes;
            }
            self.issue(context, key);
        } else {
            self.compute_in_turn(context, key);
        }
    }

    /// Opens the factorials of a job whose turn it is.
    pub(super) fn compute(&mut self, context: &mut Context<'_>, key: u64) {
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        job.waits = None;
        let name = job.name.clone();
        let distinct: BTreeSet<u32> = job.factorials.iter().copied().collect();
        for &n in &distinct {
            self.jobs.needs.entry(n).or_default().insert(key);
            context.orders.push(Order::Open(n));
        }
        let missing = distinct
            .into_iter()
            .filter(|&n| !context.checkpoint.products.has_factorial(n));
        let missing: BTreeSet<u32> = missing.collect();
        if let Some(job) = self.jobs.open.get_mut(&key) {
            if job.home == Folder::Running {
                let asks = job::digest(&job.factorials);
                context.trace(Trace::JobAccepted { job: name, asks });
            }
            job.stage = Stage::Computing;
            job.missing = missing;
        }
        self.fail_if_deadly(context, key);
        self.proceed_if_computed(context, key);
    }

    /// A job cannot be done: its text gives the reasons.
    pub(super) fn reject(&mut self, context: &mut Context<'_>, key: u64, reasons: Vec<String>) {
        self.release_all(context, key);
        self.sweep_text(context, key);
        if let Some(job) = self.jobs.open.get_mut(&key) {
            context.trace(Trace::JobRejected {
                job: job.name.clone(),
            });
            job.reasons = reasons;
            job.still = None;
            job.stage = Stage::Writing;
            self.issue(context, key);
        }
    }
}
