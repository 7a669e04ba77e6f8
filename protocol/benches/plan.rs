//! What the plan costs: it is computed at every operation, never stored.

#![allow(missing_docs, reason = "the macros of criterion make public items")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::plan::{OperationId, Plan, Shape};

const N: u32 = 1_000_000;

fn walk(plan: &Plan) -> Vec<OperationId> {
    let block = plan.block(plan.leaf(plan.leaves() / 3));
    let leaf = plan.leaf(block.start);
    std::iter::successors(Some(leaf), |&id| plan.parent(id)).collect()
}

fn plan(criterion: &mut Criterion) {
    let shape = Shape::default();
    let plan = shape.plan(N);
    let path = walk(&plan);
    let mut group = criterion.benchmark_group("plan of 1000000!");
    group.bench_function("new", |bencher| bencher.iter(|| shape.plan(black_box(N))));
    group.throughput(Throughput::Elements(path.len() as u64));
    group.bench_function("parents, leaf to root", |bencher| {
        bencher.iter(|| walk(black_box(&plan)));
    });
    group.bench_function("operands of each", |bencher| {
        bencher.iter(|| {
            for &id in black_box(&path) {
                black_box(plan.operands(id));
            }
        });
    });
    group.bench_function("span of each", |bencher| {
        bencher.iter(|| {
            for &id in black_box(&path) {
                black_box(plan.span(id));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, plan);
criterion_main!(benches);
