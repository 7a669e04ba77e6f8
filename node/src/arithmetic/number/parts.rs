//! One step of the chain by several workers side by side.
//!
//! X = F (F P) is computed modulo B^k - 1 and modulo B^k + 1, which have no factor in common. Where
//! X < B^2k - 1, both residues tell X; k is half as long as X, and so are all products on the way.
//! Four workers halve F as well: each residue is the sum of F (F' P) over both halves F' of F.

use std::iter::repeat;

use bytes::Bytes;

use super::modulus::{Modulus, Sign};
use super::multiply::{good_size, multiply_modulo};
use super::{BASE, Number, bytes_of};

/// Longer moduli are not believed: joining them would take all memory.
const MOST_DIGITS: usize = 1 << 26;

/// Part `index` of `of` (2 or 4) of F (F P), for [`join`]; empty if there is no such part. A factor P that
/// is missing is 1.
///
/// Its words are the digits of a residue, and one that tells the modulus and which part it is.
pub(crate) fn part(factor: &Number, primes: Option<&Number>, index: u8, of: u8) -> Bytes {
    if !matches!(of, 2 | 4) || index >= of || factor.0.is_empty() {
        return Bytes::new();
    }
    let one = Number::one();
    let primes = primes.unwrap_or(&one);
    let size = (2 * factor.0.len() + primes.0.len()).div_ceil(2);
    let label = Label {
        size: good_size(size),
        index,
        of,
    };
    let sign = if index % 2 == 0 {
        Sign::Minus
    } else {
        Sign::Plus
    };
    let modulus = label.modulus(sign);
    let halved;
    let slice = if of == 2 {
        &factor.0
    } else {
        halved = half(&factor.0, index / 2);
        &halved
    };
    let product = multiply_modulo(slice, &primes.0, modulus);
    let residue = multiply_modulo(&factor.0, &product, modulus);
    let mut words = Number::from_digits(residue).0;
    words.push(label.word());
    bytes_of(words)
}

/// The low or the high half of the digits, with zeros for the others.
fn half(digits: &[u64], high: u8) -> Vec<u64> {
    let middle = digits.len() / 2;
    let mut slice = digits.to_vec();
    if high == 0 {
        slice.truncate(middle);
    } else {
        slice[..middle].fill(0);
    }
    slice
}

/// F (F P) out of all its parts in their order, exactly as [`super::step`] has it; 0 if these are not all
/// the parts of one step.
pub(crate) fn join(parts: &[Bytes]) -> Number {
    let Some([minus, plus]) = residues(parts) else {
        return Number::default();
    };
    let modulus = Modulus {
        size: minus.len(),
        sign: Sign::Minus,
    };
    combine(&minus, &plus, modulus)
}

/// The residues modulo B^k - 1 and B^k + 1.
fn residues(parts: &[Bytes]) -> Option<[Vec<u64>; 2]> {
    let (_, first) = Label::read(parts.first()?)?;
    let mut residues = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let (digits, label) = Label::read(part)?;
        let expected = Label {
            index: index as u8,
            of: parts.len() as u8,
            ..first
        };
        let digits = Number::from_bytes(digits)?.0;
        if label != expected || digits.len() > first.size + 1 {
            return None;
        }
        residues.push(digits);
    }
    let sum = |sign| {
        let of_sign = residues.iter().skip(sign as usize).step_by(2);
        let terms: Vec<_> = of_sign.map(|digits| (1, &digits[..])).collect();
        first.modulus(sign).sum(&terms)
    };
    Some([sum(Sign::Minus), sum(Sign::Plus)])
}

/// X = plus + h (B^k + 1), where h is half of minus - plus modulo B^k - 1.
fn combine(minus: &[u64], plus: &[u64], modulus: Modulus) -> Number {
    let mut half = modulus.sum(&[(1, minus), (-1, plus)]);
    // An odd residue is halved with the modulus added: as B^k ahead of it, and the 1 that is cut off.
    let mut ahead = half.first().map_or(0, |lowest| lowest & 1);
    for digit in half.iter_mut().rev() {
        let whole = ahead * BASE + *digit;
        ahead = whole & 1;
        *digit = whole >> 1;
    }
    let mut carry = 0;
    let twice = half.iter().chain(&half);
    let plus = plus.iter().copied().chain(repeat(0));
    let digits = twice.zip(plus).map(|(half, plus)| {
        let sum = half + plus + carry;
        carry = u64::from(sum >= BASE);
        sum - carry * BASE
    });
    Number::from_digits(digits.collect())
}

/// What [`join`] has to know of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Label {
    /// Digits of the modulus.
    size: usize,
    index: u8,
    of: u8,
}

impl Label {
    fn word(self) -> u64 {
        (self.size as u64) << 16 | u64::from(self.of) << 8 | u64::from(self.index)
    }

    /// The digits and the label of a part.
    fn read(part: &[u8]) -> Option<(&[u8], Label)> {
        let (digits, word) = part.split_last_chunk()?;
        let word = u64::from_le_bytes(*word);
        let label = Label {
            size: usize::try_from(word >> 16).ok()?,
            index: word as u8,
            of: (word >> 8) as u8,
        };
        ((1..=MOST_DIGITS).contains(&label.size) && matches!(label.of, 2 | 4))
            .then_some((digits, label))
    }

    fn modulus(self, sign: Sign) -> Modulus {
        Modulus {
            size: self.size,
            sign,
        }
    }
}
