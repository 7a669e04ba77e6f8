//! From residues modulo three primes to digits.

use multiversion::multiversion;

use super::prime::{PRIMES, Prime};
use super::super::BASE;

/// How many sums are put together at a time.
const BATCH: usize = 256;

/// The constants by which residues are put together (Garner): a sum is x + p (y + q z), where x, y and z are
/// residues modulo p, q and r next to zero. The sums are far smaller than pqr/2, so z is near zero and
/// tells their sign.
pub(super) struct Carries {
    /// Of each residue what it adds to x, y and z, times the inverse of the length.
    x: f64,
    y: [f64; 2],
    z: [f64; 3],
}

/// pq in digits of the base.
const LOW: i64 = (PRIMES[0].whole() as u128 * PRIMES[1].whole() as u128 % BASE as u128) as i64;
const HIGH: i64 = (PRIMES[0].whole() as u128 * PRIMES[1].whole() as u128 / BASE as u128) as i64;

impl Carries {
    /// For results of inverses of a length, which are that many times too large.
    pub(super) fn new(length: usize) -> Carries {
        let [p, q, r] = PRIMES;
        let inverse = |prime: Prime, values: &[u64]| {
            values.iter().fold(1.0, |product, &value| {
                let value = prime.reduce(value as f64);
                prime.multiply(product, prime.invert(value))
            })
        };
        let length = length as u64;
        Carries {
            x: inverse(p, &[length]),
            y: [inverse(q, &[length, p.whole()]), inverse(q, &[p.whole()])],
            z: [
                inverse(r, &[length, p.whole(), q.whole()]),
                inverse(r, &[p.whole(), q.whole()]),
                inverse(r, &[q.whole()]),
            ],
        }
    }

    /// The digits of all sums, and what is carried out of the last.
    pub(super) fn carry(&self, products: [&[f64]; 3]) -> (Vec<u64>, i128) {
        let [first, second, third] = products;
        let mut digits = Vec::with_capacity(first.len());
        let mut carry = 0;
        let batches = first.chunks(BATCH).zip(second.chunks(BATCH)).zip(third.chunks(BATCH));
        for ((first, second), third) in batches {
            let mut mixed = [[0; BATCH]; 3];
            mix(self, [first, second, third], &mut mixed);
            let [x, y, z] = &mixed;
            digits.extend(x[..first.len()].iter().zip(y).zip(z).map(|((&x, &y), &z)| {
                let sum = carry + i128::from(x) + wide(PRIMES[0].whole() as i64, y) + wide(LOW, z);
                let (quotient, digit) = divide(sum);
                carry = quotient + wide(HIGH, z);
                digit
            }));
        }
        (digits, carry)
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn mix(constants: &Carries, products: [&[f64]; 3], mixed: &mut [[i64; BATCH]; 3]) {
    let [p, q, r] = PRIMES;
    let [first, second, third] = products;
    let [of_x, of_y, of_z] = mixed;
    let outputs = of_x.iter_mut().zip(of_y).zip(of_z);
    for (((a, b), c), ((x, y), z)) in first.iter().zip(second).zip(third).zip(outputs) {
        let low = p.multiply(*a, constants.x);
        let middle = q.multiply(*b, constants.y[0]) - q.multiply(low, constants.y[1]);
        let high = r.multiply(*c, constants.z[0])
            - r.multiply(low, constants.z[1])
            - r.multiply(middle, constants.z[2]);
        *x = whole(low);
        *y = whole(middle);
        *z = whole(r.reduce(high));
    }
}

/// A whole number below 2^51 either way, out of the bits of a sum that has no others.
#[inline(always)]
fn whole(value: f64) -> i64 {
    const ZERO: f64 = 1.5 * (1u64 << 52) as f64;
    (value + ZERO).to_bits().wrapping_sub(ZERO.to_bits()) as i64
}

#[inline(always)]
fn wide(a: i64, b: i64) -> i128 {
    i128::from(a) * i128::from(b)
}

/// The quotient by the base rounded down, of a sum below 2^98 either way, and the digit that remains.
#[inline(always)]
fn divide(sum: i128) -> (i128, u64) {
    /// Makes the sum positive.
    const BIAS: i128 = 1 << 45;
    /// 2^117 / `BASE`, rounded down.
    const INVERSE: u64 = ((1 << 117) / BASE as u128) as u64;
    let sum = (sum + BIAS * i128::from(BASE)) as u128;
    // Of the lower 48 bits and of what the inverse lacks comes less than 1.
    let quotient = ((sum >> 48) as u64 as u128 * INVERSE as u128 >> 69) as u64;
    let rest = (sum as u64).wrapping_sub(quotient.wrapping_mul(BASE));
    let more = rest >= BASE;
    let digit = rest - if more { BASE } else { 0 };
    (i128::from(quotient) + i128::from(more) - BIAS, digit)
}
