//! Made-up logs of any sense: most operations go their way, for jobs that ask for the same factorials again and
//! again, under coordinators that come and go; and anything else may stand between, be missing, or be told twice.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Node and incarnation.
type Life = (u64, u64);

/// The factorials: every other one of prime powers.
const FACTORIALS: [u64; 4] = [3, 20, 40, 60];

fn plan(n: u64) -> &'static str {
    if matches!(n, 20 | 60) {
        "powers"
    } else {
        "tree"
    }
}

/// The operations of one: kind, level, index.
fn operations(n: u64) -> Vec<(&'static str, u64, u64)> {
    // How many multiplications each level has, how many steps there are, and how many of them are cut.
    let (widths, steps, cut): (&[u64], u64, u64) = match n {
        3 => (&[1], 0, 0),
        20 => (&[4], 3, 0),
        40 => (&[10, 3, 1], 0, 0),
        _ => (&[9, 2], 5, 2),
    };
    let levels = (0..).zip(widths);
    let multiplied =
        levels.flat_map(|(level, &width)| (0..width).map(move |index| ("multiply", level, index)));
    let mut all: Vec<_> = multiplied.collect();
    for bit in (0..steps).rev() {
        let parts = if bit < cut { 0..2 } else { 0..0 };
        all.extend(parts.map(|part| ("part", bit, part)));
        all.push(("step", bit, 0));
    }
    all
}

/// A jobs directory in which the jobs of these factorials are done, or have vanished.
pub(crate) fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["running", "done", "failed"] {
        fs::create_dir_all(folder.path().join(name)).unwrap();
    }
    for n in &FACTORIALS[..2] {
        fs::write(
            folder.path().join(format!("done/of{n}.job")),
            format!("{n}!\n"),
        )
        .unwrap();
        fs::write(folder.path().join(format!("done/of{n}.txt")), "").unwrap();
    }
    folder
}

/// A log that is being made up.
pub(crate) struct Noise {
    state: u64,
    now: u64,
    lives: Vec<Life>,
    coordinator: Life,
    term: u64,
    lines: Vec<Value>,
    /// How many in a thousand of each operation's lines are amiss.
    amiss: u64,
}

impl Noise {
    pub(crate) fn of(seed: u64) -> Noise {
        let mut noise = Noise {
            state: seed,
            now: 1_000,
            lives: vec![(0, 1), (1, 2), (2, 3), (3, 4)],
            coordinator: (3, 4),
            term: 0,
            lines: Vec::new(),
            amiss: [0, 2, 15][(seed % 3) as usize],
        };
        let begun =
            json!({"event": "run_begun", "trace_operations": true, "suspect_after_ms": 500});
        noise.tell((0, 0), begun);
        for life in noise.lives.clone() {
            noise.tell(life, json!({"event": "node_spawned"}));
            noise.tell(life, json!({"event": "started"}));
        }
        noise.takes_over();
        for _ in 0..noise.below(25) {
            match noise.below(12) {
                0 => noise.takes_over(),
                1 => noise.befalls(),
                _ => noise.job(),
            }
        }
        noise
    }

    /// SplitMix64.
    fn below(&mut self, limit: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn any(&mut self) -> Life {
        let index = self.below(self.lives.len() as u64);
        self.lives[index as usize]
    }

    fn tell(&mut self, life: Life, mut own: Value) {
        self.now += 1_000 + self.below(3_000_000);
        own["mono_ns"] = self.now.into();
        own["node"] = life.0.into();
        own["incarnation"] = life.1.into();
        own["pid"] = (100 + life.1).into();
        if own["term"].is_null() {
            own["term"] = self.term.into();
        }
        self.lines.push(own);
    }

    fn takes_over(&mut self) {
        let winner = self.any();
        let is_new = winner != self.coordinator && self.term > 0;
        if is_new && self.below(2) == 0 {
            let before = self.coordinator;
            self.tell(before, json!({"event": "stepped_down", "why": "promised"}));
        }
        self.tell(
            winner,
            json!({"event": "election_started", "why": "preemption"}),
        );
        self.term += 1;
        self.coordinator = winner;
        for peer in self.lives.clone() {
            if self.below(3) > 0 {
                let up = json!({"event": "peer_up", "peer": peer.0, "peer_incarnation": peer.1});
                self.tell(winner, up);
            }
        }
        self.tell(winner, json!({"event": "election_won"}));
        if self.below(4) == 0 {
            self.now += 200_000_000;
        }
        if self.below(20) > 0 {
            self.tell(winner, json!({"event": "acting"}));
        }
        for life in self.lives.clone() {
            if life != winner {
                self.tell(life, json!({"event": "following", "coordinator": winner.0}));
            }
        }
    }

    /// Something happens to somebody.
    fn befalls(&mut self) {
        let life = self.any();
        let name = [
            "node_stopped",
            "node_continued",
            "fault_injected",
            "gap",
            "file_call_slow",
        ];
        let index = self.below(7) as usize;
        if let Some(name) = name.get(index) {
            self.tell(life, json!({"event": name, "do": "stall", "ms": 20}));
            return;
        }
        if index == 5 {
            let peer = self.any();
            let by = ["link", "hint", "silence"][self.below(3) as usize];
            let down =
                json!({"event": "peer_down", "peer": peer.0, "peer_incarnation": peer.1, "by": by});
            self.tell(life, down);
            return;
        }
        self.tell(life, json!({"event": "node_exited", "signal": "SIGKILL"}));
        let next = (
            life.0,
            1 + self.lives.iter().map(|life| life.1).max().unwrap(),
        );
        self.lives[life.0 as usize] = next;
        self.tell(next, json!({"event": "node_spawned"}));
        self.tell(next, json!({"event": "started"}));
    }

    /// A job. Somebody else may take it over, and do again what was done.
    fn job(&mut self) {
        let n = FACTORIALS[self.below(4) as usize];
        let job = format!("of{n}");
        self.tell(
            self.coordinator,
            json!({"event": "job_accepted", "job": job}),
        );
        let is_whole = self.below(15) > 0;
        let mut done = Vec::new();
        for (kind, level, index) in operations(n) {
            let op = json!({"n": n, "kind": kind, "level": level, "index": index});
            self.operation(&op);
            // Without any need.
            if self.amiss > 0 && self.below(100) == 0 {
                self.operation(&op);
            }
            done.push(op);
            if self.below(150) == 0 {
                self.takes_over();
                if !is_whole {
                    return;
                }
                self.tell(
                    self.coordinator,
                    json!({"event": "job_accepted", "job": job}),
                );
                for op in &done {
                    if self.below(6) == 0 {
                        self.operation(op);
                    }
                }
            }
        }
        self.tell(
            self.coordinator,
            json!({"event": "product_done", "n": n, "plan": plan(n)}),
        );
        self.tell(
            self.coordinator,
            json!({"event": "result_published", "job": job}),
        );
        self.tell(self.coordinator, json!({"event": "job_done", "job": job}));
    }

    fn operation(&mut self, op: &Value) {
        let (coordinator, worker) = (self.coordinator, self.any());
        for (name, life) in [
            ("assigned", coordinator),
            ("computing", worker),
            ("completed", worker),
            ("checkpointed", coordinator),
        ] {
            let line = json!({"event": name, "op": op, "worker": worker.0});
            if self.below(1_000) >= self.amiss {
                self.tell(life, line);
                continue;
            }
            match self.below(7) {
                0 => {}
                1 => {
                    self.tell(life, line.clone());
                    self.tell(life, line);
                }
                2 => {
                    let other = self.any();
                    self.tell(other, line);
                }
                3 => {
                    let mut early = line;
                    early["term"] = self.term.saturating_sub(1).into();
                    self.tell(life, early);
                }
                4 => {
                    self.tell(life, line);
                    let why = ["deadline", "takeover", "worker_died"][self.below(3) as usize];
                    let taken = json!({"event": "operation_reassigned", "op": op, "why": why});
                    self.tell(coordinator, taken);
                }
                5 => {
                    self.tell(life, line);
                    self.takes_over();
                }
                _ => {
                    self.tell(life, line);
                    self.befalls();
                }
            }
        }
    }

    /// The text of the log: writers may be late, if they are, and some lines may be torn.
    pub(crate) fn text(mut self, sort: u64) -> String {
        let mut lines = std::mem::take(&mut self.lines);
        if sort > 1 {
            // Who is late is behind others, and ahead of nothing that it wrote before.
            let mut late: BTreeMap<(u64, u64, bool), u64> = BTreeMap::new();
            let mut place = 0;
            lines.sort_by_cached_key(|line| {
                place += 1;
                let told = line["event"].as_str().unwrap().starts_with("node_");
                let life = (
                    line["node"].as_u64().unwrap(),
                    line["incarnation"].as_u64().unwrap(),
                );
                let of = if told {
                    (0, 0, true)
                } else {
                    (life.0, life.1, false)
                };
                let wait = if self.below(300) == 0 {
                    self.below(40)
                } else {
                    0
                };
                let last = late.entry(of).or_default();
                *last = (*last).max(place + wait);
                *last
            });
        }
        let mut text = String::new();
        for line in lines {
            let line = line.to_string();
            let is_torn = sort % 2 == 1 && self.below(400) == 0;
            let end = if is_torn { line.len() / 2 } else { line.len() };
            text.push_str(&line[..end]);
            text.push('\n');
        }
        text
    }
}
