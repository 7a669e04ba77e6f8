//! The run directory: sockets and the event log of one cluster, private to its user.

mod error;
pub mod handover;

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ipc::UNFINISHED;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{Mode, SFlag, fstatat};
use nix::unistd::{AccessFlags, Uid, UnlinkatFlags, eaccess, geteuid, unlinkat};
use protocol::config::MAX_NODES;

use crate::control::SOCKET;
use crate::rotation::Rotation;

pub use self::error::RunDirError;

/// Longest path of a Unix socket, in bytes.
const MAX_SOCKET_PATH: usize = 107;
/// What its user may do in a run directory: all.
const MINE: u32 = 0o700;
const OTHERS_MAY_WRITE: u32 = 0o022;

/// A run directory in use by this process alone. Its sockets are removed when it is dropped; the
/// event log stays.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    /// Holds the lock while it is open, and is what is meant, wherever the path leads by now.
    directory: File,
}

impl RunDir {
    /// Makes the directory if it is missing (mode 0700), takes it for this process, and clears
    /// away what an earlier run left: sockets are removed, the event log becomes a rotated file.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub fn open(path: &Path, rotation: Rotation) -> Result<RunDir, RunDirError> {
        check_length(path)?;
        let failed = |error| RunDirError::Io {
            path: path.to_owned(),
            error,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed)?;
        let directory = open_folder(path).map_err(failed)?;
        let found = directory.metadata().map_err(failed)?;
        check_owner(path, &found)?;
        check_private(path, &found)?;
        match directory.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunDirError::InUse {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let run_dir = RunDir {
            path: path.to_owned(),
            directory,
        };
        run_dir.remove_sockets().map_err(failed)?;
        let log = path.join(node::event_log::FILE_NAME);
        rotation.move_aside(&log).map_err(failed)?;
        Ok(run_dir)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to it. Others may have removed or moved it, or put another there.
    ///
    /// # Errors
    ///
    /// The path cannot be looked at.
    pub(crate) fn is_in_place(&self) -> io::Result<bool> {
        let found = match fs::symlink_metadata(without_end(&self.path)) {
            Ok(found) => found,
            Err(error) if is_missing(&error) => return Ok(false),
            Err(error) => return Err(error),
        };
        let held = self.directory.metadata()?;
        Ok((found.dev(), found.ino()) == (held.dev(), held.ino()))
    }

    /// Makes it one again that its user can use, and nobody else. Tells whether it was not.
    ///
    /// # Errors
    ///
    /// The system refuses it.
    pub(crate) fn restore_rights(&self) -> io::Result<bool> {
        let mode = self.directory.metadata()?.mode();
        if mode & (MINE | OTHERS_MAY_WRITE) == MINE {
            return Ok(false);
        }
        let rights = Permissions::from_mode(MINE);
        self.directory.set_permissions(rights).map(|()| true)
    }

    fn remove_sockets(&self) -> io::Result<()> {
        // A descriptor of its own, since the listing closes it.
        let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut listing = match Dir::openat(&self.directory, ".", flags, Mode::empty()) {
            // It was removed.
            Err(Errno::ENOENT) => return Ok(()),
            listing => listing?,
        };
        for entry in listing.iter() {
            let entry = entry?;
            let name = entry.file_name();
            if is_socket_name(OsStr::from_bytes(name.to_bytes())) {
                let found = fstatat(&self.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
                if SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT == SFlag::S_IFSOCK {
                    unlinkat(&self.directory, name, UnlinkatFlags::NoRemoveDir)?;
                }
            }
        }
        Ok(())
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if let Err(error) = self.remove_sockets() {
            tracing::warn!(
                "sockets are left in {}: {error}; the next start removes them",
                self.path.display()
            );
        }
    }
}

/// The run directory that was named, else the default one.
pub fn chosen(named: Option<&Path>) -> PathBuf {
    named.map_or_else(default_path, Path::to_owned)
}

/// `/run/bullpen` for root, else `$XDG_RUNTIME_DIR/bullpen`, else a folder named for the user in
/// the temporary directory. Where that is read-only, as in a container, and the other of `/run` and
/// the temporary directory is not, a folder there.
fn default_path() -> PathBuf {
    let user = geteuid();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty());
    if let (Some(dir), false) = (runtime, user.is_root()) {
        return PathBuf::from(dir).join("bullpen");
    }
    let temporary = std::env::temp_dir().join(format!("bullpen-{user}"));
    let [first, second] = if user.is_root() {
        [PathBuf::from("/run/bullpen"), temporary]
    } else {
        [temporary, PathBuf::from(format!("/run/bullpen-{user}"))]
    };
    let can_be_made = |path: &Path| {
        let parent = path.parent().unwrap_or(path);
        eaccess(parent, AccessFlags::W_OK).is_ok()
    };
    if !can_be_made(&first) && can_be_made(&second) {
        second
    } else {
        first
    }
}

/// Not through a symbolic link: in a temporary directory anybody could have made it.
fn open_folder(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(without_end(path))
}

/// Without a slash or `/.` at the end, which would have a link followed.
pub fn without_end(path: &Path) -> PathBuf {
    path.components().collect()
}

fn check_length(path: &Path) -> Result<(), RunDirError> {
    let names = [format!("node-{}.sock", MAX_NODES - 1), SOCKET.to_owned()];
    let lengths = names.map(|name| path.join(name).as_os_str().len());
    let length = lengths.into_iter().max().unwrap_or_default();
    if length > MAX_SOCKET_PATH {
        return Err(RunDirError::TooLong {
            path: path.to_owned(),
            excess: length - MAX_SOCKET_PATH,
        });
    }
    Ok(())
}

/// Refuses a directory that belongs to somebody else than this user.
///
/// # Errors
///
/// [`RunDirError::Foreign`].
pub fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), RunDirError> {
    let owner = Uid::from_raw(metadata.uid());
    if owner == geteuid() {
        return Ok(());
    }
    let path = path.to_owned();
    Err(RunDirError::Foreign { path, owner })
}

/// Refuses a directory that others may write to.
///
/// # Errors
///
/// [`RunDirError::Writable`].
pub fn check_private(path: &Path, metadata: &fs::Metadata) -> Result<(), RunDirError> {
    if metadata.mode() & OTHERS_MAY_WRITE == 0 {
        return Ok(());
    }
    let path = path.to_owned();
    Err(RunDirError::Writable { path })
}

fn is_socket_name(name: &OsStr) -> bool {
    let name = Path::new(name);
    let is_unfinished = name.extension() == Some(OsStr::new(UNFINISHED));
    let name = if is_unfinished {
        name.with_extension("sock")
    } else {
        name.to_owned()
    };
    let name = name.as_os_str().as_bytes();
    name == SOCKET.as_bytes() || (name.starts_with(b"node-") && name.ends_with(b".sock"))
}

/// Whether nothing is there.
pub(crate) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests;
