//! A run directory as a command finds it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use laboratory::log::parts::{self, Part};
use nix::unistd::{Uid, geteuid};
use supervisor::owner;
use supervisor::run_dir::{RunDirError, check_owner, check_private, without_end};

/// A run directory that a command may believe: it belongs to this user, and nobody else may write to
/// it. Root may visit anybody's.
#[derive(Debug)]
pub(crate) struct Visited {
    path: PathBuf,
    found: fs::Metadata,
}

/// Looks at a run directory before anything in it is asked or read. Its default name is known to all,
/// and where that is in a temporary directory anybody may have made something of that name before.
/// None if nothing is there.
///
/// # Errors
///
/// It is no directory but perhaps a link to one, it belongs to another user, or others may write to it.
pub(crate) fn visit(path: &Path) -> Result<Option<Visited>, RunDirError> {
    let opened = OpenOptions::new()
        .read(true)
        // To look at it needs no rights in it.
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW)
        .open(without_end(path));
    let found = match opened.and_then(|folder| folder.metadata()) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return no_folder(path),
        Err(error) => {
            let path = path.to_owned();
            return Err(RunDirError::Io { path, error });
        }
    };
    if !geteuid().is_root() {
        check_owner(path, &found)?;
    }
    check_private(path, &found)?;
    Ok(Some(Visited {
        path: path.to_owned(),
        found,
    }))
}

/// What stands there instead; none if it is a part of the path before it that is no folder.
fn no_folder(path: &Path) -> Result<Option<Visited>, RunDirError> {
    let Ok(found) = fs::symlink_metadata(without_end(path)) else {
        return Ok(None);
    };
    Err(RunDirError::NoFolder {
        path: path.to_owned(),
        what: if found.is_symlink() {
            "a symbolic link"
        } else {
            "no directory"
        },
    })
}

impl Visited {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whom it belongs to.
    pub(crate) fn owner(&self) -> Uid {
        Uid::from_raw(self.found.uid())
    }

    /// Makes root, where it may, the owner of the directory, who alone may go into it.
    pub(crate) fn act_as_owner(&self) {
        owner::act_as_owner_of(&self.found);
    }

    /// Opens the files of the event log of the latest run, oldest first; none if there is none.
    ///
    /// # Errors
    ///
    /// One of them is not the owner's or no regular file, or the system does not open it.
    pub(crate) fn open_log(&self) -> io::Result<Vec<Part>> {
        let path = self.path.join(node::event_log::FILE_NAME);
        let parts = match parts::of_run(&path) {
            // The log is its owner's alone, and root is not always one who may go everywhere.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.act_as_owner();
                parts::of_run(&path)
            }
            opened => opened,
        };
        let parts = match parts {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            parts => parts?,
        };
        for part in &parts {
            if part.file.metadata()?.uid() != self.found.uid() {
                let sentence = "it belongs to another user than its folder";
                return Err(io::Error::other(sentence));
            }
        }
        Ok(parts)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_is_not_there_is_no_failure() {
        let parent = tempfile::tempdir().unwrap();
        assert!(visit(&parent.path().join("run")).unwrap().is_none());
        fs::write(parent.path().join("file"), "").unwrap();
        assert!(visit(&parent.path().join("file/run")).unwrap().is_none());
    }

    #[test]
    fn links_files_and_open_folders_are_not_visited() {
        let parent = tempfile::tempdir().unwrap();
        let (path, link) = (parent.path().join("run"), parent.path().join("link"));
        fs::create_dir(&path).unwrap();
        assert_eq!(visit(&path).unwrap().unwrap().owner(), geteuid());
        symlink(&path, &link).unwrap();
        for spelled in [link.clone(), link.join(""), link.join(".")] {
            let error = visit(&spelled).unwrap_err();
            assert!(error.to_string().contains("a symbolic link"), "{error}");
        }
        fs::write(parent.path().join("file"), "").unwrap();
        let error = visit(&parent.path().join("file")).unwrap_err();
        assert!(error.to_string().contains("no directory"), "{error}");

        fs::set_permissions(&path, fs::Permissions::from_mode(0o770)).unwrap();
        let error = visit(&path).unwrap_err();
        assert!(matches!(error, RunDirError::Writable { .. }), "{error}");
    }
}
