//! A job that kills every node: it fails with its reason, and the next one runs. What a person kills
//! is nobody's fault.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::harness::memory::MemoryGroup;
use crate::harness::{Cluster, Home, PATIENCE, eventually};
use nix::sys::signal::{Signal, kill};

/// As long as ten deaths take, with the pauses between restarts, on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// `bullpen up` on these directories, started by a shell after it has done something.
fn after(home: &Home, preparation: &str, args: &[&str]) -> Command {
    let up = home.up();
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(format!("{preparation} && exec \"$@\""))
        .arg("sh");
    command.arg(up.get_program()).args(up.get_args()).args(args);
    for (name, value) in up.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn marks(cluster: &Cluster) -> Vec<String> {
    let entries = fs::read_dir(cluster.home.jobs().join("running")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".deaths")).collect()
}

/// The job fails with the reason, nothing of it is left, and the next one runs.
fn assert_given_up(cluster: &Cluster, job: &str) {
    let reasons = cluster.home.jobs().join(format!("failed/{job}.txt"));
    let reasons = eventually(LONG, "the job is given up", || {
        fs::read_to_string(&reasons).ok()
    });
    assert!(
        reasons.contains("nodes died for want of memory"),
        "{reasons}"
    );
    assert_eq!(reasons.lines().count(), 1, "{reasons}");
    cluster.drop_job("next", "10!\n");
    assert_eq!(cluster.await_results("next", LONG), "10!=3628800\n");
    eventually(PATIENCE, "no mark is left", || {
        marks(cluster).is_empty().then_some(())
    });
    let told = cluster.stderr();
    assert!(told.contains("for want of memory"), "{told}");
    assert!(!told.contains("panicked"), "{told}");
}

#[test]
fn a_job_for_which_the_memory_is_too_small_is_given_up() {
    let test = "a_job_for_which_the_memory_is_too_small_is_given_up";
    let Some(group) = MemoryGroup::new(test) else {
        return;
    };
    let home = Home::new();
    let mut command = after(
        &home,
        &group.enter(),
        &["--max-n", "2000000", "--nodes", "4"],
    );
    let mut cluster = home.launch(&mut command);
    cluster.await_agreement();
    group.limit_to(40 << 20).unwrap();
    cluster.drop_job("large", "2000000!\n");
    assert_given_up(&cluster, "large");
    cluster.signal(Signal::SIGTERM);
    cluster.await_exit(PATIENCE);
}

#[test]
fn a_job_for_which_the_address_space_is_too_small_is_given_up() {
    let home = Home::new();
    // Each node takes some of it for the stacks of its threads.
    let mut command = after(&home, "ulimit -v 260000", &["--nodes", "3"]);
    let cluster = home.launch(&mut command);
    cluster.await_agreement();
    cluster.drop_job("large", "10000000!\n");
    assert_given_up(&cluster, "large");
}

#[test]
fn what_a_person_kills_is_no_jobs_fault() {
    let cluster = Cluster::start(&["--nodes", "3", "--delay", "3ms", "--attempts", "1000"]);
    cluster.drop_job("long", "3000!\n");
    for round in 0..24 {
        cluster.await_coordinator();
        let signal = [Signal::SIGKILL, Signal::SIGABRT][round % 2];
        for (_, node) in cluster.nodes() {
            // It may have ended meanwhile, by the last round's signal.
            let _ = kill(node, signal);
        }
        assert_eq!(marks(&cluster), [] as [&str; 0]);
    }
    assert!(cluster.await_results("long", LONG).starts_with("3000!="));
    assert!(!cluster.stderr().contains("for want of memory"));
}
