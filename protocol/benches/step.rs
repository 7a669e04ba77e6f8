//! What `Node::step` costs: a coordinator of five workers, and one of the workers, while a product
//! tree goes through them 64 operations at a time. The values are short and no arithmetic is done,
//! so what is measured is the protocol alone.

#![allow(missing_docs, reason = "the macros of criterion make public items")]

#[path = "../tests/solo/mod.rs"]
mod solo;

use std::collections::VecDeque;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use protocol::config::Config;
use protocol::event::{Action, Event};
use protocol::id::{Epoch, NodeId};
use protocol::message::{Message, Product, Update};
use protocol::plan::OperationId;

use solo::{Actions, FIRST, Solo, epoch};

const COORDINATOR: u8 = 5;
const WORKER: u8 = 2;
/// Operations of a step: a worker's window.
const BATCH: usize = 64;
/// Steps of one measurement; the first of them only fill the frontier.
const STEPS: usize = 200;

fn config() -> Config {
    Config {
        window: BATCH,
        ..Config::default()
    }
}

fn product(operation: OperationId) -> Product {
    Product {
        operation,
        value: vec![7; 16].into(),
    }
}

/// A coordinator that has assigned the first operations of a large factorial, and those, by worker.
fn coordinator() -> (Solo, VecDeque<(u8, Vec<OperationId>)>) {
    let mut solo = Solo::coordinating(COORDINATOR, config());
    let mut assigned = VecDeque::new();
    for actions in solo.find_job("1000000!\n") {
        collect(&actions, &mut assigned);
    }
    assert!(!assigned.is_empty(), "the job is being worked on");
    (solo, assigned)
}

fn collect(actions: &Actions, assigned: &mut VecDeque<(u8, Vec<OperationId>)>) {
    for action in &actions.0 {
        if let Action::Send {
            to,
            message: Message::Assign { operations, .. },
        } = action
        {
            assigned.extend(to.iter().map(|worker| (worker.0, operations.clone())));
        }
    }
}

/// Every worker answers with all that it was assigned, in turn.
fn answer_all(solo: &mut Solo, assigned: &mut VecDeque<(u8, Vec<OperationId>)>) -> usize {
    let mut operations = 0;
    for _ in 0..STEPS {
        let Some((worker, ids)) = assigned.pop_front() else {
            break;
        };
        operations += ids.len();
        let products = ids.into_iter().map(product).collect();
        let actions = solo.receive(worker, Message::Products { products });
        collect(&actions, assigned);
    }
    operations
}

fn coordinator_takes_products(criterion: &mut Criterion) {
    let (mut solo, mut assigned) = coordinator();
    let operations = answer_all(&mut solo, &mut assigned);
    let mut group = criterion.benchmark_group("Node::step");
    group.throughput(Throughput::Elements(operations as u64));
    group.bench_function("a coordinator takes products, an operation", |bencher| {
        bencher.iter_batched_ref(
            coordinator,
            |(solo, assigned)| answer_all(solo, assigned),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// The checkpoint stream of the steps of a coordinator, and who was assigned what in each.
fn stream() -> (Epoch, Vec<Vec<Message>>) {
    let (mut solo, mut assigned) = coordinator();
    let epoch = epoch(solo.node.highest().term.0, COORDINATOR);
    let rename = |message: &Message| match message.clone() {
        Message::Checkpoint { update, .. } => Message::Checkpoint { epoch, update },
        Message::Assign { operations, .. } => Message::Assign { epoch, operations },
        other => other,
    };
    let first = assigned.iter().filter(|(worker, _)| *worker == WORKER);
    let first = first.map(|(_, operations)| Message::Assign {
        epoch,
        operations: operations.clone(),
    });
    let mut steps = vec![first.collect()];
    for _ in 0..STEPS {
        let Some((worker, ids)) = assigned.pop_front() else {
            break;
        };
        let products = ids.into_iter().map(product).collect();
        let actions = solo.receive(worker, Message::Products { products });
        collect(&actions, &mut assigned);
        steps.push(actions.to(WORKER).into_iter().map(rename).collect());
    }
    (epoch, steps)
}

fn operations(messages: &[Vec<Message>]) -> usize {
    let streamed = |message: &Message| match message {
        Message::Checkpoint {
            update: Update { products, .. },
            ..
        } => products.len(),
        _ => 0,
    };
    messages.iter().flatten().map(streamed).sum()
}

/// A worker follows the stream, and has computed at once what it is to compute.
fn follow(solo: &mut Solo, steps: Vec<Vec<Message>>) {
    for message in steps.into_iter().flatten() {
        let actions = solo.step(Event::Received {
            from: NodeId(COORDINATOR),
            incarnation: FIRST,
            message,
        });
        let computed = actions.0.iter().filter_map(|action| match action {
            Action::Compute { operation, .. } => Some(product(*operation)),
            _ => None,
        });
        let products: Vec<Product> = computed.collect();
        if !products.is_empty() {
            black_box(solo.step(Event::Computed { products }));
        }
    }
}

fn worker_follows_the_stream(criterion: &mut Criterion) {
    let (epoch, steps) = stream();
    let mut group = criterion.benchmark_group("Node::step");
    group.throughput(Throughput::Elements(operations(&steps) as u64));
    group.bench_function("a worker follows the stream, an operation", |bencher| {
        bencher.iter_batched(
            || (Solo::following(WORKER, config(), epoch), steps.clone()),
            |(mut solo, steps)| {
                follow(&mut solo, steps);
                solo
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(
    benches,
    coordinator_takes_products,
    worker_follows_the_stream
);
criterion_main!(benches);
