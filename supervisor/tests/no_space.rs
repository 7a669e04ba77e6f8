//! A jobs directory on a disk that is full when a result is to be published.

use std::fs;

use crate::harness::disk::Disk;
use crate::harness::{self, Home, PATIENCE, eventually, kill_node};
use crate::trial::dropping::value;
use crate::trial::{Trial, now_ns};

/// Room for job files and for the first pages of a text.
const ROOM: usize = 32 * 1_024;
/// A text of 77 kB.
const LARGE: u64 = 20_000;

/// A cluster whose jobs directory is on the disk.
fn start(disk: &Disk, args: &[&str]) -> Trial {
    let home = Home::new();
    disk.hold_jobs_of(&home);
    let trial = Trial::begin(home, args);
    trial.await_agreement();
    trial
}

/// How often a coordinator has said that there is no room for the large text.
fn warnings(trial: &Trial) -> usize {
    let stderr = trial.stderr();
    let told = stderr.lines().filter(|line| {
        line.contains("job large: ") && line.contains("it waits until there is room")
    });
    told.count()
}

/// Waits until a coordinator says so, `least` times in all.
fn await_warning(trial: &Trial, least: usize) {
    eventually(PATIENCE, "a warning", || {
        (warnings(trial) >= least).then_some(())
    });
}

/// Small jobs are done while the large one waits, and nothing of that takes any room.
fn assert_others_go_on(trial: &Trial, name: &str) {
    trial.drop_job(name, "10!\n");
    assert_eq!(trial.await_results(name, PATIENCE), "10!=3628800\n");
    assert!(trial.home.jobs().join("running/large.job").exists());
    let large = |folder| {
        trial
            .in_folder(folder)
            .iter()
            .any(|name| name.contains("large.txt"))
    };
    assert!(!large("done") && !large("failed"));
    let hidden = |name: &String| name.starts_with(".large");
    assert!(!trial.in_folder("running").iter().any(hidden));
    assert_eq!(trial.publications("large"), 0);
    let waits = trial.events_named("job_waits");
    assert!(
        waits
            .iter()
            .all(|event| event["why"] == "space" && event["job"] == "large")
    );
}

fn conclude(trial: Trial, disk: &Disk) {
    disk.empty();
    assert!(trial.await_results("large", PATIENCE) == value(LARGE));
    trial.await_job("job_done", "large");
    assert_eq!(trial.publications("large"), 1);
    assert!(trial.in_folder("done").contains(&"large.txt".to_owned()));
    trial.await_swept();
    trial.conclude();
}

#[test]
fn a_result_without_space_is_tried_again_and_published_whole() {
    let name = "a_result_without_space_is_tried_again_and_published_whole";
    Disk::provide(name, 1_024, |disk| {
        let trial = start(&disk, &[]);
        disk.fill_but(ROOM);
        trial.drop_job("large", &format!("{LARGE}!\n"));
        await_warning(&trial, 1);
        for name in ["first", "second"] {
            assert_others_go_on(&trial, name);
        }
        // It is told once by each coordinator, of which there is one.
        let said = (warnings(&trial), trial.count("election_won"));
        let what = format!("{said:?} warnings and elections won");
        trial.assert_unless_held_up(said == (1, 1), what);
        conclude(trial, &disk);
    });
}

#[test]
fn the_next_coordinator_waits_for_space_too() {
    let name = "the_next_coordinator_waits_for_space_too";
    Disk::provide(name, 1_024, |disk| {
        let trial = start(&disk, &[]);
        disk.fill_but(ROOM);
        trial.drop_job("large", &format!("{LARGE}!\n"));
        await_warning(&trial, 1);
        let held_back = trial.home.hold_back(5);
        let coordinator = trial.await_coordinator();
        let killed_at = now_ns();
        kill_node(coordinator);
        trial.await_acting_after(4, killed_at);
        await_warning(&trial, 2);
        assert_others_go_on(&trial, "first");
        drop(held_back);
        trial.await_return(5);
        conclude(trial, &disk);
    });
}

/// Even a small text finds no room: nothing of it is left, and it is there when there is some.
#[test]
fn a_small_text_on_a_full_disk_waits_too() {
    Disk::provide("a_small_text_on_a_full_disk_waits_too", 1_024, |disk| {
        let trial = start(&disk, &[]);
        disk.fill_but(16_384);
        trial.drop_job("small", "10000!\n");
        eventually(PATIENCE, "it waits", || {
            (trial.count("job_waits") > 0).then_some(())
        });
        let hidden = |name: &String| name.starts_with('.');
        eventually(PATIENCE, "nothing of its text is left", || {
            (!trial.in_folder("running").iter().any(hidden)).then_some(())
        });
        disk.empty();
        assert!(trial.await_results("small", PATIENCE) == value(10_000));
        trial.conclude();
    });
}

#[test]
fn compute_ends_with_the_reason_when_its_results_find_no_room() {
    let name = "compute_ends_with_the_reason_when_its_results_find_no_room";
    Disk::provide(name, 1_024, |disk| {
        let mut command = harness::bullpen();
        command
            .args(["compute", "300000"])
            .env("TMPDIR", disk.path());
        let output = harness::run(&mut command);
        let complaint = harness::assert_one_sentence(&output, 1);
        assert!(complaint.contains("no room for the results"), "{complaint}");
        assert!(complaint.contains("TMPDIR"), "{complaint}");
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
    });
}
