//! What operations yield, by their meaning alone.

use std::collections::BTreeMap;

use bytes::Bytes;
use malachite_base::num::arithmetic::traits::Factorial;
use malachite_base::num::conversion::traits::Digits;
use malachite_nz::natural::Natural;
use protocol::event::Task;
use protocol::packed::{pack, unpack};

/// The base in which products are written.
const BASE: u64 = 10_000_000_000_000_000;

/// The value of an operation, or of a block of them.
pub(crate) fn compute(task: &Task) -> Bytes {
    let products: Vec<Natural> = match task {
        Task::Numbers(leaves) => {
            let leaves = leaves.iter().cloned();
            leaves
                .map(|numbers| numbers.map(Natural::from).product())
                .collect()
        }
        Task::Primes { n, bit, leaves } => {
            let primes = primes(*n, *bit);
            let leaf = |leaf| primes.iter().skip(4 * leaf as usize).take(4);
            let leaves = leaves.clone();
            leaves
                .map(|index| leaf(index).copied().map(Natural::from).product())
                .collect()
        }
        Task::Products(values) => vec![values.iter().map(|value| number(value)).product()],
        Task::Block { below, groups } => {
            let mut values = unpack(below).map(number);
            let operations = groups.iter();
            operations
                .map(|&group| values.by_ref().take(usize::from(group)).product())
                .collect()
        }
        Task::Step(values) => vec![step(values)],
        // Once the whole, twice the whole, …: so each must come once.
        Task::Part {
            step: values,
            index,
            ..
        } => vec![step(values) * Natural::from(index + 1)],
        Task::Join(parts) => {
            let wholes: usize = (1..=parts.len()).sum();
            let sum: Natural = parts.iter().map(|part| number(part)).sum();
            vec![sum / Natural::from(wholes)]
        }
    };
    match &products[..] {
        [product] => bytes(product).into(),
        products => pack(products.iter().map(bytes)),
    }
}

/// n! by another way.
pub(crate) fn factorial(n: u32) -> String {
    Natural::factorial(u64::from(n)).to_string()
}

fn step(values: &[Bytes]) -> Natural {
    let first = values.first();
    values
        .iter()
        .chain(first)
        .map(|value| number(value))
        .product()
}

/// The primes up to n whose exponent in n!, tens left out, has a bit.
fn primes(n: u32, bit: u8) -> Vec<u32> {
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
    let tens = exponents.get(&5).copied().unwrap_or(0);
    for prime in [2, 5] {
        exponents
            .entry(prime)
            .and_modify(|exponent| *exponent -= tens);
    }
    exponents.retain(|_, exponent| *exponent >> bit & 1 == 1);
    exponents.into_keys().collect()
}

fn number(bytes: &[u8]) -> Natural {
    let digits = bytes.chunks(8).map(|digit| {
        let digit = digit.try_into().expect("a digit has eight bytes");
        u64::from_le_bytes(digit)
    });
    Natural::from_digits_asc(&BASE, digits).expect("digits are below the base")
}

fn bytes(value: &Natural) -> Vec<u8> {
    let digits = value.to_digits_asc(&BASE).into_iter();
    digits.flat_map(u64::to_le_bytes).collect()
}
