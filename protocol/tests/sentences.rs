//! What is said to whoever runs the cluster: once for what lasts, and again when it is over.

use std::time::Duration;

use crate::cluster::config;
use crate::solo::{Actions, Solo, product};
use protocol::event::Action;
use protocol::event::Event;
use protocol::file::Probe;
use protocol::file::{FileCall, FileReply, FileTag, Folder};
use protocol::message::Message;
use protocol::plan::Plan;
use protocol::timer::Timer;
use protocol::trace::Trace;

fn coordinator() -> Solo {
    Solo::coordinating(2, config(3))
}

fn failed() -> FileReply {
    FileReply::Failed("Permission denied".to_owned())
}

fn said(all: &[Actions]) -> Vec<&str> {
    all.iter().flat_map(Actions::warnings).collect()
}

#[test]
fn what_fails_a_hundred_times_is_told_once_and_once_when_it_works_again() {
    let folders = [
        (FileTag::Folder(Folder::Inbox), "the jobs directory"),
        (FileTag::Folder(Folder::Running), "the folder running/"),
        (FileTag::Folder(Folder::Done), "the folder done/"),
        (FileTag::Folder(Folder::Failed), "the folder failed/"),
        (FileTag::Sync, "the folders of the jobs directory"),
    ];
    for (tag, name) in folders {
        let mut solo = coordinator();
        let mut replies = |reply: FileReply, times| {
            let steps = (0..times).map(|_| solo.file_done(tag.clone(), reply.clone()));
            steps.collect::<Vec<Actions>>()
        };
        let works = if tag == FileTag::Sync {
            FileReply::Ok
        } else {
            FileReply::Listed(Vec::new())
        };
        for _ in 0..2 {
            let failing = replies(failed(), 100);
            let [sentence] = said(&failing)[..] else {
                panic!("{:?}", said(&failing));
            };
            assert!(
                sentence.starts_with("cannot ") && sentence.contains(name),
                "{sentence}"
            );
            assert!(sentence.ends_with("Permission denied"), "{sentence}");
            // Nobody knows more after a call that was not made.
            assert_eq!(said(&replies(FileReply::Unusable, 2)), [""; 0]);
            let working = replies(works.clone(), 100);
            let [sentence] = said(&working)[..] else {
                panic!("{:?}", said(&working));
            };
            assert!(
                sentence.starts_with(name) && sentence.ends_with(" again"),
                "{sentence}"
            );
        }
    }
}

#[test]
fn a_regular_look_that_fails_is_told_too() {
    let mut solo = coordinator();
    for folder in [Folder::Running, Folder::Done, Folder::Failed, Folder::Inbox] {
        solo.file_done(FileTag::Folder(folder), FileReply::Listed(Vec::new()));
    }
    solo.step(Event::Timeout(Timer::Rescan));
    let told = solo.file_done(FileTag::Folder(Folder::Running), failed());
    assert_eq!(
        told.warnings(),
        ["cannot list the folder running/, trying again: Permission denied"]
    );
}

#[test]
fn of_many_files_that_cannot_be_claimed_a_few_are_named() {
    let mut solo = coordinator();
    for folder in [Folder::Running, Folder::Done, Folder::Failed] {
        solo.file_done(FileTag::Folder(folder), FileReply::Listed(Vec::new()));
    }
    let names: Vec<Vec<u8>> = (0..100).map(|n| format!("{n}.job").into_bytes()).collect();
    let mut told = Vec::new();
    for _ in 0..3 {
        solo.file_done(
            FileTag::Folder(Folder::Inbox),
            FileReply::Listed(names.clone()),
        );
        told.extend(
            names
                .iter()
                .map(|name| solo.file_done(FileTag::Dropped(name.clone()), failed())),
        );
    }
    assert_eq!(said(&told).len(), 10, "{:?}", said(&told));
}

/// A coordinator that has found this running job and read it.
fn with_job(text: &str) -> (Solo, FileTag) {
    let mut solo = coordinator();
    solo.find_job(text);
    (solo, FileTag::Job(0))
}

/// Lists all folders, with one file in one of them.
fn list(solo: &mut Solo, home: Folder, file: &str) -> Actions {
    let mut all = Vec::new();
    for folder in [Folder::Running, Folder::Done, Folder::Failed] {
        let names = (folder == home).then(|| file.as_bytes().to_vec());
        let listed = FileReply::Listed(names.into_iter().collect());
        all.extend(solo.file_done(FileTag::Folder(folder), listed).0);
    }
    Actions(all)
}

fn is_deleted(actions: &Actions) -> bool {
    actions.traced(|trace| matches!(trace, Trace::JobDeleted { job } if job == "job"))
}

#[test]
fn a_rejected_job_says_its_name_the_first_reason_and_where_the_rest_is() {
    let told = |config| {
        let mut solo = Solo::coordinating(2, config);
        let mut all = solo.find_job("abc\nxyz\n");
        let job = FileTag::Job(0);
        // Written, committed, named.
        all.extend((0..3).map(|_| solo.file_done(job.clone(), FileReply::Ok)));
        let named = all.last().unwrap();
        assert!(named.traced(|trace| matches!(trace, Trace::JobDone { .. })));
        said(&all).join("\n")
    };
    let sentence = told(config(3));
    assert!(
        sentence.starts_with("job job failed: line 1: \"abc\": "),
        "{sentence}"
    );
    assert!(
        sentence.ends_with("; all reasons are in failed/job.txt"),
        "{sentence}"
    );
    let mut private = config(3);
    private.log_results = false;
    assert_eq!(told(private), "");
}

#[test]
fn a_job_that_vanishes_before_its_commit_was_deleted_if_it_stands_nowhere() {
    // Where it stands after all, and whether it was deleted.
    let cases = [
        (Folder::Inbox, "", true),
        (Folder::Done, "other.job", true),
        (Folder::Done, "job.txt", true),
        (Folder::Done, "job.old.job", true),
        (Folder::Done, "job.job", false),
        (Folder::Failed, "job.job", false),
        (Folder::Done, "job.2.job", false),
        (Folder::Running, "job.job", false),
    ];
    for (home, file, deleted) in cases {
        let (mut solo, job) = with_job("abc\n");
        solo.file_done(job.clone(), FileReply::Ok);
        let missed = solo.file_done(job, FileReply::Absent);
        assert!(
            !is_deleted(&missed) && missed.warnings().is_empty(),
            "{missed:?}"
        );
        let listed = list(&mut solo, home, file);
        assert_eq!(is_deleted(&listed), deleted, "{file}");
        let sentences: &[&str] = match deleted {
            true => &["job job: its file was taken away while it ran"],
            false => &[],
        };
        assert_eq!(listed.warnings(), sentences, "{file}");
        assert!(
            !is_deleted(&list(&mut solo, Folder::Inbox, "")),
            "told once"
        );
    }
}

#[test]
fn a_job_that_vanishes_before_it_is_read_was_deleted_if_it_stands_nowhere() {
    for (home, deleted) in [(Folder::Inbox, true), (Folder::Done, false)] {
        let mut solo = coordinator();
        let found = list(&mut solo, Folder::Running, "job.job");
        solo.file_done(found.read(), FileReply::Absent);
        let listed = list(&mut solo, home, "job.job");
        assert_eq!(is_deleted(&listed), deleted);
    }
}

#[test]
fn a_search_that_began_before_a_job_was_missed_says_nothing_of_it() {
    let mut solo = coordinator();
    let running = FileReply::Listed(vec![b"job.job".to_vec()]);
    let found = solo.file_done(FileTag::Folder(Folder::Running), running);
    let missed = solo.file_done(found.read(), FileReply::Absent);
    assert!(!is_deleted(&missed));
    // `done/` may have been listed before the job came there.
    for folder in [Folder::Done, Folder::Failed] {
        let listed = solo.file_done(FileTag::Folder(folder), FileReply::Listed(Vec::new()));
        assert!(!is_deleted(&listed));
    }
    assert!(!is_deleted(&list(&mut solo, Folder::Done, "job.job")));
}

#[test]
fn a_job_that_somebody_collects_before_its_text_has_its_name_gets_that_all_the_same() {
    let (mut solo, job) = with_job("0!\n");
    let products = vec![product(Plan::new(0).last())];
    solo.receive(0, Message::Products { products });
    // Written, committed.
    let steps = (0..2).map(|_| solo.file_done(job.clone(), FileReply::Ok));
    let steps: Vec<Actions> = steps.collect();
    let published = |trace: &Trace| matches!(trace, Trace::ResultPublished { .. });
    assert!(steps[1].traced(published));
    let gone = solo.file_done(job, FileReply::Absent);
    assert!(!is_deleted(&gone));
    let names_text = |action: &Action| matches!(action, Action::File { call: FileCall::Rename { to, .. }, .. } if to.name == b"job.txt");
    assert!(gone.0.iter().any(names_text), "{gone:?}");
}

/// Listens to a coordinator that looks at these files again and again, and finds them so.
fn look_at(names: &[String], seconds: u64, probe: impl Fn(u64) -> Probe) -> Vec<String> {
    let mut solo = coordinator();
    list(&mut solo, Folder::Inbox, "");
    let mut told = Vec::new();
    for step in 0..seconds * 5 {
        let listed = names.iter().map(|name| name.clone().into_bytes());
        let listed = FileReply::Listed(listed.collect());
        solo.file_done(FileTag::Folder(Folder::Inbox), listed);
        for name in names {
            let tag = FileTag::Dropped(name.clone().into_bytes());
            let said = solo.file_done(tag, FileReply::Probed(probe(step)));
            told.extend(said.warnings().into_iter().map(str::to_owned));
        }
        solo.stand_still(Duration::from_millis(200));
    }
    told
}

#[test]
fn a_file_that_somebody_writes_for_long_is_mentioned_once() {
    let names = ["ten.job".to_owned()];
    assert_eq!(look_at(&names, 4, |_| Probe::Busy), [""; 0]);
    assert_eq!(
        look_at(&names, 60, |_| Probe::Busy),
        ["ten.job: somebody still writes it; it is taken when nobody has it open for writing"]
    );
    assert_eq!(
        look_at(&names, 60, |stamp| Probe::Unknown { stamp }),
        ["ten.job: somebody still writes it; it is taken when it has held still for 500 ms"]
    );
    // Complete in between, it is another file.
    let mended = |step| {
        if step % 8 == 0 {
            Probe::Complete
        } else {
            Probe::Busy
        }
    };
    assert_eq!(look_at(&names, 60, mended), [""; 0]);
    let many: Vec<String> = (0..100).map(|n| format!("{n}.job")).collect();
    assert_eq!(look_at(&many, 10, |_| Probe::Busy).len(), 10);
}
