//! Publication: the text is written under a hidden name, the job's file is committed by one
//! rename that only one process can win, and then the text takes its final name.
//!
//! Each step is a single file call, and each may be the last of its caller, or late.

mod calls;

use self::calls::MAX_CHECKED_BYTES;
use super::hidden_text::TextState;
use super::inbox::suffixed;
use super::job;
use super::jobs::{Job, Stage};
use super::still::{Seen, Still};
use crate::coordinator::Coordinator;
use crate::core::Core;
use crate::words::event::Action;
use crate::words::file::{Content, FileCall, FileReply, FileTag, Folder};
use crate::words::id::Term;
use crate::words::printable::printable;
use crate::words::trace::{Trace, WaitCause};

/// With more open jobs the regular look at `running/` must do.
const FEW_JOBS: usize = 16;

impl Coordinator {
    /// Makes the call that a job's stage waits for.
    pub(crate) fn issue(&mut self, core: &mut Core, key: u64) {
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        job.stalled = false;
        if let Some(mut call) = job.call(core) {
            // The texts of jobs that were let go on before will take their room too.
            if let FileCall::Room { bytes } = &mut call {
                *bytes = bytes.saturating_add(self.jobs.unwritten_bytes());
            }
            self.call(core, FileTag::Job(key), call);
        }
    }

    /// A call for a job ended.
    pub(crate) fn job_done(&mut self, core: &mut Core, key: u64, reply: FileReply) {
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        // A text that cannot be read is no answer; all else is tried again.
        let in_the_way = match &reply {
            FileReply::Failed(_) | FileReply::Never(_) if job.stage == Stage::Checking => None,
            FileReply::Never(error) if job.reasons.is_empty() => {
                let reason = error.clone();
                return self.reject(core, key, vec![reason]);
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
            let is_told = sentence.is_empty() || !core.config.log_results;
            if !is_told && job.told != Some(why) {
                let name = &job.name;
                core.warn(format!("job {name}: {sentence}"));
            }
            self.stall(core, key, why);
            self.leave_unread(core, key);
            return;
        }
        job.waits = None;
        match (job.stage, reply) {
            (Stage::Room, FileReply::Ok) => {
                self.compute_in_turn(core, key);
                self.leave_unread(core, key);
            }
            (Stage::Reading, reply) => self.read(core, key, reply),
            (Stage::Checking, reply) => {
                self.checked(core, key, reply);
                self.leave_unread(core, key);
            }
            (Stage::Writing, FileReply::Ok) => self.written(core, key),
            (Stage::Settling, FileReply::Content(content)) => {
                self.settled_as(core, key, &content, None);
            }
            (Stage::Settling, FileReply::Unsettled { content, stamp }) => {
                self.settled_as(core, key, &content, Some(stamp));
            }
            (Stage::Settling, reply) => self.read(core, key, reply),
            (Stage::Committing, FileReply::Ok) => self.committed(core, key),
            (Stage::Committing, FileReply::Taken) => self.advance(core, key, Stage::Relabeling(2)),
            (Stage::Relabeling(suffix), FileReply::Ok) => {
                job.text = Some(job.relabeled(core, suffix));
                self.advance(core, key, Stage::Renaming(suffix));
            }
            (Stage::Relabeling(_), FileReply::Absent) => self.rewrite(core, key),
            (Stage::Relabeling(suffix) | Stage::Renaming(suffix), FileReply::Taken) => {
                self.advance(core, key, Stage::Relabeling(suffix + 1));
            }
            (Stage::Renaming(suffix), FileReply::Ok) => self.renamed(core, key, suffix),
            // Somebody has collected it: its text follows under the new name.
            (Stage::Renaming(suffix), FileReply::Absent) if job.home == job.end() => {
                self.renamed(core, key, suffix);
            }
            (Stage::Renaming(_) | Stage::Committing, FileReply::Absent) => {
                // Another has committed it, or somebody took it away.
                self.miss(core, key);
                self.drop_job(core, key);
            }
            (Stage::Verifying, reply) => self.verified(core, key, reply),
            (Stage::Naming, FileReply::Ok) => self.named(core, key),
            (Stage::Naming, FileReply::Taken) => self.advance(core, key, Stage::Comparing),
            (Stage::Comparing, FileReply::Absent) => self.advance(core, key, Stage::Naming),
            (Stage::Comparing, FileReply::Content(text)) if job.is_text(&text) => {
                self.sweep_text(core, key);
                self.named(core, key);
            }
            (Stage::Comparing, _) => {
                let name = printable(&job.name);
                core.warn(format!(
                    "job {name}: a text of its name, which is not its own, is in the way: it gets a number"
                ));
                self.advance(core, key, Stage::Relabeling(2));
            }
            // Another coordinator gave it the name, or took it for one that nobody needs: what else is there
            // for this job is kept until the folders tell.
            (Stage::Naming, FileReply::Absent) => {
                self.recover_jobs(core);
                self.drop_job(core, key);
            }
            _ => {}
        }
    }

    fn advance(&mut self, core: &mut Core, key: u64, stage: Stage) {
        if let Some(job) = self.jobs.get_mut(key) {
            job.stage = stage;
            self.issue(core, key);
        }
    }

    /// The text is complete under its hidden name.
    fn written(&mut self, core: &mut Core, key: u64) {
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        job.text = Some(job.hidden(core, TextState::CompleteFor(job.end())));
        let next = if job.home != job.end() {
            job.before_commit()
        } else if job.home == Folder::Done {
            Stage::Verifying
        } else {
            Stage::Naming
        };
        self.advance(core, key, next);
    }

    /// The file was read again, just before its commit; the stamp is there if only a quiet time can
    /// tell whether it is complete.
    fn settled_as(&mut self, core: &mut Core, key: u64, content: &[u8], stamp: Option<u64>) {
        let now = core.now();
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        let is_final =
            stamp.is_none_or(|stamp| Still::sees(&mut job.still, Seen::Stamp(stamp), now));
        if !is_final {
            return self.stall(core, key, WaitCause::Writer);
        }
        job.still = None;
        match core.parse_job(content) {
            Ok(factorials) if factorials == job.factorials => {
                self.advance(core, key, Stage::Committing);
            }
            Ok(factorials) => {
                self.sweep_text(core, key);
                self.accept(core, key, factorials);
            }
            Err(reasons) => self.reject(core, key, reasons),
        }
    }

    /// The job has another name.
    fn renamed(&mut self, core: &mut Core, key: u64, suffix: u32) {
        if let Some(job) = self.jobs.get_mut(key) {
            job.name = suffixed(&job.name, suffix);
            job.stage = if job.home == job.end() {
                Stage::Naming
            } else {
                Stage::Committing
            };
            self.issue(core, key);
        }
    }

    /// The commit was won here.
    fn committed(&mut self, core: &mut Core, key: u64) {
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        job.home = job.end();
        core.trace(Trace::ResultPublished {
            job: job.name.clone(),
        });
        let next = if job.home == Folder::Done {
            Stage::Verifying
        } else {
            Stage::Naming
        };
        self.advance(core, key, next);
    }

    /// The committed file was read again: the text is its text only if the factorials are the same.
    fn verified(&mut self, core: &mut Core, key: u64, reply: FileReply) {
        let Some(job) = self.jobs.get(key) else {
            return;
        };
        let content = match reply {
            FileReply::Content(content) | FileReply::Unsettled { content, .. } => content,
            FileReply::Probed(_) | FileReply::Kept => {
                return self.stall(core, key, WaitCause::Writer);
            }
            // Somebody collects what is done, and what was read is what was computed.
            _ => {
                self.log_results(core, key);
                return self.advance(core, key, Stage::Naming);
            }
        };
        match core.parse_job(&content) {
            Ok(factorials) if factorials == job.factorials => {
                self.log_results(core, key);
                self.advance(core, key, Stage::Naming);
            }
            Ok(factorials) => {
                self.discard_text(core, key);
                self.accept(core, key, factorials);
            }
            Err(reasons) => {
                self.discard_text(core, key);
                self.reject(core, key, reasons);
            }
        }
    }

    /// The text that an earlier coordinator left for a committed job was read.
    fn checked(&mut self, core: &mut Core, key: u64, reply: FileReply) {
        let Some(job) = self.jobs.get(key) else {
            return;
        };
        match reply {
            FileReply::Content(text)
                if text.len() <= MAX_CHECKED_BYTES && job::answers(&text, &job.factorials) =>
            {
                let limit = core.config.log_digits;
                let lines = text.split(|&byte| byte == b'\n').zip(&job.factorials);
                let lines = lines.map(|(line, &n)| {
                    let equals = line.iter().position(|&byte| byte == b'=');
                    let digits = text.slice_ref(&line[equals.map_or(0, |equals| equals + 1)..]);
                    job::log_line(n, &Content::Text(digits), limit, &job.name)
                });
                let lines = lines.collect();
                if core.config.log_results {
                    core.outbox.push(Action::Log { lines });
                }
                self.advance(core, key, Stage::Naming);
            }
            // Else a job whose results were delivered, and taken out, would get them again.
            FileReply::Content(_) if job.has_doubtful_text => {
                self.sweep_text(core, key);
                self.drop_job(core, key);
            }
            // It has its final name by a late call of its writer; or it was swept.
            FileReply::Absent => {
                self.recover_jobs(core);
                self.drop_job(core, key);
            }
            _ => self.rewrite(core, key),
        }
    }

    /// The text has its final name.
    fn named(&mut self, core: &mut Core, key: u64) {
        let Some(done) = self.jobs.get(key).map(Job::done) else {
            return;
        };
        self.release_all(core, key);
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        core.trace(done);
        // Under `compute` the command tells it.
        if let Some(reason) = job.reasons.first()
            && core.config.log_results
        {
            let name = printable(&job.name);
            core.warn(format!(
                "job {name} failed: {reason}; all reasons are in failed/{name}.txt"
            ));
        }
        self.sweep_spared(core, key);
        self.sweep_marks(core, key);
        self.advance(core, key, Stage::Syncing);
        self.sync(core);
    }

    /// Syncs the folders for all jobs that wait for it, unless a sync is on its way: the jobs that
    /// are published meanwhile share the next one.
    fn sync(&mut self, core: &mut Core) {
        if self.jobs.begin_sync() {
            let folders = vec![Folder::Done, Folder::Failed, Folder::Running];
            self.call(core, FileTag::Sync, FileCall::Sync(folders));
        }
    }

    /// A sync ended. Its failure leaves nothing to do: the files have their names.
    pub(crate) fn synced(&mut self, core: &mut Core) {
        for key in self.jobs.end_sync() {
            self.drop_job(core, key);
        }
        // An earlier coordinator may have left a text for them, by a call that came late. Who finds it
        // after they were collected must take it for one that was not delivered.
        if self.epoch.term > Term(1) && self.jobs.len() < FEW_JOBS {
            self.scan_running(core);
        }
        self.sync(core);
    }

    /// Makes the text anew.
    fn rewrite(&mut self, core: &mut Core, key: u64) {
        self.discard_text(core, key);
        let Some(job) = self.jobs.get(key) else {
            return;
        };
        if job.reasons.is_empty() {
            let factorials = job.factorials.clone();
            self.accept(core, key, factorials);
        } else {
            self.advance(core, key, Stage::Writing);
        }
    }

    /// Lets go of a text that is not the job's. If the job was committed, it is the mark that says that
    /// the job's text is to be made anew: without any, a committed job is one whose text was delivered.
    fn discard_text(&mut self, core: &mut Core, key: u64) {
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        if job.home == Folder::Running {
            return self.sweep_text(core, key);
        }
        if let Some(from) = job.text.take() {
            let to = job.hidden(core, TextState::Wrong);
            job.spared.insert(to.clone());
            self.call(core, FileTag::Sweep, FileCall::Rename { from, to });
        }
    }

    fn sweep_spared(&mut self, core: &mut Core, key: u64) {
        let spared = self
            .jobs
            .get_mut(key)
            .map(|job| std::mem::take(&mut job.spared));
        for text in spared.into_iter().flatten() {
            self.call(core, FileTag::Sweep, FileCall::Remove(text));
        }
    }

    /// Removes a text that nobody needs.
    pub(crate) fn sweep_text(&mut self, core: &mut Core, key: u64) {
        let text = self.jobs.get_mut(key).and_then(|job| job.text.take());
        if let Some(text) = text {
            self.call(core, FileTag::Sweep, FileCall::Remove(text));
        }
    }

    fn log_results(&mut self, core: &mut Core, key: u64) {
        let Some(job) = self.jobs.get(key).filter(|_| core.config.log_results) else {
            return;
        };
        let limit = core.config.log_digits;
        let line = |&n: &u32| {
            let value = Content::Number(core.checkpoint.products.factorial(n)?);
            Some(job::log_line(n, &value, limit, &job.name))
        };
        let lines = job.factorials.iter().filter_map(line).collect();
        core.outbox.push(Action::Log { lines });
    }
}
