//! One test a defect that the simulation found, and that was mended: what a node knows may be old,
//! since it slept, since news came out of order, or since a file call came late.

#![allow(clippy::unwrap_used)] // In helpers, where a panic is how a test fails.

use std::time::Duration;

use crate::cluster::config;
use crate::solo::{Actions, FIRST, Solo, epoch, leaf};
use protocol::event::{Action, ChildState, Event};
use protocol::file::{FileCall, FileReply, FileTag, Folder, Probe};
use protocol::id::{Epoch, Incarnation, NodeId};
use protocol::message::{Inventory, Message};
use protocol::plan::OperationId;
use protocol::status::RoleName;
use protocol::trace::{ElectionCause, Trace};

const NEXT: Incarnation = Incarnation(200);

/// Node 2 of four, whose coordinator, node 3, has just died: it collects from nodes 0 and 1.
fn winner() -> Solo {
    let mut node = Solo::following(2, config(4), epoch(1, 3));
    let actions = node.link_down(3, FIRST);
    assert_eq!(actions.receivers("collect"), [0, 1]);
    node
}

fn promise(node: &mut Solo, from: u8, held: Vec<OperationId>) -> Actions {
    let epoch = node.node.highest();
    let inventory = Inventory {
        held,
        ..Inventory::default()
    };
    node.receive(from, Message::Promise { epoch, inventory })
}

fn listed(names: &[&str]) -> FileReply {
    FileReply::Listed(names.iter().map(|name| name.as_bytes().to_vec()).collect())
}

/// The promise can overtake the news that its sender runs again, which comes on another link.
#[test]
fn a_promise_of_a_peer_that_is_thought_stopped_counts() {
    let mut node = winner();
    node.hint(1, ChildState::Stopped);
    let actions = promise(&mut node, 1, vec![leaf(8, 0)]);
    assert!(actions.sent(1, "pull"), "{actions:?}");
}

#[test]
fn a_peer_that_runs_again_is_asked_again() {
    let mut node = winner();
    node.hint(1, ChildState::Stopped);
    let actions = node.hint(1, ChildState::Running);
    assert!(actions.sent(1, "collect"), "{actions:?}");
    promise(&mut node, 0, Vec::new());
    assert_eq!(node.node.acting(), None, "node 1 has not answered");
    promise(&mut node, 1, Vec::new());
    assert!(node.node.acting().is_some());
}

/// A winner in a new life knows of a stopped peer by a hint alone: its link is made when it goes on.
#[test]
fn a_peer_that_runs_again_is_waited_for_until_it_links() {
    let mut node = Solo::alone(2, config(4));
    node.hint(3, ChildState::Stopped);
    node.link_up(0, FIRST);
    node.link_up(1, FIRST);
    node.receive(
        0,
        Message::Stale {
            highest: epoch(4, 3),
        },
    );
    node.step(Event::Start);
    node.pass(Duration::from_millis(510));
    assert_eq!(node.node.role(), RoleName::Candidate);
    node.hint(3, ChildState::Running);
    promise(&mut node, 0, Vec::new());
    promise(&mut node, 1, Vec::new());
    assert_eq!(node.node.acting(), None, "node 3 has not answered");
    assert!(node.link_up(3, FIRST).sent(3, "collect"));
    promise(&mut node, 3, Vec::new());
    assert!(node.node.acting().is_some());
}

/// It was silent for too long before the election, and speaks while the winner still collects.
#[test]
fn a_peer_that_is_heard_again_is_asked() {
    let mut node = Solo::following(2, config(4), epoch(1, 3));
    node.pass(Duration::from_millis(500));
    assert_eq!(node.node.acting(), None, "nodes 0 and 1 have not answered");
    let highest = epoch(1, 3);
    let actions = node.receive(
        3,
        Message::Election {
            highest,
            hangs: false,
        },
    );
    assert!(actions.sent(3, "collect"), "{actions:?}");
    promise(&mut node, 0, Vec::new());
    promise(&mut node, 1, Vec::new());
    assert_eq!(node.node.acting(), None, "node 3 has not answered");
    promise(&mut node, 3, Vec::new());
    assert!(node.node.acting().is_some());
}

/// The hint that it was stopped came late: it fell silent, was said to be stopped, and speaks.
#[test]
fn a_peer_that_is_heard_again_is_not_stopped_any_more() {
    let highest = epoch(1, 3);
    let mut node = Solo::following(1, config(4), highest);
    node.pass(Duration::from_millis(500));
    node.hint(3, ChildState::Stopped);
    node.receive(
        3,
        Message::Election {
            highest,
            hangs: false,
        },
    );
    assert_eq!(node.link_down(2, FIRST).receivers("collect"), [0, 3]);
}

/// A node in a new life knows of the others by hints at first; who greets it goes on, and may hold
/// all there is.
#[test]
fn a_peer_that_links_is_not_stopped_any_more() {
    let mut node = Solo::alone(2, config(3));
    node.hint(0, ChildState::Stopped);
    node.hint(1, ChildState::Stopped);
    node.step(Event::Start);
    node.step(Event::LinkUp {
        peer: NodeId(0),
        incarnation: FIRST,
        highest: epoch(4, 1),
    });
    let highest = epoch(4, 1);
    let actions = node.receive(
        0,
        Message::Election {
            highest,
            hangs: false,
        },
    );
    assert!(actions.sent(0, "collect"), "{actions:?}");
    assert_eq!(node.node.acting(), None, "node 0 has not answered");
}

/// All that it knew may have died and come back while it slept.
#[test]
fn a_sleeper_that_wins_waits_for_the_next_lives_of_the_others() {
    let mut node = Solo::following(2, config(4), epoch(1, 3));
    node.stand_still(Duration::from_millis(200));
    for peer in [0, 1, 3] {
        node.link_down(peer, FIRST);
    }
    assert_eq!(node.node.acting(), None);
    let actions = node.link_up(1, NEXT);
    assert!(actions.sent(1, "collect"), "{actions:?}");
    assert_eq!(node.node.acting(), None);
    node.pass(Duration::from_millis(150));
    assert!(node.node.acting().is_some(), "it does not wait for ever");
}

/// It slept from its start on, and the others have long begun: what it takes for the first term is
/// the second coordinatorship.
#[test]
fn a_sleeper_takes_no_cluster_for_one_that_starts() {
    let mut node = Solo::alone(2, config(3));
    node.hint(0, ChildState::Running);
    node.stand_still(Duration::from_millis(300));
    node.hint(1, ChildState::Running);
    node.step(Event::Start);
    assert_eq!(node.node.acting(), None, "nodes 0 and 1 have not answered");
    assert!(node.link_up(0, FIRST).sent(0, "collect"));
    promise(&mut node, 0, vec![leaf(8, 0)]);
    node.pass(Duration::from_millis(250));
    assert!(node.node.acting().is_some(), "it does not wait for ever");
}

#[test]
fn one_that_was_awake_does_not_wait_for_the_dead() {
    let mut node = Solo::following(2, config(4), epoch(1, 3));
    for peer in [0, 1, 3] {
        node.link_down(peer, FIRST);
    }
    assert!(node.node.acting().is_some());
}

/// It knows the life that it follows by its epoch alone; the link to it never stood.
#[test]
fn the_end_of_a_life_that_is_known_by_its_epoch_alone_is_noticed() {
    let mut node = Solo::alone(1, config(4));
    node.step(Event::Start);
    node.step(Event::LinkUp {
        peer: NodeId(0),
        incarnation: FIRST,
        highest: epoch(7, 3),
    });
    assert_eq!(node.node.coordinator(), Some(NodeId(3)));
    let hint = Event::Hint {
        peer: NodeId(3),
        incarnation: NEXT,
        state: ChildState::Running,
    };
    let actions = node.step(hint);
    assert!(actions.traced(|trace| matches!(
        trace,
        Trace::PeerDown { peer: NodeId(3), peer_incarnation, .. } if *peer_incarnation == FIRST
    )));
    assert!(actions.traced(|trace| matches!(
        trace,
        Trace::ElectionStarted {
            why: ElectionCause::CoordinatorLost
        }
    )));
}

/// One Hello says both: that the coordinator's life is over, and that its next one has won.
#[test]
fn who_is_told_of_the_next_epoch_with_the_loss_does_not_elect() {
    let mut node = Solo::following(1, config(4), epoch(1, 3));
    let next = Epoch {
        incarnation: NEXT,
        ..epoch(2, 3)
    };
    let actions = node.step(Event::LinkUp {
        peer: NodeId(3),
        incarnation: NEXT,
        highest: next,
    });
    assert!(!actions.traced(|trace| matches!(trace, Trace::ElectionStarted { .. })));
    assert!(actions.promise(3).is_some(), "{actions:?}");
}

/// It obeys the coordinator until it has won, and no other in its place.
#[test]
fn a_preempting_node_that_is_told_of_another_epoch_follows_its_owner() {
    let mut node = Solo::following(1, config(4), epoch(1, 0));
    assert_eq!(node.node.coordinator(), None, "it asks nodes 2 and 3");
    node.link_down(3, FIRST);
    node.receive(
        2,
        Message::Answer {
            highest: epoch(2, 3),
            hangs: false,
        },
    );
    let next = Epoch {
        incarnation: NEXT,
        ..epoch(3, 3)
    };
    node.receive(2, Message::Stale { highest: next });
    node.link_up(3, NEXT);
    node.receive_of(3, NEXT, Message::Heartbeat { epoch: next });
    assert_eq!(node.node.coordinator(), Some(NodeId(3)));
}

/// A claim that comes late may take another file of the same name, with its writer at work.
#[test]
fn a_found_job_is_not_read_while_it_is_being_written() {
    let mut node = Solo::coordinating(1, config(2));
    let epoch = node.node.highest();
    let found = node.file_done(FileTag::Folder(Folder::Running), listed(&["job.job"]));
    node.file_done(FileTag::Folder(Folder::Done), listed(&[]));
    node.file_done(FileTag::Folder(Folder::Failed), listed(&[]));
    let tag = found.read();
    let reads = |actions: &Actions| {
        let read = |action: &Action| {
            matches!(
                action,
                Action::File {
                    call: FileCall::Read { .. },
                    ..
                }
            )
        };
        actions.0.iter().any(read)
    };
    let busy = node.file_done(tag.clone(), FileReply::Probed(Probe::Busy));
    assert!(!reads(&busy), "{busy:?}");
    node.pass(Duration::from_millis(300));
    node.receive(
        0,
        Message::Pulse {
            epoch,
            hangs: false,
        },
    );
    let later = node.pass(Duration::from_millis(300));
    assert_eq!(later.read(), tag);
    let complete = node.file_done(tag, FileReply::Content("5!".into()));
    assert!(complete.traced(|trace| matches!(trace, Trace::JobAccepted { .. })));
}

/// Who wrote it may have decided on the commit and been stopped before it made it: once that comes,
/// this is the job's text.
#[test]
fn the_text_of_a_commit_that_may_come_late_is_kept() {
    let text = ".job.run.1.0.1.done.txt";
    let half = ".job.run.1.0.1.part";
    let stray = ".other.run.1.0.1.done.txt";
    let mut node = Solo::coordinating(1, config(2));
    let names = ["job.job", text, half, stray];
    node.file_done(FileTag::Folder(Folder::Running), listed(&names));
    node.file_done(FileTag::Folder(Folder::Done), listed(&[]));
    let actions = node.file_done(FileTag::Folder(Folder::Failed), listed(&[]));
    let removes = |name: &str| {
        let is_it = |action: &Action| {
            matches!(
                action,
                Action::File { call: FileCall::Remove(path), .. } if path.name == name.as_bytes()
            )
        };
        actions.0.iter().any(is_it)
    };
    assert!(!removes(text), "{actions:?}");
    assert!(removes(half) && removes(stray), "{actions:?}");
}

/// What the node removes.
fn removed(actions: &Actions) -> Vec<String> {
    let removed = actions.0.iter().filter_map(|action| match action {
        Action::File {
            call: FileCall::Remove(path),
            ..
        } => Some(String::from_utf8_lossy(&path.name).into_owned()),
        _ => None,
    });
    removed.collect()
}

/// A committed job, `job.job`, and what was left for it in `running/`.
fn committed_job(left: &[&str]) -> (Solo, Actions) {
    let mut node = Solo::coordinating(1, config(2));
    node.file_done(FileTag::Folder(Folder::Running), listed(left));
    node.file_done(FileTag::Folder(Folder::Done), listed(&["job.job"]));
    let actions = node.file_done(FileTag::Folder(Folder::Failed), listed(&[]));
    (node, actions)
}

const OLDER: &str = ".job.run.1.0.1.done.txt";
const NEWER: &str = ".job.run.9.1.2.done.txt";

/// A committed job with two texts, one of which is about to get its name; and what its calls are for.
fn about_to_name() -> (Solo, FileTag) {
    let (mut node, found) = committed_job(&[OLDER, NEWER]);
    let job = found.read();
    let read = node.file_done(job.clone(), FileReply::Content("0!\n".into()));
    let checked = node.file_done(job.clone(), FileReply::Content("0!=1\n".into()));
    for actions in [found, read, checked] {
        assert_eq!(removed(&actions), [""; 0]);
    }
    (node, job)
}

/// Two coordinators may finish one commit, each with the text that it has found or written; if each removed
/// the other's before its own had its name, none would be left.
#[test]
fn of_two_texts_of_a_commit_none_goes_before_one_has_the_name() {
    let (mut node, job) = about_to_name();
    let named = node.file_done(job, FileReply::Ok);
    assert!(named.traced(|trace| matches!(trace, Trace::JobDone { .. })));
    assert_eq!(removed(&named).len(), 1, "{named:?}");
}

#[test]
fn a_text_that_is_gone_when_it_is_to_get_its_name_is_looked_for_and_another_is_found() {
    let (mut node, job) = about_to_name();
    let gone = node.file_done(job, FileReply::Absent);
    assert!(!gone.traced(|trace| matches!(trace, Trace::JobDone { .. })));
    assert_eq!(removed(&gone), [""; 0]);
    node.file_done(FileTag::Folder(Folder::Running), listed(&[NEWER]));
    node.file_done(FileTag::Folder(Folder::Done), listed(&["job.job"]));
    let found = node.file_done(FileTag::Folder(Folder::Failed), listed(&[]));
    assert_eq!(removed(&found), [""; 0]);
    let job = found.read();
    node.file_done(job.clone(), FileReply::Content("0!\n".into()));
    node.file_done(job.clone(), FileReply::Content("0!=1\n".into()));
    let named = node.file_done(job, FileReply::Ok);
    assert!(named.traced(|trace| matches!(trace, Trace::JobDone { .. })));
}

/// Where another's text stands under the name, the hidden text gets a number, and then the file.
#[test]
fn a_text_that_got_a_number_before_its_file_is_not_left_behind() {
    let numbered = ".job.2.run.1.0.1.done.txt";
    let left = |done: &[&str], running: &[&str]| {
        let mut node = Solo::coordinating(1, config(2));
        node.file_done(FileTag::Folder(Folder::Running), listed(running));
        node.file_done(FileTag::Folder(Folder::Done), listed(done));
        (
            node.file_done(FileTag::Folder(Folder::Failed), listed(&[])),
            node,
        )
    };
    let (found, mut node) = left(&["job.job", "job.txt"], &[numbered]);
    assert_eq!(removed(&found), [""; 0]);
    let job = found.read();
    node.file_done(job.clone(), FileReply::Content("0!\n".into()));
    node.file_done(job.clone(), FileReply::Content("0!=1\n".into()));
    node.file_done(job.clone(), FileReply::Taken);
    let other = node.file_done(job, FileReply::Content("somebody's\n".into()));
    let renamed = other.0.iter().any(|action| {
        matches!(action, Action::File { call: FileCall::Rename { from, .. }, .. } if from.name == numbered.as_bytes())
    });
    assert!(renamed, "{other:?}");
    // Whose file has the number too, or had it, is another job.
    let (other, _) = left(
        &["job.job", "job.2.job", "job.2.txt", "job.txt"],
        &[numbered],
    );
    assert_eq!(removed(&other), [numbered]);
    let (running, _) = left(&["job.job", "job.txt"], &["job.2.job", numbered]);
    assert_eq!(removed(&running), [""; 0]);
}

/// The mark is what says that the text is to be made anew, until there is one.
#[test]
fn a_mark_that_asks_for_a_new_text_stays_until_that_has_its_name() {
    let (_, found) = committed_job(&[".job.run.1.1.9.anew"]);
    assert_eq!(removed(&found), [""; 0]);
}

/// What a committed job without a text needs is not forgotten before that job has been read.
#[test]
fn a_committed_job_without_a_text_needs_its_factorials() {
    let mut node = Solo::coordinating(1, config(2));
    let epoch = node.node.highest();
    node.receive(
        0,
        Message::Products {
            products: vec![crate::solo::product(leaf(8, 0))],
        },
    );
    // The text was found wrong.
    let mark = listed(&[".job.run.1.1.9.anew"]);
    node.file_done(FileTag::Folder(Folder::Running), mark);
    node.file_done(FileTag::Folder(Folder::Done), listed(&["job.job"]));
    let found = node.file_done(FileTag::Folder(Folder::Failed), listed(&[]));
    assert!(node.node.held().next().is_some(), "{found:?}");
    let read = found.0.iter().find_map(|action| match action {
        Action::File {
            tag,
            call: FileCall::Read { .. },
            ..
        } => Some(tag.clone()),
        _ => None,
    });
    node.step(Event::FileDone {
        epoch,
        tag: read.unwrap(),
        reply: FileReply::Content("8!".into()),
    });
    assert!(node.node.held().next().is_some());
}
