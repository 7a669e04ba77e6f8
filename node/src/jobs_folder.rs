//! The four folders of a jobs directory, held open. Every call is relative to a descriptor, so users who
//! may write to the jobs directory cannot redirect a call by replacing one of them by a link or
//! another folder.
//!
//! `running/`, where texts are written, belongs to this user, and nobody else may write to it. The
//! jobs directory itself, `done/` and `failed/` may be shared: a rename into them follows no link and
//! replaces nothing.

mod error;
mod rights;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat, mkdirat};
use nix::sys::statfs::{self, FsType, fstatfs};
use nix::unistd::{Gid, getegid};
use protocol::file::Folder;

pub use self::error::FolderError;

/// Flags for opening a folder: it follows no link and never blocks.
const FOLDER: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);
/// The mode of a folder created here.
const RIGHTS: Mode = Mode::from_bits_truncate(0o755);
/// The folders in a jobs directory, without the directory itself.
pub const FOLDERS: [Folder; 3] = [Folder::Running, Folder::Done, Folder::Failed];

/// File systems of local disks and of memory: they keep owners and permissions, their leases know every
/// writer, and they support renames that replace nothing.
const LOCAL: [FsType; 6] = [
    statfs::EXT4_SUPER_MAGIC,
    statfs::XFS_SUPER_MAGIC,
    statfs::BTRFS_SUPER_MAGIC,
    statfs::F2FS_SUPER_MAGIC,
    statfs::TMPFS_MAGIC,
    statfs::OVERLAYFS_SUPER_MAGIC,
];
/// The same, except that some versions refuse such renames: ZFS and bcachefs, which have no name in libc.
const LOCAL_BY_RESERVATION: [FsType; 2] = [FsType(0x2fc1_2fc1), FsType(0xca45_1a4e)];

/// A jobs directory whose folders are held open, as far as possible.
#[derive(Debug)]
pub struct JobsFolder {
    path: PathBuf,
    /// In the order of [`place`]. None before the first check, and while something untrusted has the name.
    held: [Option<Held>; 4],
    /// All four have been open at the same time.
    known: bool,
    /// `running/` is locked, which marks the directory as in use by a cluster.
    locked: bool,
    /// The mount keeps no permissions, and a warning was logged.
    told_no_rights: bool,
}

/// An open folder.
#[derive(Debug)]
struct Held {
    fd: Arc<OwnedFd>,
    file_system: FsType,
    /// The group of a file created in it.
    group: Gid,
    device: u64,
    /// Device and inode; none if the file system reports different ones each time.
    identity: Option<(u64, u64)>,
}

impl JobsFolder {
    /// The jobs directory at `path`, which the first [`JobsFolder::refresh`] opens.
    pub fn new(path: PathBuf) -> JobsFolder {
        JobsFolder {
            path,
            held: [const { None }; 4],
            known: false,
            locked: false,
            told_no_rights: false,
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes sure that each name still leads to the open folder: creates a missing folder, and opens and
    /// checks one that was replaced. Returns those that were replaced since all four were open.
    ///
    /// # Errors
    ///
    /// The first folder that cannot be used. No call may be made until this succeeds.
    pub fn refresh(&mut self) -> Result<Vec<Folder>, FolderError> {
        let mut replaced = Vec::new();
        if !self.holds(Folder::Inbox) {
            self.held = [const { None }; 4];
            let inbox = open(&self.path, FOLDER, Mode::empty());
            self.hold(Folder::Inbox, inbox)?;
            replaced.push(Folder::Inbox);
        }
        for folder in FOLDERS {
            if !self.holds(folder) {
                self.held[place(folder)] = None;
                let opened = self.make_and_open(folder);
                self.hold(folder, opened)?;
                let checked = self.check(folder);
                checked.inspect_err(|_| self.held[place(folder)] = None)?;
                replaced.push(folder);
            }
        }
        if !self.locked {
            self.lock();
        }
        if !std::mem::replace(&mut self.known, true) {
            replaced.clear();
        }
        Ok(replaced)
    }

    /// Closes all folders, so that the next check opens them again, for example after a stale file handle.
    pub fn let_go(&mut self) {
        self.held = [const { None }; 4];
    }

    /// The descriptor of a folder.
    ///
    /// # Errors
    ///
    /// It is not open: [`JobsFolder::refresh`] was not called, or failed.
    pub fn get(&self, folder: Folder) -> io::Result<BorrowedFd<'_>> {
        Ok(self.held(folder)?.fd.as_fd())
    }

    /// The same, for a caller that may need it after the folder was closed here.
    ///
    /// # Errors
    ///
    /// It is not open.
    pub fn share(&self, folder: Folder) -> io::Result<Arc<OwnedFd>> {
        Ok(Arc::clone(&self.held(folder)?.fd))
    }

    /// The group of a file created in a folder.
    pub(crate) fn group_in(&self, folder: Folder) -> io::Result<Gid> {
        Ok(self.held(folder)?.group)
    }

    fn held(&self, folder: Folder) -> io::Result<&Held> {
        let held = self.held[place(folder)].as_ref();
        held.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Whether the file system of a folder is local, so that a lease knows every
    /// writer, and permissions are kept.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn is_local(&self, folder: Folder) -> io::Result<bool> {
        Ok(is_local(self.held(folder)?.file_system))
    }

    /// Whether a folder may contain reservations, since its file system may refuse renames that
    /// replace nothing.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub(crate) fn has_reservations(&self, folder: Folder) -> io::Result<bool> {
        Ok(!LOCAL.contains(&self.held(folder)?.file_system))
    }

    /// The path of a folder, for people.
    pub fn path_of(&self, folder: Folder) -> PathBuf {
        match folder {
            Folder::Inbox => self.path.clone(),
            other => self.path.join(name(other)),
        }
    }

    /// Whether the name of a folder still leads to the open one.
    fn holds(&self, folder: Folder) -> bool {
        let Some(held) = &self.held[place(folder)] else {
            return false;
        };
        let found = match folder {
            Folder::Inbox => fstatat(AT_FDCWD, &self.path, AtFlags::AT_SYMLINK_NOFOLLOW),
            other => self
                .get(Folder::Inbox)
                .map_err(|_| Errno::ENOENT)
                .and_then(|inbox| fstatat(inbox, name(other), AtFlags::AT_SYMLINK_NOFOLLOW)),
        };
        found.is_ok_and(|found| {
            is_folder(&found) && held.identity.is_none_or(|known| known == identity(&found))
        })
    }

    fn make_and_open(&self, folder: Folder) -> nix::Result<OwnedFd> {
        let inbox = self.get(Folder::Inbox).map_err(|_| Errno::ENOENT)?;
        match openat(inbox, name(folder), FOLDER, Mode::empty()) {
            Err(Errno::ENOENT) => {
                match mkdirat(inbox, name(folder), RIGHTS) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(error) => return Err(error),
                }
                openat(inbox, name(folder), FOLDER, Mode::empty())
            }
            opened => opened,
        }
    }

    fn hold(&mut self, folder: Folder, opened: nix::Result<OwnedFd>) -> Result<(), FolderError> {
        let path = self.path_of(folder);
        let fd = opened.map_err(|error| match error {
            Errno::ENOTDIR | Errno::ELOOP => no_folder(path.clone()),
            error => FolderError::io(&path, error),
        })?;
        let found = fstat(&fd).map_err(|error| FolderError::io(&path, error))?;
        let kind = fstatfs(&fd).map_err(|error| FolderError::io(&path, error))?;
        self.held[place(folder)] = Some(Held {
            fd: Arc::new(fd),
            file_system: kind.filesystem_type(),
            device: found.st_dev,
            group: if found.st_mode & libc::S_ISGID == 0 {
                getegid()
            } else {
                Gid::from_raw(found.st_gid)
            },
            identity: Some(identity(&found)),
        });
        if !self.holds(folder)
            && let Some(held) = &mut self.held[place(folder)]
        {
            held.identity = None;
        }
        Ok(())
    }

    fn check(&mut self, folder: Folder) -> Result<(), FolderError> {
        let path = self.path_of(folder);
        let device = |folder| {
            let held = self.held[place(folder)].as_ref()?;
            Some(held.device)
        };
        if device(folder) != device(Folder::Inbox) {
            return Err(FolderError::OtherFileSystem { path });
        }
        if folder == Folder::Running {
            self.locked = false;
            self.check_rights()?;
        }
        Ok(())
    }
}

/// Whether the file system of a folder may refuse a rename that replaces nothing.
///
/// # Errors
///
/// What the system says.
pub(crate) fn may_refuse_rename(folder: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(!LOCAL.contains(&fstatfs(folder)?.filesystem_type()))
}

/// Whether the file system at a path is local, so that every change there causes an event.
///
/// # Errors
///
/// What the system says.
pub fn is_local_path(path: &Path) -> io::Result<bool> {
    Ok(is_local(statfs::statfs(path)?.filesystem_type()))
}

fn is_local(kind: FsType) -> bool {
    LOCAL.contains(&kind) || LOCAL_BY_RESERVATION.contains(&kind)
}

/// The name of a folder in the jobs directory; for the directory itself, its name in events.
pub fn name(folder: Folder) -> &'static str {
    match folder {
        Folder::Inbox => "inbox",
        Folder::Running => "running",
        Folder::Done => "done",
        Folder::Failed => "failed",
    }
}

/// The kind of something that is not a regular file, in words.
pub(crate) fn kind(found: &FileStat) -> &'static str {
    match found.st_mode & libc::S_IFMT {
        libc::S_IFLNK => "a symbolic link",
        libc::S_IFDIR => "a directory",
        libc::S_IFIFO => "a FIFO",
        libc::S_IFSOCK => "a socket",
        libc::S_IFREG => "a file",
        _ => "a device",
    }
}

fn no_folder(path: PathBuf) -> FolderError {
    let found = fstatat(AT_FDCWD, &path, AtFlags::AT_SYMLINK_NOFOLLOW);
    let kind = found.map_or("something else", |found| kind(&found));
    FolderError::NoFolder { path, kind }
}

fn place(folder: Folder) -> usize {
    match folder {
        Folder::Inbox => 0,
        Folder::Running => 1,
        Folder::Done => 2,
        Folder::Failed => 3,
    }
}

fn identity(found: &FileStat) -> (u64, u64) {
    (found.st_dev, found.st_ino)
}

fn is_folder(found: &FileStat) -> bool {
    found.st_mode & libc::S_IFMT == libc::S_IFDIR
}

#[cfg(test)]
mod tests;
