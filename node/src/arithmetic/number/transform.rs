//! Multiplication by number-theoretic transforms: computes the sums of products of digits modulo three
//! primes, combines them, and propagates carries.

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

/// Blocks of more values do not fit the second-level cache.
const CACHED: usize = 1 << 15;

/// The least size: one group of rows.
const LEAST: usize = ROW * kernel::LANES;

/// The most values: there are roots of unity for them, and the primes hold their sums.
const MOST: usize = 1 << 25;

/// Tables and values for more values than this are not kept for the next multiplication.
const KEPT: usize = 1 << 21;

/// From this many values on, memory that is kept uses huge pages.
const HUGE: usize = 1 << 19;

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::new(Memory::new());
}

/// The memory that a thread keeps from one multiplication to the next.
struct Memory {
    roots: [Roots; 3],
    /// The transforms of a factor modulo each prime.
    factors: [Vec<f64>; 3],
    /// Those of the other, and then the products.
    products: [Vec<f64>; 3],
}

/// Whether this processor has the instructions that make transforms fast.
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

/// The product, with as many digits as both factors together.
pub(super) fn multiply(a: &[u64], b: &[u64], size: usize) -> Vec<u64> {
    let modulus = Modulus {
        size,
        sign: Sign::Minus,
    };
    with_memory(modulus, |memory| {
        memory.multiply(a, b, modulus);
        memory.digits(modulus, a.len() + b.len()).0
    })
}

/// The least residue of f (f p) for factors that are no longer than the modulus, whose size is good.
pub(super) fn step_modulo(f: &[u64], p: Option<&[u64]>, modulus: Modulus) -> Vec<u64> {
    let residue = |memory: &Memory| {
        let (mut digits, carry) = memory.digits(modulus, modulus.size);
        modulus.wrap(&mut digits, carry);
        digits
    };
    with_memory(modulus, |memory| {
        let Some(p) = p else {
            memory.multiply(f, f, modulus);
            return residue(memory);
        };
        memory.transform_factor(f, modulus);
        memory.multiply_by_factor(p, modulus);
        let product = residue(memory);
        memory.multiply_by_factor(&product, modulus);
        residue(memory)
    })
}

fn with_memory(modulus: Modulus, run: impl FnOnce(&mut Memory) -> Vec<u64>) -> Vec<u64> {
    MEMORY.with_borrow_mut(|memory| {
        let digits = run(memory);
        if modulus.size > KEPT {
            *memory = Memory::new();
        }
        digits
    })
}

impl Memory {
    fn new() -> Memory {
        Memory {
            roots: PRIMES.map(Roots::new),
            factors: Default::default(),
            products: Default::default(),
        }
    }

    /// Leaves the product among the products.
    fn multiply(&mut self, a: &[u64], b: &[u64], modulus: Modulus) {
        let [factor, ..] = &mut self.factors;
        for (roots, product) in self.roots.iter_mut().zip(&mut self.products) {
            let transform = Transform::new(modulus, roots);
            transform.forward(product, a);
            if ptr::eq(a, b) {
                kernel::square(product, transform.roots.prime);
            } else {
                transform.forward(factor, b);
                kernel::multiply(product, factor, transform.roots.prime);
            }
            transform.join(product, transform.block);
        }
    }

    fn transform_factor(&mut self, digits: &[u64], modulus: Modulus) {
        for (roots, factor) in self.roots.iter_mut().zip(&mut self.factors) {
            Transform::new(modulus, roots).forward(factor, digits);
        }
    }

    /// Multiplies by the last transformed factor.
    fn multiply_by_factor(&mut self, digits: &[u64], modulus: Modulus) {
        let memory = self.roots.iter_mut().zip(&self.factors);
        for ((roots, factor), product) in memory.zip(&mut self.products) {
            let transform = Transform::new(modulus, roots);
            transform.forward(product, digits);
            kernel::multiply(product, factor, transform.roots.prime);
            transform.join(product, transform.block);
        }
    }

    /// The lowest digits of the products, and what is carried out of them.
    fn digits(&self, modulus: Modulus, length: usize) -> (Vec<u64>, i128) {
        let products = self.products.each_ref().map(|product| &product[..length]);
        Carries::new(modulus.size).carry(products)
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
        hold(values, self.size);
        let (digits, above) = digits.split_at(digits.len().min(self.size));
        let (used, rest) = values.split_at_mut(digits.len());
        residues::of_digits(used, digits, self.roots.prime);
        rest.fill(0.0);
        // The residue -1 modulo B^size + 1 has one digit more.
        for (value, digit) in values.iter_mut().zip(above) {
            *value -= *digit as f64;
        }
        self.split(values, self.block);
    }

    /// Of the values of a block, or of one that it was split into.
    fn split(&self, values: &mut [f64], block: usize) {
        if values.len() <= CACHED * self.odd {
            kernel::forward(values, block, self.odd, self.roots);
        } else {
            kernel::split_large(values, block, self.roots);
            let length = values.len() / 4;
            for (index, part) in values.chunks_exact_mut(length).enumerate() {
                self.split(part, 4 * block + index);
            }
        }
    }

    /// Undoes [`Transform::split`], but for a factor, the size.
    fn join(&self, values: &mut [f64], block: usize) {
        if values.len() <= CACHED * self.odd {
            kernel::inverse(values, block, self.odd, self.roots);
        } else {
            let length = values.len() / 4;
            for (index, part) in values.chunks_exact_mut(length).enumerate() {
                self.join(part, 4 * block + index);
            }
            kernel::join_large(values, block, self.roots);
        }
    }
}

/// Makes room for values, on huge pages if there are many and the memory is kept: the kernel frees those
/// faster when a process is killed. Memory that is used once is faster in small pages.
fn hold(values: &mut Vec<f64>, size: usize) {
    if values.capacity() < size {
        *values = Vec::new();
        values.reserve_exact(size);
        #[cfg(target_os = "linux")]
        if (HUGE..=KEPT).contains(&size) {
            advise_huge_pages(values);
        }
    }
    values.resize(size, 0.0);
}

#[cfg(target_os = "linux")]
fn advise_huge_pages(values: &mut Vec<f64>) {
    const PAGE: usize = 4096;
    let room = values.spare_capacity_mut();
    let bytes = size_of_val(room);
    let start = room.as_mut_ptr().cast::<u8>();
    let skipped = start.align_offset(PAGE);
    if let Some(length) = bytes.checked_sub(skipped + PAGE) {
        let page = start.wrapping_add(skipped);
        // SAFETY: the pages are within memory of the vector, and the advice changes nothing in them.
        let advised = unsafe { libc::madvise(page.cast(), length, libc::MADV_HUGEPAGE) };
        if advised == -1 {
            tracing::debug!("no huge pages for the arithmetic");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arithmetic::number::{BASE, kronecker};

    #[test]
    fn products_of_all_sizes_are_those_by_substitution() {
        for size in [
            128,
            256,
            384,
            512,
            640,
            768,
            1280,
            1 << 12,
            3 << 11,
            5 << 10,
            1 << 16,
            3 << 16,
        ] {
            assert_eq!(good_size(size), Some(size));
            for sign in [Sign::Minus, Sign::Plus] {
                let modulus = Modulus { size, sign };
                for length in [size, size / 2, 1] {
                    let nines = vec![BASE - 1; length];
                    let mixed: Vec<u64> = (0..size as u64)
                        .map(|digit| digit.wrapping_mul(0x9e37_79b9_7f4a_7c15) % BASE)
                        .collect();
                    for (f, p) in [
                        (&nines, Some(&mixed[..])),
                        (&mixed, Some(&nines)),
                        (&nines, None),
                    ] {
                        let times_f =
                            |digits: &[u64]| modulus.reduce(&kronecker::multiply(f, digits));
                        let expected = times_f(&p.map_or(f.clone(), times_f));
                        assert!(
                            step_modulo(f, p, modulus) == expected,
                            "{modulus:?} {length}"
                        );
                    }
                }
            }
        }
    }
}
