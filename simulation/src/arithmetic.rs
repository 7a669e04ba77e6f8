//! The arithmetic of a node: its thread, which computes one operation after the other, and the
//! numbers themselves.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use malachite_base::num::arithmetic::traits::{Factorial, Pow};
use malachite_nz::natural::Natural;
use protocol::event::Task;
use protocol::message::Product;
use protocol::packed::{pack, unpack};
use protocol::plan::conversion::Cut;
use protocol::plan::{Kind, OperationId};

use crate::chance::{Chance, Span};

/// Results are handed over together, but none waits longer than this for others.
const BATCH_TIME: Duration = Duration::from_micros(200);

/// Most results that are remembered for the next run that asks for the same.
const REMEMBERED: usize = 1 << 16;

/// The thread that computes, and the queue in front of it.
#[derive(Debug, Default)]
pub(crate) struct Arithmetic {
    queue: VecDeque<Request>,
    round: u64,
    /// What is being computed, handed over when its time has come.
    batch: Vec<(OperationId, Task)>,
}

#[derive(Debug)]
struct Request {
    round: u64,
    operation: OperationId,
    task: Task,
}

impl Arithmetic {
    pub(crate) fn ask(&mut self, operation: OperationId, task: Task) {
        let round = self.round;
        self.queue.push_back(Request {
            round,
            operation,
            task,
        });
    }

    /// What has not begun is dropped unseen.
    pub(crate) fn cancel(&mut self) {
        self.round += 1;
    }

    /// Begins with what waits, if nothing is being computed; returns how long that takes.
    pub(crate) fn begin(&mut self, chance: &mut Chance, span: Span) -> Option<Duration> {
        if !self.batch.is_empty() {
            return None;
        }
        let mut elapsed = Duration::ZERO;
        while (self.batch.is_empty() || elapsed < BATCH_TIME)
            && let Some(request) = self.queue.pop_front()
        {
            if request.round == self.round {
                elapsed += chance.duration(span);
                self.batch.push((request.operation, request.task));
            }
        }
        (!self.batch.is_empty()).then_some(elapsed)
    }

    /// What was begun is done.
    pub(crate) fn finish(&mut self) -> Vec<Product> {
        let finished = std::mem::take(&mut self.batch).into_iter();
        let product = |(operation, task)| Product {
            operation,
            value: compute(task),
        };
        finished.map(product).collect()
    }
}

/// What a task yields: little-endian bytes for a product, digits for a conversion.
///
/// Keyed by the values that go in, never by the operation's name: a task with the wrong operands
/// gives the wrong result here as there.
fn compute(task: Task) -> Bytes {
    thread_local! {
        static KNOWN: RefCell<HashMap<Task, Bytes>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        if let Some(value) = known.get(&task) {
            return value.clone();
        }
        let value = match &task {
            Task::Numbers(leaves) => join(leaves.iter().map(|numbers| {
                let numbers = numbers.clone().map(Natural::from);
                encode(&numbers.product())
            })),
            Task::Products(values) => encode(&values.iter().map(|value| decode(value)).product()),
            Task::Block { below, groups } => {
                let mut values = unpack(below).map(decode);
                join(groups.iter().map(|&group| {
                    let values = values.by_ref().take(usize::from(group));
                    encode(&values.product())
                }))
            }
            // Nothing is left out of the products here, so there is nothing to add.
            Task::Decimal { value, .. } => decode(value).to_string().into(),
            Task::Convert {
                operation,
                cut,
                operands,
            } => convert(*operation, *cut, operands),
        };
        if known.len() < REMEMBERED {
            known.insert(task, value.clone());
        }
        value
    })
}

/// An operation of a split conversion by its meaning alone. A fraction is the integer that its digits
/// make, so the reciprocal is of no use here but to be there.
fn convert(operation: OperationId, cut: Cut, operands: &[Bytes]) -> Bytes {
    let values: Vec<Natural> = operands.iter().map(|value| decode(value)).collect();
    let ten_to = |digits: u64| Natural::from(10u32).pow(digits);
    let width = cut.piece();
    // Products are whole here; what is converted has no zeros at its end.
    let zeros = ten_to(cut.left_out.fives);
    let value = match (operation.kind, operation.level, &values[..]) {
        (Kind::Power, 0, []) => Natural::from(5u32).pow(width),
        (Kind::Power, _, [power]) => power * power,
        (Kind::Reciprocal, _, [power]) => power << cut.half(),
        (Kind::Quotient, _, [n, reciprocal, _]) => n / zeros / reciprocal,
        (Kind::Fraction, 0, [quotient, _]) => quotient.clone(),
        (Kind::Fraction, 0, [n, quotient, reciprocal, _]) => n / zeros - quotient * reciprocal,
        (Kind::Fraction, _, [fraction, power]) => fraction % (power << (2 * width)),
        (Kind::Digits, _, [fraction, power @ ..]) => {
            let after = if operation.index % 4 < 2 { 3 } else { 1 } - power.len() as u64;
            let digits = fraction / ten_to(after * width) % ten_to(width);
            let text = format!("{:0>1$}", digits.to_string(), width as usize);
            let zeros = "0".repeat(cut.zeros_after(operation.index) as usize);
            return (text + &zeros).into();
        }
        _ => panic!("{operation:?} has {} operands", operands.len()),
    };
    encode(&value)
}

/// The digits of n!, by another way than the plan's.
pub(crate) fn factorial(n: u32) -> Bytes {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<u32, Bytes>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        let digits = || Natural::factorial(u64::from(n)).to_string().into();
        known.entry(n).or_insert_with(digits).clone()
    })
}

/// The product of a single operation by itself, those of a block packed.
fn join(mut products: impl ExactSizeIterator<Item = Bytes>) -> Bytes {
    match products.len() {
        1 => products.next().unwrap_or_default(),
        _ => pack(products),
    }
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
    let limbs = value.as_limbs_asc().iter();
    limbs.flat_map(|limb| limb.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use protocol::plan::conversion::LeftOut;

    use super::*;

    #[test]
    fn a_product_of_products_has_the_digits_of_the_factorial() {
        let leaves = [7..=10, 3..=6, 1..=2];
        let values = leaves.map(|numbers| compute(Task::Numbers(vec![numbers])));
        let product = compute(Task::Products(values.to_vec()));
        assert_eq!(
            compute(Task::Decimal {
                value: product,
                left_out: LeftOut::of(10),
            }),
            factorial(10)
        );
    }
}
