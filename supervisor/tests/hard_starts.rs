//! Starts that the system makes hard: few descriptors and processes, no /proc, a loader, a program that the
//! nodes may not execute. Each works, or ends with exit code 3 and a sentence that says what to do.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::{
    self, Cluster, Home, PATIENCE, assert_one_sentence, bullpen, copy_of_the_binary, eventually,
    run, stderr, stdout,
};
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

/// A user who has no process but those of this test.
const STRANGER: u32 = 54_321;

/// The last line, which is the complaint; what the service said before it has no warning.
fn complaint_of(cluster: &Cluster) -> String {
    let told = cluster.stderr();
    let last = told.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("bullpen: "), "{told}");
    assert!(!told.contains("WARN") && !told.contains("panic"), "{told}");
    last
}

/// Starts a service that has to work, or to end with exit code 3 and a sentence: none if it works.
fn works_or_complains(home: Home, up: &mut Command) -> Option<String> {
    let mut cluster = home.launch(up);
    let deadline = Duration::from_secs(60);
    let ended = eventually(deadline, "it works or ends", || {
        // Whoever acts has all that it needs; one that ends has said why.
        let acts = cluster.stderr().contains("is coordinator");
        let ended = cluster.ended();
        (acts || ended.is_some()).then_some(ended)
    });
    if let Some(status) = ended {
        assert_eq!(status.code(), Some(3), "{}", cluster.stderr());
        return Some(complaint_of(&cluster));
    }
    cluster.drop_job("ten", "10!\n");
    assert_eq!(cluster.await_results("ten", PATIENCE), "10!=3628800\n");
    assert_eq!(cluster.events_named("node_exited").len(), 0);
    cluster.signal(Signal::SIGTERM);
    assert_eq!(cluster.await_exit(PATIENCE).code(), Some(0));
    None
}

/// The same with limits of a resource, the soft and the hard one.
fn limit(command: &mut Command, resource: Resource, soft: rlim_t, hard: rlim_t) {
    // SAFETY: the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(move || Ok(setrlimit(resource, soft, hard)?)) };
}

#[test]
fn files_that_may_not_even_hold_a_reason_are_refused_with_their_limit() {
    for command in ["up", "compute", "experiment"] {
        let home = Home::new();
        let script = "ulimit -f 0; exec \"$0\" \"$@\"";
        let mut limited = Command::new("bash");
        limited.args(["-c", script, env!("CARGO_BIN_EXE_bullpen"), command]);
        match command {
            "up" => limited
                .arg("--jobs")
                .arg(home.jobs())
                .arg("--run-dir")
                .arg(home.run_dir()),
            "compute" => limited.arg("10!"),
            _ => limited.arg("--rounds=1"),
        };
        let complaint = assert_one_sentence(&run(&mut limited), 3);
        assert!(complaint.contains("ulimit -f"), "{complaint}");
    }
}

#[test]
fn few_descriptors_are_enough_or_named() {
    let mut complaints = 0;
    for descriptors in (4..=64).step_by(3) {
        let home = Home::new();
        let mut up = home.up();
        limit(&mut up, Resource::RLIMIT_NOFILE, descriptors, descriptors);
        if let Some(complaint) = works_or_complains(home, &mut up) {
            for words in ["descriptors", &format!(" {descriptors} "), "ulimit -n"] {
                assert!(complaint.contains(words), "{words} is missing: {complaint}");
            }
            complaints += 1;
        }
    }
    assert!((2..20).contains(&complaints), "{complaints}");

    for command in [&["compute", "5"][..], &["experiment", "--rounds=1"]] {
        let mut few = bullpen();
        few.args(command);
        limit(&mut few, Resource::RLIMIT_NOFILE, 16, 16);
        let output = run(&mut few);
        assert_eq!(output.status.code(), Some(3));
        assert!(stderr(&output).contains("descriptors"), "{output:?}");
    }
}

#[test]
fn the_soft_limit_of_descriptors_is_raised_where_that_helps() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let home = Home::new();
    let mut up = home.up();
    limit(&mut up, Resource::RLIMIT_NOFILE, 16, hard);
    let cluster = home.launch(&mut up);
    cluster.await_agreement();
    let told = cluster.stderr();
    assert!(told.contains("descriptors was 16"), "{told}");
    for (name, pid) in cluster.nodes() {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits
            .lines()
            .find(|line| line.starts_with("Max open files"))
            .unwrap();
        assert!(line.contains(&hard.to_string()), "{name}: {line}");
    }
}

#[test]
fn few_processes_are_enough_or_named() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root can start something as a user who has no other process");
        return;
    }
    for processes in [1, 2, 4, 7, 12, 20, 30, 100] {
        let home = Home::new();
        let copy = copy_of_the_binary(home.path());
        fs::set_permissions(copy, Permissions::from_mode(0o755)).unwrap();
        chown(home.path(), Some(STRANGER), None).unwrap();
        let mut up = Command::new(home.path().join("bullpen"));
        up.args(home.up().get_args()).uid(STRANGER).gid(STRANGER);
        limit(&mut up, Resource::RLIMIT_NPROC, processes, processes);
        if let Some(complaint) = works_or_complains(home, &mut up) {
            assert!(complaint.contains("processes"), "{complaint}");
            assert!(complaint.contains("ulimit -u"), "{complaint}");
        }
    }
}

#[test]
fn a_program_that_the_nodes_may_not_execute_is_named() {
    if !geteuid().is_root() {
        eprintln!("skipped: only root works as somebody else");
        return;
    }
    let home = Home::new();
    fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
    let sealed = home.path().join("sealed");
    fs::create_dir(&sealed).unwrap();
    let program = copy_of_the_binary(&sealed);
    for path in [&program, &sealed] {
        fs::set_permissions(path, Permissions::from_mode(0o700)).unwrap();
    }
    fs::create_dir(home.jobs()).unwrap();
    chown(home.jobs(), Some(STRANGER), Some(STRANGER)).unwrap();
    let mut up = Command::new(&program);
    up.args(home.up().get_args());
    let complaint = works_or_complains(home, &mut up).expect("nobody can execute it");
    let program = program.display().to_string();
    for words in [&program, "user 54321", "Permission denied", "chmod a+rx"] {
        assert!(complaint.contains(words), "{words} is missing: {complaint}");
    }
}

#[test]
fn a_program_that_may_not_be_executed_any_more_stops_nothing() {
    let home = Home::new();
    let program = copy_of_the_binary(home.path());
    let mut up = Command::new(&program);
    up.args(home.up().get_args());
    if geteuid().is_root() {
        // Root may execute what anybody may.
        chown(home.path(), Some(STRANGER), None).unwrap();
        up.uid(STRANGER).gid(STRANGER);
    }
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let cluster = home.launch(&mut up);
    cluster.await_agreement();
    fs::set_permissions(&program, Permissions::from_mode(0o600)).unwrap();
    harness::kill_node(cluster.node_named("worker-0"));
    eventually(PATIENCE, "it says why", || {
        let told = cluster.stderr();
        told.contains("cannot start node 0: Permission denied")
            .then_some(())
    });
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    cluster.node_named("worker-0");
}

#[test]
fn without_proc_it_says_so() {
    let script = "mount -t tmpfs none /proc && exec \"$@\"";
    let hidden = |command: &Command| {
        let mut hidden = Command::new("unshare");
        if !geteuid().is_root() {
            hidden.arg("-r");
        }
        hidden.args(["-m", "sh", "-c", script, "sh"]);
        hidden.arg(command.get_program()).args(command.get_args());
        hidden
    };
    if !hidden(&Command::new("true"))
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!("skipped: this system lets nobody hide /proc");
        return;
    }
    let home = Home::new();
    let mut compute = bullpen();
    compute.args(["compute", "5"]);
    let mut experiment = bullpen();
    experiment.args(["experiment", "--rounds=1"]);
    for command in [home.up(), compute, experiment] {
        let output = run(&mut hidden(&command));
        let complaint = harness::assert_one_sentence(&output, 3);
        assert!(complaint.contains("mount /proc"), "{complaint}");
    }
}

#[test]
fn started_by_a_loader_it_says_so() {
    let loaders = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    let Some(loader) = loaders.into_iter().find(|path| Path::new(path).exists()) else {
        eprintln!("skipped: there is no loader where one is known to be");
        return;
    };
    let home = Home::new();
    let mut compute = bullpen();
    compute.args(["compute", "5"]);
    let mut experiment = bullpen();
    experiment.args(["experiment", "--rounds=1"]);
    for command in [home.up(), compute, experiment] {
        let mut loaded = Command::new(loader);
        loaded.arg(command.get_program()).args(command.get_args());
        let output = run(&mut loaded);
        let complaint = harness::assert_one_sentence(&output, 3);
        assert!(complaint.contains("loader"), "{complaint}");
    }
    let mut help = Command::new(loader);
    let output = run(help.arg(env!("CARGO_BIN_EXE_bullpen")).arg("--version"));
    assert!(
        stdout(&output).starts_with("bullpen "),
        "what starts no node works"
    );
}
