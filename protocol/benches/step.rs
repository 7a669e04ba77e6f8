//! What `Node::step` costs: a coordinator of five workers, and one of the workers, while a plan
//! goes through them, 64 messages' worth at a time: operations in blocks, as they are, and each
//! by itself. The values are short and no arithmetic is done, so what is measured is the protocol
//! alone.

#![allow(missing_docs, reason = "the macros of criterion make public items")]

#[path = "../tests/solo/mod.rs"]
#[allow(dead_code, reason = "this uses a part of it")]
mod solo;

use std::collections::VecDeque;
use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use protocol::config::Config;
use protocol::event::{Action, Event};
use protocol::id::{Epoch, NodeId};
use protocol::message::{Message, Product};
use protocol::plan::{Method, OperationId, Shape};

use solo::{Actions, FIRST, Solo, epoch};

const COORDINATOR: u8 = 5;
const WORKER: u8 = 2;
const N: u32 = 1_000_000;
/// Steps of one measurement; the first of them only fill the frontier.
const STEPS: usize = 40;
/// Bytes of an operation's value.
const VALUE: usize = 16;

const SHAPES: [(&str, Shape); 3] = [
    (
        "in blocks",
        Shape {
            least_blocks: 64,
            ..Shape::SINGLE
        },
    ),
    ("one by one", Shape::SINGLE),
    (
        "of prime powers in blocks",
        Shape {
            method: Method::Powers,
            least_blocks: 64,
            cut_from: 100_000,
        },
    ),
];

fn config(shape: Shape) -> Config {
    Config {
        window: 64,
        shape,
        ..Config::default()
    }
}

/// Number of operations that a name stands for.
fn size(shape: Shape, id: OperationId) -> usize {
    shape.plan(N).operations(id).count()
}

fn product(shape: Shape, operation: OperationId) -> Product {
    Product {
        operation,
        value: vec![7; VALUE * size(shape, operation)].into(),
    }
}

/// A coordinator that has assigned the first operations of a large factorial, and those, by worker.
fn coordinator(shape: Shape) -> (Solo, VecDeque<(u8, Vec<OperationId>)>) {
    let mut solo = Solo::coordinating(COORDINATOR, config(shape));
    let mut assigned = VecDeque::new();
    for actions in solo.find_job(&format!("{N}!\n")) {
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

/// A worker, and what it has computed.
type Answer = (u8, Vec<Product>);

/// Every worker answers with all that it was assigned, in turn.
fn answer_all(solo: &mut Solo, answers: Vec<Answer>) {
    for (worker, products) in answers {
        black_box(solo.receive(worker, Message::Products { products }));
    }
}

/// What the workers answer to the steps of a coordinator, which does the same each time; and what
/// one of them is sent in each step.
fn conversation(shape: Shape) -> (Vec<Answer>, Vec<Vec<Message>>) {
    let (mut solo, mut assigned) = coordinator(shape);
    let epoch = leader(&solo);
    let first = assigned.iter().filter(|(worker, _)| *worker == WORKER);
    let first = first.map(|(_, operations)| Message::Assign {
        epoch,
        operations: operations.clone(),
    });
    let mut sent = vec![first.collect()];
    let mut answers = Vec::new();
    for _ in 0..STEPS {
        let Some((worker, ids)) = assigned.pop_front() else {
            break;
        };
        let products: Vec<Product> = ids.into_iter().map(|id| product(shape, id)).collect();
        answers.push((worker, products.clone()));
        let actions = solo.receive(worker, Message::Products { products });
        collect(&actions, &mut assigned);
        sent.push(messages(&actions, epoch));
    }
    (answers, sent)
}

/// The epoch of a coordinator in the life in which its peers know it.
fn leader(solo: &Solo) -> Epoch {
    epoch(solo.node.highest().term.0, COORDINATOR)
}

/// What a step sends to the worker, in the name of that epoch.
fn messages(actions: &Actions, epoch: Epoch) -> Vec<Message> {
    let named = |message: &Message| match message.clone() {
        Message::Checkpoint { update, .. } => Message::Checkpoint { epoch, update },
        Message::Assign { operations, .. } => Message::Assign { epoch, operations },
        other => other,
    };
    actions.to(WORKER).into_iter().map(named).collect()
}

/// A worker follows the stream, and has computed at once what it is to compute.
fn follow(shape: Shape, solo: &mut Solo, steps: Vec<Vec<Message>>) {
    for message in steps.into_iter().flatten() {
        let actions = solo.step(Event::Received {
            from: NodeId(COORDINATOR),
            incarnation: FIRST,
            message,
        });
        let computed = actions.0.iter().filter_map(|action| match action {
            Action::Compute { operation, .. } => Some(product(shape, *operation)),
            _ => None,
        });
        let products: Vec<Product> = computed.collect();
        if !products.is_empty() {
            black_box(solo.step(Event::Computed { products }));
        }
    }
}

fn step(criterion: &mut Criterion) {
    for (name, shape) in SHAPES {
        let (answers, steps) = conversation(shape);
        let ids = answers.iter().flat_map(|(_, products)| products);
        let operations: usize = ids.map(|product| size(shape, product.operation)).sum();
        let (leading, _) = coordinator(shape);
        let epoch = leader(&leading);
        let mut group = criterion.benchmark_group(format!("Node::step, operations {name}"));
        group.throughput(Throughput::Elements(operations as u64));
        group.bench_function("a coordinator takes products", |bencher| {
            bencher.iter_batched(
                || (coordinator(shape).0, answers.clone()),
                |(mut solo, answers)| {
                    answer_all(&mut solo, answers);
                    solo
                },
                BatchSize::LargeInput,
            );
        });
        group.bench_function("a worker follows the stream", |bencher| {
            bencher.iter_batched(
                || (Solo::following(WORKER, config(shape), epoch), steps.clone()),
                |(mut solo, steps)| {
                    follow(shape, &mut solo, steps);
                    solo
                },
                BatchSize::LargeInput,
            );
        });
        group.finish();
    }
}

criterion_group!(benches, step);
criterion_main!(benches);
