//! What goes into the operations of a plan, and which of them need what they make.

use std::ops::RangeInclusive;

use super::{ARITY, Kind, Method, Operands, OperationId, Place, Plan};

impl Plan {
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

    /// What goes into the step to a bit.
    pub(super) fn factors(&self, bit: u8) -> Vec<OperationId> {
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
}
