//! The jobs directory, as an independent reader sees it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::job_text;
use crate::log::{self, Event};

/// The folders of a jobs directory.
pub const FOLDERS: [&str; 3] = ["running", "done", "failed"];

/// The names in a folder, sorted; none if there is no folder. Names that are not UTF-8 are made
/// readable.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}

/// The names of the dropped files that have not been claimed.
pub fn dropped(jobs: &Path) -> Vec<String> {
    let mut dropped = names(jobs);
    dropped.retain(|name| !FOLDERS.contains(&name.as_str()));
    dropped
}

/// The names of the jobs that have ended in a folder.
pub fn ended(folder: &Path) -> Vec<String> {
    let names = names(folder).into_iter();
    names
        .filter_map(|name| name.strip_suffix(".job").map(str::to_owned))
        .collect()
}

/// The content of a job file, or enough of it to show that it is too long. Reads only regular files: a
/// FIFO would block its reader.
pub fn content(path: &Path) -> Option<Vec<u8>> {
    let file = log::open(path).ok()?;
    let mut content = Vec::new();
    let most = job_text::MAX_BYTES as u64 + 1;
    file.take(most).read_to_end(&mut content).ok()?;
    Some(content)
}

/// The N of each line of a sound job file.
pub fn factorials(path: &Path) -> Vec<u64> {
    let content = content(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&content);
    text.trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| line.trim_end_matches('!').parse().ok())
        .collect()
}

/// The N of each line of a job that has ended, or is running; none without a jobs directory.
pub fn lines(jobs: &Path, job: &str) -> Vec<u64> {
    // The log may be forged, and no job has such a name.
    if jobs.as_os_str().is_empty() || job.contains('/') {
        return Vec::new();
    }
    let places = ["done", "failed", "running"];
    let mut found = places
        .map(|place| factorials(&pair(&jobs.join(place), job).0))
        .into_iter();
    found.find(|lines| !lines.is_empty()).unwrap_or_default()
}

/// The N of each line of an accepted job; none if its name now belongs to another.
pub fn accepted_lines(jobs: &Path, accepted: &Event) -> Vec<u64> {
    let mut lines = lines(jobs, accepted.text("job"));
    let asks = accepted.text("asks");
    if !asks.is_empty() && job_text::digest(&lines) != asks {
        lines.clear();
    }
    lines
}

/// `FOLDER/NAME.job` and `FOLDER/NAME.txt`.
pub fn pair(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let file = |ending: &str| folder.join(format!("{name}.{ending}"));
    (file("job"), file("txt"))
}
