//! The run directory: sockets and the event log of one cluster, private to its user.

mod handover;
mod visit;

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, eaccess, geteuid};
use protocol::config::MAX_NODES;

use crate::control::SOCKET;
pub(crate) use crate::run_dir::handover::make_for;

pub(crate) use self::visit::{Visited, visit};

/// Longest path of a Unix socket, in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// A run directory in use by this process alone. Its sockets are removed when it is dropped; the
/// event log stays.
#[derive(Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
    /// Holds the lock while it is open.
    _lock: File,
}

/// Why a run directory cannot be used. Displays as one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunDirError {
    /// It cannot be made or read, or what an earlier run left there cannot be removed.
    #[error(
        "cannot use the run directory {}: {error}; choose another with --run-dir{}",
        path.display(), in_read_only_container(error)
    )]
    Io {
        /// The run directory, or what is in it.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another user owns it.
    #[error(
        "the run directory {} belongs to user {owner}, and this is user {}; choose another with --run-dir",
        path.display(), geteuid()
    )]
    Foreign {
        /// The run directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Others could put their sockets there.
    #[error(
        "others may write to the run directory {0}; make it private with: chmod 700 {0}, or choose another with --run-dir",
        path.display()
    )]
    Writable {
        /// The run directory.
        path: PathBuf,
    },
    /// Something else has its name.
    #[error(
        "{} is {what} and no run directory; name the directory itself, or another, with --run-dir",
        path.display()
    )]
    NoFolder {
        /// What was named as the run directory.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// It is root's and holds something else, so it is not given to another user.
    #[error(
        "the run directory {} holds {}, which is none of bullpen's; choose another with --run-dir",
        path.display(), name.display()
    )]
    Strange {
        /// The run directory.
        path: PathBuf,
        /// What it holds.
        name: OsString,
    },
    /// Another supervisor has it.
    #[error(
        "another bullpen runs with the run directory {}; stop it, or choose another directory with --run-dir",
        path.display()
    )]
    InUse {
        /// The run directory.
        path: PathBuf,
    },
    /// The sockets' paths would be over the limit of the system.
    #[error(
        "the path of the run directory {} is too long for sockets by {excess} bytes; choose a shorter one with \
         --run-dir",
        path.display()
    )]
    TooLong {
        /// The run directory.
        path: PathBuf,
        /// Bytes over the limit.
        excess: usize,
    },
}

/// A read-only root is the usual way to harden a container, and needs one thing more.
fn in_read_only_container(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => ", or give the container a --tmpfs /run",
        _ => "",
    }
}

impl RunDir {
    /// Makes the directory if it is missing (mode 0700), takes it for this process, and clears
    /// away what an earlier run left: sockets are removed, the event log is moved aside.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub(crate) fn open(path: &Path) -> Result<RunDir, RunDirError> {
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
            _lock: directory,
        };
        run_dir.remove_sockets().map_err(failed)?;
        run_dir.move_event_log_aside().map_err(failed)?;
        Ok(run_dir)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn remove_sockets(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if is_socket_name(&entry.file_name()) && entry.file_type()?.is_socket() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn move_event_log_aside(&self) -> io::Result<()> {
        let log = self.path.join(node::event_log::FILE_NAME);
        match fs::rename(&log, log.with_added_extension("1")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
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
pub(crate) fn chosen(named: Option<&Path>) -> PathBuf {
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
fn without_end(path: &Path) -> PathBuf {
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

fn check_owner(path: &Path, metadata: &fs::Metadata) -> Result<(), RunDirError> {
    let owner = metadata.uid();
    if owner == geteuid().as_raw() {
        return Ok(());
    }
    let path = path.to_owned();
    Err(RunDirError::Foreign { path, owner })
}

fn check_private(path: &Path, metadata: &fs::Metadata) -> Result<(), RunDirError> {
    if metadata.mode() & 0o022 == 0 {
        return Ok(());
    }
    let path = path.to_owned();
    Err(RunDirError::Writable { path })
}

fn is_socket_name(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name == SOCKET.as_bytes() || (name.starts_with(b"node-") && name.ends_with(b".sock"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_an_earlier_run_left_is_cleared_and_the_rest_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("run");
        fs::create_dir(&path).unwrap();
        drop(UnixListener::bind(path.join("node-3.sock")).unwrap());
        fs::write(path.join("node-4.sock"), "no socket").unwrap();
        fs::write(path.join("events.jsonl"), "old\n").unwrap();

        let _run_dir = RunDir::open(&path).unwrap();
        assert!(!path.join("node-3.sock").exists());
        assert!(path.join("node-4.sock").exists());
        assert!(!path.join("events.jsonl").exists());
        assert_eq!(
            fs::read_to_string(path.join("events.jsonl.1")).unwrap(),
            "old\n"
        );
    }

    #[test]
    fn it_is_private_and_taken_once() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("run");
        let run_dir = RunDir::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        let error = RunDir::open(&path).unwrap_err();
        assert!(matches!(error, RunDirError::InUse { .. }), "{error}");

        drop(run_dir);
        RunDir::open(&path).unwrap();
    }

    #[test]
    fn symbolic_links_and_open_folders_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let (path, link) = (parent.path().join("run"), parent.path().join("link"));
        fs::create_dir(&path).unwrap();
        symlink(&path, &link).unwrap();
        RunDir::open(&link).unwrap_err();

        fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
        let error = RunDir::open(&path).unwrap_err();
        assert!(matches!(error, RunDirError::Writable { .. }), "{error}");
    }

    #[test]
    fn a_path_too_long_for_sockets_is_refused() {
        let error = RunDir::open(&PathBuf::from("/").join("x".repeat(95))).unwrap_err();
        assert!(
            matches!(error, RunDirError::TooLong { excess: 2, .. }),
            "{error}"
        );
    }
}
