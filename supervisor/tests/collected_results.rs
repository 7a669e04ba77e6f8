//! Results that somebody takes away were delivered: whatever happens later, they do not come back.

use std::fs;

use crate::harness::{Cluster, PATIENCE, eventually, kill_node};
use nix::sys::signal::Signal;

/// Names in a folder of the jobs directory.
fn names(cluster: &Cluster, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(cluster.home.jobs().join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn done(cluster: &Cluster) -> usize {
    cluster.events_named("job_done").len()
}

#[test]
fn what_was_collected_does_not_come_back_after_a_failover_nor_after_a_restart() {
    let mut cluster = Cluster::start(&[]);
    cluster.await_agreement();
    let jobs = cluster.home.jobs();
    for name in ["one", "two"] {
        cluster.drop_job(name, "10!\n");
        cluster.await_results(name, PATIENCE);
    }
    cluster.drop_job("bad", "abc\n");
    eventually(PATIENCE, "the rejection", || {
        jobs.join("failed/bad.txt").exists().then_some(())
    });
    eventually(PATIENCE, "the end of all", || {
        (done(&cluster) == 3).then_some(())
    });
    for text in ["done/one.txt", "done/two.txt", "failed/bad.txt"] {
        fs::remove_file(jobs.join(text)).unwrap();
    }

    let old = cluster.await_coordinator();
    kill_node(old);
    eventually(PATIENCE, "another coordinator", || {
        (cluster.await_coordinator() != old).then_some(())
    });
    // By the time that a later job is done, what was left has been found.
    cluster.drop_job("later", "11!\n");
    cluster.await_results("later", PATIENCE);
    assert_eq!(
        names(&cluster, "done"),
        ["later.job", "later.txt", "one.job", "two.job"]
    );
    assert_eq!(names(&cluster, "failed"), ["bad.job"]);
    let lines = cluster.stdout();
    assert_eq!(lines.matches("10!=3628800").count(), 2, "{lines}");

    cluster.signal(Signal::SIGTERM);
    cluster.await_exit(PATIENCE);
    cluster.start_again(&[]);
    cluster.await_agreement();
    cluster.drop_job("last", "12!\n");
    cluster.await_results("last", PATIENCE);
    assert_eq!(names(&cluster, "failed"), ["bad.job"]);
    assert!(!names(&cluster, "done").contains(&"one.txt".to_owned()));
}
