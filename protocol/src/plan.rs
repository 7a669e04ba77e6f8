//! The plan: the 4-ary product tree of one factorial, computed and never stored.
//!
//! Level 0 are the leaves. Leaf `i` multiplies four consecutive numbers, counted from the top:
//! for 10! these are `10·9·8·7`, `6·5·4·3` and `2·1`. The `w` operations of one level are grouped
//! into `ceil(w / 4)` operations of the next, as evenly as possible, so that no group has a single
//! member while the level has several; the last level has one operation, the root, whose product
//! is n!. The conversion of n! to decimal digits follows it, see [`conversion`].
//!
//! A large tree has so many small operations that to name each one would cost more than to compute
//! it. They travel in *blocks*: the operations of one level that lie below one operation of the
//! *grain* level are assigned, computed, delivered and checkpointed together. A block is named by
//! its first operation. From the grain level up, and in small factorials everywhere, a block is a
//! single operation.

mod block;
pub mod conversion;
mod shape;

pub use shape::Shape;

use std::ops::{Range, RangeInclusive};

use serde::{Deserialize, Serialize};

/// At most this many values go into one operation.
pub const ARITY: u32 = 4;

/// Levels of the largest tree: ceil(2^32 / 4) leaves, divided by four until one is left.
const MAX_LEVELS: usize = 16;

/// One computation on at most four values, named. Products belong to a factorial, not to a job,
/// and are keyed by this alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperationId {
    /// Of n!.
    pub n: u32,
    /// What is done.
    pub kind: Kind,
    /// Level in the tree of this kind; leaves are level 0.
    pub level: u8,
    /// Position in the level, from 0.
    pub index: u32,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Multiply.
    Multiply,
    /// Convert a small n! to decimal digits.
    Decimal,
    /// Raise 5 to a power.
    Power,
    /// The reciprocal of a power of ten.
    Reciprocal,
    /// Divide n! by a power of ten.
    Quotient,
    /// What digits are left, as a multiple of a power of ten.
    Fraction,
    /// A piece of the decimal digits of a large n!.
    Digits,
}

/// Where the values of a block of operations come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operands {
    /// For each leaf at most four numbers; none at all for 0!.
    Numbers(Vec<RangeInclusive<u32>>),
    /// The products of at most four operations, for a single one.
    Products(Vec<OperationId>),
    /// The products of the block below.
    Block {
        /// The name of the block below.
        below: OperationId,
        /// How many of its products, at most four, go into each operation of this block, in order.
        groups: Vec<u8>,
    },
}

impl Operands {
    /// The blocks whose products are needed.
    pub fn products(&self) -> &[OperationId] {
        match self {
            Operands::Numbers(_) => &[],
            Operands::Products(ids) => ids,
            Operands::Block { below, .. } => std::slice::from_ref(below),
        }
    }
}

/// The tree of one factorial. A pure function of n and the cluster's [`Shape`]; building it costs a
/// few divisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    n: u32,
    levels: u8,
    /// Number of operations of each level.
    widths: [u32; MAX_LEVELS],
    /// Below this level operations travel in blocks.
    grain: u8,
    /// Whether the conversion to decimal is split.
    is_split: bool,
}

impl Plan {
    /// The plan of n! in which every operation travels by itself.
    pub fn new(n: u32) -> Plan {
        Shape::SINGLE.plan(n)
    }

    fn shaped(n: u32, is_split: bool, grain: impl FnOnce(u32) -> u8) -> Plan {
        let mut widths = [0; MAX_LEVELS];
        widths[0] = n.div_ceil(ARITY).max(1);
        let mut levels = 1;
        while widths[levels - 1] > 1 {
            widths[levels] = widths[levels - 1].div_ceil(ARITY);
            levels += 1;
        }
        Plan {
            n,
            levels: levels as u8,
            widths,
            grain: grain(widths[0]).min(levels as u8 - 1),
            is_split,
        }
    }

    /// The n of n!.
    pub fn n(&self) -> u32 {
        self.n
    }

    /// Number of leaves; at least 1.
    pub fn leaves(&self) -> u32 {
        self.widths[0]
    }

    /// Number of levels of multiplications; at least 1.
    pub fn levels(&self) -> u8 {
        self.levels
    }

    /// Number of operations, the conversion to decimal included.
    pub fn total(&self) -> u64 {
        self.widths
            .iter()
            .map(|&width| u64::from(width))
            .sum::<u64>()
            + self.conversion().count() as u64
    }

    /// The leaf at a position; where leaves travel in blocks it may be in the middle of one.
    pub fn leaf(&self, index: u32) -> OperationId {
        self.multiply(0, index)
    }

    /// The multiplication whose product is n!.
    pub fn root(&self) -> OperationId {
        self.multiply(self.levels - 1, 0)
    }

    /// The conversion to decimal where it is not split, the last operation.
    pub fn decimal(&self) -> OperationId {
        OperationId {
            n: self.n,
            kind: Kind::Decimal,
            level: 0,
            index: 0,
        }
    }

    /// Whether this names a block of this plan.
    pub fn contains(&self, id: OperationId) -> bool {
        id.n == self.n
            && match id.kind {
                Kind::Multiply => {
                    id.level < self.levels
                        && id.index < self.width(id.level)
                        && self.block(id).start == id.index
                }
                _ => self.conversion().any(|operation| operation == id),
            }
    }

    /// What goes into a block of this plan.
    pub fn operands(&self, id: OperationId) -> Operands {
        debug_assert!(self.contains(id));
        match id.kind {
            Kind::Multiply if id.level == 0 => {
                Operands::Numbers(self.block(id).map(|leaf| self.numbers(leaf)).collect())
            }
            Kind::Multiply if id.level <= self.grain => self.operands_of_block(id),
            Kind::Multiply => Operands::Products(
                self.children(id.level, id.index)
                    .map(|index| self.multiply(id.level - 1, index))
                    .collect(),
            ),
            _ => self.operands_of_conversion(id),
        }
    }

    /// The block of multiplications that needs the products of `id`, if that is not the conversion.
    pub fn parent(&self, id: OperationId) -> Option<OperationId> {
        debug_assert!(self.contains(id));
        (id.kind == Kind::Multiply && id.level + 1 < self.levels)
            .then(|| self.multiply(id.level + 1, self.above(id.level, id.index)))
    }

    /// The leaves below a block of multiplications, itself if it is one of leaves; all leaves for
    /// the conversion.
    pub fn span(&self, id: OperationId) -> Range<u32> {
        debug_assert!(self.contains(id));
        match id.kind {
            Kind::Multiply => self.leaves_below(id.level, self.block(id)),
            _ => 0..self.leaves(),
        }
    }

    /// The multiplications that are done once `id` is, itself if it is one: a range of names a level.
    pub fn below(&self, id: OperationId) -> impl Iterator<Item = Range<OperationId>> {
        let plan = *self;
        let top = match id.kind {
            Kind::Multiply => Some(id),
            Kind::Decimal => Some(self.root()),
            // Others need the product too.
            _ => None,
        };
        let mut range = top.map_or(0..0, |top| self.block(top));
        let levels = top.map_or(0, |top| top.level + 1);
        (0..levels).rev().map(move |level| {
            let names = plan.multiply(level, range.start)..plan.multiply(level, range.end);
            if level > 0 {
                range = plan.first_child(level, range.start)..plan.first_child(level, range.end);
            }
            names
        })
    }

    /// Number of multiplications that are done once `id` is: those of the block and all below it.
    pub fn covered(&self, id: OperationId) -> u64 {
        debug_assert!(self.contains(id));
        let count = |names: Range<OperationId>| u64::from(names.end.index - names.start.index);
        self.below(id).map(count).sum()
    }

    /// The numbers of a leaf.
    fn numbers(&self, leaf: u32) -> RangeInclusive<u32> {
        let top = self.n - ARITY * leaf;
        top.saturating_sub(ARITY - 1).max(1)..=top
    }

    /// The leaves below operations of one level.
    fn leaves_below(&self, level: u8, indices: Range<u32>) -> Range<u32> {
        (1..=level).rev().fold(indices, |range, level| {
            self.first_child(level, range.start)..self.first_child(level, range.end)
        })
    }

    /// Position, one level up, of the operation that needs the product of operation `index`.
    fn above(&self, level: u8, index: u32) -> u32 {
        // The inverse of `first_child`: the group whose range holds this index.
        let below = u64::from(self.width(level));
        let groups = u64::from(self.width(level + 1));
        (((u64::from(index) + 1) * groups - 1) / below) as u32
    }

    fn multiply(&self, level: u8, index: u32) -> OperationId {
        OperationId {
            n: self.n,
            kind: Kind::Multiply,
            level,
            index,
        }
    }

    fn width(&self, level: u8) -> u32 {
        self.widths[usize::from(level)]
    }

    fn children(&self, level: u8, index: u32) -> Range<u32> {
        self.first_child(level, index)..self.first_child(level, index + 1)
    }

    /// Position, one level down, of the first child of operation `index`; for one past the last
    /// operation, one past the last child.
    fn first_child(&self, level: u8, index: u32) -> u32 {
        let below = u64::from(self.width(level - 1));
        let groups = u64::from(self.width(level));
        (u64::from(index) * below / groups) as u32
    }
}

#[cfg(test)]
mod tests;
