//! Blocks: the operations of one level that lie below one operation of the grain level.

use std::ops::Range;

use super::{Kind, Operands, OperationId, Plan};

impl Plan {
    /// The level from which on operations travel by themselves.
    pub fn grain(&self) -> u8 {
        self.grain
    }

    /// Positions of the operations of the block that `id` is in.
    pub fn block(&self, id: OperationId) -> Range<u32> {
        if id.kind != Kind::Multiply || id.level >= self.grain {
            return id.index..id.index + 1;
        }
        let above = (id.level..self.grain).fold(id.index, |index, level| self.above(level, index));
        (id.level + 1..=self.grain)
            .rev()
            .fold(above..above + 1, |range, level| {
                self.first_child(level, range.start)..self.first_child(level, range.end)
            })
    }

    /// The operations of the block that `id` is in, one by one.
    pub fn operations(&self, id: OperationId) -> impl Iterator<Item = OperationId> {
        self.block(id).map(move |index| OperationId { index, ..id })
    }

    /// Names of the blocks of leaves in a range that begins and ends with a block.
    pub(crate) fn leaf_blocks(&self, range: Range<u32>) -> impl Iterator<Item = OperationId> {
        let plan = *self;
        let mut start = range.start;
        std::iter::from_fn(move || {
            let leaf = plan.leaf(start);
            start = plan.block(leaf).end;
            (leaf.index < range.end).then_some(leaf)
        })
    }

    pub(super) fn operands_of_block(&self, id: OperationId) -> Operands {
        let operations = self.block(id);
        let groups = operations
            .clone()
            .map(|index| self.children(id.level, index))
            .map(|children| (children.end - children.start) as u8);
        Operands::Block {
            below: self.multiply(id.level - 1, self.first_child(id.level, operations.start)),
            groups: groups.collect(),
        }
    }
}
