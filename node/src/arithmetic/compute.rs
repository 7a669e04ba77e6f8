//! What each operation computes.

use std::ops::RangeInclusive;

use bytes::Bytes;
use malachite_nz::natural::Natural;
use protocol::event::Task;
use protocol::packed::{pack, unpack};
use protocol::plan::conversion::Cut;
use protocol::plan::{Kind, OperationId};

use super::decimal::{self, Piece};

/// Computes an operation, or a block of them. Products are little-endian bytes without zeros at the
/// end, and lack the factors of two and five; the result of a conversion is ASCII digits.
pub(super) fn compute(task: Task) -> Bytes {
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
