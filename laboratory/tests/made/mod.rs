//! A made-up run, for the tests of the verdict.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::both::Judged;
use laboratory::log::Log;
use laboratory::verdict::{Dropped, Run, Violation};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The end of the made-up run, in milliseconds; what comes later belongs to its shutdown.
pub(crate) const END: u64 = 10_000;

const NS_PER_MS: u64 = 1_000_000;

/// A made-up run of three nodes that compute `0!`, and `1!` beside it, to be spoiled.
pub(crate) struct Made {
    folder: TempDir,
    pub(crate) lines: Vec<Value>,
}

impl Made {
    pub(crate) fn new() -> Made {
        let folder = tempfile::tempdir().unwrap();
        for name in ["running", "done", "failed"] {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        let mut made = Made {
            folder,
            lines: Vec::new(),
        };
        made.write("done/none.job", "0!\n");
        made.write("done/none.txt", "0!=1\n");
        made.write("failed/bad.job", "abc\n");
        made.write("failed/bad.txt", "line 1: \"abc\": expected N or N!\n");
        for node in 0..3 {
            made.add(10 + node, node, 0, json!({"event": "node_spawned"}));
            made.add(20 + node, node, 0, json!({"event": "started"}));
        }
        let won = json!({"event": "election_started", "why": "start"});
        made.add(30, 2, 0, won);
        made.add(40, 2, 1, json!({"event": "election_won"}));
        made.add(50, 2, 1, json!({"event": "acting"}));
        for node in 0..2 {
            let following = json!({"event": "following", "coordinator": 2});
            made.add(60 + node, node, 1, following);
        }
        made.job(100, "job_rejected", "bad");
        made.job(110, "result_published", "bad");
        made.job(120, "job_done", "bad");
        made.job(200, "job_accepted", "none");
        for (at, n, worker) in [(300, 0, 0), (400, 1, 1)] {
            let assigned = json!({"event": "assigned", "op": op(n), "worker": worker});
            made.add(at, 2, 1, assigned);
            made.operation(at + 10, worker, "computing", n);
            made.operation(at + 20, worker, "completed", n);
            made.operation(at + 30, 2, "checkpointed", n);
        }
        made.job(500, "result_published", "none");
        made.job(510, "job_done", "none");
        for node in 0..3 {
            let exited = json!({"event": "node_exited", "code": 0});
            made.add(END + 10 + node, node, 1, exited);
        }
        made
    }

    /// Adds an event of a node's first life. Times are in milliseconds.
    pub(crate) fn add(&mut self, at: u64, node: u64, term: u64, own: Value) {
        self.add_of(at, node, node + 1, term, own);
    }

    pub(crate) fn add_of(
        &mut self,
        at: u64,
        node: u64,
        incarnation: u64,
        term: u64,
        mut own: Value,
    ) {
        let fields = own.as_object_mut().unwrap();
        let pid = 100 + incarnation;
        let header = [
            ("mono_ns", at * NS_PER_MS),
            ("node", node),
            ("incarnation", incarnation),
            ("term", term),
            ("pid", pid),
        ];
        for (field, value) in header {
            fields.insert(field.to_owned(), json!(value));
        }
        self.lines.push(own);
    }

    pub(crate) fn job(&mut self, at: u64, event: &str, job: &str) {
        self.add(at, 2, 1, json!({"event": event, "job": job}));
    }

    pub(crate) fn operation(&mut self, at: u64, node: u64, event: &str, n: u64) {
        self.add(at, node, 1, json!({"event": event, "op": op(n)}));
    }

    pub(crate) fn remove(&mut self, matches: impl Fn(&Value) -> bool) {
        let before = self.lines.len();
        self.lines.retain(|line| !matches(line));
        assert!(self.lines.len() < before, "nothing to remove");
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn text(&self) -> Vec<u8> {
        let lines: Vec<String> = self.lines.iter().map(|line| format!("{line}\n")).collect();
        lines.concat().into_bytes()
    }

    pub(crate) fn run(&self) -> Run {
        Run {
            log: Log::parse(&self.text()),
            jobs: self.folder.path().to_owned(),
            end_ns: END * NS_PER_MS,
            highest_coordinates: true,
            operation_deadline: None,
            dropped: vec![Dropped::new("none", "0!\n"), Dropped::new("bad", "abc\n")],
            left_in_inbox: Vec::new(),
            cut_short: false,
            is_shared: false,
        }
    }

    /// The names of the invariants that are broken.
    pub(crate) fn broken(&self) -> BTreeSet<&'static str> {
        let violations = self.run().judged();
        violations.iter().map(|found| found.invariant).collect()
    }
}

/// The only operation of a small factorial.
pub(crate) fn op(n: u64) -> Value {
    json!({"n": n, "kind": "multiply", "level": 0, "index": 0})
}

/// The sound run, spoiled: exactly this invariant is broken.
pub(crate) fn breaks(invariant: &'static str, spoil: impl FnOnce(&mut Made)) {
    let mut made = Made::new();
    spoil(&mut made);
    let violations: Vec<String> = made
        .run()
        .judged()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        made.broken(),
        BTreeSet::from([invariant]),
        "{violations:#?}"
    );
}

/// What tells of a cause, and what proves it: without that nothing does.
pub(crate) fn needs_proof(
    invariant: &'static str,
    tell: impl Fn(&mut Made),
    prove: impl Fn(&mut Made),
) {
    breaks(invariant, &tell);
    let mut made = Made::new();
    prove(&mut made);
    tell(&mut made);
    assert_sound(&made.run().judged());
}

/// Fails with all that was found, if anything was.
pub(crate) fn assert_sound(violations: &[Violation]) {
    let list: Vec<String> = violations.iter().map(ToString::to_string).collect();
    assert!(
        list.is_empty(),
        "{} violations:\n{}",
        list.len(),
        list.join("\n")
    );
}
