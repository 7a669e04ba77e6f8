//! A log without the lines of ordinary operations gets the verdict of the whole one, whatever is in it.
//!
//! `ORDINARY` sets how many logs are made up, from the seed `ORDINARY_FIRST` on.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::Write as _;

use crate::both::{Judged, both_ways};
use crate::noise::{Noise, folder};
use laboratory::log::{Log, parts};
use laboratory::verdict::{Run, read_parts};

fn number(variable: &str, otherwise: u64) -> u64 {
    let told = env::var(variable).ok();
    told.map_or(otherwise, |told| told.parse().unwrap())
}

#[test]
fn whatever_happens_the_verdict_is_that_of_the_whole_log() {
    let jobs = folder();
    let (mut all, mut kept) = (0, 0);
    let mut laws: BTreeMap<&str, usize> = BTreeMap::new();
    let first = number("ORDINARY_FIRST", 0);
    for seed in first..first + number("ORDINARY", 150) {
        let text = Noise::of(seed).text(seed % 4);
        let run = Run {
            log: Log::parse(text.as_bytes()),
            jobs: jobs.path().to_owned(),
            end_ns: u64::MAX,
            is_shared: seed % 3 == 0,
            ..Run::default()
        };
        all += run.log.events.len();
        kept += run.without_ordinary().log.events.len();
        let found = std::panic::catch_unwind(|| run.judged());
        let found = found.unwrap_or_else(|_| panic!("seed {seed}:\n{text}"));
        for found in found {
            *laws.entry(found.invariant).or_default() += 1;
        }
    }
    // It is put to the test in what is let go, and in what is found.
    assert!(kept * 3 < all * 2, "{kept} of {all}");
    for law in ["S2", "S3", "S6", "S7", "L3"] {
        assert!(laws.contains_key(law), "{law}: {laws:?}");
    }
}

#[test]
fn files_are_read_as_one_log_with_their_torn_lines_and_what_is_missing() {
    let jobs = folder();
    let (mut all, mut kept) = (0, 0);
    for seed in 0..40 {
        let text = Noise::of(seed).text(1);
        let text = text.as_bytes();
        let log = jobs.path().join("events.jsonl");
        // The first of three files may be gone; one begins in the middle of a line, and the last ends in one.
        let cuts = [text.len() / 3, 2 * text.len() / 3, text.len() - 5];
        let begin = |part: u64| format!("{{\"event\":\"log_continued\",\"part\":{part}}}\n");
        let second = [begin(1).as_bytes(), &text[cuts[0]..cuts[1]]].concat();
        let third = [begin(2).as_bytes(), &text[cuts[1]..cuts[2]]].concat();
        let _ = fs::remove_file(log.with_extension("jsonl.2"));
        if seed % 3 > 0 {
            fs::write(log.with_extension("jsonl.2"), &text[..cuts[0]]).unwrap();
        }
        fs::write(log.with_extension("jsonl.1"), second).unwrap();
        fs::write(&log, third).unwrap();
        let run = |log: Log| Run {
            log,
            jobs: jobs.path().to_owned(),
            end_ns: u64::MAX,
            is_shared: true,
            ..Run::default()
        };
        let whole = run(Log::read_parts(&parts::of_run(&log).unwrap()).unwrap());
        let read = run(read_parts(&parts::of_run(&log).unwrap()).unwrap());
        all += whole.log.events.len();
        kept += read.log.events.len();
        assert_eq!(
            (whole.log.is_cut, whole.log.lost),
            (read.log.is_cut, read.log.lost)
        );
        assert_eq!(whole.log.torn, read.log.torn);
        assert!(whole.log.torn.len() > 1, "seed {seed}");
        let words = |run: &Run| {
            let mut words: Vec<String> = run.judge().iter().map(ToString::to_string).collect();
            words.sort();
            words
        };
        assert_eq!(words(&whole), words(&read), "seed {seed}");
        both_ways(&whole, Run::judge);
    }
    assert!(kept * 5 < all * 4, "{kept} of {all}");
}

#[test]
fn a_log_that_grows_is_read_as_far_as_it_went() {
    let jobs = folder();
    let path = jobs.path().join("events.jsonl");
    let text = Noise::of(0).text(0);
    for seed in 0..10 {
        fs::write(&path, &text).unwrap();
        let parts = parts::of_run(&path).unwrap();
        let more = Noise::of(seed).text(0);
        let add = |text: &str| {
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        // Somebody writes all the time.
        let read = std::thread::scope(|scope| {
            scope.spawn(|| more.split_inclusive('\n').for_each(add));
            read_parts(&parts).unwrap()
        });
        assert!(read.torn.len() < 2, "seed {seed}: {:?}", read.torn);
    }
}
