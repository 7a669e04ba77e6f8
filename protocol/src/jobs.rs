//! The open jobs of a coordinator: found again after a takeover, read, computed, handed over to
//! be published.
//!
//! The files are the truth: all of this is made anew from them by the next coordinator.

use std::collections::{BTreeMap, BTreeSet};

use crate::coordinator::Coordinator;
use crate::core::Core;
use crate::file::{FileCall, FilePath, FileReply, FileTag, Folder};
use crate::id::Epoch;
use crate::job;
use crate::plan::Plan;
use crate::publish::HiddenText;
use crate::status::{JobState, JobStatus};
use crate::trace::{ReassignCause, Trace};

/// The jobs that a coordinator has claimed or found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Jobs {
    open: BTreeMap<u64, Job>,
    next_key: u64,
    /// Which jobs need a factorial.
    needs: BTreeMap<u32, BTreeSet<u64>>,
    recovery: Recovery,
    /// Jobs whose folders are being synced, by one call for all.
    syncing: BTreeSet<u64>,
}

/// The search for the jobs that earlier coordinators left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Recovery {
    /// What was found in the folders that have been listed.
    listed: BTreeMap<Folder, Vec<Vec<u8>>>,
    /// All jobs that were running at the takeover have been read.
    settled: bool,
    /// The folders are being listed.
    searching: bool,
    /// Something happened since that asks for another search.
    again: bool,
    /// A regular look at the running jobs is on its way.
    looking: bool,
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
    missing: BTreeSet<u32>,
    /// Why it fails, if it does.
    pub(crate) reasons: Vec<String>,
    /// The complete text under its hidden name, once there is one.
    pub(crate) text: Option<FilePath>,
    /// A file call failed; it is made again before long.
    pub(crate) stalled: bool,
    /// Somebody was told that a file call failed.
    pub(crate) warned: bool,
}

/// What a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Its file is being read.
    Reading,
    /// Its factorials are being computed.
    Computing,
    /// A text that an earlier coordinator left is being read.
    Checking,
    /// The text is being written.
    Writing,
    /// The text gets the name of a complete one.
    Sealing,
    /// A text of this name that was found wrong is being removed.
    Clearing,
    /// The file is being renamed to where the job ends, under this suffix.
    Committing(u32),
    /// The committed file is being read again.
    Verifying,
    /// The text gets its final name.
    Publishing,
    /// The folders are to be synced, together with those of other jobs.
    Syncing,
}

impl Jobs {
    /// Number of open jobs.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether all jobs that were running at the takeover are known.
    pub(crate) fn settled(&self) -> bool {
        self.recovery.settled
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut Job> {
        self.open.get_mut(&key)
    }

    pub(crate) fn get(&self, key: u64) -> Option<&Job> {
        self.open.get(&key)
    }

    /// Jobs that wait for a sync, unless one is on its way; it covers them all.
    pub(crate) fn take_unsynced(&mut self) -> bool {
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

    /// The jobs that the sync on its way was for.
    pub(crate) fn take_synced(&mut self) -> BTreeSet<u64> {
        std::mem::take(&mut self.syncing)
    }

    /// Jobs whose file call failed.
    pub(crate) fn stalled(&self) -> Vec<u64> {
        let stalled = self.open.iter().filter(|(_, job)| job.stalled);
        stalled.map(|(&key, _)| key).collect()
    }

    fn is_open(&self, home: Folder, name: &str) -> bool {
        self.open
            .values()
            .any(|job| job.home == home && job.name == name)
    }

    /// Whether an open job writes this text, or is about to give it its name.
    fn uses(&self, text: &HiddenText, run: &str, epoch: Epoch) -> bool {
        let own = text.belongs_to(run, epoch);
        self.open
            .values()
            .any(|job| job.text.as_ref() == Some(&text.path) || (own && job.name == text.job))
    }

    fn add(&mut self, name: String, home: Folder) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        self.open.insert(
            key,
            Job {
                name,
                home,
                stage: Stage::Reading,
                factorials: Vec::new(),
                missing: BTreeSet::new(),
                reasons: Vec::new(),
                text: None,
                stalled: false,
                warned: false,
            },
        );
        key
    }
}

impl Coordinator {
    /// Looks for what earlier coordinators left: jobs that run, and commits without a text.
    pub(crate) fn recover_jobs(&mut self, core: &mut Core) {
        if std::mem::replace(&mut self.jobs.recovery.searching, true) {
            self.jobs.recovery.again = true;
            return;
        }
        for folder in [Folder::Running, Folder::Done, Folder::Failed] {
            self.call(core, FileTag::Folder(folder), FileCall::List(folder));
        }
    }

    /// Looks whether a late call of an earlier coordinator has left something in `running/`.
    pub(crate) fn scan_running(&mut self, core: &mut Core) {
        let recovery = &mut self.jobs.recovery;
        if recovery.settled
            && !recovery.searching
            && !std::mem::replace(&mut recovery.looking, true)
        {
            let folder = Folder::Running;
            self.call(core, FileTag::Folder(folder), FileCall::List(folder));
        }
    }

    /// Whether a file in `running/` is nothing that this coordinatorship works on.
    fn is_astray(&self, core: &Core, file: &[u8]) -> bool {
        match HiddenText::parse(file) {
            Some(text) => !self.jobs.uses(&text, &core.config.run, self.epoch),
            None => job_name(file).is_some_and(|name| !self.jobs.is_open(Folder::Running, &name)),
        }
    }

    /// One of the folders was listed.
    pub(crate) fn folder_listed(&mut self, core: &mut Core, folder: Folder, reply: FileReply) {
        if folder == Folder::Running && std::mem::take(&mut self.jobs.recovery.looking) {
            if let FileReply::Listed(names) = &reply
                && names.iter().any(|name| self.is_astray(core, name))
            {
                self.recover_jobs(core);
            }
            return;
        }
        match reply {
            FileReply::Listed(names) => {
                if folder == Folder::Running {
                    self.adopt(core, &names);
                }
                self.jobs.recovery.listed.insert(folder, names);
                if self.jobs.recovery.listed.len() == 3 {
                    let listed = std::mem::take(&mut self.jobs.recovery.listed);
                    self.finish_commits(core, &listed);
                    self.jobs.recovery.searching = false;
                    if std::mem::take(&mut self.jobs.recovery.again) {
                        self.recover_jobs(core);
                    }
                }
                self.settle(core);
            }
            FileReply::Failed(error) => {
                core.warn(format!(
                    "cannot list a folder of the jobs directory, trying again: {error}"
                ));
                self.retry_folder(core, folder);
            }
            _ => {}
        }
    }

    /// A dropped file was claimed under this name.
    pub(crate) fn claimed(&mut self, core: &mut Core, name: String, rejected: Option<String>) {
        let key = self.jobs.add(name, Folder::Running);
        match rejected {
            Some(reason) => self.reject(core, key, vec![reason]),
            None => self.issue(core, key),
        }
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
                self.drop_job(core, key);
                if running {
                    self.recover_jobs(core);
                }
            }
            _ if failed => self.finish_failed(core, key, &reply),
            FileReply::Content(content) => match job::parse(&content, core.config.max_n) {
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
            FileReply::Failed(error) => {
                self.reject(core, key, vec![format!("it cannot be read: {error}")])
            }
            _ => {}
        }
        self.settle(core);
    }

    /// An earlier coordinator rejected this job and could not tell why any more.
    fn finish_failed(&mut self, core: &mut Core, key: u64, reply: &FileReply) {
        let Some(job) = self.jobs.open.get_mut(&key) else {
            return;
        };
        let lost = || {
            vec![
                "the reason was lost with the coordinator that rejected the job: drop it again"
                    .to_owned(),
            ]
        };
        job.reasons = match reply {
            FileReply::Content(content) => job::parse(content, core.config.max_n)
                .err()
                .unwrap_or_else(lost),
            FileReply::NotAFile(kind) => vec![format!("it is {kind}: only regular files are read")],
            _ => lost(),
        };
        job.stage = if job.text.is_some() {
            Stage::Publishing
        } else {
            Stage::Writing
        };
        self.issue(core, key);
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
                core.trace(Trace::OperationReassigned {
                    op,
                    why: ReassignCause::Takeover,
                });
            }
        }
        let missing = distinct
            .into_iter()
            .filter(|&n| !core.checkpoint.covers(Plan::new(n).decimal()));
        let missing: BTreeSet<u32> = missing.collect();
        if let Some(job) = self.jobs.open.get_mut(&key) {
            if job.home == Folder::Running {
                core.trace(Trace::JobAccepted { job: name });
            }
            job.stage = Stage::Computing;
            job.missing = missing;
        }
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

    /// No worker survives an operation of n!: the jobs that need it fail.
    pub(crate) fn factorial_failed(&mut self, core: &mut Core, n: u32, reason: &str) {
        let waiting = self.jobs.needs.get(&n).cloned().unwrap_or_default();
        for key in waiting {
            if self
                .jobs
                .get(key)
                .is_some_and(|job| job.stage == Stage::Computing)
            {
                self.reject(core, key, vec![reason.to_owned()]);
            }
        }
    }

    /// A job is over, or another coordinator's: forgets it and what only it needed.
    pub(crate) fn drop_job(&mut self, core: &mut Core, key: u64) {
        self.release_all(core, key);
        self.jobs.open.remove(&key);
        self.take_in(core);
    }

    /// The open jobs, for a report.
    pub(crate) fn job_status(&self, core: &Core) -> Vec<JobStatus> {
        let status = |job: &Job| {
            let distinct: BTreeSet<u32> = job.factorials.iter().copied().collect();
            JobStatus {
                name: job.name.clone(),
                state: match job.stage {
                    Stage::Reading | Stage::Computing => JobState::Running,
                    _ => JobState::Publishing,
                },
                done: distinct
                    .iter()
                    .map(|&n| core.checkpoint.products.done(n))
                    .sum(),
                total: distinct.iter().map(|&n| Plan::new(n).total()).sum(),
            }
        };
        self.jobs.open.values().map(status).collect()
    }

    fn proceed_if_computed(&mut self, core: &mut Core, key: u64) {
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
        }
    }

    /// A job needs these factorials no longer; those that no other needs are dropped everywhere.
    fn release(&mut self, core: &mut Core, key: u64, factorials: Vec<u32>) {
        for n in factorials {
            if let Some(keys) = self.jobs.needs.get_mut(&n) {
                keys.remove(&key);
                if keys.is_empty() {
                    self.jobs.needs.remove(&n);
                    self.forget(core, n);
                }
            }
        }
    }

    fn adopt(&mut self, core: &mut Core, names: &[Vec<u8>]) {
        let mut names: Vec<String> = names.iter().filter_map(|name| job_name(name)).collect();
        names.sort_unstable();
        for name in names {
            if !self.jobs.is_open(Folder::Running, &name) {
                let key = self.jobs.add(name, Folder::Running);
                self.issue(core, key);
            }
        }
    }

    /// Finishes every commit that has no text, and sweeps hidden files that nobody needs.
    fn finish_commits(&mut self, core: &mut Core, listed: &BTreeMap<Folder, Vec<Vec<u8>>>) {
        let mut hidden: Vec<HiddenText> = listed[&Folder::Running]
            .iter()
            .filter_map(|name| HiddenText::parse(name))
            .collect();
        for home in [Folder::Done, Folder::Failed] {
            let names: BTreeSet<&[u8]> = listed[&home].iter().map(Vec::as_slice).collect();
            let jobs = names.iter().filter_map(|name| job_name(name));
            for name in jobs.collect::<Vec<String>>() {
                let text = text_file(home, &name);
                if names.contains(text.name.as_slice()) || self.jobs.is_open(home, &name) {
                    continue;
                }
                let complete = hidden
                    .iter()
                    .position(|text| text.job == name && text.complete_for == Some(home));
                let text = complete.map(|position| hidden.swap_remove(position).path);
                let key = self.jobs.add(name, home);
                if let Some(job) = self.jobs.open.get_mut(&key) {
                    job.text = text;
                }
                self.issue(core, key);
            }
        }
        for text in hidden {
            if !self.jobs.uses(&text, &core.config.run, self.epoch) {
                self.call(core, FileTag::Sweep, FileCall::Remove(text.path));
            }
        }
    }

    /// Once all running jobs have been read: what no job needs is forgotten, and intake begins.
    fn settle(&mut self, core: &mut Core) {
        let reading = |job: &Job| job.home == Folder::Running && job.stage == Stage::Reading;
        if self.jobs.recovery.settled
            || self.jobs.recovery.searching
            || self.jobs.open.values().any(reading)
        {
            return;
        }
        self.jobs.recovery.settled = true;
        let held = core.checkpoint.products.factorials();
        let known: BTreeSet<u32> = held.chain(self.pool.assigned().map(|id| id.n)).collect();
        for n in known
            .into_iter()
            .filter(|&n| !self.work.needs(n))
            .collect::<Vec<u32>>()
        {
            self.forget(core, n);
        }
        self.scan_inbox(core);
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
fn job_name(file: &[u8]) -> Option<String> {
    let name = file.strip_suffix(b".job")?;
    if name.starts_with(b".") {
        return None;
    }
    std::str::from_utf8(name).ok().map(str::to_owned)
}
