//! The jobs directory, on a thread of its own: one call after another, each only while the epoch that
//! requested it is still the highest that the node has seen, and while the folders are the ones that were
//! checked. Other threads wait for syncs, while this one makes the next calls.

mod calls;
mod progress;
mod sync;
mod text;

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use self::calls::{Made, make};
use self::progress::{CallProgress, HangDetector};
use self::sync::{Syncs, Unsynced};
use self::text::Fence;
use crate::jobs_folder::JobsFolder;
use crate::output::Mark;
use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, signal};
use protocol::event::Event;
use protocol::file::{FileCall, FileReply, FileTag, Folder};
use protocol::id::Epoch;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Maximum number of threads that sync, and of additional ones that write large texts.
const MOST_SYNCS: usize = 8;
const MOST_LARGE: usize = 2;
/// Shortest interval between checks of the folders' names. The open folders are safe without these checks, which
/// find out whether other folders have taken their names.
const LOOK_AFTER: Duration = Duration::from_millis(10);
/// No further call is made while more than this many bytes of replies wait for the node.
const MOST_UNREAD: usize = 4 << 20;

/// The thread that makes file calls, and the queue in front of it.
#[derive(Debug)]
pub(crate) struct Files {
    requests: mpsc::Sender<Request>,
    fence: Arc<Mutex<Epoch>>,
    notices: UnboundedReceiver<Notice>,
    unread: Arc<Unread>,
    calls: CallProgress,
    hangs: HangDetector,
}

#[derive(Debug)]
struct Request {
    epoch: Epoch,
    tag: FileTag,
    call: FileCall,
    /// Written before the call is made.
    logged: Mark,
}

/// A message from the thread to the node.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A call ended.
    Reply(Event),
    /// A folder was replaced by another, which was opened and checked.
    Replaced(Folder),
}

/// Bytes of replies that the node has not received yet.
#[derive(Debug, Default)]
struct Unread {
    bytes: Mutex<usize>,
    taken: Condvar,
}

impl Files {
    /// Starts the thread on a jobs directory, which it opens at the first call. Its writes survive a crash of
    /// the machine only if `durable`.
    ///
    /// # Errors
    ///
    /// The system refuses another thread.
    pub(crate) fn start(jobs: PathBuf, durable: bool) -> io::Result<Files> {
        ignore_broken_leases()?;
        let (requests, queue) = mpsc::channel::<Request>();
        let (sender, notices) = unbounded_channel();
        let fence = Arc::new(Mutex::new(Epoch::NONE));
        let unread = Arc::<Unread>::default();
        let calls = CallProgress::default();
        let syncs = durable.then(|| [MOST_SYNCS, MOST_LARGE].map(Syncs::new));
        let mut threads = vec![calls.clone()];
        threads.extend(syncs.iter().flatten().map(Syncs::progress));
        let mut worker = Worker {
            folders: JobsFolder::new(jobs),
            looked: None,
            trouble: None,
            calls: calls.clone(),
            syncs,
            highest: Arc::clone(&fence),
            sender,
            unread: Arc::clone(&unread),
        };
        thread::Builder::new()
            .name("files".to_owned())
            .spawn(move || {
                while let Ok(request) = queue.recv() {
                    worker.unread.wait_for_room();
                    if worker.serve(request).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Files {
            requests,
            fence,
            notices,
            unread,
            calls,
            hangs: HangDetector::new(threads, Instant::now()),
        })
    }

    /// Requests a call, to be made after the lines before `logged` are written, so that a text is logged
    /// before it has its name. [`Files::next`] returns the reply.
    pub(crate) fn call(&self, epoch: Epoch, tag: FileTag, call: FileCall, logged: Mark) {
        self.calls.queued();
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

    /// Waits for the next notice. Cancel safe.
    pub(crate) async fn next(&mut self) -> Option<Notice> {
        let notice = self.notices.recv().await?;
        self.unread.take(&notice);
        Some(notice)
    }

    /// The next notice, if there is one.
    pub(crate) fn try_next(&mut self) -> Option<Notice> {
        let notice = self.notices.try_recv().ok()?;
        self.unread.take(&notice);
        Some(notice)
    }

    /// When to check again whether the calls hang, if any is open.
    pub(crate) fn hang_check_due(&self) -> Option<Instant> {
        self.hangs.due()
    }

    /// Checks whether the calls hang; returns an event if that has changed.
    pub(crate) fn check_for_hang(&mut self, now: Instant) -> Option<Event> {
        self.hangs.check(now)
    }
}

/// If a writer opens a file while a probe holds a lease on it, the system sends SIGIO, which by default
/// kills the process.
fn ignore_broken_leases() -> io::Result<()> {
    // SAFETY: no handler is installed that could interrupt anything.
    unsafe { signal(Signal::SIGIO, SigHandler::SigIgn) }?;
    Ok(())
}

/// The state of the thread.
#[derive(Debug)]
struct Worker {
    folders: JobsFolder,
    /// When the names of the folders were last checked and led to the open folders.
    looked: Option<Instant>,
    /// Why no call is made, as last logged.
    trouble: Option<String>,
    /// Of this thread.
    calls: CallProgress,
    /// The second is for large texts. None if nothing has to survive a crash of the machine.
    syncs: Option<[Syncs; 2]>,
    highest: Arc<Mutex<Epoch>>,
    sender: UnboundedSender<Notice>,
    unread: Arc<Unread>,
}

impl Worker {
    /// Makes a call, or replies why it is not made; an error if nobody listens any more.
    fn serve(&mut self, request: Request) -> Result<(), ()> {
        let Request {
            epoch,
            tag,
            call,
            logged,
        } = request;
        logged.wait();
        self.calls.advanced();
        let highest = Arc::clone(&self.highest);
        let fence = Fence { epoch, highest };
        // It may take long, so the fence is checked again after it.
        let is_usable = fence.is_over() || self.has_folders()?;
        let (reply, unsynced) = if fence.is_over() {
            (FileReply::Fenced, None)
        } else if !is_usable {
            (FileReply::Unusable, None)
        } else {
            let made =
                make(&self.folders, call, &self.calls).and_then(|made| self.write_now(made, fence));
            made.unwrap_or_else(|error| {
                // A folder may have gone since the last check.
                self.looked = None;
                if error.raw_os_error() == Some(libc::ESTALE) {
                    self.folders.let_go();
                }
                (failed(&error), None)
            })
        };
        self.calls.finished();
        match (&self.syncs, unsynced) {
            (Some([syncs, large]), Some(unsynced)) => {
                let (sender, unread) = (self.sender.clone(), Arc::clone(&self.unread));
                let then = move |synced: io::Result<()>| {
                    let reply = synced.map_or_else(|error| failed(&error), |()| reply);
                    // The node may have ended meanwhile.
                    let _ = send(&sender, &unread, Event::FileDone { epoch, tag, reply });
                };
                let is_large = matches!(&unsynced, Unsynced::Text(text) if text.is_large());
                let syncs = if is_large { large } else { syncs };
                syncs.sync(unsynced, Box::new(then));
                Ok(())
            }
            _ => send(
                &self.sender,
                &self.unread,
                Event::FileDone { epoch, tag, reply },
            ),
        }
    }

    /// Whether the folders are the checked ones, or others that pass the check. Logs once what is in the way,
    /// and when it is gone.
    fn has_folders(&mut self) -> Result<bool, ()> {
        if self
            .looked
            .is_some_and(|looked| looked.elapsed() < LOOK_AFTER)
        {
            return Ok(true);
        }
        self.looked = None;
        match self.folders.refresh() {
            Ok(replaced) => {
                self.looked = Some(Instant::now());
                if self.trouble.take().is_some() {
                    let jobs = self.folders.path().display();
                    tracing::info!("the jobs directory {jobs} can be used again");
                }
                for folder in replaced {
                    self.sender.send(Notice::Replaced(folder)).map_err(|_| ())?;
                }
                Ok(true)
            }
            Err(error) => {
                let sentence = error.to_string();
                if self.trouble.as_ref() != Some(&sentence) {
                    tracing::warn!("{sentence}; all jobs wait until then");
                    self.trouble = Some(sentence);
                }
                Ok(false)
            }
        }
    }

    /// Writes a text, unless it is large: then the thread that syncs it writes it.
    fn write_now(&self, mut made: Made, fence: Fence) -> io::Result<Made> {
        if let (_, Some(Unsynced::Text(text))) = &mut made {
            text.fence = Some(fence);
            if self.syncs.is_none() || !text.is_large() {
                text.write(&self.calls)?;
            }
        }
        Ok(made)
    }
}

fn failed(error: &io::Error) -> FileReply {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOSPC | Errno::EDQUOT) => FileReply::Full(error.to_string()),
        // No free space, permission or remount can change these.
        Some(Errno::ENAMETOOLONG | Errno::EILSEQ | Errno::EFBIG) => {
            FileReply::Never(error.to_string())
        }
        _ => FileReply::Failed(error.to_string()),
    }
}

fn send(sender: &UnboundedSender<Notice>, unread: &Unread, event: Event) -> Result<(), ()> {
    let notice = Notice::Reply(event);
    unread.add(&notice);
    sender.send(notice).map_err(|_| ())
}

impl Notice {
    /// Its approximate size, in bytes.
    fn size(&self) -> usize {
        match self {
            Notice::Reply(Event::FileDone { reply, .. }) => match reply {
                FileReply::Content(content) | FileReply::Unsettled { content, .. } => content.len(),
                FileReply::Listed(names) => names.iter().map(Vec::len).sum(),
                _ => 0,
            },
            _ => 0,
        }
    }
}

impl Unread {
    fn add(&self, notice: &Notice) {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) += notice.size();
    }

    fn take(&self, notice: &Notice) {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) -= notice.size();
        self.taken.notify_one();
    }

    fn wait_for_room(&self) {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.taken.wait_while(bytes, |bytes| *bytes > MOST_UNREAD);
        drop(waited);
    }
}

#[cfg(test)]
mod tests;
