//! The open jobs of a coordinator: found again after a takeover, read, computed, handed over to
//! be published.
//!
//! The files are the truth: all of this is made anew from them by the next coordinator.

use std::collections::{BTreeMap, BTreeSet};

use super::deaths::{Charge, DeathMark};
use super::hidden_text::{HiddenText, TextState};
use super::inbox::OPEN_LIMIT;
use super::job;
use super::memory::Memory;
use super::recovery::Recovery;
use super::still::Still;
use crate::coordinator::Coordinator;
use crate::core::Core;
use crate::words::file::{FilePath, Folder};
use crate::words::id::Epoch;
use crate::words::status::{JobState, JobStatus};
use crate::words::time::Untimed;
use crate::words::trace::{Trace, WaitCause};

/// Most jobs that may wait for something without taking the places of others.
const WAITING_LIMIT: usize = 1_024;

/// The jobs that a coordinator has claimed or found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Jobs {
    pub(super) open: BTreeMap<u64, Job>,
    next_key: u64,
    /// Which jobs need a factorial.
    pub(super) needs: BTreeMap<u32, BTreeSet<u64>>,
    pub(crate) recovery: Recovery,
    /// What the results of the jobs that are being computed take, and who waits for that.
    pub(super) memory: Memory,
    /// Jobs whose folders are being synced, by one call for all.
    syncing: BTreeSet<u64>,
    /// Jobs whose mark for the deaths that they may have caused is being written, and up to which
    /// death those count.
    pub(super) charging: BTreeSet<u64>,
    pub(super) charging_upto: u64,
}

/// One job, from its claim until its text has its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Job {
    /// Its name, as its file has it in `home`.
    pub(crate) name: String,
    /// Where its file is.
    pub(crate) home: Folder,
    pub(crate) stage: Stage,
    /// The N of each line.
    pub(crate) factorials: Vec<u32>,
    /// Factorials whose digits are not there yet.
    pub(super) missing: BTreeSet<u32>,
    /// Why it fails, if it does.
    pub(crate) reasons: Vec<String>,
    /// The complete text under its hidden name, once there is one.
    pub(crate) text: Option<FilePath>,
    /// What other coordinators left for it: its text may be the only one, until that has its name.
    pub(crate) spared: BTreeSet<FilePath>,
    /// A file call failed; it is made again before long.
    pub(crate) stalled: bool,
    /// What it waits for, if not for its turn.
    pub(crate) waits: Option<WaitCause>,
    /// What somebody was told that it waits for.
    pub(crate) told: Option<WaitCause>,
    /// Since when somebody keeps its file from being read.
    pub(crate) kept_since: Option<Untimed>,
    /// What was seen of its file, while that may still change.
    pub(crate) still: Option<Still>,
    /// The deaths that it may have caused.
    pub(crate) charge: Charge,
    /// It was running at the takeover: others may have computed much of it.
    pub(crate) is_found: bool,
    /// Its text was found by the number in its name, and may be what another job of that name has left.
    pub(crate) has_doubtful_text: bool,
    /// Digits that it counts for while its results are computed and written.
    pub(super) digits: u64,
    /// The size of its text, if that is large.
    pub(super) text_bytes: u64,
}

/// What a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Its file is being read, once it is complete: a writer may have opened it again before the
    /// claim, or the claim come late and have taken another file of the name.
    Reading,
    /// Is there room for its text?
    Room,
    /// Other jobs have the memory that its results take.
    Queued,
    /// Its factorials are being computed.
    Computing,
    /// A text that an earlier coordinator left is being read.
    Checking,
    /// The text is being written.
    Writing,
    /// Is the file still what was read? Where only a quiet time tells, it has had that by now.
    Settling,
    /// Somebody has put a job or a text of this name where the job ends: first the text gets another,
    /// with this suffix, by which it is found.
    Relabeling(u32),
    /// Then the file.
    Renaming(u32),
    /// The file is being renamed to where the job ends.
    Committing,
    /// The committed file is being read again.
    Verifying,
    /// The text gets its final name.
    Naming,
    /// A text has that name: is it the job's?
    Comparing,
    /// The folders are to be synced, together with those of other jobs.
    Syncing,
}

impl Jobs {
    /// Number of open jobs.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Number of open jobs that take a place: a job that waits for somebody else keeps no other from
    /// being taken in, unless very many do.
    pub(crate) fn places(&self) -> usize {
        let waiting = self.open.values().filter(|job| job.waits.is_some()).count();
        self.open.len() - waiting.min(WAITING_LIMIT)
    }

    /// The size of all large texts that are not written and for which there was room.
    pub(crate) fn unwritten_bytes(&self) -> u64 {
        let jobs = self.open.values().filter(|job| {
            let is_to_come = matches!(job.stage, Stage::Queued | Stage::Computing | Stage::Writing);
            is_to_come && job.reasons.is_empty()
        });
        jobs.map(|job| job.text_bytes).sum()
    }

    /// Whether all jobs that were running at the takeover are known.
    pub(crate) fn settled(&self) -> bool {
        self.recovery.settled
    }

    /// Whether there is a job of an earlier coordinator that nobody can read for now.
    pub(crate) fn has_unread(&self) -> bool {
        let mut jobs = self.open.values();
        jobs.any(|job| job.is_found && job.stage == Stage::Reading)
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut Job> {
        self.open.get_mut(&key)
    }

    pub(crate) fn get(&self, key: u64) -> Option<&Job> {
        self.open.get(&key)
    }

    /// Begins a sync for all jobs that wait for one, unless one is on its way; tells whether it does.
    pub(crate) fn begin_sync(&mut self) -> bool {
        if self.syncing.is_empty() {
            let waiting = self
                .open
                .iter()
                .filter(|(_, job)| job.stage == Stage::Syncing);
            self.syncing = waiting.map(|(&key, _)| key).collect();
            return !self.syncing.is_empty();
        }
        false
    }

    /// The jobs that the sync was for which has ended.
    pub(crate) fn end_sync(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.syncing)
    }

    /// Jobs whose file call failed.
    pub(crate) fn stalled(&self) -> Vec<u64> {
        let stalled = self.open.iter().filter(|(_, job)| job.stalled);
        stalled.map(|(&key, _)| key).collect()
    }

    /// Jobs whose commit is on its way, or the name of whose text, and what is traced when it is done.
    pub(crate) fn ending(&self) -> impl Iterator<Item = (u64, Trace)> + '_ {
        self.open.iter().filter_map(|(&key, job)| match job.stage {
            Stage::Committing => {
                let job = job.name.clone();
                Some((key, Trace::ResultPublished { job }))
            }
            Stage::Naming => Some((key, job.done())),
            _ => None,
        })
    }

    /// Whether an open job has a name, wherever its file is.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.open.values().any(|job| job.name == name)
    }

    /// The names of the open jobs whose file is in a folder.
    pub(crate) fn names_in(&self, home: Folder) -> BTreeSet<String> {
        let jobs = self.open.values().filter(|job| job.home == home);
        jobs.map(|job| job.name.clone()).collect()
    }

    /// Whether an open job needs a factorial.
    pub(crate) fn need(&self, n: u32) -> bool {
        self.needs.contains_key(&n)
    }

    /// Whether an open job writes this text, may still need it, or is about to give it its name.
    pub(crate) fn uses(&self, text: &HiddenText, run: &str, epoch: Epoch) -> bool {
        let own = text.belongs_to(run, epoch);
        self.open.values().any(|job| {
            job.text.as_ref() == Some(&text.path)
                || job.spared.contains(&text.path)
                || (own && text.is_of(&job.name))
        })
    }

    /// Whether a mark stands beside an open job.
    pub(crate) fn uses_mark(&self, mark: &DeathMark) -> bool {
        self.open.values().any(|job| mark.is_of(&job.name))
    }

    /// Keeps what another coordinator left for an open job until the job's text has its name: its writer may
    /// commit the job any moment, by a call that comes late, or have committed it, and sweep the other texts.
    pub(crate) fn spare(&mut self, text: &HiddenText) {
        let mut jobs = self.open.values_mut();
        if text.state != TextState::Part
            && let Some(job) = jobs.find(|job| text.is_of(&job.name))
            && job.text.as_ref() != Some(&text.path)
        {
            job.spared.insert(text.path.clone());
        }
    }

    /// Adds a job that was found, in whatever state an earlier coordinator left it.
    pub(crate) fn add_found(&mut self, name: String, home: Folder) -> u64 {
        let key = self.add(name, home, Stage::Reading);
        self.open.entry(key).and_modify(|job| job.is_found = true);
        self.recovery.unread.insert(key);
        key
    }

    pub(super) fn add(&mut self, name: String, home: Folder, stage: Stage) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        self.open.insert(
            key,
            Job {
                name,
                home,
                stage,
                factorials: Vec::new(),
                missing: BTreeSet::new(),
                reasons: Vec::new(),
                text: None,
                spared: BTreeSet::new(),
                stalled: false,
                waits: None,
                told: None,
                kept_since: None,
                still: None,
                charge: Charge::default(),
                is_found: false,
                has_doubtful_text: false,
                digits: 0,
                text_bytes: 0,
            },
        );
        key
    }
}

impl Job {
    /// What is traced when its text has its name.
    pub(crate) fn done(&self) -> Trace {
        let is_result = self.reasons.is_empty() && self.home == Folder::Done;
        Trace::JobDone {
            job: self.name.clone(),
            asks: is_result.then(|| job::digest(&self.factorials)),
        }
    }
}

impl Coordinator {
    /// The digits of n! are there.
    pub(crate) fn factorial_done(&mut self, core: &mut Core, n: u32) {
        let waiting = self.jobs.needs.get(&n).cloned().unwrap_or_default();
        for key in waiting {
            if let Some(job) = self.jobs.open.get_mut(&key) {
                job.missing.remove(&n);
            }
            self.proceed_if_computed(core, key);
        }
    }

    /// No worker survives an operation of n!: the jobs that need it fail. The count of its victims
    /// is kept until they have failed, so that the next coordinator does not begin anew.
    pub(crate) fn factorial_failed(&mut self, core: &mut Core, n: u32, reason: &str) {
        self.stop(n);
        let waiting = self.jobs.needs.get(&n).cloned().unwrap_or_default();
        for key in waiting {
            if let Some(job) = self.jobs.open.get_mut(&key)
                && job.stage == Stage::Computing
            {
                core.trace(Trace::JobRejected {
                    job: job.name.clone(),
                });
                job.reasons = vec![reason.to_owned()];
                job.stage = Stage::Writing;
                self.issue(core, key);
            }
        }
    }

    /// Nothing of n! is computed any more.
    pub(crate) fn stop(&mut self, n: u32) {
        self.work.close(n);
        for id in self.pool.assigned_of(n) {
            self.pool.release(id);
        }
    }

    /// A job is over, or another coordinator's: forgets it and what only it needed.
    pub(crate) fn drop_job(&mut self, core: &mut Core, key: u64) {
        self.jobs.recovery.unread.remove(&key);
        self.release_all(core, key);
        self.jobs.open.remove(&key);
        self.take_in(core);
    }

    /// The open jobs, for a report; of the many that a takeover may find, the first ones.
    pub(crate) fn job_status(&self, core: &Core) -> Vec<JobStatus> {
        let status = |job: &Job| {
            let distinct: BTreeSet<u32> = job.factorials.iter().copied().collect();
            JobStatus {
                name: job.name.clone(),
                state: match job.stage {
                    Stage::Reading | Stage::Room | Stage::Queued | Stage::Computing => {
                        JobState::Running
                    }
                    _ => JobState::Publishing,
                },
                waits: job.waits,
                done: distinct
                    .iter()
                    .map(|&n| core.checkpoint.products.done(n))
                    .sum(),
                total: distinct.iter().map(|&n| core.plan(n).total()).sum(),
            }
        };
        self.jobs
            .open
            .values()
            .take(OPEN_LIMIT)
            .map(status)
            .collect()
    }

    pub(super) fn proceed_if_computed(&mut self, core: &mut Core, key: u64) {
        if let Some(job) = self.jobs.open.get_mut(&key)
            && job.stage == Stage::Computing
            && job.missing.is_empty()
        {
            job.stage = Stage::Writing;
            self.issue(core, key);
        }
    }

    /// A job needs none of its factorials any longer.
    pub(crate) fn release_all(&mut self, core: &mut Core, key: u64) {
        if let Some(job) = self.jobs.open.get_mut(&key) {
            let factorials = std::mem::take(&mut job.factorials);
            self.release(core, key, factorials);
            self.free_memory(core, key);
        }
    }

    /// A job needs these factorials no longer; those that no other needs are dropped everywhere,
    /// once it is known what is needed.
    pub(super) fn release(&mut self, core: &mut Core, key: u64, factorials: Vec<u32>) {
        for n in factorials {
            if let Some(keys) = self.jobs.needs.get_mut(&n) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.jobs.needs.remove(&n);
                    self.jobs.recovery.unneeded.insert(n);
                }
            }
        }
        self.forget_unneeded(core);
    }
}

/// `NAME.job` in a folder.
pub(crate) fn job_file(folder: Folder, name: &str) -> FilePath {
    FilePath::new(folder, format!("{name}.job"))
}

/// `NAME.txt` in a folder.
pub(crate) fn text_file(folder: Folder, name: &str) -> FilePath {
    FilePath::new(folder, format!("{name}.txt"))
}

/// The name of a job whose file is called so, if it is a job's file.
pub(crate) fn job_name(file: &[u8]) -> Option<String> {
    let name = file.strip_suffix(b".job")?;
    if name.starts_with(b".") {
        return None;
    }
    std::str::from_utf8(name).ok().map(str::to_owned)
}
