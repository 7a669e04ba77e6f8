//! S9: every accepted file ends once, in done or in failed, with its text; nothing else is left. No
//! dropped file is lost before it is accepted.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::{Dropped, Run, Violation};
use crate::job_files::{FOLDERS, content, dropped, ended, names, pair};
use crate::log::Event;

const NAME: &str = "S9";

pub(super) fn check(run: &Run) -> Vec<Violation> {
    let mut violations = accepted(run);
    if !run.cut_short {
        violations.extend(texts(run));
        violations.extend(leftovers(run));
        violations.extend(gone(run));
    }
    violations
}

/// What was accepted or rejected has ended, in one place.
fn accepted(run: &Run) -> Vec<Violation> {
    let done: BTreeSet<String> = ended(&run.jobs.join("done")).into_iter().collect();
    let failed: BTreeSet<String> = ended(&run.jobs.join("failed")).into_iter().collect();
    let mut seen = BTreeSet::new();
    let mut violations = Vec::new();
    let taken = |event: &&Event| matches!(event.name(), "job_accepted" | "job_rejected");
    for event in run.log.events.iter().filter(taken) {
        let name = event.text("job");
        if !seen.insert(name) {
            continue;
        }
        let mut places = usize::from(done.contains(name)) + usize::from(failed.contains(name));
        if places > 1 {
            // A job may have been collected between the two listings, and another job have got its name.
            let is_still = |folder: &&&str| pair(&run.jobs.join(folder), name).0.is_file();
            places = ["done", "failed"].iter().filter(is_still).count();
        }
        if places == 0 && got_a_number(run, name, &done, &failed) {
            continue;
        }
        let is_collected = run.is_shared && is_told_done(run, name);
        let may_be_nowhere = run.cut_short || run.is_deleted(name) || is_collected;
        if places != 1 && !(may_be_nowhere && places == 0) {
            let message = format!("job {name} was taken and has ended in {places} places");
            violations.push(Violation::new(NAME, message, &[event]));
        }
    }
    violations
}

/// Whether a job ended under its name with a number, which it got at its commit and which nobody else had claimed.
fn got_a_number(run: &Run, job: &str, done: &BTreeSet<String>, failed: &BTreeSet<String>) -> bool {
    let taken = |name: &str| {
        let mut taken = run
            .log
            .named("job_accepted")
            .chain(run.log.named("job_rejected"));
        taken.any(|event| event.text("job") == name)
    };
    let mut ended = done.iter().chain(failed);
    ended.any(|name| is_numbered(job, name) && !taken(name))
}

/// Whether the text of a job got its name: under its own, or with a number.
fn is_told_done(run: &Run, job: &str) -> bool {
    let mut done = run.log.named("job_done").map(|event| event.text("job"));
    done.any(|name| name == job || is_numbered(job, name))
}

/// Every ended job has a text, and every text its job. If people collect them, a missing one was
/// collected: `job_done` shows whether it ever existed, S4.
fn texts(run: &Run) -> Vec<Violation> {
    let mut violations = Vec::new();
    for place in ["done", "failed"] {
        let folder = run.jobs.join(place);
        for name in run.ended(place) {
            let (_, text) = pair(&folder, &name);
            let found = fs::metadata(&text);
            if found.is_err() && run.is_shared {
                continue;
            }
            if found.map_or(0, |found| found.len()) == 0 {
                let message = format!("job {name} has no text in {place}");
                violations.push(Violation::new(NAME, message, &about(run, &name)));
            }
        }
        let names = if run.is_shared {
            Vec::new()
        } else {
            names(&folder)
        };
        for name in names {
            let has_job = name
                .strip_suffix(".txt")
                .is_some_and(|job| fs::symlink_metadata(pair(&folder, job).0).is_ok());
            if !has_job && !name.ends_with(".job") {
                let message = format!("{place}/{name} belongs to no job");
                violations.push(Violation::new(NAME, message, &[]));
            }
        }
    }
    violations
}

/// Nothing runs any more, nothing hidden is left, nothing waits.
fn leftovers(run: &Run) -> Vec<Violation> {
    let mut violations = Vec::new();
    for name in names(&run.jobs.join("running")) {
        let job = name.strip_suffix(".job").unwrap_or(&name);
        let message = format!("running/{name} is left");
        violations.push(Violation::new(NAME, message, &about(run, job)));
    }
    for name in dropped(&run.jobs) {
        if !run.left_in_inbox.contains(&name) {
            let message = format!("the dropped file {name} was never taken");
            violations.push(Violation::new(NAME, message, &[]));
        }
    }
    violations
}

/// Every dropped file still exists, with its content, unless somebody deleted it; `leftovers` reports those
/// that have not ended.
fn gone(run: &Run) -> Vec<Violation> {
    let folders = FOLDERS.iter().map(|folder| run.jobs.join(folder));
    let folders = folders.chain([run.jobs.clone()]);
    let in_folder = |folder: PathBuf| {
        let names = ended(&folder).into_iter();
        names.map(move |name| {
            let content = content(&pair(&folder, &name).0).unwrap_or_default();
            Dropped { name, content }
        })
    };
    let mut there: Vec<Dropped> = folders.flat_map(in_folder).collect();
    let mut take = |is_meant: &dyn Fn(&Dropped) -> bool| {
        let found = there.iter().position(is_meant);
        found.map(|found| there.swap_remove(found)).is_some()
    };
    // Each file is one job: those with their own names first.
    let mut missing: Vec<&Dropped> = run.dropped.iter().collect();
    missing.retain(|dropped| !take(&|file| file == *dropped));
    missing.retain(|dropped| {
        !take(&|file| file.content == dropped.content && is_numbered(&dropped.name, &file.name))
    });
    let deleted = run.log.named("job_deleted").map(|event| event.text("job"));
    for name in deleted.collect::<BTreeSet<&str>>() {
        let is_it = |dropped: &&Dropped| dropped.name == name || is_numbered(&dropped.name, name);
        if let Some(found) = missing.iter().position(is_it) {
            missing.swap_remove(found);
        }
    }
    let gone = missing.into_iter().map(|dropped| {
        let name = &dropped.name;
        let message = if take(&|file| file.name == *name) {
            format!(
                "the dropped job {name} has vanished: what bears its name asks for something else"
            )
        } else {
            format!("the dropped job {name} has vanished")
        };
        Violation::new(NAME, message, &about(run, name))
    });
    gone.collect()
}

/// Whether a job has got this name because another was in use: `ten.2` for `ten`, or `ten.2.2` if that was in
/// use at its commit.
pub(super) fn is_numbered(dropped: &str, name: &str) -> bool {
    let numbers = name
        .strip_prefix(dropped)
        .and_then(|end| end.strip_prefix('.'));
    numbers.is_some_and(|numbers| numbers.split('.').all(|one| one.parse::<u32>().is_ok()))
}

fn about<'a>(run: &'a Run, job: &str) -> Vec<&'a Event> {
    let events = run.log.events.iter();
    events.filter(|event| event.text("job") == job).collect()
}
