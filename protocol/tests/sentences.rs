//! What is said to whoever runs the cluster: once for what lasts, and again when it is over.

mod cluster;
mod solo;

use cluster::config;
use protocol::event::Event;
use protocol::file::{FileReply, FileTag, Folder};
use protocol::timer::Timer;
use solo::{Actions, Solo};

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
