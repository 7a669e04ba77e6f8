//! A jobs directory on a disk that is full when a result is to be published.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod harness;
mod trial;

use std::fs;
use std::os::unix::fs::MetadataExt;

use harness::disk::Disk;
use harness::{Home, PATIENCE, eventually, kill_node};
use trial::dropping::value;
use trial::{Trial, now_ns};

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

/// How often a coordinator has said that the disk is full.
fn warnings(trial: &Trial) -> usize {
    let stderr = trial.stderr();
    let told = stderr.lines().filter(|line| {
        line.contains("job large: ")
            && line.contains("No space left on device")
            && line.contains("trying again")
    });
    told.count()
}

/// Waits until a coordinator says that the disk is full, `least` times in all.
fn await_warning(trial: &Trial, least: usize) {
    eventually(PATIENCE, "a warning", || {
        (warnings(trial) >= least).then_some(())
    });
}

/// When a hidden text was written last; nothing else than one that is incomplete may stand there.
fn last_attempt(trial: &Trial) -> Option<(i64, i64)> {
    let names = trial.in_folder("running");
    let hidden: Vec<&String> = names.iter().filter(|name| name.starts_with('.')).collect();
    assert!(
        hidden.iter().all(|name| name.ends_with(".part")),
        "{names:?}"
    );
    let path = trial.home.jobs().join("running").join(hidden.last()?);
    let file = fs::metadata(path).ok()?;
    Some((file.mtime(), file.mtime_nsec()))
}

/// Waits until the text was tried again, and nothing of it was published.
fn await_another_attempt(trial: &Trial) {
    let before = last_attempt(trial);
    eventually(PATIENCE, "it is tried again", || {
        let now = last_attempt(trial);
        (now.is_some() && now != before).then_some(())
    });
    assert!(trial.home.jobs().join("running/large.job").exists());
    assert_eq!(trial.in_folder("done"), [""; 0]);
    assert_eq!(trial.count("result_published"), 0);
    assert_eq!(trial.stdout(), "");
}

fn conclude(trial: Trial, disk: &Disk) {
    disk.empty();
    assert!(trial.await_results("large", PATIENCE) == value(LARGE));
    trial.await_job("job_done", "large");
    assert_eq!(trial.publications("large"), 1);
    assert_eq!(trial.in_folder("done"), ["large.job", "large.txt"]);
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
        for _ in 0..2 {
            await_another_attempt(&trial);
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
        await_another_attempt(&trial);
        drop(held_back);
        trial.await_return(5);
        conclude(trial, &disk);
    });
}
