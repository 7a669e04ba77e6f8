//! Arbitrary parts of what a node may be told. Numbers are small, so that they meet, with a few far
//! out of range among them.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use protocol::event::ChildState;
use protocol::file::{FilePath, FileReply, Folder, Probe};
use protocol::id::{Epoch, Incarnation, NodeId, Term};
use protocol::message::{Inventory, Product, Update};
use protocol::plan::{Kind, OperationId};
use protocol::timer::Timer;

/// Largest N that the nodes accept; a little larger ones are asked for as well.
pub(crate) const MAX_N: u32 = 40;

pub(crate) fn node() -> impl Strategy<Value = NodeId> {
    prop_oneof![9 => 0..4_u8, 1 => any::<u8>()].prop_map(NodeId)
}

pub(crate) fn incarnation() -> impl Strategy<Value = Incarnation> {
    prop_oneof![9 => 0..4_u64, 1 => any::<u64>()].prop_map(Incarnation)
}

/// Terms count elections one by one, so those that are out of reach are left out.
pub(crate) fn term() -> impl Strategy<Value = Term> {
    prop_oneof![9 => 0..6_u64, 1 => 0..u64::MAX / 2].prop_map(Term)
}

pub(crate) fn epoch() -> impl Strategy<Value = Epoch> {
    (term(), node(), incarnation()).prop_map(|(term, node, incarnation)| Epoch {
        term,
        node,
        incarnation,
    })
}

pub(crate) fn operation() -> impl Strategy<Value = OperationId> {
    let n = prop_oneof![
        9 => select(vec![0, 1, 4, 5, 16, 17, MAX_N]),
        1 => prop_oneof![Just(MAX_N + 1), any::<u32>()],
    ];
    let kind = prop_oneof![6 => Just(Kind::Multiply), 1 => Just(Kind::Step), 1 => Just(Kind::Part)];
    let level = prop_oneof![9 => 0..3_u8, 1 => any::<u8>(), 1 => Just(u8::MAX)];
    let index = prop_oneof![9 => 0..4_u32, 1 => any::<u32>()];
    (n, kind, level, index).prop_map(|(n, kind, level, index)| OperationId {
        n,
        kind,
        // The index of a step is always 0.
        index: if kind == Kind::Step && index < 4 {
            0
        } else {
            index
        },
        level,
    })
}

pub(crate) fn operations() -> impl Strategy<Value = Vec<OperationId>> {
    vec(operation(), 0..6)
}

pub(crate) fn attempts() -> impl Strategy<Value = Vec<(OperationId, u32)>> {
    let count = prop_oneof![9 => 0..4_u32, 1 => any::<u32>()];
    vec((operation(), count), 0..3)
}

pub(crate) fn product() -> impl Strategy<Value = Product> {
    let value = prop_oneof![4 => Just(b"1".to_vec()), 1 => vec(any::<u8>(), 0..20)];
    (operation(), value).prop_map(|(operation, value)| Product {
        operation,
        value: value.into(),
    })
}

pub(crate) fn products() -> impl Strategy<Value = Vec<Product>> {
    vec(product(), 0..5)
}

pub(crate) fn inventory() -> impl Strategy<Value = Inventory> {
    (operations(), operations(), operations(), attempts()).prop_map(
        |(held, kept, queued, attempts)| Inventory {
            held,
            kept,
            queued,
            attempts,
        },
    )
}

pub(crate) fn update() -> impl Strategy<Value = Update> {
    let forgotten = vec(select(vec![0, 1, 4, 5, 16, u32::MAX]), 0..2);
    (forgotten, attempts(), products(), operations()).prop_map(
        |(forgotten, attempts, products, kept)| Update {
            forgotten,
            attempts,
            products,
            kept,
        },
    )
}

pub(crate) fn state() -> impl Strategy<Value = ChildState> {
    select(vec![
        ChildState::Running,
        ChildState::Stopped,
        ChildState::Gone,
    ])
}

pub(crate) fn timer() -> impl Strategy<Value = Timer> {
    prop_oneof![
        select(vec![
            Timer::Elect,
            Timer::Answers,
            Timer::Victory,
            Timer::Preempt,
            Timer::Heartbeat,
            Timer::CoordinatorSilence,
            Timer::Deliver,
            Timer::Rescan,
            Timer::Debounce,
            Timer::RetryFiles,
        ]),
        node().prop_map(Timer::Collect),
        node().prop_map(Timer::PeerSilence),
    ]
}

fn file_name() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "a.job",
        "a.2.job",
        "b.job",
        "a.txt",
        ".a.run.1.0.1.done.txt",
        ".a.run.3.1.100.done.txt",
        ".a.run.2.2.2.failed.txt",
        ".b.run.1.0.1.part",
        ".b.other.1.0.1.done.txt",
        "..done.txt",
        "a.tmp",
    ];
    let known = select(known.map(|name| name.as_bytes().to_vec()).to_vec());
    prop_oneof![9 => known, 1 => vec(1_u8.., 1..250)]
}

pub(crate) fn path() -> impl Strategy<Value = FilePath> {
    (folder(), file_name()).prop_map(|(folder, name)| FilePath::new(folder, name))
}

pub(crate) fn folder() -> impl Strategy<Value = Folder> {
    select(vec![
        Folder::Inbox,
        Folder::Running,
        Folder::Done,
        Folder::Failed,
    ])
}

pub(crate) fn reply() -> impl Strategy<Value = FileReply> {
    let known = [
        "4!\n",
        "5!\n16!\n4!\n",
        "41!\n",
        "x\n",
        "4!=24\n",
        "4!=24\n5!=120\n",
    ];
    let known = select(known.map(|text| text.as_bytes().to_vec()).to_vec());
    let content = prop_oneof![9 => known, 1 => vec(any::<u8>(), 0..100)];
    let probe = option::of(any::<bool>()).prop_map(|probe| match probe {
        Some(true) => Probe::Complete,
        Some(false) => Probe::Busy,
        None => Probe::Unknown { stamp: 1 },
    });
    prop_oneof![
        4 => Just(FileReply::Ok),
        1 => Just(FileReply::Absent),
        1 => Just(FileReply::Taken),
        3 => vec(file_name(), 0..6).prop_map(FileReply::Listed),
        2 => probe.prop_map(FileReply::Probed),
        2 => vec(path(), 0..2).prop_map(FileReply::Existing),
        4 => content.prop_map(|content| FileReply::Content(Bytes::from(content))),
        1 => Just(FileReply::NotAFile("a FIFO")),
        1 => Just(FileReply::Fenced),
        1 => Just(FileReply::Failed("input/output error".to_owned())),
        1 => Just(FileReply::Full("no space left".to_owned())),
        1 => Just(FileReply::Unusable),
    ]
}
