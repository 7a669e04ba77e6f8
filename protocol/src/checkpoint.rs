//! A node's copy of the checkpoint: the finished operations that the coordinator's stream told of.

pub(crate) mod products;

use std::collections::BTreeMap;

use bytes::Bytes;

use self::products::{Insertion, Products};
use crate::plan::{OperationId, Shape};
use crate::words::message::Product;

/// Most bytes of products that one message carries, unless a single one is larger: so that a
/// message that must wait for a value never waits for many.
const BATCH_BYTES: usize = 1 << 20;

/// The finished operations, and how often an operation killed the worker that computed it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Checkpoint {
    pub(crate) products: Products<Bytes>,
    pub(crate) attempts: BTreeMap<OperationId, u32>,
}

impl Checkpoint {
    /// Nothing finished yet, of plans of this shape.
    pub(crate) fn new(shape: Shape) -> Checkpoint {
        Checkpoint {
            products: Products::new(shape),
            attempts: BTreeMap::new(),
        }
    }

    /// Whether the operation is done: held, or covered by what is held.
    pub(crate) fn covers(&self, id: OperationId) -> bool {
        self.products.covers(id)
    }

    /// Adds a finished operation.
    pub(crate) fn insert(&mut self, id: OperationId, value: Bytes) -> Insertion {
        if !self.attempts.is_empty() {
            self.attempts.remove(&id);
        }
        self.products.insert(id, value)
    }

    /// Takes over how often an operation killed its worker; counts never fall.
    pub(crate) fn merge_attempts(&mut self, attempts: &[(OperationId, u32)]) {
        for &(id, count) in attempts {
            if !self.covers(id) {
                let known = self.attempts.entry(id).or_default();
                *known = count.max(*known);
            }
        }
    }

    /// Drops a factorial; tells whether anything of it was here.
    pub(crate) fn forget(&mut self, n: u32) -> bool {
        let before = self.attempts.len();
        self.attempts.retain(|id, _| id.n != n);
        self.products.forget(n) || self.attempts.len() < before
    }

    /// All that is held, to be compared with what peers hold.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let products = self.products.iter().map(|(operation, value)| Product {
            operation,
            value: value.clone(),
        });
        let mut products: Vec<Product> = products.collect();
        products.sort_unstable_by_key(|product| product.operation);
        Snapshot {
            shape: self.products.shape(),
            products,
        }
    }
}

/// What a checkpoint held at one moment, in the order of names.
///
/// Most of a large checkpoint is the same everywhere. Two ordered lists tell quickly what is not,
/// and a winner compares several before it acts.
#[derive(Debug)]
pub(crate) struct Snapshot {
    shape: Shape,
    products: Vec<Product>,
}

impl Snapshot {
    /// Those of a peer's names, in order, that are not among the held ones themselves. What is held
    /// may cover them nevertheless.
    pub(crate) fn others(&self, theirs: &[OperationId]) -> Vec<OperationId> {
        let mut ours = self
            .products
            .iter()
            .map(|product| product.operation)
            .peekable();
        let mut others = Vec::new();
        for &id in theirs {
            while ours.next_if(|&held| held < id).is_some() {}
            if ours.peek() != Some(&id) {
                others.push(id);
            }
        }
        others
    }

    /// What a peer that holds this, in order, lacks of what is held.
    pub(crate) fn lacking(&self, theirs: &[OperationId]) -> Vec<Product> {
        // What both hold covers nothing else of what is held here.
        let mut cover = Products::new(self.shape);
        for id in self.others(theirs) {
            cover.insert(id, ());
        }
        let mut theirs = theirs.iter().peekable();
        let lacks = |product: &&Product| {
            let id = product.operation;
            while theirs.next_if(|&&held| held < id).is_some() {}
            theirs.peek() != Some(&&id) && !cover.covers(id)
        };
        self.products.iter().filter(lacks).cloned().collect()
    }
}

/// Splits products into portions of about [`BATCH_BYTES`], a larger one by itself.
pub(crate) fn batches(
    products: impl Iterator<Item = Product>,
) -> impl Iterator<Item = Vec<Product>> {
    let mut products = products.peekable();
    std::iter::from_fn(move || {
        let mut batch = vec![products.next()?];
        let mut bytes = batch[0].value.len();
        while let Some(next) = products.next_if(|next| bytes + next.value.len() <= BATCH_BYTES) {
            bytes += next.value.len();
            batch.push(next);
        }
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Kind;

    fn leaf(n: u32, index: u32) -> OperationId {
        OperationId {
            n,
            kind: Kind::Multiply,
            level: 0,
            index,
        }
    }

    fn holding(ids: &[OperationId]) -> Checkpoint {
        let mut checkpoint = Checkpoint::new(Shape::SINGLE);
        for &id in ids {
            checkpoint.insert(id, Bytes::from_static(b"value"));
        }
        checkpoint
    }

    fn names(products: &[Product]) -> Vec<OperationId> {
        products.iter().map(|product| product.operation).collect()
    }

    #[test]
    fn forgetting_drops_one_factorial_and_says_whether_it_was_there() {
        let mut checkpoint = holding(&[leaf(100, 0), leaf(200, 0)]);
        checkpoint.merge_attempts(&[(leaf(100, 1), 1), (leaf(200, 1), 2), (leaf(300, 1), 3)]);
        assert!(checkpoint.forget(100));
        assert!(!checkpoint.covers(leaf(100, 0)));
        assert!(checkpoint.covers(leaf(200, 0)));
        let kept = [(leaf(200, 1), 2), (leaf(300, 1), 3)];
        assert_eq!(checkpoint.attempts, BTreeMap::from(kept));
        // Nothing but deaths is known of it.
        assert!(checkpoint.forget(300));
        assert!(!checkpoint.forget(300), "it is gone");
        assert!(!checkpoint.forget(400), "it was never there");
    }

    #[test]
    fn counts_of_deaths_never_fall_and_end_with_the_operation() {
        let mut checkpoint = holding(&[leaf(100, 0)]);
        checkpoint.merge_attempts(&[(leaf(100, 0), 5), (leaf(100, 1), 2)]);
        checkpoint.merge_attempts(&[(leaf(100, 1), 1)]);
        assert_eq!(checkpoint.attempts, BTreeMap::from([(leaf(100, 1), 2)]));
        checkpoint.insert(leaf(100, 1), Bytes::new());
        assert!(checkpoint.attempts.is_empty());
    }

    #[test]
    fn two_holders_find_what_only_one_of_them_holds() {
        let ids = |indices: &[u32]| -> Vec<OperationId> {
            indices.iter().map(|&index| leaf(100, index)).collect()
        };
        let snapshot = holding(&ids(&[1, 3, 5, 7])).snapshot();
        assert_eq!(
            snapshot.others(&ids(&[0, 1, 2, 5, 9])),
            ids(&[0, 2, 9]),
            "before, between and after"
        );
        assert_eq!(snapshot.others(&ids(&[1, 3, 5, 7])), []);
        assert_eq!(
            names(&snapshot.lacking(&ids(&[0, 3, 4, 7]))),
            ids(&[1, 5]),
            "what a peer lacks of it"
        );
        assert_eq!(names(&snapshot.lacking(&[])), ids(&[1, 3, 5, 7]));
    }

    #[test]
    fn a_message_carries_a_portion_or_one_large_product() {
        let sizes = |sizes: &[usize]| -> Vec<Vec<usize>> {
            let products = (0..).zip(sizes).map(|(index, &bytes)| Product {
                operation: leaf(100_000, index),
                value: Bytes::from(vec![0; bytes]),
            });
            let sizes = |batch: Vec<Product>| batch.iter().map(|one| one.value.len()).collect();
            batches(products).map(sizes).collect()
        };
        let half = BATCH_BYTES / 2;
        assert_eq!(sizes(&[half, half, 1]), [vec![half, half], vec![1]]);
        assert_eq!(
            sizes(&[1, BATCH_BYTES, 3 * BATCH_BYTES, 1, 1]),
            [
                vec![1],
                vec![BATCH_BYTES],
                vec![3 * BATCH_BYTES],
                vec![1, 1]
            ]
        );
        assert_eq!(sizes(&[]), [[0; 0]; 0]);
    }
}
