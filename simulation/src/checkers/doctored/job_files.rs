//! S4, S9 and S10, and what S7 has to do with files.

use protocol::file::{FilePath, Folder};
use protocol::id::NodeId;
use protocol::message::{Message, Update};
use protocol::plan::Plan;
use protocol::trace::Trace;

use super::{Doctored, epoch, file, life, moved, show};
use crate::checkers::Checker;
use crate::checkers::forgetting::Forgetting;
use crate::checkers::job_files::JobFiles;
use crate::checkers::results::Results;
use crate::checkers::whole_files::WholeFiles;
use crate::directory::{Change, File};
use crate::fact::Fact;

/// A results checker that has seen the job commit whose lines are `3!` and `5!`.
fn committed() -> Results {
    let mut results = Results::default();
    let job = file("# 0\n3!\n5!\n", Some(0));
    let change = moved((Folder::Running, "a.job"), (Folder::Done, "a.job"), job);
    assert_eq!(show(&mut results, 1, &change), Ok(()));
    results
}

fn published(content: &str) -> Change {
    let hidden = (Folder::Running, ".a.run.1.2.3.done.txt");
    moved(hidden, (Folder::Done, "a.txt"), file(content, None))
}

#[test]
fn s4_a_wrong_result_a_short_one_and_one_of_no_job() {
    assert_eq!(
        show(&mut committed(), 2, &published("3!=6\n5!=120\n")),
        Ok(())
    );
    assert!(show(&mut committed(), 2, &published("3!=6\n5!=121\n")).is_err());
    assert!(show(&mut committed(), 2, &published("3!=6\n")).is_err());
    assert!(show(&mut committed(), 2, &published("5!=120\n3!=6\n")).is_err());
    assert!(show(&mut Results::default(), 2, &published("3!=6\n5!=120\n")).is_err());
}

#[test]
fn s4_a_published_text_that_is_touched_again() {
    let path = FilePath::new(Folder::Done, "a.txt");
    let text = || file("3!=6\n5!=120\n", None);
    let removed = Change::Removed {
        path: path.clone(),
        file: text(),
    };
    let written = Change::Written {
        path,
        file: text(),
        before: Some(text()),
    };
    let over = Change::Moved {
        from: FilePath::new(Folder::Running, ".a.run.1.2.4.done.txt"),
        to: FilePath::new(Folder::Done, "a.txt"),
        file: text(),
        clobbered: Some(text()),
    };
    for change in [removed, written, over] {
        let mut results = committed();
        assert_eq!(show(&mut results, 2, &published("3!=6\n5!=120\n")), Ok(()));
        assert!(show(&mut results, 3, &change).is_err(), "{change:?}");
    }
}

#[test]
fn s7_forgetting_what_a_job_without_a_text_needs() {
    let me = life(2, 3);
    let root = Plan::new(9).last();
    let forget = || {
        let update = Update {
            forgotten: vec![9],
            ..Update::default()
        };
        let epoch = epoch(1, me);
        let message = Message::Checkpoint { epoch, update };
        Doctored::acting(me, 1).sends(NodeId(0), message)
    };
    let begin = |checker: &mut Forgetting| {
        let job = || file("9!\n", Some(0));
        let claim = moved((Folder::Inbox, "a.job"), (Folder::Running, "a.job"), job());
        assert_eq!(show(checker, 1, &claim), Ok(()));
        let acting = Doctored::acting(me, 1).holding(&[root]);
        assert_eq!(acting.shown_to(checker), Ok(()));
        let commit = moved((Folder::Running, "a.job"), (Folder::Done, "a.job"), job());
        assert_eq!(show(checker, 20, &commit), Ok(()));
    };
    let mut checker = Forgetting::default();
    begin(&mut checker);
    assert!(forget().shown_to(&mut checker).is_err());
    let mut checker = Forgetting::default();
    begin(&mut checker);
    let text = published("9!=362880\n");
    assert_eq!(show(&mut checker, 21, &text), Ok(()));
    assert_eq!(forget().shown_to(&mut checker), Ok(()));
}

#[test]
fn s7_what_a_coordinator_fails_it_may_forget_and_no_other_may() {
    let (me, other, root) = (life(2, 3), life(4, 5), Plan::new(9).last());
    let forget = |who, fails: Option<&str>| {
        let mut checker = Forgetting::default();
        let job = file("9!\n", Some(0));
        let claim = moved((Folder::Inbox, "a.job"), (Folder::Running, "a.job"), job);
        assert_eq!(show(&mut checker, 1, &claim), Ok(()));
        for coordinator in [me, other] {
            let acting = Doctored::acting(coordinator, 1).holding(&[root]);
            assert_eq!(acting.shown_to(&mut checker), Ok(()));
        }
        if let Some(job) = fails {
            let job = job.to_owned();
            let failing = Doctored::acting(me, 1).trace(Trace::JobRejected { job });
            let failing = failing.holding(&[root]);
            assert_eq!(failing.shown_to(&mut checker), Ok(()));
        }
        let update = Update {
            forgotten: vec![9],
            ..Update::default()
        };
        let epoch = epoch(1, who);
        let message = Message::Checkpoint { epoch, update };
        Doctored::acting(who, 1)
            .sends(NodeId(0), message)
            .shown_to(&mut checker)
    };
    assert!(forget(me, None).is_err());
    assert_eq!(forget(me, Some("a")), Ok(()));
    assert!(forget(me, Some("b")).is_err());
    assert!(forget(other, Some("a")).is_err());
}

#[test]
fn s9_a_job_that_goes_astray_or_is_lost() {
    let job = || file("3!\n", Some(0));
    let shown = |change: &Change| show(&mut JobFiles::default(), 1, change);
    let claim = moved((Folder::Inbox, "a.job"), (Folder::Running, "a.job"), job());
    let commit = moved((Folder::Running, "a.job"), (Folder::Done, "a.2.job"), job());
    assert_eq!(shown(&claim), Ok(()));
    assert_eq!(shown(&commit), Ok(()));
    let again = moved((Folder::Done, "a.job"), (Folder::Failed, "a.job"), job());
    let unclaimed = moved((Folder::Inbox, "a.job"), (Folder::Done, "a.job"), job());
    let back = moved((Folder::Running, "a.job"), (Folder::Inbox, "a.job"), job());
    let removed = Change::Removed {
        path: FilePath::new(Folder::Running, "a.job"),
        file: job(),
    };
    let clobbering = Change::Moved {
        from: FilePath::new(Folder::Inbox, "b.job"),
        to: FilePath::new(Folder::Running, "a.job"),
        file: file("4!\n", Some(1)),
        clobbered: Some(job()),
    };
    let written = Change::Written {
        path: FilePath::new(Folder::Running, "a.job"),
        file: job(),
        before: Some(job()),
    };
    for change in [again, unclaimed, back, removed, clobbering, written] {
        assert!(shown(&change).is_err(), "{change:?}");
    }
}

#[test]
fn s10_reading_a_file_that_is_being_written() {
    let mut half = file("3", Some(0));
    half.open = true;
    let path = FilePath::new(Folder::Running, "a.job");
    let read = |file: &File| {
        WholeFiles::new(true).see(&Fact::Read {
            by: life(2, 3),
            path: &path,
            file,
        })
    };
    assert!(read(&half).is_err());
    assert_eq!(read(&file("3!\n", Some(0))), Ok(()));
}

#[test]
fn s10_a_job_that_ends_while_its_file_is_being_written() {
    let mut half = file("3", Some(0));
    half.open = true;
    let written = Change::Written {
        path: FilePath::new(Folder::Inbox, "a.job"),
        file: half.clone(),
        before: None,
    };
    let commit = |file| moved((Folder::Running, "a.job"), (Folder::Done, "a.job"), file);
    let mut checker = WholeFiles::new(false);
    assert_eq!(show(&mut checker, 100, &written), Ok(()));
    assert!(show(&mut checker, 200, &commit(half.clone())).is_err());
    // A quiet time is all that can be asked for.
    assert_eq!(show(&mut checker, 700, &commit(half)), Ok(()));
    assert_eq!(
        show(&mut checker, 200, &commit(file("3!\n", Some(0)))),
        Ok(())
    );
}

#[test]
fn s4_a_text_that_was_collected_and_comes_back() {
    let mut results = committed();
    assert_eq!(show(&mut results, 2, &published("3!=6\n5!=120\n")), Ok(()));
    let text = FilePath::new(Folder::Done, "a.txt");
    assert_eq!(results.see(&Fact::Collected(&text)), Ok(()));
    assert!(show(&mut results, 3, &published("3!=6\n5!=120\n")).is_err());
    // A later job may have the name.
    let job = moved(
        (Folder::Running, "a.job"),
        (Folder::Done, "a.job"),
        file("3!\n", Some(1)),
    );
    assert_eq!(show(&mut results, 4, &job), Ok(()));
    assert_eq!(show(&mut results, 5, &published("3!=6\n")), Ok(()));
}

#[test]
fn s9_a_job_that_is_said_to_be_deleted_where_nobody_deletes() {
    let mut step = Doctored::acting(life(2, 3), 1);
    let shown = |step: &Doctored| step.shown_to(&mut JobFiles::default());
    assert_eq!(shown(&step), Ok(()));
    let job = "a".to_owned();
    step = step.trace(Trace::JobDeleted { job });
    assert!(shown(&step).is_err());
}
