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

mod powers;
mod shape;
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

    /// What goes into a block of this plan.
    pub fn operands(&self, id: OperationId) -> Operands {
        debug_assert!(self.contains(id));
        match id.kind {
            Kind::Multiply => self.operands_of_multiplication(id),
            Kind::Step if self.cuts(id.level) => {
                Operands::Parts(self.part_names(id.level).collect())
            }
            Kind::Step => Operands::Step(self.factors(id.level)),
            Kind::Part => Operands::Part {
                step: self.factors(id.level),
                index: id.index as u8,
            },
        }
    }

    fn operands_of_multiplication(&self, id: OperationId) -> Operands {
        let Some(Place { bit, index }) = self.locate(id) else {
            return Operands::Products(Vec::new());
        };
        let tree = self.tree(bit);
        let block = tree.block(id.level, index);
        let below = |index: u32| self.multiply(bit, id.level - 1, index);
        if id.level == 0 {
            return match self.method() {
                Method::Powers => Operands::Primes { bit, leaves: block },
                _ => Operands::Numbers(block.map(|leaf| self.numbers(leaf)).collect()),
            };
        }
        if id.level > tree.grain() {
            return Operands::Products(tree.children(id.level, index).map(below).collect());
        }
        let children = block.map(|index| tree.children(id.level, index));
        Operands::Block {
            below: below(tree.children(id.level, index).start),
            groups: children.map(|children| children.len() as u8).collect(),
        }
    }

    /// The blocks that need the product of `id`, any operation of a block; none needs that of the last one.
    pub fn needed_by(&self, id: OperationId) -> Vec<OperationId> {
        let needed_by_step = |bit: u8| match self.cuts(bit) {
            true => self.part_names(bit).collect(),
            false => vec![self.name(Kind::Step, bit, 0)],
        };
        match id.kind {
            Kind::Part => vec![self.name(Kind::Step, id.level, 0)],
            Kind::Step => id
                .level
                .checked_sub(1)
                .map_or_else(Vec::new, needed_by_step),
            Kind::Multiply => {
                let Some(Place { bit, index }) = self.locate(id) else {
                    return Vec::new();
                };
                let tree = self.tree(bit);
                if id.level + 1 < tree.levels() {
                    let parent = self.multiply(bit, id.level + 1, tree.above(id.level, index));
                    vec![self.block_of(parent)]
                } else if bit + 1 < self.bits {
                    needed_by_step(bit)
                } else {
                    bit.checked_sub(1).map_or_else(Vec::new, needed_by_step)
                }
            }
        }
    }

    /// The leaves that an operation stands for: those below a block of multiplications, itself if it is one
    /// of leaves; for a step, or a part of one, those of its bit and of all higher ones.
    pub fn span(&self, id: OperationId) -> Range<u32> {
        debug_assert!(self.contains(id));
        match (id.kind, self.locate(id)) {
            (Kind::Multiply, Some(Place { bit, index })) => {
                let tree = self.tree(bit);
                let leaves = tree.below(id.level, tree.block(id.level, index), 0);
                let first = self.first_leaf(bit);
                first + leaves.start..first + leaves.end
            }
            _ => 0..self.first_leaf(id.level) + self.tree(id.level).leaves(),
        }
    }

    /// The higher of two operations with one span is made of the other.
    pub(crate) fn height(&self, id: OperationId) -> u8 {
        match id.kind {
            Kind::Multiply => id.level,
            Kind::Step | Kind::Part => u8::MAX - id.level,
        }
    }

    /// The operations that are done once `id` is, itself among them: some ranges of names.
    pub fn below(&self, id: OperationId) -> Vec<Range<OperationId>> {
        debug_assert!(self.contains(id));
        let range = |kind, level, indices: Range<u32>| {
            self.name(kind, level, indices.start)..self.name(kind, level, indices.end)
        };
        match (id.kind, self.locate(id)) {
            (Kind::Multiply, Some(Place { bit, index })) => {
                let tree = self.tree(bit);
                let block = tree.block(id.level, index);
                let names = |level: u8| {
                    let first = self.first_of_level(bit, level);
                    let below = tree.below(id.level, block.clone(), level);
                    range(
                        Kind::Multiply,
                        level,
                        first + below.start..first + below.end,
                    )
                };
                (0..=id.level).rev().map(names).collect()
            }
            (Kind::Step, _) => {
                let levels = (0..).map(|level| {
                    (
                        level,
                        self.first_of_level(id.level, level) + self.tree(id.level).width(level),
                    )
                });
                let levels = levels.take_while(|&(_, width)| width > 0);
                let multiplied =
                    levels.map(|(level, width)| range(Kind::Multiply, level, 0..width));
                let bits = id.level..self.bits - 1;
                let steps = bits.clone().map(|bit| range(Kind::Step, bit, 0..1));
                let parts = bits.filter(|&bit| self.cuts(bit));
                let parts = parts.map(|bit| range(Kind::Part, bit, 0..PARTS));
                multiplied.chain(steps).chain(parts).collect()
            }
            _ => vec![range(id.kind, id.level, id.index..id.index + 1)],
        }
    }

    /// Number of operations that are done once `id` is.
    pub fn covered(&self, id: OperationId) -> u64 {
        let count = |names: Range<OperationId>| u64::from(names.end.index - names.start.index);
        self.below(id).into_iter().map(count).sum()
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

    /// What goes into the step to a bit.
    fn factors(&self, bit: u8) -> Vec<OperationId> {
        let primes = self.tree(bit).levels().checked_sub(1);
        let primes = primes.map(|root| self.multiply(bit, root, 0));
        std::iter::once(self.factor(bit + 1))
            .chain(primes)
            .collect()
    }

    /// The numbers of a leaf.
    fn numbers(&self, leaf: u32) -> RangeInclusive<u32> {
        let top = self.n - ARITY * leaf;
        top.saturating_sub(ARITY - 1).max(1)..=top
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
