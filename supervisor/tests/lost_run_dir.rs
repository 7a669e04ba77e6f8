//! A run directory that is removed, moved, emptied or closed while a cluster works in it.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{
    self, Cluster, Home, PATIENCE, command, copy_of_the_binary, eventually, invoke, is_alive,
    kill_node, stderr, stdout,
};
use crate::trial::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;

/// A user without rights.
const NOBODY: u32 = 65_534;
/// A second or two, and a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// Kills these nodes as they are named now.
fn kill_all(cluster: &Cluster, names: &[&str]) {
    let pids: Vec<Pid> = names.iter().map(|name| cluster.node_named(name)).collect();
    pids.into_iter().for_each(kill_node);
}

fn checks(home: &Home) -> Option<()> {
    let output = invoke(home, "status", &["--check"]);
    (output.status.code() == Some(0)).then_some(())
}

/// Every command works, and so does the cluster.
fn assert_whole(trial: &Trial) {
    let home = &trial.home;
    eventually(SOON, "status says that all is well", || checks(home));
    let mode = fs::metadata(home.run_dir()).unwrap().mode();
    assert_eq!(mode & 0o777, 0o700);
    let killed = invoke(home, "kill", &["worker"]);
    assert_eq!(killed.status.code(), Some(0), "{}", stderr(&killed));
    trial.drop_job("again", "11!\n");
    assert_eq!(trial.await_results("again", PATIENCE), "11!=39916800\n");
    let mut top = command(home, "top", &[]);
    let mut top = top.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(top.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    assert!(line.contains(" term "), "{line}");
    drop(lines);
    top.kill().unwrap();
    top.wait().unwrap();
    // The log goes on where it is looked for.
    eventually(PATIENCE, "the events of it are there", || {
        let events = trial.events_named("job_done");
        events
            .iter()
            .any(|event| event["job"] == "again")
            .then_some(())
    });
}

#[test]
fn one_that_is_removed_is_made_again() {
    let trial = Trial::start(&["--delay", "1ms"]);
    trial.drop_job("long", "2000!\n");
    trial.await_progress(2_000);
    trial.keep_log();
    fs::remove_dir_all(trial.home.run_dir()).unwrap();
    kill_all(&trial, &["coordinator-5", "worker-4", "worker-0"]);
    eventually(SOON, "status is answered", || {
        let output = invoke(&trial.home, "status", &[]);
        (output.status.code() == Some(0)).then_some(())
    });
    assert_whole(&trial);
    trial.await_long("long");
    // Nobody failed to start for want of it.
    let failures = trial.log();
    let failures = failures
        .named("node_exited")
        .filter(|event| event.text("signal") != "SIGKILL");
    assert_eq!(failures.count(), 0);
    let said = trial.stderr();
    assert_eq!(
        said.matches("was taken away; it is made again").count(),
        1,
        "{said}"
    );
    trial.conclude();
}

#[test]
fn one_that_is_moved_is_made_again_and_keeps_nothing_where_it_went() {
    let trial = Trial::start(&[]);
    let elsewhere = trial.home.path().join("elsewhere");
    trial.keep_log();
    fs::rename(trial.home.run_dir(), &elsewhere).unwrap();
    assert_whole(&trial);
    let left: Vec<_> = fs::read_dir(&elsewhere).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    trial.conclude();
}

#[test]
fn without_the_sockets_there_is_one_cluster_still() {
    let trial = Trial::start(&["--delay", "1ms"]);
    trial.drop_job("long", "2000!\n");
    trial.await_progress(2_000);
    for id in 0..6 {
        fs::remove_file(trial.home.run_dir().join(format!("node-{id}.sock"))).unwrap();
    }
    kill_all(&trial, &["coordinator-5", "worker-4"]);
    trial.await_long("long");
    assert_eq!(trial.publications("long"), 1);
    assert_whole(&trial);
    trial.conclude();
}

#[test]
fn what_is_emptied_is_filled_again() {
    let trial = Trial::start(&[]);
    trial.keep_log();
    for entry in fs::read_dir(trial.home.run_dir()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_whole(&trial);
    trial.conclude();
}

/// A run directory in a folder of its own, of a cluster of a user whom permissions bind: `nobody`
/// where the tests run as root.
fn cluster_of_a_user() -> (Cluster, std::path::PathBuf) {
    let home = Home::new();
    let parent = home.path().join("parent");
    fs::create_dir(&parent).unwrap();
    let run_dir = parent.join("run");
    let mut up = harness::bullpen();
    if geteuid().is_root() {
        fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        up = Command::new(copy_of_the_binary(home.path()));
        for path in [home.path(), &parent] {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        up.env_clear().uid(NOBODY).gid(NOBODY);
    }
    up.arg("up").arg("--jobs").arg(home.jobs());
    up.arg("--run-dir").arg(&run_dir).args(["--nodes", "3"]);
    let cluster = home.launch(&mut up);
    await_status(&run_dir);
    (cluster, run_dir)
}

fn status(run_dir: &Path) -> Option<Value> {
    let mut status = harness::bullpen();
    status.args(["status", "--json", "--run-dir"]).arg(run_dir);
    serde_json::from_str(&stdout(&harness::run(&mut status))).ok()
}

fn await_status(run_dir: &Path) {
    eventually(PATIENCE, "a coordinator is reported", || {
        status(run_dir).filter(|status| !status["coordinator"].is_null())
    });
}

#[test]
fn one_that_cannot_be_made_again_is_the_end_and_nothing_is_left() {
    let (mut cluster, run_dir) = cluster_of_a_user();
    let nodes = cluster.nodes();
    assert_eq!(nodes.len(), 3);
    let parent = run_dir.parent().unwrap();
    fs::remove_dir_all(&run_dir).unwrap();
    if geteuid().is_root() {
        chown(parent, Some(0), Some(0)).unwrap();
    }
    fs::set_permissions(parent, Permissions::from_mode(0o555)).unwrap();
    // It may have been made again in between.
    let _ = fs::remove_dir_all(&run_dir);
    let status = cluster.await_exit(SOON);
    let said = cluster.stderr();
    assert_eq!(status.code(), Some(3), "{said}");
    let last = said.lines().last().unwrap();
    assert!(
        last.starts_with("bullpen: the run directory was taken away"),
        "{said}"
    );
    assert!(last.contains("Permission denied"), "{said}");
    assert!(last.contains(run_dir.to_str().unwrap()), "{said}");
    assert!(!nodes.into_iter().any(|(_, pid)| is_alive(pid)));
    // In good order: they were asked to.
    assert!(!said.contains("SIGKILL"), "{said}");
    assert!(!run_dir.exists());
}

#[test]
fn another_bullpen_that_has_taken_its_place_is_left_in_peace() {
    let mut first = Cluster::start(&["--nodes", "3"]);
    // It sees nothing of it before all is done.
    first.signal(Signal::SIGSTOP);
    let run_dir = first.home.run_dir();
    fs::rename(&run_dir, first.home.path().join("elsewhere")).unwrap();
    let second = Home::new();
    let mut up = harness::bullpen();
    up.arg("up").arg("--jobs").arg(second.jobs());
    up.arg("--run-dir").arg(&run_dir).args(["--nodes", "3"]);
    let second = second.launch(&mut up);
    await_status(&run_dir);
    first.signal(Signal::SIGCONT);
    let status = first.await_exit(SOON);
    let said = first.stderr();
    assert_eq!(status.code(), Some(3), "{said}");
    let last = said.lines().last().unwrap();
    assert!(
        last.contains("another bullpen runs with the run directory"),
        "{said}"
    );
    assert_eq!(second.nodes().len(), 3);
    for name in [
        "control.sock",
        "events.jsonl",
        "node-0.sock",
        "node-1.sock",
        "node-2.sock",
    ] {
        assert!(run_dir.join(name).exists(), "{name}");
    }
    await_status(&run_dir);
}

#[test]
fn one_whose_rights_were_taken_gets_them_back() {
    let (cluster, run_dir) = cluster_of_a_user();
    fs::set_permissions(&run_dir, Permissions::from_mode(0o000)).unwrap();
    kill_all(&cluster, &["coordinator-2"]);
    eventually(SOON, "it is for its user alone again", || {
        (fs::metadata(&run_dir).unwrap().mode() & 0o777 == 0o700).then_some(())
    });
    await_status(&run_dir);
    cluster.node_named("coordinator-2");
    let said = cluster.stderr();
    assert!(said.contains("mode 0700"), "{said}");
    assert!(!said.contains("ended with exit code"), "{said}");
}

/// Lines of a cluster's standard error.
fn lines_with(cluster: &Cluster, part: &str) -> usize {
    let said = cluster.stderr();
    said.lines().filter(|line| line.contains(part)).count()
}

#[test]
fn a_node_that_lives_and_cannot_be_reached_is_told_of_while_it_lasts() {
    let cluster = Cluster::start(&["--nodes", "3"]);
    let home = &cluster.home;
    let held_back = home.hold_back(1);
    let output = eventually(SOON, "the check fails", || {
        let output = invoke(home, "status", &["--check"]);
        (output.status.code() == Some(1)).then_some(output)
    });
    let complaint = stderr(&output);
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(
        complaint.contains("no peer can reach these nodes"),
        "{complaint}"
    );
    assert!(complaint.contains(": 1;"), "{complaint}");
    assert!(stdout(&output).contains("their sockets are gone: 1\n"));
    let told = status(&home.run_dir()).unwrap();
    assert_eq!(told["nodes"][1]["unreachable"], true);
    assert_eq!(told["nodes"][2]["unreachable"], Value::Null);
    // It is looked at several times, and told once.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(lines_with(&cluster, "cannot bind"), 1);
    assert_eq!(lines_with(&cluster, "no peer can reach"), 1);
    drop(held_back);
    eventually(SOON, "the check is passed again", || checks(home));
    eventually(SOON, "that is told", || {
        cluster
            .stderr()
            .contains("all nodes can be reached")
            .then_some(())
    });
    assert_eq!(cluster.events_named("node_exited").len(), 0);
    assert!(cluster.nodes().len() == 3);
}

#[test]
fn a_node_that_cannot_start_is_told_of_once_and_once_when_it_can() {
    const FAILURES: usize = 6;
    let cluster = Cluster::start(&["--nodes", "3"]);
    let held_back = cluster.home.hold_back(0);
    kill(cluster.node_named("worker-0"), Signal::SIGKILL).unwrap();
    eventually(PATIENCE, "it fails again and again", || {
        let exits = cluster.events_named("node_exited");
        (exits.len() > FAILURES).then_some(())
    });
    assert_eq!(lines_with(&cluster, "cannot bind"), 1);
    assert_eq!(lines_with(&cluster, "ended with exit code"), 1);
    drop(held_back);
    eventually(PATIENCE, "that it can is told", || {
        (lines_with(&cluster, "node 0 can be reached") == 1).then_some(())
    });
}

/// Whatever somebody does to the file of the log: nodes come back, and the log goes on.
#[test]
fn a_log_that_nobody_can_open_keeps_no_node_from_starting() {
    let trial = Trial::start(&["--nodes", "3"]);
    let log = trial.home.run_dir().join("events.jsonl");
    let obstructions: [fn(&Path); 3] = [
        |log| fs::set_permissions(log, Permissions::from_mode(0o000)).unwrap(),
        |log| {
            fs::remove_file(log).unwrap();
            fs::create_dir(log).unwrap();
        },
        |log| {
            fs::remove_file(log).unwrap();
            symlink("/nowhere", log).unwrap();
        },
    ];
    for obstruct in obstructions {
        obstruct(&log);
        let killed: Vec<Pid> = trial.nodes().into_iter().map(|(_, node)| node).collect();
        killed.iter().copied().for_each(kill_node);
        eventually(PATIENCE, "all are back, and on record", || {
            let log = fs::read_to_string(&log).ok()?;
            let acts = log.contains("\"acting\"");
            let nodes = trial.nodes();
            let are_new = nodes.iter().all(|(_, node)| !killed.contains(node));
            (acts && are_new && nodes.len() == 3).then_some(())
        });
        let said = trial.stderr();
        assert!(!said.contains(": cannot open the event log"), "{said}");
        // So that the next one has something to wait for.
        fs::write(&log, "").unwrap();
        trial.node_named("coordinator-2");
    }
}
