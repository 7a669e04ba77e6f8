//! The plan: the 4-ary product tree of one factorial, computed and never stored.
//!
//! Level 0 are the leaves. Leaf `i` multiplies four consecutive numbers, counted from the top:
//! for 10! these are `10·9·8·7`, `6·5·4·3` and `2·1`. The `w` operations of one level are grouped
//! into `ceil(w / 4)` operations of the next, as evenly as possible, so that no group has a single
//! member while the level has several; the last level has one operation, the root, whose product
//! is n!. The conversion of n! to decimal digits follows it.

use std::ops::Range;

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
    /// Convert n! to decimal digits.
    Decimal,
}

/// Where the values of an operation come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operands {
    /// At most four numbers, largest first; none at all for 0!.
    Numbers(Vec<u32>),
    /// The products of at most four operations.
    Products(Vec<OperationId>),
}

/// The tree of one factorial. A pure function of n; building it costs a few divisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    n: u32,
    levels: u8,
    /// Number of operations of each level.
    widths: [u32; MAX_LEVELS],
}

impl Plan {
    /// The plan of n!.
    pub fn new(n: u32) -> Plan {
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
            + 1
    }

    /// The leaf at a position.
    pub fn leaf(&self, index: u32) -> OperationId {
        self.multiply(0, index)
    }

    /// The multiplication whose product is n!.
    pub fn root(&self) -> OperationId {
        self.multiply(self.levels - 1, 0)
    }

    /// The conversion to decimal, the last operation.
    pub fn decimal(&self) -> OperationId {
        OperationId {
            n: self.n,
            kind: Kind::Decimal,
            level: 0,
            index: 0,
        }
    }

    /// Whether an operation is part of this plan.
    pub fn contains(&self, id: OperationId) -> bool {
        id.n == self.n
            && match id.kind {
                Kind::Multiply => id.level < self.levels && id.index < self.width(id.level),
                Kind::Decimal => id == self.decimal(),
            }
    }

    /// What goes into an operation of this plan.
    pub fn operands(&self, id: OperationId) -> Operands {
        debug_assert!(self.contains(id));
        match id.kind {
            Kind::Decimal => Operands::Products(vec![self.root()]),
            Kind::Multiply if id.level == 0 => {
                let top = self.n - ARITY * id.index;
                let bottom = top.saturating_sub(ARITY - 1).max(1);
                Operands::Numbers((bottom..=top).rev().collect())
            }
            Kind::Multiply => Operands::Products(
                self.children(id.level, id.index)
                    .map(|index| self.multiply(id.level - 1, index))
                    .collect(),
            ),
        }
    }

    /// The operation that needs the product of `id`; none needs the digits.
    pub fn parent(&self, id: OperationId) -> Option<OperationId> {
        debug_assert!(self.contains(id));
        match id.kind {
            Kind::Decimal => None,
            Kind::Multiply if id == self.root() => Some(self.decimal()),
            Kind::Multiply => {
                // The inverse of `first_child`: the group whose range holds this index.
                let below = u64::from(self.width(id.level));
                let groups = u64::from(self.width(id.level + 1));
                let index = ((u64::from(id.index) + 1) * groups - 1) / below;
                Some(self.multiply(id.level + 1, index as u32))
            }
        }
    }

    /// The leaves below a multiplication, itself if it is one; all leaves for the conversion.
    pub fn span(&self, id: OperationId) -> Range<u32> {
        debug_assert!(self.contains(id));
        match id.kind {
            Kind::Decimal => 0..self.leaves(),
            Kind::Multiply => (1..=id.level)
                .rev()
                .fold(id.index..id.index + 1, |range, level| {
                    self.first_child(level, range.start)..self.first_child(level, range.end)
                }),
        }
    }

    /// The multiplications that `id` is made of, itself if it is one: a range of names a level.
    pub fn below(&self, id: OperationId) -> impl Iterator<Item = Range<OperationId>> {
        let plan = *self;
        let top = match id.kind {
            Kind::Decimal => self.root(),
            Kind::Multiply => id,
        };
        let mut range = top.index..top.index + 1;
        (0..=top.level).rev().map(move |level| {
            let names = plan.multiply(level, range.start)..plan.multiply(level, range.end);
            if level > 0 {
                range = plan.first_child(level, range.start)..plan.first_child(level, range.end);
            }
            names
        })
    }

    /// Number of operations that are done once `id` is: itself and all below it.
    pub fn covered(&self, id: OperationId) -> u64 {
        debug_assert!(self.contains(id));
        if id.kind == Kind::Decimal {
            return self.total();
        }
        let mut range = id.index..id.index + 1;
        let mut count = 1;
        for level in (1..=id.level).rev() {
            range = self.first_child(level, range.start)..self.first_child(level, range.end);
            count += u64::from(range.end - range.start);
        }
        count
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
