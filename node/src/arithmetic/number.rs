//! Whole numbers in decimal: n! is computed digit by digit as it is printed, so nothing is ever
//! converted.

mod divide;
mod kronecker;
mod modulus;
mod multiply;
mod parts;
mod primes;
#[cfg(test)]
mod tests;
mod transform;

use std::ops::RangeInclusive;

use bytes::Bytes;

pub(crate) use self::parts::{join, part};
pub(crate) use self::primes::Primes;

use self::divide::divide;
use self::multiply::multiply;

/// The base: each digit holds 16 decimal digits.
pub(crate) const BASE: u64 = 10_000_000_000_000_000;

/// A whole number: digits below [`BASE`], the lowest first, without leading zeros; 0 has no digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Number(Vec<u64>);

impl Number {
    /// The number 1, the empty product.
    pub(crate) fn one() -> Number {
        Number(vec![1])
    }

    /// Reads the encoding of [`Number::into_bytes`]. `None` if it is invalid: a length that is not a multiple
    /// of 8, a digit of [`BASE`] or above, a leading zero.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Number> {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut highest = 0;
        let digits: Vec<u64> = words
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .inspect(|&digit| highest = highest.max(digit))
            .collect();
        let valid = rest.is_empty() && highest < BASE && digits.last() != Some(&0);
        valid.then_some(Number(digits))
    }

    /// Eight bytes a digit, little-endian, without a copy.
    pub(crate) fn into_bytes(self) -> Bytes {
        bytes_of(self.0)
    }

    /// Removes leading zeros.
    fn from_digits(mut digits: Vec<u64>) -> Number {
        let zeros = digits.iter().rev().take_while(|&&digit| digit == 0).count();
        digits.truncate(digits.len() - zeros);
        Number(digits)
    }

    fn from_u128(value: u128) -> Number {
        let (rest, lowest) = divide(value);
        let (highest, middle) = divide(rest);
        Number::from_digits(vec![lowest, middle, highest as u64])
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Number {
        Number::from_u128(value.into())
    }
}

/// The product of at most four consecutive whole numbers; 1 for an empty range.
pub(crate) fn product_of_range(numbers: RangeInclusive<u32>) -> Number {
    debug_assert!(numbers.clone().count() <= 4);
    Number::from_u128(numbers.map(u128::from).product())
}

/// The product of at most four primes.
fn product_of_primes(primes: impl Iterator<Item = u32>) -> Number {
    Number::from_u128(primes.map(u128::from).product())
}

/// The product of at most four numbers, the first two and the last two before all; 1 for none.
pub(crate) fn product(values: &[Number]) -> Number {
    match values {
        [] => Number::one(),
        [value] => value.clone(),
        [a, b] => a.times(b),
        [a, b, rest @ ..] => a.times(b).times(&product(rest)),
    }
}

/// One step of the chain of powers: F (F P). A missing factor P is 1.
pub(crate) fn step(factor: &Number, primes: Option<&Number>) -> Number {
    match primes {
        None => factor.times(factor),
        Some(primes) => factor.times(&factor.times(primes)),
    }
}

impl Number {
    fn times(&self, other: &Number) -> Number {
        Number::from_digits(multiply(&self.0, &other.0))
    }
}

/// Words as little-endian bytes, without a copy.
fn bytes_of(mut words: Vec<u64>) -> Bytes {
    struct Words(Vec<u64>);
    impl AsRef<[u8]> for Words {
        fn as_ref(&self) -> &[u8] {
            bytemuck::cast_slice(&self.0)
        }
    }
    for word in &mut words {
        *word = word.to_le();
    }
    Bytes::from_owner(Words(words))
}
