//! Faults at exact places: a coordinator that dies or sleeps around a commit, a crash loop, a
//! candidate that stops in its election, a worker that sleeps through a job.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod harness;
mod verdict;

use std::fs;
use std::time::Duration;

use harness::{PATIENCE, eventually, kill_node};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use verdict::{Event, Trial};

/// For a job that takes a few seconds by itself.
const LONG: Duration = Duration::from_secs(60);

fn await_event(trial: &Trial, what: &str, matches: impl Fn(&Event) -> bool) -> Event {
    eventually(PATIENCE, what, || {
        trial.log().events.into_iter().find(&matches)
    })
}

fn pid(event: &Event) -> Pid {
    Pid::from_raw(i32::try_from(event.pid()).unwrap())
}

/// Waits until the fault has happened, and says to which process.
fn await_fault(trial: &Trial) -> Pid {
    pid(&await_event(trial, "the fault is injected", |event| {
        event.name() == "fault_injected"
    }))
}

fn await_named(trial: &Trial, name: &str, job: &str) {
    await_event(trial, &format!("{name} {job}"), |event| {
        event.name() == name && event.text("job") == job
    });
}

fn await_acting(trial: &Trial, node: u64) -> Event {
    await_event(trial, &format!("node {node} acts"), |event| {
        event.name() == "acting" && event.node() == node
    })
}

fn count(trial: &Trial, name: &str) -> usize {
    trial.log().named(name).count()
}

/// Waits until node 5, which was held back, acts again: all agree on a coordinator before it comes.
fn await_return(trial: &Trial) {
    eventually(PATIENCE, "node 5 acts again", || {
        let log = trial.log();
        let last = log.named("acting").last()?;
        (last.node() == 5).then_some(())
    });
}

fn reigns(trial: &Trial) -> Vec<u64> {
    let log = trial.log();
    log.named("acting").map(Event::node).collect()
}

/// How often a job was said to be published.
fn publications(trial: &Trial, job: &str) -> usize {
    let log = trial.log();
    let of_job = |event: &&Event| event.text("job") == job;
    log.named("result_published").filter(of_job).count()
}

/// What stands in a folder of the jobs directory, sorted.
fn names(trial: &Trial, folder: &str) -> Vec<String> {
    let path = trial.home.jobs().join(folder);
    let entries = fs::read_dir(path).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn await_continued(trial: &Trial, stopped: Pid) {
    kill(stopped, Signal::SIGCONT).unwrap();
    await_event(trial, "it continues", |event| {
        event.name() == "node_continued" && pid(event) == stopped
    });
}

#[test]
fn an_idle_coordinator_dies_and_the_next_highest_acts() {
    for hints in ["on", "off"] {
        let trial = Trial::start(&["--hints", hints]);
        let held_back = trial.home.hold_back(5);
        kill_node(trial.await_coordinator());
        await_acting(&trial, 4);
        trial.drop_job("ten", "10!\n");
        assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
        assert_eq!(reigns(&trial), [5, 4], "hints {hints}");
        drop(held_back);
        await_return(&trial);
        trial.conclude();
    }
}

#[test]
fn a_death_before_the_commit_leaves_one_result_and_no_hidden_text() {
    let trial = Trial::start(&["--fault", "node=5,at=before-commit,do=kill"]);
    trial.drop_job("ten", "10!\n");
    await_fault(&trial);
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    trial.settle(PATIENCE);
    assert_eq!(names(&trial, "done"), ["ten.job", "ten.txt"]);
    assert_eq!(names(&trial, "running"), [""; 0]);
    assert_eq!(publications(&trial, "ten"), 1);
    assert_eq!(count(&trial, "node_exited"), 1);
    trial.conclude();
}

#[test]
fn a_death_after_the_commit_leaves_the_text_to_the_next_coordinator() {
    let trial = Trial::start(&["--fault", "node=5,at=after-commit,do=kill"]);
    let held_back = trial.home.hold_back(5);
    trial.drop_job("ten", "10!\n");
    let dead = await_fault(&trial);
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    await_named(&trial, "job_done", "ten");
    let log = trial.log();
    assert!(log.named("job_done").all(|event| pid(event) != dead));
    assert_eq!(reigns(&trial), [5, 4]);
    assert!(publications(&trial, "ten") <= 1);
    assert_eq!(names(&trial, "done"), ["ten.job", "ten.txt"]);
    drop(held_back);
    await_return(&trial);
    trial.conclude();
}

#[test]
fn a_death_around_a_checkpoint_loses_nothing() {
    for at in ["before-checkpoint", "mid-checkpoint"] {
        let fault = format!("node=5,at={at},after=20,do=kill");
        let trial = Trial::start(&["--delay", "2ms", "--fault", &fault]);
        trial.drop_job("long", "1500!\n");
        await_fault(&trial);
        assert!(!trial.home.jobs().join("done/long.job").exists());
        trial.await_results("long", LONG);
        assert!(count(&trial, "acting") > 1, "{at}");
        trial.conclude();
    }
}

#[test]
fn a_coordinator_that_sleeps_before_its_commit_does_not_publish_a_second_time() {
    let trial = Trial::start(&["--fault", "node=5,at=before-commit,do=stop"]);
    trial.drop_job("ten", "10!\n");
    let sleeper = await_fault(&trial);
    let results = trial.await_results("ten", PATIENCE);
    await_continued(&trial, sleeper);
    await_event(&trial, "it steps down", |event| {
        event.name() == "stepped_down" && pid(event) == sleeper
    });
    trial.settle(PATIENCE);
    assert_eq!(results, "10!=3628800\n");
    assert_eq!(trial.await_results("ten", PATIENCE), results);
    assert_eq!(names(&trial, "done"), ["ten.job", "ten.txt"]);
    assert_eq!(publications(&trial, "ten"), 1);
    assert_eq!(count(&trial, "node_exited"), 0);
    trial.conclude();
}

/// The coordinator sleeps around a commit, and nobody is told; others go on, and a name comes again.
fn sleeps_unnoticed(at: &str) {
    let fault = format!("node=5,at={at},do=stop");
    let trial = Trial::start(&[
        "--hints",
        "off",
        "--suspect-after",
        "1500ms",
        "--fault",
        &fault,
    ]);
    trial.drop_job("ten", "10!\n");
    let sleeper = await_fault(&trial);
    eventually(PATIENCE, "a hidden text stands", || {
        let is_text = |name: &String| name.starts_with(".ten.") && name.ends_with(".done.txt");
        names(&trial, "running").iter().any(is_text).then_some(())
    });
    assert!(!trial.home.jobs().join("done/ten.txt").exists());
    trial.drop_job("ten", "5!\n");
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    assert_eq!(trial.await_results("ten.2", PATIENCE), "5!=120\n");
    trial.drop_job("ten", "6!\n");
    await_continued(&trial, sleeper);
    assert_eq!(trial.await_results("ten.3", PATIENCE), "6!=720\n");
    trial.settle(PATIENCE);
    assert_eq!(names(&trial, "done").len(), 6);
    assert_eq!(names(&trial, "running"), [""; 0]);
    assert!(publications(&trial, "ten") <= 1);
    assert!(count(&trial, "acting") > 1);
    trial.conclude();
}

#[test]
fn a_coordinator_sleeps_before_its_commit_and_nobody_is_told() {
    sleeps_unnoticed("before-commit");
}

#[test]
fn a_coordinator_sleeps_after_its_commit_and_nobody_is_told() {
    sleeps_unnoticed("after-commit");
}

/// Kills each life of node 5 when it has said `moment`, and lets the last one live.
fn crash_loops(moment: &str) {
    const CRASHES: usize = 6;
    // One for the death, and one for the return of a life that was quicker than its killer.
    const LIMIT: usize = 2 + 2 * CRASHES;
    let trial = Trial::start(&["--delay", "5ms"]);
    trial.drop_job("long", "3000!\n");
    await_named(&trial, "job_accepted", "long");
    let mut dead: Vec<u64> = Vec::new();
    while dead.len() < CRASHES {
        let life = await_event(&trial, "node 5 comes so far again", |event| {
            event.name() == moment && event.node() == 5 && !dead.contains(&event.incarnation())
        });
        kill_node(pid(&life));
        dead.push(life.incarnation());
    }
    trial.await_results("long", LONG);
    trial.settle(LONG);
    let (won, started) = (
        count(&trial, "election_won"),
        count(&trial, "election_started"),
    );
    println!("{moment}: {won} elections won, {started} started");
    assert!(won <= LIMIT, "{won} won");
    assert!(started <= 6 * LIMIT, "{started} started");
    assert_eq!(count(&trial, "node_exited"), CRASHES);
    trial.conclude();
}

#[test]
fn the_highest_dies_whenever_it_starts_and_the_job_ends() {
    crash_loops("node_spawned");
}

#[test]
fn the_highest_dies_whenever_it_acts_and_the_job_ends() {
    crash_loops("acting");
}

#[test]
fn a_candidate_stops_in_its_election_and_another_wins() {
    for hints in ["on", "off"] {
        let home = harness::Home::new();
        // It comes later and joins without an election: the one that stops it is about a death.
        let late = home.hold_back(4);
        let fault = "node=4,at=in-election,do=stop";
        let trial = Trial::begin(
            home,
            &["--hints", hints, "--delay", "2ms", "--fault", fault],
        );
        await_acting(&trial, 5);
        drop(late);
        await_event(&trial, "node 4 follows", |event| {
            event.name() == "following" && event.node() == 4
        });
        trial.drop_job("long", "1500!\n");
        await_event(&trial, "the job is under way", |event| {
            event.name() == "checkpointed"
        });
        let held_back = trial.home.hold_back(5);
        kill_node(trial.node_named("coordinator-5").unwrap());
        let candidate = await_fault(&trial);
        await_acting(&trial, 3);
        trial.await_results("long", LONG);
        await_continued(&trial, candidate);
        drop(held_back);
        await_return(&trial);
        assert_eq!(reigns(&trial)[..2], [5, 3], "hints {hints}");
        trial.conclude();
    }
}

#[test]
fn a_worker_that_sleeps_through_a_job_follows_again() {
    let trial = Trial::start(&["--hints", "off", "--delay", "1ms"]);
    trial.drop_job("large", "10000!\n");
    let begun = await_event(&trial, "a worker has worked", |event| {
        event.name() == "completed" && event.node() == 2
    });
    let sleeper = pid(&begun);
    kill(sleeper, Signal::SIGSTOP).unwrap();
    assert!(!trial.home.jobs().join("done/large.job").exists());
    trial.await_results("large", LONG);
    await_continued(&trial, sleeper);
    trial.drop_job("more", "3000!\n");
    await_event(&trial, "it works again", |event| {
        event.name() == "completed"
            && pid(event) == sleeper
            && event.op().is_some_and(|op| op.n == 3_000)
    });
    trial.await_results("more", LONG);
    assert!(count(&trial, "election_won") <= 2);
    assert_eq!(count(&trial, "node_exited"), 0);
    trial.conclude();
}
