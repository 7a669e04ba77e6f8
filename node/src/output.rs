//! Standard output, on a thread of its own: a full or closed pipe never stops a coordinator.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nix::errno::Errno;
use nix::unistd::write;

/// Most bytes of lines that wait for a reader; what comes then is dropped, with a warning.
const LIMIT: usize = 16 << 20;

/// The thread that writes lines, and the queue in front of it.
#[derive(Debug)]
pub(crate) struct Output {
    lines: mpsc::Sender<Bytes>,
    waiting: Arc<AtomicUsize>,
    dropped: u64,
}

impl Output {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The system refuses another thread.
    pub(crate) fn start() -> std::io::Result<Output> {
        let (lines, queue) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let written = Arc::clone(&waiting);
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || run(&queue, &written))?;
        Ok(Output {
            lines,
            waiting,
            dropped: 0,
        })
    }

    /// Queues lines, each with its newline.
    pub(crate) fn write(&mut self, lines: Vec<Bytes>) {
        for line in lines {
            if self.waiting.load(Ordering::Relaxed) + line.len() > LIMIT {
                if self.dropped == 0 {
                    tracing::warn!(
                        "nobody reads standard output: result lines are dropped; the results are in the jobs directory"
                    );
                }
                self.dropped += 1;
                continue;
            }
            self.waiting.fetch_add(line.len(), Ordering::Relaxed);
            // The thread lives as long as this end of the channel.
            let _ = self.lines.send(line);
        }
    }

    /// Waits until all lines are written, or for `patience`.
    pub(crate) fn drain(&self, patience: Duration) {
        let begun = Instant::now();
        while self.waiting.load(Ordering::Acquire) > 0 && begun.elapsed() < patience {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn run(queue: &mpsc::Receiver<Bytes>, waiting: &AtomicUsize) {
    let mut warned = false;
    while let Ok(line) = queue.recv() {
        if let Err(error) = write_line(&line)
            && !std::mem::replace(&mut warned, true)
        {
            tracing::warn!(
                "cannot write to standard output: {error}; the results are in the jobs directory"
            );
        }
        waiting.fetch_sub(line.len(), Ordering::Release);
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
