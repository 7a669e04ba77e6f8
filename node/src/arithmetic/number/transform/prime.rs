//! Arithmetic modulo a prime below 2^46, in floating point.
//!
//! All values are whole and below 2^53, so they are exact. They stand for their residues: nothing is
//! reduced that a multiplication reduces later.

/// Added and taken away again, it rounds what is below 2^51 to a whole number.
const ROUNDING: f64 = 1.5 * (1u64 << 52) as f64;

// A multiplication by a root, which is at most p/2 away from 0, rounds a quotient that is off by 12 p 2^-52 at
// most, so it leaves 0.7 p, and 0.1 p of what the product lacked. Each level of a transform adds one such
// result, so 25 levels stay below 24 p, and an inverse reduces the one value of four that would double.

/// A prime, of the form 15 * 2^26 * a + 1 so that roots of unity are there for all sizes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prime {
    whole: u64,
    generator: u64,
    p: f64,
    inverse: f64,
}

/// Three of them hold 2^138, far more than a sum of products of digits has.
pub(super) const PRIMES: [Prime; 3] = [
    Prime::new(70_360_624_005_121, 19),
    Prime::new(70_350_557_675_521, 13),
    Prime::new(70_341_497_978_881, 7),
];

impl Prime {
    const fn new(whole: u64, generator: u64) -> Prime {
        Prime {
            whole,
            generator,
            p: whole as f64,
            inverse: 1.0 / whole as f64,
        }
    }

    /// The product, less than 0.8 p away from 0 where the factors are below 24 p and p/2.
    ///
    /// The rounded product and what it lacks are both exact by a fused operation; of each the nearest
    /// multiple of p is taken away. From FLINT, `nmod_fft_small` (`fft_small/sd_fft.c`).
    #[inline(always)]
    pub(super) fn multiply(self, x: f64, y: f64) -> f64 {
        let high = x * y;
        let low = x.mul_add(y, -high);
        let quotient = high.mul_add(self.inverse, ROUNDING) - ROUNDING;
        quotient.mul_add(-self.p, high) + low
    }

    /// The residue next to 0, at most a little more than p/2 away from it.
    #[inline(always)]
    pub(super) fn reduce(self, x: f64) -> f64 {
        let quotient = x.mul_add(self.inverse, ROUNDING) - ROUNDING;
        quotient.mul_add(-self.p, x)
    }

    /// The residue of a digit, which may be above 2^53.
    #[inline(always)]
    pub(super) fn residue(self, digit: u64) -> f64 {
        const EXPONENT: u64 = ((1u64 << 52) as f64).to_bits();
        let exact = |part: u64| f64::from_bits(EXPONENT | part) - (1u64 << 52) as f64;
        let high = exact(digit >> 32) * (1u64 << 32) as f64;
        self.reduce(high) + exact(digit & 0xffff_ffff)
    }

    /// A root of unity of the order, which divides 15 * 2^26: always the same power of the same generator.
    pub(super) const fn root(self, order: u64) -> u64 {
        self.power(self.generator, (self.whole - 1) / order)
    }

    /// What gives 1 together with the value.
    pub(super) const fn invert(self, value: u64) -> u64 {
        self.power(value, self.whole - 2)
    }

    pub(super) const fn times(self, x: u64, y: u64) -> u64 {
        (x as u128 * y as u128 % self.whole as u128) as u64
    }

    /// The same residue next to 0.
    pub(super) const fn near_zero(self, value: u64) -> f64 {
        let value = value % self.whole;
        if value > self.whole / 2 {
            value as f64 - self.p
        } else {
            value as f64
        }
    }

    const fn power(self, base: u64, mut exponent: u64) -> u64 {
        let (mut square, mut product) = (base % self.whole, 1);
        while exponent > 0 {
            if exponent & 1 == 1 {
                product = self.times(product, square);
            }
            square = self.times(square, square);
            exponent >>= 1;
        }
        product
    }

    /// The prime itself.
    pub(super) const fn whole(self) -> u64 {
        self.whole
    }
}
