//! What each operation computes.

use bytes::Bytes;
use protocol::event::Task;
use protocol::packed::{pack, unpack};

use super::number::{Number, Primes, join, part, product, product_of_range, step};

/// Computes an operation, or a block of them. Invalid operands give an empty value.
pub(super) fn compute(task: Task, primes: &mut Primes) -> Bytes {
    computed(task, primes).unwrap_or_default()
}

fn computed(task: Task, primes: &mut Primes) -> Option<Bytes> {
    Some(match task {
        Task::Numbers(leaves) => block(leaves.into_iter().map(product_of_range)),
        Task::Primes { n, bit, leaves } => {
            let leaves = primes.up_to(n).leaves(bit.into(), leaves);
            block(leaves.collect::<Vec<_>>().into_iter())
        }
        Task::Products(values) => product(&numbers(&values)?).into_bytes(),
        Task::Block { below, groups } => {
            let below: Option<Vec<Number>> = unpack(&below).map(Number::from_bytes).collect();
            let mut rest = &below?[..];
            let products = groups.iter().map(|&group| {
                let values = rest.split_off(..usize::from(group))?;
                Some(product(values))
            });
            let products: Option<Vec<Number>> = products.collect();
            block(products?.into_iter())
        }
        Task::Step(values) => {
            let values = numbers(&values)?;
            step(values.first()?, values.get(1)).into_bytes()
        }
        Task::Part {
            step: values,
            index,
        } => {
            let values = numbers(&values)?;
            part(values.first()?, values.get(1), index)
        }
        Task::Join(parts) => join(&parts).into_bytes(),
    })
}

fn numbers(values: &[Bytes]) -> Option<Vec<Number>> {
    values
        .iter()
        .map(|value| Number::from_bytes(value))
        .collect()
}

/// The product of a single operation as it is, those of a block packed.
fn block(mut products: impl ExactSizeIterator<Item = Number>) -> Bytes {
    if products.len() == 1 {
        products.next().map(Number::into_bytes).unwrap_or_default()
    } else {
        pack(products.map(Number::into_bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ops::RangeInclusive;

    use malachite_base::num::arithmetic::traits::Factorial;
    use malachite_nz::natural::Natural;
    use protocol::decimal::Decimal;
    use protocol::plan::{Method, Operands, OperationId, Plan, Shape};

    use super::*;

    fn text(value: Bytes, zeros: u64) -> String {
        let digits = Decimal::new(value, zeros).pieces().flatten().collect();
        String::from_utf8(digits).unwrap()
    }

    fn alone(task: Task) -> Bytes {
        compute(task, &mut Primes::default())
    }

    fn leaf(numbers: RangeInclusive<u32>) -> Bytes {
        alone(Task::Numbers(vec![numbers]))
    }

    #[test]
    fn multiplies_numbers_up_to_the_largest_four() {
        assert_eq!(text(leaf(7..=10), 0), "5040");
        let top = u128::from(u32::MAX);
        let largest = (top * (top - 1) * (top - 2) * (top - 3)).to_string();
        assert_eq!(text(leaf(u32::MAX - 3..=u32::MAX), 0), largest);
        assert_eq!(
            text(leaf(RangeInclusive::new(1, 0)), 0),
            "1",
            "no number at all"
        );
    }

    #[test]
    fn a_block_gives_what_its_operations_give_one_by_one() {
        let leaves = vec![7..=10, 3..=6, 1..=2];
        let block = alone(Task::Numbers(leaves.clone()));
        let single: Vec<Bytes> = leaves.into_iter().map(leaf).collect();
        assert!(unpack(&block).eq(single.iter().map(|value| &value[..])));
        let groups = vec![2, 1];
        let block = alone(Task::Block {
            below: block,
            groups,
        });
        let expected = [single[..2].to_vec(), single[2..].to_vec()].map(Task::Products);
        assert!(unpack(&block).eq(expected.map(alone).iter().map(|value| &value[..])));
        let groups = vec![2];
        let root = alone(Task::Block {
            below: block,
            groups,
        });
        assert_eq!(text(root, 0), "3628800");
    }

    #[test]
    fn what_is_no_number_gives_nothing() {
        let bad = Bytes::from_static(b"odd");
        let tasks = [
            Task::Products(vec![bad.clone()]),
            Task::Block {
                below: bad.clone(),
                groups: vec![4, 4],
            },
            Task::Step(vec![bad.clone()]),
            Task::Step(Vec::new()),
            Task::Part {
                step: vec![bad.clone()],
                index: 9,
            },
        ];
        assert!(tasks.into_iter().all(|task| alone(task).is_empty()));
        alone(Task::Join(vec![bad]));
    }

    /// n! by all operations of a plan, one after another.
    fn by_plan(plan: &Plan, primes: &mut Primes) -> String {
        let mut values = BTreeMap::new();
        let last = value(plan, plan.last(), primes, &mut values);
        text(last, plan.zeros())
    }

    fn value(
        plan: &Plan,
        id: OperationId,
        primes: &mut Primes,
        known: &mut BTreeMap<OperationId, Bytes>,
    ) -> Bytes {
        if let Some(value) = known.get(&id) {
            return value.clone();
        }
        let mut of = |ids: &[OperationId]| -> Vec<Bytes> {
            ids.iter()
                .map(|&id| value(plan, id, primes, known))
                .collect()
        };
        let operands = plan.operands(id);
        let values = of(operands.products());
        let task = match operands {
            Operands::Numbers(numbers) => Task::Numbers(numbers),
            Operands::Primes { bit, leaves } => Task::Primes {
                n: id.n,
                bit,
                leaves,
            },
            Operands::Products(_) => Task::Products(values),
            Operands::Block { groups, .. } => Task::Block {
                below: values[0].clone(),
                groups,
            },
            Operands::Step(_) => Task::Step(values),
            Operands::Part { index, .. } => Task::Part {
                step: values,
                index,
            },
            Operands::Parts(_) => Task::Join(values),
        };
        let value = compute(task, primes);
        known.insert(id, value.clone());
        value
    }

    #[test]
    fn both_plans_give_every_factorial_from_0_to_3000_and_some_larger_ones() {
        let powers = Shape {
            method: Method::Powers,
            cut_from: 500,
            ..Shape::default()
        };
        let mut primes = Primes::default();
        let larger = [4_321, 20_000, 54_321];
        let mut expected = Natural::from(1u32);
        for n in (0..=3_000).chain(larger) {
            expected = match n {
                0..=3_000 => expected * Natural::from(n.max(1)),
                _ => Natural::factorial(u64::from(n)),
            };
            let expected = expected.to_string();
            assert!(
                by_plan(&powers.plan(n), &mut primes) == expected,
                "{n}! by prime powers"
            );
            assert!(
                by_plan(&Plan::new(n), &mut primes) == expected,
                "{n}! by the tree"
            );
        }
    }
}
