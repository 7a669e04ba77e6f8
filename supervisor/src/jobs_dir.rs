//! The jobs directory, as far as the supervisor has to do with it: it is there, it can be
//! written, and no other cluster works on it.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::unistd::{AccessFlags, eaccess, getegid, geteuid};

/// The folders of a jobs directory.
const FOLDERS: [&str; 3] = ["running", "done", "failed"];

/// How often, and how long each time, to wait for a lock that may belong to a `submit`.
const PROBED: u32 = 5;
const PROBE: Duration = Duration::from_millis(20);

/// A jobs directory that this cluster alone works on, while this value lives.
#[derive(Debug)]
pub(crate) struct JobsDir {
    path: PathBuf,
    /// Holds the lock while it is open.
    _lock: File,
}

/// Why a jobs directory cannot be used. Displays as one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobsDirError {
    /// It, or a folder in it, cannot be made or opened.
    #[error(
        "cannot make or open {}: {error}; make it, or choose another directory with --jobs",
        path.display()
    )]
    Missing {
        /// The directory or the folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It, or a folder in it, cannot be written.
    #[error("cannot write to {}: {error}; {}", path.display(), how_to_mend(jobs, path, error))]
    ReadOnly {
        /// The jobs directory.
        jobs: PathBuf,
        /// The directory or the folder.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Another cluster works on it.
    #[error(
        "another bullpen works on the jobs directory {}; stop it, or choose another directory with --jobs",
        path.display()
    )]
    InUse {
        /// The jobs directory.
        path: PathBuf,
    },
}

impl JobsDir {
    /// Makes the directory and its folders if they are missing, and takes it for this process.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub(crate) fn open(path: &Path) -> Result<JobsDir, JobsDirError> {
        let missing = |path: &Path, error| JobsDirError::Missing {
            path: path.to_owned(),
            error,
        };
        let folders: Vec<PathBuf> = FOLDERS.iter().map(|folder| path.join(folder)).collect();
        make(path)?;
        check_writable(path, path)?;
        for folder in &folders {
            fs::create_dir_all(folder).map_err(|error| missing(folder, error))?;
            check_writable(path, folder)?;
        }
        let directory = File::open(path).map_err(|error| missing(path, error))?;
        match lock(&directory) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JobsDirError::InUse {
                    path: path.to_owned(),
                });
            }
            // Some network mounts know no locks on directories, and jobs are safe without.
            Err(TryLockError::Error(error)) => tracing::warn!(
                "cannot lock the jobs directory {}: {error}; make sure that no other bullpen works on it",
                path.display()
            ),
        }
        Ok(JobsDir {
            path: path.to_owned(),
            _lock: directory,
        })
    }

    /// An inotify instance that tells when a file may have been dropped; none, with a warning,
    /// where the system refuses it.
    pub(crate) fn watch(&self) -> Option<OwnedFd> {
        let dropped = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_ATTRIB;
        let watch = || {
            let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
            inotify.add_watch(&self.path, dropped)?;
            Ok::<_, Errno>(inotify.into())
        };
        watch()
            .inspect_err(|error| {
                tracing::warn!(
                    "cannot watch the jobs directory, so it is only looked at every 2 s: {error}"
                );
            })
            .ok()
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes the directory, without its folders, if it is missing.
///
/// # Errors
///
/// It cannot be made.
pub(crate) fn make(path: &Path) -> Result<(), JobsDirError> {
    fs::create_dir_all(path).map_err(|error| JobsDirError::Missing {
        path: path.to_owned(),
        error,
    })
}

/// Takes the lock, with a little patience: a `submit` that looks whether anybody serves the
/// directory holds it for an instant.
fn lock(directory: &File) -> Result<(), TryLockError> {
    for _ in 0..PROBED {
        match directory.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PROBE),
            other => return other,
        }
    }
    directory.try_lock()
}

/// Whether a cluster works on a jobs directory. Where that cannot be told, it is assumed.
pub(crate) fn is_served(path: &Path) -> bool {
    let Ok(directory) = File::open(path) else {
        return true;
    };
    // Shared, so that several who look do not take each other for a cluster.
    matches!(
        directory.try_lock_shared(),
        Err(TryLockError::WouldBlock | TryLockError::Error(_))
    )
}

/// What a person can do about a folder that this user cannot write to.
fn how_to_mend(jobs: &Path, path: &Path, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        return "it is mounted read-only: mount it writable, or choose another directory with --jobs".to_owned();
    }
    let owner = |path| {
        let found = fs::metadata(path).ok()?;
        Some((found.uid(), found.gid()))
    };
    let as_owner = match owner(path) {
        // Root would be that of the jobs directory, as before.
        Some((uid, gid)) if owner(jobs).is_some_and(|(uid, _)| uid != geteuid().as_raw()) => {
            format!("run as its owner (in a container: --user {uid}:{gid}), ")
        }
        _ => String::new(),
    };
    format!(
        "{as_owner}give it to this user with: chown -R {}:{} {}, or choose another directory with --jobs",
        geteuid(),
        getegid(),
        jobs.display()
    )
}

fn check_writable(jobs: &Path, path: &Path) -> Result<(), JobsDirError> {
    let access = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
    eaccess(path, access).map_err(|error| JobsDirError::ReadOnly {
        jobs: jobs.to_owned(),
        path: path.to_owned(),
        error: error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_folders_are_made_and_the_directory_is_taken_once() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("jobs");
        let jobs = JobsDir::open(&path).unwrap();
        assert!(FOLDERS.iter().all(|folder| path.join(folder).is_dir()));
        let error = JobsDir::open(&path).unwrap_err();
        assert!(matches!(error, JobsDirError::InUse { .. }), "{error}");

        assert!(is_served(&path));

        drop(jobs);
        assert!(!is_served(&path));
        JobsDir::open(&path).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("done"), "").unwrap();
        let error = JobsDir::open(parent.path()).unwrap_err();
        assert!(matches!(error, JobsDirError::Missing { .. }), "{error}");
        assert!(error.to_string().contains("/done"), "{error}");
    }
}
