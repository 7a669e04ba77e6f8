//! Publication: the text is written under a hidden name, the job's file is committed by one
//! rename that only one process can win, and then the text takes its final name.
//!
//! Each step is a single file call, and each may be the last of its caller, or late.

mod calls;
mod texts;

use super::Desk;
use super::context::Context;
use super::hidden_text::TextState;
use super::jobs::{Job, Stage};
use super::names::suffixed;
use super::still::{Seen, Still};
use crate::words::file::{FileCall, FileReply, FileTag, Folder};
use crate::words::id::Term;
use crate::words::printable::printable;
use crate::words::trace::{Trace, WaitCause};

/// With more open jobs the regular look at `running/` must do.
const FEW_JOBS: usize = 16;

impl Desk {
    /// Makes the call that a job's stage waits for.
    pub(super) fn issue(&mut self, context: &mut Context<'_>, key: u64) {
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        job.stalled = false;
        if let Some(mut call) = job.call(context) {
            // The texts of jobs that were let go on before will take their room too.
            if let FileCall::Room { bytes } = &mut call {
                *bytes = bytes.saturating_add(self.jobs.unwritten_bytes());
            }
            context.call(FileTag::Job(key), call);
        }
    }

    /// A call for a job ended.
    pub(super) fn job_done(&mut self, context: &mut Context<'_>, key: u64, reply: FileReply) {
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        // A text that cannot be read is no answer; all else is tried again.
        let in_the_way = match &reply {
            FileReply::Failed(_) | FileReply::Never(_) if job.stage == Stage::Checking => None,
            FileReply::Never(error) if job.reasons.is_empty() => {
                let reason = error.clone();
                return self.reject(context, key, vec![reason]);
            }
            FileReply::Failed(error) | FileReply::Never(error) => {
                let sentence = format!("{error}; trying again until it works");
                Some((WaitCause::FileCall, sentence))
            }
            FileReply::Full(error) => {
                let sentence =
                    format!("{error}; it waits until there is room, and smaller ones go on");
                Some((WaitCause::Space, sentence))
            }
            // Whoever runs the cluster was told.
            FileReply::Unusable => Some((WaitCause::Folder, String::new())),
            _ => None,
        };
        if let Some((why, sentence)) = in_the_way {
            // Under `compute` the command tells it, and ends.
            let is_told = sentence.is_empty() || !context.config.log_results;
            if !is_told && job.told != Some(why) {
                let name = &job.name;
                context.warn(format!("job {name}: {sentence}"));
            }
            self.stall(context, key, why);
            self.leave_unread(context, key);
            return;
        }
        job.waits = None;
        match (job.stage, reply) {
            (Stage::Room, FileReply::Ok) => {
                self.compute_in_turn(context, key);
                self.leave_unread(context, key);
            }
            (Stage::Reading, reply) => self.read(context, key, reply),
            (Stage::Checking, reply) => {
                self.checked(context, key, reply);
                self.leave_unread(context, key);
            }
            (Stage::Writing, FileReply::Ok) => self.written(context, key),
            (Stage::Settling, FileReply::Content(content)) => {
                self.settled_as(context, key, &content, None);
            }
            (Stage::Settling, FileReply::Unsettled { content, stamp }) => {
                self.settled_as(context, key, &content, Some(stamp));
            }
            (Stage::Settling, reply) => self.read(context, key, reply),
            (Stage::Committing, FileReply::Ok) => self.committed(context, key),
            (Stage::Committing, FileReply::Taken) => {
                self.advance(context, key, Stage::Relabeling(2))
            }
            (Stage::Relabeling(suffix), FileReply::Ok) => {
                job.text = Some(job.relabeled(context, suffix));
                self.advance(context, key, Stage::Renaming(suffix));
            }
            (Stage::Relabeling(_), FileReply::Absent) => self.rewrite(context, key),
            (Stage::Relabeling(suffix) | Stage::Renaming(suffix), FileReply::Taken) => {
                self.advance(context, key, Stage::Relabeling(suffix + 1));
            }
            (Stage::Renaming(suffix), FileReply::Ok) => self.renamed(context, key, suffix),
            // Somebody has collected it: its text follows under the new name.
            (Stage::Renaming(suffix), FileReply::Absent) if job.home == job.end() => {
                self.renamed(context, key, suffix);
            }
            (Stage::Renaming(_) | Stage::Committing, FileReply::Absent) => {
                // Another has committed it, or somebody took it away.
                self.miss(context, key);
                self.drop_job(context, key);
            }
            (Stage::Verifying, reply) => self.verified(context, key, reply),
            (Stage::Naming, FileReply::Ok) => self.named(context, key),
            (Stage::Naming, FileReply::Taken) => self.advance(context, key, Stage::Comparing),
            (Stage::Comparing, FileReply::Absent) => self.advance(context, key, Stage::Naming),
            (Stage::Comparing, FileReply::Content(text)) if job.is_text(&text) => {
                self.sweep_text(context, key);
                self.named(context, key);
            }
            (Stage::Comparing, _) => {
                let name = printable(&job.name);
                context.warn(format!(
                    "job {name}: a text of its name, which is not its own, is in the way: it gets a number"
                ));
                self.advance(context, key, Stage::Relabeling(2));
            }
            // Another coordinator gave it the name, or took it for one that nobody needs: what else is there
            // for this job is kept until the folders tell.
            (Stage::Naming, FileReply::Absent) => {
                self.recover_jobs(context);
                self.drop_job(context, key);
            }
            _ => {}
        }
    }

    fn advance(&mut self, context: &mut Context<'_>, key: u64, stage: Stage) {
        if let Some(job) = self.jobs.get_mut(key) {
            job.stage = stage;
            self.issue(context, key);
        }
    }

    /// The text is complete under its hidden name.
    fn written(&mut self, context: &mut Context<'_>, key: u64) {
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        job.text = Some(job.hidden(context, TextState::CompleteFor(job.end())));
        let next = if job.home != job.end() {
            job.before_commit()
        } else if job.home == Folder::Done {
            Stage::Verifying
        } else {
            Stage::Naming
        };
        self.advance(context, key, next);
    }

    /// The file was read again, just before its commit; the stamp is there if only a quiet time can
    /// tell whether it is complete.
    fn settled_as(
        &mut self,
        context: &mut Context<'_>,
        key: u64,
        content: &[u8],
        stamp: Option<u64>,
    ) {
        let now = context.now;
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        let is_final =
            stamp.is_none_or(|stamp| Still::sees(&mut job.still, Seen::Stamp(stamp), now));
        if !is_final {
            return self.stall(context, key, WaitCause::Writer);
        }
        job.still = None;
        match context.parse_job(content) {
            Ok(factorials) if factorials == job.factorials => {
                self.advance(context, key, Stage::Committing);
            }
            Ok(factorials) => {
                self.sweep_text(context, key);
                self.accept(context, key, factorials);
            }
            Err(reasons) => self.reject(context, key, reasons),
        }
    }

    /// The job has another name.
    fn renamed(&mut self, context: &mut Context<'_>, key: u64, suffix: u32) {
        if let Some(job) = self.jobs.get_mut(key) {
            job.name = suffixed(&job.name, suffix);
            job.stage = if job.home == job.end() {
                Stage::Naming
            } else {
                Stage::Committing
            };
            self.issue(context, key);
        }
    }

    /// The commit was won here.
    fn committed(&mut self, context: &mut Context<'_>, key: u64) {
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        job.home = job.end();
        context.trace(Trace::ResultPublished {
            job: job.name.clone(),
        });
        let next = if job.home == Folder::Done {
            Stage::Verifying
        } else {
            Stage::Naming
        };
        self.advance(context, key, next);
    }

    /// The committed file was read again: the text is its text only if the factorials are the same.
    fn verified(&mut self, context: &mut Context<'_>, key: u64, reply: FileReply) {
        let Some(job) = self.jobs.get(key) else {
            return;
        };
        let content = match reply {
            FileReply::Content(content) | FileReply::Unsettled { content, .. } => content,
            FileReply::Probed(_) | FileReply::Kept => {
                return self.stall(context, key, WaitCause::Writer);
            }
            // Somebody collects what is done, and what was read is what was computed.
            _ => {
                self.log_results(context, key);
                return self.advance(context, key, Stage::Naming);
            }
        };
        match context.parse_job(&content) {
            Ok(factorials) if factorials == job.factorials => {
                self.log_results(context, key);
                self.advance(context, key, Stage::Naming);
            }
            Ok(factorials) => {
                self.discard_text(context, key);
                self.accept(context, key, factorials);
            }
            Err(reasons) => {
                self.discard_text(context, key);
                self.reject(context, key, reasons);
            }
        }
    }

    /// The text has its final name.
    fn named(&mut self, context: &mut Context<'_>, key: u64) {
        let Some(done) = self.jobs.get(key).map(Job::done) else {
            return;
        };
        self.release_all(context, key);
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        context.trace(done);
        // Under `compute` the command tells it.
        if let Some(reason) = job.reasons.first()
            && context.config.log_results
        {
            let name = printable(&job.name);
            context.warn(format!(
                "job {name} failed: {reason}; all reasons are in failed/{name}.txt"
            ));
        }
        self.sweep_spared(context, key);
        self.sweep_marks(context, key);
        self.advance(context, key, Stage::Syncing);
        self.sync(context);
    }

    /// Syncs the folders for all jobs that wait for it, unless a sync is on its way: the jobs that
    /// are published meanwhile share the next one.
    fn sync(&mut self, context: &mut Context<'_>) {
        if self.jobs.begin_sync() {
            let folders = vec![Folder::Done, Folder::Failed, Folder::Running];
            context.call(FileTag::Sync, FileCall::Sync(folders));
        }
    }

    /// A sync ended. Its failure leaves nothing to do: the files have their names.
    pub(super) fn synced(&mut self, context: &mut Context<'_>) {
        for key in self.jobs.end_sync() {
            self.drop_job(context, key);
        }
        // An earlier coordinator may have left a text for them, by a call that came late. Who finds it
        // after they were collected must take it for one that was not delivered.
        if context.epoch.term > Term(1) && self.jobs.len() < FEW_JOBS {
            self.scan_running(context);
        }
        self.sync(context);
    }
}
