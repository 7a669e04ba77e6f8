//! Which leaves the operations of a plan stand for, and which other operations they cover.

use std::ops::Range;

use super::{Kind, OperationId, PARTS, Place, Plan};

impl Plan {
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
}
