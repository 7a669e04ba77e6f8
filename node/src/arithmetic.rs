//! The arithmetic, on a thread of its own: heartbeats and elections never wait for a
//! multiplication.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use malachite_nz::natural::Natural;
use protocol::event::Task;
use protocol::message::Product;
use protocol::plan::OperationId;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Results are handed over together, but none waits longer than this for others.
const BATCH_TIME: Duration = Duration::from_micros(200);

/// How far the arithmetic steps back behind threads that answer heartbeats and hold elections, of
/// this node and of its peers on the same cores.
const NICENESS: libc::c_int = 5;

/// How long it computes before others of its kind have their turn, on kernels that can be told
/// (Linux 6.12). One that has been killed needs its turn to be dead, and its peers wait for that.
const SLICE_NS: u64 = 500_000;

/// The thread that computes, and the queue in front of it.
///
/// There is a thread only while this node works: each thread has to get a core once more before a
/// killed process is dead, so that its peers wait longest for one of lowered priority.
#[derive(Debug)]
pub(crate) struct Arithmetic {
    /// To the thread, if there is one.
    requests: Option<mpsc::Sender<Request>>,
    /// Requests of an older round are dropped unseen.
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

    /// Asks for an operation; the product comes out of [`Arithmetic::finished`], or the reason why
    /// it never will out of [`Arithmetic::check`].
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
                step_back();
                run(&queue, &finished, &current);
            })?;
        Ok(requests)
    }

    /// Ends the thread, after what it has begun.
    pub(crate) fn rest(&mut self) {
        self.cancel();
        self.requests = None;
    }

    /// Whether all that was asked for will be computed.
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

/// Lowers the priority of this thread alone, and has it take turns often. Where that is refused the
/// node works all the same.
fn step_back() {
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

fn run(
    queue: &mpsc::Receiver<Request>,
    finished: &UnboundedSender<Vec<Product>>,
    current: &AtomicU64,
) {
    while let Ok(first) = queue.recv() {
        let mut products = Vec::new();
        let begun = Instant::now();
        let mut next = Some(first);
        while let Some(request) = next {
            if request.round == current.load(Ordering::Relaxed) {
                let value = compute(request.task);
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

/// Computes an operation. Products are little-endian bytes without zeros at the end; the result of
/// a conversion is ASCII digits.
pub(crate) fn compute(task: Task) -> Bytes {
    match task {
        Task::Numbers(numbers) => {
            // Four numbers below 2^32 fit 128 bits.
            let product: u128 = numbers.into_iter().map(u128::from).product();
            let bytes = product.to_le_bytes();
            let used = bytes
                .iter()
                .rposition(|&byte| byte != 0)
                .map_or(0, |last| last + 1);
            Bytes::copy_from_slice(&bytes[..used])
        }
        Task::Products(values) => encode(&multiply(
            values.iter().map(|value| decode(value)).collect(),
        )),
        Task::Decimal(value) => decode(&value).to_string().into(),
    }
}

/// Multiplies in pairs: operands of like size are multiplied fastest.
fn multiply(mut values: Vec<Natural>) -> Natural {
    while values.len() > 1 {
        let mut pairs = values.into_iter();
        let mut products = Vec::with_capacity(2);
        while let Some(left) = pairs.next() {
            products.push(match pairs.next() {
                Some(right) => left * right,
                None => left,
            });
        }
        values = products;
    }
    values.pop().unwrap_or_else(|| Natural::from(1u32))
}

fn decode(bytes: &[u8]) -> Natural {
    let limbs = bytes.chunks(8).map(|chunk| {
        let mut limb = [0; 8];
        limb[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(limb)
    });
    Natural::from_owned_limbs_asc(limbs.collect())
}

fn encode(value: &Natural) -> Bytes {
    let mut bytes: Vec<u8> = value
        .as_limbs_asc()
        .iter()
        .flat_map(|limb| limb.to_le_bytes())
        .collect();
    let used = bytes
        .iter()
        .rposition(|&byte| byte != 0)
        .map_or(0, |last| last + 1);
    bytes.truncate(used);
    bytes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(numbers: &[u32]) -> Bytes {
        compute(Task::Numbers(numbers.to_vec()))
    }

    #[test]
    fn multiplies_numbers_up_to_the_largest_four() {
        assert_eq!(compute(Task::Decimal(numbers(&[10, 9, 8, 7]))), "5040");
        let largest = u128::from(u32::MAX).pow(4).to_string();
        assert_eq!(compute(Task::Decimal(numbers(&[u32::MAX; 4]))), largest);
    }

    #[test]
    fn no_number_at_all_gives_one() {
        assert_eq!(compute(Task::Decimal(numbers(&[]))), "1");
    }

    #[test]
    fn multiplies_one_to_four_products() {
        let leaves = [
            numbers(&[10, 9, 8, 7]),
            numbers(&[6, 5, 4, 3]),
            numbers(&[2, 1]),
        ];
        let product = compute(Task::Products(leaves.to_vec()));
        assert_eq!(compute(Task::Decimal(product.clone())), "3628800");
        assert_eq!(compute(Task::Products(vec![product.clone()])), product);
        let fourth = compute(Task::Products(vec![product.clone(); 4]));
        assert_eq!(
            compute(Task::Decimal(fourth)),
            3_628_800_u128.pow(4).to_string()
        );
    }
}
