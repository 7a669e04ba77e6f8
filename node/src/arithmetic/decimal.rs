//! The numbers of the conversion to decimal, which the plan splits into operations.
//!
//! N is below 10^2h. A reciprocal R of 5^h splits it into its quotient and remainder by 10^h, and
//! makes each of these halves a *fraction* of 10^h: from there on there are multiplications only.
//! The digits of a fraction are what its multiples by powers of ten have before the point; a
//! multiplication by a power of two is a shift, so powers of five are all that it takes.
//!
//! # Why the digits are right
//!
//! A fraction of `d` digits is an integer F below 2^p, p = `bits(d)` + `guard`, that stands for a
//! number x with F <= x 2^p < F + E. It begins as x = (q + 1/2) / 10^d, where q is the half: the
//! half unit keeps x clear of where digits change, even after the last digit.
//! - Every value here is rounded down, so F is never too large. R is less than 1 too small, which
//!   makes E at most 2 for a new fraction.
//! - To pass over `m` digits, F 10^m is taken modulo 2^p and cut to `bits(d - m)` + `guard` bits.
//!   `bits(m)` is at least m log2(10), and with it `bits(d - m) + m log2(10)` is less than
//!   `bits(d)` + 1, so an error of E becomes one of at most 2 E + 1. To keep only the first digits
//!   is a shift, and adds at most 1.
//! - So after L such steps E is below 2^(L + 2). On the way to a stretch there are fewer than 28, and
//!   within one E becomes at most 2 E + 100, so it stays below 2^[`ERROR_BITS`].
//! - Where a stretch ends, x lies in [F, F + E): its digits are certain unless an integer lies in
//!   between, which shows in what remains of F after the last digit. Every place at which digits
//!   were cut is the end of a stretch, so where F itself passed over such a place by mistake, a
//!   stretch tells.
//! - If one tells so, the piece is made again with more bits, zeros where the fraction has no more.
//!   In the end nothing of the fraction is cut away before its last digit. Then x is (i + 1/2) / 10^j
//!   at the end of a stretch with j digits to come, so it keeps half of 10^-j from every integer, and
//!   the error of F is below 10^-j 2^(ERROR_BITS - GUARD).
//!   Many zeros at the end of N would make this dear: (i + 1/2) / 10^j before them is too near i to
//!   tell. Those of a factorial are known, and left out of N.

use malachite_base::num::arithmetic::traits::{ModPowerOf2Assign, Pow, PowerOf2, Square};
use malachite_base::num::logic::traits::SignificantBits;
use malachite_nz::natural::Natural;

/// Bits that a fraction has beside those of its digits.
const GUARD: u64 = 64;

/// The error of a fraction, in its last place, has at most so many bits.
const ERROR_BITS: u64 = 32;

/// Digits that fit a limb.
const LIMB_DIGITS: usize = 19;

/// 10^[`LIMB_DIGITS`].
const LIMB_BASE: u64 = 10_000_000_000_000_000_000;

/// 5^exponent.
pub(super) fn power_of_five(exponent: u64) -> Natural {
    Natural::from(5u32).pow(exponent)
}

/// The square of a power of five.
pub(super) fn square(power: &Natural) -> Natural {
    power.square()
}

/// 2^e / 5^h rounded down, with e = `reciprocal_bits(h)`: the reciprocal of `power`, which is 5^h.
pub(super) fn reciprocal(power: &Natural, half: u64) -> Natural {
    Natural::power_of_2(reciprocal_bits(half)) / power
}

/// N divided by 10^h and rounded down, the first half of its digits.
pub(super) fn quotient(n: &Natural, reciprocal: &Natural, power: &Natural, half: u64) -> Natural {
    quotient_guarded(n, reciprocal, power, half, GUARD)
}

/// The fraction of the first half of the digits.
pub(super) fn first_half(quotient: &Natural, reciprocal: &Natural, half: u64) -> Natural {
    fraction(quotient, reciprocal, half)
}

/// The fraction of the second half of the digits.
pub(super) fn second_half(
    n: &Natural,
    quotient: &Natural,
    reciprocal: &Natural,
    power: &Natural,
    half: u64,
) -> Natural {
    let remainder = n - ((quotient * power) << half);
    fraction(&remainder, reciprocal, half)
}

/// What is left of a fraction of `digits` digits after the first `skipped` of them, given
/// 5^skipped.
pub(super) fn rest(fraction: &Natural, power: &Natural, digits: u64, skipped: u64) -> Natural {
    let (have, want) = (bits(digits) + GUARD, bits(digits - skipped) + GUARD);
    skip(fraction.clone(), have, power, skipped, want)
}

/// Where the digits of a piece are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Digits of the fraction.
    pub(super) digits: u64,
    /// Digits of the fraction before the piece: none, or as many as the piece has.
    pub(super) skipped: u64,
    /// The piece has 2^doublings stretches of so many digits.
    pub(super) stretch: u64,
    pub(super) doublings: u32,
}

impl Piece {
    fn width(self) -> u64 {
        self.stretch << self.doublings
    }
}

/// The digits of a piece of a fraction, given 5^skipped.
pub(super) fn digits(fraction: &Natural, power: &Natural, piece: Piece) -> Vec<u8> {
    digits_guarded(fraction, power, piece, GUARD)
}

/// Bits that hold any number of `digits` digits: more than their number times log2(10), and at most
/// 1 more than their number times 3.321928095, which is log2(10) rounded up.
fn bits(digits: u64) -> u64 {
    (u128::from(digits) * 3_321_928_095 / 1_000_000_000) as u64 + 1
}

/// With `bits(h)` - h bits for 5^h, a reciprocal has all that a fraction of h digits needs.
fn reciprocal_bits(half: u64) -> u64 {
    2 * bits(half) - half + GUARD
}

/// With y = N / 10^h, and A = N without its last h + c bits, A R / 2^s is at most y. It is less by at
/// most 2^-guard for the bits that A lacks, and by 2^-guard for what R lacks. For small h A lacks h bits
/// alone, and without these y is rounded down to the same integer.
fn quotient_guarded(
    n: &Natural,
    reciprocal: &Natural,
    power: &Natural,
    half: u64,
    guard: u64,
) -> Natural {
    let cut = (power.significant_bits() - 1).saturating_sub(guard);
    let shift = reciprocal_bits(half) - cut;
    let scaled = (n >> (half + cut)) * reciprocal;
    let margin = Natural::power_of_2(shift.saturating_sub(guard) + 2);
    let quotient = &scaled >> shift;
    let mut last = (scaled + margin) >> shift;
    // Too near an integer to tell? The remainder does.
    while last > quotient && (&last * power) << half > *n {
        last -= Natural::from(1u32);
    }
    last
}

/// The fraction of a half of the digits: (value + 1/2) / 10^h, of which R has 1 / 5^h.
fn fraction(half_value: &Natural, reciprocal: &Natural, half: u64) -> Natural {
    let doubled = (half_value << 1u64) + Natural::from(1u32);
    let have = reciprocal_bits(half) + half + 1;
    (doubled * reciprocal) >> (have - (bits(half) + GUARD))
}

/// A fraction of `have` bits without its first `skipped` digits, cut to `want` bits.
fn skip(mut fraction: Natural, have: u64, power: &Natural, skipped: u64, want: u64) -> Natural {
    let left = have - skipped;
    fraction.mod_power_of_2_assign(left);
    fraction *= power;
    fraction.mod_power_of_2_assign(left);
    fraction >> (left - want)
}

fn digits_guarded(fraction: &Natural, power: &Natural, piece: Piece, mut guard: u64) -> Vec<u8> {
    let powers = powers_of_five(piece);
    let all = bits(piece.digits) + GUARD;
    loop {
        let mut writer = Writer {
            powers: &powers,
            stretch: piece.stretch,
            guard,
            certain: true,
            limbs: Vec::new(),
        };
        let text = writer.write_piece(fraction, power, piece);
        if writer.certain || guard >= all {
            return text;
        }
        guard = (guard * 8).min(all);
    }
}

/// 5^stretch, 5^(2 stretch), … up to half a piece.
fn powers_of_five(piece: Piece) -> Vec<Natural> {
    let first = (piece.doublings > 0).then(|| power_of_five(piece.stretch));
    let powers = std::iter::successors(first, |power| Some(power.square()));
    powers.take(piece.doublings as usize).collect()
}

/// Writes digits, with so many bits more than they have.
struct Writer<'a> {
    powers: &'a [Natural],
    stretch: u64,
    guard: u64,
    /// No digit can be another.
    certain: bool,
    /// Of the stretch that is being written; kept for its memory.
    limbs: Vec<u64>,
}

impl Writer<'_> {
    fn write_piece(&mut self, fraction: &Natural, power: &Natural, piece: Piece) -> Vec<u8> {
        let width = piece.width();
        let have = bits(piece.digits) + GUARD;
        let want = bits(piece.skipped + width) + self.guard;
        let mut value = if have > want {
            fraction >> (have - want)
        } else {
            fraction << (want - have)
        };
        if piece.skipped > 0 {
            let window = bits(width) + self.guard;
            value = skip(value, want, power, piece.skipped, window);
        }
        let mut text = vec![b'0'; width as usize];
        self.write(value, piece.doublings as usize, &mut text);
        text
    }

    /// Writes the digits of a fraction of 2^level stretches.
    fn write(&mut self, fraction: Natural, level: usize, out: &mut [u8]) {
        if level == 0 {
            self.write_stretch(fraction, out);
            return;
        }
        let half = self.stretch << (level - 1);
        let (have, want) = (bits(2 * half) + self.guard, bits(half) + self.guard);
        let (first, second) = out.split_at_mut(half as usize);
        self.write(&fraction >> (have - want), level - 1, first);
        let fraction = skip(fraction, have, &self.powers[level - 1], half, want);
        self.write(fraction, level - 1, second);
    }

    /// Writes digits some at a time: what a multiplication by a power of ten carries out of the
    /// fraction. What the digits to come do not need of it is left behind.
    fn write_stretch(&mut self, fraction: Natural, out: &mut [u8]) {
        let have = bits(self.stretch) + self.guard;
        let count = have.div_ceil(64);
        let aligned = fraction << (count * 64 - have);
        self.limbs.clear();
        self.limbs.extend_from_slice(aligned.as_limbs_asc());
        self.limbs.resize(count as usize, 0);
        let mut start = 0;
        let mut left = out.len();
        for chunk in out.chunks_mut(LIMB_DIGITS) {
            let base = match chunk.len() {
                LIMB_DIGITS => LIMB_BASE,
                fewer => 10u64.pow(fewer as u32),
            };
            write_number(multiply(&mut self.limbs[start..], base), chunk);
            left -= chunk.len();
            let needed = (bits(left as u64) + self.guard).div_ceil(64) as usize;
            start = start.max(self.limbs.len().saturating_sub(needed));
        }
        let doubtful = self.guard.saturating_sub(ERROR_BITS);
        self.certain &= leading_ones(&self.limbs[start..]) < doubtful;
    }
}

/// Multiplies in place; returns what is carried out.
fn multiply(limbs: &mut [u64], factor: u64) -> u64 {
    let mut carry = 0;
    for limb in limbs {
        let product = u128::from(*limb) * u128::from(factor) + u128::from(carry);
        *limb = product as u64;
        carry = (product >> 64) as u64;
    }
    carry
}

fn leading_ones(limbs: &[u64]) -> u64 {
    let full = limbs.iter().rev().take_while(|&&limb| limb == u64::MAX);
    let full = full.count();
    let next = limbs.len().checked_sub(full + 1).map(|next| limbs[next]);
    64 * full as u64 + u64::from(next.map_or(0, u64::leading_ones))
}

fn write_number(mut value: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests;
