//! The jobs directory, on a thread of its own: one call after the other, each only while the
//! epoch in whose name it was asked for is still the highest that the node has seen, and while the
//! folders are the ones that were checked. What has to be on the disk is waited for elsewhere, while
//! the next calls are made.

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
use self::progress::{Progress, Watch};
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

/// Most threads that wait for the disk, and most that write large texts beside them.
const MOST_SYNCS: usize = 8;
const MOST_LARGE: usize = 2;
/// The names of the folders are looked at so often at most. What is held is safe without: they are
/// looked at to find what else has their names.
const LOOK_AFTER: Duration = Duration::from_millis(10);
/// While the node has not taken so many bytes of replies, no further call is made.
const MOST_UNREAD: usize = 4 << 20;

/// The thread that makes file calls, and the queue in front of it.
#[derive(Debug)]
pub(crate) struct Files {
    requests: mpsc::Sender<Request>,
    fence: Arc<Mutex<Epoch>>,
    told: UnboundedReceiver<Told>,
    unread: Arc<Unread>,
    calls: Progress,
    watch: Watch,
}

#[derive(Debug)]
struct Request {
    epoch: Epoch,
    tag: FileTag,
    call: FileCall,
    /// Written before the call is made.
    logged: Mark,
}

/// What the thread has to say.
#[derive(Debug)]
pub(crate) enum Told {
    /// A call ended.
    Reply(Event),
    /// Another folder stands under the name of one that was held, and was opened and checked.
    Replaced(Folder),
}

/// Bytes of replies that the node has not taken.
#[derive(Debug, Default)]
struct Unread {
    bytes: Mutex<usize>,
    taken: Condvar,
}

impl Files {
    /// Starts the thread on a jobs directory, which it opens at the first call. What it writes
    /// survives a stop of the machine only where it is to be `durable`.
    ///
    /// # Errors
    ///
    /// The system refuses another thread.
    pub(crate) fn start(jobs: PathBuf, durable: bool) -> io::Result<Files> {
        ignore_broken_leases()?;
        let (requests, queue) = mpsc::channel::<Request>();
        let (tell, told) = unbounded_channel();
        let fence = Arc::new(Mutex::new(Epoch::NONE));
        let unread = Arc::<Unread>::default();
        let calls = Progress::default();
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
            tell,
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
            told,
            unread,
            calls,
            watch: Watch::new(threads, Instant::now()),
        })
    }

    /// Asks for a call, to be made after those lines are written: a text that has its name was
    /// logged. The reply comes out of [`Files::told`].
    pub(crate) fn call(&self, epoch: Epoch, tag: FileTag, call: FileCall, logged: Mark) {
        self.calls.asked();
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

    /// Waits for what the thread has to say. Cancel safe.
    pub(crate) async fn told(&mut self) -> Option<Told> {
        let told = self.told.recv().await?;
        self.unread.take(&told);
        Some(told)
    }

    /// What the thread has to say, if there is anything.
    pub(crate) fn try_told(&mut self) -> Option<Told> {
        let told = self.told.try_recv().ok()?;
        self.unread.take(&told);
        Some(told)
    }

    /// When to look whether the calls come further, if any is open.
    pub(crate) fn look_due(&self) -> Option<Instant> {
        self.watch.due()
    }

    /// Whether the calls come further, if that is news.
    pub(crate) fn look(&mut self, now: Instant) -> Option<Event> {
        self.watch.look(now)
    }
}

/// A writer that opens a file just while a probe has its lease makes the system send SIGIO, of which
/// a process dies that has not asked for anything else.
fn ignore_broken_leases() -> io::Result<()> {
    // SAFETY: no handler is installed that could run in the middle of anything.
    unsafe { signal(Signal::SIGIO, SigHandler::SigIgn) }?;
    Ok(())
}

/// What the thread works with.
#[derive(Debug)]
struct Worker {
    folders: JobsFolder,
    /// When the names of the folders were looked at last and stood for what is held.
    looked: Option<Instant>,
    /// Why no call is made, as it was told.
    trouble: Option<String>,
    /// Of this thread.
    calls: Progress,
    /// For large texts the second. None where nothing has to survive a stop of the machine.
    syncs: Option<[Syncs; 2]>,
    highest: Arc<Mutex<Epoch>>,
    tell: UnboundedSender<Told>,
    unread: Arc<Unread>,
}

impl Worker {
    /// Makes a call, or finds that it is not to be made; an error if nobody listens any more.
    fn serve(&mut self, request: Request) -> Result<(), ()> {
        let Request {
            epoch,
            tag,
            call,
            logged,
        } = request;
        logged.wait();
        self.calls.moved();
        let highest = Arc::clone(&self.highest);
        let fence = Fence { epoch, highest };
        // It may take long, so the fence is looked at after it.
        let is_usable = fence.is_over() || self.has_folders()?;
        let (reply, unsynced) = if fence.is_over() {
            (FileReply::Fenced, None)
        } else if !is_usable {
            (FileReply::Unusable, None)
        } else {
            let made =
                make(&self.folders, call, &self.calls).and_then(|made| self.write_now(made, fence));
            made.unwrap_or_else(|error| {
                // A folder may be gone that was there a moment ago.
                self.looked = None;
                if error.raw_os_error() == Some(libc::ESTALE) {
                    self.folders.let_go();
                }
                (failed(&error), None)
            })
        };
        self.calls.done();
        match (&self.syncs, unsynced) {
            (Some([syncs, large]), Some(unsynced)) => {
                let (tell, unread) = (self.tell.clone(), Arc::clone(&self.unread));
                let then = move |synced: io::Result<()>| {
                    let reply = synced.map_or_else(|error| failed(&error), |()| reply);
                    // The node may have ended meanwhile.
                    let _ = send(&tell, &unread, Event::FileDone { epoch, tag, reply });
                };
                let is_large = matches!(&unsynced, Unsynced::Text(text) if text.is_large());
                let syncs = if is_large { large } else { syncs };
                syncs.sync(unsynced, Box::new(then));
                Ok(())
            }
            _ => send(
                &self.tell,
                &self.unread,
                Event::FileDone { epoch, tag, reply },
            ),
        }
    }

    /// Whether the folders are the ones that were checked, or others that stand the check. Tells once
    /// of what is in the way, and when it is gone.
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
                    self.tell.send(Told::Replaced(folder)).map_err(|_| ())?;
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

    /// Writes a text, unless it is large and written where it is synced.
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
        // Neither space, nor rights, nor a mount that comes back can change these.
        Some(Errno::ENAMETOOLONG | Errno::EILSEQ | Errno::EFBIG) => {
            FileReply::Never(error.to_string())
        }
        _ => FileReply::Failed(error.to_string()),
    }
}

fn send(tell: &UnboundedSender<Told>, unread: &Unread, event: Event) -> Result<(), ()> {
    let told = Told::Reply(event);
    unread.add(&told);
    tell.send(told).map_err(|_| ())
}

impl Told {
    /// Its size, roughly, in bytes.
    fn size(&self) -> usize {
        match self {
            Told::Reply(Event::FileDone { reply, .. }) => match reply {
                FileReply::Content(content) | FileReply::Unsettled { content, .. } => content.len(),
                FileReply::Listed(names) => names.iter().map(Vec::len).sum(),
                _ => 0,
            },
            _ => 0,
        }
    }
}

impl Unread {
    fn add(&self, told: &Told) {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) += told.size();
    }

    fn take(&self, told: &Told) {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) -= told.size();
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
