//! A socket's path, which others may remove, or make lead to something else.

use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

/// What its user needs to connect to a socket.
const CONNECT: u32 = 0o600;

/// Where a socket was bound, and what stood there then.
#[derive(Debug)]
pub(crate) struct Bound {
    /// Its path.
    pub(crate) path: PathBuf,
    found: Option<Found>,
}

/// What tells a file from every other that has its name later: a number may be used again, and whoever
/// changes its rights changes the time.
type Found = (u64, u64, i64, i64);

impl Bound {
    /// A socket that was bound there just now.
    pub(crate) fn at(path: PathBuf) -> Bound {
        let mut bound = Bound { path, found: None };
        bound.look();
        bound
    }

    /// Takes what stands there now, if it can be connected to, for what was bound. Tells whether it can.
    pub(crate) fn look(&mut self) -> bool {
        self.found = self.find();
        self.found.is_some()
    }

    /// Whether it still stands there.
    pub(crate) fn is_in_place(&self) -> bool {
        self.found.is_some() && self.find() == self.found
    }

    fn find(&self) -> Option<Found> {
        let found = fs::symlink_metadata(&self.path).ok()?;
        let is_open = found.file_type().is_socket() && found.mode() & CONNECT == CONNECT;
        let id = |found: Metadata| (found.dev(), found.ino(), found.ctime(), found.ctime_nsec());
        is_open.then(|| id(found))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Duration;

    use ipc::bind_private;

    use super::*;

    /// A socket that was bound, its listener, and where it stands.
    fn bound() -> (tempfile::TempDir, Bound, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("node-3.sock");
        // A socket is there as long as its name is.
        drop(bind_private(&path).unwrap());
        // The time of a change has the resolution of a tick.
        std::thread::sleep(Duration::from_millis(20));
        let bound = Bound::at(path.clone());
        assert!(bound.is_in_place());
        (folder, bound, path)
    }

    #[test]
    fn a_socket_that_is_gone_replaced_or_closed_is_missed() {
        let changes: [fn(&PathBuf); 4] = [
            |path| fs::remove_file(path).unwrap(),
            |path| drop(bind_private(path).unwrap()),
            |path| {
                fs::remove_file(path).unwrap();
                drop(bind_private(path).unwrap());
            },
            |path| fs::set_permissions(path, Permissions::from_mode(0o000)).unwrap(),
        ];
        for change in changes {
            let (_folder, mut bound, path) = bound();
            change(&path);
            assert!(!bound.is_in_place());
            drop(bind_private(&path).unwrap());
            assert!(bound.look() && bound.is_in_place());
        }
    }
}
