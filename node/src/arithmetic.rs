//! The arithmetic, on a thread of its own: heartbeats and elections never wait for a
//! multiplication.

mod compute;
mod number;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use protocol::event::Task;
use protocol::message::Product;
use protocol::plan::OperationId;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::compute::compute;
use self::number::Primes;

/// Results are handed over in batches, but none waits longer than this for others.
const BATCH_TIME: Duration = Duration::from_micros(200);

/// Multiplying operands of up to this many bytes takes at most some 100 us.
const SHORT_BYTES: usize = 32 << 10;

/// Niceness of the arithmetic: threads that answer heartbeats and hold elections, of this node and of its peers on
/// the same cores, go first.
const NICENESS: libc::c_int = 5;

/// How long it computes before other such threads have their turn, on kernels with this setting (Linux 6.12). A
/// killed thread needs one more turn before it is dead, and its peers wait for that.
const SLICE_NS: u64 = 500_000;

/// The thread that computes, and the queue in front of it.
///
/// The thread exists only while this node is a worker: each thread needs a core once more before a killed process
/// is dead, and its peers would wait longest for one of lowered priority.
#[derive(Debug)]
pub(crate) struct Arithmetic {
    /// The queue of the thread, if there is one.
    requests: Option<mpsc::Sender<Request>>,
    /// Requests of an older round are dropped.
    round: Arc<AtomicU64>,
    finished: UnboundedSender<Vec<Product>>,
    results: UnboundedReceiver<Vec<Product>>,
    /// Why the last thread could not be started.
    failure: Option<io::Error>,
}

struct Request {
    round: u64,
    operation: OperationId,
    task: Task,
}

impl Arithmetic {
    pub(crate) fn new() -> Arithmetic {
        let (finished, results) = unbounded_channel();
        Arithmetic {
            requests: None,
            round: Arc::new(AtomicU64::new(0)),
            finished,
            results,
            failure: None,
        }
    }

    /// Requests an operation. [`Arithmetic::finished`] returns the product; if there will never be one,
    /// [`Arithmetic::check`] returns the reason.
    pub(crate) fn compute(&mut self, operation: OperationId, task: Task) {
        if self.requests.is_none() {
            match self.start() {
                Ok(requests) => self.requests = Some(requests),
                Err(error) => self.failure = Some(error),
            }
        }
        let round = self.round.load(Ordering::Relaxed);
        if let Some(requests) = &self.requests {
            // The thread lives as long as this end of the channel.
            let _ = requests.send(Request {
                round,
                operation,
                task,
            });
        }
    }

    fn start(&self) -> io::Result<mpsc::Sender<Request>> {
        let (requests, queue) = mpsc::channel();
        let finished = self.finished.clone();
        let current = Arc::clone(&self.round);
        thread::Builder::new()
            .name("arithmetic".to_owned())
            .spawn(move || {
                lower_priority();
                keep_memory();
                run(&queue, &finished, &current);
            })?;
        Ok(requests)
    }

    /// Ends the thread after its current operation.
    pub(crate) fn stop(&mut self) {
        self.cancel();
        self.requests = None;
    }

    /// Checks that all requested operations will be computed.
    ///
    /// # Errors
    ///
    /// The system refused a thread.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Drops all requests that have not begun.
    pub(crate) fn cancel(&self) {
        self.round.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for finished operations. Cancel safe.
    pub(crate) async fn finished(&mut self) -> Option<Vec<Product>> {
        self.results.recv().await
    }

    /// Finished operations, if there are any.
    pub(crate) fn try_finished(&mut self) -> Option<Vec<Product>> {
        self.results.try_recv().ok()
    }
}

/// Lowers the priority of this thread alone, and shortens its turns. If that is refused, the node still works.
fn lower_priority() {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: NICENESS,
        sched_priority: 0,
        sched_runtime: SLICE_NS,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the attributes are valid for reads of the size that they state; 0 is this thread.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result == -1 {
        tracing::debug!("the arithmetic keeps its priority");
    }
}

/// Makes the allocator keep the memory of large numbers: by default it returns each megabyte to the system, and
/// fetching it again, page by page, takes a quarter as long as the arithmetic.
fn keep_memory() {
    #[cfg(target_env = "gnu")]
    for (parameter, bytes) in [
        (libc::M_MMAP_THRESHOLD, 32 << 20),
        (libc::M_TRIM_THRESHOLD, 64 << 20),
    ] {
        // SAFETY: mallopt takes two numbers, and locks the allocator itself.
        unsafe { libc::mallopt(parameter, bytes) };
    }
}

fn run(
    queue: &mpsc::Receiver<Request>,
    finished: &UnboundedSender<Vec<Product>>,
    current: &AtomicU64,
) {
    let mut primes = Primes::default();
    while let Ok(first) = queue.recv() {
        let mut products = Vec::new();
        let begun = Instant::now();
        let mut next = Some(first);
        while let Some(request) = next {
            if request.round == current.load(Ordering::Relaxed) {
                if is_long(&request.task) && !products.is_empty() {
                    let before = std::mem::take(&mut products);
                    if finished.send(before).is_err() {
                        return;
                    }
                }
                let value = compute(request.task, &mut primes);
                products.push(Product {
                    operation: request.operation,
                    value,
                });
            }
            next = if begun.elapsed() < BATCH_TIME {
                queue.try_recv().ok()
            } else {
                None
            };
        }
        if !products.is_empty() && finished.send(products).is_err() {
            return;
        }
    }
}

/// Whether a task takes so long that finished results should not wait for it.
fn is_long(task: &Task) -> bool {
    let bytes = match task {
        Task::Numbers(_) | Task::Primes { .. } => 0,
        Task::Block { below, .. } => below.len(),
        Task::Products(values) | Task::Step(values) | Task::Join(values) => {
            values.iter().map(Bytes::len).sum()
        }
        Task::Part { .. } => return true,
    };
    bytes > SHORT_BYTES
}
