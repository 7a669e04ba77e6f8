//! As whom a cluster works that root starts: as the owner of the jobs directory, without rights.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;

use crate::harness::{self, Home, PATIENCE, eventually, invoke, is_alive, run, stderr, stdout};
use crate::trial::Trial;
use caps::{CapSet, Capability};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

/// A user without rights.
const NOBODY: u32 = 65_534;

/// Directories of which the jobs directory belongs to `nobody`, who may reach it. None if this is
/// not root, who alone can make such a thing.
fn home_with_jobs_of_nobody() -> Option<Home> {
    if !geteuid().is_root() {
        println!("skipped: only root can work as somebody else");
        return None;
    }
    let home = Home::new();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(home.jobs()).unwrap();
    chown(home.jobs(), Some(NOBODY), Some(NOBODY)).unwrap();
    Some(home)
}

/// A field of a process's status, its values separated by single blanks.
fn field(pid: Pid, name: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let values = line.unwrap().trim_start_matches(':').split_whitespace();
    values.collect::<Vec<_>>().join(" ")
}

fn assert_without_rights(pid: Pid) {
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(pid, set).trim_matches('0'), "", "{set} of {pid}");
    }
    assert_eq!(field(pid, "NoNewPrivs"), "1");
}

#[test]
fn root_works_as_the_owner_of_the_jobs_directory() {
    let Some(home) = home_with_jobs_of_nobody() else {
        return;
    };
    let trial = Trial::begin(home, &[]);
    let coordinator = trial.await_coordinator();
    let nodes = trial.nodes().into_iter().map(|(_, pid)| pid);
    for pid in nodes.chain([trial.pid()]) {
        assert_eq!(field(pid, "Uid"), "65534 65534 65534 65534");
        assert_eq!(field(pid, "Gid"), "65534 65534 65534 65534");
        assert_eq!(field(pid, "Groups"), "65534");
        assert_without_rights(pid);
    }
    // Signals go through the supervisor, and come from root too.
    let killed = invoke(&trial.home, "kill", &["worker"]);
    assert_eq!(killed.status.code(), Some(0), "{}", stderr(&killed));
    harness::kill_node(coordinator);
    let submitted =
        run(harness::command(&trial.home, "submit", &["10", "--wait"]).env("LANG", "C"));
    assert_eq!(stdout(&submitted), "10!=3628800\n");
    // Of another user, so the quiet time must do.
    trial.drop_job("foreign", "10!\n");
    trial.await_results("foreign", PATIENCE);
    for (name, owner) in [
        ("10.job", NOBODY),
        ("10.txt", NOBODY),
        ("foreign.job", 0),
        ("foreign.txt", NOBODY),
    ] {
        let found = fs::metadata(trial.home.jobs().join("done").join(name)).unwrap();
        assert_eq!(found.uid(), owner, "{name}");
    }
    eventually(PATIENCE, "the cluster is healthy", || {
        let status = invoke(&trial.home, "status", &["--check"]);
        (status.status.code() == Some(0)).then_some(())
    });
    trial.conclude();
}

#[test]
fn whoever_starts_it_the_nodes_have_no_capabilities() {
    let trial = Trial::start(&["--nodes", "2"]);
    for (_, pid) in trial.nodes() {
        assert_eq!(field(pid, "CapPrm").trim_matches('0'), "");
        assert_eq!(field(pid, "CapEff").trim_matches('0'), "");
        assert_eq!(field(pid, "NoNewPrivs"), "1");
    }
    trial.conclude();
}

#[test]
fn stopped_nodes_of_another_user_die_with_their_supervisor() {
    let Some(home) = home_with_jobs_of_nobody() else {
        return;
    };
    let mut cluster = home.start(&[]);
    cluster.await_coordinator();
    let nodes = cluster.nodes();
    assert_eq!(nodes.len(), 6);
    for (_, pid) in &nodes {
        kill(*pid, Signal::SIGSTOP).unwrap();
    }
    // They cannot read that their control link is closed.
    cluster.signal(Signal::SIGKILL);
    cluster.await_exit(PATIENCE);
    for (name, pid) in nodes {
        eventually(PATIENCE, &format!("{name} dies"), || {
            (!is_alive(pid)).then_some(())
        });
    }
}

#[test]
fn root_that_may_not_change_user_is_told_what_to_do() {
    for right in [
        Capability::CAP_SETUID,
        Capability::CAP_SETGID,
        Capability::CAP_CHOWN,
    ] {
        let Some(home) = home_with_jobs_of_nobody() else {
            return;
        };
        let mut up = home.up();
        // SAFETY: the closure makes one system call and allocates nothing.
        unsafe {
            up.pre_exec(move || {
                caps::drop(None, CapSet::Bounding, right)
                    .map_err(|_| nix::errno::Errno::EPERM.into())
            });
        }
        let output = run(&mut up);
        let complaint = harness::assert_one_sentence(&output, 3);
        assert!(complaint.contains("--user 65534:65534"), "{complaint}");
        assert!(complaint.contains("--cap-add"), "{complaint}");
    }
}

#[test]
fn a_folder_that_the_owner_cannot_write_is_named() {
    let Some(home) = home_with_jobs_of_nobody() else {
        return;
    };
    // As an earlier run of root's may have left it.
    fs::create_dir(home.jobs().join("done")).unwrap();
    let complaint = stderr(&run(&mut home.up()));
    let last = complaint.lines().last().unwrap();
    let mend = format!("chown -R 65534:65534 {}", home.jobs().display());
    assert!(last.starts_with("bullpen: cannot write to"), "{complaint}");
    assert!(last.contains(&mend), "{complaint}");
    assert!(!last.contains("--user"), "{complaint}");
}

#[test]
fn a_folder_of_roots_that_is_no_run_directory_is_not_given_away() {
    let Some(home) = home_with_jobs_of_nobody() else {
        return;
    };
    fs::create_dir(home.run_dir()).unwrap();
    fs::write(home.run_dir().join("precious"), "").unwrap();
    let complaint = harness::assert_one_sentence(&run(&mut home.up()), 3);
    assert!(complaint.contains("precious"), "{complaint}");
    assert!(complaint.contains("--run-dir"), "{complaint}");
    assert_eq!(fs::metadata(home.run_dir()).unwrap().uid(), 0);
}
