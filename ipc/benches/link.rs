//! What a long product costs from the mesh that sends it to those that have it: both ends in one
//! thread, so that the time is the processor's.

#![allow(missing_docs, reason = "the macros of criterion make public items")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ipc::unix::{MeshConfig, UnixMesh};
use protocol::event::Event;
use protocol::id::{Incarnation, NodeId};
use protocol::message::{Message, Product};
use protocol::plan::Plan;
use tokio::task::yield_now;

const PEERS: u8 = 5;

fn product(bytes: usize) -> Message {
    Message::Products {
        products: vec![Product {
            operation: Plan::new(1_000_000).leaf(0),
            value: vec![7; bytes].into(),
        }],
    }
}

/// Lets the meshes work until so many events were of that kind.
async fn wait_for(meshes: &mut [UnixMesh], mut count: usize, kind: fn(&Event) -> bool) {
    let mut events = Vec::new();
    while count > 0 {
        for mesh in &mut *meshes {
            mesh.try_recv_many(&mut events, 256);
            count -= events.drain(..).filter(kind).count();
        }
        yield_now().await;
    }
}

fn link(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the system has epoll");
    let _entered = runtime.enter();
    let run_dir = tempfile::tempdir().expect("there is a folder for temporary files");
    let mesh = |id| {
        let mut mesh = UnixMesh::bind(MeshConfig {
            run_dir: run_dir.path().to_owned(),
            nodes: PEERS + 1,
            id: NodeId(id),
            incarnation: Incarnation(1),
        })
        .expect("the path is short");
        mesh.dial_all();
        mesh
    };
    let mut meshes: Vec<UnixMesh> = (0..=PEERS).map(mesh).collect();
    let links = usize::from(PEERS) * meshes.len();
    runtime.block_on(wait_for(&mut meshes, links, |event| {
        matches!(event, Event::LinkUp { .. })
    }));
    let peers: Vec<NodeId> = (1..=PEERS).map(NodeId).collect();
    for (name, bytes) in [("256 KiB", 256 << 10), ("4 MiB", 4 << 20)] {
        let mut group = criterion.benchmark_group(format!("a product of {name}"));
        let message = product(bytes);
        for to in [&peers[..1], &peers[..]] {
            group.throughput(Throughput::Bytes((bytes * to.len()) as u64));
            group.bench_function(format!("to {} peers", to.len()), |bencher| {
                bencher.iter(|| {
                    meshes[0].send(to, &message);
                    runtime.block_on(wait_for(&mut meshes, to.len(), |event| {
                        matches!(event, Event::Received { .. })
                    }));
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, link);
criterion_main!(benches);
