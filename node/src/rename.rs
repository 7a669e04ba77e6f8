//! Renames that replace nothing, also where the file system does not offer them.

use std::fs::{File, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::PermissionsExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat, renameat2};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use protocol::file::RESERVATION;

use crate::jobs_folder::may_refuse_rename;

/// A name in a folder.
pub type Name<'a> = (BorrowedFd<'a>, &'a [u8]);

/// What a mount is asked for that refuses a rename which replaces nothing.
#[derive(Clone, Copy, Debug)]
pub enum Instead<'a> {
    /// The new name becomes a second one, and the old one goes: for a file with an old name that nobody else can
    /// have. Nobody sees anything else under the new one.
    Link,
    /// The new name is reserved, by a file that says so, and then renamed over.
    Reserve,
    /// The same, with a reservation that is made under this name of the new folder, which nobody else can have:
    /// whenever its owner dies, the new name is never one of an empty file.
    ReserveBy(&'a [u8]),
}

/// Renames a file, and replaces nothing: an error of the kind `AlreadyExists` if the new name is there.
///
/// The kernel does it in one step. Some network and FUSE mounts refuse that, each in its own way and only when it
/// comes to it.
///
/// # Errors
///
/// What the system says.
pub fn rename(from: Name<'_>, to: Name<'_>, instead: Instead<'_>) -> io::Result<()> {
    let flags = RenameFlags::RENAME_NOREPLACE;
    match renameat2(from.0, from.1, to.0, to.1, flags) {
        Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => {}
        // On a local disk it means what it says.
        Err(Errno::EPERM) if may_refuse_rename(to.0)? => {}
        renamed => return Ok(renamed?),
    }
    if let Instead::Link = instead {
        match rename_by_link(from, to) {
            Err(error) if has_no_links(error) => {}
            renamed => return Ok(renamed?),
        }
    }
    rename_over_reservation(from, to, instead)
}

/// Whether this is a reservation, and so no file of anybody's. It is removed if its owner died
/// before the rename, or if it is for a text: there an owner that comes late has the same text,
/// while the job must not wait for it.
pub(crate) fn sweep_reservation(folder: BorrowedFd<'_>, name: &[u8]) -> bool {
    let found = is_reservation((folder, name));
    if found && (name.ends_with(b".txt") || is_abandoned((folder, name))) {
        // Else the next one removes it.
        let _ = remove((folder, name));
    }
    found
}

/// A file that has both names, since its owner died in between, was delivered.
pub(crate) fn rename_by_link(from: Name<'_>, to: Name<'_>) -> nix::Result<()> {
    linkat(from.0, from.1, to.0, to.1, AtFlags::empty())?;
    match remove(from) {
        // The next coordinator has swept it.
        Err(Errno::ENOENT) => Ok(()),
        removed => removed,
    }
}

pub(crate) fn rename_over_reservation(
    from: Name<'_>,
    to: Name<'_>,
    instead: Instead<'_>,
) -> io::Result<()> {
    fstatat(from.0, from.1, AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let _reservation = reserve(to, instead)?;
    let renamed = renameat(from.0, from.1, to.0, to.1);
    if renamed.is_err() {
        give_up(to);
    }
    Ok(renamed?)
}

/// Makes a reservation, which is one for as long as it is open: it is locked.
fn reserve(to: Name<'_>, instead: Instead<'_>) -> io::Result<File> {
    if let Instead::ReserveBy(hidden) = instead {
        let hidden = (to.0, hidden);
        let reservation = create_reservation(hidden)?;
        let linked = linkat(hidden.0, hidden.1, to.0, to.1, AtFlags::empty());
        remove(hidden)?;
        match linked {
            Err(error) if has_no_links(error) => {}
            linked => return Ok(linked.map(|()| reservation)?),
        }
    }
    create_reservation(to)
}

fn create_reservation(name: Name<'_>) -> io::Result<File> {
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mode = Mode::from_bits_truncate(0o644);
    let mut reservation = File::from(openat(name.0, name.1, flags, mode)?);
    // Whatever the user's mask says: another user's cluster is to know it. Not every mount keeps rights.
    let _ = reservation.set_permissions(Permissions::from_mode(0o644));
    // Before it can be told for a reservation. Where a mount has no locks it looks abandoned.
    let _ = reservation.try_lock();
    match reservation.write_all(RESERVATION) {
        Ok(()) => Ok(reservation),
        Err(error) => {
            give_up(name);
            Err(error)
        }
    }
}

/// Removes a reservation of ours. Nobody else can have it: the name was taken by it.
fn give_up(name: Name<'_>) {
    if is_reservation(name) {
        let _ = remove(name);
    }
}

fn remove(name: Name<'_>) -> nix::Result<()> {
    unlinkat(name.0, name.1, UnlinkatFlags::NoRemoveDir)
}

/// Whether an error says that there are no second names here.
fn has_no_links(error: Errno) -> bool {
    matches!(
        error,
        Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EMLINK
    )
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
