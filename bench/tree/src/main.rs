//! The product tree of n! in one process and one thread, without any message: what the cluster's
//! product phase is measured against.
//!
//! `tree N [FILE]` prints `{"operations":…,"ns":…}`: how many operations the tree has, and how long
//! they took. The product goes to FILE, as little-endian bytes, after the clock has stopped.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use malachite_base::num::basic::traits::One;
use malachite_nz::natural::Natural;

/// At most this many values go into one operation.
const ARITY: u32 = 4;

/// The tree that a cluster computes: leaves of four consecutive numbers, counted from the top;
/// then, level by level, `ceil(w / 4)` groups of `w` products, as even as possible.
struct Tree {
    n: u32,
    /// Number of operations of each level, leaves first.
    widths: Vec<u32>,
}

impl Tree {
    fn new(n: u32) -> Tree {
        let mut widths = vec![n.div_ceil(ARITY).max(1)];
        while let Some(&below) = widths.last()
            && below > 1
        {
            widths.push(below.div_ceil(ARITY));
        }
        Tree { n, widths }
    }

    fn operations(&self) -> u64 {
        self.widths.iter().map(|&width| u64::from(width)).sum()
    }

    fn product(&self) -> Natural {
        self.operation(self.widths.len() - 1, 0)
    }

    /// Depth first, as the cluster goes about it: few products wait for others.
    fn operation(&self, level: usize, index: u32) -> Natural {
        if level == 0 {
            return self.leaf(index);
        }
        let children = self.first_child(level, index)..self.first_child(level, index + 1);
        multiply(
            children
                .map(|child| self.operation(level - 1, child))
                .collect(),
        )
    }

    /// Four numbers below 2^32 fit 128 bits.
    fn leaf(&self, index: u32) -> Natural {
        let top = self.n - ARITY * index;
        let bottom = top.saturating_sub(ARITY - 1).max(1);
        let product: u128 = (bottom..=top).map(u128::from).product();
        Natural::from(product)
    }

    fn first_child(&self, level: usize, index: u32) -> u32 {
        let below = u64::from(self.widths[level - 1]);
        let groups = u64::from(self.widths[level]);
        (u64::from(index) * below / groups) as u32
    }
}

/// Multiplies in pairs: operands of like size are multiplied fastest.
fn multiply(mut values: Vec<Natural>) -> Natural {
    while values.len() > 1 {
        let mut pairs = values.into_iter();
        let mut products = Vec::with_capacity(2);
        while let Some(left) = pairs.next() {
            products.push(match pairs.next() {
                Some(right) => left * right,
                None => left,
            });
        }
        values = products;
    }
    values.pop().unwrap_or(Natural::ONE)
}

fn little_endian(value: &Natural) -> Vec<u8> {
    let limbs = value.as_limbs_asc().iter();
    limbs.flat_map(|limb| limb.to_le_bytes()).collect()
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let n = arguments.next().and_then(|n| n.parse().ok());
    let (Some(n), file) = (n, arguments.next().map(PathBuf::from)) else {
        eprintln!("usage: tree N [FILE]");
        return ExitCode::from(2);
    };
    let tree = Tree::new(n);
    let begun = Instant::now();
    let product = tree.product();
    let ns = begun.elapsed().as_nanos();
    println!(r#"{{"operations":{},"ns":{ns}}}"#, tree.operations());
    if let Some(file) = file
        && let Err(error) = std::fs::write(&file, little_endian(&product))
    {
        eprintln!("cannot write {}: {error}", file.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplies_whatever_the_shape_of_the_tree() {
        let mut factorial = Natural::ONE;
        for n in 1..=300 {
            factorial *= Natural::from(n);
            assert_eq!(Tree::new(n).product(), factorial, "{n}!");
        }
    }

    #[test]
    fn counts_the_operations_of_all_levels() {
        assert_eq!(Tree::new(10).operations(), 3 + 1);
        assert_eq!(Tree::new(0).operations(), 1);
    }
}
