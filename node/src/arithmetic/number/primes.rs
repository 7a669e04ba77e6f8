//! The prime factors of n!, by the bits of their exponents.

use std::ops::Range;

use primal::Sieve;
use protocol::plan::{self, ARITY};

use super::{Number, product_of_primes};

/// The primes up to n, kept as long as the same n is asked for: two bits a number.
#[derive(Debug, Default)]
pub(crate) struct Primes {
    n: u32,
    /// Ascending.
    primes: Vec<u32>,
    /// For each bit of an exponent, the positions of the primes that have it.
    runs: Vec<Vec<Run>>,
}

/// Neighbours among the primes.
#[derive(Debug)]
struct Run {
    /// How many primes with the bit come before.
    rank: usize,
    /// The position of its first among all primes.
    first: usize,
}

/// The exponent of ten in n!, the number of trailing zeros.
pub(super) fn tens(n: u32) -> u32 {
    plan::exponent(n, 5)
}

/// The exponent of a prime in n! without its tens: 5 has none left, and 2 the rest.
pub(super) fn exponent(n: u32, prime: u32) -> u32 {
    match prime {
        2 => plan::exponent(n, 2) - tens(n),
        5 => 0,
        _ => plan::exponent(n, prime),
    }
}

impl Primes {
    /// The primes up to `n`, sieved if those of another n are kept.
    pub(crate) fn up_to(&mut self, n: u32) -> &Primes {
        if self.n != n {
            let sieve = Sieve::new(n as usize);
            let primes = sieve.primes_from(0).map(|prime| prime as u32);
            self.primes = primes.take_while(|&prime| prime <= n).collect();
            self.runs = runs(n, &self.primes);
            self.n = n;
        }
        self
    }

    /// How many primes have the bit in their exponents.
    #[cfg(test)]
    pub(super) fn count(&self, bit: u32) -> usize {
        let last = self.runs.get(bit as usize).and_then(|runs| runs.last());
        last.map_or(0, |end| end.rank)
    }

    /// The products of leaves: that of leaf i multiplies the primes of ranks 4 i to 4 i + 3 among those
    /// that have the bit, as far as there are any.
    pub(crate) fn leaves(&self, bit: u32, leaves: Range<u32>) -> impl Iterator<Item = Number> {
        let first = leaves.start as usize * ARITY as usize;
        let mut primes = self.beginning_at(bit, first);
        leaves.map(move |_| product_of_primes(primes.by_ref().take(ARITY as usize)))
    }

    /// The primes with the bit, from that of a rank on.
    fn beginning_at(&self, bit: u32, rank: usize) -> impl Iterator<Item = u32> {
        let runs = self.runs.get(bit as usize).map_or(&[][..], Vec::as_slice);
        let begun = runs.partition_point(|run| run.rank <= rank).max(1) - 1;
        let mut skipped = runs.get(begun).map_or(0, |run| rank - run.rank);
        runs[begun..].windows(2).flat_map(move |pair| {
            let length = pair[1].rank - pair[0].rank;
            let run = pair[0].first + std::mem::take(&mut skipped)..pair[0].first + length;
            self.primes[run].iter().copied()
        })
    }
}

/// The runs of each bit; one without primes ends each list.
fn runs(n: u32, primes: &[u32]) -> Vec<Vec<Run>> {
    let mut runs: Vec<Vec<Run>> = Vec::new();
    let mut counts = Vec::new();
    let mut before = 0;
    for (first, &prime) in primes.iter().enumerate() {
        let exponent = exponent(n, prime);
        let bits = (u32::BITS - exponent.leading_zeros()) as usize;
        if bits > runs.len() {
            runs.resize_with(bits, Vec::new);
            counts.resize(bits, 0);
        }
        if exponent != before {
            start_runs(&mut runs, &counts, exponent & !before, first);
        }
        for bit in bits_of(exponent) {
            counts[bit] += 1;
        }
        before = exponent;
    }
    start_runs(&mut runs, &counts, u32::MAX, primes.len());
    runs
}

fn start_runs(runs: &mut [Vec<Run>], counts: &[usize], bits: u32, first: usize) {
    for (bit, (runs, &rank)) in runs.iter_mut().zip(counts).enumerate() {
        if bits >> bit & 1 == 1 {
            runs.push(Run { rank, first });
        }
    }
}

fn bits_of(value: u32) -> impl Iterator<Item = usize> {
    (0..u32::BITS as usize).filter(move |bit| value >> bit & 1 == 1)
}
