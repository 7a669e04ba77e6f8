//! One step of the chain by two workers in parallel.
//!
//! X = F (F P) is computed modulo B^k - 1 and modulo B^k + 1, which have no factor in common. If X < B^2k -
//! 1, the two residues determine X. k is half as long as X, and so are all intermediate products: each part
//! takes half the time. There are no more than two parts, because these factors do not split in half again,
//! and slices of F do not shorten the products that take the time.

use std::iter::repeat;

use bytes::Bytes;

use super::modulus::{Modulus, Sign};
use super::multiply::{good_size, step_modulo};
use super::{BASE, Number, bytes_of};

/// Longer moduli are rejected: joining them would take all memory.
const MOST_DIGITS: usize = 1 << 26;

/// Part `index` of F (F P), for [`join`]; empty if there is no such part. A missing factor P is 1.
///
/// Its words are the digits of a residue, and one for the modulus.
pub(crate) fn part(factor: &Number, primes: Option<&Number>, index: u8) -> Bytes {
    let digits = primes.map_or(0, |primes| primes.0.len());
    let size = good_size((2 * factor.0.len() + digits).div_ceil(2));
    let sign = match index {
        0 => Sign::Minus,
        1 => Sign::Plus,
        _ => return Bytes::new(),
    };
    let modulus = Modulus { size, sign };
    let primes = primes.map(|primes| &primes.0[..]);
    let residue = step_modulo(&factor.0, primes, modulus);
    let mut words = Number::from_digits(residue).0;
    words.push(label(modulus));
    bytes_of(words)
}

/// F (F P) from both parts in order, exactly as [`super::step`] computes it; 0 if these are not the
/// parts of one step.
pub(crate) fn join(parts: &[Bytes]) -> Number {
    let [minus, plus] = parts else {
        return Number::default();
    };
    match (read(minus), read(plus)) {
        (Some((a, mut minus)), Some((b, plus)))
            if (a.size, a.sign, b.sign) == (b.size, Sign::Minus, Sign::Plus) =>
        {
            minus.resize(a.size, 0);
            combine(minus, &plus, a)
        }
        _ => Number::default(),
    }
}

/// A part, as [`join`] needs it.
fn label(modulus: Modulus) -> u64 {
    (modulus.size as u64) << 1 | u64::from(modulus.sign == Sign::Plus)
}

/// A modulus and a residue, if a part consists of those.
fn read(part: &[u8]) -> Option<(Modulus, Vec<u64>)> {
    let (digits, label) = part.split_last_chunk()?;
    let label = u64::from_le_bytes(*label);
    let modulus = Modulus {
        size: usize::try_from(label >> 1).ok()?,
        sign: if label & 1 == 0 {
            Sign::Minus
        } else {
            Sign::Plus
        },
    };
    let digits = Number::from_bytes(digits)?.0;
    let fits = (1..=MOST_DIGITS).contains(&modulus.size) && digits.len() <= modulus.size + 1;
    fits.then_some((modulus, digits))
}

/// X = plus + h (B^k + 1), where h is half of minus - plus modulo B^k - 1.
fn combine(mut digits: Vec<u64>, plus: &[u64], modulus: Modulus) -> Number {
    // An odd residue is halved with the modulus added: as B^k ahead of it, and the 1 that is cut off.
    modulus.subtract(&mut digits, plus);
    let ahead = digits[0] & 1;
    for place in 0..digits.len() {
        let above = digits.get(place + 1).map_or(ahead, |digit| digit & 1);
        digits[place] = (digits[place] + above * BASE) >> 1;
    }
    digits.extend_from_within(..);
    let mut carry = 0;
    for (digit, added) in digits.iter_mut().zip(plus.iter().chain(repeat(&0))) {
        let sum = *digit + added + carry;
        carry = u64::from(sum >= BASE);
        *digit = sum - carry * BASE;
    }
    Number::from_digits(digits)
}
