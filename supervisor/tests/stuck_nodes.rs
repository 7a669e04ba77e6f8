//! Nodes that the system does not let end: each command says so in time, and leaves them.

use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::harness::freezer::Freezer;
use crate::harness::{
    Cluster, Home, PATIENCE, bullpen, children, eventually, is_alive, process_name, stderr,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The grace, the time that killed processes have, and a busy machine.
const WITH_GRACE: Duration = Duration::from_secs(12);
/// The same without the grace.
const WITHOUT_GRACE: Duration = Duration::from_millis(4_500);
/// The exit code of who has left a process.
const LEFT: i32 = 5;

/// Those that were held end when they are let go.
fn assert_end(freezer: &Freezer, pids: &[Pid]) {
    freezer.thaw();
    eventually(PATIENCE, "they end", || {
        (!pids.iter().any(|&pid| is_alive(pid))).then_some(())
    });
}

fn assert_named(said: &str, node: u8, pid: Pid) {
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("bullpen: "), "{said}");
    assert!(last.contains(&format!("node {node} (pid {pid}")), "{said}");
    assert!(last.contains("was left"), "{said}");
}

#[test]
fn a_service_leaves_them_after_the_grace() {
    let Some(freezer) = Freezer::new("up") else {
        return;
    };
    let mut cluster = Cluster::start(&["--nodes", "3"]);
    let stuck = [
        cluster.node_named("worker-0"),
        cluster.node_named("coordinator-2"),
    ];
    freezer.freeze(&stuck);
    cluster.signal(Signal::SIGTERM);
    let status = cluster.await_exit(WITH_GRACE);
    let said = cluster.stderr();
    assert_eq!(status.code(), Some(LEFT), "{said}");
    assert_named(&said, 0, stuck[0]);
    assert_named(&said, 2, stuck[1]);
    assert!(said.contains("waits in the kernel"), "{said}");
    assert!(!said.contains("node 1 (pid"), "{said}");
    let left: Vec<_> = fs::read_dir(cluster.home.run_dir()).unwrap().collect();
    assert_eq!(left.len(), 1, "its sockets are gone: {left:?}");
    assert_end(&freezer, &stuck);
}

#[test]
fn a_second_signal_skips_the_grace() {
    let Some(freezer) = Freezer::new("second") else {
        return;
    };
    let mut cluster = Cluster::start(&["--nodes", "3"]);
    let stuck = [cluster.node_named("worker-1")];
    freezer.freeze(&stuck);
    let asked = Instant::now();
    for _ in 0..2 {
        cluster.signal(Signal::SIGTERM);
        eventually(PATIENCE, "it has heard of it", || {
            cluster.stderr().contains("stopping").then_some(())
        });
    }
    let status = cluster.await_exit(WITH_GRACE);
    let took = asked.elapsed();
    assert_eq!(status.code(), Some(LEFT), "{}", cluster.stderr());
    assert!(took < WITHOUT_GRACE, "{took:?}");
    assert_end(&freezer, &stuck);
}

/// The processes of these names below one, which may be stopped once they are there.
fn await_node(supervisor: Pid, name: &str) -> Pid {
    eventually(PATIENCE, &format!("{name} runs"), || {
        let mut nodes = children(supervisor).into_iter();
        nodes.find(|&pid| process_name(pid).is_some_and(|found| found == name))
    })
}

fn start(home: &Home, args: &[&str]) -> (Child, Pid) {
    let mut command = bullpen();
    command.args(args).arg("--run-dir").arg(home.run_dir());
    let command = command.env("TMPDIR", home.path());
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    (child, pid)
}

fn await_end(mut child: Child) -> std::process::Output {
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually(WITH_GRACE, "it ends", || child.try_wait().unwrap());
    }));
    if let Err(late) = ended {
        child.kill().unwrap();
        std::panic::resume_unwind(late);
    }
    // What is left holds its standard error open until it is let go.
    child.wait_with_output().unwrap()
}

#[test]
fn compute_leaves_them_when_it_is_done_and_when_it_is_interrupted() {
    for is_interrupted in [false, true] {
        let Some(freezer) = Freezer::new("compute") else {
            return;
        };
        let home = Home::new();
        let args = ["compute", "200!", "--delay=20ms", "--nodes=4"];
        let (child, pid) = start(&home, &args);
        let _ = await_node(pid, "coordinator-3");
        let stuck = [await_node(pid, "worker-0")];
        freezer.freeze(&stuck);
        if is_interrupted {
            kill(pid, Signal::SIGINT).unwrap();
        }
        // It holds the pipe, too: it is let go when the command has ended.
        eventually(PATIENCE, "the command ends", || {
            (!is_alive(pid)).then_some(())
        });
        assert!(is_alive(stuck[0]));
        assert_end(&freezer, &stuck);
        let output = await_end(child);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(LEFT), "{said}");
        assert_named(&said, 0, stuck[0]);
        let results = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            results.starts_with("200!=788657867"),
            !is_interrupted,
            "{results}"
        );
        let left: Vec<_> = fs::read_dir(home.path()).unwrap().collect();
        assert!(left.len() <= 1, "{left:?}");
    }
}

#[test]
fn an_experiment_leaves_them_and_says_so() {
    let Some(freezer) = Freezer::new("experiment") else {
        return;
    };
    let home = Home::new();
    let args = [
        "experiment",
        "--rounds=20",
        "--nodes=3",
        "--n=200",
        "--every=300ms",
    ];
    let (child, pid) = start(&home, &args);
    let up = eventually(PATIENCE, "its cluster runs", || children(pid).pop());
    let _ = await_node(up, "coordinator-2");
    let stuck = [await_node(up, "worker-0")];
    freezer.freeze(&stuck);
    kill(pid, Signal::SIGINT).unwrap();
    eventually(3 * WITH_GRACE, "the command ends", || {
        (!is_alive(pid)).then_some(())
    });
    assert!(is_alive(stuck[0]));
    assert_end(&freezer, &stuck);
    let output = await_end(child);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(LEFT), "{said}");
    assert_named(&said, 0, stuck[0]);
    assert!(output.stdout.starts_with(b"1 ") || !output.stdout.is_empty());
}
