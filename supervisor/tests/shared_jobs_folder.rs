//! What others who may write to the jobs directory can do to it: put links, folders and locks in the
//! way, drop what is not theirs to read, and ask for too much.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::process::{Child, Command, Stdio};

use crate::harness::{
    self, Cluster, Home, PATIENCE, assert_one_sentence, eventually, invoke, run, stdout,
};
use crate::trial::Trial;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::unistd::geteuid;
use serde_json::Value;

/// The owner of the jobs directory, another member of its group, and that group.
const OWNER: u32 = 64_001;
const MEMBER: u32 = 64_002;
const GROUP: u32 = 64_000;

/// Directories of which the jobs directory belongs to a user, and may be written by a group. None if
/// this is not root, who alone can make such a thing.
fn shared_home() -> Option<Home> {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can work as two users");
        return None;
    }
    let home = Home::new();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(home.jobs()).unwrap();
    chown(home.jobs(), Some(OWNER), Some(GROUP)).unwrap();
    fs::set_permissions(home.jobs(), Permissions::from_mode(0o2775)).unwrap();
    Some(home)
}

/// A command of another member of the group.
fn as_member(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    let ids = [("--reuid", MEMBER), ("--regid", GROUP)];
    for (option, id) in ids {
        command.arg(option).arg(id.to_string());
    }
    command
        .arg("--clear-groups")
        .arg(program)
        .stdin(Stdio::null());
    command
}

/// Exchanges a folder of the jobs directory with something that another member has made, in one step
/// as whoever may write to the directory can; a second time takes it back.
fn exchange(home: &Home, folder: &str, other: &str) {
    let [folder, other] = [folder, other].map(|name| home.jobs().join(name));
    let flags = RenameFlags::RENAME_EXCHANGE;
    renameat2(AT_FDCWD, &folder, AT_FDCWD, &other, flags).unwrap();
}

fn start(home: Home, args: &[&str]) -> Trial {
    let trial = Trial::begin(home, args);
    trial.await_agreement();
    trial
}

fn await_told(trial: &Cluster, sentence: &str) {
    eventually(PATIENCE, sentence, || {
        trial.stderr().contains(sentence).then_some(())
    });
}

/// What the service was told to call itself in the names of hidden texts.
fn run_token(trial: &Trial) -> String {
    let (_, node) = trial.nodes().remove(0);
    let arguments = fs::read_to_string(format!("/proc/{node}/cmdline")).unwrap();
    let settings = arguments
        .split('\0')
        .find(|argument| argument.starts_with("{\"nodes\""));
    let settings: Value = serde_json::from_str(settings.unwrap()).unwrap();
    settings["run"].as_str().unwrap().to_owned()
}

#[test]
fn links_in_a_folder_of_somebody_else_lead_no_text_astray() {
    let Some(home) = shared_home() else { return };
    let trial = start(home, &[]);
    let profile = trial.home.path().join("profile");
    fs::write(&profile, "precious\n").unwrap();
    chown(&profile, Some(OWNER), None).unwrap();
    let epoch = trial.events_named("acting").pop().unwrap();
    let hidden = format!(
        ".ten.{}.{}.{}.{}",
        run_token(&trial),
        epoch["term"],
        epoch["node"],
        epoch["incarnation"]
    );
    let mine = trial.home.jobs().join("mine");
    fs::create_dir(&mine).unwrap();
    chown(&mine, Some(MEMBER), Some(GROUP)).unwrap();
    fs::set_permissions(&mine, Permissions::from_mode(0o777)).unwrap();
    for ending in ["part", "done.txt", "failed.txt"] {
        symlink(&profile, mine.join(format!("{hidden}.{ending}"))).unwrap();
    }
    exchange(&trial.home, "running", "mine");
    trial.drop_job("ten", "10!\n");
    await_told(&trial, "belongs to user 64002");
    assert_eq!(fs::read_to_string(&profile).unwrap(), "precious\n");
    assert!(trial.home.jobs().join("ten.job").exists(), "it waits");

    exchange(&trial.home, "running", "mine");
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    let replaced = trial.events_named("folder_replaced");
    assert_eq!(replaced.len(), 1, "{replaced:?}");
    assert_eq!(replaced[0]["folder"], "running");
    assert_eq!(fs::read_to_string(&profile).unwrap(), "precious\n");
    fs::remove_dir_all(&mine).unwrap();
    trial.conclude();
}

#[test]
fn a_folder_that_becomes_a_link_while_the_service_runs_is_not_followed() {
    let Some(home) = shared_home() else { return };
    let trial = start(home, &[]);
    let elsewhere = trial.home.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    chown(&elsewhere, Some(OWNER), None).unwrap();
    symlink(&elsewhere, trial.home.jobs().join("mine")).unwrap();
    exchange(&trial.home, "failed", "mine");
    trial.drop_job("bad", "abc\n");
    await_told(&trial, "failed is a symbolic link");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    exchange(&trial.home, "failed", "mine");
    eventually(PATIENCE, "the reasons", || {
        fs::read_to_string(trial.home.jobs().join("failed/bad.txt")).ok()
    });
    await_told(&trial, "can be used again");
    fs::remove_file(trial.home.jobs().join("mine")).unwrap();
    trial.conclude();
}

#[test]
fn running_is_taken_from_all_others_and_a_strangers_is_refused() {
    let Some(home) = shared_home() else { return };
    let running = home.jobs().join("running");
    fs::create_dir(&running).unwrap();
    chown(&running, Some(MEMBER), Some(GROUP)).unwrap();
    let refused = run(&mut home.up());
    assert_eq!(refused.status.code(), Some(3));
    let refused = harness::stderr(&refused);
    assert!(
        refused.contains("running belongs to user 64002"),
        "{refused}"
    );
    assert!(refused.contains("chown 64001"), "{refused}");

    chown(&running, Some(OWNER), Some(GROUP)).unwrap();
    fs::set_permissions(&running, Permissions::from_mode(0o777)).unwrap();
    let trial = start(home, &[]);
    assert_eq!(fs::metadata(&running).unwrap().mode() & 0o777, 0o711);
    trial.conclude();
}

#[test]
fn a_lock_of_another_user_keeps_nobody_from_starting() {
    let Some(home) = shared_home() else { return };
    let flock = |folder: &str| {
        let mut command = as_member("flock");
        // Without a fork it is this process that has the lock, and ends with it.
        command
            .args(["--exclusive", "--no-fork", folder, "sleep", "600"])
            .current_dir(home.jobs());
        command
    };
    // Made by the service, so nobody else may open it.
    fs::create_dir(home.jobs().join("running")).unwrap();
    chown(home.jobs().join("running"), Some(OWNER), None).unwrap();
    fs::set_permissions(home.jobs().join("running"), Permissions::from_mode(0o711)).unwrap();
    let refused = flock("running").output().unwrap();
    assert!(harness::stderr(&refused).contains("Permission denied"));
    let mut holder: Child = flock(".").spawn().unwrap();
    eventually(PATIENCE, "the folder is locked", || {
        let folder = File::open(home.jobs()).unwrap();
        folder.try_lock().is_err().then_some(())
    });
    let trial = start(home, &[]);
    trial.drop_job("ten", "10!\n");
    trial.await_results("ten", PATIENCE);
    holder.kill().unwrap();
    holder.wait().unwrap();
    trial.conclude();
}

#[test]
fn a_second_cluster_is_refused_also_after_running_was_replaced() {
    let Some(home) = shared_home() else { return };
    let trial = start(home, &[]);
    fs::rename(
        trial.home.jobs().join("running"),
        trial.home.jobs().join("old"),
    )
    .unwrap();
    trial.drop_job("ten", "10!\n");
    trial.await_results("ten", PATIENCE);
    let mut second = harness::bullpen();
    second.arg("up").arg("--jobs").arg(trial.home.jobs());
    second.arg("--run-dir").arg(trial.home.path().join("other"));
    let refused = run(&mut second);
    assert_eq!(
        refused.status.code(),
        Some(3),
        "{}",
        harness::stderr(&refused)
    );
    assert!(harness::stderr(&refused).contains("another bullpen works"));
    fs::remove_dir_all(trial.home.jobs().join("old")).unwrap();
    trial.conclude();
}

#[test]
fn only_names_of_jobs_are_taken_and_each_other_is_mentioned_once() {
    let home = Home::new();
    fs::create_dir(home.jobs()).unwrap();
    fs::write(home.jobs().join("notes.txt"), "my notes\n").unwrap();
    fs::write(home.jobs().join("\u{202e}gpj.exe"), "10!\n").unwrap();
    let mut trial = home.start(&[]);
    trial.await_agreement();
    for (name, text) in [("ten.JOB", "10!\n"), ("eleven.Job", "11!\n")] {
        fs::write(trial.home.jobs().join(name), text).unwrap();
    }
    trial.await_results("ten", PATIENCE);
    trial.await_results("eleven", PATIENCE);
    await_told(&trial, "notes.txt is no job: its name does not end in .job");
    await_told(&trial, "\\u{202e}gpj.exe is no job");
    // Neither another look nor another coordinator tells of it again.
    harness::kill_node(trial.await_coordinator());
    fs::write(trial.home.jobs().join("other.txt"), "").unwrap();
    await_told(&trial, "other.txt is no job");
    assert_eq!(trial.stderr().matches("notes.txt").count(), 1);
    let notes = fs::read_to_string(trial.home.jobs().join("notes.txt")).unwrap();
    assert_eq!(notes, "my notes\n");
    let status = invoke(&trial.home, "status", &["--json"]);
    let status: Value = serde_json::from_str(&stdout(&status)).unwrap();
    assert_eq!(
        status["ignored"],
        serde_json::json!(["notes.txt", "other.txt", "\u{202e}gpj.exe"])
    );
    trial.signal(nix::sys::signal::Signal::SIGTERM);
    trial.await_exit(PATIENCE);

    trial.start_again(&["--accept", "notes.*"]);
    let reasons = eventually(PATIENCE, "it is a job now", || {
        fs::read_to_string(trial.home.jobs().join("failed/notes.txt")).ok()
    });
    assert!(reasons.contains("my notes"), "{reasons}");
    assert!(trial.home.jobs().join("failed/notes.job").exists());
}

/// `/proc` stands for all of them: nothing can be made there, whatever the code under test does.
#[test]
fn the_systems_own_folders_and_links_to_them_are_left_alone() {
    let home = Home::new();
    symlink("/proc", home.jobs()).unwrap();
    let refused = assert_one_sentence(&run(&mut home.up()), 3);
    assert!(
        refused.contains("/proc is a folder of the system"),
        "{refused}"
    );
}

#[test]
fn the_text_of_a_private_file_is_private() {
    let Some(home) = shared_home() else { return };
    let trial = start(home, &[]);
    let drop_private = |name: &str, content: &str, mode| {
        let part = trial.home.jobs().join(".part");
        fs::write(&part, content).unwrap();
        chown(&part, Some(OWNER), Some(GROUP)).unwrap();
        fs::set_permissions(&part, Permissions::from_mode(mode)).unwrap();
        fs::rename(&part, trial.home.jobs().join(format!("{name}.job"))).unwrap();
    };
    for mode in [0o600, 0o640, 0o644] {
        drop_private(&format!("secret-{mode:o}"), "password: hunter2\n", mode);
        drop_private(&format!("ten-{mode:o}"), "10!\n", mode);
        for text in [
            format!("failed/secret-{mode:o}.txt"),
            format!("done/ten-{mode:o}.txt"),
        ] {
            let text = trial.home.jobs().join(text);
            let found = eventually(PATIENCE, "its text", || fs::metadata(&text).ok());
            assert_eq!(found.mode() & 0o7777, mode, "{}", text.display());
        }
    }
    trial.conclude();
}

#[test]
fn bad_files_cost_little_and_a_hundred_reasons_each() {
    let trial = start(Home::new(), &[]);
    for index in 0..64 {
        trial.drop_job(&format!("bad-{index}"), &"x\n".repeat(32 << 10));
    }
    trial.drop_job("good", "1000!\n");
    trial.await_results("good", PATIENCE);
    let reasons = eventually(PATIENCE, "all are rejected", || {
        let failed = trial.in_folder("failed");
        let texts = failed.iter().filter(|name| name.ends_with(".txt")).count();
        let last = fs::read_to_string(trial.home.jobs().join("failed/bad-63.txt")).ok()?;
        (texts == 64).then_some(last)
    });
    assert_eq!(reasons.lines().count(), 101);
    assert!(
        reasons.lines().last().unwrap().contains("the first 100"),
        "{reasons}"
    );
    trial.assert_unless_held_up(trial.count("election_started") == 1, "elections".to_owned());
    trial.conclude();
}

#[test]
fn a_job_with_too_long_a_text_fails_with_the_numbers() {
    let trial = start(Home::new(), &["--max-text", "64KiB"]);
    trial.drop_job("large", &"1000\n".repeat(30));
    let reasons = eventually(PATIENCE, "its reason", || {
        fs::read_to_string(trial.home.jobs().join("failed/large.txt")).ok()
    });
    assert!(
        reasons.contains("more than the 65536") && reasons.contains("--max-text"),
        "{reasons}"
    );
    assert!(
        trial.stderr().contains("texts of up to 64"),
        "it is told at the start"
    );
    trial.conclude();
}
