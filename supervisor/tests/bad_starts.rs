//! Starts that cannot work: one sentence each, the right exit code, and nothing left behind.

use std::fs::{self, File, Permissions};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::harness::fuse::{Kind, Mount};
use crate::harness::{self, Home, copy_of_the_binary, run, stderr, stdout};
use protocol::config::Config;

/// A user who is nobody in particular.
const NOBODY: u32 = 65_534;
/// The number of a descriptor that a node is passed; far from those that it opens itself.
const PASSED: RawFd = 50;

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

/// No job could be renamed into it, or its text would appear somewhere else.
#[test]
fn a_folder_for_jobs_that_is_a_link_to_one() {
    for name in ["running", "done", "failed"] {
        let home = Home::new();
        fs::create_dir(home.jobs()).unwrap();
        fs::create_dir(home.path().join("elsewhere")).unwrap();
        let link = home.jobs().join(name);
        std::os::unix::fs::symlink(home.path().join("elsewhere"), &link).unwrap();
        let link = link.display().to_string();
        refused(&mut home.up(), 3, &[&link, "is a symbolic link", "--jobs"]);
    }
}

#[test]
fn a_folder_for_jobs_on_another_file_system() {
    for name in ["running", "done", "failed"] {
        let home = Home::new();
        let folder = home.jobs().join(name);
        fs::create_dir_all(&folder).unwrap();
        let Some(_mount) = Mount::on(Kind::Bindfs, &folder) else {
            return;
        };
        let folder = folder.display().to_string();
        refused(
            &mut home.up(),
            3,
            &[&folder, "another file system", "--jobs"],
        );
    }
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

/// `bullpen node` by hand, by the parent that it asks for.
fn node_by_hand(descriptors: &[&str]) -> Command {
    let home = Home::new();
    let mut node = harness::bullpen();
    node.args(["node", "--id", "0", "--incarnation", "1", "--term", "0"]);
    node.args([
        "--config",
        &serde_json::to_string(&Config::default()).unwrap(),
    ]);
    node.arg("--supervisor").arg(std::process::id().to_string());
    node.arg("--run-dir").arg(home.path());
    node.arg("--jobs").arg(home.jobs());
    node.args(descriptors);
    node
}

#[test]
fn descriptors_that_were_not_passed_to_a_node() {
    for descriptors in [
        // No descriptors at all.
        &["--control-fd=-1"][..],
        &["--control-fd=-2147483648"],
        &["--control-fd=2147483647"],
        // Not open; a node that opens something first would take that for it.
        &["--control-fd=3"],
        &["--control-fd=4"],
        &["--control-fd=5"],
        // Everybody has the standard streams.
        &["--control-fd=0"],
        &["--control-fd=1"],
        &["--control-fd=2"],
    ] {
        refused_by_hand(&mut node_by_hand(descriptors), descriptors);
    }
}

#[test]
fn what_watches_the_jobs_directory_by_hand() {
    let mut watch = harness::bullpen();
    watch.args(["watch", "--control-fd=3", "--jobs=jobs", "--supervisor"]);
    watch.arg(std::process::id().to_string());
    refused(&mut watch, 3, &["is started by `bullpen up`, not by hand"]);
}

#[test]
fn a_control_link_that_is_no_socket() {
    let file = File::open("/dev/null").unwrap();
    let descriptors = [&format!("--control-fd={PASSED}")[..]];
    let mut node = node_by_hand(&descriptors);
    pass(&mut node, file.as_raw_fd());
    refused_by_hand(&mut node, &descriptors);
}

/// Passes a descriptor on as [`PASSED`].
fn pass(command: &mut Command, fd: RawFd) {
    // SAFETY: the closure makes one system call and allocates nothing.
    unsafe {
        command.pre_exec(move || match libc::dup2(fd, PASSED) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}

fn refused_by_hand(node: &mut Command, descriptors: &[&str]) {
    let output = run(node);
    let complaint = stderr(&output);
    assert_eq!(
        output.status.code(),
        Some(3),
        "{descriptors:?}: {complaint}"
    );
    assert_eq!(complaint.lines().count(), 1, "{descriptors:?}: {complaint}");
    let sentence = "nodes are started by `bullpen up`, not by hand";
    assert!(complaint.contains(sentence), "{descriptors:?}: {complaint}");
}
