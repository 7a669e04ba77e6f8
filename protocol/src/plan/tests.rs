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
            assert!(numbers.len() <= 4);
            assert_eq!(id, plan.leaf(*leaves), "leaves come in order");
            *leaves += 1;
            seen.extend(&numbers);
            numbers.into_iter().map(Natural::from).product()
        }
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
    let expected = [vec![10, 9, 8, 7], vec![6, 5, 4, 3], vec![2, 1]].map(Operands::Numbers);
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
    assert_eq!(plan.operands(plan.root()), Operands::Numbers(vec![]));
    assert_eq!(plan.total(), 2);
}

#[test]
fn the_largest_plan_fits() {
    let plan = Plan::new(u32::MAX);
    assert_eq!(plan.span(plan.root()), 0..plan.leaves());
    assert_eq!(
        plan.operands(plan.leaf(plan.leaves() - 1)),
        Operands::Numbers(vec![3, 2, 1])
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
