//! Run directories that somebody else made, under a name that the commands look for.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use crate::harness::fake::{run_to_its_end, serve};
use crate::harness::{Home, assert_one_sentence, bullpen, copy_of_the_binary, stdout};
use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};

const NOBODY: u32 = 65_534;
const STRANGER: u32 = 1_234;
/// What a supervisor says of a cluster without nodes.
const ANSWER: &str = r#"{"status":{"term":7,"coordinator":null,"nodes":[],"jobs":[]}}"#;
const EVENT: &str = r#"{"mono_ns":1,"node":5,"incarnation":6,"term":1,"event":"acting"}"#;

/// Every command that visits a run directory.
const COMMANDS: [&[&str]; 7] = [
    &["status"],
    &["status", "--json"],
    &["kill", "all"],
    &["top"],
    &["metrics"],
    &["metrics", "--listen", "127.0.0.1:0"],
    &["timeline"],
];

fn on(mut command: Command, args: &[&str], run_dir: &Path) -> Command {
    command.args(args).arg("--run-dir").arg(run_dir);
    command
}

/// A run directory in which all is as a supervisor leaves it.
fn make(run_dir: &Path) {
    fs::create_dir(run_dir).unwrap();
    fs::set_permissions(run_dir, Permissions::from_mode(0o755)).unwrap();
    serve(run_dir, ANSWER);
    let log = run_dir.join("events.jsonl");
    fs::write(&log, format!("{EVENT}\n")).unwrap();
    fs::set_permissions(&log, Permissions::from_mode(0o644)).unwrap();
}

fn assert_all_refuse(command: impl Fn() -> Command, run_dir: &Path, why: &[&str]) {
    for args in COMMANDS {
        let output = run_to_its_end(&mut on(command(), args, run_dir));
        let complaint = assert_one_sentence(&output, 3);
        for word in why.iter().chain(&["--run-dir"]) {
            assert!(complaint.contains(word), "{args:?}: {complaint}");
        }
    }
}

/// None, and a word about it, if this is not root, who alone can be several users.
fn home_for_others() -> Option<Home> {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can work as somebody else");
        return None;
    }
    let home = Home::new();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    Some(home)
}

/// The binary as another user, in a place that this one can reach.
fn bullpen_of_nobody(home: &Home) -> Command {
    let mut binary = home.path().join("bullpen");
    if !binary.exists() {
        binary = copy_of_the_binary(home.path());
    }
    let mut command = Command::new("setpriv");
    let user = format!("--reuid={NOBODY}");
    let group = format!("--regid={NOBODY}");
    command.args([&user, &group, "--clear-groups"]).arg(binary);
    command
}

#[test]
fn a_link_to_a_run_directory_is_not_followed() {
    let home = Home::new();
    make(&home.run_dir());
    let visited = run_to_its_end(&mut on(bullpen(), &["status"], &home.run_dir()));
    assert!(stdout(&visited).starts_with("term 7"));

    let link = home.path().join("link");
    symlink(home.run_dir(), &link).unwrap();
    assert_all_refuse(bullpen, &link, &["symbolic link"]);
}

#[test]
fn one_that_others_may_write_to_is_not_believed() {
    let home = Home::new();
    make(&home.run_dir());
    fs::set_permissions(home.run_dir(), Permissions::from_mode(0o777)).unwrap();
    assert_all_refuse(bullpen, &home.run_dir(), &["chmod 700"]);
}

#[test]
fn that_of_a_stranger_is_neither_asked_nor_read() {
    let Some(home) = home_for_others() else {
        return;
    };
    make(&home.run_dir());
    for mode in [0o755, 0o700] {
        fs::set_permissions(home.run_dir(), Permissions::from_mode(mode)).unwrap();
        chown(home.run_dir(), Some(STRANGER), Some(STRANGER)).unwrap();
        assert_all_refuse(
            || bullpen_of_nobody(&home),
            &home.run_dir(),
            &["belongs to user 1234", "this is user 65534"],
        );
    }
}

#[test]
fn a_server_that_is_not_the_owner_of_the_folder_is_not_asked() {
    let Some(home) = home_for_others() else {
        return;
    };
    make(&home.run_dir());
    chown(home.run_dir(), Some(STRANGER), Some(STRANGER)).unwrap();
    // Root asks as the owner; the server is root.
    for args in [&["status"][..], &["kill", "all"], &["metrics"]] {
        let output = run_to_its_end(&mut on(bullpen(), args, &home.run_dir()));
        let complaint = assert_one_sentence(&output, 3);
        assert!(complaint.contains("is user 0"), "{complaint}");
        assert!(complaint.contains("belongs to user 1234"), "{complaint}");
        assert!(complaint.contains("--run-dir"), "{complaint}");
    }
    // A file of another user's in it may be a link's other name.
    let output = run_to_its_end(&mut on(bullpen(), &["timeline"], &home.run_dir()));
    let complaint = assert_one_sentence(&output, 3);
    assert!(complaint.contains("another user"), "{complaint}");
}

#[test]
fn what_is_no_event_log_is_not_read_and_holds_up_nobody() {
    let home = Home::new();
    make(&home.run_dir());
    let log = home.run_dir().join("events.jsonl");
    let secret = home.path().join("secret");
    fs::rename(&log, &secret).unwrap();
    for prepare in [&(|| symlink(&secret, &log).unwrap()) as &dyn Fn(), &|| {
        mkfifo(&log, Mode::S_IRWXU).unwrap()
    }] {
        prepare();
        for args in [
            &["timeline"][..],
            &["timeline", "--html", "-"],
            &["metrics"],
        ] {
            let output = run_to_its_end(&mut on(bullpen(), args, &home.run_dir()));
            let complaint = assert_one_sentence(&output, 3);
            assert!(complaint.contains("no regular file"), "{complaint}");
            assert!(complaint.contains("events.jsonl"), "{complaint}");
        }
        fs::remove_file(&log).unwrap();
    }
}
