//! From digits to residues modulo three primes, and back.

use multiversion::multiversion;

use super::super::BASE;
use super::MOST;
use super::prime::{PRIMES, Prime};

/// How many sums are put together at a time.
const BATCH: usize = 256;

/// The residues of digits.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub(super) fn of_digits(values: &mut [f64], digits: &[u64], prime: Prime) {
    for (value, digit) in values.iter_mut().zip(digits) {
        *value = prime.residue(*digit);
    }
}

/// The constants by which residues are put together (Garner): a sum is x + p (y + q z), where x, y and z are
/// residues modulo p, q and r next to zero. The sums are far smaller than pqr/2, so z is near zero and shows
/// their sign.
pub(super) struct Carries {
    /// Of each residue what it adds to x, y and z, times the inverse of the length.
    x: f64,
    y: [f64; 2],
    z: [f64; 3],
}

const P: Prime = PRIMES[0];
const Q: Prime = PRIMES[1];
const R: Prime = PRIMES[2];

/// The inverses that do not depend on the length: of p modulo q, of p and q modulo r.
const OF_P: u64 = Q.invert(P.whole());
const OF_PQ: u64 = R.invert(R.times(P.whole(), Q.whole()));
const OF_Q: u64 = R.invert(Q.whole());

/// pq in digits of the base.
const LOW: i64 = (P.whole() as u128 * Q.whole() as u128 % BASE as u128) as i64;
const HIGH: i64 = (P.whole() as u128 * Q.whole() as u128 / BASE as u128) as i64;

// The largest sums leave z below 2^40.
const _: () =
    assert!(BASE as u128 * BASE as u128 / (P.whole() as u128 * Q.whole() as u128) < 1 << 15);
const _: () = assert!(MOST <= 1 << 25);

impl Carries {
    /// For results of inverses of a length, which are that many times too large.
    pub(super) fn new(length: usize) -> Carries {
        // The length divides p - 1, which is -1 modulo p.
        let inverse = |prime: Prime| prime.whole() - (prime.whole() - 1) / length as u64;
        Carries {
            x: P.near_zero(inverse(P)),
            y: [Q.near_zero(Q.times(inverse(Q), OF_P)), Q.near_zero(OF_P)],
            z: [
                R.near_zero(R.times(inverse(R), OF_PQ)),
                R.near_zero(OF_PQ),
                R.near_zero(OF_Q),
            ],
        }
    }

    /// The digits of all sums, and what is carried out of the last.
    pub(super) fn carry(&self, products: [&[f64]; 3]) -> (Vec<u64>, i128) {
        let [first, second, third] = products;
        let mut digits = vec![0; first.len()];
        let mut carries = Waiting::default();
        let batches = first.chunks(BATCH).zip(second.chunks(BATCH));
        let batches = batches.zip(third.chunks(BATCH));
        for (digits, ((first, second), third)) in digits.chunks_mut(BATCH).zip(batches) {
            let mut mixed = [[0; BATCH]; 3];
            mix(self, [first, second, third], &mut mixed);
            let [x, y, z] = &mixed;
            for (((digit, &x), &y), &z) in digits.iter_mut().zip(x).zip(y).zip(z) {
                *digit = carries.next(x, y, z);
            }
        }
        (digits, carries.carry + i128::from(carries.late))
    }
}

/// What sums add to the next digit.
#[derive(Default)]
struct Waiting {
    /// The quotient of what came before by the base, or 1 less.
    carry: i128,
    /// The 1 that it lacked. No division waits for it.
    late: u64,
}

impl Waiting {
    /// The next digit, with the sum x + p (y + q z) added at its place, which is below 2^98 either way.
    #[inline(always)]
    fn next(&mut self, x: i64, y: i64, z: i64) -> u64 {
        /// Times the base, it makes sums positive.
        const BIAS: i128 = 1 << 45;
        /// 2^117 / `BASE`, rounded down.
        const INVERSE: u64 = ((1 << 117) / BASE as u128) as u64;
        let sum = i128::from(x) + wide(P.whole() as i64, y) + wide(LOW, z);
        let above = wide(HIGH, z) - BIAS;
        let sum = (self.carry + (sum + BIAS * i128::from(BASE))) as u128;
        // Of the lower 48 bits and of what the inverse lacks comes less than 1.
        let quotient = ((u128::from((sum >> 48) as u64) * u128::from(INVERSE)) >> 69) as u64;
        let rest = (sum as u64).wrapping_sub(quotient.wrapping_mul(BASE)) + self.late;
        self.carry = i128::from(quotient) + above;
        self.late = u64::from(rest >= BASE);
        rest - self.late * BASE
    }
}

#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn mix(constants: &Carries, products: [&[f64]; 3], mixed: &mut [[i64; BATCH]; 3]) {
    let [first, second, third] = products;
    let [of_x, of_y, of_z] = mixed;
    let outputs = of_x.iter_mut().zip(of_y).zip(of_z);
    for (((a, b), c), ((x, y), z)) in first.iter().zip(second).zip(third).zip(outputs) {
        let low = P.multiply(*a, constants.x);
        let middle = Q.multiply(*b, constants.y[0]) - Q.multiply(low, constants.y[1]);
        let high = R.multiply(*c, constants.z[0])
            - R.multiply(low, constants.z[1])
            - R.multiply(middle, constants.z[2]);
        *x = whole(low);
        *y = whole(middle);
        *z = whole(R.reduce(high));
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
