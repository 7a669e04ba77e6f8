//! Standard output, on a thread of its own: a full or closed pipe never stops a coordinator.

use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use nix::errno::Errno;
use nix::unistd::write;

/// Most bytes of lines that wait for a reader; what comes then is dropped, with a warning.
const LIMIT: usize = 16 << 20;
/// How long anybody waits for a reader.
const PATIENCE: Duration = Duration::from_millis(100);

/// The thread that writes lines, and the queue in front of it.
#[derive(Debug)]
pub(crate) struct Output {
    lines: mpsc::Sender<Bytes>,
    progress: Arc<Progress>,
    queued: u64,
    dropped: u64,
}

/// The lines that were queued before it was taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark {
    lines: u64,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Lines that the thread is done with.
    written: u64,
    /// Bytes of the lines that it is not done with.
    waiting: usize,
    /// Somebody has waited in vain for the reader, and there are still lines to be read.
    behind: bool,
}

impl Output {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system refuses another thread.
    pub(crate) fn start() -> std::io::Result<Output> {
        let (lines, queue) = mpsc::channel();
        let progress = Arc::<Progress>::default();
        let written = Arc::clone(&progress);
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || run(&queue, &written))?;
        Ok(Output {
            lines,
            progress,
            queued: 0,
            dropped: 0,
        })
    }

    /// Queues lines, each with its newline.
    pub(crate) fn write(&mut self, lines: Vec<Bytes>) {
        for line in lines {
            if !self.progress.takes(line.len()) {
                if self.dropped == 0 {
                    tracing::warn!(
                        "nobody reads standard output: result lines are dropped; the results are in the jobs directory"
                    );
                }
                self.dropped += 1;
                continue;
            }
            self.queued += 1;
            // The thread lives as long as this end of the channel.
            let _ = self.lines.send(line);
        }
    }

    /// The lines that are queued by now.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            lines: self.queued,
            progress: Arc::clone(&self.progress),
        }
    }
}

impl Mark {
    /// Waits until the lines are written, 100 ms at most. Nobody waits again for a reader that was
    /// waited for in vain, until it has read all there is.
    pub(crate) fn wait(&self) {
        let waited =
            self.progress
                .moved
                .wait_timeout_while(self.progress.lock(), PATIENCE, |state| {
                    state.written < self.lines && !state.behind
                });
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state.behind |= timeout.timed_out();
    }
}

impl Progress {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a line that is to be written, if there is room for it; for one there always is.
    fn takes(&self, bytes: usize) -> bool {
        let mut state = self.lock();
        let room = state.waiting == 0 || state.waiting + bytes <= LIMIT;
        if room {
            state.waiting += bytes;
        }
        room
    }

    fn wrote(&self, bytes: usize) {
        let mut state = self.lock();
        state.written += 1;
        state.waiting -= bytes;
        state.behind &= state.waiting > 0;
        self.moved.notify_all();
    }
}

fn run(queue: &mpsc::Receiver<Bytes>, progress: &Progress) {
    let mut warned = false;
    while let Ok(line) = queue.recv() {
        if let Err(error) = write_line(&line)
            && !std::mem::replace(&mut warned, true)
        {
            tracing::warn!(
                "cannot write to standard output: {error}; the results are in the jobs directory"
            );
        }
        progress.wrote(line.len());
    }
}

/// One write a line, so that lines of several processes do not mix; more only if the system took
/// part of it.
fn write_line(mut line: &[u8]) -> nix::Result<()> {
    let stdout = std::io::stdout();
    while !line.is_empty() {
        match write(stdout.as_fd(), line) {
            Ok(written) => line = &line[written..],
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_waits_for_the_lines_before_it() {
        let progress = Arc::<Progress>::default();
        assert!(progress.takes(1) && progress.takes(1));
        let mark = Mark {
            lines: 2,
            progress: Arc::clone(&progress),
        };
        let waiter = thread::spawn(move || {
            mark.wait();
            mark.progress.lock().written
        });
        progress.wrote(1);
        progress.wrote(1);
        assert_eq!(waiter.join().unwrap(), 2);
    }

    #[test]
    fn one_line_may_be_longer_than_all_that_may_wait() {
        let progress = Progress::default();
        assert!(progress.takes(LIMIT + 1));
        assert!(!progress.takes(1), "another waits for it");
        progress.wrote(LIMIT + 1);
        assert!(progress.takes(1));
    }

    #[test]
    fn nobody_waits_twice_for_a_reader_that_does_not_read() {
        let progress = Arc::<Progress>::default();
        let mark = Mark {
            lines: 2,
            progress: Arc::clone(&progress),
        };
        assert!(progress.takes(1) && progress.takes(1));
        mark.wait();
        assert!(progress.lock().behind, "it waited, in vain");
        mark.wait();
        progress.wrote(1);
        assert!(progress.lock().behind, "one line is left to read");
        progress.wrote(1);
        assert!(!progress.lock().behind, "it has read all");
    }
}
