//! Products of digits: by long multiplication if they are few.

use super::divide::divide;
use super::kronecker;
use super::modulus::Modulus;
use super::transform;

/// Up to this many digits of the shorter factor, long multiplication is fastest.
pub(super) const SHORT: usize = 44;

/// The product, with as many digits as both factors together, possibly with leading zeros.
pub(super) fn multiply(a: &[u64], b: &[u64]) -> Vec<u64> {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    if short.len() <= SHORT {
        return by_hand(short, long);
    }
    match transform::good_size(short.len() + long.len()) {
        Some(size) if transform::available() => transform::multiply(short, long, size),
        _ => kronecker::multiply(short, long),
    }
}

/// The least residue of f (f p), as [`Modulus::reduce`] has it. A missing factor p is 1.
pub(super) fn step_modulo(f: &[u64], p: Option<&[u64]>, modulus: Modulus) -> Vec<u64> {
    let fits = f.len().max(p.map_or(0, <[u64]>::len)) <= modulus.size;
    let good = transform::good_size(modulus.size) == Some(modulus.size);
    if fits && good && transform::available() {
        return transform::step_modulo(f, p, modulus);
    }
    let times_f = |digits: &[u64]| modulus.reduce(&multiply(f, digits));
    p.map_or_else(|| times_f(f), |p| times_f(&times_f(p)))
}

/// The least size of a modulus that is quick to multiply by, from `least` on.
pub(super) fn good_size(least: usize) -> usize {
    if least <= 2 * SHORT {
        return least.max(1);
    }
    transform::good_size(least).unwrap_or(least)
}

/// Column by column. Less than 2^21 products of digits fit 128 bits together with what is carried.
fn by_hand(short: &[u64], long: &[u64]) -> Vec<u64> {
    debug_assert!(short.len() < 1 << 21);
    let reversed: Vec<u64> = short.iter().rev().copied().collect();
    let size = short.len() + long.len();
    let mut carry = 0;
    (0..size)
        .map(|column| {
            let skipped = short.len().saturating_sub(column + 1);
            let first = (column + 1).saturating_sub(short.len());
            let sum: u128 = reversed[skipped..]
                .iter()
                .zip(&long[first.min(long.len())..])
                .map(|(&a, &b)| u128::from(a) * u128::from(b))
                .sum();
            let (quotient, digit) = divide(sum + carry);
            carry = quotient;
            digit
        })
        .collect()
}
