//! The jobs directory, as far as the supervisor has to do with it: it is no folder of the system's,
//! it can be trusted and written, and no other cluster works on it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::{AccessFlags, Gid, Uid, eaccess, getegid, geteuid};
use node::jobs_folder::{FOLDERS, FolderError, JobsFolder};
use node::user_namespace::{self, is_group_outside, is_outside};
use protocol::file::Folder;

/// Folders of the system, with all that is in them.
const SYSTEM_TREES: [&str; 11] = [
    "/bin", "/boot", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/sbin", "/sys",
    "/usr",
];
/// Folders of the system, or of all users, that are no place for jobs themselves.
const SYSTEM_FOLDERS: [&str; 15] = [
    "/",
    "/dev",
    "/dev/shm",
    "/home",
    "/opt",
    "/root",
    "/run",
    "/tmp",
    "/var",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/mail",
    "/var/spool",
    "/var/tmp",
];
/// Where people put things of their own below a folder of the system.
const OWN_TREES: [&str; 1] = ["/usr/local"];

/// How often, and how long each time, to wait for a lock that may belong to a `submit`.
const PROBED: u32 = 5;
const PROBE: Duration = Duration::from_millis(20);

/// A jobs directory that this cluster alone works on, while this value lives.
#[derive(Debug)]
pub struct JobsDir {
    path: PathBuf,
    /// Holds the lock while it is open.
    _folder: JobsFolder,
}

/// Why a jobs directory cannot be used. Displays as one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum JobsDirError {
    /// It, or a folder in it, cannot be made, opened or trusted.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// Jobs have no place there.
    #[error(
        "{} is a folder of the system: make one for jobs, and name it with --jobs",
        path.display()
    )]
    System {
        /// The directory.
        path: PathBuf,
    },
    /// Whoever made the link may want to lead this cluster somewhere.
    #[error(
        "{} is a link that {} made to {}: name the folder itself with --jobs",
        link.display(), user_namespace::words(*maker), folder.display()
    )]
    ForeignLink {
        /// The link.
        link: PathBuf,
        /// Whose it is.
        maker: Uid,
        /// Where it leads.
        folder: PathBuf,
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
    /// Makes the folders of a directory that [`resolve`] has accepted, if they are missing, and takes
    /// it for this process.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub fn open(path: &Path) -> Result<JobsDir, JobsDirError> {
        make(path)?;
        check_writable(path, path)?;
        let mut folder = JobsFolder::new(path.to_owned());
        folder.refresh()?;
        for each in FOLDERS {
            check_writable(path, &folder.path_of(each))?;
        }
        // Not the directory itself: whoever may open it could lock it.
        let running = folder.share(Folder::Running);
        let running = running.and_then(|running| running.try_clone());
        let running = File::from(running.map_err(|error| unusable(path, error))?);
        match lock(&running) {
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
            _folder: folder,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes the directory, without its folders, if it is missing, and returns where it is, without links
/// on the way. Nothing in it is touched.
///
/// # Errors
///
/// It cannot be made, is a folder of the system, or a link of somebody who has no say here.
pub fn resolve(path: &Path) -> Result<PathBuf, JobsDirError> {
    if let Some(link) = fs::symlink_metadata(path)
        .ok()
        .filter(fs::Metadata::is_symlink)
    {
        let folder = fs::canonicalize(path).map_err(|error| unusable(path, error))?;
        let owner = fs::metadata(&folder)
            .map_err(|error| unusable(path, error))?
            .uid();
        if ![0, geteuid().as_raw(), owner].contains(&link.uid()) {
            return Err(JobsDirError::ForeignLink {
                link: path.to_owned(),
                maker: Uid::from_raw(link.uid()),
                folder,
            });
        }
    } else {
        // Before it is made.
        check_system(where_it_will_be(path))?;
    }
    make(path)?;
    check_system(fs::canonicalize(path).map_err(|error| unusable(path, error))?)
}

/// The path without links of a folder of which only the first part may be there.
fn where_it_will_be(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = path.ancestors().find_map(|there| {
        let missing = path.strip_prefix(there).ok()?;
        Some(there.canonicalize().ok()?.join(missing))
    });
    found.unwrap_or(path)
}

/// Refuses a folder of the system's.
fn check_system(path: PathBuf) -> Result<PathBuf, JobsDirError> {
    let below = |trees: &[&str]| trees.iter().any(|tree| path.starts_with(tree));
    let is_own = below(&OWN_TREES) && !OWN_TREES.iter().any(|tree| path == Path::new(tree));
    let is_system = below(&SYSTEM_TREES) || SYSTEM_FOLDERS.iter().any(|own| path == Path::new(own));
    if is_system && !is_own {
        return Err(JobsDirError::System { path });
    }
    Ok(path)
}

/// Makes the directory, without its folders, if it is missing.
fn make(path: &Path) -> Result<(), JobsDirError> {
    fs::create_dir_all(path).map_err(|error| unusable(path, error))
}

fn unusable(path: &Path, error: io::Error) -> JobsDirError {
    let path = path.to_owned();
    FolderError::Io { path, error }.into()
}

/// Finds out that no other cluster works here, by having the lock alone for a moment; then all nodes
/// may share it. A `submit` that looks whether anybody serves the directory holds it for an instant.
fn lock(running: &File) -> Result<(), TryLockError> {
    for _ in 0..PROBED {
        match running.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(PROBE),
            Ok(()) => return running.try_lock_shared(),
            other => return other,
        }
    }
    running.try_lock()?;
    running.try_lock_shared()
}

/// Whether a cluster works on a jobs directory. Where that cannot be told, it is assumed.
pub fn is_served(path: &Path) -> bool {
    let running = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(path.join("running"));
    match running {
        Ok(running) => matches!(
            running.try_lock(),
            Err(TryLockError::WouldBlock | TryLockError::Error(_))
        ),
        // No cluster has ever been here.
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// What else is a job, as the end of a sentence.
pub fn or_match(accept: &[String]) -> String {
    if accept.is_empty() {
        String::new()
    } else {
        format!(" or match {}", accept.join(" or "))
    }
}

/// What a person can do about a folder that this user cannot write to.
fn how_to_mend(jobs: &Path, path: &Path, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        return "it is mounted read-only: mount it writable, or choose another directory with --jobs".to_owned();
    }
    let owner = |path| {
        let found = fs::metadata(path).ok()?;
        Some((Uid::from_raw(found.uid()), Gid::from_raw(found.gid())))
    };
    let (user, group) = (geteuid(), getegid());
    let is_known = |(user, group)| !is_outside(user) && !is_group_outside(group);
    let (Some(owners), true) = (
        owner(path).filter(|&ids| is_known(ids)),
        is_known((user, group)),
    ) else {
        return "let this user write to it, from outside this user namespace, or choose another directory with \
                --jobs"
            .to_owned();
    };
    // Root would be that of the jobs directory, as before.
    let as_owner = if owner(jobs).is_some_and(|(owner, _)| owner != user) {
        let (user, group) = owners;
        format!("run as its owner (in a container: --user {user}:{group}), ")
    } else {
        String::new()
    };
    format!(
        "{as_owner}give it to this user with: chown -R {user}:{group} {}, or choose another directory with --jobs",
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
mod tests;
