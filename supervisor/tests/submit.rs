//! `bullpen submit`, on real processes and directories.

use std::fs;
use std::process::Stdio;

use crate::harness::{
    Cluster, Home, PATIENCE, assert_one_sentence, command, eventually, invoke, stderr, stdout,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

#[test]
fn submit_waits_and_prints_the_results_of_its_own_job() {
    let cluster = Cluster::start(&[]);
    for _ in 0..2 {
        let output = invoke(&cluster.home, "submit", &["10!", "5", "--wait"]);
        assert_eq!(
            stdout(&output),
            "10!=3628800\n5!=120\n",
            "{}",
            stderr(&output)
        );
        assert_eq!(output.status.code(), Some(0));
    }
    let names: Vec<bool> = ["10-5", "10-5.2"]
        .map(|name| {
            cluster
                .home
                .jobs()
                .join(format!("done/{name}.txt"))
                .exists()
        })
        .to_vec();
    assert_eq!(names, [true, true]);
}

#[test]
fn submit_prints_the_name_and_numbers_one_that_is_in_use() {
    let home = Home::new();
    fs::create_dir(home.jobs()).unwrap();
    for (args, name) in [
        (&["10!"][..], "10\n"),
        (&["10"], "10.2\n"),
        (&["10", "--name", "mine"], "mine\n"),
        (&["5", "--name", "mine"], "mine.2\n"),
    ] {
        let output = invoke(&home, "submit", args);
        assert_eq!(stdout(&output), name, "{}", stderr(&output));
        assert_eq!(output.status.code(), Some(0));
    }
    let mut files: Vec<_> = fs::read_dir(home.jobs())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["10.2.job", "10.job", "mine.2.job", "mine.job"]);
    let text = fs::read_to_string(home.jobs().join("mine.job")).unwrap();
    assert_eq!(text, "10!\n");
    // Found and done by a cluster that is started later.
    let cluster = home.start(&[]);
    assert_eq!(cluster.await_results("mine.2", PATIENCE), "5!=120\n");
}

#[test]
fn submit_of_what_is_no_factorial_or_no_name_drops_nothing() {
    let home = Home::new();
    fs::create_dir(home.jobs()).unwrap();
    for args in [
        &["abc"][..],
        &["10", "-1"],
        &["99999999999999999999"],
        &["10", "--name", "../ten"],
        &["10", "--name", ".ten"],
        &["10", "--name", ""],
    ] {
        assert_one_sentence(&invoke(&home, "submit", args), 2);
    }
    assert_eq!(invoke(&home, "submit", &[]).status.code(), Some(2));
    assert_eq!(fs::read_dir(home.jobs()).unwrap().count(), 0);

    let nowhere = Home::new();
    let complaint = assert_one_sentence(&invoke(&nowhere, "submit", &["10"]), 3);
    assert!(complaint.contains("--jobs"), "{complaint}");
}

#[test]
fn submit_tells_why_a_job_was_rejected() {
    let cluster = Cluster::start(&["--max-n", "100"]);
    let output = invoke(&cluster.home, "submit", &["1000", "--wait"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(stdout(&output), "");
    assert!(
        stderr(&output).contains("limit of 100"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn an_interrupted_submit_leaves_its_job() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let cluster = Cluster::start(&["--nodes", "2"]);
        // The job cannot end before its waiter does.
        let worker = cluster.node_named("worker-0");
        kill(worker, Signal::SIGSTOP).unwrap();
        eventually(PATIENCE, "the worker stops", || {
            cluster.events_named("node_stopped").pop()
        });
        let mut submit = command(&cluster.home, "submit", &["20", "--wait"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_raw(i32::try_from(submit.id()).unwrap());
        eventually(PATIENCE, "the job is claimed", || {
            cluster.events_named("job_accepted").pop()
        });
        kill(pid, signal).unwrap();
        let status = eventually(PATIENCE, "submit ends", || submit.try_wait().unwrap());
        assert_eq!(status.code(), Some(130), "{signal}");
        let output = submit.wait_with_output().unwrap();
        assert!(
            stderr(&output).contains("stays submitted"),
            "{}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "");
        kill(worker, Signal::SIGCONT).unwrap();
        let results = cluster.await_results("20", PATIENCE);
        assert_eq!(results, "20!=2432902008176640000\n");
    }
}

#[test]
fn submit_warns_where_nobody_serves_and_goes_on_waiting() {
    let home = Home::new();
    fs::create_dir(home.jobs()).unwrap();
    let log = home.path().join("submit-stderr");
    let mut submit = command(&home, "submit", &["10", "--wait"])
        .stdout(Stdio::piped())
        .stderr(fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    eventually(PATIENCE, "it warns", || {
        let said = fs::read_to_string(&log).unwrap();
        said.contains("no bullpen works on").then_some(())
    });
    let _cluster = home.start(&[]);
    let status = eventually(PATIENCE, "submit ends", || submit.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    let output = submit.wait_with_output().unwrap();
    assert_eq!(stdout(&output), "10!=3628800\n");
    let said = fs::read_to_string(&log).unwrap();
    assert_eq!(said.matches("no bullpen works on").count(), 1, "{said}");
}

#[test]
fn a_job_that_is_taken_back_ends_the_wait() {
    let home = Home::new();
    fs::create_dir(home.jobs()).unwrap();
    let mut submit = command(&home, "submit", &["10", "--wait"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    eventually(PATIENCE, "the job is dropped", || {
        fs::remove_file(home.jobs().join("10.job")).ok()
    });
    let status = eventually(PATIENCE, "submit ends", || submit.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
}
