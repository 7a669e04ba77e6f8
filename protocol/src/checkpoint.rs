//! A node's copy of the checkpoint: the finished operations that the coordinator's stream told of.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::message::{Inventory, Product, Update};
use crate::plan::OperationId;
use crate::products::{Insertion, Products};

/// Most bytes of products that one message carries, unless a single one is larger: so that a
/// message that must wait for a value never waits for many.
const BATCH_BYTES: usize = 1 << 20;

/// The finished operations, and how often an operation killed the worker that computed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Checkpoint {
    pub(crate) products: Products<Bytes>,
    pub(crate) attempts: BTreeMap<OperationId, u32>,
}

impl Checkpoint {
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

    /// What a peer with this inventory lacks of this copy, in portions of a message each.
    pub(crate) fn lacking(&self, inventory: &Inventory) -> Vec<Update> {
        let mut theirs = Products::default();
        for &id in &inventory.held {
            theirs.insert(id, ());
        }
        let products = self.products.iter();
        let lacking = products
            .filter(|&(id, _)| !theirs.covers(id))
            .map(|(operation, value)| Product {
                operation,
                value: value.clone(),
            });
        let mut updates: Vec<Update> = batches(lacking)
            .map(|products| Update {
                products,
                ..Update::default()
            })
            .collect();
        if !self.attempts.is_empty() {
            updates.push(Update {
                attempts: self
                    .attempts
                    .iter()
                    .map(|(&id, &count)| (id, count))
                    .collect(),
                ..Update::default()
            });
        }
        updates
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
