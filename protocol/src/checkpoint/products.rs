//! Finished operations, kept so that none of them is covered by another.

mod weighed;

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;

use self::weighed::{Weighed, Weight};
use crate::plan::{Kind, OperationId, Plan, Shape};
use crate::words::decimal::Decimal;

/// Finished operations of any number of factorials, each with a `V` (its value, or nothing).
///
/// An operation is *covered* when it is in here itself, or one that was made of it. Inserting one removes
/// all that it covers, so what is in here is the frontier between done and not done, about one result in
/// size. Operations are stored as disjoint spans of leaves, which makes "is it covered" a single look-up;
/// only parts of steps stand beside them, until the step is done.
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
    /// Finished operations by the first leaf of their span.
    finished: Weighed<u32, Finished<V>>,
    /// Finished parts.
    parts: Weighed<OperationId, V>,
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
            finished: Weighed::new(),
            parts: Weighed::new(),
        });
        match frontier.evidence(id) {
            Some((held, present)) if held == id && *present == value => return Insertion::Same,
            Some((held, _)) if held == id => return Insertion::Differs,
            Some(_) => return Insertion::Covered,
            None => {}
        }
        self.weight -= frontier.weight();
        frontier.remove_covered_by(id);
        if id.kind == Kind::Part {
            frontier.parts.insert(id, value);
        } else {
            let Range { start, end } = frontier.plan.span(id);
            frontier.finished.insert(start, Finished { end, id, value });
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
        self.evidence(id).is_some()
    }

    /// What shows that `id` is done: itself, or an operation that was made of it.
    pub(crate) fn evidence(&self, id: OperationId) -> Option<(OperationId, &V)> {
        self.factorials.get(&id.n)?.evidence(id)
    }

    /// The value of exactly this operation.
    pub(crate) fn get(&self, id: OperationId) -> Option<&V> {
        let (held, value) = self.evidence(id)?;
        (held == id).then_some(value)
    }

    /// Whether n! is in here.
    pub(crate) fn has_factorial(&self, n: u32) -> bool {
        self.get(self.shape.plan(n).last()).is_some()
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
    /// The digits of n!, if it is in here.
    pub(crate) fn factorial(&self, n: u32) -> Option<Decimal> {
        let plan = self.shape.plan(n);
        let value = self.get(plan.last())?.clone();
        Some(Decimal::new(value, plan.zeros()))
    }
}

impl<V> Frontier<V> {
    fn is_empty(&self) -> bool {
        self.finished.is_empty() && self.parts.is_empty()
    }

    fn evidence(&self, id: OperationId) -> Option<(OperationId, &V)> {
        if id.kind == Kind::Part
            && let Some(value) = self.parts.get(&id)
        {
            return Some((id, value));
        }
        let span = self.plan.span(id);
        let (_, found) = self.finished.last_up_to(span.start)?;
        // Several may have one span, one above the other. A part has that of its step.
        let is_made_of_it =
            found.end >= span.end && self.plan.height(found.id) >= self.plan.height(id);
        is_made_of_it.then_some((found.id, &found.value))
    }

    fn done(&self) -> u64 {
        self.iter().map(|(id, _)| self.plan.covered(id)).sum()
    }

    fn iter(&self) -> impl Iterator<Item = (OperationId, &V)> + '_ {
        let finished = self.finished.values();
        finished
            .map(|finished| (finished.id, &finished.value))
            .chain(self.parts.iter().map(|(&id, value)| (id, value)))
    }
}

impl<V: Weight> Frontier<V> {
    fn weight(&self) -> u64 {
        self.finished.weight() + self.parts.weight()
    }

    fn remove_covered_by(&mut self, id: OperationId) {
        match id.kind {
            Kind::Part => return self.parts.remove(&id),
            Kind::Step => self.parts.retain(|part, _| part.level < id.level),
            Kind::Multiply => {}
        }
        let span = self.plan.span(id);
        while let Some((&start, found)) = self.finished.first_in(span.clone()) {
            // A span that reaches further belongs to an operation made of `id`.
            if found.end > span.end || self.plan.height(found.id) > self.plan.height(id) {
                break;
            }
            self.finished.remove(&start);
        }
    }
}

#[cfg(test)]
mod tests;
