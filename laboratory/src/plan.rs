//! The two plans of n!, derived from n alone and implemented independently of the crate that this one judges.
//!
//! - By *tree*, leaf `i` multiplies `n - 4i` and the three numbers below it. The operations of a level are
//!   grouped into a quarter as many, as evenly as possible, up to a single one, n!.
//! - By *powers*, each bit of the exponents in n! has a tree of the primes that have it, the smallest first,
//!   four to a leaf; P_b is its product. Tens are left out: they are trailing zeros. All trees are laid out
//!   side by side, that of the highest bit first. The step to bit `b` makes F_b = F · (F · P_b), where F is
//!   the one before, and F_0 is n! without its zeros. A step may be cut into two parts, which are made of the
//!   same.

mod words;

use std::sync::Arc;

use primal::Sieve;

pub use self::words::Names;
use crate::log::{Event, Op};

/// Maximum number of values in one operation.
pub(crate) const ARITY: u64 = 4;
/// Number of parts of a step that is cut.
pub(crate) const PARTS: u64 = 2;
/// The largest n that any cluster accepts.
const MAX_N: u64 = 100_000_000;

/// How n! is composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// All numbers.
    Tree,
    /// Prime powers.
    Powers,
}

/// The operations of n!.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    n: u64,
    method: Method,
    /// How many leaves each tree has, by bit; a single one of all numbers.
    trees: Vec<u64>,
    levels: Vec<Level>,
}

/// Operations of one kind and level; all trees together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) kind: &'static str,
    pub(crate) level: u64,
    pub(crate) width: u64,
}

impl Level {
    /// The name of one of them, of n!.
    pub(crate) fn operation(&self, n: u64, index: u64) -> Op {
        Op {
            n,
            kind: self.kind.into(),
            level: self.level,
            index,
        }
    }
}

impl Plan {
    /// The plan of n!; without operations if n is too large.
    pub(crate) fn new(n: u64, method: Method, primes: &mut Primes) -> Plan {
        let trees = match method {
            _ if n > MAX_N => Vec::new(),
            Method::Tree => vec![n.div_ceil(ARITY).max(1)],
            Method::Powers => primes.up_to(n).leaves(n),
        };
        let mut levels = Vec::new();
        for level in 0.. {
            let width = trees.iter().map(|&leaves| width(leaves, level)).sum();
            if width == 0 {
                break;
            }
            levels.push(Level {
                kind: "multiply",
                level,
                width,
            });
        }
        levels.extend((1..trees.len() as u64).rev().map(|above| Level {
            kind: "step",
            level: above - 1,
            width: 1,
        }));
        Plan {
            n,
            method,
            trees,
            levels,
        }
    }

    /// All operations but the parts of steps.
    pub(crate) fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// Whether this names an operation of it, or a possible part of one.
    pub(crate) fn contains(&self, op: &Op) -> bool {
        let (kind, most) = match &*op.kind {
            "part" => ("step", Some(PARTS)),
            kind => (kind, None),
        };
        let mut levels = self.levels.iter();
        let level = levels.find(|level| level.kind == kind && level.level == op.level);
        level.is_some_and(|level| op.index < most.unwrap_or(level.width))
    }

    /// How many operations it has, in words.
    pub(crate) fn widths(&self) -> String {
        let widths: Vec<u64> = self.multiplications().map(|level| level.width).collect();
        let steps = self.trees.len().saturating_sub(1);
        match self.method {
            Method::Tree => format!("its tree has {widths:?} on its levels"),
            Method::Powers => {
                format!("its trees have {widths:?} on their levels, and its chain {steps} steps")
            }
        }
    }

    fn multiplications(&self) -> impl Iterator<Item = &Level> {
        self.levels.iter().filter(|level| level.kind == "multiply")
    }

    /// A prime whose exponent in the product of these leaves differs from that in n!, with both exponents.
    /// Only for prime powers, since a tree with all leaves contains every number once.
    pub(crate) fn unequal(&self, leaves: &[bool], primes: &Primes) -> Option<(u64, u64, u64)> {
        if self.method == Method::Tree {
            return None;
        }
        let mut ranks = vec![0; self.trees.len()];
        let firsts: Vec<u64> = (0..self.trees.len())
            .map(|bit| self.before(bit, 0))
            .collect();
        let tens = exponent(self.n, 5);
        primes.of(self.n).find_map(|prime| {
            let left = exponent_left(self.n, prime);
            let mut multiplied = if 10 % prime == 0 { tens } else { 0 };
            for bit in 0..self.trees.len() {
                if left >> bit & 1 == 1 {
                    let leaf = firsts[bit] + ranks[bit] / ARITY;
                    ranks[bit] += 1;
                    let is_there =
                        usize::try_from(leaf).is_ok_and(|leaf| leaves.get(leaf) == Some(&true));
                    multiplied += u64::from(is_there) << bit;
                }
            }
            let needed = exponent(self.n, prime);
            (multiplied != needed).then_some((prime, multiplied, needed))
        })
    }

    /// The number of multiplications of a level before those of a bit.
    fn before(&self, bit: usize, level: u64) -> u64 {
        let higher = &self.trees[bit + 1..];
        higher.iter().map(|&leaves| width(leaves, level)).sum()
    }

    /// The bit of a multiplication, and its position in the tree of that bit.
    fn locate(&self, op: &Op) -> Option<(usize, u64)> {
        let bits = (0..self.trees.len()).rev();
        bits.map(|bit| (bit, op.index.wrapping_sub(self.before(bit, op.level))))
            .find(|&(bit, index)| index < width(self.trees[bit], op.level))
    }
}

/// How many operations a level of a tree has.
fn width(leaves: u64, level: u64) -> u64 {
    let above = |&width: &u64| (width > 1).then(|| width.div_ceil(ARITY));
    let mut widths = std::iter::successors(Some(leaves), above);
    usize::try_from(level)
        .ok()
        .and_then(|level| widths.nth(level))
        .unwrap_or(0)
}

/// Position, one level down, of the first operation that goes into this one.
fn first_below(leaves: u64, level: u64, index: u64) -> u64 {
    index * width(leaves, level - 1) / width(leaves, level)
}

/// The exponent of a prime in n!, by Legendre.
fn exponent(n: u64, prime: u64) -> u64 {
    let multiples = std::iter::successors(Some(n / prime), |&n| Some(n / prime));
    multiples.take_while(|&multiples| multiples > 0).sum()
}

/// That in n! without its tens.
fn exponent_left(n: u64, prime: u64) -> u64 {
    match prime {
        2 => exponent(n, 2) - exponent(n, 5),
        5 => 0,
        _ => exponent(n, prime),
    }
}

/// The primes up to the largest n that was asked for, a few bits each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Primes(Option<Arc<Sieve>>);

impl Primes {
    fn up_to(&mut self, n: u64) -> &Primes {
        let n = usize::try_from(n).unwrap_or(0);
        let known = self.0.as_ref().map_or(0, |sieve| sieve.upper_bound());
        if known < n {
            self.0 = Some(Arc::new(Sieve::new(n.max(2 * known))));
        }
        self
    }

    /// Those up to n.
    fn of(&self, n: u64) -> impl Iterator<Item = u64> {
        let all = self.0.iter().flat_map(|sieve| sieve.primes_from(0));
        all.map(|prime| prime as u64)
            .take_while(move |&prime| prime <= n)
    }

    /// By bit of the exponents in n!, how many leaves its primes have.
    fn leaves(&self, n: u64) -> Vec<u64> {
        let mut counts: Vec<u64> = vec![0; u64::BITS as usize];
        for prime in self.of(n) {
            let mut left = exponent_left(n, prime);
            while left > 0 {
                counts[left.trailing_zeros() as usize] += 1;
                left &= left - 1;
            }
        }
        let bits = counts.iter().rposition(|&count| count > 0);
        // 0! and 1! have no primes, and one empty leaf.
        bits.map_or_else(
            || vec![1],
            |highest| {
                let counts = counts[..=highest].iter();
                counts.map(|count| count.div_ceil(ARITY)).collect()
            },
        )
    }

    /// The primes that have a bit, smallest first.
    fn with_bit(&self, n: u64, bit: usize) -> Vec<u64> {
        self.of(n)
            .filter(|&prime| exponent_left(n, prime) >> bit & 1 == 1)
            .collect()
    }
}

/// What the log says about the plan of one factorial.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    /// As its first `product_done` says, by the clock.
    done: Option<(u64, Option<Method>)>,
    has_steps: bool,
    /// The bits of which there are parts.
    cut: u64,
}

impl Told {
    /// Reads an event of this factorial.
    pub(crate) fn take(&mut self, event: &Event) {
        if let Some(op) = event.op() {
            self.has_steps |= matches!(&*op.kind, "step" | "part");
            if &*op.kind == "part" {
                self.cut |= 1u64
                    .checked_shl(op.level.try_into().unwrap_or(u32::MAX))
                    .unwrap_or(0);
            }
        } else if event.name() == "product_done" && self.done.is_none_or(|(at, _)| event.at() < at)
        {
            let method = match event.text("plan") {
                "tree" => Some(Method::Tree),
                "powers" => Some(Method::Powers),
                _ => None,
            };
            self.done = Some((event.at(), method));
        }
    }

    /// The plan; none if the log does not say.
    pub(crate) fn method(&self) -> Option<Method> {
        let told = self.done.and_then(|(_, method)| method);
        told.or(self.has_steps.then_some(Method::Powers))
    }

    fn is_cut(&self, bit: u64) -> bool {
        self.cut
            .checked_shr(bit.try_into().unwrap_or(u32::MAX))
            .unwrap_or(0)
            & 1
            == 1
    }
}

#[cfg(test)]
mod tests;
