//! A course of events with what is known of their order, laid out in time and in the file in any way that
//! this order allows: whoever writes a line may be slow, or stopped, before it reads the clock, and before
//! it writes.

pub(crate) mod cluster;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::both::both_ways;
use laboratory::log::Log;
use laboratory::verdict::{Run, Violation};
use serde_json::{Value, json};
use tempfile::TempDir;

const NS_PER_MS: u64 = 1_000_000;

/// A life: node and incarnation.
pub(crate) type Life = (u64, u64);
/// Something that happened, by its place in the course.
pub(crate) type Deed = usize;

/// How long who writes may take for each step.
#[derive(Clone, Copy)]
pub(crate) enum Pace {
    /// Less than a millisecond.
    Prompt,
    /// At times some milliseconds, at times seconds.
    Any,
}

pub(crate) struct Course {
    folder: TempDir,
    deeds: Vec<Told>,
    /// The last deed of each writer; the supervisor is one of none.
    last: BTreeMap<Option<Life>, Deed>,
    pub(crate) terms: BTreeMap<Life, u64>,
    /// Lives that are dead say no more.
    pub(crate) dead: BTreeSet<Life>,
}

struct Told {
    writer: Option<Life>,
    /// None of what no line tells.
    line: Option<Value>,
    /// What came before, and how many milliseconds at least.
    after: Vec<(Deed, u64)>,
}

impl Course {
    pub(crate) fn new() -> Course {
        let folder = tempfile::tempdir().unwrap();
        for name in ["running", "done", "failed"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        Course {
            folder,
            deeds: Vec::new(),
            last: BTreeMap::new(),
            terms: BTreeMap::new(),
            dead: BTreeSet::new(),
        }
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// A life tells something, after all that it told before and after these.
    pub(crate) fn tell(&mut self, life: Life, own: Value, after: &[Deed]) -> Deed {
        let term = self.terms.get(&life).copied().unwrap_or(0);
        self.tell_in(term, life, own, after)
    }

    pub(crate) fn tell_in(&mut self, term: u64, life: Life, own: Value, after: &[Deed]) -> Deed {
        assert!(!self.dead.contains(&life), "{life:?} is dead: {own}");
        let after = after.iter().map(|&deed| (deed, 0)).collect();
        self.add(Some(life), Some(line(life, term, own)), after)
    }

    /// A life does something that no line tells, so many milliseconds after another deed at least.
    pub(crate) fn act(&mut self, life: Life, after: &[(Deed, u64)]) -> Deed {
        self.add(Some(life), None, after.to_vec())
    }

    /// The supervisor tells something of a life.
    pub(crate) fn supervise(&mut self, life: Life, own: Value, after: &[Deed]) -> Deed {
        let after = after.iter().map(|&deed| (deed, 0)).collect();
        self.add(None, Some(line(life, 0, own)), after)
    }

    fn add(
        &mut self,
        writer: Option<Life>,
        line: Option<Value>,
        mut after: Vec<(Deed, u64)>,
    ) -> Deed {
        let deed = self.deeds.len();
        after.extend(self.last.insert(writer, deed).map(|last| (last, 0)));
        self.deeds.push(Told {
            writer,
            line,
            after,
        });
        deed
    }

    /// Takes out the line of a deed; what came after it did so still.
    pub(crate) fn hide(&mut self, deed: Deed) {
        assert!(self.deeds[deed].line.take().is_some());
    }

    pub(crate) fn last_of(&self, life: Life) -> Deed {
        self.last[&Some(life)]
    }

    /// The lines of the file.
    fn lay(&self, seed: u64, pace: Pace) -> Vec<Value> {
        let mut dice = Dice(seed.wrapping_mul(2).wrapping_add(1));
        let mut times: Vec<u64> = Vec::new();
        for deed in &self.deeds {
            let earliest = deed
                .after
                .iter()
                .map(|&(before, ms)| times[before] + ms * NS_PER_MS);
            let wait = match (pace, dice.below(100)) {
                (Pace::Any, 0..4) => dice.below(3_000 * NS_PER_MS),
                (Pace::Any, 4..20) => dice.below(90 * NS_PER_MS),
                _ => dice.below(NS_PER_MS / 5),
            };
            times.push(earliest.max().unwrap_or(NS_PER_MS) + 1 + wait);
        }
        let mut queues: BTreeMap<Option<Life>, Vec<Value>> = BTreeMap::new();
        for (deed, at) in self.deeds.iter().zip(times).rev() {
            if let Some(mut line) = deed.line.clone() {
                line["mono_ns"] = at.into();
                queues.entry(deed.writer).or_default().push(line);
            }
        }
        let mut lines = Vec::new();
        while !queues.is_empty() {
            let writers: Vec<Option<Life>> = queues.keys().copied().collect();
            let writer = writers[usize::try_from(dice.below(writers.len() as u64)).unwrap()];
            // Some write many lines before another comes to write one.
            for _ in 0..=dice.below(6) {
                lines.extend(queues.get_mut(&writer).and_then(Vec::pop));
            }
            queues.retain(|_, queue| !queue.is_empty());
        }
        lines
    }

    /// What is found of the laws that this file is about; `tear` tears lines of the log.
    pub(crate) fn judge(
        &self,
        seed: u64,
        pace: Pace,
        tear: &dyn Fn(&[Value]) -> Vec<usize>,
    ) -> Vec<Violation> {
        let lines = self.lay(seed, pace);
        let torn = tear(&lines);
        let text = lines.iter().enumerate().map(|(index, line)| {
            let line = line.to_string();
            let end = if torn.contains(&index) {
                20
            } else {
                line.len()
            };
            format!("{}\n", &line[..end])
        });
        let run = Run {
            log: Log::parse(text.collect::<String>().as_bytes()),
            jobs: self.folder.path().to_owned(),
            end_ns: u64::MAX,
            ..Run::default()
        };
        let mut found = both_ways(&run, Run::judge_course);
        found.retain(|found| ["S5", "S7", "S8"].contains(&found.invariant));
        found
    }
}

fn line(life: Life, term: u64, mut own: Value) -> Value {
    own["node"] = life.0.into();
    own["incarnation"] = life.1.into();
    own["pid"] = json!(100 + life.1);
    own["term"] = term.into();
    own
}

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
