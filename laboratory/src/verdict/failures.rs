//! A failed job has a reason that its content, or an event, proves; and a finished job was read to its end.
//!
//! The content is parsed again here, by this crate's own rules. L2: a sound job failed for a reason that
//! nothing on record supports. S9: the text of an invalid job does not say what is wrong with it. S10: what
//! was read is not the content of the file, so it was read before it was complete. Everything is in the
//! folder, and deaths count in any order; so no order of events matters.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::{Run, Violation};
use crate::job_files::{content, pair};
use crate::job_text::{Limits, Reason, read, sizes};
use crate::log::Event;

pub(super) fn check(run: &Run) -> Vec<Violation> {
    let mut violations = Vec::new();
    for name in run.ended("failed") {
        let (job, text) = pair(&run.jobs.join("failed"), &name);
        // S9 reports that it has none.
        let Ok(text) = fs::read(text) else {
            continue;
        };
        let text = String::from_utf8_lossy(&text);
        if let Some((invariant, what)) = judge(run, &name, &job, &text) {
            let message = format!("the {what} {name} was given up: {}", text.trim_end());
            violations.push(Violation::new(invariant, message, &told(run, &name)));
        }
    }
    for name in run.ended("done") {
        let (job, _) = pair(&run.jobs.join("done"), &name);
        let is_cut = content(&job).is_some_and(|content| read(&content, u64::MAX).is_err());
        if is_cut {
            let message = format!("the file of job {name} is done and is no job");
            violations.push(Violation::new("S10", message, &told(run, &name)));
        }
    }
    violations
}

fn told<'a>(run: &'a Run, job: &str) -> Vec<&'a Event> {
    let all = [
        "job_accepted",
        "job_rejected",
        "result_published",
        "job_done",
    ];
    let events = all.iter().flat_map(|name| run.log.named(name));
    events.filter(|event| event.text("job") == job).collect()
}

/// The invariant that a failed job breaks, and how.
fn judge(run: &Run, name: &str, job: &Path, text: &str) -> Option<(&'static str, &'static str)> {
    let reasons: Vec<Reason> = text.lines().map(Reason::of).collect();
    let content = content(job);
    let in_text = reasons.iter().find_map(|reason| match reason {
        Reason::Line { limit, .. } => *limit,
        _ => None,
    });
    let max_n = limits(run).max_n.or(in_text).unwrap_or(u64::MAX);
    let numbers = content.as_deref().map(|content| read(content, max_n));
    let is_about_content = !reasons.is_empty() && reasons.iter().all(Reason::is_about_content);
    let is_right = match (&reasons[..], &numbers) {
        (reasons, Some(Err(found))) if is_about_content => reasons == &found[..],
        ([one], numbers) => {
            let numbers = numbers.as_ref().and_then(|read| read.as_ref().ok());
            is_proved(run, name, job, one, numbers.map(Vec::as_slice))
        }
        _ => false,
    };
    match numbers {
        _ if is_right => None,
        Some(Ok(_)) if !is_about_content => Some(("L2", "sound job")),
        Some(Ok(_)) => Some(("S10", "sound job")),
        Some(Err(_)) if is_about_content => Some(("S10", "file")),
        _ => Some(("S9", "file")),
    }
}

/// What the run was set up to accept, as far as its log tells.
fn limits(run: &Run) -> Limits {
    let settings = run.log.about.settings.as_ref();
    settings.map(|settings| settings.limits).unwrap_or_default()
}

/// Whether a reason beyond the content is on record. `numbers` are the factorials of a sound job.
fn is_proved(run: &Run, name: &str, job: &Path, reason: &Reason, numbers: Option<&[u64]>) -> bool {
    let limits = limits(run);
    let is_too_much = |size: u64, told: u64, limit: u64, known: Option<u64>| {
        let slack = 1 + numbers.map_or(0, <[u64]>::len) as u64;
        (size.saturating_sub(slack)..=size + 3 * slack).contains(&told)
            && told > limit
            && known.is_none_or(|known| known == limit)
    };
    let exits = run.log.named("node_exited");
    let deaths = exits.filter(|exit| exit.at() <= run.end_ns).count() as u64;
    match reason {
        Reason::TooManyDigits { told, limit } => numbers
            .is_some_and(|numbers| is_too_much(sizes(numbers).0, *told, *limit, limits.max_digits)),
        Reason::TooMuchText { told, limit } => numbers
            .is_some_and(|numbers| is_too_much(sizes(numbers).1, *told, *limit, limits.max_text)),
        Reason::Deadly { n, count } => {
            numbers.is_some_and(|numbers| numbers.contains(n))
                && (deaths >= *count || !run.log.is_whole())
        }
        // Deaths of earlier runs count if they had the job too: marks record them, and go with the job.
        Reason::Fatal => numbers.is_some() && (deaths > 0 || !run.log.is_whole() || run.is_shared),
        Reason::FileName => is_made_up(name),
        Reason::NotAFile(kind) => is_of_kind(job, kind),
        // The error of the system cannot be reproduced.
        Reason::CannotBeRead | Reason::System => true,
        _ => false,
    }
}

/// Whether a name was made for a file whose own is none: with a hash at its end, and perhaps a number.
fn is_made_up(name: &str) -> bool {
    let ends = |name: &str| {
        let hash = name.rsplit_once('-').map(|(_, hash)| hash);
        hash.is_some_and(|hash| {
            hash.len() == 8 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    let numbered = name.rsplit_once('.');
    ends(name) || numbered.is_some_and(|(name, number)| number.parse::<u32>().is_ok() && ends(name))
}

fn is_of_kind(path: &Path, kind: &str) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else {
        return false;
    };
    let of = found.file_type();
    match kind {
        "a symbolic link" => of.is_symlink(),
        "a directory" => of.is_dir(),
        "a FIFO" => of.is_fifo(),
        "a socket" => of.is_socket(),
        "a device" => of.is_block_device() || of.is_char_device(),
        // The other names may have been removed, if others use the folder.
        "a file with more than one name (hard links)" => of.is_file() && found.nlink() >= 1,
        "a file that somebody keeps from being read by a lease" => of.is_file(),
        _ => false,
    }
}
