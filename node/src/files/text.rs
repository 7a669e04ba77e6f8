//! A text on its way to the disk, in pieces, on whichever thread has time: a large one delays no other
//! call.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, UnlinkatFlags, fchown, unlinkat};
use protocol::file::{Content, FilePath, Folder};
use protocol::id::Epoch;

use super::calls::{Opened, kind_of, look, open};
use super::progress::CallProgress;
use crate::acl;
use crate::jobs_folder::JobsFolder;

/// Maximum number of bytes written at once. A process counts as stopped only when each of its threads has left
/// the kernel, so during a large write the supervisor, and with it the peers, cannot learn that the
/// coordinator was stopped.
pub(super) const AT_ONCE: usize = 256 << 10;
/// A larger text is written on another thread than the other calls.
const LARGE: u64 = 1 << 20;

/// A text whose file is there, private and empty.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) file: File,
    pub(super) folder: Arc<OwnedFd>,
    /// Its names in the folder: until it is complete, and then.
    pub(super) part: Vec<u8>,
    pub(super) name: Vec<u8>,
    /// None once it is written.
    pub(super) content: Option<Vec<Content>>,
    pub(super) readers: Readers,
    /// Checked once more before it gets its name: writing may have taken long.
    pub(super) fence: Option<Fence>,
}

/// The epoch that requested a call, and the highest that the node has seen.
#[derive(Clone, Debug)]
pub(super) struct Fence {
    pub(super) epoch: Epoch,
    pub(super) highest: Arc<Mutex<Epoch>>,
}

impl Fence {
    pub(super) fn is_over(&self) -> bool {
        self.epoch < *self.highest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who may read a text: the mode that it gets, and its group, unless it has that already; none if it stays
/// private.
#[derive(Clone, Copy, Debug)]
pub(super) struct Readers(Option<(libc::mode_t, Option<Gid>)>);

impl Readers {
    /// Those who may read the job's file; nobody else may write. Something that is not a regular file has no
    /// secrets; if the file was removed, its readers are unknown.
    ///
    /// # Errors
    ///
    /// The metadata of the job's file cannot be read.
    pub(super) fn of(folders: &JobsFolder, path: &FilePath) -> io::Result<Readers> {
        let job = match look(folders, path.folder, &path.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Readers(None)),
            found => found?,
        };
        if kind_of(&job) != libc::S_IFREG {
            return Ok(Readers(Some((0o644, None))));
        }
        let mut mode = (job.st_mode & 0o444) | 0o600;
        // Needed only if the group has permissions that others lack.
        if (mode >> 3) & !mode & 0o7 != 0 && has_acl(folders, path)? {
            mode &= !0o070;
        }
        let group = Gid::from_raw(job.st_gid);
        let other = group != folders.group_in(Folder::Running)?;
        Ok(Readers(Some((mode, other.then_some(group)))))
    }

    /// Sets the mode of a text, and its group if this user may. If not, it allows only what both the group and all
    /// others may do.
    fn admit_to(self, text: &File) -> io::Result<()> {
        let Some((mut mode, group)) = self.0 else {
            return Ok(());
        };
        if let Some(group) = group
            && fchown(text, None, Some(group)).is_err()
        {
            let both = (mode >> 3) & mode & 0o7;
            mode = (mode & 0o700) | (both << 3) | both;
        }
        match fchmod(text, Mode::from_bits_truncate(mode)) {
            // Some mounts keep no permissions: the text has those of the mount.
            Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
            changed => Ok(changed?),
        }
    }
}

fn has_acl(folders: &JobsFolder, path: &FilePath) -> io::Result<bool> {
    match open(folders, path)? {
        Opened::File(file) => Ok(acl::has_any(file)),
        // Its readers are unknown.
        _ => Ok(true),
    }
}

impl Text {
    /// Whether it is written on another thread than the other calls.
    pub(super) fn is_large(&self) -> bool {
        let parts = self.content.iter().flatten();
        parts.map(Content::bytes).sum::<u64>() > LARGE
    }

    /// Writes it, sets its permissions, and gives it its name, all before the sync, which then covers the
    /// name too. A text that cannot be written completely is removed at once.
    ///
    /// # Errors
    ///
    /// The error of the system; nothing of the text is left then.
    pub(super) fn write(&mut self, progress: &CallProgress) -> io::Result<()> {
        let Some(content) = self.content.take() else {
            return Ok(());
        };
        let written = write_content(&mut self.file, &content, progress);
        written
            .and_then(|()| self.readers.admit_to(&self.file))
            .and_then(|()| {
                if self.fence.as_ref().is_some_and(Fence::is_over) {
                    return Err(Errno::ECANCELED.into());
                }
                let (folder, part, name) = (&self.folder, &self.part[..], &self.name[..]);
                Ok(renameat(folder, part, folder, name)?)
            })
            .inspect_err(|_| {
                // Otherwise it is swept later.
                let _ = unlinkat(&self.folder, &self.part[..], UnlinkatFlags::NoRemoveDir);
            })
    }
}

/// Writes the content through a buffer: it may be formatted only now, and has small parts and large ones.
fn write_content(file: &mut File, content: &[Content], progress: &CallProgress) -> io::Result<()> {
    let mut buffer = Vec::new();
    for mut piece in content.iter().flat_map(Content::pieces) {
        while !piece.is_empty() {
            let room = (AT_ONCE - buffer.len()).min(piece.len());
            buffer.extend_from_slice(&piece.split_to(room));
            if buffer.len() == AT_ONCE {
                file.write_all(&buffer)?;
                progress.advanced();
                buffer.clear();
            }
        }
    }
    file.write_all(&buffer)?;
    progress.advanced();
    Ok(())
}
