//! What the plan costs: it is computed at every operation, never stored.

#![allow(missing_docs, reason = "the macros of criterion make public items")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::plan::{Method, OperationId, Plan, Shape};

const N: u32 = 1_000_000;

/// From the last operation down to a leaf of the largest tree.
fn path(plan: &Plan) -> Vec<OperationId> {
    let below = |&id: &OperationId| plan.operands(id).products().last().copied();
    std::iter::successors(Some(plan.last()), below).collect()
}

fn plan(criterion: &mut Criterion) {
    for method in [Method::Tree, Method::Powers] {
        let shape = Shape {
            method,
            ..Shape::default()
        };
        let plan = shape.plan(N);
        let path = path(&plan);
        let mut group = criterion.benchmark_group(format!("plan of 1000000!, {method}"));
        group.bench_function("new", |bencher| bencher.iter(|| shape.plan(black_box(N))));
        group.throughput(Throughput::Elements(path.len() as u64));
        let mut each = |what: &str, ask: fn(&Plan, OperationId)| {
            group.bench_function(format!("{what} of each, leaf to last"), |bencher| {
                bencher.iter(|| black_box(&path).iter().for_each(|&id| ask(&plan, id)));
            });
        };
        each("what needs it", |plan, id| {
            black_box(plan.needed_by(id));
        });
        each("operands", |plan, id| {
            black_box(plan.operands(id));
        });
        each("span", |plan, id| {
            black_box(plan.span(id));
        });
        group.finish();
    }
}

criterion_group!(benches, plan);
criterion_main!(benches);
