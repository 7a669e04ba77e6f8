//! What earlier coordinators left in the jobs directory, found again: jobs that run, commits that
//! have no text, hidden files that nobody needs.

use std::collections::{BTreeMap, BTreeSet};

use super::deaths::{Charge, DeathMark};
use super::hidden_text::{HiddenText, TextState};
use super::jobs::{Stage, job_file, job_name, text_file};
use crate::coordinator::Coordinator;
use crate::core::Core;
use crate::words::file::{FileCall, FilePath, FileReply, FileTag, Folder};
use crate::words::printable::printable;
use crate::words::trace::Trace;

/// The search for the jobs that earlier coordinators left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Recovery {
    /// What was found in the folders that have been listed.
    listed: BTreeMap<Folder, Vec<Vec<u8>>>,
    /// Jobs that were found and have not been read, or not the text that was left for them.
    pub(crate) unread: BTreeSet<u64>,
    /// Factorials that no open job needs, to be forgotten once all that was found has been read.
    pub(crate) unneeded: BTreeSet<u32>,
    /// Factorials that were held at the takeover and that no job needs of which that is known: one may
    /// need them whose file cannot be read yet.
    doubtful: BTreeSet<u32>,
    /// All jobs that were there at the takeover have been read.
    pub(crate) settled: bool,
    /// The folders are being listed.
    searching: bool,
    /// Something happened since that asks for another search.
    again: bool,
    /// A regular look at the running jobs is on its way.
    looking: bool,
    /// Jobs whose file was gone, to be looked for by the next search.
    missed: BTreeSet<String>,
    /// Those that the search that is on its way looks for.
    sought: BTreeSet<String>,
}

impl Recovery {
    /// Whether jobs may turn up that are not known yet, or not what they need.
    fn is_open(&self) -> bool {
        self.searching || !self.unread.is_empty()
    }
}

impl Coordinator {
    /// Looks for what earlier coordinators left: jobs that run, and commits without a text.
    pub(crate) fn recover_jobs(&mut self, core: &mut Core) {
        if std::mem::replace(&mut self.jobs.recovery.searching, true) {
            self.jobs.recovery.again = true;
            return;
        }
        let missed = std::mem::take(&mut self.jobs.recovery.missed);
        self.jobs.recovery.sought.extend(missed);
        for folder in [Folder::Running, Folder::Done, Folder::Failed] {
            self.call(core, FileTag::Folder(folder), FileCall::List(folder));
        }
    }

    /// The file of a running job is gone. Whether another coordinator has committed it, or somebody
    /// has deleted it, is what all folders tell when they are listed after that.
    pub(crate) fn miss(&mut self, core: &mut Core, key: u64) {
        if let Some(job) = self.jobs.get(key) {
            let name = job.name.clone();
            self.jobs.recovery.missed.insert(name);
        }
        self.recover_jobs(core);
    }

    /// Tells of each job that was looked for and stands nowhere.
    fn tell_deleted(&mut self, core: &mut Core, listed: &BTreeMap<Folder, Vec<Vec<u8>>>) {
        let sought = std::mem::take(&mut self.jobs.recovery.sought);
        if sought.is_empty() {
            return;
        }
        let found = listed.values().flatten().filter_map(|file| job_name(file));
        let found: BTreeSet<String> = found.collect();
        for job in sought {
            // The commit may have given it a number.
            let numbered = format!("{job}.");
            let mut others = found
                .range(numbered.clone()..)
                .map_while(|name| name.strip_prefix(&numbered));
            if !found.contains(&job) && !others.any(|number| number.parse::<u32>().is_ok()) {
                let name = printable(&job);
                core.warn(format!("job {name}: its file was taken away while it ran"));
                core.trace(Trace::JobDeleted { job });
            }
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

    /// Whether any of these files in `running/` is nothing that this coordinatorship works on.
    fn has_stray(&self, core: &Core, files: &[Vec<u8>]) -> bool {
        let open = self.jobs.names_in(Folder::Running);
        files.iter().any(|file| match HiddenText::parse(file) {
            Some(text) => !self.jobs.uses(&text, &core.config.run, self.epoch),
            None if let Some(mark) = DeathMark::parse(file) => !self.jobs.uses_mark(&mark),
            None => job_name(file).is_some_and(|name| !open.contains(&name)),
        })
    }

    /// One of the folders was listed.
    pub(crate) fn folder_listed(&mut self, core: &mut Core, folder: Folder, reply: FileReply) {
        if folder == Folder::Running && std::mem::take(&mut self.jobs.recovery.looking) {
            if let FileReply::Listed(names) = &reply
                && self.has_stray(core, names)
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
                    self.tell_deleted(core, &listed);
                    self.finish_commits(core, &listed);
                    self.jobs.recovery.searching = false;
                    if std::mem::take(&mut self.jobs.recovery.again) {
                        self.recover_jobs(core);
                    }
                }
                self.settle(core);
            }
            // Whoever runs the cluster was told.
            FileReply::Failed(_) | FileReply::Unusable => self.retry_folder(core, folder),
            _ => {}
        }
    }

    pub(crate) fn adopt(&mut self, core: &mut Core, names: &[Vec<u8>]) {
        let marks = names.iter().filter_map(|name| DeathMark::parse(name));
        let marks: Vec<DeathMark> = marks.collect();
        let mut names: Vec<String> = names.iter().filter_map(|name| job_name(name)).collect();
        names.sort_unstable();
        let open = self.jobs.names_in(Folder::Running);
        for name in names {
            if !open.contains(&name) {
                let of_it = marks.iter().filter(|mark| mark.is_of(&name));
                let charge = Charge::found(of_it, &core.config.run);
                let key = self.jobs.add_found(name, Folder::Running);
                if let Some(job) = self.jobs.get_mut(key) {
                    job.charge = charge;
                }
                self.issue(core, key);
            }
        }
    }

    /// Finishes every commit whose text was not delivered, and sweeps hidden files that nobody needs.
    ///
    /// A text goes from its hidden name only by taking its own, or when another of the job has taken it, so
    /// a committed job without a hidden file was delivered, and its text may have been collected since.
    /// Two coordinators may be at it at once, if one of them is stale: so each keeps what the other has
    /// written until the text has its name.
    pub(crate) fn finish_commits(
        &mut self,
        core: &mut Core,
        listed: &BTreeMap<Folder, Vec<Vec<u8>>>,
    ) {
        let mut hidden: Vec<HiddenText> = listed[&Folder::Running]
            .iter()
            .filter_map(|name| HiddenText::parse(name))
            .collect();
        for home in [Folder::Done, Folder::Failed] {
            let complete = TextState::CompleteFor(home);
            let tells = |text: &HiddenText| [complete, TextState::Wrong].contains(&text.state);
            if !hidden.iter().any(tells) {
                continue;
            }
            let names: BTreeSet<&[u8]> = listed[&home].iter().map(Vec::as_slice).collect();
            let open = self.jobs.names_in(home);
            for name in names.iter().filter_map(|name| job_name(name)) {
                let text = text_file(home, &name);
                if names.contains(text.name.as_slice()) || open.contains(&name) {
                    continue;
                }
                let left = |state| {
                    let mut hidden = hidden.iter();
                    hidden.position(|text| text.state == state && text.is_of(&name))
                };
                let text = match (left(complete), left(TextState::Wrong)) {
                    (Some(position), _) => Some(hidden.swap_remove(position).path),
                    (None, Some(_)) => None,
                    (None, None) => continue,
                };
                let others = hidden.extract_if(.., |text| tells(text) && text.is_of(&name));
                let others = others.map(|text| text.path).collect();
                self.finish_commit(core, name, home, text, others);
            }
        }
        self.finish_numbered(core, listed, &mut hidden);
        let marks = listed[&Folder::Running].iter();
        for mark in marks.filter_map(|name| DeathMark::parse(name)) {
            if !self.jobs.uses_mark(&mark) {
                self.call(core, FileTag::Sweep, FileCall::Remove(mark.path));
            }
        }
        for text in hidden {
            self.jobs.spare(&text);
            if !self.jobs.uses(&text, &core.config.run, self.epoch) {
                self.call(core, FileTag::Sweep, FileCall::Remove(text.path));
            }
        }
    }

    /// A committed job gets a number if its own is another's text: first its hidden text, and then its file.
    /// Goes on where somebody ended between the two.
    fn finish_numbered(
        &mut self,
        core: &mut Core,
        listed: &BTreeMap<Folder, Vec<Vec<u8>>>,
        hidden: &mut Vec<HiddenText>,
    ) {
        let stands = |folder, job: &str| {
            let file = job_file(folder, job).name;
            listed[&folder].contains(&file)
        };
        let is_between = |text: &HiddenText| {
            text.state == TextState::CompleteFor(Folder::Done)
                && text.numbered().is_some_and(|(name, numbered)| {
                    stands(Folder::Done, name)
                        && !stands(Folder::Done, numbered)
                        && !stands(Folder::Running, numbered)
                })
        };
        for text in hidden.extract_if(.., |text| is_between(text)) {
            let open = self.jobs.names_in(Folder::Done);
            if let Some((name, _)) = text.numbered()
                && !open.contains(name)
            {
                let name = name.to_owned();
                let text = Some(text.path);
                let key = self.finish_commit(core, name, Folder::Done, text, BTreeSet::new());
                if let Some(job) = self.jobs.get_mut(key) {
                    job.has_doubtful_text = true;
                }
            }
        }
    }

    fn finish_commit(
        &mut self,
        core: &mut Core,
        name: String,
        home: Folder,
        text: Option<FilePath>,
        others: BTreeSet<FilePath>,
    ) -> u64 {
        let key = self.jobs.add_found(name, home);
        if let Some(job) = self.jobs.get_mut(key) {
            job.text = text;
            job.spared = others;
            // Nobody could make the reasons anew.
            if home == Folder::Failed {
                job.stage = Stage::Naming;
                self.jobs.recovery.unread.remove(&key);
            }
        }
        self.issue(core, key);
        key
    }

    /// Once all that was found has been read: what no job needs is forgotten, and intake begins.
    pub(crate) fn settle(&mut self, core: &mut Core) {
        let recovery = &mut self.jobs.recovery;
        if recovery.is_open() {
            return;
        }
        if !std::mem::replace(&mut recovery.settled, true) {
            let held = core.checkpoint.products.factorials();
            recovery.doubtful.extend(held);
            let assigned = self.pool.assigned().map(|id| id.n);
            recovery.doubtful.extend(assigned);
            self.scan_inbox(core);
        }
        self.forget_unneeded(core);
    }

    /// Whether what is held of a factorial, or done for it, is of use: an open job needs it, be it one
    /// that waits, or one may turn up that does.
    pub(crate) fn wants(&self, n: u32) -> bool {
        !self.jobs.settled() || self.jobs.need(n) || self.jobs.recovery.doubtful.contains(&n)
    }

    /// Forgets what no job needs, unless one may turn up that does.
    pub(crate) fn forget_unneeded(&mut self, core: &mut Core) {
        if self.jobs.recovery.is_open() {
            return;
        }
        let mut unneeded = std::mem::take(&mut self.jobs.recovery.unneeded);
        if self.jobs.has_unread() {
            unneeded.retain(|n| !self.jobs.recovery.doubtful.contains(n));
        } else {
            unneeded.append(&mut self.jobs.recovery.doubtful);
        }
        for n in unneeded {
            if !self.jobs.need(n) {
                self.forget(core, n);
            }
        }
    }
}
