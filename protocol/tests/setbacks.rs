//! Files that cannot be read for now, or never, and jobs that do not fit: nothing is lost, and nobody
//! else waits.

use std::time::Duration;

use crate::solo::{Actions, FIRST, Solo, epoch};
use protocol::config::Config;
use protocol::event::{Action, Event};
use protocol::file::{FileCall, FileReply, FileTag, Folder, Probe};
use protocol::id::NodeId;
use protocol::message::Message;
use protocol::trace::Trace;

fn listed(names: &[&str]) -> FileReply {
    FileReply::Listed(names.iter().map(|name| name.as_bytes().to_vec()).collect())
}

fn failed() -> FileReply {
    FileReply::Failed("too many open files".to_owned())
}

/// The tag of the file call that `is` means.
fn called(actions: &Actions, is: impl Fn(&FileCall) -> bool) -> Option<FileTag> {
    actions.0.iter().find_map(|action| match action {
        Action::File { tag, call, .. } if is(call) => Some(tag.clone()),
        _ => None,
    })
}

fn lists(actions: &Actions, folder: Folder) -> bool {
    called(actions, |call| *call == FileCall::List(folder)).is_some()
}

/// A coordinator that has found these files in its folders; and what it did last.
fn found(config: Config, running: &[&str], done: &[&str]) -> (Solo, Vec<Actions>) {
    let mut node = Solo::coordinating(2, config);
    let folders = [
        (Folder::Running, running),
        (Folder::Done, done),
        (Folder::Failed, &[]),
    ];
    let all = folders.map(|(folder, names)| {
        let tag = FileTag::Folder(folder);
        node.file_done(tag, listed(names))
    });
    (node, all.into())
}

const STEP: Duration = Duration::from_millis(100);

/// A tenth of a second passes, in which the peers are heard of.
fn pass(node: &mut Solo) -> Actions {
    for peer in 0..2 {
        node.step(Event::Alive {
            from: NodeId(peer),
            incarnation: FIRST,
        });
    }
    node.pass(STEP)
}

/// What `is` finds in what the node does within two seconds and a bit.
fn before_long<T>(node: &mut Solo, is: impl Fn(&Actions) -> Option<T>) -> Option<T> {
    (0..22).find_map(|_| is(&pass(node)))
}

fn config() -> Config {
    Config {
        nodes: 3,
        ..Config::default()
    }
}

#[test]
fn a_dropped_file_that_cannot_be_looked_at_for_now_is_looked_at_again() {
    let (mut node, _) = found(config(), &[], &[]);
    let inbox = FileTag::Folder(Folder::Inbox);
    let is_probe = |call: &FileCall| matches!(call, FileCall::Probe(_));
    let actions = node.file_done(inbox.clone(), listed(&["a.job"]));
    let probe = called(&actions, is_probe).unwrap();
    let actions = node.file_done(probe, failed());
    assert!(!actions.0.iter().any(|a| matches!(a, Action::File { .. })));

    let looks = |actions: &Actions| lists(actions, Folder::Inbox).then_some(());
    assert!(before_long(&mut node, looks).is_some());
    let actions = node.file_done(inbox, listed(&["a.job"]));
    let probe = called(&actions, is_probe).unwrap();
    let actions = node.file_done(probe, FileReply::Probed(Probe::Complete));
    assert!(called(&actions, |call| matches!(call, FileCall::Exist(_))).is_some());
}

#[test]
fn a_dropped_file_that_may_not_be_opened_is_rejected() {
    let (mut node, _) = found(config(), &[], &[]);
    let inbox = FileTag::Folder(Folder::Inbox);
    let actions = node.file_done(inbox.clone(), listed(&["a.job"]));
    let tag = called(&actions, |call| matches!(call, FileCall::Probe(_))).unwrap();
    let denied = || FileReply::Denied("permission denied".to_owned());
    let named = |actions: &Actions| called(actions, |call| matches!(call, FileCall::Exist(_)));
    let actions = node.file_done(tag.clone(), denied());
    assert_eq!(
        named(&actions),
        None,
        "its owner may be about to change that"
    );

    let looks = |actions: &Actions| lists(actions, Folder::Inbox).then_some(());
    assert!(before_long(&mut node, looks).is_some());
    node.file_done(inbox, listed(&["a.job"]));
    let actions = node.file_done(tag.clone(), denied());
    assert!(named(&actions).is_some());
    node.file_done(tag.clone(), FileReply::Existing(vec![]));
    let actions = node.file_done(tag, FileReply::Ok);
    let job = called(&actions, |call| matches!(call, FileCall::Read { .. }));
    let actions = node.file_done(job.unwrap(), denied());
    assert!(actions.traced(|trace| matches!(trace, Trace::JobRejected { .. })));
}

#[test]
fn a_running_job_that_cannot_be_read_for_now_holds_up_nobody_and_is_read_again() {
    let (mut node, all) = found(config(), &["job.job"], &[]);
    let job = all[0].read();
    let actions = node.file_done(job.clone(), failed());
    assert!(lists(&actions, Folder::Inbox), "others are taken");
    assert!(!actions.traced(|trace| matches!(trace, Trace::JobRejected { .. })));

    let is_read = |call: &FileCall| matches!(call, FileCall::Read { .. });
    let again = before_long(&mut node, |actions| called(actions, is_read));
    assert_eq!(again, Some(job.clone()));
    let actions = node.file_done(job, FileReply::Content("5!".into()));
    assert!(actions.traced(|trace| matches!(trace, Trace::JobAccepted { .. })));
}

/// A job that was committed; and what reads it.
fn committed() -> (Solo, FileTag) {
    let text = ".job.run.1.1.9.done.txt";
    let (mut node, all) = found(config(), &[text], &["job.job"]);
    let is_read = |call: &FileCall| matches!(call, FileCall::Read { .. });
    let job = all.iter().find_map(|actions| called(actions, is_read));
    let job = job.expect("the committed job is read");
    let actions = node.file_done(job.clone(), FileReply::Content("5!".into()));
    assert!(called(&actions, is_read).is_some(), "the text is looked at");
    (node, job)
}

#[test]
fn a_text_that_cannot_be_read_is_made_again_and_holds_up_nobody() {
    let (mut node, job) = committed();
    let actions = node.file_done(job, failed());
    let is_mark = |call: &FileCall| matches!(call, FileCall::Rename { to, .. } if to.name.ends_with(b".anew"));
    assert_eq!(called(&actions, is_mark), Some(FileTag::Sweep));
    assert!(!actions.assigned(0).is_empty() || !actions.assigned(1).is_empty());
    assert!(lists(&actions, Folder::Inbox), "others are taken");
}

#[test]
fn who_steps_down_tells_of_the_name_that_its_last_call_gave() {
    let (mut node, job) = committed();
    let mine = node.node.highest();
    let actions = node.file_done(job.clone(), FileReply::Content("5!=120\n".into()));
    assert!(called(&actions, |call| matches!(call, FileCall::Rename { .. })).is_some());
    node.receive(1, Message::Collect { epoch: epoch(2, 1) });
    assert_eq!(node.node.acting(), None);
    let late = node.step(Event::FileDone {
        epoch: mine,
        tag: job,
        reply: FileReply::Ok,
    });
    assert!(late.traced(|trace| matches!(trace, Trace::JobDone { .. })));
}

#[test]
fn however_often_the_inbox_changes_running_jobs_are_looked_at() {
    let (mut node, _) = found(config(), &[], &[]);
    let inbox = FileTag::Folder(Folder::Inbox);
    let mine = node.node.acting();
    let looked = (0..22).any(|_| {
        node.step(Event::InboxChanged);
        node.file_done(inbox.clone(), listed(&[]));
        lists(&pass(&mut node), Folder::Running)
    });
    assert!(looked);
    assert_eq!(node.node.acting(), mine, "and no takeover was the cause");
}

#[test]
fn results_that_are_too_long_together_are_refused_and_one_value_counts_once() {
    let config = Config {
        max_digits: 60,
        ..config()
    };
    for (text, fits) in [("30!\n30!\n", true), ("30!\n31!\n", false)] {
        let mut node = Solo::coordinating(2, config.clone());
        let all = node.find_job(text);
        let rejected =
            |actions: &Actions| actions.traced(|trace| matches!(trace, Trace::JobRejected { .. }));
        assert_eq!(all.iter().any(rejected), !fits, "{text}");
    }
}

#[test]
fn a_job_whose_name_does_not_fit_gets_a_shorter_one() {
    let (mut node, _) = found(config(), &[], &[]);
    let name = "n".repeat(200);
    let inbox = FileTag::Folder(Folder::Inbox);
    let actions = node.file_done(inbox, listed(&[&format!("{name}.job")]));
    let dropped = called(&actions, |call| matches!(call, FileCall::Probe(_))).unwrap();
    node.file_done(dropped.clone(), FileReply::Probed(Probe::Complete));
    let too_long = || FileReply::Never("file name too long".to_owned());
    let actions = node.file_done(dropped.clone(), too_long());
    assert_eq!(actions.warnings().len(), 1, "{actions:?}");
    let asked = actions.0.iter().find_map(|action| match action {
        Action::File {
            call: FileCall::Exist(paths),
            ..
        } => Some(paths[0].name.len()),
        _ => None,
    });
    assert_eq!(asked, Some(109 + ".job".len()));
    let actions = node.file_done(dropped, too_long());
    assert!(!actions.acts(), "{actions:?}");
}
