//! Publication: the text is written under a hidden name, the job's file is committed by one
//! rename that only one process can win, and then the text takes its final name.
//!
//! Each step is a single file call, and each may be the last of its caller, or late.

use bytes::Bytes;

use crate::coordinator::Coordinator;
use crate::core::Core;
use crate::event::Action;
use crate::file::{FileCall, FilePath, FileReply, FileTag, Folder, Probe};
use crate::id::{Epoch, Incarnation, NodeId, Term};
use crate::inbox::suffixed;
use crate::job;
use crate::jobs::{Job, Stage, job_file, text_file};
use crate::trace::{Trace, WaitCause};

/// A text of an earlier coordinator that is longer than this is not read, but made again: that takes
/// less memory, since a value that a job names many times is kept once.
const MAX_CHECKED_BYTES: usize = 128 << 20;

/// A text under a hidden name, `.NAME.RUN.EPOCH.done.txt`, `….failed.txt` or `….part`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HiddenText {
    pub(crate) path: FilePath,
    /// The job's name when it was written.
    pub(crate) job: String,
    /// Where the job was to end, if the text is complete.
    pub(crate) complete_for: Option<Folder>,
    run: String,
    epoch: Epoch,
}

impl HiddenText {
    /// Reads a hidden name; nothing for any other.
    pub(crate) fn parse(file: &[u8]) -> Option<HiddenText> {
        let name = std::str::from_utf8(file).ok()?.strip_prefix('.')?;
        let (name, complete_for) = if let Some(name) = name.strip_suffix(".done.txt") {
            (name, Some(Folder::Done))
        } else if let Some(name) = name.strip_suffix(".failed.txt") {
            (name, Some(Folder::Failed))
        } else {
            (name.strip_suffix(".part")?, None)
        };
        // From the end, since the job's name may hold dots.
        let mut parts = name.rsplitn(5, '.');
        let incarnation = Incarnation(parts.next()?.parse().ok()?);
        let node = NodeId(parts.next()?.parse().ok()?);
        let term = Term(parts.next()?.parse().ok()?);
        Some(HiddenText {
            path: FilePath::new(Folder::Running, file),
            epoch: Epoch {
                term,
                node,
                incarnation,
            },
            run: parts.next()?.to_owned(),
            job: parts.next()?.to_owned(),
            complete_for,
        })
    }

    /// Whether it is being written in this coordinatorship of this run.
    pub(crate) fn belongs_to(&self, run: &str, epoch: Epoch) -> bool {
        self.run == run && self.epoch == epoch
    }
}

impl Job {
    /// Where the job ends.
    fn end(&self) -> Folder {
        if self.reasons.is_empty() {
            Folder::Done
        } else {
            Folder::Failed
        }
    }

    fn hidden(&self, core: &Core, ending: &str) -> FilePath {
        let name = format!(
            ".{}.{}.{}.{ending}",
            self.name, core.config.run, core.highest
        );
        FilePath::new(Folder::Running, name)
    }

    fn complete(&self, core: &Core) -> FilePath {
        match self.end() {
            Folder::Failed => self.hidden(core, "failed.txt"),
            _ => self.hidden(core, "done.txt"),
        }
    }

    /// The text that a text file of this job holds.
    fn content(&self, core: &Core) -> Vec<Bytes> {
        if !self.reasons.is_empty() {
            return self
                .reasons
                .iter()
                .map(|reason| Bytes::from(format!("{reason}\n")))
                .collect();
        }
        let digits = |n: u32| core.checkpoint.products.digits(n);
        job::result_text(
            self.factorials
                .iter()
                .filter_map(|&n| Some((n, digits(n)?))),
        )
    }

    /// The call that the job's stage waits for.
    fn call(&self, core: &Core) -> Option<FileCall> {
        let file = job_file(self.home, &self.name);
        let text = self.text.clone();
        Some(match self.stage {
            Stage::Queued | Stage::Computing | Stage::Syncing => return None,
            Stage::Room => FileCall::Room {
                bytes: job::text_bytes(&self.factorials),
            },
            Stage::Probing => FileCall::Probe(file),
            // One byte more tells that the file is too large.
            Stage::Reading | Stage::Verifying => FileCall::Read {
                path: file,
                limit: job::MAX_JOB_BYTES,
            },
            Stage::Checking => FileCall::Read {
                path: text?,
                limit: MAX_CHECKED_BYTES,
            },
            Stage::Writing => FileCall::Write {
                path: self.hidden(core, "part"),
                content: self.content(core),
                like: file,
            },
            Stage::Sealing => FileCall::Rename {
                from: self.hidden(core, "part"),
                to: self.complete(core),
            },
            Stage::Clearing => FileCall::Remove(self.complete(core)),
            Stage::Committing(suffix) => FileCall::Rename {
                from: file,
                to: job_file(self.end(), &suffixed(&self.name, suffix)),
            },
            Stage::Naming => FileCall::Rename {
                from: text?,
                to: text_file(self.home, &self.name),
            },
        })
    }
}

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
            FileReply::Failed(_) if job.stage == Stage::Checking => None,
            FileReply::Failed(error) => {
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
            (Stage::Reading | Stage::Verifying, FileReply::Probed(Probe::Busy)) => {
                self.kept_from_reading(core, key);
            }
            (Stage::Room, FileReply::Ok) => {
                self.compute_in_turn(core, key);
                self.leave_unread(core, key);
            }
            (Stage::Probing, FileReply::Absent) => self.read(core, key, FileReply::Absent),
            (Stage::Probing, reply) => self.probed_found(core, key, &reply),
            (Stage::Reading, reply) => self.read(core, key, reply),
            (Stage::Checking, reply) => {
                self.checked(core, key, reply);
                self.leave_unread(core, key);
            }
            (Stage::Writing, FileReply::Ok) => self.advance(core, key, Stage::Sealing),
            (Stage::Sealing, FileReply::Ok) => self.sealed(core, key),
            (Stage::Sealing, FileReply::Taken) => self.advance(core, key, Stage::Clearing),
            (Stage::Clearing, FileReply::Ok) => self.advance(core, key, Stage::Sealing),
            (Stage::Committing(suffix), FileReply::Ok) => self.committed(core, key, suffix),
            (Stage::Committing(suffix), FileReply::Taken) => {
                self.advance(core, key, Stage::Committing(suffix + 1));
            }
            (Stage::Committing(_), FileReply::Absent) => {
                // Another has committed it, or somebody took it away.
                self.recover_jobs(core);
                self.drop_job(core, key);
            }
            (Stage::Verifying, reply) => self.verified(core, key, reply),
            (Stage::Naming, FileReply::Ok) => self.named(core, key),
            (Stage::Naming, FileReply::Taken) => {
                self.discard_text(core, key);
                self.named(core, key);
            }
            // Somebody swept the text: write it again.
            (Stage::Sealing | Stage::Naming, FileReply::Absent) => self.rewrite(core, key),
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
    fn sealed(&mut self, core: &mut Core, key: u64) {
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        job.text = Some(job.complete(core));
        let next = if job.home != job.end() {
            Stage::Committing(1)
        } else if job.home == Folder::Done {
            Stage::Verifying
        } else {
            Stage::Naming
        };
        self.advance(core, key, next);
    }

    /// The commit was won here.
    fn committed(&mut self, core: &mut Core, key: u64, suffix: u32) {
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        job.home = job.end();
        job.name = suffixed(&job.name, suffix);
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
        let FileReply::Content(content) = reply else {
            core.warn(format!(
                "job {}: its file was taken away after it was committed",
                job.name
            ));
            self.drop_job(core, key);
            return;
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
                let lines =
                    text.split(|&byte| byte == b'\n')
                        .zip(&job.factorials)
                        .map(|(line, &n)| {
                            let digits = line
                                .iter()
                                .position(|&byte| byte == b'=')
                                .map_or(0, |equals| equals + 1);
                            job::log_line(n, &[&line[digits..]], limit, &job.name)
                        });
                let lines = lines.collect();
                if core.config.log_results {
                    core.outbox.push(Action::Log { lines });
                }
                self.advance(core, key, Stage::Naming);
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
        self.release_all(core, key);
        let Some(job) = self.jobs.get_mut(key) else {
            return;
        };
        core.trace(Trace::JobDone {
            job: job.name.clone(),
        });
        for text in std::mem::take(&mut job.spared) {
            self.call(core, FileTag::Sweep, FileCall::Remove(text));
        }
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
    pub(crate) fn synced(&mut self, core: &mut Core, reply: &FileReply) {
        if let FileReply::Failed(error) = reply {
            core.warn(format!("cannot sync the jobs directory: {error}"));
        }
        for key in self.jobs.end_sync() {
            self.drop_job(core, key);
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

    /// Lets go of a text that is not the job's, and sweeps it.
    fn discard_text(&mut self, core: &mut Core, key: u64) {
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
        let digits = |n: u32| core.checkpoint.products.digits(n);
        let lines = job
            .factorials
            .iter()
            .filter_map(|&n| Some(job::log_line(n, &digits(n)?, limit, &job.name)));
        let lines = lines.collect();
        core.outbox.push(Action::Log { lines });
    }
}
