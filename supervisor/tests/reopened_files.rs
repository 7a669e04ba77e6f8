//! Job files that are not finished when they are closed: editors, copies and scripts open them again,
//! write more, empty them and write them anew, or put another file in their place.
//!
//! `BULLPEN_REOPENED=5000` makes so many of them.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::fuse::{Kind, Mount};
use crate::harness::{Home, eventually};
use crate::trial::Trial;
use laboratory::job_files::{ended, factorials, pair};
use laboratory::oracle::Oracle;
use laboratory::verdict::Run;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How many files, unless it is said otherwise.
const FILES: usize = 300;
/// Most writes to one file.
const TURNS: usize = 12;
/// Longest pause on a mount. Together they are longer than a mount remembers a size.
const PAUSE: Duration = Duration::from_millis(300);
/// Where there is no lease, whom the machine held up for so long was quiet: see `QUIET` in
/// `protocol/src/inbox.rs`.
const HELD_UP: Duration = Duration::from_millis(450);
/// Time for very many files, on a busy machine too.
const LONG: Duration = Duration::from_secs(600);

/// What a writer does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// It is closed after each line, and opened again by name for the next.
    AppendAgain,
    /// It stays open, but was closed by somebody else: of two descriptors one goes first.
    TwoDescriptors,
    /// It is emptied and written anew, by name.
    EmptyAgain,
    /// It is emptied and written anew, by its descriptor, while it is open.
    EmptyOpen,
    /// Another file is renamed over it, from a name that is ignored.
    SaveByRename,
    /// The same, from a name that begins with a dot.
    SaveByDotRename,
}

const WAYS: [Way; 6] = [
    Way::AppendAgain,
    Way::TwoDescriptors,
    Way::EmptyAgain,
    Way::EmptyOpen,
    Way::SaveByRename,
    Way::SaveByDotRename,
];

/// A file, and what its writer wrote last.
struct Written {
    name: String,
    way: Way,
    /// Each line that was ever written to a file of this name.
    lines: Vec<u64>,
    /// All that the writer would have the file hold in the end.
    last: Vec<u64>,
    /// The longest time from one write to the next.
    slowest: Duration,
}

/// A writer with its own luck, in a folder of its own side of a mount.
struct Writer {
    folder: PathBuf,
    random: StdRng,
    /// Longest pause within a file, in microseconds.
    longest: u64,
    paused: Instant,
    slowest: Duration,
}

impl Writer {
    fn pause(&mut self) {
        // Half of them are none at all.
        if self.random.random::<bool>() {
            let pause = self.random.random_range(0..=self.longest);
            thread::sleep(Duration::from_micros(pause));
        }
        self.slowest = self.slowest.max(self.paused.elapsed());
        self.paused = Instant::now();
    }

    fn write(&mut self, index: usize) -> Written {
        let name = format!("file-{index:05}");
        let way = WAYS[index % WAYS.len()];
        let path = self.folder.join(format!("{name}.job"));
        let turns = self.random.random_range(2..=TURNS);
        let lines: Vec<u64> = (0..turns)
            .map(|_| self.random.random_range(0..60))
            .collect();
        let mut last = lines.clone();
        (self.paused, self.slowest) = (Instant::now(), Duration::ZERO);
        match way {
            Way::AppendAgain => {
                for line in &lines {
                    let mut options = File::options();
                    let file = options.append(true).create(true).open(&path);
                    writeln!(file.unwrap(), "{line}").unwrap();
                    self.pause();
                }
            }
            Way::TwoDescriptors => {
                let mut file = File::create(&path).unwrap();
                let other = file.try_clone().unwrap();
                let again = File::options().append(true).open(&path);
                drop(other);
                for line in &lines {
                    writeln!(file, "{line}").unwrap();
                    self.pause();
                }
                drop(file);
                drop(again);
            }
            Way::EmptyAgain => {
                for line in &lines {
                    fs::write(&path, format!("{line}\n")).unwrap();
                    self.pause();
                }
                last = lines[turns - 1..].to_vec();
            }
            Way::EmptyOpen => {
                let mut file = File::options()
                    .append(true)
                    .create(true)
                    .open(&path)
                    .unwrap();
                for line in &lines {
                    file.set_len(0).unwrap();
                    self.pause();
                    writeln!(file, "{line}").unwrap();
                    self.pause();
                }
                last = lines[turns - 1..].to_vec();
            }
            Way::SaveByRename | Way::SaveByDotRename => {
                let part = match way {
                    Way::SaveByRename => format!("{name}.job.tmp"),
                    _ => format!(".{name}.job"),
                };
                for line in &lines {
                    let part = self.folder.join(&part);
                    fs::write(&part, format!("{line}\n")).unwrap();
                    fs::rename(part, &path).unwrap();
                    self.pause();
                }
                last = lines[turns - 1..].to_vec();
            }
        }
        Written {
            name,
            way,
            lines,
            last,
            slowest: self.slowest,
        }
    }
}

/// What is wrong with the jobs that came of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Breach {
    /// A text is not that of the file beside it.
    TextOfAnother,
    /// A line was never written in it, or a job of the file was rejected, though it was not empty.
    Foreign,
    /// What was written last is in no published text.
    LastIsMissing,
}

/// The rule: what was published for a file, and for those of its name that were numbered since.
///
/// 1. Each text in `done/` is exactly that of the lines of the job file beside it, as that file is when
///    all is settled: whoever still had the file open when it was claimed has written into the file
///    that was claimed, and the text has that, too.
/// 2. Where the writer opens, or renames, by name, and its file has been claimed meanwhile, it makes a
///    new file, which is a job of its own: `NAME.2`, and so on. So the jobs of a name, together, have
///    what was written last: each line of it stands in the text of one of them, and as often as
///    it was written if the file was only added to. Only what was emptied may be rejected.
/// 3. Nothing else is published: each line was written in a file of the name.
fn breaches(jobs: &Path, written: &Written, oracle: &mut Oracle) -> Vec<Breach> {
    let of_file = |job: &String| {
        job.strip_prefix(&written.name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut found = Vec::new();
    let mut published = Vec::new();
    for job in ended(&jobs.join("done")).iter().filter(|job| of_file(job)) {
        let (file, text) = pair(&jobs.join("done"), job);
        let text = fs::read_to_string(text).unwrap_or_default();
        if oracle
            .complaint(&factorials(&file), text.as_bytes())
            .is_some()
        {
            found.push(Breach::TextOfAnother);
        }
        let left_sides = text.lines().filter_map(|line| line.split('!').next());
        published.extend(left_sides.map(|n| n.parse::<u64>().unwrap()));
    }
    for job in ended(&jobs.join("failed"))
        .iter()
        .filter(|job| of_file(job))
    {
        let (file, _) = pair(&jobs.join("failed"), job);
        if !factorials(&file).is_empty() {
            found.push(Breach::Foreign);
        }
    }
    if !published.iter().all(|line| written.lines.contains(line)) {
        found.push(Breach::Foreign);
    }
    let count = |lines: &[u64], line| lines.iter().filter(|&&other| other == line).count();
    let has = |&line: &u64| count(&published, line) >= count(&written.last, line);
    if !written.last.iter().all(has) {
        found.push(Breach::LastIsMissing);
    }
    found
}

/// How many files broke the rule, and how.
#[derive(Default)]
struct Tally {
    files: usize,
    held_up: usize,
    broken: BTreeMap<(Way, Breach), usize>,
    first: Option<String>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, held_up) = (self.files, self.held_up);
        writeln!(
            f,
            "{files} files, {held_up} of which are not judged: their writers were held up"
        )?;
        for ((way, breach), count) in &self.broken {
            writeln!(f, "  {count} of {way:?}: {breach:?}")?;
        }
        self.first
            .iter()
            .try_for_each(|first| writeln!(f, "{first}"))
    }
}

/// Lets so many writers make files in a folder, each its own, waits until all are settled, and compares.
fn write_and_compare(trial: Trial, folder: &Path, count: usize, longest_pause: Duration) {
    // With a lease it does not matter how long a writer is held up.
    let limit = (longest_pause == PAUSE).then_some(HELD_UP);
    let files = std::env::var("BULLPEN_REOPENED").ok();
    let files = files.map_or(FILES, |files| files.parse().unwrap());
    let writers: Vec<_> = (0..count)
        .map(|number| {
            let mut writer = Writer {
                folder: folder.to_owned(),
                random: StdRng::seed_from_u64(number as u64),
                longest: u64::try_from(longest_pause.as_micros()).unwrap(),
                paused: Instant::now(),
                slowest: Duration::ZERO,
            };
            let own = (number..files).step_by(count);
            thread::spawn(move || own.map(|index| writer.write(index)).collect::<Vec<_>>())
        })
        .collect();
    let written: Vec<Written> = writers
        .into_iter()
        .flat_map(|writer| writer.join().unwrap())
        .collect();
    let jobs = trial.home.jobs();
    let directories = Run {
        jobs: jobs.clone(),
        ..Run::default()
    };
    eventually(LONG, "all jobs end", || directories.is_idle().then_some(()));
    let mut oracle = Oracle::default();
    let mut tally = Tally {
        files,
        ..Tally::default()
    };
    for written in &written {
        if limit.is_some_and(|limit| written.slowest >= limit) {
            tally.held_up += 1;
            continue;
        }
        for breach in breaches(&jobs, written, &mut oracle) {
            *tally.broken.entry((written.way, breach)).or_default() += 1;
            tally.first.get_or_insert_with(|| {
                format!(
                    "the first: {}, {:?}: {breach:?}: {:?} written, {:?} at last",
                    written.name, written.way, written.lines, written.last
                )
            });
        }
    }
    println!("{tally}");
    assert!(tally.broken.is_empty(), "{tally}");
    trial.conclude();
}

#[test]
fn files_that_are_opened_again_give_what_was_written_last() {
    let trial = Trial::start(&["--nodes", "3"]);
    let folder = trial.home.jobs();
    write_and_compare(trial, &folder, 4, Duration::from_millis(4));
}

/// On a mount of another file system. No pause within a file is as long as the quiet time.
fn on_a_mount(kind: Kind, folder: impl FnOnce(&Mount) -> PathBuf) {
    let Some(mount) = Mount::new(kind) else {
        return;
    };
    let home = Home::new();
    mount.hold_jobs_of(&home);
    let trial = Trial::begin(home, &["--nodes", "3"]);
    trial.await_agreement();
    write_and_compare(trial, &folder(&mount), 24, PAUSE);
}

#[test]
fn files_that_are_opened_again_on_a_mount_give_what_was_written_last() {
    on_a_mount(Kind::Bindfs, Mount::path);
}

#[test]
fn files_that_are_opened_again_below_a_mount_give_what_was_written_last() {
    on_a_mount(Kind::Mergerfs, Mount::source);
}
