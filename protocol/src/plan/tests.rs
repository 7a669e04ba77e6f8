use malachite_base::num::arithmetic::traits::{Factorial, Pow};
use malachite_nz::natural::Natural;
use proptest::prelude::*;

use super::*;

/// The primes up to n, by division.
fn primes(n: u32) -> Vec<u32> {
    let is_prime = |&value: &u32| {
        (2..value)
            .take_while(|d| d * d <= value)
            .all(|d| value % d > 0)
    };
    (2..=n).filter(is_prime).collect()
}

/// The exponent of a prime in n! without its tens, by division.
fn exponent_left(n: u32, prime: u32) -> u32 {
    let exponent = |prime: u32| {
        (1..=n)
            .map(|value| {
                (1..)
                    .take_while(|&e| {
                        value % prime.saturating_pow(e) == 0 && prime.saturating_pow(e) <= value
                    })
                    .count() as u32
            })
            .sum::<u32>()
    };
    match prime {
        2 => exponent(2) - exponent(5),
        5 => 0,
        _ => exponent(prime),
    }
}

/// Computes a factorial by the plan, checking every operation on the way.
fn by_plan(plan: &Plan) -> Natural {
    let mut evaluation = Evaluation {
        plan,
        primes: primes(plan.n()),
        leaves: 0,
        seen: Vec::new(),
        known: std::collections::BTreeMap::new(),
    };
    let product = evaluation.value(plan.last());
    assert_eq!(evaluation.leaves, plan.leaves());
    assert_eq!(evaluation.known.len() as u64, plan.total());
    if plan.method() == Method::Tree {
        evaluation.seen.sort_unstable();
        assert!(
            evaluation.seen.into_iter().eq(1..=plan.n()),
            "every number once"
        );
    }
    product * Natural::from(10u32).pow(plan.zeros())
}

struct Evaluation<'a> {
    plan: &'a Plan,
    primes: Vec<u32>,
    leaves: u32,
    seen: Vec<u32>,
    known: std::collections::BTreeMap<OperationId, Natural>,
}

impl Evaluation<'_> {
    fn value(&mut self, id: OperationId) -> Natural {
        if let Some(known) = self.known.get(&id) {
            return known.clone();
        }
        let plan = self.plan;
        assert!(plan.contains(id));
        let operands = plan.operands(id);
        assert!(operands.products().len() <= 4, "{id:?} has {operands:?}");
        let needs = |&operand: &OperationId| plan.needed_by(operand).contains(&id);
        assert!(operands.products().iter().all(needs), "{id:?}");
        let values: Vec<Natural> = operands
            .products()
            .iter()
            .map(|&id| self.value(id))
            .collect();
        let before = self.leaves;
        let product = match operands {
            Operands::Numbers(numbers) => {
                let [numbers] = &numbers[..] else {
                    panic!("{id:?} is no single leaf")
                };
                assert!(numbers.clone().count() <= 4);
                self.leaf(id);
                self.seen.extend(numbers.clone());
                numbers.clone().map(Natural::from).product()
            }
            Operands::Primes { bit, leaves } => {
                assert_eq!(leaves.len(), 1);
                self.leaf(id);
                let has_bit = |&prime: &u32| (exponent_left(plan.n(), prime) >> bit) & 1 == 1;
                let all: Vec<u32> = self.primes.iter().copied().filter(has_bit).collect();
                let four = all.chunks(4).nth(leaves.start as usize);
                four.into_iter()
                    .flatten()
                    .copied()
                    .map(Natural::from)
                    .product()
            }
            Operands::Block { .. } => panic!("{id:?} is in a block"),
            Operands::Products(_) => {
                assert!(
                    (2..=4).contains(&values.len()),
                    "{id:?} has {} operands",
                    values.len()
                );
                values.into_iter().product()
            }
            // What the parts are is for the arithmetic to say; here each is all of it.
            Operands::Step(_) | Operands::Part { .. } => {
                let square = &values[0] * &values[0];
                values
                    .get(1)
                    .map_or(square.clone(), |primes| square * primes)
            }
            Operands::Parts(_) => values.into_iter().next().expect("parts"),
        };
        if id.kind == Kind::Multiply && id.level == 0 {
            assert_eq!(plan.span(id), before..self.leaves);
        }
        self.known.insert(id, product.clone());
        product
    }

    fn leaf(&mut self, id: OperationId) {
        assert_eq!(id, self.plan.leaf(self.leaves), "leaves come in order");
        self.leaves += 1;
    }
}

/// Prime powers, each operation by itself, and the lower steps in parts.
const POWERS: Shape = Shape {
    method: Method::Powers,
    cut_from: 50,
    ..Shape::SINGLE
};

#[test]
fn the_tree_gives_every_factorial_from_0_to_3000() {
    let mut expected = Natural::from(1u32);
    for n in 0..=3_000u32 {
        expected *= Natural::from(n.max(1));
        assert_eq!(by_plan(&Plan::new(n)), expected, "{n}!");
    }
}

#[test]
fn prime_powers_give_every_factorial_from_0_to_300() {
    let mut expected = Natural::from(1u32);
    for n in 0..=300u32 {
        expected *= Natural::from(n.max(1));
        assert_eq!(by_plan(&POWERS.plan(n)), expected, "{n}!");
    }
}

#[test]
fn primes_are_counted_by_the_bits_of_their_exponents() {
    for n in (0..=200).chain([1_000, 1_023, 1_024, 4_000]) {
        let exponents = primes(n).into_iter().map(|prime| exponent_left(n, prime));
        let exponents: Vec<u32> = exponents.collect();
        let bits = exponents.iter().copied().max().unwrap_or(0);
        let counts = (0..u32::BITS - bits.leading_zeros()).map(|bit| {
            exponents
                .iter()
                .filter(|&&exponent| (exponent >> bit) & 1 == 1)
                .count() as u32
        });
        assert!(counts.eq(powers::counts(n)), "{n}!");
    }
    // 78,498 primes are below a million; 664,579 below ten.
    let expected: u32 = powers::counts(1_000_000)[0];
    assert!((39_000..78_498).contains(&expected), "{expected}");
}

#[test]
fn ten_is_made_of_three_powers_when_it_is_asked_for() {
    let plan = POWERS.plan(10);
    // 36288 = 2^6 * 3^4 * 7.
    let name = |kind, level, index| OperationId {
        n: 10,
        kind,
        level,
        index,
    };
    let [p2, p1, p0] = [0, 1, 2].map(|index| name(Kind::Multiply, 0, index));
    assert_eq!(
        plan.operands(plan.last()),
        Operands::Step(vec![name(Kind::Step, 1, 0), p0])
    );
    assert_eq!(
        plan.operands(name(Kind::Step, 1, 0)),
        Operands::Step(vec![p2, p1])
    );
    assert_eq!(
        plan.operands(p1),
        Operands::Primes {
            bit: 1,
            leaves: 0..1
        }
    );
    assert_eq!((plan.zeros(), plan.total()), (2, 5));
}

#[test]
fn a_bit_that_no_exponent_has_is_a_square() {
    let plan = (2..400)
        .map(|n| POWERS.plan(n))
        .find(|plan| (0..plan.bits).any(|bit| plan.tree(bit).leaves() == 0));
    let plan = plan.expect("a factorial with such a bit");
    let bit = (0..plan.bits)
        .find(|&bit| plan.tree(bit).leaves() == 0)
        .expect("a bit");
    assert_eq!(plan.factors(bit), [plan.factor(bit + 1)]);
}

#[test]
fn ten_is_three_leaves_and_their_product() {
    let plan = Plan::new(10);
    let leaves: Vec<Operands> = (0..3)
        .map(|index| plan.operands(plan.leaf(index)))
        .collect();
    let expected = [7..=10, 3..=6, 1..=2].map(|leaf| Operands::Numbers(vec![leaf]));
    assert_eq!(leaves, expected);
    assert_eq!(
        plan.operands(plan.last()),
        Operands::Products((0..3).map(|index| plan.leaf(index)).collect())
    );
    assert_eq!((plan.zeros(), plan.total()), (0, 4));
}

#[test]
fn zero_is_one_operation_without_operands() {
    let plan = Plan::new(0);
    assert_eq!(plan.last(), plan.leaf(0));
    assert_eq!(
        plan.operands(plan.last()),
        Operands::Numbers(vec![RangeInclusive::new(1, 0)])
    );
    assert_eq!(plan.total(), 1);
}

#[test]
fn the_largest_plans_fit() {
    let plan = Plan::new(u32::MAX);
    assert_eq!(plan.span(plan.last()), 0..plan.leaves());
    assert_eq!(
        plan.operands(plan.leaf(plan.leaves() - 1)),
        Operands::Numbers(vec![1..=3])
    );
    let plan = POWERS.plan(100_000_000);
    assert_eq!(plan.span(plan.last()), 0..plan.leaves());
    let levels = [0, 16, 17, u8::MAX];
    let names = levels.map(|level| OperationId {
        level,
        index: u32::MAX,
        ..plan.leaf(0)
    });
    assert!(!names.into_iter().any(|id| plan.contains(id)));
    for plan in [plan, Plan::new(100)] {
        let names = [Kind::Step, Kind::Part].map(|kind| OperationId {
            kind,
            level: u8::MAX,
            ..plan.leaf(0)
        });
        assert!(!names.into_iter().any(|id| plan.contains(id)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn larger_plans_give_the_factorial(n in 3_000u32..60_000) {
        prop_assert_eq!(by_plan(&Plan::new(n)), Natural::factorial(u64::from(n)));
    }
}

proptest! {
    #[test]
    fn spans_and_counts_agree_in_plans_of_any_size(n in any::<u32>(), powers in any::<bool>(), at in any::<u32>()) {
        let plan = if powers { POWERS.plan(n % 200_000) } else { Plan::new(n) };
        let mut id = plan.leaf(at % plan.leaves());
        while id != plan.last() {
            prop_assert!(plan.contains(id));
            let parent = plan.needed_by(id)[0];
            let (inner, outer) = (plan.span(id), plan.span(parent));
            prop_assert!(outer.start <= inner.start && inner.end <= outer.end);
            prop_assert!(plan.height(parent) > plan.height(id) || parent.kind != id.kind);
            let operands = plan.operands(parent);
            prop_assert!(operands.products().contains(&id) && operands.products().len() <= 4);
            if parent.kind != Kind::Part {
                let below = plan.below(parent);
                prop_assert!(below.iter().any(|names| names.contains(&id)), "{:?} of {:?}", id, parent);
                prop_assert!(plan.covered(parent) > plan.covered(id));
            }
            if parent.kind == Kind::Multiply {
                let spans: Vec<_> = operands.products().iter().map(|&operand| plan.span(operand)).collect();
                prop_assert!(spans.windows(2).all(|pair| pair[0].end == pair[1].start));
                prop_assert_eq!(plan.span(parent), spans[0].start..spans[spans.len() - 1].end);
                let below: u64 = operands.products().iter().map(|&operand| plan.covered(operand)).sum();
                prop_assert_eq!(plan.covered(parent), below + 1);
            }
            id = parent;
        }
        prop_assert_eq!(plan.needed_by(id), []);
    }
}

#[test]
fn blocks_are_as_large_as_leaves_enough_of_them() {
    let shape = Shape {
        least_blocks: 4,
        ..Shape::SINGLE
    };
    let sizes = [60, 64, 252, 256, 1_020, 1_024, 4_092, 4_096, 1_000_000];
    let grains = sizes.map(|n| (n, shape.plan(n).grain()));
    let expected = [0, 1, 1, 2, 2, 3, 3, 4, 4];
    assert!(
        grains.iter().map(|&(_, grain)| grain).eq(expected),
        "{grains:?}"
    );
    assert_eq!(Shape::SINGLE.plan(1_000_000).grain(), 0);
    assert_eq!(Shape::default().plan(10).grain(), 0);
}

proptest! {
    #[test]
    fn blocks_hold_every_operation_once_and_have_what_they_need_below(n in 0u32..20_000, least_blocks in 1u32..40, powers in any::<bool>()) {
        let single = if powers { POWERS } else { Shape::SINGLE };
        let shape = Shape { least_blocks, ..single };
        let (plan, single) = (shape.plan(n), single.plan(n));
        let mut multiplications = 0;
        for level in 0..=16 {
            let mut next = OperationId { level, ..plan.leaf(0) };
            while single.contains(next) {
                prop_assert!(plan.contains(next));
                let operations: Vec<OperationId> = plan.operations(next).collect();
                prop_assert_eq!(operations[0], next);
                prop_assert!(operations.len() <= 256);
                multiplications += operations.len() as u64;
                prop_assert!(operations[1..].iter().all(|&other| !plan.contains(other)), "a name for each block alone");
                check_block(&plan, &single, next, &operations)?;
                next.index += operations.len() as u32;
            }
        }
        let chain = plan.below(plan.last()).into_iter().filter(|names| names.start.kind != Kind::Multiply);
        let chain: u32 = chain.map(|names| names.end.index - names.start.index).sum();
        prop_assert_eq!(multiplications + u64::from(chain), plan.total());
        let blocks: u64 = plan.leaf_blocks(0..plan.leaves()).map(|leaf| plan.covered(leaf)).sum();
        prop_assert_eq!(blocks, u64::from(plan.leaves()));
    }
}

/// Operations of a block need what each of them needs alone.
fn check_block(
    plan: &Plan,
    single: &Plan,
    block: OperationId,
    operations: &[OperationId],
) -> Result<(), TestCaseError> {
    let alone: Vec<Operands> = operations.iter().map(|&id| single.operands(id)).collect();
    match plan.operands(block) {
        Operands::Numbers(leaves) => {
            let alone = alone.into_iter().map(|operands| match operands {
                Operands::Numbers(leaf) => leaf[0].clone(),
                other => panic!("{other:?}"),
            });
            prop_assert!(alone.eq(leaves));
        }
        Operands::Primes { bit, leaves } => {
            let each = leaves.map(|leaf| Operands::Primes {
                bit,
                leaves: leaf..leaf + 1,
            });
            prop_assert!(each.eq(alone));
        }
        Operands::Block { below, groups } => {
            let mut operands = plan.operations(below);
            for (group, alone) in groups.into_iter().zip(alone) {
                let group: Vec<_> = operands.by_ref().take(usize::from(group)).collect();
                prop_assert_eq!(Operands::Products(group), alone);
            }
            prop_assert_eq!(operands.next(), None);
            prop_assert_eq!(plan.needed_by(below), [block]);
        }
        other => prop_assert_eq!(vec![other], alone),
    }
    Ok(())
}
