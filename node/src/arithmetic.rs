//! The arithmetic, on a thread of its own: heartbeats and elections never wait for a
//! multiplication.

mod decimal;

use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use malachite_nz::natural::Natural;
use protocol::event::Task;
use protocol::message::Product;
use protocol::packed::{pack, unpack};
use protocol::plan::conversion::Cut;
use protocol::plan::{Kind, OperationId};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use self::decimal::Piece;

/// Results are handed over together, but none waits longer than this for others.
const BATCH_TIME: Duration = Duration::from_micros(200);

/// Operands of up to so many bytes are multiplied within some 100 us.
const SHORT_BYTES: usize = 32 << 10;

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
                keep_memory();
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

/// Has the allocator keep what large numbers used: by default it gives back each megabyte to the
/// system, and fetching it again, a page at a time, takes a quarter as long as the arithmetic.
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

/// Whether a task takes so long that nothing finished should wait for it.
fn is_long(task: &Task) -> bool {
    let bytes = match task {
        Task::Numbers(_) => 0,
        Task::Products(values) => values.iter().map(Bytes::len).sum(),
        Task::Block { below, .. } => below.len(),
        Task::Decimal { value, .. } => value.len(),
        Task::Convert { .. } => return true,
    };
    bytes > SHORT_BYTES
}

/// Computes an operation, or a block of them. Products are little-endian bytes without zeros at the
/// end, and lack the factors of two and five; the result of a conversion is ASCII digits.
pub(crate) fn compute(task: Task) -> Bytes {
    match task {
        Task::Numbers(leaves) => join(leaves.into_iter().map(multiply_numbers)),
        Task::Products(values) => {
            let values = values.iter().map(|value| decode(value));
            encode(&multiply(values.collect())).into()
        }
        Task::Block { below, groups } => {
            let mut values = unpack(&below).map(decode);
            let products = groups.into_iter().map(|group| {
                let values = values.by_ref().take(usize::from(group));
                encode(&multiply(values.collect()))
            });
            join(products)
        }
        Task::Decimal { value, left_out } => {
            let mut text = (decode(&value) << left_out.shift())
                .to_string()
                .into_bytes();
            add_zeros(&mut text, left_out.fives);
            text.into()
        }
        Task::Convert {
            operation,
            cut,
            operands,
        } => convert(operation, cut, &operands),
    }
}

/// Computes an operation of a split conversion; nothing, where operands are missing.
fn convert(operation: OperationId, cut: Cut, operands: &[Bytes]) -> Bytes {
    let half = cut.half();
    let whole = |product: &Natural| product << cut.left_out.shift();
    let values: Vec<Natural> = operands.iter().map(|value| decode(value)).collect();
    let value = match (operation.kind, &values[..]) {
        (Kind::Power, []) => decimal::power_of_five(cut.piece()),
        (Kind::Power, [power]) => decimal::square(power),
        (Kind::Reciprocal, [power]) => decimal::reciprocal(power, half),
        (Kind::Quotient, [product, reciprocal, power]) => {
            decimal::quotient(&whole(product), reciprocal, power, half)
        }
        (Kind::Fraction, [quotient, reciprocal]) if operation.level == 0 => {
            decimal::first_half(quotient, reciprocal, half)
        }
        (Kind::Fraction, [product, quotient, reciprocal, power]) => {
            decimal::second_half(&whole(product), quotient, reciprocal, power, half)
        }
        (Kind::Fraction, [fraction, power]) => decimal::rest(fraction, power, half, half / 2),
        (Kind::Digits, [fraction, power @ ..]) => {
            return digits(operation, cut, fraction, power.first()).into();
        }
        _ => return Bytes::new(),
    };
    encode(&value).into()
}

fn digits(
    operation: OperationId,
    cut: Cut,
    fraction: &Natural,
    power: Option<&Natural>,
) -> Vec<u8> {
    let piece = Piece {
        digits: if operation.index % 4 < 2 {
            cut.half()
        } else {
            cut.half() / 2
        },
        skipped: if power.is_some() { cut.piece() } else { 0 },
        stretch: cut.stretch,
        doublings: cut.doublings,
    };
    let mut text = decimal::digits(fraction, power.unwrap_or(&Natural::from(1u32)), piece);
    add_zeros(&mut text, cut.zeros_after(operation.index));
    text
}

fn add_zeros(text: &mut Vec<u8>, count: u64) {
    text.resize(text.len() + count as usize, b'0');
}

/// The product of a single operation by itself, those of a block packed.
fn join(mut products: impl ExactSizeIterator<Item = Vec<u8>>) -> Bytes {
    if products.len() == 1 {
        products.next().unwrap_or_default().into()
    } else {
        pack(products)
    }
}

/// Multiplies at most four numbers, which are at least 1, without their factors of two and five.
fn multiply_numbers(numbers: RangeInclusive<u32>) -> Vec<u8> {
    // Four numbers below 2^32 fit 128 bits.
    let product: u128 = numbers.map(|number| u128::from(reduce(number))).product();
    trim(product.to_le_bytes().to_vec())
}

fn reduce(number: u32) -> u32 {
    let mut left = number >> number.trailing_zeros();
    while left.is_multiple_of(5) {
        left /= 5;
    }
    left
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
    let (limbs, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let last = (!rest.is_empty()).then_some(&last);
    let limbs = limbs.iter().chain(last).copied().map(u64::from_le_bytes);
    Natural::from_owned_limbs_asc(limbs.collect())
}

fn encode(value: &Natural) -> Vec<u8> {
    let limbs = value.as_limbs_asc();
    let mut bytes = Vec::with_capacity(limbs.len() * 8);
    for limb in limbs {
        bytes.extend_from_slice(&limb.to_le_bytes());
    }
    trim(bytes)
}

/// Cuts the zeros off at the end.
fn trim(mut bytes: Vec<u8>) -> Vec<u8> {
    let used = bytes.iter().rposition(|&byte| byte != 0);
    bytes.truncate(used.map_or(0, |last| last + 1));
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use malachite_base::num::arithmetic::traits::{Factorial, Pow};
    use protocol::plan::Shape;
    use protocol::plan::conversion::LeftOut;

    use super::*;

    fn numbers(numbers: RangeInclusive<u32>) -> Bytes {
        compute(Task::Numbers(vec![numbers]))
    }

    fn decimal(value: Bytes, twos: u64, fives: u64) -> Bytes {
        let left_out = LeftOut { twos, fives };
        compute(Task::Decimal { value, left_out })
    }

    #[test]
    fn multiplies_numbers_up_to_the_largest_four() {
        assert_eq!(numbers(7..=10), [63].as_slice());
        assert_eq!(decimal(numbers(7..=10), 4, 1), "5040");
        // Of these four, one has a factor of two, another has two, and one has one of five.
        let top = u128::from(u32::MAX);
        let largest = (top * (top - 1) * (top - 2) * (top - 3)).to_string();
        let product = numbers(u32::MAX - 3..=u32::MAX);
        assert_eq!(decimal(product, 3, 1), largest);
    }

    #[test]
    fn no_number_at_all_gives_one() {
        assert_eq!(decimal(numbers(RangeInclusive::new(1, 0)), 0, 0), "1");
    }

    #[test]
    fn multiplies_one_to_four_products() {
        let leaves = [numbers(7..=10), numbers(3..=6), numbers(1..=2)];
        let product = compute(Task::Products(leaves.to_vec()));
        assert_eq!(decimal(product.clone(), 8, 2), "3628800");
        assert_eq!(compute(Task::Products(vec![product.clone()])), product);
        let fourth = compute(Task::Products(vec![product.clone(); 4]));
        assert_eq!(decimal(fourth, 32, 8), 3_628_800_u128.pow(4).to_string());
    }

    #[test]
    fn a_block_gives_what_its_operations_give_one_by_one() {
        let leaves = vec![7..=10, 3..=6, 1..=2];
        let block = compute(Task::Numbers(leaves.clone()));
        let single: Vec<Bytes> = leaves.into_iter().map(numbers).collect();
        assert!(unpack(&block).eq(single.iter().map(|value| &value[..])));
        let groups = vec![2, 1];
        let block = compute(Task::Block {
            below: block,
            groups,
        });
        let expected = [single[..2].to_vec(), single[2..].to_vec()].map(Task::Products);
        assert!(unpack(&block).eq(expected.map(compute).iter().map(|value| &value[..])));
        let root = compute(Task::Block {
            below: block,
            groups: vec![2],
        });
        assert_eq!(decimal(root, 8, 2), "3628800");
    }

    /// The digits of n! by a split conversion, operation by operation.
    fn converted(n: u32) -> Vec<u8> {
        let shape = Shape {
            split_from: Some(0),
            ..Shape::SINGLE
        };
        let plan = shape.plan(n);
        let mut product = Natural::factorial(u64::from(n));
        let LeftOut { twos, fives } = LeftOut::of(n);
        product >>= twos;
        product /= Natural::from(5u32).pow(fives);
        let product = encode(&product);
        let mut values = BTreeMap::from([(plan.root(), Bytes::from(product))]);
        for operation in plan.conversion() {
            let operands = plan.operands(operation);
            let operands = operands.products().iter().map(|id| values[id].clone());
            let value = compute(Task::Convert {
                operation,
                cut: plan.cut(),
                operands: operands.collect(),
            });
            values.insert(operation, value);
        }
        let pieces = plan.digits().flat_map(|id| values[&id].to_vec());
        pieces.skip_while(|&digit| digit == b'0').collect()
    }

    #[test]
    fn a_split_conversion_gives_the_digits_of_every_factorial() {
        for n in (0..=400).chain([1_000, 4_321, 20_000, 54_321]) {
            let expected = Natural::factorial(u64::from(n)).to_string();
            assert!(converted(n) == expected.as_bytes(), "{n}!");
        }
    }
}
