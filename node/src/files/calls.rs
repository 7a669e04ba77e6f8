//! The calls on a jobs directory, each relative to a folder that is held open.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstat, fstatat};
use nix::sys::statvfs::fstatvfs;
use nix::unistd::{UnlinkatFlags, unlinkat};
use protocol::config::SMALL_TEXT_BYTES;
use protocol::file::{Content, FileCall, FilePath, FileReply, Folder, Probe};
use protocol::job::MAX_JOB_BYTES;

use super::progress::CallProgress;
use super::sync::Unsynced;
use super::text::{Readers, Text};
use crate::jobs_folder::{self, JobsFolder};
use crate::rename::{self, Instead, sweep_reservation};

/// Room that a large text leaves for others: this fraction of the file system, but at most this many bytes.
const LEFT_PART: u64 = 20;
const LEFT_AT_MOST: u64 = 64 << 20;

/// The mode of a text until it is complete.
const PRIVATE: Mode = Mode::from_bits_truncate(0o600);

/// The reply to a call, and what must be synced before the reply counts.
pub(super) type Made = (FileReply, Option<Unsynced>);

/// Makes one call.
///
/// # Errors
///
/// The error of the system, if no reply stands for it.
pub(super) fn make(
    folders: &JobsFolder,
    call: FileCall,
    progress: &CallProgress,
) -> io::Result<Made> {
    let reply = match call {
        FileCall::List(folder) => list(folders, folder, progress)?,
        FileCall::Probe(path) => probe(folders, &path)?,
        FileCall::Exist(paths) => exist(folders, paths, progress)?,
        FileCall::Rename { from, to } => rename(folders, &from, &to)?,
        FileCall::Read { path, limit, whole } => read(folders, &path, limit, whole)?,
        FileCall::Remove(path) => remove(folders, &path)?,
        FileCall::Room { bytes } => room(folders, bytes)?,
        FileCall::Write {
            path,
            part,
            content,
            like,
        } => {
            let text = begin_text(folders, path, part, content, &like)?;
            return Ok((FileReply::Ok, Some(Unsynced::Text(text))));
        }
        FileCall::Sync(synced) => {
            let synced = synced
                .into_iter()
                .map(|folder| Ok((folder, folders.share(folder)?)));
            let synced: io::Result<Vec<_>> = synced.collect();
            return Ok((FileReply::Ok, Some(Unsynced::Folders(synced?))));
        }
    };
    Ok((reply, None))
}

fn list(folders: &JobsFolder, folder: Folder, progress: &CallProgress) -> io::Result<FileReply> {
    let held = folders.get(folder)?;
    let reserves = folders.has_reservations(folder)?;
    // Opened again, to read it from the start.
    let mut entries = Dir::openat(
        held,
        ".",
        OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    let mut names = Vec::new();
    for entry in entries.iter() {
        let entry = entry?;
        progress.advanced();
        let name = entry.file_name();
        let is_folder = match entry.file_type() {
            Some(kind) => kind == Type::Directory,
            // An entry that has gone is not a directory to leave out.
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

fn exist(
    folders: &JobsFolder,
    mut paths: Vec<FilePath>,
    progress: &CallProgress,
) -> io::Result<FileReply> {
    let mut failed = None;
    paths.retain(|path| {
        progress.advanced();
        match look(folders, path.folder, &path.name) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                failed = Some(error);
                false
            }
        }
    });
    failed.map_or(Ok(FileReply::Existing(paths)), Err)
}

/// Checks whether a dropped file is complete.
fn probe(folders: &JobsFolder, path: &FilePath) -> io::Result<FileReply> {
    let file = match open(folders, path)? {
        Opened::File(file) => file,
        // A second name may be about to go, as where a tool links a file to its place.
        Opened::Linked(found) => {
            let stamp = stamp(&found, &[]);
            return Ok(FileReply::Probed(Probe::Unknown { stamp }));
        }
        Opened::Other(reply) => return Ok(reply),
    };
    let probe = match writer(folders, path.folder, &file)? {
        Writer::Some => Probe::Busy,
        _ if fstat(&file)?.st_size == 0 => Probe::Empty,
        Writer::None => Probe::Complete,
        Writer::Unknown => {
            let content = content(&file, MAX_JOB_BYTES)?;
            let stamp = stamp(&fstat(&file)?, &content);
            Probe::Unknown { stamp }
        }
    };
    Ok(FileReply::Probed(probe))
}

/// Renames a file; `Absent` if it does not exist, `Taken` if the new name does.
fn rename(folders: &JobsFolder, from: &FilePath, to: &FilePath) -> io::Result<FileReply> {
    // A hidden name of `running/` is a text's, and only this coordinatorship gives it.
    let is_hidden = from.folder == Folder::Running && from.name.starts_with(b".");
    let instead = if is_hidden {
        Instead::Link
    } else {
        Instead::Reserve
    };
    let source = (folders.get(from.folder)?, &from.name[..]);
    let target = (folders.get(to.folder)?, &to.name[..]);
    match rename::rename(source, target, instead) {
        Ok(()) => Ok(FileReply::Ok),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(FileReply::Taken),
        // The source, or a folder that was removed just now.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            match look(folders, from.folder, &from.name) {
                Ok(_) => Err(error),
                Err(_) => Ok(FileReply::Absent),
            }
        }
        Err(error) => Err(error),
    }
}

/// Whether anybody has a file open for writing.
enum Writer {
    Some,
    /// Nobody has, and nobody can while this descriptor is open.
    None,
    Unknown,
}

/// Requests a read lease, which the system refuses while anybody has the file open for writing, and which
/// ends with the descriptor. On file systems that other machines write to, it knows only this machine's
/// writers, and proves nothing.
fn writer(folders: &JobsFolder, folder: Folder, file: &File) -> io::Result<Writer> {
    if !folders.is_local(folder)? {
        return Ok(Writer::Unknown);
    }
    // SAFETY: fcntl with F_SETLEASE takes an int and touches no memory of ours; the descriptor is
    // open for the length of the call.
    let granted = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) };
    Ok(match Errno::result(granted) {
        Ok(_) => Writer::None,
        Err(Errno::EAGAIN) => Writer::Some,
        // Not the owner, or a file system without leases.
        Err(_) => Writer::Unknown,
    })
}

/// The state of a file that must not change for a while. It includes the content, since times may be coarse, and
/// late from another machine.
fn stamp(found: &FileStat, content: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (found.st_size, found.st_mtime, found.st_mtime_nsec).hash(&mut hasher);
    content.hash(&mut hasher);
    hasher.finish()
}

fn content(file: &File, limit: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut content)?;
    Ok(content)
}

fn read(folders: &JobsFolder, path: &FilePath, limit: usize, whole: bool) -> io::Result<FileReply> {
    let file = match open(folders, path)? {
        Opened::File(file) => file,
        Opened::Linked(_) => {
            let kind = "a file with more than one name (hard links)";
            return Ok(FileReply::NotAFile(kind));
        }
        Opened::Other(reply) => return Ok(reply),
    };
    let writer = match whole {
        true => writer(folders, path.folder, &file)?,
        false => Writer::None,
    };
    if let Writer::Some = writer {
        return Ok(FileReply::Probed(Probe::Busy));
    }
    let content = content(&file, limit)?;
    Ok(match writer {
        Writer::Unknown => FileReply::Unsettled {
            stamp: stamp(&fstat(&file)?, &content),
            content: content.into(),
        },
        _ => FileReply::Content(content.into()),
    })
}

pub(super) enum Opened {
    File(File),
    /// The file has several names, and is not opened.
    Linked(FileStat),
    Other(FileReply),
}

/// Opens a regular file and nothing else: it follows no link and waits for no FIFO. It opens no file with several
/// names either: another name could belong to a file that the user who dropped this one may
/// not read. Once a job has ended, its owner may link it freely.
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
        // It may have been replaced since it was checked.
        Ok(fd) => match fstat(&fd)? {
            found if kind_of(&found) != libc::S_IFREG => other(&found),
            found if found.st_nlink > 1 && !ended => Ok(Opened::Linked(found)),
            _ => Ok(Opened::File(fd.into())),
        },
        Err(Errno::ENOENT) => Ok(Opened::Other(FileReply::Absent)),
        Err(Errno::ELOOP) => Ok(Opened::Other(FileReply::NotAFile("a symbolic link"))),
        // Somebody holds a write lease, as a file server does for its client.
        Err(Errno::EWOULDBLOCK) => Ok(Opened::Other(FileReply::Kept)),
        Err(error @ (Errno::EACCES | Errno::EPERM)) => {
            Ok(Opened::Other(FileReply::Denied(error.desc().to_owned())))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the file system has room for a text of this many bytes, and some left for others.
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
    // Some mounts do not report it.
    if size == 0 || bytes.saturating_add(left) <= available {
        return Ok(FileReply::Ok);
    }
    Ok(FileReply::Full(format!(
        "its text takes {bytes} bytes, and {} has {available} left",
        folders.path().display()
    )))
}

/// Creates the file of a text, readable only by those who may read the job's file. It replaces nobody's file: only
/// an earlier attempt of this coordinator can have the name.
fn begin_text(
    folders: &JobsFolder,
    path: FilePath,
    part: Vec<u8>,
    content: Vec<Content>,
    like: &FilePath,
) -> io::Result<Text> {
    let size = content.iter().map(Content::bytes).sum();
    if let FileReply::Full(_) = room(folders, size)? {
        return Err(Errno::ENOSPC.into());
    }
    let folder = folders.get(path.folder)?;
    let flags =
        OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let create = || openat(folder, &part[..], flags, PRIVATE);
    let file: OwnedFd = match create() {
        Err(Errno::EEXIST) => {
            remove(folders, &FilePath::new(path.folder, part.clone()))?;
            create()
        }
        created => created,
    }?;
    Ok(Text {
        file: file.into(),
        folder: folders.share(path.folder)?,
        part,
        name: path.name,
        readers: Readers::of(folders, like)?,
        content: Some(content),
        fence: None,
    })
}

fn remove(folders: &JobsFolder, path: &FilePath) -> io::Result<FileReply> {
    let folder = folders.get(path.folder)?;
    match unlinkat(folder, &path.name[..], UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(FileReply::Ok),
        Err(error) => Err(error.into()),
    }
}

/// The metadata of a name, without following a link.
pub(super) fn look(folders: &JobsFolder, folder: Folder, name: &[u8]) -> io::Result<FileStat> {
    let folder = folders.get(folder)?;
    Ok(fstatat(folder, name, AtFlags::AT_SYMLINK_NOFOLLOW)?)
}

pub(super) fn kind_of(found: &FileStat) -> libc::mode_t {
    found.st_mode & libc::S_IFMT
}
