//! What becomes of the files that are dropped on a real cluster, whatever they are called and are.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::harness::{self, PATIENCE, eventually};
use crate::trial::Trial;
use crate::trial::dropping::value;
use nix::sys::signal::{Signal, kill};

/// Time for very many files, on a busy machine too.
const LONG: Duration = Duration::from_secs(120);

#[test]
fn a_slow_writer_is_waited_for() {
    let trial = Trial::start(&[]);
    let path = trial.home.jobs().join("slow.job");
    let mut writer = File::create(&path).unwrap();
    writer.write_all(b"12").unwrap();
    writer.sync_all().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert!(path.exists(), "taken while it was open for writing");
    writer.write_all(b"34!\n").unwrap();
    drop(writer);
    assert_eq!(trial.await_results("slow", PATIENCE), value(1_234));
    let jobs = ["job_accepted", "job_rejected"].map(|name| trial.events_named(name).len());
    assert_eq!(jobs, [1, 0]);
    trial.conclude();
}

#[test]
fn a_file_that_is_renamed_in_is_taken_whole() {
    let trial = Trial::start(&[]);
    let (part, hidden) = ("slow.job.part", ".slow.job");
    for (name, temporary) in [("first", part), ("second", hidden)] {
        let path = trial.home.jobs().join(temporary);
        let mut writer = File::create(&path).unwrap();
        writer.write_all(b"12").unwrap();
        drop(writer);
        // Nobody has it open, and it is left alone all the same, for longer than a rescan.
        std::thread::sleep(Duration::from_millis(2_500));
        let mut writer = File::options().append(true).open(&path).unwrap();
        writer.write_all(b"34!\n").unwrap();
        drop(writer);
        let named = trial.home.jobs().join(format!("{name}.job"));
        fs::rename(&path, named).unwrap();
        assert_eq!(trial.await_results(name, PATIENCE), value(1_234));
    }
    assert_eq!(trial.in_folder("failed").len(), 0);
    trial.conclude();
}

#[test]
fn what_editors_and_downloads_leave_is_left_alone() {
    let mut trial = Trial::start(&[]);
    let ignored = [
        ".hidden.job",
        "a.tmp",
        "b.part",
        "c.filepart",
        "d.job~",
        ".e.job.swp",
        "f.swp",
    ];
    for name in ignored {
        fs::write(trial.home.jobs().join(name), "10!\n").unwrap();
    }
    // By then a scan has seen them all.
    trial.drop_job("zz", "5!\n");
    assert_eq!(trial.await_results("zz", PATIENCE), value(5));
    for name in ignored {
        let path = trial.home.jobs().join(name);
        assert_eq!(fs::read_to_string(path).unwrap(), "10!\n", "{name}");
    }
    trial.left_in_inbox = ignored.map(str::to_owned).to_vec();
    trial.conclude();
}

#[test]
fn two_thousand_files_at_once_are_all_done() {
    many_files_at_once(2_000);
}

#[test]
#[ignore = "takes a quarter of a minute"]
fn ten_thousand_files_at_once_are_all_done() {
    many_files_at_once(10_000);
}

fn many_files_at_once(files: u64) {
    let trial = Trial::start(&["--nodes", "4"]);
    let staging = trial.home.path().join("staging");
    fs::create_dir(&staging).unwrap();
    let name = |index: u64| format!("job-{index:05}");
    for index in 0..files {
        let text = format!("{}!\n", index % 40);
        fs::write(staging.join(name(index)), text).unwrap();
    }
    for index in 0..files {
        let dropped = trial.home.jobs().join(format!("{}.job", name(index)));
        fs::rename(staging.join(name(index)), dropped).unwrap();
    }
    trial.settle(LONG);
    let done = trial.in_folder("done");
    assert_eq!(done.len() as u64, 2 * files);
    for index in 0..files {
        assert_eq!(
            trial.await_results(&name(index), PATIENCE),
            value(index % 40)
        );
    }
    trial.conclude();
}

#[test]
fn a_name_dropped_again_gets_a_suffix_and_nothing_is_overwritten() {
    let trial = Trial::start(&["--nodes", "2"]);
    // The first cannot end before the second has come.
    let worker = trial.node_named("worker-0");
    kill(worker, Signal::SIGSTOP).unwrap();
    trial.await_event("the worker stops", |event| event.name() == "node_stopped");
    let running = |name: &str| trial.home.jobs().join("running").join(name).exists();
    trial.drop_job("ten", "10!\n");
    eventually(PATIENCE, "it runs", || running("ten.job").then_some(()));
    trial.drop_job("ten", "11!\n");
    eventually(PATIENCE, "the second runs under another name", || {
        running("ten.2.job").then_some(())
    });
    assert!(running("ten.job"));
    trial.wake(worker);
    assert_eq!(trial.await_results("ten", PATIENCE), value(10));
    assert_eq!(trial.await_results("ten.2", PATIENCE), value(11));
    // The name stands in done now, and one ending is as good as another.
    trial.drop_file(b"ten.JOB", b"12!\n");
    assert_eq!(trial.await_results("ten.3", PATIENCE), value(12));
    trial.drop_file(b"ten.Job", b"abc\n");
    trial.await_failure("ten.4");
    trial.drop_job("ten", "13!\n");
    assert_eq!(trial.await_results("ten.5", PATIENCE), value(13));

    let file = |name: &str| fs::read_to_string(trial.home.jobs().join(name)).unwrap();
    for (name, n) in [("ten", 10), ("ten.2", 11), ("ten.3", 12), ("ten.5", 13)] {
        assert_eq!(file(&format!("done/{name}.job")), format!("{n}!\n"));
        assert_eq!(file(&format!("done/{name}.txt")), value(n));
    }
    assert_eq!(file("failed/ten.4.job"), "abc\n");
    trial.conclude();
}

#[test]
fn names_with_blanks_umlauts_and_dots_are_kept() {
    let trial = Trial::start(&[]);
    let names = [
        "mein kleiner Auftrag",
        "größte Zahl",
        "v1.2.final",
        "数",
        "-n",
        "$(id)",
    ];
    for name in names {
        trial.drop_job(name, "5!\n");
    }
    for name in names {
        assert_eq!(trial.await_results(name, PATIENCE), value(5), "{name}");
    }
    trial.conclude();
}

#[test]
fn names_that_cannot_be_shown_go_to_failed_escaped() {
    let trial = Trial::start(&[]);
    let long = [b"x".repeat(240), b".job".to_vec()].concat();
    let names: [(&[u8], &str, &str); 5] = [
        (b"b\xffd.job", "b\\xffd-", "not UTF-8"),
        (b"two\nlines.job", "two\\nlines-", "control characters"),
        (b"bell\x07.job", "bell\\x07-", "control characters"),
        (
            "\u{9b}31m.job".as_bytes(),
            "\\xc2\\x9b31m-",
            "control characters",
        ),
        (&long, "xxxx", "longer than 200 bytes"),
    ];
    for (file_name, _, _) in names {
        trial.drop_file(file_name, b"5!\n");
    }
    trial.settle(PATIENCE);
    assert_eq!(trial.in_folder("done").len(), 0);
    let failed = trial.in_folder("failed");
    assert_eq!(failed.len(), 2 * names.len(), "{failed:?}");
    for (_, prefix, reason) in names {
        let texts = failed.iter().filter(|name| name.ends_with(".txt"));
        let own: Vec<&String> = texts.filter(|name| name.starts_with(prefix)).collect();
        assert_eq!(own.len(), 1, "{prefix}: {failed:?}");
        assert!(own[0].chars().all(|c| !c.is_control()));
        let text = fs::read_to_string(trial.home.jobs().join("failed").join(own[0])).unwrap();
        assert!(text.contains(reason), "{text}");
    }
    trial.conclude();
}

#[test]
fn a_name_of_200_bytes_is_the_longest() {
    let trial = Trial::start(&[]);
    let name = "y".repeat(200);
    trial.drop_job(&name, "5!\n");
    assert_eq!(trial.await_results(&name, PATIENCE), value(5));
    // With a suffix it is longer still.
    trial.drop_job(&name, "6!\n");
    assert_eq!(
        trial.await_results(&format!("{name}.2"), PATIENCE),
        value(6)
    );
    trial.conclude();
}

#[test]
fn only_regular_files_are_read() {
    const SECRET: &str = "31337-is-nobodys-business";
    let mut trial = Trial::start(&[]);
    let (jobs, secret) = (trial.home.jobs(), trial.home.path().join("secret"));
    fs::write(&secret, SECRET).unwrap();
    std::os::unix::fs::symlink(&secret, jobs.join("link.job")).unwrap();
    std::os::unix::fs::symlink("nowhere", jobs.join("dangling.job")).unwrap();
    let fifo = jobs.join("fifo.job");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(jobs.join("socket.job")).unwrap();
    fs::create_dir(jobs.join("folder.job")).unwrap();
    fs::write(jobs.join("folder.job/inner.job"), "7!\n").unwrap();
    trial.left_in_inbox = vec!["folder.job".to_owned()];

    for (name, kind) in [
        ("link", "a symbolic link"),
        ("dangling", "a symbolic link"),
        ("fifo", "a FIFO"),
        ("socket", "a socket"),
    ] {
        let reasons = trial.await_failure(name);
        assert!(reasons.contains(kind), "{name}: {reasons}");
    }
    // Nothing hangs on the FIFO, and the folder is as it was.
    trial.drop_job("ten", "10!\n");
    assert_eq!(trial.await_results("ten", PATIENCE), value(10));
    let inner = fs::read_to_string(jobs.join("folder.job/inner.job")).unwrap();
    assert_eq!(inner, "7!\n");
    assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET);

    let told: Vec<PathBuf> = ["failed/link.txt", "failed/dangling.txt"]
        .iter()
        .map(|name| jobs.join(name))
        .chain([trial.home.run_dir().join("events.jsonl")])
        .collect();
    for path in told {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(SECRET), "{}", path.display());
    }
    assert!(!trial.stdout().contains(SECRET));
    assert!(!trial.stderr().contains(SECRET));
    trial.conclude();
}

#[test]
fn without_events_dropped_files_are_found_by_looking() {
    let trial = Trial::start(&["--watch", "poll"]);
    trial.drop_job("renamed", "10!\n");
    assert_eq!(trial.await_results("renamed", PATIENCE), value(10));
    let path = trial.home.jobs().join("slow.job");
    let mut writer = File::create(&path).unwrap();
    writer.write_all(b"12").unwrap();
    // Until it has been looked at once more.
    trial.drop_job("after", "10!\n");
    assert_eq!(trial.await_results("after", PATIENCE), value(10));
    assert!(path.exists(), "taken while it was open for writing");
    writer.write_all(b"34!\n").unwrap();
    drop(writer);
    assert_eq!(trial.await_results("slow", PATIENCE), value(1_234));
    // The next coordinator has no events either.
    harness::kill_node(trial.await_coordinator());
    trial.drop_job("later", "20!\n");
    assert_eq!(trial.await_results("later", PATIENCE), value(20));
    trial.conclude();
}
