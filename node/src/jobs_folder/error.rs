//! Why a folder of a jobs directory is not used.

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Uid, geteuid};

use crate::user_namespace::{self, is_outside};

/// Why a folder is not used. Displays as one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be created or opened.
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
        /// What it is instead, such as "a symbolic link".
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
        "{} belongs to {}, who could make this cluster, which works as {}, overwrite other files: {}",
        path.display(), user_namespace::words(*owner), user_namespace::words(geteuid()), how_to_own(path, *owner)
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: Uid,
    },
    /// Others may write to the folder in which texts are written, and this permission cannot be removed.
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

/// What a user can do about another user's folder.
fn how_to_own(path: &Path, owner: Uid) -> String {
    let (path, user) = (path.display(), geteuid());
    if is_outside(owner) || is_outside(user) {
        return "move it away, or choose another directory with --jobs".to_owned();
    }
    format!(
        "give it away with: chown {user} {path}, or start as user {owner} (in a container: --user {owner})"
    )
}

impl FolderError {
    pub(super) fn io(path: &Path, error: Errno) -> FolderError {
        FolderError::Io {
            path: path.to_owned(),
            error: error.into(),
        }
    }
}
