//! What may be wrong around a real cluster: permissions, strangers, leftovers, a deaf reader.

use std::fs;
use std::io::{ErrorKind, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::{self, Home, PATIENCE, bullpen, copy_of_the_binary, eventually, run, stderr};
use crate::trial::Trial;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

/// A user without rights.
const NOBODY: u32 = 65_534;

/// Directories of a user whom permissions bind: `nobody` where the tests run as root.
fn home_of_a_user() -> Home {
    let home = Home::new();
    if geteuid().is_root() {
        copy_of_the_binary(home.path());
        chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    home
}

/// `bullpen up --trace-operations` as that user.
fn up_as_that_user(home: &Home) -> Command {
    let up = home.up();
    let mut command = if geteuid().is_root() {
        let mut command = Command::new(home.path().join("bullpen"));
        command.env_clear().uid(NOBODY).gid(NOBODY);
        command.args(up.get_args());
        command
    } else {
        up
    };
    command.arg("--trace-operations");
    command
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_may_not_be_read_fails_with_the_reason() {
    let home = home_of_a_user();
    let mut command = up_as_that_user(&home);
    let trial = Trial::of(home.launch(&mut command));
    trial.await_coordinator();
    let part = trial.home.path().join("part");
    fs::write(&part, "10!\n").unwrap();
    set_mode(&part, 0o000);
    fs::rename(part, trial.home.jobs().join("sealed.job")).unwrap();
    let text = trial.home.jobs().join("failed/sealed.txt");
    let reasons = eventually(PATIENCE, "it fails", || fs::read_to_string(&text).ok());
    assert!(reasons.contains("Permission denied"), "{reasons}");
    assert!(trial.home.jobs().join("failed/sealed.job").exists());
    trial.conclude();
}

#[test]
fn a_file_of_another_user_is_taken_when_it_holds_still() {
    if !geteuid().is_root() {
        println!("skipped: only root can make a file that is another's");
        return;
    }
    let home = home_of_a_user();
    let mut command = up_as_that_user(&home);
    let trial = Trial::of(home.launch(&mut command));
    trial.await_coordinator();
    // Leases are for owners, so the quiet time must do.
    trial.drop_job("ten", "10!\n");
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    trial.conclude();
}

#[test]
fn a_read_only_jobs_directory_is_refused_at_the_start() {
    let home = home_of_a_user();
    let jobs = home.jobs();
    for folder in ["", "running", "done", "failed"] {
        fs::create_dir(jobs.join(folder)).unwrap();
    }
    set_mode(&jobs, 0o555);
    let output = run(&mut up_as_that_user(&home));
    set_mode(&jobs, 0o755);
    let complaint = stderr(&output);
    assert_eq!(output.status.code(), Some(3), "{complaint}");
    assert!(complaint.contains("cannot write to"), "{complaint}");
    assert!(complaint.contains("--jobs"), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
}

#[test]
fn a_jobs_directory_that_is_read_only_for_a_while_is_waited_for() {
    if !geteuid().is_root() {
        println!("skipped: only root can drop a file into a folder that the cluster cannot write");
        return;
    }
    let home = home_of_a_user();
    let mut command = up_as_that_user(&home);
    let trial = Trial::of(home.launch(&mut command));
    trial.await_coordinator();
    set_mode(&trial.home.jobs(), 0o555);
    trial.drop_job("ten", "10!\n");
    eventually(PATIENCE, "a warning", || {
        trial.stderr().contains("cannot claim").then_some(())
    });
    assert!(trial.home.jobs().join("ten.job").exists());
    set_mode(&trial.home.jobs(), 0o755);
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    trial.conclude();
}

#[test]
fn sockets_left_over_are_no_obstacle() {
    let home = Home::new();
    fs::create_dir(home.run_dir()).unwrap();
    set_mode(&home.run_dir(), 0o700);
    for id in 0..6 {
        // The socket stays when its listener is gone.
        drop(UnixListener::bind(home.run_dir().join(format!("node-{id}.sock"))).unwrap());
    }
    let trial = Trial::begin(home, &[]);
    trial.await_coordinator();
    // Each node that dies leaves one, too.
    harness::kill_node(trial.node_named("worker-1"));
    trial.drop_job("ten", "10!\n");
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    trial.conclude();
}

/// Waits until the other end closes a connection.
fn await_close(mut stream: UnixStream, what: &str) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{what}: {error}"),
    }
}

#[test]
fn a_stranger_who_talks_nonsense_loses_that_link_and_nothing_else_happens() {
    let trial = Trial::start(&["--delay", "2ms"]);
    let elections = trial.events_named("election_started").len();
    trial.drop_job("long", "3000!\n");
    let nonsense: [(&str, Vec<u8>); 6] = [
        ("silence, then the end", Vec::new()),
        ("an oversized frame", vec![0xff; 8]),
        (
            "a frame over 64 MiB",
            (64_u32 << 20 | 1).to_be_bytes().to_vec(),
        ),
        (
            "a garbled frame",
            [&8_u32.to_be_bytes()[..], &[0xc1; 8]].concat(),
        ),
        ("text", b"GET / HTTP/1.1\r\nHost: node\r\n\r\n".to_vec()),
        (
            "half a frame",
            [&100_u32.to_be_bytes()[..], &[0x81; 10]].concat(),
        ),
    ];
    for id in 0..6 {
        for (what, bytes) in &nonsense {
            let path = trial.home.run_dir().join(format!("node-{id}.sock"));
            let mut stream = UnixStream::connect(path).unwrap();
            // It may have hung up after the first of the bytes.
            let _ = stream.write_all(bytes);
            if *what == "half a frame" {
                stream.shutdown(std::net::Shutdown::Write).unwrap();
            }
            await_close(stream, what);
        }
    }
    // More of them at once than a node listens to.
    let crowd: Vec<UnixStream> = (0..100)
        .map(|_| UnixStream::connect(trial.home.run_dir().join("node-5.sock")).unwrap())
        .collect();
    trial.await_results("long", Duration::from_secs(60));
    drop(crowd);
    assert_eq!(trial.events_named("node_exited").len(), 0);
    let lost = trial.events_named("peer_down");
    assert!(
        lost.iter().all(|event| event["by"] == "silence"),
        "{lost:?}"
    );
    let held = trial.events_named("election_started").len() - elections;
    let what = format!("{} peers lost, {held} elections", lost.len());
    trial.assert_unless_held_up(lost.is_empty() && held == 0, what);
    trial.conclude();
}

#[test]
fn a_second_cluster_on_one_jobs_directory_is_refused_and_the_first_goes_on() {
    let trial = Trial::start(&["--nodes", "3", "--delay", "2ms"]);
    trial.drop_job("long", "1000!\n");
    eventually(PATIENCE, "the job runs", || {
        trial.events_named("checkpointed").pop()
    });
    let other = Home::new();
    // By another name, too.
    let link = other.path().join("link");
    std::os::unix::fs::symlink(trial.home.jobs(), &link).unwrap();
    for jobs in [&trial.home.jobs(), &link] {
        let mut second = bullpen();
        second.arg("up").arg("--jobs").arg(jobs);
        second.arg("--run-dir").arg(other.run_dir());
        let output = run(&mut second);
        let complaint = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{complaint}");
        assert!(complaint.contains("jobs directory"), "{complaint}");
    }
    assert!(!other.run_dir().join("node-0.sock").exists());
    trial.await_results("long", Duration::from_secs(60));
    trial.conclude();
}

/// A cluster whose standard output is a pipe.
fn piped(args: &[&str], stdout: PipeWriter) -> Trial {
    let home = Home::new();
    let mut command = home.up();
    command.args(args).arg("--trace-operations");
    let cluster = home.launch_to(&mut command, stdout);
    Trial::of(cluster)
}

fn await_warning(trial: &Trial, part: &str) {
    eventually(PATIENCE, "a warning", || {
        trial.stderr().contains(part).then_some(())
    });
}

#[test]
fn a_standard_output_that_nobody_reads_stops_nothing() {
    let (reader, writer) = pipe().unwrap();
    let trial = piped(&["--log-digits", "1000000"], writer);
    trial.await_coordinator();
    // 300 lines of 77 kB are more than a pipe and the lines that may wait for it.
    trial.drop_job("loud", &"20000!\n".repeat(300));
    trial.await_results("loud", Duration::from_secs(60));
    await_warning(&trial, "nobody reads standard output");
    trial.drop_job("ten", "10!\n");
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    assert_eq!(trial.events_named("node_exited").len(), 0);
    let won = trial.events_named("election_won").len();
    trial.assert_unless_held_up(won == 1, format!("{won} elections won"));
    trial.conclude();
    drop(reader);
}

#[test]
fn a_closed_standard_output_stops_nothing() {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    let trial = piped(&[], writer);
    trial.await_coordinator();
    for name in ["first", "second"] {
        trial.drop_job(name, "10!\n");
        assert_eq!(trial.await_results(name, PATIENCE), "10!=3628800\n");
    }
    await_warning(&trial, "cannot write to standard output");
    assert_eq!(trial.events_named("node_exited").len(), 0);
    trial.conclude();
}

#[test]
fn a_full_disk_behind_standard_output_stops_nothing() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let home = Home::new();
    let mut command = home.up();
    command.arg("--trace-operations");
    let trial = Trial::of(home.launch_to(&mut command, full));
    trial.await_coordinator();
    trial.drop_job("ten", "10!\n");
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    await_warning(&trial, "cannot write to standard output");
    trial.settle(PATIENCE);
    trial.conclude_with(Signal::SIGTERM);
}

/// A pipe that is full: the next write to it waits for a reader, who never comes.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = pipe().unwrap();
    let flags = OFlag::from_bits_retain(fcntl(&writer, FcntlArg::F_GETFL).unwrap());
    fcntl(&writer, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).unwrap();
    while (&writer).write(&[b'\n'; 1_024]).is_ok() {}
    while (&writer).write(b"\n").is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(flags)).unwrap();
    (reader, writer)
}

#[test]
fn a_standard_error_that_nobody_reads_stops_nothing() {
    let (reader, writer) = full_pipe();
    let home = Home::new();
    let mut command = home.up();
    command.arg("--trace-operations");
    let trial = Trial::of(home.launch_telling(&mut command, writer));
    let coordinator = trial.await_coordinator();
    harness::kill_node(coordinator);
    eventually(PATIENCE, "it is replaced and comes back", || {
        (trial.nodes().len() == 6 && trial.events_named("acting").len() >= 2).then_some(())
    });
    trial.drop_job("ten", "10!\n");
    assert_eq!(trial.await_results("ten", PATIENCE), "10!=3628800\n");
    trial.conclude();
    drop(reader);
}
