//! Multiplication by one of binary numbers: each digit has a slot of 128 bits (Kronecker
//! substitution), wide enough that sums of products of digits do not run into each other.

use std::ptr;

use malachite_base::num::arithmetic::traits::Square;
use malachite_nz::natural::Natural;

use super::BASE;
use super::divide::divide;

/// Number of products of two digits whose sum fits a slot.
const MOST: usize = (u128::MAX / (BASE as u128 * BASE as u128)) as usize;

/// The product, with as many digits as both factors have.
pub(super) fn multiply(short: &[u64], long: &[u64]) -> Vec<u64> {
    in_pieces(short, long, MOST)
}

/// Cuts the shorter factor into pieces whose sums fit.
fn in_pieces(short: &[u64], long: &[u64], most: usize) -> Vec<u64> {
    if short.len() <= most {
        return whole(short, long);
    }
    let mut sum = vec![0; short.len() + long.len()];
    for (index, piece) in short.chunks(most).enumerate() {
        let mut carry = 0;
        let products = whole(piece, long);
        let sums = &mut sum[index * most..];
        for (sum, product) in sums.iter_mut().zip(products) {
            let digit = *sum + product + carry;
            carry = u64::from(digit >= BASE);
            *sum = digit - carry * BASE;
        }
    }
    sum
}

fn whole(short: &[u64], long: &[u64]) -> Vec<u64> {
    let product = if ptr::eq(short, long) {
        spread(short).square()
    } else {
        spread(short) * spread(long)
    };
    let mut digits = product.into_limbs_asc();
    let size = short.len() + long.len();
    digits.resize(2 * size, 0);
    let mut carry = 0;
    for index in 0..size {
        let (low, high) = (digits[2 * index], digits[2 * index + 1]);
        // The carry is below the slot's worth of the column before it, which was divided by the base.
        let slot = u128::from(high) << 64 | u128::from(low);
        (carry, digits[index]) = divide(slot + carry);
    }
    digits.truncate(size);
    digits.shrink_to_fit();
    digits
}

fn spread(digits: &[u64]) -> Natural {
    let slots = digits.iter().flat_map(|&digit| [digit, 0]).collect();
    Natural::from_owned_limbs_asc(slots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_to_the_whole() {
        for (short, long) in [(1, 1), (5, 9), (30, 30), (31, 77)] {
            let (short, long) = (vec![BASE - 1; short], vec![BASE - 1; long]);
            for most in [1, 4, 30] {
                assert_eq!(in_pieces(&short, &long, most), whole(&short, &long));
            }
        }
    }

    #[test]
    fn the_fullest_slot_takes_a_carry() {
        // A column of n products of BASE - 1 and a carry stay below n * BASE^2.
        let products = MOST as u128 * u128::from(BASE - 1).pow(2);
        let carry = products / u128::from(BASE - 1);
        assert!(products.checked_add(carry).is_some());
        assert!(carry + products <= MOST as u128 * u128::from(BASE).pow(2));
    }
}
