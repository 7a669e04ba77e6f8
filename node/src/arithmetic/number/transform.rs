//! Multiplication by number-theoretic transforms: the sums of products of digits are computed modulo three
//! primes, put together, and carried.

mod kernel;
mod prime;
mod residues;
mod roots;

use std::cell::RefCell;
use std::ptr;

use self::prime::PRIMES;
use self::residues::Carries;
use self::roots::{ODD, ROW, Roots};
use super::modulus::{Modulus, Sign};

/// Blocks of more values are split out of the second level of cache.
const CACHED: usize = 1 << 15;

/// The least size: one group of rows.
const LEAST: usize = ROW * kernel::LANES;

/// Roots of unity are there for so many values of a negacyclic transform, times an odd factor.
const MOST: usize = 1 << 25;

/// Tables and values above this are not kept for the next multiplication.
const KEPT: usize = 1 << 22;

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

/// What a thread keeps from one multiplication to the next.
#[derive(Default)]
struct Memory {
    roots: Vec<Roots>,
    products: [Vec<f64>; 3],
    factor: Vec<f64>,
}

/// Whether this processor has what makes transforms fast.
pub(super) fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// The least size from `least` on that a transform can have, if it is not too large.
pub(super) fn good_size(least: usize) -> Option<usize> {
    let sizes = ODD.map(|odd| odd * least.div_ceil(odd).next_power_of_two().max(LEAST));
    sizes.into_iter().min().filter(|&size| size <= MOST)
}

/// The product, with as many digits as both factors have.
pub(super) fn multiply(a: &[u64], b: &[u64], size: usize) -> Vec<u64> {
    let modulus = Modulus {
        size,
        sign: Sign::Minus,
    };
    convolve(a, b, modulus, a.len() + b.len()).0
}

/// The least residue of the product of factors that are no longer than the modulus, whose size is good.
pub(super) fn multiply_modulo(a: &[u64], b: &[u64], modulus: Modulus) -> Vec<u64> {
    let (mut digits, carry) = convolve(a, b, modulus, modulus.size);
    modulus.wrap(&mut digits, carry);
    digits
}

/// The lowest digits of the sums of products, and what is carried out of them.
fn convolve(a: &[u64], b: &[u64], modulus: Modulus, length: usize) -> (Vec<u64>, i128) {
    MEMORY.with_borrow_mut(|memory| {
        if memory.roots.is_empty() {
            memory.roots = PRIMES.map(Roots::new).into();
        }
        for (roots, product) in memory.roots.iter_mut().zip(&mut memory.products) {
            let transform = Transform::new(modulus, roots);
            transform.forward(product, a);
            if ptr::eq(a, b) {
                kernel::square(product, transform.roots.prime);
            } else {
                transform.forward(&mut memory.factor, b);
                kernel::multiply(product, &memory.factor, transform.roots.prime);
            }
            transform.inverse(product);
        }
        let products = memory.products.each_ref().map(|product| &product[..length]);
        let result = Carries::new(modulus.size).carry(products);
        memory.bound(modulus.size);
        result
    })
}

impl Memory {
    /// Keeps little enough.
    fn bound(&mut self, used: usize) {
        if used > KEPT {
            *self = Memory::default();
        }
    }
}

/// A transform of one size modulo one prime.
struct Transform<'a> {
    size: usize,
    odd: usize,
    /// The number of the block that is split: 1 for that of x^n + 1.
    block: usize,
    roots: &'a Roots,
}

impl Transform<'_> {
    fn new(modulus: Modulus, roots: &mut Roots) -> Transform<'_> {
        let size = modulus.size;
        let odd = size >> size.trailing_zeros();
        let block = usize::from(modulus.sign == Sign::Plus);
        roots.grow(odd, size / (ROW * odd) * (1 + block));
        Transform {
            size,
            odd,
            block,
            roots,
        }
    }

    fn forward(&self, values: &mut Vec<f64>, digits: &[u64]) {
        values.resize(self.size, 0.0);
        let (used, rest) = values.split_at_mut(digits.len());
        kernel::residues(used, digits, self.roots.prime);
        rest.fill(0.0);
        self.split(values, self.block);
    }

    fn split(&self, values: &mut [f64], block: usize) {
        if values.len() <= CACHED * self.odd {
            kernel::forward(values, block, self.odd, self.roots);
        } else {
            kernel::split_large(values, block, self.roots);
            let length = values.len() / kernel::SPLIT;
            for (index, part) in values.chunks_exact_mut(length).enumerate() {
                self.split(part, kernel::SPLIT * block + index);
            }
        }
    }

    fn inverse(&self, values: &mut [f64]) {
        self.join(values, self.block);
    }

    fn join(&self, values: &mut [f64], block: usize) {
        if values.len() <= CACHED * self.odd {
            kernel::inverse(values, block, self.odd, self.roots);
        } else {
            let length = values.len() / kernel::SPLIT;
            for (index, part) in values.chunks_exact_mut(length).enumerate() {
                self.join(part, kernel::SPLIT * block + index);
            }
            kernel::join_large(values, block, self.roots);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::number::BASE;

    #[test]
    fn products_of_all_sizes_are_those_by_substitution() {
        for size in [128, 256, 384, 512, 640, 768, 1280, 1536, 5 << 9, 1 << 14, 3 << 13, 5 << 12, 1 << 16, 1 << 17, 3 << 17, 5 << 16] {
            assert_eq!(good_size(size), Some(size));
            for sign in [Sign::Minus, Sign::Plus] {
                let modulus = Modulus { size, sign };
                for length in [size, size / 2, 1] {
                    let nines = vec![BASE - 1; length];
                    let mixed: Vec<u64> = (0..size as u64).map(|digit| digit.wrapping_mul(0x9e37_79b9_7f4a_7c15) % BASE).collect();
                    for (a, b) in [(&nines, &mixed), (&nines, &nines), (&mixed, &mixed)] {
                        let product = super::super::kronecker::multiply(a, b);
                        let expected = modulus.sum(&[(1, &product)]);
                        assert!(multiply_modulo(a, b, modulus) == expected, "{modulus:?} {length}");
                    }
                }
            }
        }
    }
}
