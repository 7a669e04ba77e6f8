//! The roots of unity that a transform multiplies by.
//!
//! A transform splits x^n - c into x^(n/2) - s and x^(n/2) + s where s^2 = c, and so on. The blocks are
//! numbered as in a heap whose top is x^n - 1 at 0: block r becomes 2 r and 2 r + 1. The turn of s is then a
//! function of r alone, half of which is that of r/2, a quarter of a circle more for odd r. So one table serves all sizes, and that
//! of x^n + 1, which is block 1.

use multiversion::multiversion;

use super::prime::Prime;

/// Digits of the shortest block of rows, for each odd factor of the size.
pub(super) const ROW: usize = 8;

/// Rows whose roots are kept; those of others take a multiplication more, and no memory.
const RUN: usize = 1 << 12;

/// Odd factors of the sizes of transforms.
pub(super) const ODD: [usize; 3] = [1, 3, 5];

/// Roots in both directions of the circle: forth for a transform, back for its inverse.
#[derive(Debug)]
pub(super) struct Roots {
    pub(super) prime: Prime,
    pub(super) forth: Directed,
    pub(super) back: Directed,
}

#[derive(Debug)]
pub(super) struct Directed {
    /// Of order 4, of order 8, and their product.
    pub(super) eighths: [f64; 3],
    /// The s of each block.
    pub(super) splits: Vec<f64>,
    /// For each odd factor what the last blocks, the rows, are split by.
    pub(super) rows: [Rows; 3],
}

#[derive(Debug)]
pub(super) struct Rows {
    /// The root t of each row x^(8 m) - c, where t^(8 m) = c: of the first rows, and what those of as many
    /// more have to be multiplied by.
    roots: Vec<f64>,
    turns: Vec<f64>,
    /// What t has to be multiplied by for each of the m parts of a row.
    pub(super) parts: [f64; 5],
    /// Halves of sums and differences of a root of order m to the powers jk and -jk.
    pub(super) cosines: [[f64; 2]; 2],
    pub(super) sines: [[f64; 2]; 2],
}

impl Roots {
    pub(super) fn new(prime: Prime) -> Roots {
        Roots {
            prime,
            forth: Directed::new(|order| prime.root(order), prime),
            back: Directed::new(|order| prime.invert(prime.root(order)), prime),
        }
    }

    /// Makes the tables long enough for so many rows, counted from the first of block 0.
    pub(super) fn grow(&mut self, odd: usize, rows: usize) {
        let prime = self.prime;
        self.forth.grow(odd, rows, prime, |order| prime.root(order));
        self.back
            .grow(odd, rows, prime, |order| prime.invert(prime.root(order)));
    }
}

impl Directed {
    fn new(root: impl Fn(u64) -> u64, prime: Prime) -> Directed {
        let (quarter, eighth) = (root(4), root(8));
        Directed {
            eighths: [quarter, eighth, prime.times(quarter, eighth)]
                .map(|root| prime.near_zero(root)),
            splits: vec![1.0],
            rows: ODD.map(|odd| Rows::new(odd, &root, prime)),
        }
    }

    fn grow(&mut self, odd: usize, rows: usize, prime: Prime, root: impl Fn(u64) -> u64) {
        double_up_to(&mut self.splits, rows / 2, prime, |length| root(4 * length));
        let of_odd = &mut self.rows[odd / 2];
        let order = 2 * (ROW * odd) as u64;
        double_up_to(&mut of_odd.roots, rows.min(RUN), prime, |length| {
            root(order * length)
        });
        double_up_to(&mut of_odd.turns, rows.div_ceil(RUN), prime, |length| {
            root(order * RUN as u64 * length)
        });
    }
}

/// Adds the upper halves of a table that is turned by a root in each.
fn double_up_to(table: &mut Vec<f64>, length: usize, prime: Prime, root: impl Fn(u64) -> u64) {
    while table.len() < length {
        let turn = root(table.len() as u64);
        table.extend_from_within(..);
        let middle = table.len() / 2;
        scale(&mut table[middle..], prime.near_zero(turn), prime);
    }
}

/// Multiplies all values by one.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
fn scale(values: &mut [f64], factor: f64, prime: Prime) {
    for value in values {
        *value = prime.multiply(*value, factor);
    }
}

impl Rows {
    fn new(odd: usize, root: impl Fn(u64) -> u64, prime: Prime) -> Rows {
        let power =
            |root: u64, exponent: usize| (0..exponent).fold(1, |power, _| prime.times(power, root));
        let part = root((ROW * odd) as u64);
        let turn = root(odd as u64);
        let half = prime.invert(2);
        let table = |sign: u64| {
            [1, 2].map(|j| {
                [1, 2].map(|k| {
                    let forth = power(turn, j * k);
                    let sum = forth + prime.times(sign, prime.invert(forth));
                    prime.near_zero(prime.times(sum, half))
                })
            })
        };
        Rows {
            roots: vec![1.0],
            turns: vec![1.0],
            parts: [0, 1, 2, 3, 4].map(|exponent| prime.near_zero(power(part, exponent))),
            cosines: table(1),
            sines: table(prime.whole() - 1),
        }
    }

    /// The roots of so many rows from one on, which is a multiple of their number.
    #[inline(always)]
    pub(super) fn of<const COUNT: usize>(&self, first: usize, prime: Prime) -> [f64; COUNT] {
        let mut roots = [0.0; COUNT];
        let known = &self.roots[first % RUN..][..COUNT];
        for (root, known) in roots.iter_mut().zip(known) {
            *root = prime.multiply(*known, self.turns[first / RUN]);
        }
        roots
    }
}
