//! What is dropped is taken once, whole, under a name that is free.

use std::time::Duration;

use crate::cluster::{Cluster, config, factorial};
use crate::solo::{Actions, Solo};
use protocol::event::{Action, Event};
use protocol::file::{FileCall, FilePath, FileReply, FileTag, Folder, Probe};

const LIMIT: Duration = Duration::from_secs(60);
const QUIET: Duration = Duration::from_millis(500);

fn ready() -> Cluster {
    let mut cluster = Cluster::new(config(3));
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator().is_some()
    });
    cluster
}

fn is_dropped(cluster: &Cluster, name: &str) -> bool {
    cluster.file(Folder::Inbox, name).is_some()
}

#[test]
fn a_file_that_somebody_writes_is_left_until_it_is_closed() {
    let mut cluster = ready();
    cluster.probes.insert(b"slow.job".to_vec(), Probe::Busy);
    cluster.drop_job("slow.job", "1");
    cluster.run_for(Duration::from_secs(10));
    assert!(is_dropped(&cluster, "slow.job"));
    cluster
        .files
        .insert(FilePath::new(Folder::Inbox, "slow.job"), b"12".to_vec());
    cluster.probes.clear();
    // Nobody says that it was closed: the rescan finds it.
    cluster.run_until(Duration::from_secs(3), "the job", |cluster| {
        cluster.file(Folder::Done, "slow.txt").is_some()
    });
    assert_eq!(
        cluster.file(Folder::Done, "slow.txt").unwrap(),
        format!("12!={}\n", factorial(12))
    );
}

#[test]
fn where_only_time_can_tell_a_file_must_hold_still() {
    let mut cluster = ready();
    cluster
        .probes
        .insert(b"net.job".to_vec(), Probe::Unknown { stamp: 1 });
    cluster.drop_job("net.job", "5");
    cluster.run_for(QUIET - Duration::from_millis(10));
    assert!(is_dropped(&cluster, "net.job"));
    cluster
        .probes
        .insert(b"net.job".to_vec(), Probe::Unknown { stamp: 2 });
    cluster.run_for(QUIET);
    assert!(is_dropped(&cluster, "net.job"), "it changed meanwhile");
    cluster.run_until(Duration::from_secs(2), "the job", |cluster| {
        cluster.file(Folder::Done, "net.txt").is_some()
    });
}

#[test]
fn a_busy_file_keeps_no_other_from_being_taken() {
    let mut cluster = ready();
    cluster.probes.insert(b"a.job".to_vec(), Probe::Busy);
    cluster.drop_job("a.job", "1");
    cluster.drop_job("b.job", "2");
    cluster.run_until(Duration::from_secs(1), "the other job", |cluster| {
        cluster.file(Folder::Done, "b.txt").is_some()
    });
    assert!(is_dropped(&cluster, "a.job"));
}

#[test]
fn what_is_ignored_stays_where_it_is() {
    let mut cluster = ready();
    for name in [".keep", "x.TMP", "~$x.job", "x~"] {
        cluster.drop_job(name, "5!");
    }
    cluster.run_for(Duration::from_secs(5));
    assert_eq!(cluster.files.len(), 4, "{:?}", cluster.files.keys());
}

#[test]
fn two_files_that_make_one_name_become_two_jobs() {
    let mut cluster = ready();
    cluster.drop_job("ten.job", "10");
    cluster.drop_job("ten.JOB", "11");
    cluster.run_until(LIMIT, "both", |cluster| {
        cluster.file(Folder::Done, "ten.txt").is_some()
            && cluster.file(Folder::Done, "ten.2.txt").is_some()
    });
    assert_eq!(
        cluster.file(Folder::Done, "ten.2.txt").unwrap(),
        "10!=3628800\n",
        "capital letters come first"
    );
}

#[test]
fn a_name_that_cannot_be_one_is_rejected_under_another() {
    let mut cluster = ready();
    cluster.drop_job("bad\nname.job", "5!");
    cluster.run_until(LIMIT, "the rejection", |cluster| {
        cluster
            .files
            .keys()
            .any(|path| path.folder == Folder::Failed && path.name.ends_with(b".txt"))
    });
    let (path, text) = cluster
        .files
        .iter()
        .find(|(path, _)| path.name.ends_with(b".txt"))
        .unwrap();
    assert!(
        path.name.is_ascii() && !path.name.contains(&b'\n'),
        "{path:?}"
    );
    assert!(String::from_utf8_lossy(text).contains("control characters"));
}

#[test]
fn a_commit_is_finished_if_a_hidden_file_says_that_it_has_no_text_yet() {
    for left in [
        (".job.run.1.2.9.done.txt", "5!=120\n"),
        (".job.run.1.2.9.done.txt", "6!=720\n"),
        (".job.run.1.2.9.anew", "6!=720\n"),
    ] {
        let mut cluster = Cluster::new(config(3));
        let (hidden, text) = left;
        for (path, content) in [
            (FilePath::new(Folder::Done, "job.job"), "5!"),
            (FilePath::new(Folder::Running, hidden), text),
        ] {
            cluster.files.insert(path, content.into());
        }
        cluster.run_until(LIMIT, "the text", |cluster| {
            cluster.file(Folder::Done, "job.txt").is_some()
        });
        cluster.run_for(Duration::from_secs(3));
        assert_eq!(
            cluster.file(Folder::Done, "job.txt").unwrap(),
            "5!=120\n",
            "{left:?}"
        );
        assert_eq!(
            cluster.files.len(),
            2,
            "{left:?}: {:?}",
            cluster.files.keys()
        );
        assert_eq!(cluster.lines, ["5!=120"]);
    }
}

/// The text may be that of a committed job which was about to get this number; or what is left of another
/// job that had it.
#[test]
fn a_text_with_a_number_is_of_the_job_without_it_only_if_it_answers_that() {
    for (text, expected) in [("5!=120\n", Some("5!=120\n")), ("6!=720\n", None)] {
        let mut cluster = Cluster::new(config(3));
        for (path, content) in [
            (FilePath::new(Folder::Done, "job.job"), "5!"),
            (
                FilePath::new(Folder::Running, ".job.2.run.1.2.9.done.txt"),
                text,
            ),
        ] {
            cluster.files.insert(path, content.into());
        }
        cluster.run_for(Duration::from_secs(5));
        let names = ["job.txt", "job.2.txt"];
        let delivered = names
            .iter()
            .find_map(|name| cluster.file(Folder::Done, name));
        assert_eq!(delivered.as_deref(), expected, "{:?}", cluster.files.keys());
        let left = cluster
            .files
            .keys()
            .filter(|path| path.folder == Folder::Running);
        assert_eq!(left.count(), 0, "{:?}", cluster.files.keys());
    }
}

#[test]
fn a_rejection_is_finished_with_the_reasons_that_were_written() {
    let mut cluster = Cluster::new(config(3));
    let hidden = ".job.run.1.2.9.failed.txt";
    for (path, content) in [
        (FilePath::new(Folder::Failed, "job.job"), "abc"),
        (FilePath::new(Folder::Running, hidden), "line 1: bad\n"),
    ] {
        cluster.files.insert(path, content.into());
    }
    cluster.run_until(LIMIT, "the text", |cluster| {
        cluster.file(Folder::Failed, "job.txt").is_some()
    });
    let reasons = cluster.file(Folder::Failed, "job.txt").unwrap();
    assert_eq!(reasons, "line 1: bad\n");
    assert_eq!(cluster.file(Folder::Failed, "job.job").unwrap(), "abc");
    assert_eq!(cluster.files.len(), 2);
}

#[test]
fn results_that_were_collected_do_not_come_back() {
    let mut cluster = Cluster::new(config(3));
    for (folder, content) in [(Folder::Done, "5!"), (Folder::Failed, "abc")] {
        let path = FilePath::new(folder, "job.job");
        cluster.files.insert(path, content.into());
    }
    let part = FilePath::new(Folder::Running, ".job.run.1.2.9.part");
    cluster.files.insert(part, b"5!=1".to_vec());
    cluster.run_for(Duration::from_secs(10));
    assert_eq!(cluster.files.len(), 2, "{:?}", cluster.files.keys());
    assert!(cluster.lines.is_empty(), "{:?}", cluster.lines);
}

#[test]
fn an_empty_file_has_five_seconds_to_be_filled() {
    let mut cluster = ready();
    for name in ["filled.job", "empty.job"] {
        cluster.probes.insert(name.into(), Probe::Empty);
        cluster.drop_job(name, "");
    }
    cluster.run_for(Duration::from_millis(4_900));
    assert!(is_dropped(&cluster, "empty.job"));
    cluster.probes.remove(b"filled.job".as_slice());
    cluster.drop_job("filled.job", "5!");
    cluster.run_until(Duration::from_secs(3), "both", |cluster| {
        cluster.file(Folder::Done, "filled.txt").is_some()
            && cluster.file(Folder::Failed, "empty.txt").is_some()
    });
    let reasons = cluster.file(Folder::Failed, "empty.txt").unwrap();
    assert!(reasons.starts_with("the file is empty"), "{reasons}");
}

#[test]
fn a_job_that_was_running_is_adopted_and_what_was_half_written_is_swept() {
    let mut cluster = Cluster::new(config(3));
    cluster
        .files
        .insert(FilePath::new(Folder::Running, "job.job"), b"5!".to_vec());
    for hidden in [
        ".job.old.7.2.31.part",
        ".job.old.7.2.31.done.txt",
        ".gone.old.7.2.31.failed.txt",
    ] {
        cluster
            .files
            .insert(FilePath::new(Folder::Running, hidden), b"5!=1".to_vec());
    }
    cluster.run_until(LIMIT, "the job", |cluster| {
        cluster.file(Folder::Done, "job.txt").is_some()
    });
    cluster.run_for(Duration::from_secs(3));
    assert_eq!(cluster.file(Folder::Done, "job.txt").unwrap(), "5!=120\n");
    assert_eq!(cluster.files.len(), 2, "{:?}", cluster.files.keys());
}

#[test]
fn a_job_that_somebody_takes_away_is_let_go() {
    let mut cluster = ready();
    cluster.drop_job("job.job", "3000!");
    cluster.run_until(LIMIT, "its claim", |cluster| {
        cluster.file(Folder::Running, "job.job").is_some()
    });
    cluster
        .files
        .remove(&FilePath::new(Folder::Running, "job.job"));
    cluster.run_for(Duration::from_secs(10));
    cluster.drop_job("next.job", "5!");
    cluster.run_until(LIMIT, "the next job", |cluster| {
        cluster.file(Folder::Done, "next.txt").is_some()
    });
    cluster.run_for(Duration::from_secs(3));
    assert_eq!(cluster.files.len(), 2, "{:?}", cluster.files.keys());
}

fn scans(actions: &Actions) -> bool {
    let is_scan = |action: &Action| {
        matches!(
            action,
            Action::File {
                call: FileCall::List(Folder::Inbox),
                ..
            }
        )
    };
    actions.0.iter().any(is_scan)
}

/// The inbox changes, is listed in this time, changes again; returns when it is listed again.
fn next_scan_after_one_that_takes(took: Duration) -> Duration {
    let mut node = Solo::coordinating(2, config(3));
    node.find_job("8!");
    node.file_done(FileTag::Folder(Folder::Inbox), FileReply::Listed(vec![]));
    node.pass(Duration::from_millis(20));
    assert!(scans(&node.step(Event::InboxChanged)), "at once");
    node.stand_still(took);
    node.file_done(FileTag::Folder(Folder::Inbox), FileReply::Listed(vec![]));
    assert!(!scans(&node.step(Event::InboxChanged)), "not at once");
    let step = Duration::from_micros(10);
    let waited = (1..=1_000).find(|_| scans(&node.pass(step)));
    step * waited.expect("another scan")
}

#[test]
fn the_next_scan_waits_as_long_as_the_last_one_took_and_five_milliseconds_at_most() {
    let quick = Duration::from_micros(200);
    assert_eq!(next_scan_after_one_that_takes(quick), quick);
    let slow = Duration::from_millis(30);
    assert_eq!(
        next_scan_after_one_that_takes(slow),
        Duration::from_millis(5)
    );
}

#[test]
fn hints_take_a_twentieth_of_the_time_where_listings_are_slow_and_find_no_job() {
    let mut node = Solo::coordinating(2, config(3));
    node.find_job("8!");
    let nothing = || FileReply::Listed(vec![b"notes.txt".to_vec()]);
    node.file_done(FileTag::Folder(Folder::Inbox), nothing());
    node.pass(Duration::from_millis(20));
    for _ in 0..2 {
        assert!(scans(&node.step(Event::InboxChanged)));
        node.stand_still(Duration::from_millis(10));
        node.file_done(FileTag::Folder(Folder::Inbox), nothing());
        // One alone may have waited for something else than the folder.
        node.pass(Duration::from_millis(5));
    }
    assert!(!scans(&node.step(Event::InboxChanged)), "not at once");
    let step = Duration::from_millis(5);
    let waited = (1..=1_000).find(|_| scans(&node.pass(step)));
    assert_eq!(
        step * (waited.expect("another scan") + 1),
        Duration::from_millis(200)
    );
}

#[test]
fn a_text_that_somebody_put_in_the_way_stays_and_the_job_gets_a_number() {
    let mut cluster = ready();
    cluster.drop_job("ten.job", "3000!");
    cluster.run_until(LIMIT, "its claim", |cluster| {
        cluster.file(Folder::Running, "ten.job").is_some()
    });
    for (folder, name) in [(Folder::Done, "ten.txt"), (Folder::Done, "ten.2.job")] {
        let path = FilePath::new(folder, name);
        cluster.files.insert(path, b"mine".to_vec());
    }
    cluster.run_until(LIMIT, "the text", |cluster| {
        cluster.file(Folder::Done, "ten.3.txt").is_some()
    });
    assert_eq!(cluster.file(Folder::Done, "ten.txt").unwrap(), "mine");
    assert_eq!(cluster.file(Folder::Done, "ten.3.job").unwrap(), "3000!");
    assert!(cluster.file(Folder::Done, "ten.job").is_none());
}

/// Its file may have been collected before its text has its name.
#[test]
fn a_name_is_taken_while_a_job_has_it_that_is_not_delivered() {
    let mut cluster = ready();
    cluster.drop_job("ten.job", "10!");
    let done = FilePath::new(Folder::Done, "ten.job");
    let mut collected = false;
    for _ in 0..10_000 {
        if cluster.files.remove(&done).is_some() {
            collected = true;
            break;
        }
        cluster.run_for(Duration::from_micros(10));
    }
    assert!(collected);
    cluster.drop_job("ten.job", "11!");
    cluster.run_for(Duration::from_secs(5));
    let texts = ["ten.txt", "ten.2.txt"].map(|name| cluster.file(Folder::Done, name));
    let texts = texts.map(Option::unwrap_or_default);
    assert!(texts.contains(&"10!=3628800\n".to_owned()), "{texts:?}");
    assert!(texts.contains(&"11!=39916800\n".to_owned()), "{texts:?}");
}
