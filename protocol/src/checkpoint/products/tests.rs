use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::plan::Method;

/// Prime powers, with steps in parts.
const POWERS: Shape = Shape {
    method: Method::Powers,
    cut_from: 10,
    ..Shape::SINGLE
};

/// All operations of a small factorial.
fn operations(plan: &Plan) -> Vec<OperationId> {
    let all = plan.below(plan.last()).into_iter().flat_map(|names| {
        let first = names.start;
        (first.index..names.end.index).map(move |index| OperationId { index, ..first })
    });
    all.collect()
}

/// Finishes operations in an order that a cluster might, drawn by `draws`; calls `see` after each.
fn finish(plan: &Plan, draws: &[usize], mut see: impl FnMut(&BTreeSet<OperationId>, OperationId)) {
    let all = operations(plan);
    let mut done = BTreeSet::new();
    for draw in draws {
        let ready = all.iter().filter(|&&id| {
            let operands = plan.operands(id);
            !done.contains(&id) && operands.products().iter().all(|id| done.contains(id))
        });
        let ready: Vec<OperationId> = ready.copied().collect();
        let Some(&id) = ready.get(draw % ready.len().max(1)) else {
            return;
        };
        done.insert(id);
        see(&done, id);
    }
}

proptest! {
    #[test]
    fn what_is_done_stays_done_and_what_is_needed_stays(n in 1u32..60, powers in any::<bool>(), draws in proptest::collection::vec(any::<usize>(), 60)) {
        let shape = if powers { POWERS } else { Shape::SINGLE };
        let plan = shape.plan(n);
        let all = operations(&plan);
        let mut products = Products::new(shape);
        finish(&plan, &draws, |done, id| {
            let value = Bytes::from(vec![1; id.index as usize % 7 + 1]);
            assert_eq!(products.insert(id, value.clone()), Insertion::New, "{id:?}");
            assert_eq!(products.done(n), done.len() as u64);
            let held = products.iter().map(|(_, value)| value.len() as u64);
            assert_eq!(products.weight(), held.sum::<u64>(), "after {id:?}");
            for &other in &all {
                assert_eq!(products.covers(other), done.contains(&other), "{other:?} after {id:?}");
                assert_eq!(products.evidence(other).is_some(), done.contains(&other));
                let operands = plan.operands(other);
                if !done.contains(&other) {
                    for operand in operands.products().iter().filter(|id| done.contains(id)) {
                        assert!(products.get(*operand).is_some(), "{other:?} needs {operand:?}");
                    }
                }
            }
            assert_ne!(products.insert(id, value), Insertion::New);
        });
        if products.has_factorial(n) {
            prop_assert!(products.ids().eq([plan.last()]), "nothing but the factorial is kept");
        }
        products.forget(n);
        assert_eq!(products.weight(), 0);
    }

    #[test]
    fn a_union_has_done_what_either_has(
        n in 1u32..60,
        draws in [proptest::collection::vec(any::<usize>(), 0..60), proptest::collection::vec(any::<usize>(), 0..60)],
    ) {
        let plan = POWERS.plan(n);
        let value = |id: OperationId| Bytes::from(vec![1; id.index as usize % 7 + 1]);
        let [mut left, mut right] = [Products::new(POWERS), Products::new(POWERS)];
        finish(&plan, &draws[0], |_, id| {
            left.insert(id, value(id));
        });
        finish(&plan, &draws[1], |_, id| {
            right.insert(id, value(id));
        });
        let mut union = left.clone();
        for id in right.ids() {
            union.insert(id, value(id));
        }
        for id in operations(&plan) {
            if left.covers(id) || right.covers(id) {
                prop_assert!(union.covers(id), "{id:?}");
            }
        }
    }
}
