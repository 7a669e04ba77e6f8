//! `running/` belongs to the service alone: its owner, the permissions of others, and its lock.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::openat;
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Uid, UnlinkatFlags, geteuid, unlinkat};
use protocol::file::Folder;

use super::{FOLDER, FolderError, JobsFolder, RIGHTS};
use crate::acl;

/// Write permissions of others.
const FOREIGN_WRITE: Mode = Mode::from_bits_truncate(0o022);
/// Permissions that others may not have on `running/`: to write to it, or to open it, since a process that
/// has it open may lock it. They may access a file in it by its name.
const FOREIGN_OPEN: Mode = Mode::from_bits_truncate(0o066);

impl JobsFolder {
    /// Marks the directory as in use by a cluster, as long as the folder is open. All nodes may do so.
    pub(super) fn lock(&mut self) {
        let running = self.share(Folder::Running);
        let running = running.and_then(|running| running.try_clone());
        // Somebody may just be checking for a cluster here; some mounts have no locks.
        self.locked = running.is_ok_and(|running| File::from(running).try_lock_shared().is_ok());
    }

    /// Checks that `running/` belongs to this user, and that nobody else may write to it; wider permissions
    /// are removed. On a mount that invents owners and permissions this is impossible, which is logged once.
    pub(super) fn check_rights(&mut self) -> Result<(), FolderError> {
        let path = self.path_of(Folder::Running);
        let failed = |error| FolderError::io(&path, error);
        let running = self
            .get(Folder::Running)
            .map_err(|_| failed(Errno::ENOENT))?;
        let mut found = fstat(running).map_err(failed)?;
        if is_ours(&found) {
            // Files created in it inherit no permissions for others.
            acl::remove_default(running);
        }
        if is_ours(&found) && mode(&found).intersects(FOREIGN_OPEN) {
            // The next check finds out whether it helped.
            let _ = fchmod(running, mode(&found).difference(FOREIGN_OPEN));
            found = fstat(running).map_err(failed)?;
        }
        let refusal = if !is_ours(&found) {
            let owner = Uid::from_raw(found.st_uid);
            FolderError::Foreign {
                path: path.clone(),
                owner,
            }
        } else if mode(&found).intersects(FOREIGN_WRITE) {
            FolderError::Shared { path: path.clone() }
        } else {
            return Ok(());
        };
        if self.keeps_rights() {
            return Err(refusal);
        }
        if !std::mem::replace(&mut self.told_no_rights, true) {
            tracing::warn!(
                "the mount of {} keeps no owners and permissions, so anyone who can write there can redirect \
                 results: give write access only to people you trust",
                self.path.display()
            );
        }
        Ok(())
    }

    /// Whether the file system keeps the owner and the permissions of a folder created in the jobs
    /// directory. If that cannot be determined, it is assumed to keep them. A local file system is not probed: another
    /// user could replace the folder that is used as a probe.
    fn keeps_rights(&self) -> bool {
        let shows_others = || {
            let inbox = self.get(Folder::Inbox)?;
            let probe = format!(".bullpen-rights-{:016x}", rand::random::<u64>());
            mkdirat(inbox, probe.as_str(), RIGHTS)?;
            let found = openat(inbox, probe.as_str(), FOLDER, Mode::empty()).and_then(|fd| {
                // The umask may have removed some.
                let _ = fchmod(&fd, RIGHTS);
                fstat(&fd)
            });
            unlinkat(inbox, probe.as_str(), UnlinkatFlags::RemoveDir)?;
            let found = found?;
            let shown = mode(&found).intersection(Mode::from_bits_truncate(0o777));
            Ok::<bool, io::Error>(!is_ours(&found) || shown != RIGHTS)
        };
        self.is_local(Folder::Inbox).unwrap_or(true) || !shows_others().unwrap_or(false)
    }
}

fn is_ours(found: &FileStat) -> bool {
    found.st_uid == geteuid().as_raw()
}

fn mode(found: &FileStat) -> Mode {
    Mode::from_bits_truncate(found.st_mode)
}
