//! The desk: a job file's whole life, from the inbox until its text has its name.
//!
//! It learns how its file calls ended and which factorials are there, and asks for calls and for
//! factorials, see [`Order`](context::Order). Who computes them, and for whom, it does not know.

mod accept;
mod charge;
pub(crate) mod context;
mod deaths;
mod factorials;
mod hidden_text;
mod inbox;
pub mod job;
mod jobs;
mod memory;
mod names;
mod publish;
mod recovery;
mod still;
pub(crate) mod trouble;

use std::collections::BTreeSet;
use std::time::Duration;

use self::context::Context;
use self::inbox::{Inbox, OPEN_LIMIT};
use self::jobs::Jobs;
use self::memory::Memory;
use self::recovery::Recovery;
use self::trouble::Trouble;
use crate::checkpoint::Checkpoint;
use crate::words::file::{FileCall, FileReply, FileTag, Folder};
use crate::words::status::{Ignored, JobStatus};
use crate::words::timer::Timer;
use crate::words::trace::Trace;

/// File calls that failed are made again after this time.
const RETRY_FILES: Duration = Duration::from_millis(500);

/// The jobs of one coordinatorship, and what it knows of their files. The files are the truth: all of
/// this is made anew from them by the next coordinator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Desk {
    jobs: Jobs,
    inbox: Inbox,
    recovery: Recovery,
    /// What the results of the jobs that are being computed take, and who waits for that.
    memory: Memory,
    /// Folders whose listing failed.
    unlisted: BTreeSet<Folder>,
}

impl Desk {
    /// Looks for the jobs of earlier coordinators.
    pub(crate) fn open(&mut self, context: &mut Context<'_>) {
        self.recover_jobs(context);
    }

    /// A file call ended.
    pub(crate) fn file_done(&mut self, context: &mut Context<'_>, tag: FileTag, reply: FileReply) {
        match tag {
            FileTag::Folder(folder) => {
                context.note(Trouble::List(folder), &reply);
                match folder {
                    Folder::Inbox => self.inbox_listed(context, reply),
                    _ => self.folder_listed(context, folder, reply),
                }
            }
            FileTag::Dropped(name) => self.dropped_done(context, name, reply),
            FileTag::Job(key) => self.job_done(context, key, reply),
            FileTag::Charge(key) => self.charged(context, key, &reply),
            FileTag::Sync => {
                context.note(Trouble::Sync, &reply);
                self.synced(context);
            }
            FileTag::Sweep => {}
        }
    }

    /// One of the desk's timers is due.
    pub(crate) fn timeout(&mut self, context: &mut Context<'_>, timer: Timer) {
        match timer {
            Timer::Rescan => {
                self.scan_inbox(context);
                self.scan_running(context);
            }
            Timer::Debounce => self.debounced(context),
            Timer::RetryFiles => {
                for folder in std::mem::take(&mut self.unlisted) {
                    context.call(FileTag::Folder(folder), FileCall::List(folder));
                }
                for key in self.jobs.stalled() {
                    self.issue(context, key);
                }
            }
            _ => {}
        }
    }

    /// Whether all jobs that were running at the takeover are known.
    pub(crate) fn is_settled(&self) -> bool {
        self.recovery.is_settled()
    }

    /// Somebody holds something of these factorials, which perhaps no job needs.
    pub(crate) fn may_be_unneeded(&mut self, factorials: impl IntoIterator<Item = u32>) {
        self.recovery.unneeded.extend(factorials);
    }

    /// Number of open jobs.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// The open jobs, for a report; of the many that a takeover may find, the first ones.
    pub(crate) fn status(&self, checkpoint: &Checkpoint) -> Vec<JobStatus> {
        let jobs = self.jobs.open.values().take(OPEN_LIMIT);
        jobs.map(|job| job.status(checkpoint)).collect()
    }

    /// The files in the inbox that are no jobs; none before the first look.
    pub(crate) fn ignored(&self) -> Option<&Ignored> {
        self.inbox.ignored()
    }

    /// Jobs whose commit is on its way, or the name of whose text, and what is traced when it is done.
    pub(crate) fn ending(&self) -> impl Iterator<Item = (u64, Trace)> + '_ {
        self.jobs.ending()
    }

    fn retry_folder(&mut self, context: &mut Context<'_>, folder: Folder) {
        self.unlisted.insert(folder);
        context.arm_if_idle(Timer::RetryFiles, RETRY_FILES);
    }
}

#[cfg(test)]
mod tests;
