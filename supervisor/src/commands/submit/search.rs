//! Where a job file is that was handed in: it may get another name with every rename.
//!
//! A rename keeps the inode, so the file is known by that, asked of each name: what a directory entry
//! says of it is another number on some file systems. Where another machine, or somebody below the
//! mount, renames the file, even the inode of the name may be another: sshfs and unionfs-fuse have one a
//! path. There a file is taken for the job that has its name but for a number, its size, its time and
//! its content. Results follow from the content alone, so those of such a file are right.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::drop_file::Dropped;
use super::folder::{Identity, JobsFolder, Stage, jobs_in, look};
use super::warnings::Warnings;
use crate::commands::results::{self, Found};

/// A file that was nowhere for so long is looked for under any name, and by its content.
const NOWHERE_AFTER: Duration = Duration::from_secs(1);
/// Of the time no more than this part is spent with reading folders.
const SEARCHING_PART: u32 = 10;
/// A name may be cut at its end, but not so short.
const KEPT_BYTES: usize = 60;
/// Times are kept as coarse as this.
const COARSE_S: u64 = 2;

const STAGES: [Stage; 4] = [Stage::Inbox, Stage::Running, Stage::Done, Stage::Failed];

/// Where a job file stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) stage: Stage,
    pub(super) file_name: OsString,
}

impl Place {
    /// The name of the job.
    pub(super) fn name(&self) -> String {
        let stem = Path::new(&self.file_name).file_stem();
        stem.unwrap_or(OsStr::new(""))
            .to_string_lossy()
            .into_owned()
    }
}

/// Looks for one job file, again and again.
#[derive(Debug)]
pub(super) struct Search<'a> {
    dropped: &'a Dropped,
    identity: Identity,
    modified: i64,
    /// The file has told how many names it has. Some file systems say 0 of every file.
    counts_names: bool,
    /// Since when the file was nowhere.
    nowhere_since: Option<Instant>,
    /// Its inode is that of no name, so what is like it is taken for it.
    by_content: bool,
    /// No folder is read before.
    not_before: Instant,
}

impl Search<'_> {
    /// Of a job that was just handed in.
    pub(super) fn of(dropped: &Dropped) -> Search<'_> {
        Search {
            dropped,
            identity: Identity::in_metadata(&dropped.found),
            modified: dropped.found.mtime(),
            counts_names: dropped.found.nlink() > 0,
            nowhere_since: None,
            by_content: false,
            not_before: Instant::now(),
        }
    }

    /// Where the file is now, looked for first where it was; none if it is nowhere. In a folder that
    /// this user may not read, it is looked for by the names that it is expected to have.
    pub(super) fn find(
        &mut self,
        jobs: &JobsFolder,
        last: &Place,
        warnings: &mut Warnings,
    ) -> Option<Place> {
        let found = self
            .find_by_name(jobs, last, warnings)
            .or_else(|| self.find_by_reading(jobs, warnings));
        if found.is_some() {
            self.nowhere_since = None;
        } else {
            let since = *self.nowhere_since.get_or_insert_with(Instant::now);
            self.by_content |= since.elapsed() >= NOWHERE_AFTER;
        }
        found
    }

    /// Whether a file that was not found has been removed.
    ///
    /// # Errors
    ///
    /// It cannot be told.
    pub(super) fn is_removed(&mut self) -> io::Result<bool> {
        let since = self.nowhere_since;
        match self.dropped.file.metadata() {
            // For a moment some mounts say so of a file that is being renamed.
            Ok(found) => Ok(self.counts_names
                && found.nlink() == 0
                && since.is_some_and(|since| since.elapsed() >= NOWHERE_AFTER)),
            // Whoever renamed it below the mount took it from this one.
            Err(error) if is_gone(&error) => {
                self.by_content = true;
                Ok(since.is_some_and(|since| since.elapsed() >= 2 * NOWHERE_AFTER))
            }
            Err(error) => Err(error),
        }
    }

    fn find_by_name(
        &self,
        jobs: &JobsFolder,
        last: &Place,
        warnings: &mut Warnings,
    ) -> Option<Place> {
        let is_there = |stage: Stage, warnings: &mut Warnings| match jobs.stage(stage) {
            Ok(folder) => self.is_at(folder, &last.file_name),
            // No cluster has ever been here.
            Err(Errno::ENOENT) => false,
            Err(error) => {
                warnings.cannot_look(jobs.path(), stage, error);
                false
            }
        };
        let others = STAGES.into_iter().filter(|&stage| stage != last.stage);
        let mut stages = std::iter::once(last.stage).chain(others);
        let stage = stages.find(|&stage| is_there(stage, warnings))?;
        let file_name = last.file_name.clone();
        Some(Place { stage, file_name })
    }

    /// Reads the folders for names like that of the job, and at last for any.
    fn find_by_reading(&mut self, jobs: &JobsFolder, warnings: &mut Warnings) -> Option<Place> {
        let begin = Instant::now();
        if begin < self.not_before {
            return None;
        }
        let for_any = self.by_content;
        let mut read = Vec::new();
        for stage in STAGES {
            let folder = match jobs.stage(stage) {
                Ok(folder) => folder,
                // Told of already, if it is there.
                Err(_) => continue,
            };
            match jobs_in(&folder) {
                Ok(names) => read.push((stage, folder, names)),
                Err(error) => warnings.cannot_look(jobs.path(), stage, error),
            }
        }
        let mut found = None;
        for likely in [true, false] {
            for (stage, folder, names) in &read {
                let mut names = names.iter().filter(|name| self.is_likely(name) == likely);
                let is_it = |name: &&OsString| match likely {
                    true => self.is_at(folder, name),
                    false => for_any && self.identity.is_at(folder, name),
                };
                found = found.or_else(|| {
                    let (stage, file_name) = (*stage, names.find(is_it)?.clone());
                    Some(Place { stage, file_name })
                });
            }
        }
        self.not_before = Instant::now() + begin.elapsed() * (SEARCHING_PART - 1);
        found
    }

    /// Whether a cluster may have given this name to the job: with a number, or two, or cut.
    fn is_likely(&self, file_name: &OsStr) -> bool {
        let name = self.dropped.name.as_bytes();
        let Some(mut stem) = file_name.as_bytes().strip_suffix(b".job") else {
            return false;
        };
        if name.len() > KEPT_BYTES && stem.starts_with(&name[..KEPT_BYTES]) {
            return true;
        }
        while stem != name {
            let Some(dot) = stem.iter().rposition(|&byte| byte == b'.') else {
                return false;
            };
            let number = &stem[dot + 1..];
            if number.is_empty() || !number.iter().all(u8::is_ascii_digit) {
                return false;
            }
            stem = &stem[..dot];
        }
        true
    }

    /// Whether the file has this name in a folder.
    fn is_at(&self, folder: impl AsFd, name: &OsStr) -> bool {
        self.identity.is_at(&folder, name)
            || self.by_content && self.is_likely(name) && self.is_like(folder, name)
    }

    fn is_like(&self, folder: impl AsFd, name: &OsStr) -> bool {
        let text = self.dropped.text.as_bytes();
        let fits = look(&folder, name).is_ok_and(|found| {
            found.st_size.unsigned_abs() == text.len() as u64
                && found.st_mtime.abs_diff(self.modified) <= COARSE_S
        });
        if !fits {
            return false;
        }
        let Ok(Found::Text(file)) = results::open_text(folder, name) else {
            return false;
        };
        let mut content = Vec::new();
        let read = File::take(file, text.len() as u64 + 1).read_to_end(&mut content);
        read.is_ok() && content == text
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESTALE))
}

#[cfg(test)]
mod tests;
