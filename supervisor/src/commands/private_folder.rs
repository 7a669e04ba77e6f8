//! A folder of a command's own, removed when the command ends.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::commands::failure::Fatal;

/// No folder can be made. Displays as one sentence.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot make a private folder in {}: {error}; name another place for it in TMPDIR",
    parent.display()
)]
pub(crate) struct FolderError {
    parent: PathBuf,
    error: io::Error,
}

impl Fatal for FolderError {}

impl FolderError {
    /// Something cannot be made in a folder that was.
    pub(crate) fn within(folder: &Path, error: io::Error) -> FolderError {
        FolderError {
            parent: folder.to_owned(),
            error,
        }
    }
}

/// Makes a folder, for this user alone, in the temporary directory, or, where that is read-only, as in a hardened
/// container, in `/run`.
///
/// # Errors
///
/// It cannot be made in either.
pub(crate) fn make() -> Result<TempDir, FolderError> {
    let parent = std::env::temp_dir();
    let folder = |parent: &Path| {
        tempfile::Builder::new()
            .prefix("bullpen-")
            // From the beginning: who has opened it before it is closed stays in.
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
    };
    folder(&parent)
        .or_else(|error| match error.kind() {
            io::ErrorKind::ReadOnlyFilesystem => folder(Path::new("/run")).map_err(|_| error),
            _ => Err(error),
        })
        .map_err(|error| FolderError { parent, error })
}

/// Removes a folder, with a warning if it cannot be.
pub(crate) fn remove(folder: TempDir) {
    let path = folder.path().to_owned();
    if let Err(error) = folder.close() {
        tracing::warn!("cannot remove {}: {error}", path.display());
    }
}
