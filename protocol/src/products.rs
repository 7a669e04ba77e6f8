//! Finished operations, kept so that none of them is covered by another.

use std::collections::BTreeMap;

use crate::plan::{Kind, OperationId, Plan, Shape};

/// Finished operations of any number of factorials, each with a `V` (its value, or nothing).
///
/// An operation is *covered* when it is in here itself, or when an operation that was made of it
/// is. Inserting one removes all that it covers, so what is in here is the frontier between done
/// and not done, about one result in size. It is stored as disjoint spans of leaves, which makes
/// "is it covered" a single look-up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Products<V> {
    shape: Shape,
    factorials: BTreeMap<u32, Frontier<V>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Frontier<V> {
    plan: Plan,
    /// Finished multiplications by the first leaf of their span.
    multiplied: BTreeMap<u32, Finished<V>>,
    decimal: Option<V>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Finished<V> {
    /// One past the last leaf of the span.
    end: u32,
    id: OperationId,
    value: V,
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

impl<V: PartialEq> Products<V> {
    /// Adds a finished operation, and drops those that it covers.
    ///
    /// The operation must belong to the plan of its factorial.
    pub(crate) fn insert(&mut self, id: OperationId, value: V) -> Insertion {
        let frontier = self.factorials.entry(id.n).or_insert_with(|| Frontier {
            plan: self.shape.plan(id.n),
            multiplied: BTreeMap::new(),
            decimal: None,
        });
        if let Some(found) = frontier.covering(id) {
            return match found {
                (found, present) if found == id && *present == value => Insertion::Same,
                (found, _) if found == id => Insertion::Differs,
                _ => Insertion::Covered,
            };
        }
        frontier.remove_covered_by(id);
        match id.kind {
            Kind::Decimal => frontier.decimal = Some(value),
            Kind::Multiply => {
                let span = frontier.plan.span(id);
                let end = span.end;
                frontier
                    .multiplied
                    .insert(span.start, Finished { end, id, value });
            }
        }
        Insertion::New
    }
}

impl<V> Products<V> {
    /// No products, of plans of this shape.
    pub(crate) fn new(shape: Shape) -> Products<V> {
        Products {
            shape,
            factorials: BTreeMap::new(),
        }
    }

    /// What shapes the plans of what is in here.
    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Whether an operation, or one made of it, is in here.
    pub(crate) fn covers(&self, id: OperationId) -> bool {
        self.covering(id).is_some()
    }

    /// The operation that covers `id`, perhaps itself, and its value.
    pub(crate) fn covering(&self, id: OperationId) -> Option<(OperationId, &V)> {
        self.factorials.get(&id.n)?.covering(id)
    }

    /// The value of exactly this operation.
    pub(crate) fn get(&self, id: OperationId) -> Option<&V> {
        self.covering(id)
            .filter(|&(found, _)| found == id)
            .map(|(_, value)| value)
    }

    /// Drops `id` and all that it covers.
    pub(crate) fn remove_covered_by(&mut self, id: OperationId) {
        if let Some(frontier) = self.factorials.get_mut(&id.n) {
            frontier.remove_covered_by(id);
            if frontier.is_empty() {
                self.factorials.remove(&id.n);
            }
        }
    }

    /// Drops everything of one factorial; tells whether there was anything.
    pub(crate) fn forget(&mut self, n: u32) -> bool {
        self.factorials.remove(&n).is_some()
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
        self.factorials.get(&n).map_or(0, |frontier| {
            frontier
                .iter()
                .map(|(id, _)| frontier.plan.covered(id))
                .sum()
        })
    }
}

impl<V> Frontier<V> {
    fn is_empty(&self) -> bool {
        self.multiplied.is_empty() && self.decimal.is_none()
    }

    fn covering(&self, id: OperationId) -> Option<(OperationId, &V)> {
        if let Some(digits) = &self.decimal {
            return Some((self.plan.decimal(), digits));
        }
        if id.kind == Kind::Decimal {
            return None;
        }
        let span = self.plan.span(id);
        let (_, found) = self.multiplied.range(..=span.start).next_back()?;
        // Blocks one above the other have one span.
        (found.end >= span.end && found.id.level >= id.level).then_some((found.id, &found.value))
    }

    fn remove_covered_by(&mut self, id: OperationId) {
        if id.kind == Kind::Decimal {
            self.multiplied.clear();
            self.decimal = None;
            return;
        }
        let span = self.plan.span(id);
        while let Some((&start, found)) = self.multiplied.range(span.clone()).next() {
            // A span that reaches further belongs to an operation made of `id`.
            if found.end > span.end || found.id.level > id.level {
                break;
            }
            self.multiplied.remove(&start);
        }
    }

    fn iter(&self) -> impl Iterator<Item = (OperationId, &V)> + '_ {
        let decimal = self
            .decimal
            .as_ref()
            .map(|digits| (self.plan.decimal(), digits));
        self.multiplied
            .values()
            .map(|finished| (finished.id, &finished.value))
            .chain(decimal)
    }
}
