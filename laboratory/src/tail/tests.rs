//! What a follower reads, also when the log is cut meanwhile.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;

fn line(name: &str) -> String {
    format!("{{\"mono_ns\":1,\"node\":0,\"incarnation\":1,\"event\":\"{name}\"}}\n")
}

fn append(path: &Path, text: &str) {
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn read(tail: &mut Tail) -> Vec<String> {
    let mut found = Vec::new();
    tail.read(|one| {
        found.push(match one {
            Found::Anew => "(anew)".to_owned(),
            Found::Event(event) => event.name().to_owned(),
        });
    })
    .unwrap();
    found
}

#[test]
fn each_event_is_read_once_and_a_torn_one_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut tail = Tail::whole(&path);
    assert!(read(&mut tail).is_empty());
    append(&path, &line("first"));
    assert_eq!(read(&mut tail), ["first"]);
    let second = line("second");
    let (begin, end) = second.split_at(20);
    append(&path, begin);
    assert!(read(&mut tail).is_empty());
    append(&path, end);
    append(&path, &line("third"));
    assert_eq!(read(&mut tail), ["second", "third"]);
    assert!(read(&mut tail).is_empty());
}

#[test]
fn a_log_that_was_moved_aside_is_read_to_its_end_and_its_successor_from_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    append(&path, &line("first"));
    let mut tail = Tail::last(&path, 1_000);
    assert!(tail.has_successor().unwrap());
    assert_eq!(read(&mut tail), ["first"]);
    append(&path, &line("last"));
    append(&path, "{\"torn");
    fs::rename(&path, folder.path().join("events.jsonl.1")).unwrap();
    assert_eq!(read(&mut tail), ["last"]);
    assert!(!tail.has_successor().unwrap());
    append(&path, &line("another"));
    assert!(tail.has_successor().unwrap());
    assert_eq!(read(&mut tail), ["(anew)", "another"]);
}

#[test]
fn what_is_no_file_is_no_log_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let elsewhere = folder.path().join("elsewhere");
    append(&elsewhere, &line("secret"));
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    let mut tail = Tail::whole(&path);
    tail.read(|found| panic!("{found:?}")).unwrap_err();

    fs::remove_file(&path).unwrap();
    append(&path, &line("first"));
    assert_eq!(read(&mut tail), ["first"]);
    fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = tail
        .read(|found| assert!(matches!(found, Found::Anew)))
        .unwrap_err();
    assert!(error.to_string().contains("no regular file"), "{error}");
}

#[test]
fn the_last_bytes_begin_at_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    append(&path, &line("a").repeat(3));
    append(&path, &line("b"));
    let length = line("b").len() as u64;
    assert_eq!(read(&mut Tail::last(&path, length)), ["b"]);
    assert_eq!(read(&mut Tail::last(&path, length - 1)), [""; 0]);
    assert_eq!(read(&mut Tail::last(&path, length + 1)), ["b"]);
    assert_eq!(read(&mut Tail::last(&path, 1 << 20)), ["a", "a", "a", "b"]);
}

/// The name of a file that was rotated.
fn rotated(path: &Path, age: usize) -> std::path::PathBuf {
    path.with_added_extension(age.to_string())
}

/// Cuts the log as the supervisor does: at no moment is there none.
fn rotate(path: &Path, part: u64, kept: usize) {
    let next = path.with_added_extension("new");
    let head = format!(r#","part":{part},"event":"log_continued"}}"#);
    let head = line("x").replace(r#","event":"x"}"#, &head);
    fs::write(&next, head).unwrap();
    let _ = fs::remove_file(rotated(path, kept));
    for age in (1..kept).rev() {
        let _ = fs::rename(rotated(path, age), rotated(path, age + 1));
    }
    fs::hard_link(path, rotated(path, 1)).unwrap();
    fs::rename(next, path).unwrap();
}

#[test]
fn a_follower_loses_and_repeats_nothing_when_the_log_is_cut_once_or_twice_between_two_looks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    append(&path, &line("a"));
    let mut tail = Tail::whole(&path);
    assert_eq!(read(&mut tail), ["a"]);
    append(&path, &line("b"));
    rotate(&path, 1, 4);
    append(&path, &line("c"));
    assert!(tail.has_successor().unwrap());
    assert_eq!(read(&mut tail), ["b", "c"]);
    append(&path, &line("d"));
    rotate(&path, 2, 4);
    append(&path, &line("e"));
    rotate(&path, 3, 4);
    append(&path, &line("f"));
    assert_eq!(read(&mut tail), ["d", "e", "f"]);
    assert_eq!(read(&mut tail), [""; 0]);
    assert!(!tail.has_successor().unwrap());
}

#[test]
fn a_late_line_in_an_older_file_is_read_too_until_the_file_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    append(&path, &line("a"));
    let mut late = OpenOptions::new().append(true).open(&path).unwrap();
    let mut write = |text: &str| late.write_all(text.as_bytes()).unwrap();
    let mut tail = Tail::whole(&path);
    assert_eq!(read(&mut tail), ["a"]);
    for part in [1, 2] {
        rotate(&path, part, 2);
        append(&path, &line("new"));
        assert_eq!(read(&mut tail), ["new"]);
        write(&line("late"));
        assert_eq!(read(&mut tail), ["late"]);
    }
    // A torn one is waited for there as well.
    let torn = line("torn");
    write(&torn[..9]);
    assert_eq!(read(&mut tail), [""; 0]);
    write(&torn[9..]);
    write(&line("last"));
    rotate(&path, 3, 2);
    assert_eq!(read(&mut tail), ["torn", "last"]);
    assert_eq!(tail.open.len(), 3);
    // Who comes later reads what is there, oldest first, and knows that it is not all.
    assert_eq!(read(&mut Tail::whole(&path)), ["new", "new"]);
    assert!(Log::read(&path).is_cut && !Log::read(&path).is_whole());
}

#[test]
fn who_comes_later_reads_all_files_of_the_run_and_none_of_an_earlier_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    append(&path, &line("earlier"));
    rotate(&path, 1, 9);
    append(&path, &line("earlier"));
    let mut follower = Tail::whole(&path);
    assert_eq!(read(&mut follower), ["earlier"; 2]);
    append(&path, &line("its_end"));
    // Another run begins, as `up` has it.
    fs::rename(rotated(&path, 1), rotated(&path, 2)).unwrap();
    fs::rename(&path, rotated(&path, 1)).unwrap();
    append(&path, &line("a"));
    assert_eq!(read(&mut Tail::whole(&path)), ["a"]);
    rotate(&path, 1, 9);
    append(&path, &line("b"));
    rotate(&path, 2, 9);
    let mut late = Tail::whole(&path);
    assert_eq!(read(&mut late), ["a", "b"]);
    append(&path, &line("c"));
    assert_eq!(read(&mut late), ["c"]);
    assert_eq!(read(&mut follower), ["its_end", "(anew)", "a", "b", "c"]);
    let log = Log::read(&path);
    let names: Vec<&str> = log.events.iter().map(Event::name).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert!(log.is_whole());
}

#[test]
fn the_last_bytes_may_begin_in_an_older_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    append(&path, &line("a").repeat(2));
    rotate(&path, 1, 4);
    append(&path, &line("b"));
    let head = fs::metadata(&path).unwrap().len() - line("b").len() as u64;
    let length = line("b").len() as u64;
    assert_eq!(read(&mut Tail::last(&path, length)), ["b"]);
    let with_one_more = length * 2 + head;
    let mut tail = Tail::last(&path, with_one_more);
    assert_eq!(read(&mut tail), ["a", "b"]);
    append(&rotated(&path, 1), &line("late"));
    assert_eq!(read(&mut tail), ["late"]);
}

#[test]
fn a_file_that_is_missing_in_the_middle_is_no_end_and_makes_the_log_one_that_lacks_events() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    for part in 1..=3 {
        append(&path, &line(&format!("in_{}", part - 1)));
        rotate(&path, part, 9);
    }
    assert!(Log::read(&path).is_whole());
    fs::remove_file(rotated(&path, 2)).unwrap();
    assert_eq!(read(&mut Tail::whole(&path)), ["in_0", "in_2"]);
    assert!(Log::read(&path).is_cut);
}

/// One writes and cuts, another reads at the same time.
#[test]
fn nothing_is_lost_or_repeated_while_files_move_on() {
    const CUTS: usize = 300;
    const LINES: usize = 20;
    const KEPT: usize = 3;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    append(&path, &line("begin"));
    let seen = AtomicUsize::new(0);
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for cut in 1..=CUTS {
                for number in 0..LINES {
                    append(&path, &line(&format!("{cut}_{number}")));
                }
                // Whoever falls behind by all that is kept loses what is removed.
                while seen.load(Ordering::SeqCst) + (KEPT - 1) * LINES < cut * LINES {
                    assert!(Instant::now() < deadline, "the reader stands still");
                    std::thread::yield_now();
                }
                rotate(&path, cut as u64, KEPT);
            }
        });
        let mut tail = Tail::whole(&path);
        while counts.len() < CUTS * LINES + 1 {
            assert!(Instant::now() < deadline, "{} were read", counts.len());
            for name in read(&mut tail) {
                *counts.entry(name).or_default() += 1;
            }
            seen.store(counts.len(), Ordering::SeqCst);
        }
    });
    let repeated: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
    assert!(repeated.is_empty(), "{repeated:?}");
    assert!(!counts.contains_key("(anew)"));
}
