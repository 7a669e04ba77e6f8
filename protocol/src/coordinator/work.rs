//! The operations that are to be assigned: of each open factorial the leaves not reached yet, and
//! what is ready because all of its operands are done.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use bytes::Bytes;

use crate::checkpoint::products::Products;
use crate::plan::{Kind, OperationId, Plan};
use crate::words::trace::ReassignCause;

/// The open factorials, in the order in which they were asked for.
///
/// What is ready goes before fresh leaves and higher levels before lower ones, which walks each
/// tree depth first: so few products are waiting for others at any time, about one result in all. The chain
/// goes before all trees, since each step waits for the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Work {
    factorials: BTreeMap<u32, Factorial>,
    /// Factorials that have something to assign, by the order in which they were opened.
    assignable: BTreeMap<u64, u32>,
    next_order: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Factorial {
    plan: Plan,
    order: u64,
    /// Leaves that were never assigned in this coordinatorship, in order.
    leaves: VecDeque<Range<u32>>,
    /// Operations whose operands are done, the highest first.
    ready: BTreeSet<ReadyKey>,
    /// Operations that were taken from a worker, and why.
    reassigned: BTreeMap<OperationId, ReassignCause>,
}

/// What more depends on first: the chain, then higher levels.
type ReadyKey = (Reverse<u8>, OperationId);

impl Work {
    /// Whether a factorial is open.
    pub(crate) fn is_open(&self, n: u32) -> bool {
        self.factorials.contains_key(&n)
    }

    /// Opens a factorial: finds what is to be done beside what is `done`, or `assigned`.
    ///
    /// Returns the operations that must have been assigned before this coordinatorship, and are
    /// assigned again: leaves before the last one that anybody has reached.
    pub(crate) fn open(
        &mut self,
        n: u32,
        done: &Products<Bytes>,
        assigned: &BTreeSet<OperationId>,
    ) -> Vec<OperationId> {
        if self.is_open(n) {
            return Vec::new();
        }
        let plan = done.shape().plan(n);
        let mut factorial = Factorial {
            plan,
            order: self.next_order,
            leaves: VecDeque::new(),
            ready: BTreeSet::new(),
            reassigned: BTreeMap::new(),
        };
        self.next_order += 1;
        let mut reached = BTreeSet::new();
        let mut gap_start = 0;
        let of_n: Vec<OperationId> = done.iter_of(n).map(|(id, _)| id).collect();
        let held = of_n.iter().map(|&id| match id.kind {
            // What goes into it was there once, and all leaves before.
            Kind::Part => plan.span(id).end..plan.span(id).end,
            Kind::Multiply | Kind::Step => plan.span(id),
        });
        let multiplied = assigned.iter().filter(|id| id.kind == Kind::Multiply);
        let mut spans: Vec<Range<u32>> = held.chain(multiplied.map(|&id| plan.span(id))).collect();
        spans.sort_unstable_by_key(|span| (span.start, span.end));
        for span in spans {
            if gap_start < span.start {
                reached.extend(plan.leaf_blocks(gap_start..span.start));
            }
            gap_start = gap_start.max(span.end);
        }
        if gap_start < plan.leaves() {
            factorial.leaves.push_back(gap_start..plan.leaves());
        }
        for id in of_n.into_iter().flat_map(|id| plan.needed_by(id)) {
            if !assigned.contains(&id) && !done.covers(id) && is_ready(&plan, id, done) {
                factorial.put(id);
            }
        }
        for &id in &reached {
            factorial.put(id);
        }
        self.assignable.insert(factorial.order, n);
        self.factorials.insert(n, factorial);
        reached.into_iter().collect()
    }

    /// Closes a factorial that no job needs.
    pub(crate) fn close(&mut self, n: u32) {
        if let Some(factorial) = self.factorials.remove(&n) {
            self.assignable.remove(&factorial.order);
        }
    }

    /// Takes the operation that should be assigned next.
    pub(crate) fn next(&mut self) -> Option<OperationId> {
        loop {
            let entry = self.assignable.first_entry()?;
            let factorial = self.factorials.get_mut(entry.get());
            match factorial.and_then(Factorial::next) {
                Some(id) => return Some(id),
                None => entry.remove(),
            };
        }
    }

    /// Puts back what was assigned; or, where its operands died with their only holder, what must
    /// be computed again before it.
    pub(crate) fn put_back(&mut self, id: OperationId, done: &Products<Bytes>) {
        if let Some(factorial) = self.factorials.get_mut(&id.n) {
            factorial.put_back(id, done);
            self.assignable.insert(factorial.order, id.n);
        }
    }

    /// Somebody turns out to have an operation: it need not be assigned.
    pub(crate) fn take(&mut self, id: OperationId) {
        if let Some(factorial) = self.factorials.get_mut(&id.n) {
            factorial.take(id);
        }
    }

    /// An operation is done: perhaps another became ready by it.
    pub(crate) fn finished(&mut self, id: OperationId, done: &Products<Bytes>) {
        let Some(factorial) = self.factorials.get_mut(&id.n) else {
            return;
        };
        factorial.take(id);
        for next in factorial.plan.needed_by(id) {
            if !done.covers(next) && is_ready(&factorial.plan, next, done) {
                factorial.put(next);
                self.assignable.insert(factorial.order, id.n);
            }
        }
    }

    /// Notes why an operation was taken from a worker.
    pub(crate) fn note_reassigned(&mut self, id: OperationId, why: ReassignCause) {
        if let Some(factorial) = self.factorials.get_mut(&id.n) {
            factorial.reassigned.insert(id, why);
        }
    }

    /// Why an operation was taken from a worker, if it was; told once.
    pub(crate) fn take_reassigned(&mut self, id: OperationId) -> Option<ReassignCause> {
        self.factorials.get_mut(&id.n)?.reassigned.remove(&id)
    }
}

impl Factorial {
    fn key(&self, id: OperationId) -> ReadyKey {
        (Reverse(self.plan.height(id)), id)
    }

    fn put(&mut self, id: OperationId) {
        self.ready.insert(self.key(id));
    }

    fn put_back(&mut self, id: OperationId, done: &Products<Bytes>) {
        let mut lost = vec![id];
        // Both parts of a step need the same.
        let mut seen = BTreeSet::new();
        while let Some(id) = lost.pop() {
            if done.covers(id) || !seen.insert(id) {
                continue;
            }
            if !is_ready(&self.plan, id, done) {
                lost.extend(self.plan.operands(id).products());
            } else if id.level > 0 || id.kind != Kind::Multiply || !self.is_fresh(id.index) {
                self.put(id);
            }
        }
    }

    /// Whether a leaf is still among those that were never assigned.
    fn is_fresh(&self, leaf: u32) -> bool {
        self.leaves.iter().any(|range| range.contains(&leaf))
    }

    fn take(&mut self, id: OperationId) {
        self.ready.remove(&self.key(id));
        if id.kind == Kind::Part {
            return;
        }
        // A product that comes late, or from a peer that was away, may cover what is not
        // assigned yet.
        let span = self.plan.span(id);
        if self
            .leaves
            .front()
            .is_some_and(|first| first.start < span.end)
        {
            self.leaves = std::mem::take(&mut self.leaves)
                .into_iter()
                .flat_map(|range| {
                    [
                        range.start..range.end.min(span.start),
                        range.start.max(span.end)..range.end,
                    ]
                })
                .filter(|range| range.start < range.end)
                .collect();
        }
    }

    fn next(&mut self) -> Option<OperationId> {
        if let Some((_, id)) = self.ready.pop_first() {
            return Some(id);
        }
        let range = self.leaves.front_mut()?;
        let leaf = self.plan.leaf(range.start);
        range.start = self.plan.span(leaf).end;
        if range.start == range.end {
            self.leaves.pop_front();
        }
        Some(leaf)
    }
}

fn is_ready(plan: &Plan, id: OperationId, done: &Products<Bytes>) -> bool {
    let operands = plan.operands(id);
    let mut operands = operands.products().iter();
    operands.all(|&operand| done.get(operand).is_some())
}
