//! Why a run directory is not used.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use nix::unistd::{Uid, geteuid};
use node::user_namespace;

/// Why a run directory cannot be used. Displays as one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RunDirError {
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
        "the run directory {} belongs to {}, and this is {}; choose another with --run-dir",
        path.display(), user_namespace::words(*owner), user_namespace::words(geteuid())
    )]
    Foreign {
        /// The run directory.
        path: PathBuf,
        /// Its owner.
        owner: Uid,
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

impl RunDirError {
    /// What the system says, if it refuses the directory.
    pub fn source_io(&self) -> Option<&io::Error> {
        match self {
            RunDirError::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// A read-only root is the usual way to harden a container, and needs one thing more.
fn in_read_only_container(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => ", or give the container a --tmpfs /run",
        _ => "",
    }
}
