//! The calls on a jobs directory, each relative to a folder that is held open.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use bytes::Bytes;
use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{UnlinkatFlags, unlinkat};
use protocol::file::{FileCall, FilePath, FileReply, Folder, Probe};
use protocol::job::SMALL_TEXT_BYTES;

use super::rename::{rename, sweep_reservation};
use super::sync::Unsynced;
use super::text::{Readers, Text};
use crate::jobs_folder::{self, JobsFolder};

/// Room that a large text leaves for others: this part of the file system, and so many bytes at most.
const LEFT_PART: u64 = 20;
const LEFT_AT_MOST: u64 = 64 << 20;

/// The mode of a text until it is whole.
const PRIVATE: Mode = Mode::from_bits_truncate(0o600);

/// What a call came to, and what of it is to be synced before it counts.
pub(super) type Made = (FileReply, Option<Unsynced>);

/// Makes one call.
///
/// # Errors
///
/// What the system says, where it is no reply of its own.
pub(super) fn make(folders: &JobsFolder, call: FileCall) -> io::Result<Made> {
    let reply = match call {
        FileCall::List(folder) => list(folders, folder)?,
        FileCall::Probe(path) => probe(folders, &path)?,
        FileCall::Exist(paths) => exist(folders, paths)?,
        FileCall::Rename { from, to } => rename(folders, &from, &to)?,
        FileCall::Read { path, limit } => read(folders, &path, limit)?,
        FileCall::Remove(path) => remove(folders, &path)?,
        FileCall::Room { bytes } => room(folders, bytes)?,
        FileCall::Write {
            path,
            content,
            like,
        } => {
            let text = begin_text(folders, &path, content, &like)?;
            return Ok((FileReply::Ok, Some(Unsynced::Text(text))));
        }
        FileCall::Sync(synced) => {
            let synced = synced.into_iter().map(|folder| folders.share(folder));
            let synced: io::Result<Vec<_>> = synced.collect();
            return Ok((FileReply::Ok, Some(Unsynced::Folders(synced?))));
        }
    };
    Ok((reply, None))
}

fn list(folders: &JobsFolder, folder: Folder) -> io::Result<FileReply> {
    let held = folders.get(folder)?;
    let reserves = folders.has_reservations(folder)?;
    // Opened anew, to read it from its beginning.
    let mut entries = Dir::openat(
        held,
        ".",
        OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    let mut names = Vec::new();
    for entry in entries.iter() {
        let entry = entry?;
        let name = entry.file_name();
        let is_folder = match entry.file_type() {
            Some(kind) => kind == Type::Directory,
            // An entry that is gone meanwhile is no directory to leave out.
            None => look(folders, folder, name.to_bytes())
                .is_ok_and(|found| kind_of(&found) == libc::S_IFDIR),
        };
        if is_folder || (reserves && sweep_reservation(held, name.to_bytes())) {
            continue;
        }
        names.push(name.to_bytes().to_vec());
    }
    Ok(FileReply::Listed(names))
}

fn exist(folders: &JobsFolder, mut paths: Vec<FilePath>) -> io::Result<FileReply> {
    let mut failed = None;
    paths.retain(|path| match look(folders, path.folder, &path.name) {
        Ok(_) => true,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => {
            failed = Some(error);
            false
        }
    });
    failed.map_or(Ok(FileReply::Existing(paths)), Err)
}

/// Asks for a read lease, which the system refuses while anybody has the file open for writing. On
/// file systems that others write to as well it knows of this machine's writers alone, and proves
/// nothing.
fn probe(folders: &JobsFolder, path: &FilePath) -> io::Result<FileReply> {
    let file = match open(folders, path)? {
        Opened::File(file) => file,
        // A second name may be about to go, as where a tool links a file to its place.
        Opened::Linked(found) => return Ok(FileReply::Probed(unknown(&found))),
        Opened::Other(reply) => return Ok(reply),
    };
    if !folders.is_local(path.folder)? {
        return Ok(FileReply::Probed(unknown(&fstat(&file)?)));
    }
    // SAFETY: fcntl with F_SETLEASE takes an int and touches no memory of ours; the descriptor is
    // open for the length of the call.
    let granted = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) };
    let probe = match Errno::result(granted) {
        // The lease ends with the descriptor.
        Ok(_) => Probe::Complete,
        Err(Errno::EAGAIN) => Probe::Busy,
        // Not the owner, or a file system without leases.
        Err(_) => unknown(&fstat(&file)?),
    };
    Ok(FileReply::Probed(probe))
}

/// Only time will tell whether the file is complete.
fn unknown(found: &FileStat) -> Probe {
    let modified = found.st_mtime.unsigned_abs().wrapping_mul(1_000_000_000);
    let modified = modified.wrapping_add(found.st_mtime_nsec.unsigned_abs());
    Probe::Unknown {
        stamp: modified ^ found.st_size.unsigned_abs().rotate_left(32),
    }
}

fn read(folders: &JobsFolder, path: &FilePath, limit: usize) -> io::Result<FileReply> {
    let file = match open(folders, path)? {
        Opened::File(file) => file,
        Opened::Linked(_) => {
            let kind = "a file with more than one name (hard links)";
            return Ok(FileReply::NotAFile(kind));
        }
        Opened::Other(reply) => return Ok(reply),
    };
    let mut content = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut content)?;
    Ok(FileReply::Content(content.into()))
}

pub(super) enum Opened {
    File(File),
    /// It has several names, and is not opened.
    Linked(FileStat),
    Other(FileReply),
}

/// Opens a regular file and nothing else: never through a link, never waiting for the other end of
/// a FIFO. Nor one of several names: the other could be of a file that whoever dropped this one may
/// not read. Once a job has ended its owner may link it as he likes.
pub(super) fn open(folders: &JobsFolder, path: &FilePath) -> io::Result<Opened> {
    let other = |found: &FileStat| {
        let kind = jobs_folder::kind(found);
        Ok(Opened::Other(FileReply::NotAFile(kind)))
    };
    let found = match look(folders, path.folder, &path.name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Opened::Other(FileReply::Absent));
        }
        found => found?,
    };
    if kind_of(&found) != libc::S_IFREG {
        return other(&found);
    }
    let ended = matches!(path.folder, Folder::Done | Folder::Failed);
    if found.st_nlink > 1 && !ended {
        return Ok(Opened::Linked(found));
    }
    let flags = OFlag::O_RDONLY
        | OFlag::O_NOFOLLOW
        | OFlag::O_NONBLOCK
        | OFlag::O_NOCTTY
        | OFlag::O_CLOEXEC;
    match openat(
        folders.get(path.folder)?,
        &path.name[..],
        flags,
        Mode::empty(),
    ) {
        // It may have been replaced since it was looked at.
        Ok(fd) => match fstat(&fd)? {
            found if kind_of(&found) != libc::S_IFREG => other(&found),
            found if found.st_nlink > 1 && !ended => Ok(Opened::Linked(found)),
            _ => Ok(Opened::File(fd.into())),
        },
        Err(Errno::ENOENT) => Ok(Opened::Other(FileReply::Absent)),
        Err(Errno::ELOOP) => Ok(Opened::Other(FileReply::NotAFile("a symbolic link"))),
        // Somebody holds a lease to write, as a file server does for its client.
        Err(Errno::EWOULDBLOCK) => Ok(Opened::Other(FileReply::Probed(Probe::Busy))),
        Err(error @ (Errno::EACCES | Errno::EPERM)) => {
            Ok(Opened::Other(FileReply::Denied(error.desc().to_owned())))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the file system has room for a text of so many bytes, and some more for others.
fn room(folders: &JobsFolder, bytes: u64) -> io::Result<FileReply> {
    if bytes <= SMALL_TEXT_BYTES {
        return Ok(FileReply::Ok);
    }
    let found = fstatvfs(folders.get(Folder::Running)?)?;
    let size = found.blocks().saturating_mul(found.fragment_size());
    let available = found
        .blocks_available()
        .saturating_mul(found.fragment_size());
    let left = (size / LEFT_PART).min(LEFT_AT_MOST);
    // Some mounts say nothing.
    if size == 0 || bytes.saturating_add(left) <= available {
        return Ok(FileReply::Ok);
    }
    Ok(FileReply::Full(format!(
        "its text takes {bytes} bytes, and {} has {available} left",
        folders.path().display()
    )))
}

/// Creates the file of a text, for those who may read the job's file, and nobody else. It is in the
/// way of nobody's file: an earlier try of this coordinator has the name, or nobody.
fn begin_text(
    folders: &JobsFolder,
    path: &FilePath,
    content: Vec<Bytes>,
    like: &FilePath,
) -> io::Result<Text> {
    let size: usize = content.iter().map(Bytes::len).sum();
    if let FileReply::Full(_) = room(folders, size as u64)? {
        return Err(Errno::ENOSPC.into());
    }
    let folder = folders.get(path.folder)?;
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let create = || openat(folder, &path.name[..], flags, PRIVATE);
    let file: OwnedFd = match create() {
        Err(Errno::EEXIST) => {
            remove(folders, path)?;
            create()
        }
        created => created,
    }?;
    Ok(Text {
        file: file.into(),
        folder: folders.share(path.folder)?,
        name: path.name.clone(),
        readers: Readers::of(folders, like)?,
        content,
    })
}

fn remove(folders: &JobsFolder, path: &FilePath) -> io::Result<FileReply> {
    let folder = folders.get(path.folder)?;
    match unlinkat(folder, &path.name[..], UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(FileReply::Ok),
        Err(error) => Err(error.into()),
    }
}

/// What has a name, itself and not what a link leads to.
pub(super) fn look(folders: &JobsFolder, folder: Folder, name: &[u8]) -> io::Result<FileStat> {
    let folder = folders.get(folder)?;
    Ok(fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

pub(super) fn kind_of(found: &FileStat) -> libc::mode_t {
    found.st_mode & libc::S_IFMT
}
