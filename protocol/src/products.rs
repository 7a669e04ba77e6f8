//! Finished operations, kept so that none of them is covered by another.

mod weighed;

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};

use self::weighed::{Weighed, Weight};
use crate::plan::{Kind, OperationId, Plan, Shape};

/// Finished operations of any number of factorials, each with a `V` (its value, or nothing).
///
/// An operation is *covered* when it is in here itself, or when all operations that need its product
/// are covered. Inserting one removes all that is covered without being in here, so what is in here
/// is the frontier between done and not done, about one result in size. Multiplications are stored as
/// disjoint spans of leaves, which makes "is it covered" a single look-up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Products<V> {
    shape: Shape,
    factorials: BTreeMap<u32, Frontier<V>>,
    /// Bytes of all values in here.
    weight: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Frontier<V> {
    plan: Plan,
    /// Finished multiplications by the first leaf of their span.
    multiplied: Weighed<u32, Finished<V>>,
    /// Finished operations of the conversion.
    converted: Weighed<OperationId, V>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Finished<V> {
    /// One past the last leaf of the span.
    end: u32,
    id: OperationId,
    value: V,
}

impl<V: Weight> Weight for Finished<V> {
    fn weight(&self) -> u64 {
        self.value.weight()
    }
}

/// What an insertion found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Insertion {
    /// The operation was not done; now it is.
    New,
    /// The operation itself was in, with the same value.
    Same,
    /// The operation itself was in, with another value, which was kept.
    Differs,
    /// An operation made of this one was in.
    Covered,
}

impl<V: PartialEq + Weight> Products<V> {
    /// Adds a finished operation, and drops those that it covers.
    ///
    /// The operation must belong to the plan of its factorial.
    pub(crate) fn insert(&mut self, id: OperationId, value: V) -> Insertion {
        let frontier = self.factorials.entry(id.n).or_insert_with(|| Frontier {
            plan: self.shape.plan(id.n),
            multiplied: Weighed::new(),
            converted: Weighed::new(),
        });
        match frontier.get(id) {
            Some(present) if *present == value => return Insertion::Same,
            Some(_) => return Insertion::Differs,
            None if frontier.covers(id) => return Insertion::Covered,
            None => {}
        }
        self.weight -= frontier.weight();
        if id.kind == Kind::Multiply {
            frontier.remove_covered_by(id);
            let span = frontier.plan.span(id);
            let end = span.end;
            frontier
                .multiplied
                .insert(span.start, Finished { end, id, value });
        } else {
            frontier.converted.insert(id, value);
            frontier.prune();
        }
        self.weight += frontier.weight();
        Insertion::New
    }
}

impl<V> Products<V> {
    /// No products, of plans of this shape.
    pub(crate) fn new(shape: Shape) -> Products<V> {
        Products {
            shape,
            factorials: BTreeMap::new(),
            weight: 0,
        }
    }

    /// What shapes the plans of what is in here.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether an operation, or one made of it, is in here.
    pub(crate) fn covers(&self, id: OperationId) -> bool {
        let frontier = self.factorials.get(&id.n);
        frontier.is_some_and(|frontier| frontier.covers(id))
    }

    /// What shows that `id` is done: itself, or operations that were made of it; nothing if it is
    /// not.
    pub(crate) fn evidence(&self, id: OperationId) -> Vec<(OperationId, &V)> {
        let frontier = self.factorials.get(&id.n);
        frontier.map_or_else(Vec::new, |frontier| frontier.evidence(id))
    }

    /// The value of exactly this operation.
    pub(crate) fn get(&self, id: OperationId) -> Option<&V> {
        self.factorials.get(&id.n)?.get(id)
    }

    /// Whether all digits of n! are in here.
    pub(crate) fn has_digits(&self, n: u32) -> bool {
        let mut digits = self.shape.plan(n).digits();
        digits.all(|id| self.get(id).is_some())
    }

    /// The factorials of which anything is in here.
    pub(crate) fn factorials(&self) -> impl Iterator<Item = u32> + '_ {
        self.factorials.keys().copied()
    }

    /// What is in here, factorial by factorial, leaves first to last.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (OperationId, &V)> + '_ {
        self.factorials.values().flat_map(Frontier::iter)
    }

    /// What is in here of one factorial.
    pub(crate) fn iter_of(&self, n: u32) -> impl Iterator<Item = (OperationId, &V)> + '_ {
        self.factorials.get(&n).into_iter().flat_map(Frontier::iter)
    }

    /// The names of what is in here.
    pub(crate) fn ids(&self) -> impl Iterator<Item = OperationId> + '_ {
        self.iter().map(|(id, _)| id)
    }

    /// Number of operations of n! that are done.
    pub(crate) fn done(&self, n: u32) -> u64 {
        self.factorials.get(&n).map_or(0, Frontier::done)
    }
}

impl<V: Weight> Products<V> {
    /// Bytes of all values in here.
    pub(crate) fn weight(&self) -> u64 {
        self.weight
    }

    /// Drops what another has, or has what was made of it.
    pub(crate) fn remove_all_covered(&mut self, other: &Products<V>) {
        for frontier in self.factorials.values_mut() {
            frontier.converted.retain(|&id, _| !other.covers(id));
            frontier
                .multiplied
                .retain(|_, finished| !other.covers(finished.id));
        }
        self.factorials.retain(|_, frontier| !frontier.is_empty());
        self.weight = self.factorials.values().map(Frontier::weight).sum();
    }

    /// Drops `id` and all that it covers by itself.
    pub(crate) fn remove_covered_by(&mut self, id: OperationId) {
        if let Some(frontier) = self.factorials.get_mut(&id.n) {
            self.weight -= frontier.weight();
            frontier.remove_covered_by(id);
            self.weight += frontier.weight();
            if frontier.is_empty() {
                self.factorials.remove(&id.n);
            }
        }
    }

    /// Drops everything of one factorial; tells whether there was anything.
    pub(crate) fn forget(&mut self, n: u32) -> bool {
        let forgotten = self.factorials.remove(&n);
        self.weight -= forgotten.as_ref().map_or(0, Frontier::weight);
        forgotten.is_some()
    }
}

impl Products<Bytes> {
    /// The digits of n!, in parts, if all are in here.
    pub(crate) fn digits(&self, n: u32) -> Option<Vec<Bytes>> {
        let pieces = self.shape.plan(n).digits().map(|id| self.get(id).cloned());
        let mut pieces = pieces.collect::<Option<Vec<Bytes>>>()?;
        // Pieces are of one width, and the first ones may begin with zeros.
        for piece in &mut pieces {
            let zeros = piece.iter().take_while(|&&digit| digit == b'0').count();
            piece.advance(zeros);
            if !piece.is_empty() {
                break;
            }
        }
        Some(pieces)
    }
}

impl<V> Frontier<V> {
    fn is_empty(&self) -> bool {
        self.multiplied.is_empty() && self.converted.is_empty()
    }

    fn get(&self, id: OperationId) -> Option<&V> {
        if id.kind != Kind::Multiply {
            return self.converted.get(&id);
        }
        self.multiplying(id)
            .filter(|found| found.id == id)
            .map(|found| &found.value)
    }

    fn covers(&self, id: OperationId) -> bool {
        if id.kind == Kind::Multiply {
            self.multiplying(id).is_some() || self.is_product_needless()
        } else {
            self.converted.contains_key(&id) || self.is_needless(id)
        }
    }

    /// The finished multiplication that is `id` or was made of it.
    fn multiplying(&self, id: OperationId) -> Option<&Finished<V>> {
        let span = self.plan.span(id);
        let (_, found) = self.multiplied.last_up_to(span.start)?;
        // Blocks one above the other have one span.
        (found.end >= span.end && found.id.level >= id.level).then_some(found)
    }

    /// Whether all that needs n! is covered.
    fn is_product_needless(&self) -> bool {
        // Most of the time nothing has been made of it, and it is asked for each multiplication.
        let last = self.converted.last_key_value();
        last.is_some_and(|(id, _)| id.kind.is_made_of_product())
            && self.is_needless(self.plan.root())
    }

    /// Whether all operations that need `id` are covered, and there are any.
    fn is_needless(&self, id: OperationId) -> bool {
        let needed_by = self.plan.needed_by(id);
        !needed_by.is_empty() && needed_by.into_iter().all(|other| self.covers(other))
    }

    fn evidence(&self, id: OperationId) -> Vec<(OperationId, &V)> {
        let itself = match id.kind {
            Kind::Multiply => self.multiplying(id).map(|found| (found.id, &found.value)),
            _ => self.converted.get(&id).map(|value| (id, value)),
        };
        match itself {
            Some(found) => vec![found],
            None if self.covers(id) => {
                let made = |&(id, _): &(&OperationId, &V)| id.kind.is_made_of_product();
                let made = self.converted.iter().filter(made);
                made.map(|(&id, value)| (id, value)).collect()
            }
            None => Vec::new(),
        }
    }

    fn done(&self) -> u64 {
        let multiplied = if self.is_product_needless() {
            self.plan.covered(self.plan.root())
        } else {
            let finished = self.multiplied.values();
            finished
                .map(|finished| self.plan.covered(finished.id))
                .sum()
        };
        let converted = self.plan.conversion().filter(|&id| self.covers(id));
        multiplied + converted.count() as u64
    }

    fn iter(&self) -> impl Iterator<Item = (OperationId, &V)> + '_ {
        let multiplied = self.multiplied.values();
        multiplied
            .map(|finished| (finished.id, &finished.value))
            .chain(self.converted.iter().map(|(&id, value)| (id, value)))
    }
}

impl<V: Weight> Frontier<V> {
    fn weight(&self) -> u64 {
        self.multiplied.weight() + self.converted.weight()
    }

    /// Drops what is covered without being in here. What is covered stays so, since nothing that
    /// covers depends on what it covers.
    fn prune(&mut self) {
        for id in self.plan.conversion() {
            if self.converted.contains_key(&id) && self.is_needless(id) {
                self.converted.remove(&id);
            }
        }
        if self.is_product_needless() {
            self.multiplied.clear();
        }
    }

    fn remove_covered_by(&mut self, id: OperationId) {
        if id.kind != Kind::Multiply {
            self.converted.remove(&id);
            if id.kind == Kind::Decimal {
                self.multiplied.clear();
            }
            return;
        }
        let span = self.plan.span(id);
        while let Some((&start, found)) = self.multiplied.first_in(span.clone()) {
            // A span that reaches further belongs to an operation made of `id`.
            if found.end > span.end || found.id.level > id.level {
                break;
            }
            self.multiplied.remove(&start);
        }
    }
}

#[cfg(test)]
mod tests;
