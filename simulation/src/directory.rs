//! The jobs directory: four folders of files, and the calls that nodes make on them.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::file::{Content, FileCall, FilePath, FileReply, Folder, Probe, RESERVATION};
use protocol::job::{is_ignored, is_job};

use crate::chance::Chance;
use crate::fact::Life;

/// What the file system of the directory can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Renames that clobber nothing in one step; else the name is reserved first.
    pub renames_in_one_step: bool,
    /// Leases that tell whether a file is open for writing.
    pub leases: bool,
    /// Events that tell of changes.
    pub events: bool,
}

/// The folders and what is in them.
#[derive(Debug)]
pub(crate) struct Directory {
    files: BTreeMap<FilePath, File>,
    /// Who has reserved a name, and lives.
    reservations: BTreeMap<FilePath, Life>,
    /// What a power loss may undo: what each change since the last sync has replaced, in order.
    unsynced: Vec<Replaced>,
    mount: Mount,
    /// No space is left: writes fail half-way.
    pub(crate) full: bool,
    stamp: u64,
}

/// The files that a change concerns, as they were before it.
type Replaced = Vec<(FilePath, Option<File>)>;

/// A file, wherever it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What is in it.
    pub content: Bytes,
    /// Which of the dropped job files it is, if it is one.
    pub job: Option<usize>,
    /// Somebody has it open for writing.
    pub open: bool,
    /// Changes with the content.
    pub stamp: u64,
}

impl File {
    /// Whether it only reserves its name.
    pub fn is_reservation(&self) -> bool {
        self.content == RESERVATION
    }
}

/// What a call, or a person, changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A file got another name.
    Moved {
        /// The name that it had.
        from: FilePath,
        /// The name that it has.
        to: FilePath,
        /// The file.
        file: File,
        /// What had that name before and is no more.
        clobbered: Option<File>,
    },
    /// A file was created, or its content replaced.
    Written {
        /// Its name.
        path: FilePath,
        /// What it is now.
        file: File,
        /// What it was.
        before: Option<File>,
    },
    /// A file is no more.
    Removed {
        /// The name that it had.
        path: FilePath,
        /// What it was.
        file: File,
    },
}

/// How far a call got that takes more than one step.
#[derive(Clone, Debug)]
pub(crate) enum CallStage {
    /// It is done.
    Done(FileReply),
    /// A step is done, and this one is next.
    Next(Step),
}

/// The next step of a call.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// The whole call.
    Call(FileCall),
    /// The target's name is reserved: rename over it.
    RenameOver { from: FilePath, to: FilePath },
    /// A text has both names: take the hidden one away.
    Unlink(FilePath),
    /// The file is created and half of it written, and there is no room for the rest.
    GiveUp { path: FilePath },
    /// The file is created and half of it written: write it all.
    Finish {
        part: FilePath,
        path: FilePath,
        content: Bytes,
    },
    /// It is whole: give it its name, and sync.
    Seal { part: FilePath, path: FilePath },
}

impl Directory {
    pub(crate) fn new(mount: Mount) -> Directory {
        Directory {
            files: BTreeMap::new(),
            reservations: BTreeMap::new(),
            unsynced: Vec::new(),
            mount,
            full: false,
            stamp: 0,
        }
    }

    pub(crate) fn get(&self, path: &FilePath) -> Option<&File> {
        self.files.get(path)
    }

    pub(crate) fn files(&self) -> &BTreeMap<FilePath, File> {
        &self.files
    }

    /// Gives a name a file, or none; returns what had it.
    fn set(&mut self, path: &FilePath, file: Option<File>) -> Option<File> {
        match file {
            Some(file) => self.files.insert(path.clone(), file),
            None => self.files.remove(path),
        }
    }

    /// The machine loses its power: of what was not synced the file system has kept the first part.
    /// File systems keep the order of their changes, as a journal does.
    pub(crate) fn lose_power(&mut self, chance: &mut Chance) {
        let kept = chance.below(self.unsynced.len() + 1);
        for replaced in self.unsynced.split_off(kept).into_iter().rev() {
            for (path, file) in replaced {
                self.set(&path, file);
            }
        }
        self.reservations.clear();
    }

    /// Somebody else changed something, and syncs what he does.
    pub(crate) fn synced(&mut self) {
        self.unsynced.clear();
    }

    /// Whether a text still has its hidden name too, since its writer is at it, or died.
    pub(crate) fn has_two_names(&self, text: &FilePath) -> bool {
        let mut hidden = self.files.iter().filter(|(path, _)| is_hidden(path));
        self.files
            .get(text)
            .is_some_and(|text| hidden.any(|(_, file)| file.stamp == text.stamp))
    }

    /// A person takes a file away.
    pub(crate) fn take_away(&mut self, path: &FilePath) {
        self.files.remove(path);
        self.synced();
    }

    /// Somebody creates a file, or writes more of it.
    pub(crate) fn put(
        &mut self,
        path: FilePath,
        content: Bytes,
        job: Option<usize>,
        open: bool,
    ) -> Change {
        self.stamp += 1;
        let file = File {
            content,
            job,
            open,
            stamp: self.stamp,
        };
        let before = self.files.insert(path.clone(), file.clone());
        self.unsynced.push(vec![(path.clone(), before.clone())]);
        Change::Written { path, file, before }
    }

    /// The file of a job that is still being written, wherever it has gone.
    pub(crate) fn find_job(&self, job: usize) -> Option<FilePath> {
        let mut files = self.files.iter();
        files
            .find(|(_, file)| file.job == Some(job))
            .map(|(path, _)| path.clone())
    }

    /// A process ended: it holds no lock any more.
    pub(crate) fn died(&mut self, life: Life) {
        self.reservations.retain(|_, owner| *owner != life);
    }

    /// Makes one step of a process's call.
    pub(crate) fn make(
        &mut self,
        life: Life,
        step: Step,
        chance: &mut Chance,
        changes: &mut Vec<Change>,
    ) -> CallStage {
        let call = match step {
            Step::Call(call) => call,
            Step::RenameOver { from, to } => return self.rename_over(from, to, changes),
            Step::Unlink(path) => {
                self.remove(path, changes);
                return CallStage::Done(FileReply::Ok);
            }
            Step::GiveUp { path } => {
                self.remove(path, changes);
                return CallStage::Done(full());
            }
            Step::Finish {
                part,
                path,
                content,
            } => {
                // Somebody may have removed it: the descriptor follows it.
                if self.files.contains_key(&part) {
                    changes.push(self.put(part.clone(), content, None, false));
                }
                return CallStage::Next(Step::Seal { part, path });
            }
            Step::Seal { part, path } => {
                let sealed = self.rename_over(part, path, changes);
                if let CallStage::Done(FileReply::Absent) = sealed {
                    let error = "no such file or directory".to_owned();
                    return CallStage::Done(FileReply::Failed(error));
                }
                return sealed;
            }
        };
        CallStage::Done(match call {
            FileCall::List(folder) => self.list(folder, chance, changes),
            FileCall::Probe(path) => self.probe(&path),
            FileCall::Exist(mut paths) => {
                paths.retain(|path| self.files.contains_key(path));
                FileReply::Existing(paths)
            }
            FileCall::Rename { from, to } => return self.rename(life, from, to, changes),
            FileCall::Read { path, limit, whole } => self.read(&path, limit, whole),
            FileCall::Room { .. } if self.full => full(),
            FileCall::Room { .. } => FileReply::Ok,
            FileCall::Write {
                path,
                part,
                content,
                ..
            } => {
                let part = FilePath::new(path.folder, part);
                let content = content.iter().flat_map(Content::pieces).flatten();
                let content: Bytes = content.collect();
                let half = content.slice(..content.len() / 2);
                changes.push(self.put(part.clone(), half, None, true));
                return CallStage::Next(if self.full {
                    Step::GiveUp { path: part }
                } else {
                    Step::Finish {
                        part,
                        path,
                        content,
                    }
                });
            }
            FileCall::Remove(path) => {
                self.remove(path, changes);
                FileReply::Ok
            }
            FileCall::Sync(_) => {
                self.synced();
                FileReply::Ok
            }
        })
    }

    fn list(
        &mut self,
        folder: Folder,
        chance: &mut Chance,
        changes: &mut Vec<Change>,
    ) -> FileReply {
        let in_folder = |path: &&FilePath| path.folder == folder;
        let mut paths: Vec<FilePath> = self.files.keys().filter(in_folder).cloned().collect();
        if !self.mount.renames_in_one_step {
            paths.retain(|path| {
                let reserved = self.files[path].is_reservation();
                let for_text = path.name.ends_with(b".txt");
                if reserved && (for_text || !self.reservations.contains_key(path)) {
                    self.remove(path.clone(), changes);
                }
                !reserved
            });
        }
        let mut names: Vec<Vec<u8>> = paths.into_iter().map(|path| path.name).collect();
        // The system tells them in an order of its own.
        if names.len() > 1 {
            let start = chance.below(names.len());
            names.rotate_left(start);
        }
        FileReply::Listed(names)
    }

    fn read(&self, path: &FilePath, limit: usize, whole: bool) -> FileReply {
        let Some(file) = self.files.get(path) else {
            return FileReply::Absent;
        };
        let end = file.content.len().min(limit.saturating_add(1));
        let content = file.content.slice(..end);
        match whole {
            true if !self.mount.leases => FileReply::Unsettled {
                content,
                stamp: file.stamp,
            },
            true if file.open => FileReply::Probed(Probe::Busy),
            _ => FileReply::Content(content),
        }
    }

    fn probe(&self, path: &FilePath) -> FileReply {
        match self.files.get(path) {
            None => FileReply::Absent,
            Some(file) if !self.mount.leases => {
                FileReply::Probed(Probe::Unknown { stamp: file.stamp })
            }
            Some(File { open: true, .. }) => FileReply::Probed(Probe::Busy),
            Some(file) if file.content.is_empty() => FileReply::Probed(Probe::Empty),
            Some(_) => FileReply::Probed(Probe::Complete),
        }
    }

    fn rename(
        &mut self,
        life: Life,
        from: FilePath,
        to: FilePath,
        changes: &mut Vec<Change>,
    ) -> CallStage {
        // A missing source is told before an existing target.
        if !self.files.contains_key(&from) {
            return CallStage::Done(FileReply::Absent);
        }
        if self.files.contains_key(&to) {
            return CallStage::Done(FileReply::Taken);
        }
        if !self.mount.renames_in_one_step && is_hidden(&from) {
            let file = self.files[&from].clone();
            self.unsynced.push(vec![(to.clone(), None)]);
            self.files.insert(to.clone(), file.clone());
            changes.push(Change::Moved {
                from: from.clone(),
                to,
                file,
                clobbered: None,
            });
            return CallStage::Next(Step::Unlink(from));
        }
        if !self.mount.renames_in_one_step {
            changes.push(self.put(to.clone(), Bytes::from_static(RESERVATION), None, false));
            self.reservations.insert(to.clone(), life);
            return CallStage::Next(Step::RenameOver { from, to });
        }
        self.rename_over(from, to, changes)
    }

    fn rename_over(
        &mut self,
        from: FilePath,
        to: FilePath,
        changes: &mut Vec<Change>,
    ) -> CallStage {
        self.reservations.remove(&to);
        let Some(file) = self.files.remove(&from) else {
            if self
                .files
                .get(&to)
                .is_some_and(|f| f.content == RESERVATION)
            {
                self.remove(to, changes);
            }
            return CallStage::Done(FileReply::Absent);
        };
        let clobbered = self.files.insert(to.clone(), file.clone());
        self.unsynced.push(vec![
            (to.clone(), clobbered.clone()),
            (from.clone(), Some(file.clone())),
        ]);
        changes.push(Change::Moved {
            from,
            to,
            file,
            clobbered: clobbered.filter(|file| !file.is_reservation()),
        });
        CallStage::Done(FileReply::Ok)
    }

    fn remove(&mut self, path: FilePath, changes: &mut Vec<Change>) {
        if let Some(file) = self.files.remove(&path) {
            self.unsynced.push(vec![(path.clone(), Some(file.clone()))]);
            changes.push(Change::Removed { path, file });
        }
    }
}

fn is_hidden(path: &FilePath) -> bool {
    path.folder == Folder::Running && path.name.starts_with(b".")
}

fn full() -> FileReply {
    FileReply::Full("no space left on device".to_owned())
}

impl Change {
    /// Whether who watches the inbox tells of it: a job may have been dropped.
    pub(crate) fn may_drop(&self) -> bool {
        match self {
            Change::Moved { to: path, .. } | Change::Written { path, .. } => {
                path.folder == Folder::Inbox && is_job(&path.name, &[]) && !is_ignored(&path.name)
            }
            Change::Removed { .. } => false,
        }
    }
}
