//! The log and the folder of a sound run, to be spoilt.

use std::fs;
use std::path::{Path, PathBuf};

use laboratory::log::Log;
use laboratory::verdict::Run;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::both::Judged;
use crate::left::Files;

/// A sound run, and what is made of it.
pub(crate) struct Spoilt {
    pub(crate) run: Run,
    /// In the order of the file.
    pub(crate) lines: Vec<Value>,
    _dir: TempDir,
}

/// Node and incarnation.
pub(crate) type Life = (u64, u64);

impl Spoilt {
    /// What a run has left.
    pub(crate) fn of(files: Files) -> Spoilt {
        let events = fs::read_to_string(&files.log).unwrap();
        let lines = events
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        Spoilt {
            lines: lines.collect(),
            run: files.run,
            _dir: files.dir,
        }
    }

    /// A copy, whose files are its own.
    pub(crate) fn copy(of: &Spoilt) -> Spoilt {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["", "running", "done", "failed"] {
            let to = dir.path().join(folder);
            fs::create_dir_all(&to).unwrap();
            for entry in fs::read_dir(of.path(folder)).unwrap() {
                let entry = entry.unwrap();
                if entry.file_type().unwrap().is_file() {
                    fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
                }
            }
        }
        let jobs = dir.path().to_owned();
        let run = of.run.clone();
        Spoilt {
            run: Run { jobs, ..run },
            lines: of.lines.clone(),
            _dir: dir,
        }
    }

    /// The laws that are said to be broken.
    pub(crate) fn broken(&mut self) -> Vec<&'static str> {
        let text: String = self.lines.iter().map(|line| format!("{line}\n")).collect();
        let about = self.run.log.about.clone();
        self.run.log = Log::parse(text.as_bytes());
        self.run.log.about = about;
        let violations = self.run.judged().into_iter();
        violations.map(|violation| violation.invariant).collect()
    }

    /// The positions of the lines of a name.
    pub(crate) fn named(&self, name: &str) -> Vec<usize> {
        self.places(|line| line["event"] == name)
    }

    pub(crate) fn places(&self, is_meant: impl Fn(&Value) -> bool) -> Vec<usize> {
        let places = 0..self.lines.len();
        places.filter(|&at| is_meant(&self.lines[at])).collect()
    }

    /// The first line of a name, from a position on, of which something is so.
    pub(crate) fn next(&self, from: usize, is_meant: impl Fn(&Value) -> bool) -> Option<usize> {
        (from..self.lines.len()).find(|&at| is_meant(&self.lines[at]))
    }

    pub(crate) fn life(&self, at: usize) -> Life {
        life(&self.lines[at])
    }

    pub(crate) fn number(&self, at: usize, field: &str) -> u64 {
        self.lines[at][field].as_u64().unwrap()
    }

    /// Lines of a life that come right after one of its lines: so many nanoseconds later each.
    pub(crate) fn insert(&mut self, after: usize, apart_ns: u64, events: &[Value]) {
        for (place, event) in (after + 1..).zip(events) {
            let mut line = self.lines[place - 1].clone();
            let names: Vec<String> = line.as_object().unwrap().keys().cloned().collect();
            for name in names.iter().filter(|name| !HEADER.contains(&name.as_str())) {
                line.as_object_mut().unwrap().remove(name);
            }
            line["mono_ns"] = json!(self.number(place - 1, "mono_ns") + apart_ns);
            for (name, value) in event.as_object().unwrap() {
                line[name] = value.clone();
            }
            self.lines.insert(place, line);
        }
    }

    /// The line is another life's.
    pub(crate) fn give(&mut self, at: usize, (node, incarnation): Life) {
        let is_of = |line: &&Value| line["incarnation"] == incarnation && line["pid"] != 0;
        let pid = self.lines.iter().find(is_of).unwrap()["pid"].clone();
        self.lines[at]["node"] = json!(node);
        self.lines[at]["incarnation"] = json!(incarnation);
        self.lines[at]["pid"] = pid;
    }

    /// Lives of which no event says that they ended, stood still or were cut off before the end.
    pub(crate) fn quiet_lives(&self) -> Vec<Life> {
        let all = self.named("started").into_iter().map(|at| self.life(at));
        let end = self.run.end_ns;
        let is_unquiet = |line: &Value, of: Life| match line["event"].as_str().unwrap() {
            "node_exited" | "node_stopped" | "node_continued" | "gap" | "file_call_slow" => {
                life(line) == of && line["mono_ns"].as_u64().unwrap() < end
            }
            "peer_down" => {
                let peer = (line["peer"].as_u64(), line["peer_incarnation"].as_u64());
                peer == (Some(of.0), Some(of.1)) && line["mono_ns"].as_u64().unwrap() < end
            }
            _ => false,
        };
        all.filter(|&of| !self.lines.iter().any(|line| is_unquiet(line, of)))
            .collect()
    }

    /// The lives that never act.
    pub(crate) fn followers(&self) -> Vec<Life> {
        let quiet = self.quiet_lives().into_iter();
        quiet
            .filter(|&of| {
                self.places(|line| line["event"] == "election_won" && life(line) == of)
                    .is_empty()
            })
            .collect()
    }

    /// A job that is done, whose file and text stand: its name.
    pub(crate) fn done_jobs(&self) -> Vec<String> {
        jobs_in(&self.run.jobs.join("done"))
    }

    pub(crate) fn failed_jobs(&self) -> Vec<String> {
        jobs_in(&self.run.jobs.join("failed"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.run.jobs.join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }
}

const HEADER: [&str; 7] = [
    "ts",
    "mono_ns",
    "node",
    "incarnation",
    "pid",
    "term",
    "role",
];

pub(crate) fn life(line: &Value) -> Life {
    let number = |field: &str| line[field].as_u64().unwrap();
    (number("node"), number("incarnation"))
}

fn jobs_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".job").map(str::to_owned))
        .collect();
    names.sort();
    names
}
