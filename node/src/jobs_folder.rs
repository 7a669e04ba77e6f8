//! The four folders of a jobs directory, held open. Every call is relative to a descriptor, so
//! whoever may write to the jobs directory cannot lead a call elsewhere by putting a link, or another
//! folder, in the place of one of them.
//!
//! `running/`, where texts are written, belongs to this user, and nobody else may write to it. The
//! jobs directory itself, `done/` and `failed/` may be shared: a rename into them follows no link and
//! replaces nothing.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, fstatat, mkdirat};
use nix::sys::statfs::{self, FsType, fstatfs};
use nix::unistd::{Gid, UnlinkatFlags, getegid, geteuid, unlinkat};
use protocol::file::Folder;

use crate::acl;

/// What a folder is opened as: never through a link, and never waiting for anybody.
const FOLDER: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);
/// The rights of a folder that is made here.
const RIGHTS: Mode = Mode::from_bits_truncate(0o755);
/// The rights of others to write.
const FOREIGN_WRITE: Mode = Mode::from_bits_truncate(0o022);
/// What others may not do to `running/`: write, or open it, since who has it open may lock it. They may
/// look at a file in it by its name.
const FOREIGN_OPEN: Mode = Mode::from_bits_truncate(0o066);

/// The folders of a jobs directory, all but the directory itself.
pub const FOLDERS: [Folder; 3] = [Folder::Running, Folder::Done, Folder::Failed];

/// File systems of local disks and of memory: they keep owners and rights, their leases know every
/// writer, and they rename without replacing anything in one step.
const LOCAL: [FsType; 6] = [
    statfs::EXT4_SUPER_MAGIC,
    statfs::XFS_SUPER_MAGIC,
    statfs::BTRFS_SUPER_MAGIC,
    statfs::F2FS_SUPER_MAGIC,
    statfs::TMPFS_MAGIC,
    statfs::OVERLAYFS_SUPER_MAGIC,
];
/// The same, but for such a rename, which some of their versions refuse: ZFS and bcachefs, which have no
/// name in libc.
const LOCAL_BY_RESERVATION: [FsType; 2] = [FsType(0x2fc1_2fc1), FsType(0xca45_1a4e)];

/// A jobs directory that is held open, as far as it can be.
#[derive(Debug)]
pub struct JobsFolder {
    path: PathBuf,
    /// In the order of [`place`]. None before the first look, and while the name is taken by something
    /// that is not trusted.
    held: [Option<Held>; 4],
    /// All four have been held at once.
    known: bool,
    /// `running/` is locked, which says that a cluster works here.
    locked: bool,
    /// The mount keeps no rights, and somebody was told.
    told_no_rights: bool,
}

/// Why a folder is not used. Displays as one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made or opened.
    #[error("cannot make or open {}: {error}; make it, or choose another directory with --jobs", path.display())]
    Io {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Its name is taken by something else.
    #[error(
        "{} is {kind}, not a folder: move it away, or choose another directory with --jobs",
        path.display()
    )]
    NoFolder {
        /// The name.
        path: PathBuf,
        /// What stands there, as in "a symbolic link".
        kind: &'static str,
    },
    /// A rename from one to the other is not possible.
    #[error(
        "{} is on another file system than the jobs directory, so no job can be renamed into it: unmount it, or \
         choose another directory with --jobs",
        path.display()
    )]
    OtherFileSystem {
        /// The folder.
        path: PathBuf,
    },
    /// Another user owns the folder in which texts are written.
    #[error(
        "{0} belongs to user {owner}, who could make this cluster, which works as user {user}, overwrite other \
         files: give it away with: chown {user} {0}, or start as user {owner} (in a container: --user {owner})",
        path.display(), user = geteuid()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Others may write to the folder in which texts are written, and that cannot be changed.
    #[error(
        "others may write to {0}, and could make this cluster overwrite other files: take that right away \
         with: chmod go-w {0}",
        path.display()
    )]
    Shared {
        /// The folder.
        path: PathBuf,
    },
}

/// An open folder.
#[derive(Debug)]
struct Held {
    fd: Arc<OwnedFd>,
    file_system: FsType,
    /// The group of a file that is made in it.
    group: Gid,
    device: u64,
    /// Device and inode; none where the file system gives another at every look.
    identity: Option<(u64, u64)>,
}

impl JobsFolder {
    /// The jobs directory at `path`, which is looked at by the first [`JobsFolder::refresh`].
    pub fn new(path: PathBuf) -> JobsFolder {
        JobsFolder {
            path,
            held: [const { None }; 4],
            known: false,
            locked: false,
            told_no_rights: false,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes sure that each name still stands for the folder that is held: one that is missing is
    /// made, one that was replaced is opened and checked anew. Returns those that were replaced since
    /// all were held.
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

    /// Opens all folders anew at the next look, as after an error that says that they are stale.
    pub fn let_go(&mut self) {
        self.held = [const { None }; 4];
    }

    /// The descriptor of a folder.
    ///
    /// # Errors
    ///
    /// It is not held: [`JobsFolder::refresh`] was not called, or failed.
    pub fn get(&self, folder: Folder) -> io::Result<BorrowedFd<'_>> {
        Ok(self.held(folder)?.fd.as_fd())
    }

    /// The same, for somebody who needs it longer than the folder may be held.
    ///
    /// # Errors
    ///
    /// It is not held.
    pub fn share(&self, folder: Folder) -> io::Result<Arc<OwnedFd>> {
        Ok(Arc::clone(&self.held(folder)?.fd))
    }

    /// The group that a file gets which is made in a folder.
    pub(crate) fn group_in(&self, folder: Folder) -> io::Result<Gid> {
        Ok(self.held(folder)?.group)
    }

    fn held(&self, folder: Folder) -> io::Result<&Held> {
        let held = self.held[place(folder)].as_ref();
        held.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Whether the file system of a folder is one of this machine's own, so that a lease knows every
    /// writer, and rights are kept.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn is_local(&self, folder: Folder) -> io::Result<bool> {
        let kind = self.held(folder)?.file_system;
        Ok(LOCAL.contains(&kind) || LOCAL_BY_RESERVATION.contains(&kind))
    }

    /// Whether names may be reserved in a folder, since its file system may refuse a rename that
    /// replaces nothing.
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

    /// Whether the name of a folder still stands for what is held.
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

    /// Says that a cluster works here, as long as the folder is held. All nodes may say so.
    fn lock(&mut self) {
        let running = self.share(Folder::Running);
        let running = running.and_then(|running| running.try_clone());
        // Somebody may look just now whether a cluster works here; some mounts know no locks.
        self.locked = running.is_ok_and(|running| File::from(running).try_lock_shared().is_ok());
    }

    /// `running/` is this user's, and no other may write to it; rights that are wider are taken away.
    /// A mount that invents owners and rights cannot say so, and is told of once.
    fn check_rights(&mut self) -> Result<(), FolderError> {
        let path = self.path_of(Folder::Running);
        let failed = |error| FolderError::io(&path, error);
        let running = self
            .get(Folder::Running)
            .map_err(|_| failed(Errno::ENOENT))?;
        let mut found = fstat(running).map_err(failed)?;
        if is_ours(&found) {
            // What is made in it inherits no rights for others.
            acl::remove_default(running);
        }
        if is_ours(&found) && mode(&found).intersects(FOREIGN_OPEN) {
            // Whether it helped is what the next look says.
            let _ = fchmod(running, mode(&found).difference(FOREIGN_OPEN));
            found = fstat(running).map_err(failed)?;
        }
        let refusal = if !is_ours(&found) {
            let owner = found.st_uid;
            FolderError::Foreign {
                path: path.clone(),
                owner,
            }
        } else if mode(&found).intersects(FOREIGN_WRITE) {
            FolderError::Shared { path: path.clone() }
        } else {
            return Ok(());
        };
        if self.keeps_rights() {
            return Err(refusal);
        }
        if !std::mem::replace(&mut self.told_no_rights, true) {
            tracing::warn!(
                "the mount of {} keeps no owners and rights, so whoever may write there could lead results \
                 astray: let nobody write there whom you do not trust",
                self.path.display()
            );
        }
        Ok(())
    }

    /// Whether the file system keeps the owner and the rights of a folder that is made in the jobs
    /// directory. Where that cannot be found out, it is taken to keep them. A local file system is
    /// not asked: another user could exchange the folder that it is asked by.
    fn keeps_rights(&self) -> bool {
        let shows_others = || {
            let inbox = self.get(Folder::Inbox)?;
            let probe = format!(".bullpen-rights-{:016x}", rand::random::<u64>());
            mkdirat(inbox, probe.as_str(), RIGHTS)?;
            let found = openat(inbox, probe.as_str(), FOLDER, Mode::empty()).and_then(|fd| {
                // The mask may have taken some away.
                let _ = fchmod(&fd, RIGHTS);
                fstat(&fd)
            });
            unlinkat(inbox, probe.as_str(), UnlinkatFlags::RemoveDir)?;
            let found = found?;
            let shown = mode(&found).intersection(Mode::from_bits_truncate(0o777));
            Ok::<bool, io::Error>(!is_ours(&found) || shown != RIGHTS)
        };
        self.is_local(Folder::Inbox).unwrap_or(true) || !shows_others().unwrap_or(false)
    }
}

impl FolderError {
    fn io(path: &Path, error: Errno) -> FolderError {
        FolderError::Io {
            path: path.to_owned(),
            error: error.into(),
        }
    }
}

/// The name of a folder in the jobs directory; of the directory itself, how events call it.
pub fn name(folder: Folder) -> &'static str {
    match folder {
        Folder::Inbox => "inbox",
        Folder::Running => "running",
        Folder::Done => "done",
        Folder::Failed => "failed",
    }
}

/// What kind of thing is no regular file, in words.
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

fn is_ours(found: &FileStat) -> bool {
    found.st_uid == geteuid().as_raw()
}

fn mode(found: &FileStat) -> Mode {
    Mode::from_bits_truncate(found.st_mode)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    use super::*;

    fn folder() -> (tempfile::TempDir, JobsFolder) {
        let directory = tempfile::tempdir().unwrap();
        let folder = JobsFolder::new(directory.path().to_owned());
        (directory, folder)
    }

    #[test]
    fn missing_folders_are_made_and_then_nothing_is_new() {
        let (directory, mut folder) = folder();
        assert_eq!(folder.refresh().unwrap(), []);
        for name in ["running", "done", "failed"] {
            assert!(directory.path().join(name).is_dir());
        }
        assert_eq!(folder.refresh().unwrap(), []);
    }

    #[test]
    fn a_folder_that_was_replaced_is_noticed_once() {
        let (directory, mut folder) = folder();
        folder.refresh().unwrap();
        fs::rename(directory.path().join("done"), directory.path().join("old")).unwrap();
        fs::create_dir(directory.path().join("done")).unwrap();
        assert_eq!(folder.refresh().unwrap(), [Folder::Done]);
        assert_eq!(folder.refresh().unwrap(), []);
    }

    #[test]
    fn a_link_is_no_folder_however_late_it_comes() {
        let (directory, mut folder) = folder();
        folder.refresh().unwrap();
        for name in ["running", "done", "failed"] {
            let path = directory.path().join(name);
            fs::rename(&path, directory.path().join("old")).unwrap();
            symlink("old", &path).unwrap();
            let error = folder.refresh().unwrap_err().to_string();
            assert!(error.contains("is a symbolic link"), "{error}");
            assert!(error.contains(name), "{error}");
            fs::remove_file(&path).unwrap();
            fs::rename(directory.path().join("old"), &path).unwrap();
            assert_eq!(folder.refresh().unwrap().len(), 1, "it is back");
        }
    }

    #[test]
    fn rights_of_others_to_running_are_taken_away_and_those_to_the_rest_are_not() {
        let (directory, mut folder) = folder();
        for name in ["running", "done", "failed"] {
            let path = directory.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o2777)).unwrap();
        }
        folder.refresh().unwrap();
        let mode = |name| fs::metadata(directory.path().join(name)).unwrap().mode() & 0o7777;
        assert_eq!(mode("running"), 0o2711);
        assert_eq!(mode("done"), 0o2777);
        assert_eq!(mode("failed"), 0o2777);
    }

    #[test]
    fn a_running_folder_of_somebody_else_is_refused() {
        if !geteuid().is_root() {
            eprintln!("skipped: only root can make a folder of another user");
            return;
        }
        let (directory, mut folder) = folder();
        let running = directory.path().join("running");
        fs::create_dir(&running).unwrap();
        chown(&running, Some(4_711), None).unwrap();
        let error = folder.refresh().unwrap_err().to_string();
        assert!(error.contains("belongs to user 4711"), "{error}");
        assert!(folder.get(Folder::Running).is_err(), "no call is made");
        chown(&running, Some(0), None).unwrap();
        folder.refresh().unwrap();
        assert!(folder.get(Folder::Running).is_ok());
    }

    #[test]
    fn a_directory_that_is_gone_is_not_made_again_and_is_found_when_it_is_back() {
        let (directory, mut folder) = folder();
        folder.refresh().unwrap();
        let away = directory.path().with_extension("away");
        fs::rename(directory.path(), &away).unwrap();
        let error = folder.refresh().unwrap_err().to_string();
        assert!(error.contains("No such file"), "{error}");
        assert!(!directory.path().exists());
        fs::rename(&away, directory.path()).unwrap();
        assert_eq!(folder.refresh().unwrap().len(), 4);
    }
}
