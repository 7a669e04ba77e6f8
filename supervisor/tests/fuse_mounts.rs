//! A jobs directory on a FUSE mount, as containers on a desktop, network clients and unions have it:
//! nothing tells of what happens below the mount, no lease knows who writes there, and a rename that
//! replaces nothing may not be there.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::fuse::{Kind, Mount};
use crate::harness::{self, Home, PATIENCE, eventually, is_alive, kill_node};
use crate::trial::dropping::value;
use crate::trial::{Trial, now_ns};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// Time for a job that is interrupted, on a busy machine too.
const LONG: Duration = Duration::from_secs(60);

/// A writer whom the machine held up for so long was quiet: see `QUIET` in `protocol/src/inbox.rs`.
const HELD_UP: Duration = Duration::from_millis(480);

/// Makes a test of a function for each file system.
macro_rules! over_each {
    ($($function:ident: $($over:ident)+;)+) => {$(
        mod $function {
            use crate::harness::fuse::Kind;
            $(
                #[test]
                #[allow(non_snake_case, reason = "the name of the file system")]
                fn $over() {
                    super::$function(Kind::$over);
                }
            )+
        }
    )+};
}

over_each! {
    jobs_dropped_on_either_side_are_done_once: Bindfs Mergerfs;
    what_is_written_slowly_below_the_mount_is_taken_whole: Bindfs Mergerfs;
    all_results_are_right_after_every_process_was_killed: Bindfs Mergerfs;
    the_longest_name_that_the_mount_takes_is_a_job: Bindfs Mergerfs Encfs Gocryptfs;
    a_text_is_whole_when_it_has_its_name: Bindfs Mergerfs Gocryptfs;
    a_job_of_every_outcome_is_handed_in_and_waited_for: Bindfs Mergerfs Unionfs Sshfs Encfs Gocryptfs;
    a_job_is_waited_for_above_where_the_cluster_works: Bindfs Mergerfs Unionfs;
    a_submit_that_is_killed_leaves_no_empty_job: Bindfs;
}

/// A cluster whose jobs directory is on the mount.
fn start(mount: &Mount, args: &[&str]) -> Trial {
    let home = Home::new();
    mount.hold_jobs_of(&home);
    let trial = Trial::begin(home, args);
    trial.await_agreement();
    trial
}

/// Drops a job whole, in the folder that a mount shows.
fn drop_into(folder: &Path, name: &str, text: &str) {
    let part = folder.join(format!(".{name}.tmp"));
    fs::write(&part, text).unwrap();
    fs::rename(part, folder.join(format!("{name}.job"))).unwrap();
}

/// The names of all jobs that have ended, with their folders, in order.
fn ended(trial: &Trial) -> Vec<String> {
    let jobs = ["done", "failed"].map(|folder| {
        let names = trial.in_folder(folder).into_iter();
        let jobs = names.filter(|name| name.ends_with(".job"));
        jobs.map(|name| format!("{folder}/{name}"))
            .collect::<Vec<_>>()
    });
    jobs.concat()
}

fn jobs_dropped_on_either_side_are_done_once(kind: Kind) {
    let Some(mount) = Mount::new(kind) else {
        return;
    };
    let trial = start(&mount, &[]);
    for (side, folder) in [("here", mount.path()), ("there", mount.source())] {
        drop_into(&folder, side, "10!\n20!\n");
        drop_into(&folder, &format!("bad-{side}"), "ten\n");
    }
    for side in ["here", "there"] {
        let results = trial.await_whole(side, PATIENCE);
        assert_eq!(results, value(10) + &value(20), "{side}");
        let name = format!("bad-{side}");
        trial.await_job("job_done", &name);
        let reasons = trial.await_failure(&name);
        assert!(reasons.contains("line 1: \"ten\""), "{side}: {reasons}");
        assert_eq!(trial.publications(side), 1, "{side}");
    }
    let jobs = [
        "done/here.job",
        "done/there.job",
        "failed/bad-here.job",
        "failed/bad-there.job",
    ];
    assert_eq!(ended(&trial), jobs);
    trial.conclude();
}

/// What a writer pauses is part of what it does: its file never holds still for a quiet time.
fn what_is_written_slowly_below_the_mount_is_taken_whole(kind: Kind) {
    let Some(mount) = Mount::new(kind) else {
        return;
    };
    let trial = start(&mount, &[]);
    let mut writer = File::create(mount.source().join("slow.job")).unwrap();
    let mut expected = value(12);
    writer.write_all(b"12\n").unwrap();
    let (mut written, mut slowest) = (Instant::now(), Duration::ZERO);
    let often = (20..28).map(|n| (200, n));
    for (pause, n) in often.chain([(400, 30), (400, 31)]) {
        thread::sleep(Duration::from_millis(pause));
        writeln!(writer, "{n}").unwrap();
        slowest = slowest.max(written.elapsed());
        written = Instant::now();
        expected += &value(n);
    }
    drop(writer);
    if slowest >= HELD_UP {
        println!("not judged: the writer was held up for {slowest:?}");
        return;
    }
    eventually(PATIENCE, "it has ended", || {
        (!ended(&trial).is_empty()).then_some(())
    });
    assert_eq!(trial.await_whole("slow", PATIENCE), expected);
    assert_eq!(ended(&trial), ["done/slow.job"]);
    trial.conclude();
}

fn all_results_are_right_after_every_process_was_killed(kind: Kind) {
    let Some(mount) = Mount::new(kind) else {
        return;
    };
    let slowly = ["--nodes", "4", "--delay", "2ms"];
    let trial = start(&mount, &slowly);
    drop_into(&mount.source(), "there", "3000!\n");
    drop_into(&mount.path(), "here", "2000!\n2001!\n");
    trial.await_progress(2_000);
    // Else it is back at once, and on a busy machine before another has taken over.
    let held_back = trial.home.hold_back(3);
    let (coordinator, killed_at) = (trial.await_coordinator(), now_ns());
    kill_node(coordinator);
    trial.await_acting_after(2, killed_at);
    drop(held_back);
    trial.await_return(3);

    // It ends in the middle of a job, and takes its nodes along.
    drop_into(&mount.source(), "last", "4000!\n");
    trial.await_progress(4_000);
    let nodes = trial.nodes();
    let mut cluster = trial.cluster;
    cluster.signal(Signal::SIGKILL);
    cluster.await_exit(PATIENCE);
    eventually(PATIENCE, "the nodes end", || {
        (!nodes.iter().any(|&(_, pid)| is_alive(pid))).then_some(())
    });
    let published = cluster.events_named("result_published").len();
    cluster.start_again(&[&slowly[..], &["--trace-operations"]].concat());
    let trial = Trial::of(cluster);
    assert!(trial.await_whole("there", LONG) == value(3_000));
    assert!(trial.await_whole("here", LONG) == value(2_000) + &value(2_001));
    assert!(trial.await_whole("last", LONG) == value(4_000));
    trial.settle(LONG);
    let again = trial.count("result_published");
    assert_eq!(published + again, 3, "one publication a job");
    assert_eq!(
        ended(&trial),
        ["done/here.job", "done/last.job", "done/there.job"]
    );
    trial.conclude();
}

/// Whoever waits for the name alone reads it at once.
fn a_text_is_whole_when_it_has_its_name(kind: Kind) {
    const JOBS: usize = 40;
    let Some(mount) = Mount::new(kind) else {
        return;
    };
    let trial = start(&mount, &["--nodes", "2"]);
    for number in 0..JOBS {
        drop_into(&mount.path(), &format!("ten-{number}"), "10!\n");
    }
    let done = mount.path().join("done");
    let mut first_seen = std::collections::BTreeMap::new();
    let end = Instant::now() + PATIENCE;
    while first_seen.len() < JOBS {
        assert!(
            Instant::now() < end,
            "not within {PATIENCE:?}: {first_seen:?}"
        );
        for entry in fs::read_dir(&done).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "txt") {
                let read = || fs::read_to_string(&path).unwrap_or_default();
                first_seen.entry(path.clone()).or_insert_with(read);
            }
        }
    }
    first_seen.retain(|_, text| *text != value(10));
    assert!(
        first_seen.is_empty(),
        "{} of {JOBS} were early: {first_seen:?}",
        first_seen.len()
    );
    trial.conclude();
}

/// Less than a mount says it takes, if it takes less.
fn the_longest_name_that_the_mount_takes_is_a_job(kind: Kind) {
    let Some(mount) = Mount::new(kind) else {
        return;
    };
    let trial = start(&mount, &["--nodes", "2"]);
    let takes = |length: usize| {
        let path = mount.path().join(format!("{}.tmp", "x".repeat(length)));
        File::create(&path).is_ok_and(|_| fs::remove_file(path).is_ok())
    };
    let longest = (100..=200).rev().find(|&length| takes(length)).unwrap();
    let name = "x".repeat(longest);
    for (file, text) in [("first.tmp", "10!\n"), ("second.tmp", "11!\n")] {
        let part = mount.path().join(file);
        fs::write(&part, text).unwrap();
        fs::rename(part, mount.path().join(format!("{name}.job"))).unwrap();
        eventually(PATIENCE, "it is taken", || {
            (!mount.path().join(format!("{name}.job")).exists()).then_some(())
        });
    }
    trial.settle(PATIENCE);
    let texts: Vec<String> = ["done", "failed"]
        .into_iter()
        .flat_map(|folder| {
            let names = trial.in_folder(folder).into_iter();
            let texts = names.filter(|name| name.ends_with(".txt"));
            texts.map(move |name| format!("{folder}/{name}"))
        })
        .map(|text| fs::read_to_string(mount.path().join(text)).unwrap())
        .collect();
    assert_eq!(texts.len(), 2, "{texts:?}");
    for n in [10, 11] {
        assert!(texts.contains(&value(n)), "{n}: {texts:?}");
    }
    trial.conclude();
}

/// On a mount whose directory entries have other inode numbers than the files, too.
fn a_job_of_every_outcome_is_handed_in_and_waited_for(kind: Kind) {
    let Some(mount) = Mount::new(kind) else {
        return;
    };
    let trial = start(&mount, &["--nodes", "2", "--max-n", "1000"]);
    hand_in_and_wait(&mount.path(), PATIENCE);
    trial.conclude();
}

/// As where a desktop mounts the folder of a server: the mount does not see the renames, and may give
/// the file another inode after each.
fn a_job_is_waited_for_above_where_the_cluster_works(kind: Kind) {
    let Some(mount) = Mount::new(kind) else {
        return;
    };
    let home = Home::new();
    std::os::unix::fs::symlink(mount.source(), home.jobs()).unwrap();
    let trial = Trial::begin(home, &["--nodes", "2", "--max-n", "1000"]);
    trial.await_agreement();
    hand_in_and_wait(&mount.path(), LONG);
    trial.conclude();
}

/// Hands in three jobs of one name, one after the other: of the later ones the name has a number.
fn hand_in_and_wait(jobs: &Path, patience: Duration) {
    for (n, code) in [("10", 0), ("10", 0), ("2000", 1)] {
        let mut submit = harness::bullpen();
        submit.args(["submit", n, "--name", "ten", "--wait", "--jobs"]);
        submit
            .arg(jobs)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let begin = Instant::now();
        let mut child = submit.spawn().unwrap();
        let ended = loop {
            match child.try_wait().unwrap() {
                None if begin.elapsed() < patience => thread::sleep(Duration::from_millis(5)),
                ended => break ended,
            }
        };
        if ended.is_none() {
            child.kill().unwrap();
        }
        let output = child.wait_with_output().unwrap();
        let said = harness::stderr(&output);
        assert_eq!(ended.and_then(|status| status.code()), Some(code), "{said}");
        if code == 0 {
            assert_eq!(harness::stdout(&output), value(10));
        } else {
            assert!(said.contains("--max-n"), "{said}");
        }
        println!("{n}: {:?}", begin.elapsed());
    }
}

/// Killed before each of its system calls, one run each.
fn a_submit_that_is_killed_leaves_no_empty_job(kind: Kind) {
    let Some(mount) = Mount::new(kind) else {
        return;
    };
    let jobs = mount.path();
    let mut reservations = 0;
    for calls in 0.. {
        let has_ended = submit_and_kill_before(calls, &jobs);
        let job = fs::read_to_string(jobs.join("ten.job"));
        match job.as_deref() {
            // What the cluster removes.
            Ok("bullpen: this name is reserved for a rename\n") => reservations += 1,
            Ok(text) => assert_eq!(text, "10!\n", "killed after {calls} calls"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::NotFound),
        }
        if has_ended {
            assert!(job.is_ok() && reservations > 0 && calls > reservations);
            return;
        }
        let _ = fs::remove_file(jobs.join("ten.job"));
    }
}

/// Hands in a job, and kills the process when it has made so many system calls. True if it has ended before.
#[allow(
    clippy::zombie_processes,
    reason = "whoever traces a process waits for it by waitpid"
)]
fn submit_and_kill_before(calls: usize, jobs: &Path) -> bool {
    let mut submit = harness::bullpen();
    submit
        .args(["submit", "10", "--name", "ten", "--jobs"])
        .arg(jobs);
    submit.stdout(Stdio::null());
    // SAFETY: makes an async-signal-safe call, and allocates nothing.
    unsafe { submit.pre_exec(|| Ok(ptrace::traceme()?)) };
    let mut child = submit.spawn().unwrap();
    let pid = Pid::from_raw(child.id().cast_signed());
    // It stops when it has executed the file, and then before and after each call.
    waitpid(pid, None).unwrap();
    for _ in 0..2 * calls {
        ptrace::syscall(pid, None).unwrap();
        if let WaitStatus::Exited(_, code) = waitpid(pid, None).unwrap() {
            assert_eq!(code, 0);
            return true;
        }
    }
    child.kill().unwrap();
    waitpid(pid, None).unwrap();
    false
}
