//! S5: an operation has at most four operands; what was multiplied gives n!.
//!
//! Events name operations, not their operands. Those follow from the names: [`crate::plan`] derives which
//! numbers or primes a leaf multiplies, and which operations combine the leaves into one value. No name is outside
//! the plan of the factorial. And if the factorial was done
//!
//! - each leaf had been completed by some worker: of all numbers, so the leaves partition 1..n; of prime powers, so
//!   that the exponents of what they multiply, tens included, are those of n!, by Legendre;
//! - so had each operation above the leaves, which has at most four of the level below, and each step;
//! - and both parts of the steps that are cut. Events do not say which those are, only that they are the lowest.
//!
//! The positions of the lines do not matter. A worker writes `completed` before it sends the product, which the
//! coordinator has when it writes `product_done`: so an operation with a later timestamp was not in it.

use std::collections::BTreeMap;

use super::Violation;
use super::charges::{Charge, Lack, Missing};
use super::work::Work;
use crate::log::{Event, Op};
use crate::plan::{Level, Method, PARTS, Plan, Primes, Told};

const NAME: &str = "S5";

/// The plans of factorials.
#[derive(Clone, Debug, Default)]
pub(super) struct Plans {
    factorials: BTreeMap<u64, Factorial>,
    primes: Primes,
}

/// What the log says about n!.
#[derive(Clone, Debug)]
struct Factorial {
    told: Told,
    /// The plan may become known late.
    tree: Outside,
    powers: Outside,
    /// The `product_done` with the earliest timestamp.
    done: Option<Event>,
}

/// A plan, and events of operations that it does not have.
#[derive(Clone, Debug)]
struct Outside {
    plan: Plan,
    first: Option<Event>,
    count: usize,
}

impl Plans {
    pub(super) fn take(&mut self, event: &Event) {
        let n = match event.op() {
            Some(op) => op.n,
            None if event.name() == "product_done" => event.number("n"),
            None => return,
        };
        let primes = &mut self.primes;
        let factorial = self
            .factorials
            .entry(n)
            .or_insert_with(|| Factorial::of(n, primes));
        factorial.take(event);
    }

    pub(super) fn check(&self, work: &Work, missing: &Missing) -> Vec<Violation> {
        // Whether single operations are logged at all.
        let mut factorials = self.factorials.keys();
        let is_traced = factorials.any(|&n| work.first_completed(n).next().is_some());
        let factorials = self.factorials.iter();
        let mut violations: Vec<Violation> = factorials
            .clone()
            .filter_map(|(n, factorial)| factorial.outside(*n))
            .collect();
        let charges = factorials
            .filter(|_| is_traced)
            .filter_map(|(&n, factorial)| {
                let done = factorial.done.as_ref()?;
                factorial.incomplete(n, done, work, &self.primes)
            });
        violations.extend(missing.sustain(charges.collect()));
        violations
    }
}

impl Factorial {
    fn of(n: u64, primes: &mut Primes) -> Factorial {
        let mut outside = |method| Outside {
            plan: Plan::new(n, method, primes),
            first: None,
            count: 0,
        };
        Factorial {
            told: Told::default(),
            tree: outside(Method::Tree),
            powers: outside(Method::Powers),
            done: None,
        }
    }

    fn take(&mut self, event: &Event) {
        self.told.take(event);
        if let Some(op) = event.op() {
            self.tree.take(op, event);
            self.powers.take(op, event);
        } else if self.done.as_ref().is_none_or(|done| event.at() < done.at()) {
            self.done = Some(event.clone());
        }
    }

    /// Its plan; if the log does not say, one that has all of its operations.
    fn plan(&self) -> &Outside {
        match self.told.method() {
            Some(Method::Powers) => &self.powers,
            None if self.tree.count > 0 && self.powers.count == 0 => &self.powers,
            _ => &self.tree,
        }
    }

    fn outside(&self, n: u64) -> Option<Violation> {
        let Outside { plan, first, count } = self.plan();
        let first = first.as_ref()?;
        let name = first.op().map_or_else(String::new, Op::name);
        let more = match count - 1 {
            0 => String::new(),
            more => format!(" ({more} more lines tell of such)"),
        };
        let message = format!("{n}! has no {name}: {}{more}", plan.widths());
        Some(Violation::new(NAME, message, &[first]))
    }

    /// The operations that nobody had completed although n! was done.
    fn incomplete(&self, n: u64, done: &Event, work: &Work, primes: &Primes) -> Option<Charge> {
        let plan = &self.plan().plan;
        let mut missing = 0;
        let mut first = None;
        let mut leaves = Vec::new();
        for level in plan.levels().iter().chain(&parts(n, plan, work)) {
            let there = completed(n, level, done, work);
            missing += there.iter().filter(|there| !**there).count();
            let index = there.iter().position(|there| !there);
            first = first.or_else(|| Some(level.operation(n, index? as u64)));
            if level.kind == "multiply" && level.level == 0 {
                leaves = there;
            }
        }
        let mut lacks = Vec::new();
        if let Some(op) = first {
            let (name, words) = (
                op.name(),
                plan.words(&op, self.told, &plan.primes_of(&op, primes)),
            );
            lacks.push(format!("nobody completed {name}"));
            lacks.extend((words != name).then(|| format!("that is {words}")));
        }
        let unequal = plan.unequal(&leaves, primes);
        lacks.extend(unequal.map(|(prime, multiplied, needed)| {
            format!("{prime}^{multiplied} was multiplied instead of {prime}^{needed}")
        }));
        let message = format!("{n}! is done, and {}", lacks.join(", "));
        let violation = Violation::new(NAME, message, &[done]);
        let charge = Charge::new(violation, Lack::anywhere().times(missing));
        (!lacks.is_empty()).then_some(charge)
    }
}

/// The operations of a level that had been completed when n! was done.
fn completed(n: u64, level: &Level, done: &Event, work: &Work) -> Vec<bool> {
    let mut there = vec![false; usize::try_from(level.width).unwrap_or(0)];
    for (index, at) in work.completed.level(n, level.kind, level.level) {
        let place = usize::try_from(index).ok();
        if let Some(there) = place.and_then(|place| there.get_mut(place)) {
            *there = at > 0 && at <= done.at();
        }
    }
    there
}

impl Outside {
    fn take(&mut self, op: &Op, event: &Event) {
        if !self.plan.contains(op) {
            self.first.get_or_insert_with(|| event.clone());
            self.count += 1;
        }
    }
}

/// The parts of the steps that are cut, in the order of the bits.
fn parts(n: u64, plan: &Plan, work: &Work) -> Vec<Level> {
    let steps = plan.levels().iter().filter(|level| level.kind == "step");
    let is_cut = |step: &&Level| work.completed.level(n, "part", step.level).next().is_some();
    let highest = steps.filter(is_cut).map(|step| step.level).max();
    let bits = highest.into_iter().flat_map(|highest| 0..=highest);
    bits.map(|level| Level {
        kind: "part",
        level,
        width: PARTS,
    })
    .collect()
}
