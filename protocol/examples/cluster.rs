//! Three nodes in memory elect a coordinator, compute 20!, and lose the coordinator half-way.
//!
//! ```text
//! cargo run -p protocol --example cluster
//! ```
//!
//! The story is what the nodes trace, with the virtual time of each line; no clock is read. Links, the jobs
//! directory and the arithmetic are those of the tests: `protocol/tests/cluster/` shows what drives a node.

#![allow(
    clippy::disallowed_macros,
    reason = "the protocol prints nothing; a story is there to be read"
)]

#[path = "../tests/cluster/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the tests use more of it")]
mod cluster;

use protocol::file::Folder;
use protocol::trace::Trace;

use crate::cluster::{Cluster, config};

fn main() {
    let mut cluster = Cluster::new(config(3));
    tell_until(&mut cluster, |cluster| cluster.coordinator().is_some());

    say(&cluster, "somebody drops twenty.job");
    cluster.drop_job("twenty.job", "20!\n");
    tell_until(&mut cluster, |cluster| checkpointed(cluster) == 3);

    let coordinator = cluster.coordinator().expect("nothing has happened to it");
    say(&cluster, &format!("somebody kills node {coordinator}"));
    cluster.kill(coordinator);
    let text = |cluster: &Cluster| cluster.file(Folder::Done, "twenty.txt");
    tell_until(&mut cluster, |cluster| text(cluster).is_some());

    let twice = cluster.computed_twice().len();
    let result = text(&cluster).unwrap_or_default();
    println!("\noperations computed twice: {twice}\ndone/twenty.txt: {result}");
}

fn checkpointed(cluster: &Cluster) -> usize {
    cluster.count(|trace| matches!(trace, Trace::Checkpointed { .. }))
}

/// Lets one thing after the other happen, and tells what the nodes trace meanwhile.
fn tell_until(cluster: &mut Cluster, done: impl Fn(&Cluster) -> bool) {
    while !done(cluster) {
        let told = cluster.traces.len();
        cluster.step();
        for (node, trace) in &cluster.traces[told..] {
            say(cluster, &format!("node {node}: {trace:?}"));
        }
    }
}

fn say(cluster: &Cluster, what: &str) {
    println!("{:>6} µs  {what}", cluster.now.0 / 1_000);
}
