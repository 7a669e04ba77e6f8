use malachite_base::num::arithmetic::traits::Factorial;
use malachite_nz::natural::Natural;
use proptest::prelude::*;

use super::*;

/// Computes a factorial by the plan, checking every operation on the way.
fn by_plan(n: u32) -> Natural {
    let plan = Plan::new(n);
    let mut leaves_seen = 0;
    let mut numbers = Vec::new();
    let product = evaluate(&plan, plan.root(), &mut leaves_seen, &mut numbers);
    assert_eq!(leaves_seen, plan.leaves());
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(1..=n), "every number once");
    product
}

fn evaluate(plan: &Plan, id: OperationId, leaves: &mut u32, seen: &mut Vec<u32>) -> Natural {
    assert!(plan.contains(id));
    let span_start = *leaves;
    let product = match plan.operands(id) {
        Operands::Numbers(numbers) => {
            let [numbers] = &numbers[..] else {
                panic!("{id:?} is no single leaf")
            };
            assert!(numbers.clone().count() <= 4);
            assert_eq!(id, plan.leaf(*leaves), "leaves come in order");
            *leaves += 1;
            seen.extend(numbers.clone());
            numbers.clone().map(Natural::from).product()
        }
        Operands::Block { .. } => panic!("{id:?} is in a block"),
        Operands::Products(operands) => {
            assert!(
                (2..=4).contains(&operands.len()),
                "{id:?} has {} operands",
                operands.len()
            );
            assert!(
                operands
                    .iter()
                    .all(|&operand| plan.parent(operand) == Some(id))
            );
            operands
                .into_iter()
                .map(|operand| evaluate(plan, operand, leaves, seen))
                .product()
        }
    };
    assert_eq!(plan.span(id), span_start..*leaves);
    product
}

#[test]
fn the_plan_gives_every_factorial_from_0_to_3000() {
    let mut expected = Natural::from(1u32);
    for n in 0..=3_000u32 {
        expected *= Natural::from(n.max(1));
        assert_eq!(by_plan(n), expected, "{n}!");
    }
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
        plan.operands(plan.root()),
        Operands::Products((0..3).map(|index| plan.leaf(index)).collect())
    );
    assert_eq!(
        plan.operands(plan.decimal()),
        Operands::Products(vec![plan.root()])
    );
    assert_eq!(plan.total(), 5);
}

#[test]
fn zero_is_one_operation_without_operands_and_its_digits() {
    let plan = Plan::new(0);
    assert_eq!(plan.root(), plan.leaf(0));
    assert_eq!(
        plan.operands(plan.root()),
        Operands::Numbers(vec![RangeInclusive::new(1, 0)])
    );
    assert_eq!(plan.total(), 2);
}

#[test]
fn the_largest_plan_fits() {
    let plan = Plan::new(u32::MAX);
    assert_eq!(plan.span(plan.root()), 0..plan.leaves());
    assert_eq!(
        plan.operands(plan.leaf(plan.leaves() - 1)),
        Operands::Numbers(vec![1..=3])
    );
    assert_eq!(plan.covered(plan.root()), plan.total() - 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn larger_plans_give_the_factorial(n in 3_000u32..60_000) {
        prop_assert_eq!(by_plan(n), Natural::factorial(u64::from(n)));
    }
}

proptest! {
    #[test]
    fn parents_and_spans_agree_in_plans_of_any_size(n in any::<u32>(), at in any::<u32>()) {
        let plan = Plan::new(n);
        let mut id = plan.leaf(at % plan.leaves());
        let mut covered = 1;
        while id != plan.root() {
            let parent = plan.parent(id).unwrap();
            let Operands::Products(operands) = plan.operands(parent) else { panic!("a parent of numbers") };
            prop_assert!(operands.contains(&id) && (2..=4).contains(&operands.len()));
            let spans: Vec<_> = operands.iter().map(|&operand| plan.span(operand)).collect();
            prop_assert!(spans.windows(2).all(|pair| pair[0].end == pair[1].start));
            prop_assert_eq!(plan.span(parent), spans[0].start..spans[spans.len() - 1].end);
            let below: u64 = operands.iter().map(|&operand| plan.covered(operand)).sum();
            prop_assert_eq!(plan.covered(parent), below + 1);
            prop_assert!(plan.covered(parent) > covered);
            covered = plan.covered(parent);
            id = parent;
        }
        prop_assert_eq!(covered, plan.total() - 1);
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
    fn blocks_hold_every_operation_once_and_have_what_they_need_below(n in 0u32..20_000, least_blocks in 1u32..40) {
        let shape = Shape { least_blocks, ..Shape::SINGLE };
        let (plan, single) = (shape.plan(n), Plan::new(n));
        let mut next = plan.leaf(0);
        let mut total = 1;
        // Each level from its first block to its last.
        loop {
            let width = single.below(single.root()).nth(usize::from(plan.root().level - next.level));
            let width = width.map_or(0, |names| names.end.index);
            while next.index < width {
                prop_assert!(plan.contains(next));
                let operations: Vec<OperationId> = plan.operations(next).collect();
                prop_assert_eq!(operations[0], next);
                prop_assert!(operations.len() <= 256);
                total += operations.len() as u64;
                for &other in &operations[1..] {
                    prop_assert!(!plan.contains(other), "a name for each block alone");
                    prop_assert_eq!(plan.block(other), plan.block(next));
                }
                let alone: Vec<Operands> = operations.iter().map(|&id| single.operands(id)).collect();
                match plan.operands(next) {
                    Operands::Numbers(leaves) => {
                        let alone = alone.into_iter().map(|operands| match operands {
                            Operands::Numbers(leaf) => leaf[0].clone(),
                            other => panic!("{other:?}"),
                        });
                        prop_assert!(alone.eq(leaves));
                    }
                    Operands::Products(_) => prop_assert_eq!(vec![plan.operands(next)], alone),
                    Operands::Block { below, groups } => {
                        let mut operands = plan.operations(below);
                        for (group, alone) in groups.into_iter().zip(alone) {
                            let group: Vec<_> = operands.by_ref().take(usize::from(group)).collect();
                            prop_assert_eq!(Operands::Products(group), alone);
                        }
                        prop_assert_eq!(operands.next(), None);
                        prop_assert_eq!(plan.parent(below), Some(next));
                    }
                }
                next.index += operations.len() as u32;
            }
            if next.level == plan.root().level {
                break;
            }
            next = OperationId { level: next.level + 1, index: 0, ..next };
        }
        prop_assert_eq!(total, plan.total());
        let blocks: u64 = plan.leaf_blocks(0..plan.leaves()).map(|leaf| plan.covered(leaf)).sum();
        prop_assert_eq!(blocks, u64::from(plan.leaves()));
    }
}
