//! The loops of a transform, as plain code that the compiler vectorises.
//!
//! Transforms leave their values in the order in which blocks are split, and inverses begin with that
//! order, so nothing is ever moved.

use multiversion::multiversion;

use super::prime::Prime;
use super::roots::{Directed, ROW, Roots, Rows};

/// Rows that are split in parallel, each in a lane.
pub(super) const LANES: usize = 16;

/// The same digit of all lanes.
type Lanes = [f64; LANES];

/// Splits block number `block` to the end.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub(super) fn forward(data: &mut [f64], block: usize, odd: usize, roots: &Roots) {
    split(data, block, ROW * odd, &roots.forth, roots.prime);
    let rows = block * (data.len() / (ROW * odd));
    match odd {
        1 => split_rows::<1>(data, rows, roots),
        3 => split_rows::<3>(data, rows, roots),
        _ => split_rows::<5>(data, rows, roots),
    }
}

/// What [`forward`] was given, times the length.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub(super) fn inverse(data: &mut [f64], block: usize, odd: usize, roots: &Roots) {
    let rows = block * (data.len() / (ROW * odd));
    match odd {
        1 => join_rows::<1>(data, rows, roots),
        3 => join_rows::<3>(data, rows, roots),
        _ => join_rows::<5>(data, rows, roots),
    }
    join(data, block, ROW * odd, &roots.back, roots.prime);
}

/// Splits a block into four, once.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub(super) fn split_large(data: &mut [f64], block: usize, roots: &Roots) {
    split_in_four(data, block, &roots.forth, roots.prime);
}

/// Undoes [`split_large`].
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub(super) fn join_large(data: &mut [f64], block: usize, roots: &Roots) {
    join_four(data, block, &roots.back, roots.prime);
}

/// Multiplies transforms.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub(super) fn multiply(values: &mut [f64], others: &[f64], prime: Prime) {
    for (value, other) in values.iter_mut().zip(others) {
        *value = prime.multiply(prime.reduce(*value), *other);
    }
}

/// Squares a transform.
#[multiversion(targets("x86_64+avx512f+avx512dq+avx512vl+fma", "x86_64+avx2+fma"))]
pub(super) fn square(values: &mut [f64], prime: Prime) {
    for value in values {
        let reduced = prime.reduce(*value);
        *value = prime.multiply(reduced, reduced);
    }
}

/// Splits a block, by four where it can be, until blocks have length `end`.
#[inline(always)]
fn split(data: &mut [f64], block: usize, end: usize, roots: &Directed, prime: Prime) {
    let mut first = block;
    let mut length = data.len();
    while length > end {
        let by_two = (length / end).ilog2() % 2 == 1;
        for (index, block) in data.chunks_exact_mut(length).enumerate() {
            if by_two {
                split_in_two(block, first + index, roots, prime);
            } else {
                split_in_four(block, first + index, roots, prime);
            }
        }
        let parts = if by_two { 2 } else { 4 };
        first *= parts;
        length /= parts;
    }
}

/// Undoes [`split`], without the halving.
#[inline(always)]
fn join(data: &mut [f64], block: usize, end: usize, roots: &Directed, prime: Prime) {
    let mut length = end;
    while length < data.len() {
        let by_two = data.len() / length == 2;
        length *= if by_two { 2 } else { 4 };
        let first = block * (data.len() / length);
        for (index, block) in data.chunks_exact_mut(length).enumerate() {
            if by_two {
                join_two(block, first + index, roots, prime);
            } else {
                join_four(block, first + index, roots, prime);
            }
        }
    }
}

#[inline(always)]
fn split_in_two(data: &mut [f64], block: usize, roots: &Directed, prime: Prime) {
    let root = roots.splits[block];
    let (low, high) = data.split_at_mut(data.len() / 2);
    for (a, b) in low.iter_mut().zip(high) {
        let turned = prime.multiply(*b, root);
        (*a, *b) = (*a + turned, *a - turned);
    }
}

#[inline(always)]
fn join_two(data: &mut [f64], block: usize, roots: &Directed, prime: Prime) {
    let root = roots.splits[block];
    let (low, high) = data.split_at_mut(data.len() / 2);
    for (a, b) in low.iter_mut().zip(high) {
        let difference = *a - *b;
        *a = prime.reduce(*a + *b);
        *b = prime.multiply(difference, root);
    }
}

#[inline(always)]
fn split_in_four(data: &mut [f64], block: usize, roots: &Directed, prime: Prime) {
    let root = roots.splits[block];
    let (low, high) = (roots.splits[2 * block], roots.splits[2 * block + 1]);
    for (a, b, c, d) in quarters(data) {
        let (turned_c, turned_d) = (prime.multiply(*c, root), prime.multiply(*d, root));
        let (sum_a, sum_b) = (*a + turned_c, *b + turned_d);
        let (difference_a, difference_b) = (*a - turned_c, *b - turned_d);
        let turned_b = prime.multiply(sum_b, low);
        let turned_d = prime.multiply(difference_b, high);
        *a = sum_a + turned_b;
        *b = sum_a - turned_b;
        *c = difference_a + turned_d;
        *d = difference_a - turned_d;
    }
}

#[inline(always)]
fn join_four(data: &mut [f64], block: usize, roots: &Directed, prime: Prime) {
    let root = roots.splits[block];
    let (low, high) = (roots.splits[2 * block], roots.splits[2 * block + 1]);
    for (a, b, c, d) in quarters(data) {
        let (sum_a, sum_c) = (*a + *b, *c + *d);
        let sum_b = prime.multiply(*a - *b, low);
        let sum_d = prime.multiply(*c - *d, high);
        *a = prime.reduce(sum_a + sum_c);
        *b = sum_b + sum_d;
        *c = prime.multiply(sum_a - sum_c, root);
        *d = prime.multiply(sum_b - sum_d, root);
    }
}

#[inline(always)]
fn quarters(data: &mut [f64]) -> impl Iterator<Item = (&mut f64, &mut f64, &mut f64, &mut f64)> {
    let (low, high) = data.split_at_mut(data.len() / 2);
    let (a, b) = low.split_at_mut(low.len() / 2);
    let (c, d) = high.split_at_mut(high.len() / 2);
    let four = a.iter_mut().zip(b).zip(c).zip(d);
    four.map(|(((a, b), c), d)| (a, b, c, d))
}

/// Splits rows of 8 M digits to the end, and leaves digits of the same place side by side.
#[inline(always)]
fn split_rows<const M: usize>(data: &mut [f64], first: usize, roots: &Roots) {
    let (prime, forth) = (roots.prime, &roots.forth);
    let rows = &forth.rows[M / 2];
    for (index, tile) in data.chunks_exact_mut(LANES * ROW * M).enumerate() {
        let root = rows.of(first + index * LANES, prime);
        let mut parts = [[[0.0; LANES]; ROW]; M];
        for (lane, row) in tile.chunks_exact(ROW * M).enumerate() {
            for (digits, part) in row.chunks_exact(ROW).zip(&mut parts) {
                for (digit, lanes) in digits.iter().zip(part) {
                    lanes[lane] = *digit;
                }
            }
        }
        if M > 1 {
            mix_parts(&mut parts, &root, rows, prime, true);
        }
        for (part, factor) in parts.iter_mut().zip(rows.parts) {
            split_row(part, &root, factor, forth.eighths, prime);
        }
        for (place, lanes) in tile.chunks_exact_mut(LANES).zip(parts.as_flattened()) {
            place.copy_from_slice(lanes);
        }
    }
}

/// Undoes [`split_rows`], without the division by 8 M.
#[inline(always)]
fn join_rows<const M: usize>(data: &mut [f64], first: usize, roots: &Roots) {
    let (prime, back) = (roots.prime, &roots.back);
    let rows = &back.rows[M / 2];
    for (index, tile) in data.chunks_exact_mut(LANES * ROW * M).enumerate() {
        let root = rows.of(first + index * LANES, prime);
        let mut parts = [[[0.0; LANES]; ROW]; M];
        let places = parts.as_flattened_mut().iter_mut();
        for (lanes, place) in places.zip(tile.chunks_exact(LANES)) {
            lanes.copy_from_slice(place);
        }
        for (part, factor) in parts.iter_mut().zip(rows.parts) {
            join_row(part, &root, factor, back.eighths, prime);
        }
        if M > 1 {
            mix_parts(&mut parts, &root, rows, prime, false);
        }
        for (lane, row) in tile.chunks_exact_mut(ROW * M).enumerate() {
            for (digits, part) in row.chunks_exact_mut(ROW).zip(&parts) {
                for (digit, lanes) in digits.iter_mut().zip(part) {
                    *digit = lanes[lane];
                }
            }
        }
    }
}

/// x^8 - t^8 in each lane, t being the root times a factor.
#[inline(always)]
fn split_row(x: &mut [Lanes; ROW], root: &Lanes, factor: f64, eighths: [f64; 3], prime: Prime) {
    let times = |x, y| prime.multiply(x, y);
    for lane in 0..LANES {
        let t = times(root[lane], factor);
        let t2 = times(t, t);
        let t4 = times(t2, t2);
        let mut v: [f64; ROW] = std::array::from_fn(|index| x[index][lane]);
        let mut split = |a: usize, b: usize, root: f64| {
            let turned = times(v[b], root);
            (v[a], v[b]) = (v[a] + turned, v[a] - turned);
        };
        split(0, 4, t4);
        split(1, 5, t4);
        split(2, 6, t4);
        split(3, 7, t4);
        let quarter = times(t2, eighths[0]);
        split(0, 2, t2);
        split(1, 3, t2);
        split(4, 6, quarter);
        split(5, 7, quarter);
        split(0, 1, t);
        split(2, 3, times(t, eighths[0]));
        split(4, 5, times(t, eighths[1]));
        split(6, 7, times(t, eighths[2]));
        for index in 0..ROW {
            x[index][lane] = v[index];
        }
    }
}

/// Undoes [`split_row`], without the division by 8.
#[inline(always)]
fn join_row(x: &mut [Lanes; ROW], root: &Lanes, factor: f64, eighths: [f64; 3], prime: Prime) {
    let times = |x, y| prime.multiply(x, y);
    for lane in 0..LANES {
        let t = times(root[lane], factor);
        let t2 = times(t, t);
        let t4 = times(t2, t2);
        let mut v: [f64; ROW] = std::array::from_fn(|index| x[index][lane]);
        let mut join = |a: usize, b: usize, root: f64| {
            (v[a], v[b]) = (v[a] + v[b], times(v[a] - v[b], root));
        };
        join(0, 1, t);
        join(2, 3, times(t, eighths[0]));
        join(4, 5, times(t, eighths[1]));
        join(6, 7, times(t, eighths[2]));
        let quarter = times(t2, eighths[0]);
        join(0, 2, t2);
        join(1, 3, t2);
        join(4, 6, quarter);
        join(5, 7, quarter);
        join(0, 4, t4);
        join(1, 5, t4);
        join(2, 6, t4);
        join(3, 7, t4);
        v[0] = prime.reduce(v[0]);
        for index in 0..ROW {
            x[index][lane] = v[index];
        }
    }
}

/// Transforms of length M, which is odd, across the parts of rows, with part j multiplied by t^(8 j) before
/// or after. Sums and differences of the parts j and M - j need half as many products.
#[inline(always)]
#[expect(
    clippy::needless_range_loop,
    reason = "an index is one of several parts"
)]
fn mix_parts<const M: usize>(
    parts: &mut [[Lanes; ROW]; M],
    root: &Lanes,
    rows: &Rows,
    prime: Prime,
    turned_before: bool,
) {
    let mut turns = [[1.0; LANES]; M];
    for lane in 0..LANES {
        let mut turn = root[lane];
        for _ in 0..ROW.ilog2() {
            turn = prime.multiply(turn, turn);
        }
        for part in 1..M {
            turns[part][lane] = prime.multiply(turns[part - 1][lane], turn);
        }
    }
    for place in 0..ROW {
        for lane in 0..LANES {
            let mut v = [0.0; M];
            v[0] = parts[0][place][lane];
            for part in 1..M {
                v[part] = parts[part][place][lane];
                if turned_before {
                    v[part] = prime.multiply(v[part], turns[part][lane]);
                }
            }
            let mut mixed = [v[0]; M];
            for k in 1..=M / 2 {
                mixed[0] += v[k] + v[M - k];
            }
            for j in 1..=M / 2 {
                let mut odd = 0.0;
                for k in 1..=M / 2 {
                    mixed[j] += prime.multiply(v[k] + v[M - k], rows.cosines[j - 1][k - 1]);
                    odd += prime.multiply(v[k] - v[M - k], rows.sines[j - 1][k - 1]);
                }
                mixed[M - j] = mixed[j] - odd;
                mixed[j] += odd;
            }
            if !turned_before {
                mixed[0] = prime.reduce(mixed[0]);
                for part in 1..M {
                    mixed[part] = prime.multiply(mixed[part], turns[part][lane]);
                }
            }
            for part in 0..M {
                parts[part][place][lane] = mixed[part];
            }
        }
    }
}
