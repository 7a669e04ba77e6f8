//! What waits is bounded, and keeps nobody else waiting.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::solo::{Actions, FIRST, Solo};
use protocol::config::Config;
use protocol::event::{Action, Event};
use protocol::file::{FileCall, FilePath, FileReply, FileTag, Folder, Probe};
use protocol::id::NodeId;
use protocol::trace::{Trace, WaitCause};

const LIMIT: Duration = Duration::from_secs(60);

fn config() -> Config {
    Config {
        nodes: 3,
        ..Config::default()
    }
}

fn listed(names: impl IntoIterator<Item = String>) -> FileReply {
    FileReply::Listed(names.into_iter().map(String::into_bytes).collect())
}

/// Some time passes, in which the peers are heard.
fn hear_and_pass(node: &mut Solo) -> Actions {
    for peer in 0..2 {
        node.step(Event::Alive {
            from: NodeId(peer),
            incarnation: FIRST,
        });
    }
    node.pass(Duration::from_millis(50))
}

/// The tags of the calls for which this holds.
fn calls(actions: &Actions, is_it: impl Fn(&FileCall) -> bool) -> Vec<FileTag> {
    let calls = actions.0.iter().filter_map(|action| match action {
        Action::File { tag, call, .. } if is_it(call) => Some(tag.clone()),
        _ => None,
    });
    calls.collect()
}

fn probes(actions: &Actions) -> Vec<FileTag> {
    calls(actions, |call| matches!(call, FileCall::Probe(_)))
}

/// A coordinator whose inbox has so many files; and what it does about them.
fn with_files(count: usize) -> (Solo, Actions) {
    let mut node = Solo::coordinating(2, config());
    for folder in [Folder::Running, Folder::Done, Folder::Failed] {
        node.file_done(FileTag::Folder(folder), FileReply::Listed(vec![]));
    }
    let names = (0..count).map(|index| format!("{index:04}.job"));
    let actions = node.file_done(FileTag::Folder(Folder::Inbox), listed(names));
    (node, actions)
}

/// Claims a file that has been looked at; returns what reads it.
fn claim(node: &mut Solo, probe: FileTag) -> (FileTag, Vec<FileTag>) {
    node.file_done(probe.clone(), FileReply::Probed(Probe::Complete));
    node.file_done(probe.clone(), FileReply::Existing(vec![]));
    let actions = node.file_done(probe, FileReply::Ok);
    let read = calls(&actions, |call| matches!(call, FileCall::Read { .. }));
    (read[0].clone(), probes(&actions))
}

#[test]
fn files_that_somebody_keeps_from_being_read_take_no_places() {
    let (mut node, actions) = with_files(300);
    let mut waiting = probes(&actions);
    assert_eq!(waiting.len(), 256, "so many places there are");
    let mut kept = Vec::new();
    for _ in 0..256 {
        let (read, more) = claim(&mut node, waiting.remove(0));
        waiting.extend(more);
        let actions = node.file_done(read.clone(), FileReply::Kept);
        let why = WaitCause::Writer;
        assert!(
            actions.traced(|trace| matches!(trace, Trace::JobWaits { why: w, .. } if *w == why))
        );
        waiting.extend(probes(&actions));
        kept.push(read);
    }
    assert_eq!(waiting.len(), 44, "all others are looked at");

    // Nobody keeps a place for ever: after a minute it is rejected.
    for _ in 0..61 * 20 {
        hear_and_pass(&mut node);
    }
    let actions = node.file_done(kept[0].clone(), FileReply::Kept);
    assert!(actions.traced(|trace| matches!(trace, Trace::JobRejected { .. })));
}

#[test]
fn a_name_that_is_taken_a_thousand_times_is_not_tried_a_thousand_times_again() {
    let mut node = Solo::coordinating(2, config());
    for folder in [Folder::Running, Folder::Done, Folder::Failed] {
        node.file_done(FileTag::Folder(folder), FileReply::Listed(vec![]));
    }
    let mut tries = Vec::new();
    for taken in [1_000, 1_001, 1_002] {
        let names = listed(["x.job".to_owned()]);
        let actions = node.file_done(FileTag::Folder(Folder::Inbox), names);
        let file = probes(&actions).remove(0);
        let complete = FileReply::Probed(Probe::Complete);
        let mut asked = asked_number(&node.file_done(file.clone(), complete));
        let mut tried = 1;
        while asked <= taken {
            tried += 1;
            let other = FileReply::Existing(vec![FilePath::new(Folder::Done, "x.job")]);
            asked = asked_number(&node.file_done(file.clone(), other));
        }
        assert_eq!(asked, taken + 1, "the next number");
        tries.push(tried);
        node.file_done(file.clone(), FileReply::Existing(vec![]));
        node.file_done(file, FileReply::Ok);
        (0..60).find(|_| !lists(&hear_and_pass(&mut node)).is_empty());
    }
    assert!(
        tries[0] > 999 && tries[1] < 10 && tries[2] < 10,
        "{tries:?}"
    );
}

fn lists(actions: &Actions) -> Vec<FileTag> {
    calls(actions, |call| {
        matches!(call, FileCall::List(Folder::Inbox))
    })
}

/// The number at the end of the name that an `Exist` asks for.
fn asked_number(actions: &Actions) -> u32 {
    let asked = actions.0.iter().find_map(|action| match action {
        Action::File {
            call: FileCall::Exist(paths),
            ..
        } => Some(String::from_utf8(paths[0].name.clone()).unwrap()),
        _ => None,
    });
    let asked = asked.unwrap();
    let name = asked.strip_suffix(".job").unwrap();
    let number = name
        .split_once('.')
        .map(|(_, number)| number.parse().unwrap());
    number.unwrap_or(1)
}

#[test]
fn jobs_share_the_memory_of_one_and_small_ones_do_not_wait() {
    let mut cluster = Cluster::new(Config {
        // 300! has 615 digits: two of them do not fit, nor does a third.
        max_digits: 1_000,
        ..config()
    });
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator().is_some()
    });
    for n in 300..304 {
        cluster.drop_job(&format!("{n}.job"), &n.to_string());
    }
    cluster.drop_job("small.job", "10");
    let done = |cluster: &Cluster, name: &str| {
        cluster.file(Folder::Done, &format!("{name}.txt")).is_some()
    };
    cluster.run_until(LIMIT, "the small one", |cluster| done(cluster, "small"));
    cluster.run_until(LIMIT, "all of them", |cluster| {
        (300..304).all(|n| done(cluster, &n.to_string()))
    });
    let waited = cluster.traces.iter().filter(|(_, trace)| {
        matches!(
            trace,
            Trace::JobWaits {
                why: WaitCause::Memory,
                ..
            }
        )
    });
    assert_eq!(waited.count(), 3, "all but the first");
    let told =
        |name: &str, trace: &Trace| matches!(trace, Trace::JobWaits { job, .. } if job == name);
    assert!(!cluster.traces.iter().any(|(_, trace)| told("small", trace)));
}

#[test]
fn a_coordinator_that_takes_over_goes_on_with_what_was_begun_and_then_with_who_waits() {
    let mut cluster = Cluster::new(Config {
        max_digits: 1_000,
        ..config()
    });
    cluster.run_until(LIMIT, "a coordinator", |cluster| {
        cluster.coordinator().is_some()
    });
    for n in 300..303 {
        cluster.drop_job(&format!("{n}.job"), &n.to_string());
    }
    cluster.run_until(LIMIT, "two that wait", |cluster| {
        let waits = |trace: &Trace| matches!(trace, Trace::JobWaits { .. });
        cluster
            .traces
            .iter()
            .filter(|(_, trace)| waits(trace))
            .count()
            == 2
    });
    let coordinator = cluster.coordinator().unwrap();
    cluster.kill(coordinator);
    cluster.run_until(LIMIT, "all of them", |cluster| {
        (300..303).all(|n| cluster.file(Folder::Done, &format!("{n}.txt")).is_some())
    });
}

/// A job whose text has no room is not computed before there is some.
#[test]
fn a_job_that_waits_for_room_is_computed_when_there_is_some() {
    let mut node = Solo::coordinating(2, config());
    let text = "20000";
    let all = node.find_job(text);
    let asks = |call: &FileCall| matches!(call, FileCall::Room { bytes } if *bytes > 77_000);
    let room = all
        .iter()
        .flat_map(|actions| calls(actions, asks))
        .next()
        .unwrap();
    let full = || FileReply::Full("no room".to_owned());
    let actions = node.file_done(room.clone(), full());
    let waits = |trace: &Trace| {
        matches!(
            trace,
            Trace::JobWaits {
                why: WaitCause::Space,
                ..
            }
        )
    };
    assert!(actions.traced(waits));
    assert!(actions.assigned(0).is_empty() && actions.assigned(1).is_empty());
    let status = node.node.status();
    assert_eq!(status.jobs[0].waits, Some(WaitCause::Space));
    for _ in 0..3 {
        let again = (0..20).find_map(|_| calls(&hear_and_pass(&mut node), asks).pop());
        assert_eq!(again, Some(room.clone()), "it is asked again");
        let actions = node.file_done(room.clone(), full());
        assert!(!actions.traced(waits), "it is told once");
    }
    let actions = node.file_done(room, FileReply::Ok);
    assert!(!actions.assigned(0).is_empty());
    assert_eq!(node.node.status().jobs[0].waits, None);
}

/// The room that one large text will take is not there for the next one.
#[test]
fn room_is_asked_for_all_large_texts_that_are_to_come() {
    let (mut node, actions) = with_files(2);
    let mut asked = Vec::new();
    let mut waiting = probes(&actions);
    while !waiting.is_empty() {
        let (read, more) = claim(&mut node, waiting.remove(0));
        waiting.extend(more);
        let actions = node.file_done(read.clone(), FileReply::Content("20000".into()));
        let room = actions.0.iter().find_map(|action| match action {
            Action::File {
                call: FileCall::Room { bytes },
                ..
            } => Some(*bytes),
            _ => None,
        });
        asked.push(room.unwrap());
        node.file_done(read, FileReply::Ok);
    }
    assert_eq!(asked[1], 2 * asked[0], "{asked:?}");
}
