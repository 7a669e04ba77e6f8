//! What encoding and decoding cost: many short products in a frame, many
//! blocks in one, one long product, a heartbeat.

#![allow(missing_docs, reason = "the macros of criterion make public items")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipc::codec::{Decoder, Encoder, Incoming};
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::{Message, Product, Update};
use protocol::plan::Plan;

const EPOCH: Epoch = Epoch {
    term: Term(3),
    node: NodeId(5),
    incarnation: Incarnation(11),
};

/// A step of the checkpoint stream: so many products of so many bytes.
fn checkpoint(count: u32, bytes: usize) -> Message {
    let plan = Plan::new(1_000_000);
    let products = (0..count).map(|index| Product {
        operation: plan.leaf(200_000 + index),
        value: vec![7; bytes].into(),
    });
    Message::Checkpoint {
        epoch: EPOCH,
        update: Update {
            products: products.collect(),
            ..Update::default()
        },
    }
}

fn codec(criterion: &mut Criterion) {
    let cases = [
        ("64 products of 16 bytes", checkpoint(64, 16), 64),
        ("64 blocks of 1,152 bytes", checkpoint(64, 1_152), 64),
        ("a product of 4 MiB", checkpoint(1, 4 << 20), 1),
        ("a heartbeat", Message::Heartbeat { epoch: EPOCH }, 1),
    ];
    for (name, message, elements) in cases {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(elements));
        let mut encoder = Encoder::new();
        group.bench_function("encode", |bencher| {
            bencher.iter(|| encoder.message(black_box(&message)));
        });
        let mut frames = Vec::new();
        let encoded = encoder.message(&message).expect("it is short enough");
        encoded.write_to(&mut frames);
        let mut decoder = Decoder::default();
        group.bench_function("decode", |bencher| {
            bencher.iter(|| decode(&mut decoder, black_box(&frames)));
        });
        group.finish();
    }
}

fn decode(decoder: &mut Decoder, frames: &[u8]) -> Message {
    decoder.push(frames);
    loop {
        match decoder.decode().expect("the frames are whole") {
            Some(Incoming::Message(message)) => return message,
            Some(_) => {}
            None => unreachable!("the last frame ends the message"),
        }
    }
}

criterion_group!(benches, codec);
criterion_main!(benches);
