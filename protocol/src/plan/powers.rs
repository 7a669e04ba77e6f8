//! The prime powers that n! is made of.
//!
//! n! is the product of p^e over the primes p up to n. Tens are left out first: they are zeros at the
//! end, which nobody has to compute. P_b is the product of the primes whose exponent has bit b, and so n!
//! without its zeros is P_0 · (P_1 · (P_2 · …)²)². How many primes each P_b has follows from n alone, and
//! the plan needs no more; which they are only the arithmetic has to know.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// Most bits of an exponent: 2 has fewer than n.
pub(super) const MAX_BITS: usize = 32;

/// Counts that are remembered, of the factorials that were asked for last.
const REMEMBERED: usize = 1 << 10;

/// By bit: how many primes have it in their exponent in n!, tens left out; up to the highest that any has.
pub(super) fn counts(n: u32) -> Vec<u32> {
    thread_local! {
        // Asked for with every operation, and a function of n alone.
        static KNOWN: RefCell<BTreeMap<u32, Vec<u32>>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= REMEMBERED && !known.contains_key(&n) {
            known.clear();
        }
        known.entry(n).or_insert_with(|| count(n)).clone()
    })
}

/// The exponent of a prime, which is 2 at least, in n!, by Legendre.
pub fn exponent(n: u32, prime: u32) -> u32 {
    let powers = std::iter::successors(Some(n / prime), |&n| Some(n / prime));
    powers.take_while(|&multiples| multiples > 0).sum()
}

fn count(n: u32) -> Vec<u32> {
    let primes = Primes::up_to(n);
    let root = primes.root();
    let mut counts = [0; MAX_BITS];
    let mut add = |exponent: u32, primes: i64| {
        for (bit, count) in counts.iter_mut().enumerate() {
            *count += primes * i64::from((exponent >> bit) & 1);
        }
    };
    for prime in 2..=root {
        if primes.up_to_small(prime) > primes.up_to_small(prime - 1) {
            add(exponent(n, prime), 1);
        }
    }
    // The square of any other is above n, so its exponent is how often it goes into n.
    for quotient in 1..=n / (root + 1) {
        let [up_to, before] =
            [quotient, quotient + 1].map(|quotient| primes.up_to_quotient(quotient));
        add(quotient, i64::from(up_to) - i64::from(before));
    }
    // Tens are left out.
    let zeros = exponent(n, 5);
    for prime in [2, 5].into_iter().filter(|&prime| prime <= n) {
        add(exponent(n, prime), -1);
        add(exponent(n, prime) - zeros, 1);
    }
    let bits = counts.iter().rposition(|&count| count > 0);
    let counts = counts
        .iter()
        .map(|&count| u32::try_from(count).unwrap_or(0));
    counts.take(bits.map_or(0, |last| last + 1)).collect()
}

/// How many primes there are up to n / k, for each k: counted by what each prime in turn sifts out, after
/// Lucy_Hedgehog (Project Euler, problem 10), in n^(3/4) steps.
struct Primes {
    n: u32,
    /// Up to each number that is at most the root of n.
    small: Vec<u32>,
    /// Up to n / k, for each k that is at most the root of n.
    large: Vec<u32>,
}

impl Primes {
    fn up_to(n: u32) -> Primes {
        let root = n.isqrt() as usize;
        let mut small: Vec<u32> = (0..=root as u32)
            .map(|value| value.saturating_sub(1))
            .collect();
        let mut large: Vec<u32> = (0..=root as u32)
            .map(|k| n.checked_div(k).unwrap_or(1) - 1)
            .collect();
        for prime in 2..=root {
            let before = small[prime - 1];
            if small[prime] == before {
                continue;
            }
            let square = prime * prime;
            for k in 1..=root.min(n as usize / square) {
                let multiple = k * prime;
                let left = if multiple <= root {
                    large[multiple]
                } else {
                    small[n as usize / multiple]
                };
                large[k] -= left - before;
            }
            for value in (square..=root).rev() {
                small[value] -= small[value / prime] - before;
            }
        }
        Primes { n, small, large }
    }

    fn root(&self) -> u32 {
        self.small.len() as u32 - 1
    }

    fn up_to_small(&self, value: u32) -> u32 {
        self.small[value as usize]
    }

    /// Up to n / k, or to the root of n if that is more.
    fn up_to_quotient(&self, k: u32) -> u32 {
        let value = self.n / k;
        if value > self.root() {
            self.large[k as usize]
        } else {
            self.up_to_small(self.root())
        }
    }
}
