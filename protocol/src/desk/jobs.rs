//! The open jobs, and in which stage of its life each is.

use std::collections::{BTreeMap, BTreeSet};

use super::deaths::{Charge, DeathMark};
use super::hidden_text::{HiddenText, TextState};
use super::job;
use super::still::Still;
use crate::checkpoint::Checkpoint;
use crate::words::file::{FilePath, Folder};
use crate::words::id::Epoch;
use crate::words::status::{JobState, JobStatus};
use crate::words::time::Untimed;
use crate::words::trace::{Trace, WaitCause};

/// Most jobs that may wait for something without taking the places of others.
const WAITING_LIMIT: usize = 1_024;

/// The jobs that a coordinator has claimed or found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Jobs {
    pub(super) open: BTreeMap<u64, Job>,
    next_key: u64,
    /// Which jobs need a factorial.
    pub(super) needs: BTreeMap<u32, BTreeSet<u64>>,
    /// Jobs whose folders are being synced, by one call for all.
    syncing: BTreeSet<u64>,
    /// Jobs whose mark for the deaths that they may have caused is being written, and up to which
    /// death those count.
    pub(super) charging: BTreeSet<u64>,
    pub(super) charging_upto: u64,
}

/// One job, from its claim until its text has its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Job {
    /// Its name, as its file has it in `home`.
    pub(super) name: String,
    /// Where its file is.
    pub(super) home: Folder,
    pub(super) stage: Stage,
    /// The N of each line.
    pub(super) factorials: Vec<u32>,
    /// Factorials whose digits are not there yet.
    pub(super) missing: BTreeSet<u32>,
    /// Why it fails, if it does.
    pub(super) reasons: Vec<String>,
    /// The complete text under its hidden name, once there is one.
    pub(super) text: Option<FilePath>,
    /// What other coordinators left for it: its text may be the only one, until that has its name.
    pub(super) spared: BTreeSet<FilePath>,
    /// A file call failed; it is made again before long.
    pub(super) stalled: bool,
    /// What it waits for, if not for its turn.
    pub(super) waits: Option<WaitCause>,
    /// What somebody was told that it waits for.
    pub(super) told: Option<WaitCause>,
    /// Since when somebody keeps its file from being read.
    pub(super) kept_since: Option<Untimed>,
    /// What was seen of its file, while that may still change.
    pub(super) still: Option<Still>,
    /// The deaths that it may have caused.
    pub(super) charge: Charge,
    /// It was running at the takeover: others may have computed much of it.
    pub(super) is_found: bool,
    /// Its text was found by the number in its name, and may be what another job of that name has left.
    pub(super) has_doubtful_text: bool,
    /// Digits that it counts for while its results are computed and written.
    pub(super) digits: u64,
    /// The size of its text, if that is large.
    pub(super) text_bytes: u64,
}

/// What a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
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
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Number of open jobs that take a place: a job that waits for somebody else keeps no other from
    /// being taken in, unless very many do.
    pub(super) fn places(&self) -> usize {
        let waiting = self.open.values().filter(|job| job.waits.is_some()).count();
        self.open.len() - waiting.min(WAITING_LIMIT)
    }

    /// The size of all large texts that are not written and for which there was room.
    pub(super) fn unwritten_bytes(&self) -> u64 {
        let jobs = self.open.values().filter(|job| {
            let is_to_come = matches!(job.stage, Stage::Queued | Stage::Computing | Stage::Writing);
            is_to_come && job.reasons.is_empty()
        });
        jobs.map(|job| job.text_bytes).sum()
    }

    /// Whether there is a job of an earlier coordinator that nobody can read for now.
    pub(super) fn has_unread(&self) -> bool {
        let mut jobs = self.open.values();
        jobs.any(|job| job.is_found && job.stage == Stage::Reading)
    }

    pub(super) fn get_mut(&mut self, key: u64) -> Option<&mut Job> {
        self.open.get_mut(&key)
    }

    pub(super) fn get(&self, key: u64) -> Option<&Job> {
        self.open.get(&key)
    }

    /// Begins a sync for all jobs that wait for one, unless one is on its way; tells whether it does.
    pub(super) fn begin_sync(&mut self) -> bool {
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
    pub(super) fn end_sync(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.syncing)
    }

    /// Jobs whose file call failed.
    pub(super) fn stalled(&self) -> Vec<u64> {
        let stalled = self.open.iter().filter(|(_, job)| job.stalled);
        stalled.map(|(&key, _)| key).collect()
    }

    /// Jobs whose commit is on its way, or the name of whose text, and what is traced when it is done.
    pub(super) fn ending(&self) -> impl Iterator<Item = (u64, Trace)> + '_ {
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
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.open.values().any(|job| job.name == name)
    }

    /// The names of the open jobs whose file is in a folder.
    pub(super) fn names_in(&self, home: Folder) -> BTreeSet<String> {
        let jobs = self.open.values().filter(|job| job.home == home);
        jobs.map(|job| job.name.clone()).collect()
    }

    /// Whether an open job needs a factorial.
    pub(super) fn need(&self, n: u32) -> bool {
        self.needs.contains_key(&n)
    }

    /// Whether an open job writes this text, may still need it, or is about to give it its name.
    pub(super) fn uses(&self, text: &HiddenText, run: &str, epoch: Epoch) -> bool {
        let own = text.belongs_to(run, epoch);
        self.open.values().any(|job| {
            job.text.as_ref() == Some(&text.path)
                || job.spared.contains(&text.path)
                || (own && text.is_of(&job.name))
        })
    }

    /// Whether a mark stands beside an open job.
    pub(super) fn uses_mark(&self, mark: &DeathMark) -> bool {
        self.open.values().any(|job| mark.is_of(&job.name))
    }

    /// Keeps what another coordinator left for an open job until the job's text has its name: its writer may
    /// commit the job any moment, by a call that comes late, or have committed it, and sweep the other texts.
    pub(super) fn spare(&mut self, text: &HiddenText) {
        let mut jobs = self.open.values_mut();
        if text.state != TextState::Part
            && let Some(job) = jobs.find(|job| text.is_of(&job.name))
            && job.text.as_ref() != Some(&text.path)
        {
            job.spared.insert(text.path.clone());
        }
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
    /// How far it is, for a report.
    pub(super) fn status(&self, checkpoint: &Checkpoint) -> JobStatus {
        let products = &checkpoint.products;
        let distinct: BTreeSet<u32> = self.factorials.iter().copied().collect();
        let total = |&n: &u32| products.shape().plan(n).total();
        JobStatus {
            name: self.name.clone(),
            state: match self.stage {
                Stage::Reading | Stage::Room | Stage::Queued | Stage::Computing => {
                    JobState::Running
                }
                _ => JobState::Publishing,
            },
            waits: self.waits,
            done: distinct.iter().map(|&n| products.done(n)).sum(),
            total: distinct.iter().map(total).sum(),
        }
    }

    /// What is traced when its text has its name.
    pub(super) fn done(&self) -> Trace {
        let is_result = self.reasons.is_empty() && self.home == Folder::Done;
        Trace::JobDone {
            job: self.name.clone(),
            asks: is_result.then(|| job::digest(&self.factorials)),
        }
    }
}
