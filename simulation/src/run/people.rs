//! The people who drop job files: they write them, and save them again.

use bytes::Bytes;
use protocol::file::{FilePath, Folder};

use super::{Doing, Run};
use crate::checkers::Violation;
use crate::job::Job;
use crate::scenario::Saving;

/// Most jobs of a run, with those that are saved while the one of their name is claimed.
const MOST_JOBS: usize = 12;

impl Run {
    /// Writes so many of the parts of a job's file; the last write closes it.
    pub(super) fn write(&mut self, job: usize, part: usize, parts: usize) -> Result<(), Violation> {
        let whole = self.scenario.jobs[job].content.clone();
        let content = whole.slice(..whole.len() * part / parts.max(1));
        let open = part < parts;
        if !self.has_place(job) {
            let again = self.cluster.now + self.scenario.writer_pause;
            // A person who finds the name taken waits.
            self.enter(again, Doing::WriteOn(job, part, parts));
            return Ok(());
        }
        if open {
            let next = self.cluster.now + self.scenario.writer_pause;
            self.enter(next, Doing::WriteOn(job, part + 1, parts));
        }
        self.put(job, content, open)
    }

    /// Where a job's file is, or is to be; a writer's descriptor follows it.
    fn place(&self, job: usize) -> FilePath {
        let known = self.cluster.directory.find_job(job);
        let file = self.scenario.jobs[job].file.as_bytes();
        known.unwrap_or_else(|| FilePath::new(Folder::Inbox, file))
    }

    pub(super) fn has_place(&self, job: usize) -> bool {
        let taken = self.cluster.directory.get(&self.place(job));
        taken.is_none_or(|file| file.job == Some(job))
    }

    pub(super) fn put(&mut self, job: usize, content: Bytes, open: bool) -> Result<(), Violation> {
        let path = self.place(job);
        let change = self.cluster.directory.put(path, content, Some(job), open);
        self.cluster.changed(None, &change)
    }

    /// A person opens a file by its name again, to save it once more. If it is gone, what he has saved
    /// is the job.
    pub(super) fn reopen(&mut self, job: usize) -> Result<(), Violation> {
        let known = self.cluster.directory.find_job(job);
        if known.is_some_and(|path| path.folder == Folder::Inbox) {
            return self.write(job, 0, 2);
        }
        self.scenario.jobs[job].content = first_content(job);
        Ok(())
    }

    /// A person who has saved a file saves it once more, by its name. If that is gone, it is a new file
    /// and another job.
    pub(super) fn save_again(&mut self, job: usize, saving: Saving) -> Result<(), Violation> {
        let Some(path) = self.cluster.directory.find_job(job) else {
            return Ok(());
        };
        if self
            .cluster
            .directory
            .get(&path)
            .is_none_or(|file| file.open)
        {
            return Ok(());
        }
        self.saves += 1;
        let content = saved_again(&self.scenario.jobs[job].content, self.saves);
        let number = if path.folder == Folder::Inbox {
            self.cluster.reached.saved_waiting += 1;
            self.scenario.jobs[job].content = content;
            job
        } else if self.scenario.jobs.len() < MOST_JOBS {
            self.cluster.reached.saved_claimed += 1;
            let file = self.scenario.jobs[job].file.clone();
            self.scenario.jobs.push(Job { file, content });
            self.scenario.jobs.len() - 1
        } else {
            return Ok(());
        };
        match saving {
            Saving::InPlace => self.write(number, 0, 2),
            Saving::RenamedOver => self.write(number, 1, 1),
        }
    }
}

/// What a job's file has after so many jobs and saves: the same to be computed, in another order, and
/// no two the same to the byte.
fn saved_again(content: &Bytes, count: usize) -> Bytes {
    let lines = String::from_utf8_lossy(content);
    let mut lines: Vec<&str> = lines
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    lines.reverse();
    Bytes::from(format!("# again {count}\n{}\n", lines.join("\n")))
}

/// What a job's file has before it is saved again.
pub(super) fn first_content(job: usize) -> Bytes {
    Bytes::from(format!("# first {job}\n5!\n"))
}
