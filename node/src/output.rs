//! Standard output, on a thread of its own: a full or closed pipe never blocks a coordinator.

use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use nix::errno::Errno;
use nix::unistd::write;

/// Maximum number of bytes that wait for a reader; further lines are dropped, with a warning.
const LIMIT: usize = 16 << 20;
/// How long to wait for a reader.
const PATIENCE: Duration = Duration::from_millis(100);

/// The thread that writes lines, and the queue in front of it.
#[derive(Debug)]
pub(crate) struct Output {
    lines: mpsc::Sender<Bytes>,
    backlog: Arc<Backlog>,
    queued: u64,
    dropped: u64,
}

/// A position in the output: the lines queued before it was taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mark {
    lines: u64,
    backlog: Arc<Backlog>,
}

#[derive(Debug, Default)]
struct Backlog {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Lines that the thread has finished.
    written: u64,
    /// Bytes of the lines that it has not finished.
    waiting: usize,
    /// A wait for the reader has timed out, and there are still unread lines.
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
        let backlog = Arc::<Backlog>::default();
        let written = Arc::clone(&backlog);
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || run(&queue, &written))?;
        Ok(Output {
            lines,
            backlog,
            queued: 0,
            dropped: 0,
        })
    }

    /// Queues lines, each with its newline.
    pub(crate) fn write(&mut self, lines: Vec<Bytes>) {
        for line in lines {
            if !self.backlog.reserve(line.len()) {
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

    /// The current end of the queue.
    pub(crate) fn mark(&self) -> Mark {
        Mark {
            lines: self.queued,
            backlog: Arc::clone(&self.backlog),
        }
    }
}

impl Mark {
    /// Waits until the lines are written, at most 100 ms. After a timeout nobody waits again until the reader
    /// has read everything.
    pub(crate) fn wait(&self) {
        let waited =
            self.backlog
                .moved
                .wait_timeout_while(self.backlog.lock(), PATIENCE, |state| {
                    state.written < self.lines && !state.behind
                });
        let (mut state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        state.behind |= timeout.timed_out();
    }
}

impl Backlog {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves room for a line, if there is any; an empty queue takes a line of any length.
    fn reserve(&self, bytes: usize) -> bool {
        let mut state = self.lock();
        let room = state.waiting == 0 || state.waiting + bytes <= LIMIT;
        if room {
            state.waiting += bytes;
        }
        room
    }

    fn finish(&self, bytes: usize) {
        let mut state = self.lock();
        state.written += 1;
        state.waiting -= bytes;
        state.behind &= state.waiting > 0;
        self.moved.notify_all();
    }
}

fn run(queue: &mpsc::Receiver<Bytes>, backlog: &Backlog) {
    let mut warned = false;
    while let Ok(line) = queue.recv() {
        if let Err(error) = write_line(&line)
            && !std::mem::replace(&mut warned, true)
        {
            tracing::warn!(
                "cannot write to standard output: {error}; the results are in the jobs directory"
            );
        }
        backlog.finish(line.len());
    }
}

/// One write per line, so that lines of several processes do not mix; more only if the system took a
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
        let backlog = Arc::<Backlog>::default();
        assert!(backlog.reserve(1) && backlog.reserve(1));
        let mark = Mark {
            lines: 2,
            backlog: Arc::clone(&backlog),
        };
        let waiter = thread::spawn(move || {
            mark.wait();
            mark.backlog.lock().written
        });
        backlog.finish(1);
        backlog.finish(1);
        assert_eq!(waiter.join().unwrap(), 2);
    }

    #[test]
    fn one_line_may_be_longer_than_all_that_may_wait() {
        let backlog = Backlog::default();
        assert!(backlog.reserve(LIMIT + 1));
        assert!(!backlog.reserve(1), "another waits for it");
        backlog.finish(LIMIT + 1);
        assert!(backlog.reserve(1));
    }

    #[test]
    fn nobody_waits_twice_for_a_reader_that_does_not_read() {
        let backlog = Arc::<Backlog>::default();
        let mark = Mark {
            lines: 2,
            backlog: Arc::clone(&backlog),
        };
        assert!(backlog.reserve(1) && backlog.reserve(1));
        mark.wait();
        assert!(backlog.lock().behind, "it waited, in vain");
        mark.wait();
        backlog.finish(1);
        assert!(backlog.lock().behind, "one line is left to read");
        backlog.finish(1);
        assert!(!backlog.lock().behind, "it has read all");
    }
}
