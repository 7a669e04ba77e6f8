//! Division of 128 bits by the base, for which the compiler would call a slow routine.

use super::BASE;

/// 2^117 / `BASE`, rounded down.
const INVERSE: u64 = ((1 << 117) / BASE as u128) as u64;

/// 5^16, the base without its 16 factors of two.
const ODD: u64 = BASE >> 16;

/// The quotient by the base, and the digit that remains.
#[inline(always)]
pub(super) fn divide(value: u128) -> (u128, u64) {
    let high = (value >> 64) as u64;
    // At most 2^64 / 2^53 too small for what is cut off of the inverse, and 2^64 / BASE for the lower half.
    let quotient = (u128::from(high) * u128::from(INVERSE)) >> 53;
    let rest = value - quotient * u128::from(BASE);
    let more = (rest >> 16) as u64 / ODD;
    let digit = (rest as u64).wrapping_sub(more.wrapping_mul(BASE));
    (quotient + u128::from(more), digit)
}
