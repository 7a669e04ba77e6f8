//! The jobs directory, on a thread of its own: one call after the other, each only while the
//! epoch in whose name it was asked for is still the highest that the node has seen. What has to be
//! on the disk is waited for elsewhere, while the next calls are made.

mod rename;
mod sync;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;

use self::rename::Renames;
use self::sync::{Syncs, Unsynced};
use crate::output::Mark;
use bytes::Bytes;
use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, signal};
use protocol::event::Event;
use protocol::file::{FileCall, FilePath, FileReply, FileTag, Folder, Probe};
use protocol::id::Epoch;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Most bytes that are written at once. A process counts as stopped when each of its threads has left
/// the kernel, so a large write keeps its supervisor, and with it the peers, from knowing that the
/// coordinator was stopped.
const AT_ONCE: usize = 256 << 10;

/// Most parts that the system takes at once.
const PARTS_AT_ONCE: usize = 1024;

/// The thread that makes file calls, and the queue in front of it.
#[derive(Debug)]
pub(crate) struct Files {
    requests: mpsc::Sender<Request>,
    fence: Arc<Mutex<Epoch>>,
    replies: UnboundedReceiver<Event>,
}

#[derive(Debug)]
struct Request {
    epoch: Epoch,
    tag: FileTag,
    call: FileCall,
    /// Written before the call is made.
    logged: Mark,
}

impl Files {
    /// Starts the thread on a jobs directory. What it writes survives a stop of the machine only
    /// where it is to be `durable`.
    ///
    /// # Errors
    ///
    /// The system refuses another thread.
    pub(crate) fn start(jobs: PathBuf, durable: bool) -> io::Result<Files> {
        ignore_broken_leases()?;
        let (requests, queue) = mpsc::channel::<Request>();
        let (replied, replies) = unbounded_channel();
        let fence = Arc::new(Mutex::new(Epoch::NONE));
        let highest = Arc::clone(&fence);
        let folders = Folders {
            renames: Renames::of(&jobs),
            jobs,
            syncs: durable.then(Syncs::default),
        };
        thread::Builder::new()
            .name("files".to_owned())
            .spawn(move || {
                while let Ok(request) = queue.recv() {
                    if reply(&folders, &highest, &replied, request).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Files {
            requests,
            fence,
            replies,
        })
    }

    /// Asks for a call, to be made after those lines are written: a text that has its name was
    /// logged. The reply comes out of [`Files::reply`].
    pub(crate) fn call(&self, epoch: Epoch, tag: FileTag, call: FileCall, logged: Mark) {
        // The thread lives as long as this end of the channel.
        let _ = self.requests.send(Request {
            epoch,
            tag,
            call,
            logged,
        });
    }

    /// Calls of lower epochs are not made from now on.
    pub(crate) fn fence(&self, highest: Epoch) {
        *self.fence.lock().unwrap_or_else(PoisonError::into_inner) = highest;
    }

    /// Waits for a reply. Cancel safe.
    pub(crate) async fn reply(&mut self) -> Option<Event> {
        self.replies.recv().await
    }

    /// A reply, if there is one.
    pub(crate) fn try_reply(&mut self) -> Option<Event> {
        self.replies.try_recv().ok()
    }
}

/// A writer that opens a file just while [`probe`] has its lease makes the system send SIGIO, of which
/// a process dies that has not asked for anything else.
fn ignore_broken_leases() -> io::Result<()> {
    // SAFETY: no handler is installed that could run in the middle of anything.
    unsafe { signal(Signal::SIGIO, SigHandler::SigIgn) }?;
    Ok(())
}

fn reply(
    folders: &Folders,
    highest: &Mutex<Epoch>,
    replied: &UnboundedSender<Event>,
    request: Request,
) -> Result<(), ()> {
    let Request {
        epoch,
        tag,
        call,
        logged,
    } = request;
    logged.wait();
    if epoch < *highest.lock().unwrap_or_else(PoisonError::into_inner) {
        let reply = FileReply::Fenced;
        let event = Event::FileDone { epoch, tag, reply };
        return replied.send(event).map_err(|_| ());
    }
    let (made, unsynced) = match folders.make(call) {
        Ok((reply, unsynced)) => (Ok(reply), unsynced),
        Err(error) => (Err(error), None),
    };
    let event = move |result: io::Result<FileReply>| {
        let reply = result.unwrap_or_else(|error| FileReply::Failed(error.to_string()));
        Event::FileDone { epoch, tag, reply }
    };
    match (&folders.syncs, unsynced) {
        (Some(syncs), Some(unsynced)) => {
            let replied = replied.clone();
            let then = move |synced: io::Result<()>| {
                // The node may have ended meanwhile.
                let _ = replied.send(event(synced.and(made)));
            };
            syncs.sync(unsynced, Box::new(then));
            Ok(())
        }
        _ => replied.send(event(made)).map_err(|_| ()),
    }
}

/// The folders of a jobs directory.
#[derive(Debug)]
struct Folders {
    jobs: PathBuf,
    renames: Renames,
    /// None where nothing has to survive a stop of the machine.
    syncs: Option<Syncs>,
}

impl Folders {
    /// Makes one call; what it leaves is to be synced before it counts.
    fn make(&self, call: FileCall) -> io::Result<(FileReply, Option<Unsynced>)> {
        let reply = match call {
            FileCall::List(folder) => self.list(folder)?,
            FileCall::Probe(path) => probe(&self.path(&path))?,
            FileCall::Exist(paths) => self.exist(paths)?,
            FileCall::Rename { from, to } => {
                self.renames.rename(&self.path(&from), &self.path(&to))?
            }
            FileCall::Read { path, limit } => read(&self.path(&path), limit)?,
            FileCall::Remove(path) => remove(&self.path(&path))?,
            FileCall::Write { path, content } => {
                let file = write(&self.path(&path), &content)?;
                return Ok((FileReply::Ok, Some(Unsynced::File(file))));
            }
            FileCall::Sync(folders) => {
                let paths = folders.into_iter().map(|folder| self.folder(folder));
                let unsynced = Unsynced::Folders(paths.collect());
                return Ok((FileReply::Ok, Some(unsynced)));
            }
        };
        Ok((reply, None))
    }

    fn folder(&self, folder: Folder) -> PathBuf {
        match folder {
            Folder::Inbox => self.jobs.clone(),
            Folder::Running => self.jobs.join("running"),
            Folder::Done => self.jobs.join("done"),
            Folder::Failed => self.jobs.join("failed"),
        }
    }

    fn path(&self, path: &FilePath) -> PathBuf {
        self.folder(path.folder).join(OsStr::from_bytes(&path.name))
    }

    fn list(&self, folder: Folder) -> io::Result<FileReply> {
        let path = self.folder(folder);
        let entries = match fs::read_dir(&path) {
            // Somebody tidied up; a coordinator that begins waits for all three of these.
            Err(error) if error.kind() == io::ErrorKind::NotFound && folder != Folder::Inbox => {
                fs::create_dir(&path)?;
                return Ok(FileReply::Listed(Vec::new()));
            }
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            // An entry that is gone meanwhile is no directory to leave out.
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_folder && !self.renames.sweep_reservation(&entry.path()) {
                names.push(entry.file_name().into_vec());
            }
        }
        Ok(FileReply::Listed(names))
    }

    fn exist(&self, mut paths: Vec<FilePath>) -> io::Result<FileReply> {
        let mut error = None;
        paths.retain(|path| match fs::symlink_metadata(self.path(path)) {
            Ok(_) => true,
            Err(other) if other.kind() == io::ErrorKind::NotFound => false,
            Err(other) => {
                error = Some(other);
                false
            }
        });
        error.map_or(Ok(FileReply::Existing(paths)), Err)
    }
}

/// Asks for a read lease, which the system refuses while anybody has the file open for writing.
fn probe(path: &Path) -> io::Result<FileReply> {
    let file = match open(path) {
        Ok(Opened::File(file)) => file,
        Ok(Opened::Other(reply)) => return Ok(reply),
        // Somebody holds a lease to write, as a file server does for its client.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return Ok(FileReply::Probed(Probe::Busy));
        }
        Err(error) => return Err(error),
    };
    // SAFETY: fcntl with F_SETLEASE takes an int and touches no memory of ours; the descriptor is
    // open for the length of the call.
    let granted = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) };
    let probe = match Errno::result(granted) {
        // The lease ends with the descriptor.
        Ok(_) => Probe::Complete,
        Err(Errno::EAGAIN) => Probe::Busy,
        // Not the owner, or a file system without leases.
        Err(_) => {
            let metadata = file.metadata()?;
            let modified = metadata.mtime().unsigned_abs().wrapping_mul(1_000_000_000);
            Probe::Unknown {
                stamp: modified.wrapping_add(metadata.mtime_nsec().unsigned_abs())
                    ^ metadata.len().rotate_left(32),
            }
        }
    };
    Ok(FileReply::Probed(probe))
}

fn read(path: &Path, limit: usize) -> io::Result<FileReply> {
    let file = match open(path)? {
        Opened::File(file) => file,
        Opened::Other(reply) => return Ok(reply),
    };
    let mut content = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut content)?;
    Ok(FileReply::Content(content.into()))
}

enum Opened {
    File(File),
    Other(FileReply),
}

/// Opens a regular file and nothing else: never through a link, never waiting for the other end of
/// a FIFO.
fn open(path: &Path) -> io::Result<Opened> {
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Opened::Other(FileReply::Absent));
        }
        Err(error) => return Err(error),
    };
    if !kind.is_file() {
        return Ok(Opened::Other(FileReply::NotAFile(describe(kind))));
    }
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path);
    match opened {
        // It may have been replaced since it was looked at.
        Ok(file) => match file.metadata()?.file_type() {
            kind if kind.is_file() => Ok(Opened::File(file)),
            kind => Ok(Opened::Other(FileReply::NotAFile(describe(kind)))),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Opened::Other(FileReply::Absent))
        }
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            Ok(Opened::Other(FileReply::NotAFile("a symbolic link")))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Ok(Opened::Other(FileReply::Denied(error.to_string())))
        }
        Err(error) => Err(error),
    }
}

fn describe(kind: fs::FileType) -> &'static str {
    if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

fn write(path: &Path, content: &[Bytes]) -> io::Result<File> {
    let mut file = File::create(path)?;
    let pieces = content.iter().flat_map(|part| part.chunks(AT_ONCE));
    let mut parts: Vec<IoSlice<'_>> = pieces.map(IoSlice::new).collect();
    let mut rest = &mut parts[..];
    while !rest.is_empty() {
        let window = window(rest);
        let written = match file.write_vectored(&rest[..window]) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result?,
        };
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        IoSlice::advance_slices(&mut rest, written);
    }
    Ok(file)
}

/// How many of these parts, each of at most [`AT_ONCE`] bytes, are written at once.
fn window(parts: &[IoSlice<'_>]) -> usize {
    let mut bytes = 0;
    let fit = parts.iter().take(PARTS_AT_ONCE).take_while(|part| {
        bytes += part.len();
        bytes <= AT_ONCE
    });
    fit.count()
}

fn remove(path: &Path) -> io::Result<FileReply> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(FileReply::Ok),
    }
}

#[cfg(test)]
mod tests;
