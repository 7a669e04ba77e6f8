//! The plan: how one factorial is cut into operations on at most four values. Computed and never stored.
//!
//! A small factorial is the 4-ary product tree of its numbers. Leaf `i` multiplies four consecutive
//! numbers, counted from the top: for 10! these are `10·9·8·7`, `6·5·4·3` and `2·1`. A large one is made of
//! prime powers, which is a quarter of the work: of each bit of the exponents there is a tree of the
//! primes that have it, four to a leaf, and its product is P_b; a chain makes n! of these:
//!
//! ```text
//!   P4 ─▶ F3 = P4 · (P4 · P3) ─▶ F2 = F3 · (F3 · P2) ─▶ F1 = F2 · (F2 · P1) ─▶ F0 = F1 · (F1 · P0)
//! ```
//!
//! F0 is n! without the zeros at its end, see `powers.rs`. Large steps of the chain are cut into parts, which
//! workers do side by side; then the step itself puts its parts together.
//!
//! All leaves of a factorial stand side by side, those of the highest bit first, and each operation stands
//! for a *span* of them: one of a tree for the leaves below it, a step for all up to the last one of its
//! bit. So an operation is made of another if its span holds that of the other.
//!
//! A large tree has so many small operations that to name each one would cost more than to compute
//! it. They travel in *blocks*: the operations of one level that lie below one operation of the
//! *grain* level are assigned, computed, delivered and checkpointed together. A block is named by
//! its first operation. From the grain level up, and in small factorials everywhere, a block is a
//! single operation.

mod operands;
mod powers;
mod shape;
mod spans;
mod tree;

pub use powers::exponent;

use std::ops::{Range, RangeInclusive};

use self::powers::MAX_BITS;
use self::tree::Tree;
pub use crate::words::operation::{ARITY, Kind, OperationId, PARTS};
pub use crate::words::shape::{Method, Shape};

/// Where the values of a block of operations come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operands {
    /// For each leaf at most four numbers; none at all for 0!.
    Numbers(Vec<RangeInclusive<u32>>),
    /// For each leaf at most four primes.
    Primes {
        /// Those whose exponent has this bit.
        bit: u8,
        /// Leaf `i` has those from `4 i` on, the smallest prime first.
        leaves: Range<u32>,
    },
    /// The products of at most four operations, for a single one.
    Products(Vec<OperationId>),
    /// The products of the block below.
    Block {
        /// The name of the block below.
        below: OperationId,
        /// How many of its products, at most four, go into each operation of this block, in order.
        groups: Vec<u8>,
    },
    /// The product before, which counts twice, and that of the primes if there are any.
    Step(Vec<OperationId>),
    /// One of the parts of that.
    Part {
        /// What goes into the step.
        step: Vec<OperationId>,
        /// Which part.
        index: u8,
    },
    /// The parts of a step.
    Parts(Vec<OperationId>),
}

impl Operands {
    /// The blocks whose products are needed.
    pub fn products(&self) -> &[OperationId] {
        match self {
            Operands::Numbers(_) | Operands::Primes { .. } => &[],
            Operands::Block { below, .. } => std::slice::from_ref(below),
            Operands::Products(ids)
            | Operands::Step(ids)
            | Operands::Parts(ids)
            | Operands::Part { step: ids, .. } => ids,
        }
    }
}

/// The plan of one factorial. A pure function of n and the cluster's [`Shape`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    n: u32,
    shape: Shape,
    /// By bit of the exponents; a single one for all numbers. The highest has a leaf at least.
    trees: [Tree; MAX_BITS],
    bits: u8,
}

impl Plan {
    /// The plan of n! in which every operation travels by itself, by the tree of all numbers.
    pub fn new(n: u32) -> Plan {
        Shape::SINGLE.plan(n)
    }

    fn of_numbers(n: u32, shape: Shape) -> Plan {
        Plan::of_leaves(n, shape, &[n.div_ceil(ARITY).max(1)])
    }

    fn of_powers(n: u32, shape: Shape) -> Plan {
        let leaves = powers::counts(n)
            .into_iter()
            .map(|primes| primes.div_ceil(ARITY));
        let leaves: Vec<u32> = leaves.collect();
        // 0! and 1! have no primes.
        Plan::of_leaves(n, shape, if leaves.is_empty() { &[1] } else { &leaves })
    }

    fn of_leaves(n: u32, shape: Shape, leaves: &[u32]) -> Plan {
        let grain = shape.grain(leaves.iter().sum());
        let mut trees = [Tree::new(0, 0); MAX_BITS];
        for (tree, &leaves) in trees.iter_mut().zip(leaves) {
            *tree = Tree::new(leaves, grain);
        }
        Plan {
            n,
            shape,
            trees,
            bits: leaves.len() as u8,
        }
    }

    /// The n of n!.
    pub fn n(&self) -> u32 {
        self.n
    }

    /// What is multiplied: all numbers, or prime powers.
    pub fn method(&self) -> Method {
        if self.shape.uses_powers(self.n) {
            Method::Powers
        } else {
            Method::Tree
        }
    }

    /// How many zeros the last product lacks at the end of n!.
    pub fn zeros(&self) -> u64 {
        match self.method() {
            Method::Powers => u64::from(powers::exponent(self.n, 5)),
            _ => 0,
        }
    }

    /// Number of leaves; at least 1.
    pub fn leaves(&self) -> u32 {
        self.first_leaf(0) + self.tree(0).leaves()
    }

    /// Number of operations.
    pub fn total(&self) -> u64 {
        self.covered(self.last())
    }

    /// The leaf at a position; where leaves travel in blocks it may be in the middle of one.
    pub fn leaf(&self, index: u32) -> OperationId {
        self.name(Kind::Multiply, 0, index)
    }

    /// The last operation, whose product is n!, without its [`Plan::zeros`].
    pub fn last(&self) -> OperationId {
        self.factor(0)
    }

    /// Whether this names a block of this plan.
    pub fn contains(&self, id: OperationId) -> bool {
        id.n == self.n
            && match id.kind {
                Kind::Multiply => {
                    let found = self.locate(id);
                    found.is_some_and(|place| {
                        self.tree(place.bit).block(id.level, place.index).start == place.index
                    })
                }
                Kind::Step => id.level < self.bits - 1 && id.index == 0,
                Kind::Part => {
                    id.level < self.bits - 1 && self.part_names(id.level).any(|part| part == id)
                }
            }
    }

    /// The operations of the block that `id` names, one by one.
    pub fn operations(&self, id: OperationId) -> impl Iterator<Item = OperationId> + use<> {
        let block = match (id.kind, self.locate(id)) {
            (Kind::Multiply, Some(Place { bit, index })) => self.tree(bit).block(id.level, index),
            _ => 0..1,
        };
        (id.index..id.index + block.len() as u32).map(move |index| OperationId { index, ..id })
    }

    /// Names of the blocks of leaves in a range that begins and ends with a block.
    pub(crate) fn leaf_blocks(
        &self,
        range: Range<u32>,
    ) -> impl Iterator<Item = OperationId> + use<> {
        let plan = *self;
        let mut start = range.start;
        std::iter::from_fn(move || {
            let leaf = (start < range.end).then(|| plan.leaf(start))?;
            start = plan.span(leaf).end;
            Some(leaf)
        })
    }

    /// The level from which on operations of the largest tree travel by themselves.
    pub fn grain(&self) -> u8 {
        let trees = self.trees.iter().map(|tree| tree.grain());
        trees.max().unwrap_or(0)
    }

    /// Whether the step to a bit is done in parts.
    fn cuts(&self, bit: u8) -> bool {
        self.shape.cuts(self.n, bit)
    }

    /// The parts of the step to a bit, if it is cut.
    fn part_names(&self, bit: u8) -> impl Iterator<Item = OperationId> + use<> {
        let plan = *self;
        let parts = if plan.cuts(bit) { PARTS } else { 0 };
        (0..parts).map(move |part| plan.name(Kind::Part, bit, part))
    }

    /// The operation that makes F_b: the step to its bit, or the root of the tree of the highest.
    fn factor(&self, bit: u8) -> OperationId {
        if bit + 1 == self.bits {
            self.multiply(bit, self.tree(bit).levels() - 1, 0)
        } else {
            self.name(Kind::Step, bit, 0)
        }
    }

    fn tree(&self, bit: u8) -> Tree {
        self.trees[usize::from(bit)]
    }

    /// The trees of higher bits stand before that of a bit.
    fn higher(&self, bit: u8) -> &[Tree] {
        &self.trees[usize::from(bit) + 1..usize::from(self.bits)]
    }

    fn first_leaf(&self, bit: u8) -> u32 {
        self.higher(bit).iter().map(|tree| tree.leaves()).sum()
    }

    /// How many multiplications of a level stand before those of a bit.
    fn first_of_level(&self, bit: u8, level: u8) -> u32 {
        self.higher(bit).iter().map(|tree| tree.width(level)).sum()
    }

    /// In which tree a multiplication is, and where on its level.
    fn locate(&self, id: OperationId) -> Option<Place> {
        let mut index = id.index;
        for bit in (0..self.bits).rev() {
            let width = self.tree(bit).width(id.level);
            if index < width {
                return Some(Place { bit, index });
            }
            index -= width;
        }
        None
    }

    /// The name of the block that a multiplication is in.
    fn block_of(&self, id: OperationId) -> OperationId {
        let start = self.locate(id).map_or(0, |Place { bit, index }| {
            self.first_of_level(bit, id.level) + self.tree(bit).block(id.level, index).start
        });
        OperationId { index: start, ..id }
    }

    fn multiply(&self, bit: u8, level: u8, index: u32) -> OperationId {
        self.name(
            Kind::Multiply,
            level,
            self.first_of_level(bit, level) + index,
        )
    }

    fn name(&self, kind: Kind, level: u8, index: u32) -> OperationId {
        OperationId {
            n: self.n,
            kind,
            level,
            index,
        }
    }
}

/// A place on a level of the tree of a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    bit: u8,
    index: u32,
}

/// At least the number of digits of n!, and at most three more.
pub fn most_digits(n: u32) -> u64 {
    // Stirling's upper bound. The digits that are added outweigh by far what rounding may take away.
    let x = f64::from(n.max(1));
    let logarithm = x * x.ln() - x + 0.5 * (std::f64::consts::TAU * x).ln() + 1.0 / (12.0 * x);
    (logarithm / std::f64::consts::LN_10) as u64 + 3
}

#[cfg(test)]
mod tests;
