//! A 4-ary product tree over so many leaves, and the blocks in which its operations travel.
//!
//! The `w` operations of one level are grouped into `ceil(w / 4)` operations of the next, as evenly as
//! possible, so that no group has a single member while the level has several; the last level has one
//! operation, the root.

use std::ops::Range;

use crate::words::operation::ARITY;

/// The root of the largest tree, one of 2^32 leaves.
const MAX_LEVEL: u8 = 16;

/// A tree. Everything in it follows from two numbers by a few divisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tree {
    leaves: u32,
    /// Below this level operations travel in blocks.
    grain: u8,
}

impl Tree {
    /// A tree over `leaves` leaves, with blocks up to a level, or up to the root if that is lower.
    pub(super) fn new(leaves: u32, grain: u8) -> Tree {
        let tree = Tree { leaves, grain };
        Tree {
            grain: grain.min(tree.levels().saturating_sub(1)),
            ..tree
        }
    }

    pub(super) fn leaves(self) -> u32 {
        self.leaves
    }

    pub(super) fn grain(self) -> u8 {
        self.grain
    }

    /// Number of levels; none without a leaf.
    pub(super) fn levels(self) -> u8 {
        (0..).find(|&level| self.width(level) == 0).unwrap_or(0)
    }

    /// Number of operations of a level; none above the root.
    pub(super) fn width(self, level: u8) -> u32 {
        if level > MAX_LEVEL {
            return 0;
        }
        let quotient = |level: u8| {
            let shift = u32::from(level) * ARITY.ilog2();
            let round_up = (1u64 << shift) - 1;
            ((u64::from(self.leaves) + round_up) >> shift) as u32
        };
        if level > 0 && quotient(level - 1) <= 1 {
            0
        } else {
            quotient(level)
        }
    }

    /// Positions, one level down, of what an operation multiplies.
    pub(super) fn children(self, level: u8, index: u32) -> Range<u32> {
        self.first_child(level, index)..self.first_child(level, index + 1)
    }

    /// Position, one level up, of the operation that needs the product of operation `index`.
    pub(super) fn above(self, level: u8, index: u32) -> u32 {
        // The inverse of `first_child`: the group whose range holds this index.
        let below = u64::from(self.width(level));
        let groups = u64::from(self.width(level + 1));
        (((u64::from(index) + 1) * groups - 1) / below) as u32
    }

    /// Positions on a level of what lies below operations of a higher one, or of the same.
    pub(super) fn below(self, level: u8, indices: Range<u32>, lower: u8) -> Range<u32> {
        (lower + 1..=level).rev().fold(indices, |range, level| {
            self.first_child(level, range.start)..self.first_child(level, range.end)
        })
    }

    /// Positions of the operations of the block that an operation is in.
    pub(super) fn block(self, level: u8, index: u32) -> Range<u32> {
        if level >= self.grain {
            return index..index + 1;
        }
        let above = (level..self.grain).fold(index, |index, level| self.above(level, index));
        self.below(self.grain, above..above + 1, level)
    }

    /// Position, one level down, of the first child of operation `index`; for one past the last
    /// operation, one past the last child.
    fn first_child(self, level: u8, index: u32) -> u32 {
        let below = u64::from(self.width(level - 1));
        let groups = u64::from(self.width(level));
        (u64::from(index) * below / groups) as u32
    }
}
