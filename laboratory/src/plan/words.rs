//! Operations, described by what they compute.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{ARITY, Method, Plan, Primes, Told, first_below};
use crate::log::{Log, Op};

/// The descriptions of the operations of a log.
#[derive(Debug, Default)]
pub struct Names {
    told: BTreeMap<u64, Told>,
    plans: BTreeMap<u64, Option<Plan>>,
    primes: Primes,
    /// By n and bit, those that were asked for.
    with_bit: BTreeMap<(u64, usize), Vec<u64>>,
}

impl Names {
    /// Those of the factorials that a log tells of.
    pub fn of(log: &Log) -> Names {
        let mut names = Names::default();
        for event in &log.events {
            let op = event.op().map(|op| op.n);
            if let Some(n) = op.or_else(|| event.fields["n"].as_u64()) {
                names.told.entry(n).or_default().take(event);
            }
        }
        names
    }

    /// What an operation does, without its n!: as `10 × 9 × 8 × 7`, `P3: primes 7 to 61` or
    /// `F5 = F6 · (F6 · P5)`. If the log does not say the plan, or the plan has no such operation, it is the name.
    pub fn words(&mut self, op: &Op) -> String {
        let told = self.told.entry(op.n).or_default();
        let plan = self.plans.entry(op.n).or_insert_with(|| {
            let method = told.method()?;
            Some(Plan::new(op.n, method, &mut self.primes))
        });
        let Some(plan) = plan.as_ref().filter(|plan| plan.contains(op)) else {
            return op.name();
        };
        let Some(bit) = plan.bit(op) else {
            return plan.words(op, *told, &[]);
        };
        let primes = self.with_bit.entry((op.n, bit));
        let primes = primes.or_insert_with(|| self.primes.with_bit(op.n, bit));
        plan.words(op, *told, primes)
    }
}

impl Plan {
    /// The primes that have the bit of a multiplication of prime powers; none of anything else.
    pub(crate) fn primes_of(&self, op: &Op, primes: &Primes) -> Vec<u64> {
        let bit = self.bit(op);
        bit.map_or_else(Vec::new, |bit| primes.with_bit(self.n, bit))
    }

    fn bit(&self, op: &Op) -> Option<usize> {
        let is_of_primes = self.method == Method::Powers && &*op.kind == "multiply";
        self.locate(op).filter(|_| is_of_primes).map(|(bit, _)| bit)
    }

    /// As [`Names::words`], of an operation of this plan, by the primes that have its bit.
    pub(crate) fn words(&self, op: &Op, told: Told, primes: &[u64]) -> String {
        let located = self.locate(op).filter(|_| &*op.kind == "multiply");
        match (located, self.method) {
            (None, _) if &*op.kind == "part" => op.name(),
            (None, _) => self.step(op.level, told),
            (Some((_, index)), Method::Tree) => self.numbers(op.level, index),
            (Some((bit, index)), Method::Powers) => {
                let places = places(self.trees[bit], op.level, index);
                let primes = primes.iter().skip(places.start as usize);
                let primes: Vec<u64> = primes
                    .take((places.end - places.start) as usize)
                    .copied()
                    .collect();
                match primes.as_slice() {
                    [first, .., last] if op.level > 0 => {
                        format!("P{bit}: primes {} to {}", grouped(*first), grouped(*last))
                    }
                    primes => format!("P{bit}: {}", product(primes)),
                }
            }
        }
    }

    fn numbers(&self, level: u64, index: u64) -> String {
        let places = places(self.trees[0], level, index);
        let (lowest, highest) = (
            (self.n + 1).saturating_sub(places.end).max(1),
            self.n - places.start,
        );
        if level == 0 {
            let numbers: Vec<u64> = (lowest..=highest).rev().collect();
            return product(&numbers);
        }
        let first = |index| first_below(self.trees[0], level, index);
        let count = first(index + 1) - first(index);
        format!(
            "product of {count} (numbers {} to {})",
            grouped(lowest),
            grouped(highest)
        )
    }

    fn step(&self, bit: u64, told: Told) -> String {
        let has_primes = self
            .trees
            .get(bit as usize)
            .is_some_and(|&leaves| leaves > 0);
        let is_first = bit + 2 == self.trees.len() as u64;
        let before = format!("{}{}", if is_first { "P" } else { "F" }, bit + 1);
        if told.is_cut(bit) {
            format!("F{bit} from its parts")
        } else if has_primes {
            format!("F{bit} = {before} · ({before} · P{bit})")
        } else {
            format!("F{bit} = {before} · {before}")
        }
    }
}

/// Which of the values of all leaves of a tree go into an operation of it.
fn places(leaves: u64, level: u64, index: u64) -> Range<u64> {
    let to_leaves = |index| {
        (1..=level)
            .rev()
            .fold(index, |index, level| first_below(leaves, level, index))
    };
    ARITY * to_leaves(index)..ARITY * to_leaves(index + 1)
}

/// Of no numbers it is 1.
fn product(numbers: &[u64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(|&number| grouped(number)).collect();
    match numbers.as_slice() {
        [] => "1".to_owned(),
        _ => numbers.join(" × "),
    }
}

/// With a comma before every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}
