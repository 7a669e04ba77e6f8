//! Renames that replace nothing, also where the file system does not offer them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use protocol::file::FileReply;

/// The content of a name that is reserved and not taken yet.
const RESERVATION: &[u8] = b"bullpen: this name is reserved for a rename\n";

/// How a jobs directory renames without replacing what has the new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renames {
    /// The kernel does it in one step.
    InOneStep,
    /// Some network and FUSE mounts refuse that. There the new name is reserved by creating it,
    /// which fails if it exists, and then renamed over.
    ByReservation,
}

impl Renames {
    /// Tries out what the file system of a folder offers.
    pub(super) fn of(folder: &Path) -> Renames {
        let nothing = folder.join(".bullpen-no-such-file");
        match renameat2(
            AT_FDCWD,
            &nothing,
            AT_FDCWD,
            &nothing,
            RenameFlags::RENAME_NOREPLACE,
        ) {
            Err(Errno::EINVAL | Errno::ENOSYS | Errno::EOPNOTSUPP) => Renames::ByReservation,
            _ => Renames::InOneStep,
        }
    }

    /// Renames a file; `Absent` if it does not exist, `Taken` if the new name does.
    pub(super) fn rename(self, from: &Path, to: &Path) -> io::Result<FileReply> {
        let renamed = match self {
            Renames::InOneStep => {
                renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)
                    .map_err(io::Error::from)
            }
            Renames::ByReservation => rename_over_reservation(from, to),
        };
        match renamed {
            Ok(()) => Ok(FileReply::Ok),
            Err(error) if error.kind() == io::ErrorKind::NotFound => explain_absence(from, to),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(FileReply::Taken),
            Err(error) => Err(error),
        }
    }

    /// Whether this is a reservation, and so no file of anybody's. It is removed if its owner died
    /// before the rename, or if it is for a text: there an owner that comes late has the same text,
    /// while the job must not wait for it.
    pub(super) fn sweep_reservation(self, path: &Path) -> bool {
        let found = self == Renames::ByReservation
            && fs::symlink_metadata(path)
                .is_ok_and(|found| found.is_file() && found.len() == RESERVATION.len() as u64)
            && is_reservation(path);
        if found && (is_for_text(path) || is_abandoned(path)) {
            // Else the next one removes it.
            let _ = fs::remove_file(path);
        }
        found
    }
}

fn rename_over_reservation(from: &Path, to: &Path) -> io::Result<()> {
    fs::symlink_metadata(from)?;
    let mut reservation = OpenOptions::new().write(true).create_new(true).open(to)?;
    // Before it can be told for a reservation. Where a mount has no locks it looks abandoned.
    let _ = reservation.try_lock();
    let renamed = reservation
        .write_all(RESERVATION)
        .and_then(|()| fs::rename(from, to));
    if renamed.is_err() && is_reservation(to) {
        // Nobody else can have it: the name was taken by this reservation.
        let _ = fs::remove_file(to);
    }
    renamed
}

fn is_for_text(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "txt")
}

/// Whether the owner of a reservation is dead. One that is only stopped has it locked, and will rename
/// over whatever has the name by then.
fn is_abandoned(path: &Path) -> bool {
    let locked = |file: File| matches!(file.try_lock(), Err(TryLockError::WouldBlock));
    !File::open(path).is_ok_and(locked)
}

fn is_reservation(path: &Path) -> bool {
    let mut content = Vec::new();
    let read = File::open(path).and_then(|file| {
        file.take(RESERVATION.len() as u64 + 1)
            .read_to_end(&mut content)
    });
    read.is_ok() && content == RESERVATION
}

/// Somebody took the file away, or the folder that it should go to.
fn explain_absence(from: &Path, to: &Path) -> io::Result<FileReply> {
    if fs::symlink_metadata(from).is_err() {
        return Ok(FileReply::Absent);
    }
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder)?;
    Err(io::Error::other(format!(
        "the folder {} was missing and has been made again",
        folder.display()
    )))
}
