//! Made-up runs as what each process writes, and all the orders in which that may come to be a file.
//!
//! A line has its clock, the process that writes it, and the lines that it cannot come before: what its
//! process has written, and what was written before the message was sent that it answers. By a seed each
//! process is held up here and there, which moves its clocks and those of all that waits for it; and its
//! lines reach the file any time later, behind any of others.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(crate) const NS_PER_MS: u64 = 1_000_000;

/// Pseudo-random numbers (SplitMix64).
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// A node, and which life of it.
pub(crate) type Life = (u64, u64);

/// Who writes: the supervisor, or a life.
type Writer = Option<Life>;

#[derive(Default)]
pub(crate) struct Story {
    lines: Vec<Line>,
    /// The last line of each writer.
    last: BTreeMap<Writer, usize>,
    /// The life of each node.
    alive: BTreeMap<u64, u64>,
}

struct Line {
    writer: Writer,
    at: u64,
    after: Vec<usize>,
    own: Value,
}

impl Story {
    /// A line of a life, not before some others.
    pub(crate) fn say(
        &mut self,
        at: u64,
        life: Life,
        term: u64,
        own: Value,
        after: &[usize],
    ) -> usize {
        self.write(Some(life), at, life, term, own, after)
    }

    /// A line of the supervisor about a life.
    pub(crate) fn tell(&mut self, at: u64, life: Life, own: Value, after: &[usize]) -> usize {
        self.write(None, at, life, 0, own, after)
    }

    fn write(
        &mut self,
        writer: Writer,
        at: u64,
        life: Life,
        term: u64,
        mut own: Value,
        after: &[usize],
    ) -> usize {
        own["node"] = json!(life.0);
        own["incarnation"] = json!(life.1);
        own["pid"] = json!(100 + life.1);
        own["term"] = json!(term);
        let mut after = after.to_vec();
        after.extend(self.last.insert(writer, self.lines.len()));
        let at = at * NS_PER_MS;
        self.lines.push(Line {
            writer,
            at,
            after,
            own,
        });
        self.lines.len() - 1
    }

    /// The last line of a life so far.
    pub(crate) fn last_of(&self, life: Life) -> usize {
        self.last[&Some(life)]
    }

    pub(crate) fn spawn(&mut self, at: u64, life: Life) {
        let before = self.last.get(&None).copied();
        self.tell(at, life, json!({"event": "node_spawned"}), &[]);
        self.alive.insert(life.0, life.1);
        // It may be quicker than the line that tells of it, and not than the one before.
        let before = before.as_slice();
        self.say(at + 1, life, 0, json!({"event": "started"}), before);
    }

    /// It dies of a signal; gives its last line.
    pub(crate) fn kill(&mut self, at: u64, life: Life) -> usize {
        let last = self.last_of(life);
        let exited = json!({"event": "node_exited", "signal": "SIGKILL"});
        self.alive.remove(&life.0);
        self.tell(at, life, exited, &[last]);
        last
    }

    /// An election that is won, takeover, and who follows. Some of its causes others have told before.
    pub(crate) fn reign(
        &mut self,
        at: u64,
        life: Life,
        term: u64,
        why: &str,
        followers: &[Life],
    ) -> usize {
        let started = json!({"event": "election_started", "why": why});
        // Of who led until now it has heard.
        let known = self
            .lines
            .iter()
            .rposition(|line| line.own["event"] == "election_won");
        let known = known.filter(|_| why != "start");
        let given_way = self
            .lines
            .iter()
            .rposition(|line| line.own["why"] == "file_call_slow");
        let after: Vec<usize> = known.into_iter().chain(given_way).collect();
        self.say(at, life, term - 1, started, &after);
        let won = self.say(at + 2, life, term, json!({"event": "election_won"}), &[]);
        for &follower in followers {
            // Who led until now has promised.
            if self.leads(follower) {
                let down = json!({"event": "stepped_down", "why": "promised"});
                self.say(at + 3, follower, term, down, &[won]);
            }
        }
        let promised: Vec<usize> = followers
            .iter()
            .map(|&follower| self.last_of(follower))
            .collect();
        let acting = self.say(at + 4, life, term, json!({"event": "acting"}), &promised);
        for &follower in followers {
            let following = json!({"event": "following", "coordinator": life.0});
            self.say(at + 6, follower, term, following, &[acting]);
        }
        acting
    }

    fn leads(&self, life: Life) -> bool {
        let own = self
            .lines
            .iter()
            .rev()
            .filter(|line| line.writer == Some(life));
        let mut turns = own.filter_map(|line| line.own["event"].as_str());
        turns.find(|name| matches!(*name, "acting" | "stepped_down" | "following"))
            == Some("acting")
    }

    /// An operation of 5! that a coordinator has a worker do.
    pub(crate) fn operation(
        &mut self,
        at: u64,
        by: Life,
        term: u64,
        worker: Life,
        name: (u64, u64),
    ) {
        let op = json!({"n": 5, "kind": "multiply", "level": name.0, "index": name.1});
        let assigned = json!({"event": "assigned", "op": op, "worker": worker.0});
        let assigned = self.say(at, by, term, assigned, &[]);
        let event = |event: &str| json!({"event": event, "op": op});
        self.say(at + 1, worker, term, event("computing"), &[assigned]);
        let completed = self.say(at + 2, worker, term, event("completed"), &[]);
        self.say(at + 3, by, term, event("checkpointed"), &[completed]);
    }

    pub(crate) fn job(
        &mut self,
        at: u64,
        by: Life,
        term: u64,
        events: &[&str],
        job: &str,
        after: &[usize],
    ) -> usize {
        let mut last = 0;
        for event in events {
            last = self.say(at, by, term, json!({"event": event, "job": job}), after);
        }
        last
    }

    /// All are told to end.
    pub(crate) fn end(&mut self, at: u64) {
        for (node, incarnation) in self.alive.clone() {
            let life = (node, incarnation);
            let last = self.last_of(life);
            self.tell(
                at,
                life,
                json!({"event": "node_exited", "code": 0}),
                &[last],
            );
        }
    }

    /// The lines of the file, in one of the orders that they may get.
    pub(crate) fn interleaved(&self, draws: &mut Draws) -> Vec<Value> {
        // Clocks, as processes are held up.
        let mut clocks: Vec<u64> = Vec::new();
        for line in &self.lines {
            let waited = line.after.iter().map(|&other| clocks[other] + 1);
            let held_up = match (draws.below(40), line.writer) {
                (0, None) => draws.below(5_000 * NS_PER_MS),
                (1..5, None) => draws.below(700 * NS_PER_MS),
                (0..5, Some(_)) => draws.below(40 * NS_PER_MS),
                _ => draws.below(1_000),
            };
            clocks.push(waited.max().unwrap_or(0).max(line.at) + held_up);
        }
        // Writes: some processes are slow, once or always, and one may write all it has to say last.
        let mut slowness: BTreeMap<Writer, u64> = BTreeMap::new();
        let mut written: BTreeMap<Writer, u64> = BTreeMap::new();
        let mut places: Vec<(u64, usize)> = Vec::new();
        for (index, line) in self.lines.iter().enumerate() {
            let slowness = *slowness
                .entry(line.writer)
                .or_insert_with(|| match draws.below(4) {
                    0 => 20_000,
                    1 => 300,
                    _ => 5,
                });
            let late = match draws.below(10) {
                0 => draws.below(slowness * NS_PER_MS),
                1 => draws.below(20 * NS_PER_MS),
                _ => 0,
            };
            let last = written.entry(line.writer).or_default();
            *last = (clocks[index] + late).max(*last + 1);
            places.push((*last, index));
        }
        places.sort_unstable();
        let line = |(_, index): (u64, usize)| {
            let mut line = self.lines[index].own.clone();
            line["mono_ns"] = json!(clocks[index]);
            line
        };
        places.into_iter().map(line).collect()
    }
}
