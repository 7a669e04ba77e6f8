//! Syncs, several at a time: the system combines simultaneous syncs into one commit, and no call waits
//! for the sync of another.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::unistd::fsync;
use protocol::file::Folder;

use super::progress::CallProgress;
use super::text::Text;

/// Maximum number of bytes of a file that one call waits for, as in [`super::text::AT_ONCE`].
const PIECE: usize = 1 << 20;

/// What must reach the disk.
#[derive(Debug)]
pub(super) enum Unsynced {
    /// A text, to be written first if that has not been done.
    Text(Text),
    /// Folders in which something was renamed.
    Folders(Vec<(Folder, Arc<OwnedFd>)>),
}

/// Called with the result, on the thread that synced.
type Then = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Syncs that wait for a thread, and the number of threads.
#[derive(Clone)]
pub(super) struct Syncs {
    state: Arc<Mutex<State>>,
    most_threads: usize,
    progress: CallProgress,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Unsynced, Then)>,
    threads: usize,
}

impl fmt::Debug for Syncs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Syncs").finish_non_exhaustive()
    }
}

impl Syncs {
    /// Uses at most this many threads. There is none while there is nothing to
    /// sync: a killed process is dead only when each of its threads is.
    pub(super) fn new(most_threads: usize) -> Syncs {
        Syncs {
            state: Arc::default(),
            most_threads,
            progress: CallProgress::default(),
        }
    }

    /// The progress of its threads.
    pub(super) fn progress(&self) -> CallProgress {
        self.progress.clone()
    }

    /// Syncs, and then calls `then` with the result. Returns before that, unless the system refuses a thread.
    pub(super) fn sync(&self, what: Unsynced, then: Then) {
        self.progress.queued();
        let needs_thread = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.waiting.push_back((what, then));
            let room = state.threads < self.most_threads;
            state.threads += usize::from(room);
            room
        };
        if !needs_thread {
            return;
        }
        let own = self.clone();
        let started = thread::Builder::new()
            .name("sync".to_owned())
            .spawn(move || own.run());
        if started.is_err() {
            self.run();
        }
    }

    /// Syncs until the queue is empty.
    fn run(&self) {
        while let Some((mut what, then)) = self.next() {
            self.progress.advanced();
            let synced = what.sync(&self.progress);
            self.progress.finished();
            then(synced);
        }
    }

    /// The next sync; if there is none, this thread ends.
    fn next(&self) -> Option<(Unsynced, Then)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let next = state.waiting.pop_front();
        state.threads -= usize::from(next.is_none());
        next
    }
}

impl Unsynced {
    fn sync(&mut self, progress: &CallProgress) -> io::Result<()> {
        match self {
            Unsynced::Text(text) => {
                text.write(progress)?;
                write_back(&text.file, progress)?;
                text.file.sync_all()
            }
            Unsynced::Folders(folders) => {
                // Each of them, even if another fails.
                let results: Vec<io::Result<()>> = folders.iter().map(sync_folder).collect();
                results.into_iter().collect()
            }
        }
    }
}

fn sync_folder((folder, fd): &(Folder, Arc<OwnedFd>)) -> io::Result<()> {
    fsync(fd).map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("{folder}: {error}"))
    })
}

/// Writes back the data of a large file, and waits for each piece separately, which leaves little for
/// the sync: the process cannot be stopped during a sync, so the supervisor would learn of a stop only later.
fn write_back(file: &File, progress: &CallProgress) -> io::Result<()> {
    let size = file.metadata()?.len();
    if size <= PIECE as u64 {
        return Ok(());
    }
    for step in [
        libc::SYNC_FILE_RANGE_WRITE,
        libc::SYNC_FILE_RANGE_WAIT_BEFORE,
    ] {
        for start in (0..size).step_by(PIECE) {
            // SAFETY: numbers are all that it takes, and the file is open.
            let result = unsafe {
                libc::sync_file_range(file.as_raw_fd(), start as i64, PIECE as i64, step)
            };
            let error = io::Error::last_os_error();
            progress.advanced();
            if result == -1 {
                return match error.raw_os_error() {
                    // Not supported for this file, or here: the sync does it all.
                    Some(libc::ENOSYS | libc::EINVAL | libc::ESPIPE | libc::EPERM) => Ok(()),
                    // The sync would not report it again.
                    _ => Err(error),
                };
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write;
    use std::path::Path;
    use std::sync::mpsc;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn large_files_are_synced_too() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'7'; 3 * PIECE + 1]).unwrap();
        write_back(&file, &CallProgress::default()).unwrap();
        file.sync_all().unwrap();
    }

    fn folders(path: &Path) -> Unsynced {
        Unsynced::Folders(vec![(
            Folder::Done,
            Arc::new(File::open(path).unwrap().into()),
        )])
    }

    #[test]
    fn a_folder_that_cannot_be_synced_is_named_and_keeps_no_other_from_it() {
        let null = || Arc::new(File::open("/dev/null").unwrap().into());
        let mut folders = Unsynced::Folders(vec![(Folder::Failed, null()), (Folder::Done, null())]);
        let error = folders
            .sync(&CallProgress::default())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("the folder failed/: "), "{error}");
    }

    #[test]
    fn every_sync_is_told_once_and_no_thread_stays() {
        let folder = tempfile::tempdir().unwrap();
        let syncs = Syncs::new(8);
        let (told, results) = mpsc::channel();
        for index in 0..100 {
            let told = told.clone();
            let what = match index % 10 {
                0 => folders(folder.path()),
                // A pipe or a device cannot be synced.
                1 => folders(Path::new("/dev/null")),
                _ => {
                    let file = folder.path().join(index.to_string());
                    File::create(&file).unwrap();
                    folders(&file)
                }
            };
            let then = move |result: io::Result<()>| told.send((index, result.is_ok())).unwrap();
            syncs.sync(what, Box::new(then));
        }
        let all = (0..100).map(|_| results.recv_timeout(Duration::from_secs(60)).unwrap());
        let all: BTreeSet<(u32, bool)> = all.collect();
        assert!(
            all.into_iter()
                .eq((0..100).map(|index| (index, index % 10 != 1)))
        );
        drop(told);
        // The last thread has dropped what it was to call, and counts no more soon after.
        let deadline = Instant::now() + Duration::from_secs(60);
        while syncs.state.lock().unwrap().threads > 0 {
            assert!(Instant::now() < deadline, "a thread stays");
            thread::yield_now();
        }
    }
}
