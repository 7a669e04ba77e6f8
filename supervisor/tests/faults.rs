//! Faults at exact places: a coordinator that dies or sleeps around a commit, a crash loop, a
//! candidate that stops in its election, a worker that sleeps through a job.

use crate::harness::{self, PATIENCE, eventually, kill_node};
use crate::trial::waiting::are_in_order;
use crate::trial::{Trial, now_ns};
use nix::sys::signal::{Signal, kill};

#[test]
fn an_idle_coordinator_dies_and_the_next_highest_acts() {
    /// Its end is seen by its links, long before anybody would suspect it: on a busy machine too.
    const SUSPECT_AFTER: &str = "4s";
    const BOUND_NS: u64 = 2_000_000_000;
    for hints in ["on", "off"] {
        let trial = Trial::start(&["--hints", hints, "--suspect-after", SUSPECT_AFTER]);
        trial.settle(PATIENCE);
        let held_back = trial.home.hold_back(5);
        let coordinator = trial.await_coordinator();
        let killed_at = now_ns();
        kill_node(coordinator);
        let acting = trial.await_acting_after(4, killed_at);
        let took = acting.at() - killed_at;
        assert!(took < BOUND_NS, "hints {hints}: {took} ns");
        trial.drop_job("ten", "10!\n");
        assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
        trial.assert_reigns(&[5, 4]);
        drop(held_back);
        trial.await_return(5);
        trial.conclude();
    }
}

#[test]
fn a_death_before_the_commit_leaves_one_result_and_no_hidden_text() {
    let trial = Trial::start(&["--fault", "node=5,at=before-commit,do=kill"]);
    // Else it is back at once, perhaps in the middle of its successor's commit.
    let held_back = trial.home.hold_back(5);
    trial.drop_job("ten", "10!\n");
    let dead = trial.await_fault();
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    let published = trial.await_job("result_published", "ten");
    assert_ne!(published.process(), dead);
    trial.await_job("job_done", "ten");
    assert_eq!(trial.in_folder("done"), ["ten.job", "ten.txt"]);
    trial.await_swept();
    assert_eq!(trial.publications("ten"), 1);
    trial.assert_reigns(&[5, 4]);
    drop(held_back);
    trial.await_return(5);
    trial.conclude();
}

#[test]
fn a_death_after_the_commit_leaves_the_text_to_the_next_coordinator() {
    let trial = Trial::start(&["--fault", "node=5,at=after-commit,do=kill"]);
    let held_back = trial.home.hold_back(5);
    trial.drop_job("ten", "10!\n");
    let dead = trial.await_fault();
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    trial.await_job("job_done", "ten");
    let log = trial.log();
    assert!(log.named("job_done").all(|event| event.process() != dead));
    trial.assert_reigns(&[5, 4]);
    assert!(trial.publications("ten") <= 1);
    assert_eq!(trial.in_folder("done"), ["ten.job", "ten.txt"]);
    drop(held_back);
    trial.await_return(5);
    trial.conclude();
}

#[test]
fn a_death_around_a_checkpoint_loses_nothing() {
    for at in ["before-checkpoint", "mid-checkpoint"] {
        let fault = format!("node=5,at={at},after=20,do=kill");
        let trial = Trial::start(&["--delay", "2ms", "--fault", &fault]);
        trial.drop_job("long", "1500!\n");
        trial.await_fault();
        assert!(!trial.home.jobs().join("done/long.job").exists());
        trial.await_long("long");
        assert!(trial.count("acting") > 1, "{at}");
        trial.conclude();
    }
}

#[test]
fn a_coordinator_that_sleeps_before_its_commit_does_not_publish_a_second_time() {
    let trial = Trial::start(&["--fault", "node=5,at=before-commit,do=stop"]);
    trial.drop_job("ten", "10!\n");
    let sleeper = trial.await_fault();
    let results = trial.await_results("ten", PATIENCE);
    trial.wake(sleeper);
    trial.await_event("it steps down", |event| {
        event.name() == "stepped_down" && event.process() == sleeper
    });
    trial.settle(PATIENCE);
    assert_eq!(results, "10!=3628800\n");
    assert_eq!(trial.await_results("ten", PATIENCE), results);
    assert_eq!(trial.in_folder("done"), ["ten.job", "ten.txt"]);
    assert_eq!(trial.publications("ten"), 1);
    assert_eq!(trial.count("node_exited"), 0);
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
    let sleeper = trial.await_fault();
    eventually(PATIENCE, "a hidden text stands", || {
        let is_text = |name: &String| name.starts_with(".ten.") && name.ends_with(".done.txt");
        trial.in_folder("running").iter().any(is_text).then_some(())
    });
    assert!(!trial.home.jobs().join("done/ten.txt").exists());
    trial.drop_job("ten", "5!\n");
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    assert_eq!(trial.await_results("ten.2", PATIENCE), "5!=120\n");
    trial.drop_job("ten", "6!\n");
    trial.wake(sleeper);
    assert_eq!(trial.await_results("ten.3", PATIENCE), "6!=720\n");
    trial.settle(PATIENCE);
    assert_eq!(trial.in_folder("done").len(), 6);
    trial.await_swept();
    assert!(trial.publications("ten") <= 1);
    assert!(trial.count("acting") > 1);
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
    // The first one, and for each death the successor's and that of the life that comes back.
    const LIMIT: usize = 1 + 2 * CRASHES;
    let trial = Trial::start(&["--delay", "5ms"]);
    trial.drop_job("long", "3000!\n");
    trial.await_job("job_accepted", "long");
    let mut dead: Vec<u64> = Vec::new();
    while dead.len() < CRASHES {
        let life = trial.await_event("node 5 comes so far again", |event| {
            event.is(moment, 5) && !dead.contains(&event.incarnation())
        });
        kill_node(life.process());
        dead.push(life.incarnation());
    }
    trial.await_long("long");
    trial.await_return(5);
    let won = trial.count("election_won");
    trial.assert_unless_held_up(won <= LIMIT, format!("{won} elections won"));
    assert_eq!(trial.count("node_exited"), CRASHES);
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
        trial.await_acting(5);
        drop(late);
        trial.await_event("node 4 follows", |event| {
            event.name() == "following" && event.node() == 4
        });
        trial.drop_job("long", "1500!\n");
        trial.await_event("the job is under way", |event| {
            event.name() == "checkpointed"
        });
        let held_back = trial.home.hold_back(5);
        let coordinator = trial.await_coordinator();
        let killed_at = now_ns();
        kill_node(coordinator);
        let candidate = trial.await_fault();
        trial.await_acting_after(3, killed_at);
        trial.await_long("long");
        trial.wake(candidate);
        drop(held_back);
        trial.await_return(5);
        let reigns = trial.reigns();
        assert!(are_in_order(&[5, 3], &reigns), "hints {hints}: {reigns:?}");
        let what = format!("{reigns:?} acted, not 5 and 3 first");
        trial.assert_unless_held_up(reigns[..2] == [5, 3], what);
        trial.conclude();
    }
}

#[test]
fn a_worker_that_sleeps_through_a_job_follows_again() {
    let trial = Trial::start(&["--hints", "off", "--delay", "1ms"]);
    trial.drop_job("large", "10000!\n");
    let begun = trial.await_event("a worker has worked", |event| {
        event.name() == "completed" && event.node() == 2
    });
    let sleeper = begun.process();
    kill(sleeper, Signal::SIGSTOP).unwrap();
    assert!(!trial.home.jobs().join("done/large.job").exists());
    trial.await_long("large");
    trial.wake(sleeper);
    trial.drop_job("more", "3000!\n");
    trial.await_event("it works again", |event| {
        event.name() == "completed"
            && event.process() == sleeper
            && event.op().is_some_and(|op| op.n == 3_000)
    });
    trial.await_long("more");
    let won = trial.count("election_won");
    trial.assert_unless_held_up(won <= 2, format!("{won} elections won"));
    assert_eq!(trial.count("node_exited"), 0);
    trial.conclude();
}
