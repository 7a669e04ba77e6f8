//! Starts that cannot work: one sentence each, the right exit code, and nothing left behind.

mod harness;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use harness::{Home, copy_of_the_binary, run, stderr, stdout};

/// A user who is nobody in particular.
const NOBODY: u32 = 65_534;

fn refused(command: &mut Command, code: i32, named: &[&str]) {
    let output = run(command);
    let complaint = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{complaint}");
    assert_eq!(stdout(&output), "");
    assert!(complaint.starts_with("bullpen: "), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    for word in named {
        assert!(complaint.contains(word), "{word} is missing: {complaint}");
    }
}

/// What clap refuses: its own words, which name the option.
fn refused_as_usage(command: &mut Command, named: &str) {
    let output = run(command);
    let complaint = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert!(complaint.contains(named), "{named} is missing: {complaint}");
}

#[test]
fn a_jobs_path_that_is_a_file() {
    let home = Home::new();
    fs::write(home.jobs(), "").unwrap();
    refused(&mut home.up(), 3, &["--jobs", "jobs"]);
}

#[test]
fn a_jobs_directory_that_cannot_be_made() {
    let home = Home::new();
    fs::write(home.path().join("file"), "").unwrap();
    let mut up = harness::bullpen();
    up.arg("up")
        .arg("--jobs")
        .arg(home.path().join("file/jobs"));
    up.arg("--run-dir").arg(home.run_dir());
    refused(&mut up, 3, &["--jobs", "file/jobs"]);
    assert!(!home.run_dir().exists());
}

#[test]
fn a_jobs_directory_that_cannot_be_written() {
    let home = Home::new();
    fs::create_dir(home.jobs()).unwrap();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(home.jobs(), Permissions::from_mode(0o555)).unwrap();
    let mut up = home.up();
    if nix::unistd::geteuid().is_root() {
        // Root may write anywhere. Of a binary that others cannot reach, take a copy.
        let copy = copy_of_the_binary(home.path());
        fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
        up = Command::new(copy);
        up.arg("up").arg("--jobs").arg(home.jobs());
        up.arg("--run-dir").arg(home.run_dir());
        up.uid(NOBODY).gid(NOBODY);
    }
    refused(&mut up, 3, &["cannot write", "--jobs"]);
    fs::set_permissions(home.jobs(), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_run_directory_whose_path_is_too_long_for_sockets() {
    let home = Home::new();
    let mut up = harness::bullpen();
    up.arg("up").arg("--jobs").arg(home.jobs());
    up.arg("--run-dir").arg(home.path().join("x".repeat(100)));
    refused(&mut up, 3, &["too long", "--run-dir"]);
}

#[test]
fn numbers_and_timings_that_cannot_work() {
    let home = Home::new();
    for (args, named) in [
        (["--nodes", "1"], "2 to 16"),
        (["--nodes", "17"], "2 to 16"),
        (["--heartbeat", "0ms"], "--heartbeat"),
        (["--heartbeat", "400ms"], "--suspect-after"),
        (["--heartbeat", "10000000000000000000s"], "--heartbeat"),
        (["--delay", "18446744073709551615s"], "--delay"),
        (["--operation-deadline", "100ms"], "--operation-deadline"),
        (["--attempts", "0"], "--attempts"),
        (["--max-n", "100000001"], "--max-n"),
    ] {
        refused(home.up().args(args), 2, &[named]);
    }
    for (args, named) in [
        (["--delay", "5"], "--delay"),
        (["--delay", "fast"], "--delay"),
        (["--suspect-after=-1s", "--nodes=6"], "--suspect-after"),
        (["--nodes", "many"], "--nodes"),
        (["--log-format", "xml"], "--log-format"),
    ] {
        refused_as_usage(home.up().args(args), named);
    }
    refused_as_usage(home.up().env("BULLPEN_DELAY", "soon"), "--delay");
    assert!(!home.jobs().exists());
    assert!(!home.run_dir().exists());
}

#[test]
fn a_largest_n_beyond_the_memory() {
    // 100,000,000! takes 16 nodes some 56 GB.
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap();
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .unwrap();
    let kilobytes: u64 = total.trim().trim_end_matches(" kB").trim().parse().unwrap();
    if kilobytes > 40_000_000 {
        return;
    }
    let home = Home::new();
    let args = ["--nodes", "16", "--max-n", "100000000"];
    refused(
        home.up().args(args),
        3,
        &["--max-n 100000000", "MiB", "at most"],
    );
    assert!(!home.jobs().exists());
    let mut compute = harness::bullpen();
    compute.args([
        "compute",
        "100000000",
        "--nodes",
        "16",
        "--max-n",
        "100000000",
    ]);
    refused(&mut compute, 3, &["MiB"]);
}
