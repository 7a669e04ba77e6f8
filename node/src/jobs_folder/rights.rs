//! `running/` is the service's alone: who owns it, what others may do there, and who has locked it.

use std::fs::File;
use std::io;

use nix::errno::Errno;
use nix::fcntl::openat;
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, mkdirat};
use nix::unistd::{Uid, UnlinkatFlags, geteuid, unlinkat};
use protocol::file::Folder;

use super::{FOLDER, FolderError, JobsFolder, RIGHTS};
use crate::acl;

/// The rights of others to write.
const FOREIGN_WRITE: Mode = Mode::from_bits_truncate(0o022);
/// What others may not do to `running/`: write, or open it, since who has it open may lock it. They may
/// look at a file in it by its name.
const FOREIGN_OPEN: Mode = Mode::from_bits_truncate(0o066);

impl JobsFolder {
    /// Says that a cluster works here, as long as the folder is held. All nodes may say so.
    pub(super) fn lock(&mut self) {
        let running = self.share(Folder::Running);
        let running = running.and_then(|running| running.try_clone());
        // Somebody may look just now whether a cluster works here; some mounts know no locks.
        self.locked = running.is_ok_and(|running| File::from(running).try_lock_shared().is_ok());
    }

    /// `running/` is this user's, and no other may write to it; rights that are wider are taken away.
    /// A mount that invents owners and rights cannot say so, and is told of once.
    pub(super) fn check_rights(&mut self) -> Result<(), FolderError> {
        let path = self.path_of(Folder::Running);
        let failed = |error| FolderError::io(&path, error);
        let running = self
            .get(Folder::Running)
            .map_err(|_| failed(Errno::ENOENT))?;
        let mut found = fstat(running).map_err(failed)?;
        if is_ours(&found) {
            // What is made in it inherits no rights for others.
            acl::remove_default(running);
        }
        if is_ours(&found) && mode(&found).intersects(FOREIGN_OPEN) {
            // Whether it helped is what the next look says.
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
                "the mount of {} keeps no owners and rights, so whoever may write there could lead results \
                 astray: let nobody write there whom you do not trust",
                self.path.display()
            );
        }
        Ok(())
    }

    /// Whether the file system keeps the owner and the rights of a folder that is made in the jobs
    /// directory. Where that cannot be found out, it is taken to keep them. A local file system is
    /// not asked: another user could exchange the folder that it is asked by.
    fn keeps_rights(&self) -> bool {
        let shows_others = || {
            let inbox = self.get(Folder::Inbox)?;
            let probe = format!(".bullpen-rights-{:016x}", rand::random::<u64>());
            mkdirat(inbox, probe.as_str(), RIGHTS)?;
            let found = openat(inbox, probe.as_str(), FOLDER, Mode::empty()).and_then(|fd| {
                // The mask may have taken some away.
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
