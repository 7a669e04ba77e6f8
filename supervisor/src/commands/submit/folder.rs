//! The jobs directory, as one who hands in a job goes about in it: opened once, and no link in it is
//! followed, which anybody who may hand in a job could have made.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstatat};
use supervisor::owner;

/// A jobs directory. The path itself may be a link: whoever named it, meant it.
#[derive(Debug)]
pub(crate) struct JobsFolder {
    path: PathBuf,
    folder: File,
}

/// One of the folders that a job file goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Inbox,
    Running,
    Done,
    Failed,
}

/// What tells a file from every other, as long as somebody has it open: device and inode. Some mounts
/// give a file another inode when it is renamed below them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity(u64, u64);

impl JobsFolder {
    /// Opens it, which needs no rights in it.
    ///
    /// # Errors
    ///
    /// It is not there, or no directory.
    pub(crate) fn open(path: &Path) -> io::Result<JobsFolder> {
        let folder = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(path)?;
        let path = path.to_owned();
        Ok(JobsFolder { path, folder })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes root, where it may, the owner of the directory.
    pub(super) fn act_as_owner(&self) {
        if let Ok(found) = self.folder.metadata() {
            owner::act_as_owner_of(&found);
        }
    }

    /// Opens one of its folders, to go on from there; it need not be readable.
    ///
    /// # Errors
    ///
    /// It is not there, it is a link or no folder, or this user may not go into the directory.
    pub(super) fn stage(&self, stage: Stage) -> nix::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(&self.folder, stage.name(), flags, Mode::empty())
    }
}

impl AsFd for JobsFolder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

impl Stage {
    /// Its name in the jobs directory.
    pub(super) fn name(self) -> &'static str {
        match self {
            Stage::Inbox => ".",
            Stage::Running => "running",
            Stage::Done => "done",
            Stage::Failed => "failed",
        }
    }
}

impl Identity {
    /// That of an open file.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(super) fn of(file: &File) -> io::Result<Identity> {
        Ok(Identity::in_metadata(&file.metadata()?))
    }

    /// That of a file that was looked at.
    pub(super) fn in_metadata(found: &Metadata) -> Identity {
        Identity(found.dev(), found.ino())
    }

    /// Whether the file has this name in a folder.
    pub(super) fn is_at(self, folder: impl AsFd, name: &OsStr) -> bool {
        look(folder, name).is_ok_and(|found| self == Identity(found.st_dev, found.st_ino))
    }
}

/// The names of the job files in a folder. Nothing else of its entries is told: there are file systems
/// whose entries have other inode numbers than their files.
///
/// # Errors
///
/// The folder cannot be read.
pub(super) fn jobs_in(folder: impl AsFd) -> nix::Result<Vec<OsString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut entries = Dir::openat(&folder, ".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in entries.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name.ends_with(b".job") {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

/// What has a name in a folder; of a link, the link.
pub(super) fn look(folder: impl AsFd, name: &OsStr) -> nix::Result<FileStat> {
    fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)
}
