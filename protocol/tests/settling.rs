//! What is read of a claimed job's file is what it has when nobody can be writing it: where only a
//! quiet time can tell, no job ends before that.

use std::time::Duration;

use crate::solo::{Actions, FIRST, Solo, product};
use protocol::config::Config;
use protocol::event::{Action, Event};
use protocol::file::{FileCall, FileReply, FileTag, Folder, Probe};
use protocol::id::NodeId;
use protocol::message::Message;
use protocol::trace::Trace;

fn listed(names: &[&str]) -> FileReply {
    FileReply::Listed(names.iter().map(|name| name.as_bytes().to_vec()).collect())
}

fn unsettled(content: &str, stamp: u64) -> FileReply {
    let content = content.to_owned().into();
    FileReply::Unsettled { content, stamp }
}

fn called(actions: &Actions, is: impl Fn(&FileCall) -> bool) -> Option<FileTag> {
    actions.0.iter().find_map(|action| match action {
        Action::File { tag, call, .. } if is(call) => Some(tag.clone()),
        _ => None,
    })
}

fn is_read(call: &FileCall) -> bool {
    matches!(call, FileCall::Read { .. })
}

fn is_commit(call: &FileCall) -> bool {
    matches!(call, FileCall::Rename { to, .. } if to.folder == Folder::Done && to.name.ends_with(b".job"))
}

fn coordinator(running: &[&str]) -> (Solo, Actions) {
    let config = Config {
        nodes: 3,
        ..Config::default()
    };
    let mut node = Solo::coordinating(2, config);
    let found = node.file_done(FileTag::Folder(Folder::Running), listed(running));
    for folder in [Folder::Done, Folder::Failed] {
        node.file_done(FileTag::Folder(folder), listed(&[]));
    }
    (node, found)
}

/// Lets a tenth of a second pass, so often, until `is` finds something in what the node does.
fn before_long<T>(node: &mut Solo, is: impl Fn(&Actions) -> Option<T>) -> Option<T> {
    (0..12).find_map(|_| {
        for peer in 0..2 {
            let from = NodeId(peer);
            let incarnation = FIRST;
            node.step(Event::Alive { from, incarnation });
        }
        is(&node.pass(Duration::from_millis(100)))
    })
}

/// Drops a file that is seen with this stamp twice, and claims it; returns what reads it.
fn claim(node: &mut Solo, stamp: u64) -> FileTag {
    let inbox = FileTag::Folder(Folder::Inbox);
    let mut dropped = None;
    for _ in 0..2 {
        let actions = node.file_done(inbox.clone(), listed(&["a.job"]));
        let probe = called(&actions, |call| matches!(call, FileCall::Probe(_))).unwrap();
        node.file_done(probe.clone(), FileReply::Probed(Probe::Unknown { stamp }));
        dropped = Some(probe);
        let lists =
            |actions: &Actions| called(actions, |call| *call == FileCall::List(Folder::Inbox));
        before_long(node, lists);
    }
    let dropped = dropped.unwrap();
    node.file_done(dropped.clone(), FileReply::Existing(vec![]));
    let actions = node.file_done(dropped, FileReply::Ok);
    called(&actions, is_read).unwrap()
}

/// Workers finish what they are given, until the text is written; returns what writes it.
fn compute(node: &mut Solo, mut actions: Actions) -> FileTag {
    loop {
        if let Some(write) = called(&actions, |call| matches!(call, FileCall::Write { .. })) {
            return write;
        }
        let (peer, operation) = (0..2)
            .find_map(|peer| Some((peer, *actions.assigned(peer).first()?)))
            .unwrap();
        let products = vec![product(operation)];
        actions = node.receive(peer, Message::Products { products });
    }
}

fn accepted(actions: &Actions) -> bool {
    actions.traced(|trace| matches!(trace, Trace::JobAccepted { .. }))
}

#[test]
fn what_held_still_before_the_claim_and_is_the_same_after_it_is_read_at_once() {
    let (mut node, _) = coordinator(&[]);
    let job = claim(&mut node, 7);
    assert!(accepted(&node.file_done(job, unsettled("0!", 7))));
}

#[test]
fn what_changed_between_the_look_and_the_claim_must_hold_still_once_more() {
    let (mut node, _) = coordinator(&[]);
    let job = claim(&mut node, 7);
    for content in ["1", "12"] {
        let stamp = content.len() as u64;
        let actions = node.file_done(job.clone(), unsettled(content, stamp));
        assert!(!accepted(&actions), "it may be half written");
        let again = before_long(&mut node, |actions| called(actions, is_read));
        assert_eq!(again.as_ref(), Some(&job));
    }
    assert!(accepted(&node.file_done(job, unsettled("12", 2))));
}

/// Its products may be held, so it is worked on; but the claim may have come late, with a writer at
/// work.
#[test]
fn a_found_job_is_worked_on_at_once_and_not_committed_before_it_held_still() {
    let (mut node, found) = coordinator(&["a.job"]);
    let job = called(&found, is_read).unwrap();
    let actions = node.file_done(job.clone(), unsettled("0!", 1));
    assert!(accepted(&actions));
    let write = compute(&mut node, actions);
    let done = node.file_done(write, FileReply::Ok);
    assert_eq!(called(&done, is_commit), None);
    let look = called(&done, is_read).unwrap();
    let actions = node.file_done(look.clone(), unsettled("0!", 1));
    assert_eq!(
        called(&actions, is_commit),
        None,
        "it was seen a moment ago"
    );
    let look = before_long(&mut node, |actions| called(actions, is_read)).unwrap();
    let actions = node.file_done(look, unsettled("0!", 1));
    assert_eq!(called(&actions, is_commit), Some(job));
}
