//! A user namespace, as of a rootless container, in which most users have no number: the system shows all of
//! them as the overflow user, whom nobody can become and to whom nothing can be given.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::Path;
use std::process::Command;

use crate::harness::{Home, PATIENCE, assert_one_sentence, run};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

/// Somebody who has no number in the namespaces here.
const STRANGER: u32 = 4_711;
/// As whom everybody from outside is shown.
const OVERFLOW: &str = "65534";

/// The command in a user namespace of its own: as its root, or as somebody who has no number there either.
/// None, with a message, where the system allows none, or where this is not root, who alone can make things
/// that are another's.
fn inside(options: &[&str], command: &Command) -> Option<Command> {
    let mut unshare = Command::new("unshare");
    unshare.args(options);
    let allowed = unshare
        .arg("true")
        .output()
        .is_ok_and(|output| output.status.success());
    if !allowed || !geteuid().is_root() {
        eprintln!("skipped: no user namespace can be had, or nothing that is another user's");
        return None;
    }
    let mut inside = Command::new("unshare");
    inside.args(options).arg(command.get_program());
    inside.args(command.get_args());
    Some(inside)
}

type Preparation = fn(&Home);

fn make(path: &Path, mode: u32, owner: u32) {
    fs::create_dir(path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    chown(path, Some(owner), Some(owner)).unwrap();
}

#[test]
fn a_folder_of_somebody_from_outside_that_all_may_write_is_used() {
    for options in [&["-U", "-r"][..], &["-U"]] {
        let home = Home::new();
        fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
        make(&home.jobs(), 0o777, STRANGER);
        let mut up = home.up();
        up.args(["--nodes", "2"]);
        let Some(mut up) = inside(options, &up) else {
            return;
        };
        let mut cluster = home.launch(&mut up);
        cluster.await_coordinator();
        cluster.drop_job("ten", "10!\n");
        assert_eq!(cluster.await_results("ten", PATIENCE), "10!=3628800\n");
        cluster.signal(Signal::SIGTERM);
        assert_eq!(cluster.await_exit(PATIENCE).code(), Some(0));
    }
}

#[test]
fn no_advice_names_a_user_without_a_number() {
    let refusals: [(&str, Preparation); 6] = [
        ("--jobs", |home| make(&home.jobs(), 0o755, STRANGER)),
        ("--jobs", |home| {
            make(&home.jobs(), 0o777, 0);
            make(&home.jobs().join("running"), 0o755, STRANGER);
        }),
        ("--jobs", |home| {
            make(&home.jobs(), 0o777, STRANGER);
            make(&home.jobs().join("running"), 0o777, STRANGER);
        }),
        ("--jobs", |home| {
            make(&home.jobs(), 0o777, 0);
            make(&home.jobs().join("done"), 0o755, STRANGER);
        }),
        ("--jobs", |home| {
            make(&home.path().join("folder"), 0o777, 0);
            symlink(home.path().join("folder"), home.jobs()).unwrap();
            lchown(home.jobs(), Some(STRANGER), None).unwrap();
        }),
        ("--run-dir", |home| make(&home.run_dir(), 0o755, STRANGER)),
    ];
    for (option, prepare) in refusals {
        let home = Home::new();
        prepare(&home);
        let Some(mut up) = inside(&["-U", "-r"], &home.up()) else {
            return;
        };
        let complaint = assert_one_sentence(&run(&mut up), 3);
        assert!(complaint.contains(option), "{complaint}");
        assert!(!complaint.contains(OVERFLOW), "{complaint}");
    }
}

#[test]
fn nothing_is_to_be_given_to_a_user_without_a_number() {
    let home = Home::new();
    fs::set_permissions(home.path(), Permissions::from_mode(0o777)).unwrap();
    make(&home.jobs(), 0o555, STRANGER);
    let Some(mut up) = inside(&["-U"], &home.up()) else {
        return;
    };
    let complaint = assert_one_sentence(&run(&mut up), 3);
    assert!(complaint.contains("cannot write to"), "{complaint}");
    assert!(!complaint.contains(OVERFLOW), "{complaint}");
}
