//! Renames that replace nothing, also where the file system does not offer them.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use protocol::file::{FilePath, FileReply, Folder};

use crate::jobs_folder::JobsFolder;

/// The content of a name that is reserved and not taken yet.
const RESERVATION: &[u8] = b"bullpen: this name is reserved for a rename\n";

/// Renames a file; `Absent` if it does not exist, `Taken` if the new name does.
///
/// The kernel does it in one step. Some network and FUSE mounts refuse that, each in its own way and
/// only when it comes to it: there a text, whose hidden name nobody else can have, gets its own as a
/// second one, so that nobody sees anything else under it; for all else the new name is reserved by
/// creating it, which fails if it exists, and then renamed over.
pub(super) fn rename(
    folders: &JobsFolder,
    from: &FilePath,
    to: &FilePath,
) -> io::Result<FileReply> {
    let source = (folders.get(from.folder)?, &from.name[..]);
    let target = (folders.get(to.folder)?, &to.name[..]);
    let in_one_step = renameat2(
        source.0,
        source.1,
        target.0,
        target.1,
        RenameFlags::RENAME_NOREPLACE,
    );
    let renamed = match in_one_step {
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {
            rename_in_two_steps(is_hidden(from), source, target)
        }
        // On a local disk it means what it says.
        Err(Errno::EPERM) if folders.has_reservations(to.folder)? => {
            rename_in_two_steps(is_hidden(from), source, target)
        }
        renamed => renamed.map_err(io::Error::from),
    };
    match renamed {
        Ok(()) => Ok(FileReply::Ok),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(FileReply::Taken),
        // The source, or a folder that was removed just now.
        Err(error) if error.kind() == io::ErrorKind::NotFound => match exists(source) {
            true => Err(error),
            false => Ok(FileReply::Absent),
        },
        Err(error) => Err(error),
    }
}

/// Whether this is a reservation, and so no file of anybody's. It is removed if its owner died
/// before the rename, or if it is for a text: there an owner that comes late has the same text,
/// while the job must not wait for it.
pub(super) fn sweep_reservation(folder: BorrowedFd<'_>, name: &[u8]) -> bool {
    let found = is_reservation((folder, name));
    if found && (name.ends_with(b".txt") || is_abandoned((folder, name))) {
        // Else the next one removes it.
        let _ = unlinkat(folder, name, UnlinkatFlags::NoRemoveDir);
    }
    found
}

/// A name in a folder.
type Name<'a> = (BorrowedFd<'a>, &'a [u8]);

/// A name that only this coordinatorship gives.
fn is_hidden(path: &FilePath) -> bool {
    path.folder == Folder::Running && path.name.starts_with(b".")
}

fn rename_in_two_steps(is_hidden: bool, from: Name<'_>, to: Name<'_>) -> io::Result<()> {
    if is_hidden {
        match rename_by_link(from, to) {
            // There are no second names here.
            Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EMLINK) => {}
            renamed => return Ok(renamed?),
        }
    }
    rename_over_reservation(from, to)
}

/// A file that has both names, since its owner died in between, was delivered.
pub(super) fn rename_by_link(from: Name<'_>, to: Name<'_>) -> nix::Result<()> {
    linkat(from.0, from.1, to.0, to.1, AtFlags::empty())?;
    match unlinkat(from.0, from.1, UnlinkatFlags::NoRemoveDir) {
        // The next coordinator has swept it.
        Err(Errno::ENOENT) => Ok(()),
        removed => removed,
    }
}

pub(super) fn rename_over_reservation(from: Name<'_>, to: Name<'_>) -> io::Result<()> {
    fstatat(from.0, from.1, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut reservation = File::from(openat(to.0, to.1, flags, Mode::from_bits_truncate(0o600))?);
    // Before it can be told for a reservation. Where a mount has no locks it looks abandoned.
    let _ = reservation.try_lock();
    let renamed = reservation
        .write_all(RESERVATION)
        .and_then(|()| Ok(renameat(from.0, from.1, to.0, to.1)?));
    if renamed.is_err() && is_reservation(to) {
        // Nobody else can have it: the name was taken by this reservation.
        let _ = unlinkat(to.0, to.1, UnlinkatFlags::NoRemoveDir);
    }
    renamed
}

fn exists(name: Name<'_>) -> bool {
    fstatat(name.0, name.1, AtFlags::AT_SYMLINK_NOFOLLOW).is_ok()
}

/// Whether the owner of a reservation is dead. One that is only stopped has it locked, and will rename
/// over whatever has the name by then.
fn is_abandoned(name: Name<'_>) -> bool {
    let locked = |file: File| matches!(file.try_lock(), Err(TryLockError::WouldBlock));
    !open(name).is_ok_and(locked)
}

fn is_reservation(name: Name<'_>) -> bool {
    let found = fstatat(name.0, name.1, AtFlags::AT_SYMLINK_NOFOLLOW);
    let fits = |length: i64| length == RESERVATION.len() as i64;
    if !found.is_ok_and(|found| fits(found.st_size)) {
        return false;
    }
    let mut content = Vec::new();
    let read = open(name).and_then(|file| {
        let most = RESERVATION.len() as u64 + 1;
        file.take(most).read_to_end(&mut content)
    });
    read.is_ok() && content == RESERVATION
}

fn open(name: Name<'_>) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    Ok(openat(name.0, name.1, flags, Mode::empty())?.into())
}
