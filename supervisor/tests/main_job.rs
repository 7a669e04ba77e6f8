//! The main job, on real processes: factorials in, results out, whatever dies meanwhile.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::{
    self, Cluster, Home, PATIENCE, bullpen, children, eventually, is_alive, kill_node, run, stderr,
    stdout,
};
use malachite_base::num::arithmetic::traits::Factorial;
use malachite_nz::natural::Natural;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The grace, and time for a busy machine.
const END: Duration = Duration::from_secs(8);

#[test]
fn compute_prints_the_factorials_in_order_and_leaves_nothing_behind() {
    let home = Home::new();
    let output = run(bullpen()
        .args(["compute", "10!", "0", "1", "20"])
        .env("TMPDIR", home.path()));
    assert_eq!(
        stdout(&output),
        "10!=3628800\n0!=1\n1!=1\n20!=2432902008176640000\n",
        "{}",
        stderr(&output)
    );
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn compute_of_bad_operands_names_each_and_starts_nothing() {
    let home = Home::new();
    let output = run(bullpen()
        .args(["compute", "10!", "abc", "--max-n", "1000", "1001!"])
        .env("TMPDIR", home.path()));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(stdout(&output), "");
    let complaint = stderr(&output);
    assert!(complaint.starts_with("bullpen: "), "{complaint}");
    assert!(complaint.contains("\"abc\""), "{complaint}");
    assert!(complaint.contains("\"1001!\""), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
}

#[test]
fn an_interrupted_compute_leaves_nothing_behind() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let home = Home::new();
        let mut command = bullpen()
            .args(["compute", "1000", "--delay", "10s"])
            .env("TMPDIR", home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(i32::try_from(command.id()).unwrap());
        let nodes = eventually(PATIENCE, "six nodes run", || {
            Some(children(pid)).filter(|nodes| nodes.len() == 6)
        });
        kill(pid, signal).unwrap();
        let status = eventually(END, "compute ends", || command.try_wait().unwrap());
        assert_eq!(status.code(), Some(130), "{signal}");
        assert!(!nodes.into_iter().any(is_alive));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_reader_that_leaves_ends_compute_quietly() {
    let mut command = bullpen()
        .args(["compute", "50000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(command.stdout.take());
    let output = command.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "");
}

#[test]
fn settings_that_contradict_each_other_are_refused_before_anything_starts() {
    let home = Home::new();
    let output = run(home.up().args(["--suspect-after", "60ms"]));
    assert_eq!(output.status.code(), Some(2));
    let complaint = stderr(&output);
    assert!(complaint.contains("--suspect-after"), "{complaint}");
    assert!(!home.jobs().exists());
}

#[test]
fn a_dropped_file_is_computed_logged_and_kept() {
    let cluster = Cluster::start(&[]);
    cluster.drop_job("ten", "10!\n");
    assert_eq!(cluster.await_results("ten", PATIENCE), "10!=3628800\n");
    eventually(PATIENCE, "the result is logged", || {
        (cluster.stdout() == "10!=3628800\n").then_some(())
    });
    let jobs = cluster.home.jobs();
    assert_eq!(
        fs::read_to_string(jobs.join("done/ten.job")).unwrap(),
        "10!\n"
    );
    assert!(!jobs.join("ten.job").exists());
}

#[test]
fn processes_are_named_after_their_roles() {
    let cluster = Cluster::start(&[]);
    let expected = [
        "coordinator-5",
        "worker-0",
        "worker-1",
        "worker-2",
        "worker-3",
        "worker-4",
    ];
    eventually(PATIENCE, "a coordinator and five workers", || {
        let names: Vec<String> = cluster.nodes().into_iter().map(|(name, _)| name).collect();
        (names == expected).then_some(())
    });
    assert_eq!(
        harness::process_name(cluster.pid()).as_deref(),
        Some("bullpen")
    );
}

#[test]
fn sigterm_ends_everything_within_the_grace() {
    let mut cluster = Cluster::start(&[]);
    let nodes = cluster.nodes();
    assert_eq!(nodes.len(), 6);
    // A stopped node must not hold up the end.
    kill(nodes[1].1, Signal::SIGSTOP).unwrap();
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.await_exit(END).code(), Some(0));
    assert!(!nodes.into_iter().any(|(_, pid)| is_alive(pid)));
    let left: Vec<_> = fs::read_dir(cluster.home.run_dir())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["events.jsonl"]);
}

#[test]
fn a_second_cluster_on_the_same_directories_is_refused() {
    let cluster = Cluster::start(&[]);
    let other = Home::new();
    let (jobs, run_dir) = (cluster.home.jobs(), cluster.home.run_dir());
    for (jobs, run_dir, named) in [
        (&jobs, &other.run_dir(), "jobs directory"),
        (&other.jobs(), &run_dir, "run directory"),
    ] {
        let mut second = bullpen();
        second
            .arg("up")
            .arg("--jobs")
            .arg(jobs)
            .arg("--run-dir")
            .arg(run_dir);
        let output = run(&mut second);
        assert_eq!(output.status.code(), Some(3));
        let complaint = stderr(&output);
        assert!(complaint.contains(named), "{complaint}");
        assert_eq!(complaint.lines().count(), 1, "{complaint}");
    }
    assert_eq!(cluster.nodes().len(), 6);
}

#[test]
fn killing_the_coordinator_in_the_middle_of_a_job_loses_nothing() {
    let cluster = Cluster::start(&["--delay", "1ms"]);
    let first = cluster.await_coordinator();
    cluster.drop_job("big", "20000!\n");
    eventually(PATIENCE, "the job is accepted", || {
        cluster.events_named("job_accepted").pop()
    });
    std::thread::sleep(Duration::from_millis(100));
    kill_node(first);

    let results = cluster.await_results("big", Duration::from_secs(60));
    let expected = format!("20000!={}\n", Natural::factorial(20_000));
    assert!(results == expected, "the value is wrong");
    let acting = cluster.events_named("acting");
    assert!(
        acting.iter().any(|event| event["pid"] != first.as_raw()),
        "{acting:?}"
    );
    let exits = cluster.events_named("node_exited");
    assert_eq!(exits.len(), 1, "{exits:?}");
    assert_eq!(exits[0]["pid"], first.as_raw());
    assert_eq!(exits[0]["signal"], "SIGKILL");
    // Killed while it had work to do, or this test shows nothing.
    let done = cluster.events_named("job_done");
    assert!(done[0]["mono_ns"].as_u64() > exits[0]["mono_ns"].as_u64());
}

#[test]
fn no_node_outlives_its_supervisor() {
    let mut cluster = Cluster::start(&[]);
    let nodes = cluster.nodes();
    assert_eq!(nodes.len(), 6);
    cluster.signal(Signal::SIGKILL);
    cluster.await_exit(END);
    // Killed while it waits for a slow disk, a process dies when the disk has answered.
    eventually(Duration::from_secs(5), "all nodes are gone", || {
        let any_alive = nodes.iter().any(|(_, pid)| is_alive(*pid));
        (!any_alive).then_some(())
    });
}

#[test]
fn delay_is_the_processing_time_of_an_operation() {
    // 10! takes three operations of the numbers, and their product: the first three at a time with five
    // workers, one after the other with a single one.
    for (nodes, least) in [("6", 400), ("2", 800)] {
        let cluster = Cluster::start(&["--delay", "200ms", "--nodes", nodes]);
        let dropped = Instant::now();
        cluster.drop_job("ten", "10!\n");
        assert_eq!(cluster.await_results("ten", PATIENCE), "10!=3628800\n");
        let took = dropped.elapsed();
        assert!(took >= Duration::from_millis(least), "{nodes}: {took:?}");
    }
}
