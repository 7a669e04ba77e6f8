//! An event log that is rotated while nodes are killed and stopped, and everybody who reads it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::harness::metrics::Service;
use crate::harness::{Home, PATIENCE, eventually, invoke, kill_node, stdout};
use crate::trial::dropping::value;
use crate::trial::{Trial, now_ns};
use laboratory::log::parts;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A few rotations take that long.
const LONG: Duration = Duration::from_secs(60);

/// Which file of the run is written now.
fn part(trial: &Trial) -> u64 {
    let log = trial.home.run_dir().join("events.jsonl");
    parts::of_run(&log).unwrap().last().unwrap().number
}

fn await_part(trial: &Trial, least: u64) {
    eventually(LONG, &format!("part {least} is written"), || {
        (part(trial) >= least).then_some(())
    });
}

/// Lets a node that was stopped go on, and waits until it is heard of.
fn wake(trial: &Trial, stopped: Pid) {
    let since = now_ns();
    trial.wake(stopped);
    trial.await_event("it says something itself", |event| {
        event.process() == stopped && event.at() > since && !event.is_of_supervisor()
    });
}

/// Stops a node, until the log has been rotated so often.
fn stop_during(trial: &Trial, node: &str, rotations: u64) {
    let stopped = trial.node_named(node);
    kill(stopped, Signal::SIGSTOP).unwrap();
    await_part(trial, part(trial) + rotations);
    wake(trial, stopped);
}

/// The counters that do not depend on the order of lines.
fn counters(text: &str) -> BTreeMap<String, String> {
    let lines = text
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(name, _)| !name.starts_with('#') && name.contains("_total"));
    lines
        .map(|(name, value)| (name.to_owned(), value.trim_end().to_owned()))
        .collect()
}

fn sizes(home: &Home) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(home.run_dir()).unwrap();
    let logs = entries.filter_map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // One that has not got its name yet may be gone.
        let size = entry.metadata().ok()?.len();
        (name.starts_with("events.jsonl") && !name.ends_with(".new")).then_some((name, size))
    });
    logs.collect()
}

#[test]
fn nothing_is_lost_or_counted_twice_across_the_cuts() {
    let args = ["--log-size", "40kB", "--log-files", "100", "--delay", "5ms"];
    let home = Home::new();
    let service = Service::start(&home);
    let trial = Trial::begin(home, &args);
    trial.await_agreement();
    trial.drop_job("long", "20000!\n");
    await_part(&trial, 2);
    kill_node(trial.await_coordinator());
    stop_during(&trial, "worker-2", 2);
    stop_during(&trial, "coordinator-", 1);
    kill_node(trial.node_named("worker-1"));
    service.scrape();
    assert!(trial.await_long("long") == value(20_000));
    trial.settle(PATIENCE);

    assert!(trial.log().is_whole(), "{} files", part(&trial));
    eventually(PATIENCE, "all count the same", || {
        let printed = counters(&stdout(&invoke(&trial.home, "metrics", &[])));
        let served = counters(&service.scrape());
        let traced = printed.keys().filter(|name| name.contains("traced"));
        assert_eq!(traced.count(), 4, "{printed:?}");
        (printed == served).then_some(())
    });
    let told = stdout(&invoke(&trial.home, "timeline", &[]));
    let killed = told.matches("was killed by SIGKILL").count();
    assert_eq!(killed, trial.count("node_exited"), "{told}");
    trial.conclude();
}

#[test]
fn files_and_their_sizes_are_bounded_and_what_is_left_is_no_violation() {
    let bounds = ["--log-size", "10kB", "--log-files", "2"];
    let trial = Trial::start(&[&bounds[..], &["--delay", "10ms", "--plan", "tree"]].concat());
    trial.drop_job("first", "3000!\n");
    await_part(&trial, 3);
    let stopped = trial.node_named("worker-0");
    kill(stopped, Signal::SIGSTOP).unwrap();
    let then = part(&trial);
    assert!(trial.await_long("first") == value(3_000));
    // Nothing happens now that could remove what it says; its own file is long gone.
    assert!(part(&trial) > then + 4, "{then}, {}", part(&trial));
    wake(&trial, stopped);

    trial.drop_job("second", "3000!\n");
    await_part(&trial, part(&trial) + 3);
    kill_node(trial.node_named("coordinator-"));
    await_part(&trial, part(&trial) + 3);
    let most = 10_000 + 500_000;
    let names = eventually(PATIENCE, "no file is being made", || {
        let sizes = sizes(&trial.home);
        assert!(sizes.values().all(|&size| size < most), "{sizes:?}");
        assert!(sizes.len() <= 3, "{sizes:?}");
        (sizes.len() == 3).then(|| Vec::from_iter(sizes.into_keys()))
    });
    assert_eq!(names, ["events.jsonl", "events.jsonl.1", "events.jsonl.2"]);
    assert!(trial.await_long("second") == value(3_000));
    assert!(trial.log().is_cut);
    trial.conclude();
}

#[test]
fn a_log_that_is_never_to_be_rotated_is_one_file() {
    let trial = Trial::start(&["--log-size", "0", "--log-files", "1"]);
    trial.drop_job("job", "300!\n");
    trial.await_results("job", PATIENCE);
    assert_eq!(part(&trial), 0);
    trial.conclude();
}

#[test]
fn a_rotation_that_fails_is_told_once_and_the_log_goes_on() {
    let home = Home::new();
    let trial = Trial::begin(home, &["--log-size", "5kB", "--log-files", "1"]);
    let in_the_way = trial.home.run_dir().join("events.jsonl.1");
    eventually(PATIENCE, "the run directory is there", || {
        fs::create_dir(&in_the_way).ok()
    });
    trial.await_agreement();
    let told = || {
        trial
            .stderr()
            .matches("cannot rotate the event log")
            .count()
    };
    for job in ["one", "two"] {
        trial.drop_job(job, "300!\n");
        trial.await_results(job, PATIENCE);
        eventually(PATIENCE, "it is told", || (told() > 0).then_some(()));
    }
    assert_eq!(told(), 1, "{}", trial.stderr());
    assert_eq!(part(&trial), 0);
    assert!(trial.log().is_whole());
    fs::remove_dir(&in_the_way).unwrap();
    await_part(&trial, 1);
    trial.conclude();
}
