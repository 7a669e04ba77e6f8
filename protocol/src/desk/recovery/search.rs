//! The search of the folders for what is not known yet, and what it comes to.

use std::collections::{BTreeMap, BTreeSet};

use crate::desk::Desk;
use crate::desk::context::{Context, Order};
use crate::desk::deaths::{Charge, DeathMark};
use crate::desk::hidden_text::HiddenText;
use crate::desk::jobs::Stage;
use crate::desk::names::job_name;
use crate::words::file::{FileCall, FileReply, FileTag, Folder};
use crate::words::printable::printable;
use crate::words::trace::Trace;

impl Desk {
    /// Looks for what earlier coordinators left: jobs that run, and commits without a text.
    pub(in crate::desk) fn recover_jobs(&mut self, context: &mut Context<'_>) {
        if std::mem::replace(&mut self.recovery.searching, true) {
            self.recovery.again = true;
            return;
        }
        let missed = std::mem::take(&mut self.recovery.missed);
        self.recovery.sought.extend(missed);
        for folder in [Folder::Running, Folder::Done, Folder::Failed] {
            context.call(FileTag::Folder(folder), FileCall::List(folder));
        }
    }

    /// The file of a running job is gone. Whether another coordinator has committed it, or somebody
    /// has deleted it, is what all folders tell when they are listed after that.
    pub(in crate::desk) fn miss(&mut self, context: &mut Context<'_>, key: u64) {
        if let Some(job) = self.jobs.get(key) {
            let name = job.name.clone();
            self.recovery.missed.insert(name);
        }
        self.recover_jobs(context);
    }

    /// Tells of each job that was looked for and stands nowhere.
    fn tell_deleted(&mut self, context: &mut Context<'_>, listed: &BTreeMap<Folder, Vec<Vec<u8>>>) {
        let sought = std::mem::take(&mut self.recovery.sought);
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
                context.warn(format!("job {name}: its file was taken away while it ran"));
                context.trace(Trace::JobDeleted { job });
            }
        }
    }

    /// Looks whether a late call of an earlier coordinator has left something in `running/`.
    pub(in crate::desk) fn scan_running(&mut self, context: &mut Context<'_>) {
        let recovery = &mut self.recovery;
        if recovery.settled
            && !recovery.searching
            && !std::mem::replace(&mut recovery.looking, true)
        {
            let folder = Folder::Running;
            context.call(FileTag::Folder(folder), FileCall::List(folder));
        }
    }

    /// Whether any of these files in `running/` is nothing that this coordinatorship works on.
    fn has_stray(&self, context: &Context<'_>, files: &[Vec<u8>]) -> bool {
        let open = self.jobs.names_in(Folder::Running);
        files.iter().any(|file| match HiddenText::parse(file) {
            Some(text) => !self.jobs.uses(&text, &context.config.run, context.epoch),
            None if let Some(mark) = DeathMark::parse(file) => !self.jobs.uses_mark(&mark),
            None => job_name(file).is_some_and(|name| !open.contains(&name)),
        })
    }

    /// One of the folders was listed.
    pub(in crate::desk) fn folder_listed(
        &mut self,
        context: &mut Context<'_>,
        folder: Folder,
        reply: FileReply,
    ) {
        if folder == Folder::Running && std::mem::take(&mut self.recovery.looking) {
            if let FileReply::Listed(names) = &reply
                && self.has_stray(context, names)
            {
                self.recover_jobs(context);
            }
            return;
        }
        match reply {
            FileReply::Listed(names) => {
                if folder == Folder::Running {
                    self.adopt(context, &names);
                }
                self.recovery.listed.insert(folder, names);
                if self.recovery.listed.len() == 3 {
                    let listed = std::mem::take(&mut self.recovery.listed);
                    self.tell_deleted(context, &listed);
                    self.finish_commits(context, &listed);
                    self.recovery.searching = false;
                    if std::mem::take(&mut self.recovery.again) {
                        self.recover_jobs(context);
                    }
                }
                self.settle(context);
            }
            // Whoever runs the cluster was told.
            FileReply::Failed(_) | FileReply::Unusable => self.retry_folder(context, folder),
            _ => {}
        }
    }

    pub(in crate::desk) fn adopt(&mut self, context: &mut Context<'_>, names: &[Vec<u8>]) {
        let marks = names.iter().filter_map(|name| DeathMark::parse(name));
        let marks: Vec<DeathMark> = marks.collect();
        let mut names: Vec<String> = names.iter().filter_map(|name| job_name(name)).collect();
        names.sort_unstable();
        let open = self.jobs.names_in(Folder::Running);
        for name in names {
            if !open.contains(&name) {
                let of_it = marks.iter().filter(|mark| mark.is_of(&name));
                let charge = Charge::found(of_it, &context.config.run);
                let key = self.add_found(name, Folder::Running);
                if let Some(job) = self.jobs.get_mut(key) {
                    job.charge = charge;
                }
                self.issue(context, key);
            }
        }
    }

    /// Once all that was found has been read: what no job needs is forgotten, and intake begins.
    pub(in crate::desk) fn settle(&mut self, context: &mut Context<'_>) {
        let recovery = &mut self.recovery;
        if recovery.is_open() {
            return;
        }
        if !std::mem::replace(&mut recovery.settled, true) {
            let held = context.checkpoint.products.factorials();
            recovery.doubtful.extend(held);
            let assigned = context.assigned.keys().map(|id| id.n);
            recovery.doubtful.extend(assigned);
            // What this step has given up is held until its end.
            let given_up = |n: &u32| context.orders.contains(&Order::Forget(*n));
            recovery.doubtful.retain(|n| !given_up(n));
            self.scan_inbox(context);
        }
        self.forget_unneeded(context);
    }

    /// Adds a job that was found, in whatever state an earlier coordinator left it.
    pub(super) fn add_found(&mut self, name: String, home: Folder) -> u64 {
        let key = self.jobs.add(name, home, Stage::Reading);
        self.jobs
            .open
            .entry(key)
            .and_modify(|job| job.is_found = true);
        self.recovery.unread.insert(key);
        key
    }
}
