//! Nodes die of what they compute: the job is marked on the disk before its work goes on, is computed
//! alone from then on, and fails when it has done so too often.

use crate::solo::{Actions, FIRST, Solo};
use protocol::config::Config;
use protocol::deaths::Deaths;
use protocol::event::{Action, Event};
use protocol::file::{Content, FileCall, FilePath, FileReply, FileTag, Folder};
use protocol::trace::Trace;

fn config() -> Config {
    Config {
        nodes: 3,
        run: "r1".to_owned(),
        ..Config::default()
    }
}

/// The calls that were asked for, and what they are for.
fn calls(actions: &Actions) -> Vec<(&FileTag, &FileCall)> {
    let calls = actions.0.iter().filter_map(|action| match action {
        Action::File { tag, call, .. } => Some((tag, call)),
        _ => None,
    });
    calls.collect()
}

/// The marks that are written, and what for.
fn marks(actions: &Actions) -> Vec<(FileTag, String)> {
    let written = calls(actions)
        .into_iter()
        .filter_map(|(tag, call)| match call {
            FileCall::Write { path, .. } if path.name.ends_with(b".deaths") => {
                let name = String::from_utf8(path.name.clone()).unwrap();
                Some((tag.clone(), name))
            }
            _ => None,
        });
    written.collect()
}

fn removes(actions: &Actions, name: &str) -> bool {
    let path = FilePath::new(Folder::Running, name);
    let calls = calls(actions);
    calls.contains(&(&FileTag::Sweep, &FileCall::Remove(path)))
}

fn died(node: &mut Solo, caused: u64, charged: u64) -> Actions {
    node.step(Event::Deaths(Deaths { caused, charged }))
}

/// A coordinator that finds these files in `running/`; job.job is 8!, a.job 9!, and so on.
fn finds(files: &[&str]) -> (Solo, Actions) {
    let node = Solo::coordinating(2, config());
    find(node, files)
}

fn find(mut node: Solo, files: &[&str]) -> (Solo, Actions) {
    let names = files.iter().map(|name| name.as_bytes().to_vec());
    let listed = FileReply::Listed(names.collect());
    let found = node.file_done(FileTag::Folder(Folder::Running), listed);
    let mut all = Actions(Vec::new());
    for folder in [Folder::Done, Folder::Failed] {
        let none = FileReply::Listed(Vec::new());
        all.0
            .extend(node.file_done(FileTag::Folder(folder), none).0);
    }
    for (tag, call) in calls(&found) {
        if let FileCall::Read { path, .. } = call {
            let text = match path.name[0] {
                b'j' => "8!".to_owned(),
                other => format!("{}!", other - b'a' + 9),
            };
            let content = FileReply::Content(text.into());
            all.0.extend(node.file_done(tag.clone(), content).0);
        }
    }
    (node, all)
}

fn assigned(actions: &Actions) -> usize {
    actions.assigned(0).len() + actions.assigned(1).len()
}

#[test]
fn nothing_is_assigned_before_the_deaths_are_on_the_disk() {
    let (mut node, begun) = finds(&["job.job"]);
    assert_eq!(assigned(&begun), 2, "both leaves of 8!");
    node.link_down(0, FIRST);
    let told = died(&mut node, 1, 0);
    let [(tag, name)] = &marks(&told)[..] else {
        panic!("one mark: {told:?}")
    };
    assert_eq!(name, ".job.r1.1.1.deaths");
    assert_eq!(assigned(&told), 0);
    assert_eq!(node.node.deaths_charged(), 0);

    let more = died(&mut node, 3, 0);
    assert!(marks(&more).is_empty(), "one after the other");
    let again = node.file_done(tag.clone(), FileReply::Ok);
    assert_eq!(node.node.deaths_charged(), 1);
    let [(tag, name)] = &marks(&again)[..] else {
        panic!("the next mark: {again:?}")
    };
    assert_eq!(name, ".job.r1.3.3.deaths");
    let done = node.file_done(tag.clone(), FileReply::Ok);
    assert_eq!(node.node.deaths_charged(), 3);
    assert!(removes(&done, ".job.r1.1.1.deaths"));
    assert!(!removes(&done, ".job.r1.3.3.deaths"));
}

#[test]
fn a_new_coordinator_marks_what_it_found_before_it_assigns_any_of_it() {
    let mut node = Solo::coordinating(2, config());
    died(&mut node, 2, 0);
    let (mut node, found) = find(node, &["job.job", ".job.r0.9.4.deaths"]);
    assert_eq!(assigned(&found), 0);
    let [(tag, name)] = &marks(&found)[..] else {
        panic!("one mark: {found:?}")
    };
    assert_eq!(name, ".job.r1.2.6.deaths");
    let marked = node.file_done(tag.clone(), FileReply::Ok);
    assert_eq!(assigned(&marked), 2);
    assert!(removes(&marked, ".job.r0.9.4.deaths"));
}

#[test]
fn what_is_marked_already_is_not_marked_again() {
    let mut node = Solo::coordinating(2, config());
    died(&mut node, 2, 0);
    let (node, found) = find(node, &["job.job", ".job.r1.2.6.deaths"]);
    assert!(marks(&found).is_empty());
    assert_eq!(node.node.deaths_charged(), 2);
    assert_eq!(assigned(&found), 2);
}

#[test]
fn a_mark_that_cannot_be_written_holds_nobody_up() {
    let (mut node, _) = finds(&["job.job"]);
    let told = died(&mut node, 1, 0);
    let full = FileReply::Full("no space left on device".to_owned());
    let failed = node.file_done(marks(&told)[0].0.clone(), full);
    assert!(failed.warnings()[0].contains("no space left"), "{failed:?}");
    assert_eq!(node.node.deaths_charged(), 1);
}

#[test]
fn a_job_that_nodes_died_of_too_often_fails_and_says_so() {
    let (mut node, _) = finds(&["job.job", ".job.r0.1.9.deaths"]);
    let told = died(&mut node, 1, 0);
    assert!(told.traced(|trace| matches!(trace, Trace::JobRejected { .. })));
    let reasons = calls(&told).into_iter().find_map(|(_, call)| match call {
        FileCall::Write { path, content, .. } if path.name.ends_with(b".failed.txt") => {
            let text = content.iter().flat_map(Content::pieces).flatten();
            Some(String::from_utf8(text.collect()).unwrap())
        }
        _ => None,
    });
    let reasons = reasons.unwrap();
    assert!(
        reasons.starts_with("10 nodes died for want of memory"),
        "{reasons}"
    );

    let (_, found) = finds(&["job.job", ".job.r0.1.10.deaths"]);
    assert!(found.traced(|trace| matches!(trace, Trace::JobRejected { .. })));
    assert_eq!(assigned(&found), 0);
}

#[test]
fn a_job_under_suspicion_is_computed_alone_and_in_its_turn() {
    let files = ["a.job", "b.job", ".b.r0.1.1.deaths", "c.job"];
    let (mut node, found) = finds(&files);
    let of = |name: &str, actions: &Actions| {
        actions.traced(|trace| matches!(trace, Trace::JobAccepted { job, .. } if job == name))
    };
    assert!(of("a", &found) && !of("b", &found) && !of("c", &found));
    let waits = |name: &str| {
        found.traced(|trace| matches!(trace, Trace::JobWaits { job, .. } if job == name))
    };
    assert!(waits("b") && waits("c"), "nobody passes it by");

    // Another death now is that of what runs.
    let told = died(&mut node, 1, 0);
    let marks = marks(&told);
    assert_eq!(marks.len(), 1);
    assert_eq!(marks[0].1, ".a.r1.1.1.deaths");
}

#[test]
fn jobs_that_are_computed_together_are_suspected_and_no_more() {
    let (mut node, _) = finds(&["a.job", "b.job"]);
    let told = died(&mut node, 7, 0);
    let names: Vec<String> = marks(&told).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, [".a.r1.7.1.deaths", ".b.r1.7.1.deaths"]);
    assert!(!told.traced(|trace| matches!(trace, Trace::JobRejected { .. })));
}

#[test]
fn marks_without_a_job_are_swept() {
    let (_, found) = finds(&["job.job", ".gone.r0.1.3.deaths", ".job.r0.1.1.deaths"]);
    assert!(removes(&found, ".gone.r0.1.3.deaths"));
    assert!(!removes(&found, ".job.r0.1.1.deaths"));
}

#[test]
fn deaths_of_an_idle_cluster_are_nobodys() {
    let (mut node, _) = finds(&[]);
    let told = died(&mut node, 4, 0);
    assert!(marks(&told).is_empty());
    assert_eq!(node.node.deaths_charged(), 4);
}
