//! Whole jobs on a cluster in virtual time: right values, published once, whoever dies when.

use std::time::Duration;

use crate::cluster::{Cluster, config, factorial};
use protocol::config::Config;
use protocol::file::{FilePath, Folder};
use protocol::id::NodeId;
use protocol::plan::{Method, Shape};
use protocol::trace::Trace;

const LIMIT: Duration = Duration::from_secs(60);

fn done(name: &'static str) -> impl Fn(&Cluster) -> bool {
    move |cluster| {
        cluster.file(Folder::Done, name).is_some() || cluster.file(Folder::Failed, name).is_some()
    }
}

#[test]
fn a_dropped_job_is_computed_and_published() {
    let mut cluster = Cluster::new(config(6));
    cluster.drop_job("ten.job", "10!\n");
    cluster.run_until(LIMIT, "ten", done("ten.txt"));
    assert_eq!(
        cluster.file(Folder::Done, "ten.txt").unwrap(),
        "10!=3628800\n"
    );
    assert_eq!(cluster.file(Folder::Done, "ten.job").unwrap(), "10!\n");
    assert_eq!(cluster.lines, ["10!=3628800"]);
    cluster.run_for(Duration::from_secs(5));
    assert_eq!(cluster.files.len(), 2, "{:?}", cluster.files.keys());
    let assigned = cluster.count(|trace| matches!(trace, Trace::Assigned { .. }));
    assert_eq!(assigned, 4, "three leaves, and their product");
    for (id, node) in &cluster.nodes {
        assert_eq!(node.held().count(), 0, "node {id} still holds products");
    }
}

#[test]
fn lines_keep_their_order_and_may_repeat() {
    let mut cluster = Cluster::new(config(4));
    cluster.drop_job("mixed.job", "# three\n5!\n\n 0 \r\n5\n1!");
    cluster.run_until(LIMIT, "mixed", done("mixed.txt"));
    assert_eq!(
        cluster.file(Folder::Done, "mixed.txt").unwrap(),
        "5!=120\n0!=1\n5!=120\n1!=1\n"
    );
}

#[test]
fn a_bad_job_is_rejected_with_every_reason() {
    let mut cluster = Cluster::new(config(3));
    cluster.drop_job("bad.job", "5!\nabc\n-1\n");
    cluster.run_until(LIMIT, "bad", done("bad.txt"));
    let reasons = cluster.file(Folder::Failed, "bad.txt").unwrap();
    assert!(
        reasons.contains("line 2: \"abc\": expected N or N!"),
        "{reasons}"
    );
    assert!(reasons.contains("line 3: \"-1\""), "{reasons}");
    assert!(cluster.file(Folder::Failed, "bad.job").is_some());
}

#[test]
fn a_name_that_is_taken_gets_a_suffix() {
    let mut cluster = Cluster::new(config(3));
    for (n, text) in [(1, "ten.txt"), (2, "ten.2.txt"), (3, "ten.3.txt")] {
        cluster.drop_job("ten.job", &format!("{n}!\n"));
        cluster.run_until(LIMIT, text, |cluster| {
            cluster.file(Folder::Done, text).is_some()
        });
    }
    assert_eq!(cluster.file(Folder::Done, "ten.3.txt").unwrap(), "3!=6\n");
    // The first few are tried in their order, so one that is free again is used again.
    for name in ["ten.2.job", "ten.2.txt"] {
        cluster.files.remove(&FilePath::new(Folder::Done, name));
    }
    cluster.drop_job("ten.job", "4!\n");
    cluster.run_until(LIMIT, "ten.2.txt again", |cluster| {
        cluster.file(Folder::Done, "ten.2.txt").is_some()
    });
    assert_eq!(cluster.file(Folder::Done, "ten.2.txt").unwrap(), "4!=24\n");
}

#[test]
fn many_jobs_at_once_all_end() {
    let mut cluster = Cluster::new(config(5));
    for index in 0..600 {
        cluster.drop_job(&format!("job-{index}.job"), &format!("{}\n", index % 40));
    }
    cluster.run_until(LIMIT, "600 jobs", |cluster| {
        cluster
            .files
            .keys()
            .filter(|path| path.folder == Folder::Done && path.name.ends_with(b".txt"))
            .count()
            == 600
    });
    assert_eq!(
        cluster.file(Folder::Done, "job-599.txt").unwrap(),
        format!("39!={}\n", factorial(39))
    );
}

#[test]
fn with_one_worker_all_operations_pass_through_it_one_by_one() {
    let mut with_delay = config(2);
    with_delay.delay = Duration::from_millis(200);
    let mut cluster = Cluster::new(with_delay);
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator().is_some()
    });
    let begun = cluster.now;
    cluster.drop_job("ten.job", "10!\n");
    cluster.run_until(LIMIT, "ten", done("ten.txt"));
    assert!(
        cluster.now.since(begun) >= Duration::from_millis(800),
        "four operations"
    );
    assert!(cluster.now.since(begun) < Duration::from_millis(900));
}

#[test]
fn with_enough_workers_a_delay_counts_once_a_level() {
    let mut with_delay = config(6);
    with_delay.delay = Duration::from_millis(200);
    let mut cluster = Cluster::new(with_delay);
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator().is_some()
    });
    let begun = cluster.now;
    cluster.drop_job("ten.job", "10!\n");
    cluster.run_until(LIMIT, "ten", done("ten.txt"));
    assert!(
        cluster.now.since(begun) >= Duration::from_millis(400),
        "leaves, root"
    );
    assert!(cluster.now.since(begun) < Duration::from_millis(500));
}

#[test]
fn nobody_computes_while_there_is_no_worker() {
    let mut cluster = Cluster::new(config(3));
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator().is_some()
    });
    cluster.kill(NodeId(0));
    cluster.kill(NodeId(1));
    cluster.drop_job("zero.job", "0!\n");
    cluster.run_for(Duration::from_secs(10));
    assert_eq!(
        cluster.count(|trace| matches!(trace, Trace::Computing { .. })),
        0
    );
    assert_eq!(cluster.coordinator(), Some(NodeId(2)), "it waits");
    cluster.start(NodeId(0));
    cluster.run_until(LIMIT, "zero", done("zero.txt"));
    assert_eq!(cluster.file(Folder::Done, "zero.txt").unwrap(), "0!=1\n");
}

/// Clusters of four by each plan: the tree, and prime powers with parts of each step.
fn by_either_plan() -> [Config; 2] {
    let shape = Shape {
        method: Method::Powers,
        least_blocks: 2,
        cut_from: 0,
    };
    let powers = Config { shape, ..config(4) };
    [config(4), powers]
}

#[test]
fn prime_powers_give_the_same_results() {
    for n in [0, 1, 2, 6, 25, 300] {
        let [_, powers] = by_either_plan();
        let mut cluster = Cluster::new(powers);
        cluster.drop_job("job.job", &format!("{n}!\n"));
        cluster.run_until(LIMIT, "the job", done("job.txt"));
        let text = format!("{n}!={}\n", factorial(n));
        assert_eq!(cluster.file(Folder::Done, "job.txt").unwrap(), text);
    }
}

/// The coordinator dies after every possible number of steps of a job, and comes back or not.
#[test]
fn the_coordinator_may_die_at_any_step() {
    let ways = by_either_plan().into_iter();
    for (config, restart) in ways.flat_map(|config| [(config.clone(), false), (config, true)]) {
        let mut kill_after = 0;
        loop {
            let mut cluster = Cluster::new(config.clone());
            cluster.run_until(LIMIT, "a coordinator", |cluster| {
                cluster.coordinator() == Some(NodeId(3))
            });
            cluster.drop_job("job.job", "100!\n7\n");
            let begun = cluster.steps;
            while cluster.steps < begun + kill_after && !done("job.txt")(&cluster) {
                cluster.step();
            }
            let ended = done("job.txt")(&cluster);
            cluster.kill(NodeId(3));
            if restart {
                cluster.start(NodeId(3));
            }
            let wanted = if restart { NodeId(3) } else { NodeId(2) };
            cluster.run_until(LIMIT, "another coordinator", |cluster| {
                cluster.coordinator() == Some(wanted)
            });
            cluster.run_until(LIMIT, "the job", done("job.txt"));
            let text = format!("100!={}\n7!=5040\n", factorial(100));
            assert_eq!(
                cluster.file(Folder::Done, "job.txt").unwrap(),
                text,
                "killed after {kill_after} steps"
            );
            let published = cluster.count(|trace| matches!(trace, Trace::ResultPublished { .. }));
            assert!(
                published <= 1,
                "published {published} times, killed after {kill_after} steps"
            );
            assert_eq!(
                cluster.computed_twice(),
                [],
                "killed after {kill_after} steps, restart {restart}"
            );
            cluster.run_for(Duration::from_secs(5));
            assert_eq!(
                cluster.files.len(),
                2,
                "killed after {kill_after} steps: {:?}",
                cluster.files.keys()
            );
            if ended {
                break;
            }
            kill_after += 1;
        }
        assert!(kill_after > 100, "the job must take some steps");
    }
}

/// Any worker dies after every possible number of steps of a job.
#[test]
fn a_worker_may_die_at_any_step() {
    for config in by_either_plan() {
        let mut kill_after = 0;
        while !worker_dies(config.clone(), kill_after) {
            kill_after += 1;
        }
    }
}

/// Whether the job had ended by then.
fn worker_dies(config: Config, kill_after: usize) -> bool {
    let mut cluster = Cluster::new(config);
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator() == Some(NodeId(3))
    });
    cluster.drop_job("job.job", "100!\n");
    let begun = cluster.steps;
    while cluster.steps < begun + kill_after && !done("job.txt")(&cluster) {
        cluster.step();
    }
    let ended = done("job.txt")(&cluster);
    cluster.kill(NodeId((kill_after % 3) as u8));
    cluster.run_until(LIMIT, "the job", done("job.txt"));
    assert_eq!(
        cluster.file(Folder::Done, "job.txt").unwrap(),
        format!("100!={}\n", factorial(100))
    );
    let reassigned = cluster.count(|trace| matches!(trace, Trace::OperationReassigned { .. }));
    assert!(
        cluster.computed_twice().len() <= reassigned,
        "each repetition has a cause on record"
    );
    ended
}
