//! Events that cannot be written: on a full disk, and beyond the limit on the size of files.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use crate::harness::disk::Disk;
use crate::harness::{Cluster, Home, PATIENCE, bullpen, eventually, invoke, kill_node, stdout};
use crate::trial::Trial;
use laboratory::log::Log;
use serde_json::Value;

/// An experiment sees a full disk long before any of its waits is over.
const SOON: Duration = Duration::from_secs(12);

/// What `bullpen status --json` tells.
fn status(cluster: &Cluster) -> Value {
    serde_json::from_str(&stdout(&invoke(&cluster.home, "status", &["--json"]))).unwrap()
}

fn lost(cluster: &Cluster) -> u64 {
    status(cluster)["lost_events"].as_u64().unwrap_or(0)
}

/// A cluster whose run directory is on the disk, which is full; events of nodes and of the supervisor
/// are lost.
fn lose_events(disk: &Disk) -> Trial {
    let home = Home::within(disk.path());
    std::os::unix::fs::symlink(tempfile::tempdir().unwrap().keep(), home.jobs()).unwrap();
    let trial = Trial::begin(home, &["--log-size", "0"]);
    trial.await_agreement();
    disk.fill_but(0);
    let mut before = 0;
    for _ in 0..20 {
        kill_node(trial.node_named("coordinator-"));
        eventually(PATIENCE, "another coordinates", || {
            let status = status(&trial);
            before = status["lost_events"].as_u64().unwrap_or(0);
            (status["coordinator"] == 5).then_some(())
        });
        if before > 50 {
            return trial;
        }
    }
    panic!("the log takes everything: {before}");
}

#[test]
fn what_is_lost_is_told_at_once_and_is_on_record_when_there_is_room_again() {
    let name = "what_is_lost_is_told_at_once_and_is_on_record_when_there_is_room_again";
    Disk::provide(name, 1_024, |disk| {
        let trial = lose_events(&disk);
        let told = status(&trial);
        let why = told["lost_why"].as_str().unwrap();
        assert!(why.contains("No space left"), "{told}");
        let page = stdout(&invoke(&trial.home, "status", &[]));
        assert!(page.contains("the event log lacks "), "{page}");
        assert_eq!(trial.log().lost, 0);

        disk.empty();
        eventually(PATIENCE, "what the log lacks is in it", || {
            let lost = lost(&trial);
            (trial.log().lost == lost).then_some(())
        });
        let run = trial.run();
        assert!(!run.log.is_whole());
        let timeline = stdout(&invoke(&trial.home, "timeline", &[]));
        assert!(
            timeline.contains("which could not be written"),
            "{timeline}"
        );
        // The work goes on, and what is missing is held against nobody.
        trial.drop_job("ten", "10!\n");
        assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
        let jobs = fs::read_link(trial.home.jobs()).unwrap();
        trial.conclude();
        fs::remove_dir_all(jobs).unwrap();
    });
}

#[test]
fn what_nobody_had_room_for_until_the_end_is_written_by_the_last_act() {
    let name = "what_nobody_had_room_for_until_the_end_is_written_by_the_last_act";
    Disk::provide(name, 1_024, |disk| {
        let mut trial = lose_events(&disk);
        let before = lost(&trial);
        // It does not see the room before it is asked to end.
        nix::sys::signal::kill(trial.pid(), nix::sys::signal::Signal::SIGSTOP).unwrap();
        disk.empty();
        for signal in [
            nix::sys::signal::Signal::SIGTERM,
            nix::sys::signal::Signal::SIGCONT,
        ] {
            nix::sys::signal::kill(trial.pid(), signal).unwrap();
        }
        assert_eq!(trial.cluster.await_exit(PATIENCE).code(), Some(0));
        let log = Log::read(&trial.home.run_dir().join("events.jsonl"));
        assert!(log.lost >= before, "{} of {before}", log.lost);
        fs::remove_dir_all(fs::read_link(trial.home.jobs()).unwrap()).unwrap();
    });
}

/// An experiment whose private folder is in a temporary directory of its own.
fn experiment(temporary: &Path, output: &tempfile::TempDir, args: &[&str]) -> Child {
    let file = |name| File::create(output.path().join(name)).unwrap();
    bullpen()
        .env("TMPDIR", temporary)
        .args(["experiment", "--rounds", "100000", "--every", "50ms"])
        .args(["--n", "400", "--delay", "5ms"])
        .args(args)
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn()
        .unwrap()
}

#[test]
fn an_experiment_without_room_says_so_and_does_not_tell_of_violations() {
    let name = "an_experiment_without_room_says_so_and_does_not_tell_of_violations";
    Disk::provide(name, 8_192, |disk| {
        for signal in ["KILL", "STOP"] {
            let output = tempfile::tempdir().unwrap();
            let report = output.path().join("report");
            let report = report.to_str().unwrap();
            let args = ["--signal", signal, "--json", "--report", report];
            let mut child = experiment(disk.path(), &output, &args);
            let folder = eventually(PATIENCE, "a job is done", || {
                let mut folders = fs::read_dir(disk.path()).unwrap().flatten();
                let folder: PathBuf = folders.next()?.path();
                let done = fs::read_dir(folder.join("jobs/done")).ok()?;
                (done.count() > 0).then_some(folder)
            });
            disk.fill_but(0);
            let status = eventually(SOON, "it ends", || child.try_wait().unwrap());
            let said = fs::read_to_string(output.path().join("stderr")).unwrap();
            let json = fs::read_to_string(output.path().join("stdout")).unwrap();
            assert_eq!(status.code(), Some(4), "{said}\n{json}");
            let last = said.lines().last().unwrap();
            let folder = folder.to_str().unwrap();
            for word in ["cannot tell", "No space left", folder, "TMPDIR"] {
                assert!(last.contains(word), "{word}: {said}");
            }
            let json: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(json["sound"], Value::Null, "{json}");
            assert_eq!(json["violations"], serde_json::json!([]), "{json}");
            let page = fs::read_to_string(output.path().join("report/index.html")).unwrap();
            assert!(!page.contains("class=\"badge"));
            disk.empty();
        }
    });
}

/// Its jobs have room, and so it would otherwise wait for events that never come.
#[test]
fn a_run_directory_without_room_is_named() {
    Disk::provide("a_run_directory_without_room_is_named", 8_192, |disk| {
        let output = tempfile::tempdir().unwrap();
        let run_dir = disk.path().join("run");
        let args = ["--run-dir", run_dir.to_str().unwrap()];
        let elsewhere = tempfile::tempdir().unwrap();
        let mut child = experiment(elsewhere.path(), &output, &args);
        eventually(PATIENCE, "nodes act", || {
            let log = Log::read(&run_dir.join("events.jsonl"));
            (log.named("acting").count() > 2).then_some(())
        });
        disk.fill_but(0);
        let status = eventually(SOON, "it ends", || child.try_wait().unwrap());
        let said = fs::read_to_string(output.path().join("stderr")).unwrap();
        let table = fs::read_to_string(output.path().join("stdout")).unwrap();
        assert_eq!(status.code(), Some(4), "{said}\n{table}");
        let last = said.lines().last().unwrap();
        for word in [
            "cannot tell",
            "No space left",
            run_dir.to_str().unwrap(),
            "--run-dir",
        ] {
            assert!(last.contains(word), "{word}: {said}");
        }
        let verdict = table.lines().last().unwrap();
        assert!(verdict.contains("cannot tell: "), "{table}");
        assert!(verdict.contains("events are missing"), "{table}");
    });
}

/// Limits the size of the files of a command.
fn limit_files(command: &mut Command, bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    let set = move || {
        // SAFETY: the limit is valid for reads for the whole call.
        match unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: makes one system call, and allocates nothing.
    unsafe { command.pre_exec(set) };
}

#[test]
fn a_limit_on_the_size_of_files_costs_events_and_no_process() {
    let home = Home::new();
    let mut command = home.up();
    command.args(["--trace-operations", "--delay", "1ms"]);
    limit_files(&mut command, 40_000);
    let cluster = home.launch(&mut command);
    cluster.await_coordinator();
    for job in ["one", "two", "three"] {
        cluster.drop_job(job, "700!\n");
        cluster.await_results(job, PATIENCE);
    }
    eventually(PATIENCE, "events are lost", || {
        (lost(&cluster) > 100).then_some(())
    });
    let told = status(&cluster);
    let why = told["lost_why"].as_str().unwrap();
    assert!(why.contains("File too large"), "{told}");
    for node in told["nodes"].as_array().unwrap() {
        assert_eq!(node["restarts"], 0, "{told}");
    }
    let log = fs::metadata(cluster.home.run_dir().join("events.jsonl")).unwrap();
    assert_eq!(log.len(), 40_000);
    assert!(cluster.log().torn.len() <= 6, "{:?}", cluster.log().torn);
}
