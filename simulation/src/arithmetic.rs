//! The arithmetic of a node: its thread, which computes one operation after the other, and the
//! numbers themselves.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use malachite_base::num::arithmetic::traits::Factorial;
use malachite_base::num::conversion::traits::Digits;
use malachite_nz::natural::Natural;
use protocol::event::Task;
use protocol::message::Product;
use protocol::packed::{pack, unpack};
use protocol::plan::{OperationId, PARTS};

use crate::chance::{Chance, Span};

/// Results are handed over together, but none waits longer than this for others.
const BATCH_TIME: Duration = Duration::from_micros(200);

/// Most results that are remembered for the next run that asks for the same.
const REMEMBERED: usize = 1 << 16;

/// The base in which products are written.
const BASE: u64 = 10_000_000_000_000_000;

/// Some primes, the smallest first.
type Primes = Rc<[u32]>;

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

/// What a task yields, in the form that products have.
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
            Task::Numbers(leaves) => block(leaves.iter().map(|numbers| {
                let numbers = numbers.clone().map(Natural::from);
                encode(&numbers.product())
            })),
            Task::Primes { n, bit, leaves } => {
                let primes = primes(*n, *bit);
                block(leaves.clone().map(|leaf| {
                    let leaf = primes.iter().skip(4 * leaf as usize).take(4);
                    encode(&leaf.copied().map(Natural::from).product())
                }))
            }
            Task::Products(values) => encode(&values.iter().map(|value| decode(value)).product()),
            Task::Block { below, groups } => {
                let mut values = unpack(below).map(decode);
                block(groups.iter().map(|&group| {
                    let values = values.by_ref().take(usize::from(group));
                    encode(&values.product())
                }))
            }
            Task::Step(values) => encode(&step(values)),
            Task::Part {
                step: values,
                index,
            } => {
                let whole = encode(&step(values));
                [&[*index], &whole[..]].concat().into()
            }
            Task::Join(parts) => join(parts),
        };
        if known.len() < REMEMBERED {
            known.insert(task, value.clone());
        }
        value
    })
}

/// F · (F · P).
fn step(values: &[Bytes]) -> Natural {
    let first = values.first().into_iter();
    values
        .iter()
        .chain(first)
        .map(|value| decode(value))
        .product()
}

/// A part is the whole of its step here, behind which one it is. So the step comes of all of its parts, each
/// once, and of nothing else; anything else gives 0.
fn join(parts: &[Bytes]) -> Bytes {
    let whole = parts
        .first()
        .and_then(|part| part.get(1..))
        .unwrap_or_default();
    let wanted = (0..PARTS as u8).map(|index| [&[index], whole].concat());
    if wanted.eq(parts.iter().map(|part| part.to_vec())) {
        Bytes::copy_from_slice(whole)
    } else {
        Bytes::new()
    }
}

/// The primes up to n whose exponent in n!, tens left out, has a bit, the smallest first.
pub(crate) fn primes(n: u32, bit: u8) -> Primes {
    thread_local! {
        static KNOWN: RefCell<BTreeMap<(u32, u8), Primes>> = RefCell::default();
    }
    let find = || {
        let all = exponents(n);
        let tens = all.get(&5).copied().unwrap_or(0);
        let left = all.into_iter().map(|(prime, exponent)| match prime {
            2 | 5 => (prime, exponent - tens),
            _ => (prime, exponent),
        });
        let has_bit =
            |&(_, exponent): &(_, u32)| exponent.checked_shr(bit.into()).unwrap_or(0) % 2 == 1;
        left.filter(has_bit).map(|(prime, _)| prime).collect()
    };
    KNOWN.with_borrow_mut(|known| known.entry((n, bit)).or_insert_with(find).clone())
}

/// How often each prime goes into n!: what it does into each number.
pub(crate) fn exponents(n: u32) -> BTreeMap<u32, u32> {
    let mut exponents = BTreeMap::new();
    for number in 2..=n {
        let mut rest = number;
        for divisor in 2..=number {
            while rest % divisor == 0 {
                rest /= divisor;
                *exponents.entry(divisor).or_insert(0) += 1;
            }
        }
    }
    exponents
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
fn block(mut products: impl ExactSizeIterator<Item = Bytes>) -> Bytes {
    match products.len() {
        1 => products.next().unwrap_or_default(),
        _ => pack(products),
    }
}

/// What is no product counts as 0.
fn decode(bytes: &[u8]) -> Natural {
    let digits = bytes.chunks(8).map(|chunk| {
        let mut digit = [0; 8];
        digit[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(digit)
    });
    Natural::from_digits_asc(&BASE, digits).unwrap_or_default()
}

fn encode(value: &Natural) -> Bytes {
    let digits = value.to_digits_asc(&BASE).into_iter();
    digits.flat_map(u64::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use protocol::decimal::Decimal;
    use protocol::plan::{Method, Operands, Plan, Shape};

    use super::*;

    /// The text of n!, where something may be wrong with the tasks.
    fn text(plan: &Plan, spoil: impl Fn(OperationId, Task) -> Task) -> Vec<u8> {
        fn value(
            plan: &Plan,
            id: OperationId,
            spoil: &impl Fn(OperationId, Task) -> Task,
        ) -> Bytes {
            let value = |id| value(plan, id, spoil);
            let values = |ids: Vec<OperationId>| ids.into_iter().map(value).collect();
            let task = match plan.operands(id) {
                Operands::Numbers(numbers) => Task::Numbers(numbers),
                Operands::Primes { bit, leaves } => Task::Primes {
                    n: id.n,
                    bit,
                    leaves,
                },
                Operands::Products(ids) => Task::Products(values(ids)),
                Operands::Block { below, groups } => Task::Block {
                    below: value(below),
                    groups,
                },
                Operands::Step(ids) => Task::Step(values(ids)),
                Operands::Part { step, index } => Task::Part {
                    step: values(step),
                    index,
                },
                Operands::Parts(ids) => Task::Join(values(ids)),
            };
            compute(spoil(id, task))
        }
        let last = value(plan, plan.last(), &spoil);
        Decimal::new(last, plan.zeros())
            .pieces()
            .flatten()
            .collect()
    }

    fn powers(cut_from: u64, least_blocks: u32) -> Shape {
        Shape {
            method: Method::Powers,
            least_blocks,
            cut_from,
        }
    }

    #[test]
    fn both_plans_give_the_digits_of_the_factorial() {
        let tree = Shape {
            least_blocks: 1,
            ..Shape::SINGLE
        };
        let shapes = [
            Shape::SINGLE,
            tree,
            powers(u64::MAX, u32::MAX),
            powers(0, 1),
            powers(100, 2),
        ];
        for shape in shapes {
            for n in (0..40).chain([100, 299]) {
                assert_eq!(
                    text(&shape.plan(n), |_, task| task),
                    factorial(n),
                    "{n}! by {shape:?}"
                );
            }
        }
    }

    #[test]
    fn a_wrong_task_gives_a_wrong_result() {
        let plan = powers(0, u32::MAX).plan(100);
        let is_wrong = |wrong: fn(OperationId, Task) -> Task| text(&plan, wrong) != factorial(100);
        let without_primes = |id: OperationId, task| match task {
            Task::Part { mut step, index } if id.level == 1 => {
                step.truncate(1);
                Task::Part { step, index }
            }
            task => task,
        };
        let of_another_step = |id: OperationId, task| match task {
            Task::Part { mut step, index } if id.level == 1 && index == 0 => {
                step.swap(0, 1);
                Task::Part { step, index }
            }
            task => task,
        };
        let joined_twice = |_, task| match task {
            Task::Join(mut parts) => {
                parts[1] = parts[0].clone();
                Task::Join(parts)
            }
            task => task,
        };
        let left_out = |_, task| match task {
            Task::Join(mut parts) => {
                parts.pop();
                Task::Join(parts)
            }
            task => task,
        };
        let not_cut = |_, task| match task {
            Task::Join(parts) => Task::Products(parts),
            task => task,
        };
        let of_another_bit = |_, task| match task {
            Task::Primes { n, bit: 2, leaves } => Task::Primes { n, bit: 1, leaves },
            task => task,
        };
        assert!(is_wrong(without_primes));
        assert!(is_wrong(of_another_step));
        assert!(is_wrong(joined_twice));
        assert!(is_wrong(left_out));
        assert!(is_wrong(not_cut));
        assert!(is_wrong(of_another_bit));
    }
}
