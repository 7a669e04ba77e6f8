//! A file system that does not answer: told of, waited for by nobody who need not, and handed over once.

use std::fs;
use std::time::Duration;

use crate::harness::fuse::{Kind, Mount};
use crate::harness::{Home, PATIENCE, eventually, invoke, stderr, stdout};
use crate::trial::Trial;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use serde_json::Value;

/// Three seconds until a hang is told of, and a moment for a busy machine.
const TOLD: Duration = Duration::from_secs(10);

/// A thread that is stopped, alone in its process. It goes on when this is dropped, on the same thread
/// of the test, and before the process ends: who is dead would else wait for it.
struct Frozen(Pid);

impl Frozen {
    /// Stops the thread of this name. None, with a message, where nobody may trace.
    fn new(process: Pid, name: &str) -> Option<Frozen> {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let mut tasks = tasks.map(|task| task.unwrap().path());
        let named = tasks.find(|task| {
            let comm = fs::read_to_string(task.join("comm")).unwrap_or_default();
            comm.trim_end() == name
        });
        let tid = named
            .unwrap()
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .parse();
        let tid = Pid::from_raw(tid.unwrap());
        match ptrace::seize(tid, ptrace::Options::empty()) {
            Ok(()) => {}
            Err(Errno::EPERM | Errno::ENOSYS) => {
                eprintln!("skipped: a thread cannot be traced here");
                return None;
            }
            Err(error) => panic!("cannot trace {tid}: {error}"),
        }
        ptrace::interrupt(tid).unwrap();
        waitpid(tid, Some(WaitPidFlag::__WALL)).unwrap();
        Some(Frozen(tid))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = ptrace::detach(self.0, None);
    }
}

fn slow_ms(trial: &Trial, node: usize) -> u64 {
    let output = invoke(&trial.home, "status", &["--json"]);
    let status: Value = serde_json::from_str(&stdout(&output)).unwrap();
    status["nodes"][node]["slow_file_ms"].as_u64().unwrap()
}

#[test]
fn a_coordinator_whose_file_thread_hangs_hands_over_and_the_work_is_done() {
    let trial = Trial::start(&["--nodes", "4"]);
    let coordinator = trial.node_named("coordinator-3");
    assert_eq!(slow_ms(&trial, 3), 0);
    let Some(frozen) = Frozen::new(coordinator, "files") else {
        return;
    };
    trial.drop_job("ten", "10!\n");
    assert_eq!(trial.await_results("ten", TOLD), "10!=3628800\n");
    let slow = trial.events_named("file_call_slow");
    assert!(
        slow.len() == 1 && slow[0]["node"] == 3 && slow[0]["ms"].as_u64() >= Some(3_000),
        "{slow:?}"
    );
    let gave_way = trial.events_named("stepped_down");
    assert!(
        gave_way.len() == 1 && gave_way[0]["why"] == "file_call_slow",
        "{gave_way:?}"
    );
    assert_eq!(
        trial.stderr().matches("has not answered for 3 s").count(),
        1
    );
    // It is told as long as it lasts, and the one that coordinates is well.
    eventually(PATIENCE, "the hang is told", || {
        (slow_ms(&trial, 3) > 4_000).then_some(())
    });
    let status = invoke(&trial.home, "status", &["--check"]);
    assert!(
        stdout(&status).contains("node 3: the file system has not answered for "),
        "{}",
        stdout(&status)
    );
    assert_eq!(status.status.code(), Some(0), "{}", stderr(&status));
    // More work is done, and the office stays where it is.
    trial.drop_job("twenty", "20!\n");
    trial.await_results("twenty", PATIENCE);
    assert_eq!(trial.events_named("election_won").len(), 2);
    // Nobody was killed for it.
    assert_eq!(trial.count("node_exited"), 0);
    drop(frozen);
    trial.await_agreement();
    assert_eq!(trial.stderr().matches("answers again, after ").count(), 1);
    assert_eq!(slow_ms(&trial, 3), 0);
    trial.conclude();
}

#[test]
fn a_disk_that_hangs_for_all_is_handed_over_once_at_most() {
    let Some(mount) = Mount::new(Kind::Bindfs) else {
        return;
    };
    let home = Home::new();
    mount.hold_jobs_of(&home);
    let trial = Trial::begin(home, &["--nodes", "4"]);
    trial.await_agreement();
    let won = trial.count("election_won");
    mount.signal(Signal::SIGSTOP);
    eventually(TOLD * 2, "both have told of it", || {
        (trial.events_named("file_call_slow").len() == 2).then_some(())
    });
    let check = invoke(&trial.home, "status", &["--check"]);
    assert_eq!(check.status.code(), Some(1));
    let complaint = stderr(&check);
    assert!(
        complaint.contains("node 2 coordinates, and the file system"),
        "{complaint}"
    );
    // Long enough for a third to be asked.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(trial.count("election_won"), won + 1);
    assert_eq!(trial.events_named("file_call_slow").len(), 2);
    assert_eq!(trial.count("node_exited"), 0);
    mount.signal(Signal::SIGCONT);
    fs::write(mount.path().join(".ten.tmp"), "10!\n").unwrap();
    fs::rename(mount.path().join(".ten.tmp"), mount.path().join("ten.job")).unwrap();
    assert_eq!(trial.await_whole("ten", PATIENCE), "10!=3628800\n");
    trial.await_agreement();
    assert_eq!(trial.count("election_won"), won + 2);
    trial.conclude();
}
